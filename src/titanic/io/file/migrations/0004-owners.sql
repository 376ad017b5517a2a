-- The owner of a request: 'key:' and the name of a CURVE key; 'anonymous': stored without a key; '': stored by
-- a version without owners. `extra`: fields of later versions, as they came from the other node of a pair.
ALTER TABLE requests ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN extra BLOB;
ALTER TABLE attempts ADD COLUMN extra BLOB;

-- closed_by: '' if the request was here when it was closed; then no other row has its uuid. Otherwise who
-- closed a uuid that was unknown here, one row for each.
ALTER TABLE tombstones RENAME TO tombstones_before;
DROP INDEX tombstones_by_change;

CREATE TABLE tombstones (
  uuid BLOB NOT NULL,
  closed_by TEXT NOT NULL,
  key_until INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  extra BLOB,
  PRIMARY KEY (uuid, closed_by)
) STRICT, WITHOUT ROWID;

INSERT INTO tombstones SELECT uuid, '', key_until, changed, NULL FROM tombstones_before;
DROP TABLE tombstones_before;

CREATE INDEX tombstones_by_change ON tombstones (changed);

-- Each owner has its own keys.
ALTER TABLE keys RENAME TO keys_before;
DROP INDEX keys_remembered;
DROP INDEX keys_by_change;

CREATE TABLE keys (
  service BLOB NOT NULL,
  key BLOB NOT NULL,
  owner TEXT NOT NULL,
  uuid BLOB NOT NULL,
  until INTEGER, -- null while its request is in the store
  changed INTEGER NOT NULL, -- since its request is not; before, it goes with its request
  extra BLOB,
  PRIMARY KEY (service, key, owner)
) STRICT, WITHOUT ROWID;

INSERT INTO keys SELECT service, key, '', uuid, until, changed, NULL FROM keys_before;
DROP TABLE keys_before;

CREATE INDEX keys_remembered ON keys (until) WHERE until IS NOT NULL;
CREATE INDEX keys_by_change ON keys (changed) WHERE until IS NOT NULL;

-- Counts for each owner: stored requests, and the bytes of their bodies and replies.
CREATE TABLE owners (
  owner TEXT PRIMARY KEY,
  stored INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO owners
  SELECT '', count(*), coalesce(sum(body_bytes + coalesce(length(reply), 0)), 0)
  FROM requests LEFT JOIN replies USING (number)
  HAVING count(*) > 0;

-- The previous version of this node could not receive owners. Therefore the other node sends all of its
-- requests again, without their bodies.
UPDATE peer SET up_to = 0;
