-- Splits the events of a Parley database into 16 tables, by the hash of their timeline. Stop all
-- nodes, make a backup, and run it once as the user Parley connects as:
--   psql --set=ON_ERROR_STOP=1 --single-transaction --file=postgres-partitions.sql "$DATABASE_URL"
-- It needs room for the events twice, and time to write them again. When it pays is told in
-- docs/large-databases.md.

ALTER TABLE events RENAME TO events_whole;
ALTER INDEX events_pkey RENAME TO events_whole_pkey;
ALTER INDEX events_by_key RENAME TO events_whole_by_key;

CREATE TABLE events (LIKE events_whole) PARTITION BY HASH (timeline);
DO $$ BEGIN
  FOR part IN 0..15 LOOP
    EXECUTE format(
      'CREATE TABLE events_%s PARTITION OF events FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
      part, part);
  END LOOP;
END $$;

INSERT INTO events SELECT * FROM events_whole;

-- After the events: to build an index at once costs less than to grow it.
ALTER TABLE events ADD PRIMARY KEY (timeline, seq);
CREATE UNIQUE INDEX events_by_key ON events (timeline, author, key) WHERE key IS NOT NULL;
DROP TABLE events_whole;
ANALYZE events;
