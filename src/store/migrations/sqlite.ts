/**
 * The schema of the embedded store, as steps that only go forward. Step N runs in a transaction
 * that also sets `user_version` to N. A step that has been released is never edited.
 *
 * Tables are STRICT and WITHOUT ROWID: a row lives in the B-tree of its primary key, so a page of
 * history is one range scan. `events` has no other index on its hot path than the one that makes
 * idempotency keys unique.
 */
export const sqliteMigrations: readonly string[] = [
  `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
  CREATE INDEX sessions_by_expiry ON sessions (expires_at);

  CREATE TABLE rooms (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE timelines (
    id TEXT PRIMARY KEY,
    head INTEGER NOT NULL,
    last_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE events (
    timeline TEXT NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    author TEXT,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    key TEXT,
    PRIMARY KEY (timeline, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX events_by_key ON events (timeline, author, key) WHERE key IS NOT NULL;
  `,
]
