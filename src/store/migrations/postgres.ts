/**
 * The schema of the PostgreSQL store, as steps that only go forward. Step N runs in a transaction
 * that also sets the version to N. A step that has been released is never edited.
 *
 * Texts that are compared or sorted have the collation "C": by code points, as in the embedded
 * store, whatever the locale of the database. Both unique indexes of `events` begin with the
 * timeline, so that the table can be partitioned by its hash; it has no other index.
 *
 * `append_events` is the one statement that writes events. It is a function because each of its
 * statements must see what was committed while the one before waited for locks:
 *
 * 1. **Make.** Timelines that are missing are entered with the head 0, in the order of their ids.
 * 2. **Lock.** All timelines of the batch are locked, in the order of their ids: two batches that
 *    meet anywhere meet at the first they share, so they never wait for each other in a circle.
 * 3. **Compare.** Whatever has a key that is in use is left out: outcome 1 if type and body are the
 *    same, 2 if not. So is what repeats a key of the batch itself; the caller tells which.
 * 4. **Number.** The rest is numbered from the heads on, in the order given, and so are the entries
 *    of inboxes. Times never run backwards along a timeline.
 * 5. **Write.** Events and entries are inserted, heads raised; the caller is told seqs and times.
 *
 * Its settings keep the planner from reading a table whole or sorting it, however few rows it
 * believes to be there: every row is found by an index.
 */
export const postgresMigrations: readonly string[] = [
  `
  CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    password_hash text NOT NULL,
    created_at bigint NOT NULL
  );

  CREATE TABLE sessions (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    token_hash text COLLATE "C" NOT NULL UNIQUE,
    user_agent text NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint NOT NULL,
    expires_at bigint NOT NULL
  );
  CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
  CREATE INDEX sessions_by_expiry ON sessions (expires_at);

  CREATE TABLE rooms (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    name_key text COLLATE "C" NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    created_by text NOT NULL
  );

  -- A head is raised again and again: room on its page spares the index each time.
  CREATE TABLE timelines (
    id text COLLATE "C" PRIMARY KEY,
    head bigint NOT NULL,
    last_at bigint NOT NULL
  ) WITH (fillfactor = 50);

  CREATE TABLE events (
    timeline text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    author text COLLATE "C",
    at bigint NOT NULL,
    body text NOT NULL,
    key text COLLATE "C",
    PRIMARY KEY (timeline, seq)
  );
  CREATE UNIQUE INDEX events_by_key ON events (timeline, author, key) WHERE key IS NOT NULL;

  -- What encodeEvent of events.ts makes; without a label, label_field is NULL.
  CREATE FUNCTION encode_event(
    seq bigint, type text, author text, at bigint, body text, label_field text, label_id text
  ) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '{"seq":' || seq || ',"type":"' || type || '",'
      || CASE WHEN author IS NULL THEN '' ELSE '"at":"' || to_char(
           to_timestamp(at / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
         ) || '",' END
      || CASE WHEN label_field IS NULL THEN substr(body, 2) ELSE
           substr(body, 2, length(body) - 2) || ',"' || label_field || '":"' || label_id || '"}'
         END
  $$;

  -- Enters a session; tells which of its user's were deleted to keep at most so many.
  CREATE FUNCTION create_session(new sessions, keep bigint)
  RETURNS SETOF text LANGUAGE plpgsql AS $$
  BEGIN
    -- Sign-ins of one user take turns, or two at once would each leave the other's surplus.
    PERFORM FROM users WHERE id = new.user_id FOR UPDATE;
    RETURN QUERY DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE user_id = new.user_id AND expires_at > new.created_at
      ORDER BY created_at DESC, id OFFSET keep - 1
    ) RETURNING id;
    INSERT INTO sessions SELECT new.*;
  END $$;

  CREATE FUNCTION append_events(
    timelines text[], types text[], authors text[], ats bigint[], keys text[], inboxes text[],
    bodies text[], firsts boolean[]
  ) RETURNS TABLE (n bigint, outcome int, seq bigint, at bigint, inbox_seq bigint)
  LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
  SET enable_hashjoin = off
  SET enable_mergejoin = off
  AS $$
  #variable_conflict use_column
  DECLARE
    touched text[] := timelines || inboxes;
  BEGIN
    INSERT INTO timelines
      SELECT DISTINCT id COLLATE "C" AS id, 0, 0 FROM unnest(touched) AS id
      WHERE id IS NOT NULL ORDER BY id
      ON CONFLICT DO NOTHING;

    PERFORM FROM timelines WHERE id = ANY (touched) ORDER BY id FOR UPDATE;

    RETURN QUERY WITH given AS MATERIALIZED (
      SELECT g.*, old.seq AS old_seq, old.at AS old_at,
        CASE WHEN old.seq IS NULL THEN 0
             WHEN old.type = g.type AND old.body = g.body THEN 1
             ELSE 2 END AS outcome
      FROM unnest(timelines, types, authors, ats, keys, inboxes, bodies, firsts)
        WITH ORDINALITY AS g (timeline, type, author, at, key, inbox, body, is_first, n)
      LEFT JOIN events old
        ON old.timeline = g.timeline AND old.author = g.author AND old.key = g.key
    ), placed AS MATERIALIZED (
      SELECT g.n, g.timeline, g.type, g.author, g.body, g.key, g.inbox,
        t.head + row_number() OVER before AS seq,
        greatest(t.last_at, max(g.at) OVER before) AS at,
        i.head + row_number() OVER (PARTITION BY g.inbox ORDER BY g.n) AS inbox_seq
      FROM given g JOIN timelines t ON t.id = g.timeline LEFT JOIN timelines i ON i.id = g.inbox
      WHERE g.outcome = 0 AND g.is_first
      WINDOW before AS (PARTITION BY g.timeline ORDER BY g.n)
    ), written AS (
      INSERT INTO events
      SELECT timeline, seq, type, author, at, body, key FROM placed
      UNION ALL
      SELECT inbox, inbox_seq, 'direct', NULL, at,
        '{"message":' || encode_event(seq, type, author, at, body, 'user', author) || '}', NULL
      FROM placed WHERE inbox IS NOT NULL
    ), raised AS (
      UPDATE timelines t SET head = last.seq, last_at = greatest(t.last_at, last.at)
      FROM (
        SELECT id, max(seq) AS seq, max(at) AS at FROM (
          SELECT timeline AS id, seq, at FROM placed
          UNION ALL
          SELECT inbox, inbox_seq, at FROM placed WHERE inbox IS NOT NULL
        ) AS all_placed GROUP BY id
      ) AS last
      WHERE t.id = last.id
    )
    SELECT n, 0, seq, at, inbox_seq FROM placed
    UNION ALL
    SELECT n, outcome, old_seq, old_at, NULL FROM given WHERE outcome <> 0;
  END $$;
  `,
]
