-- Replication between the two stores of a pair. Transactions are numbered: those of the n-th opening are
-- above n * 2^32. Earlier content counts as changed by transactions before the first of those.
ALTER TABLE ledger ADD COLUMN store_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE ledger ADD COLUMN openings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN tombstones INTEGER NOT NULL DEFAULT 0;

UPDATE ledger SET store_id = randomblob(16), openings = next_number >> 32;

-- The transaction that last changed a request, and the one that stored its body here.
ALTER TABLE requests ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN born INTEGER NOT NULL DEFAULT 0;

UPDATE requests SET changed = number, born = number;

CREATE INDEX requests_by_change ON requests (changed);

-- The order is the same in both stores.
DROP INDEX requests_settled;
CREATE INDEX requests_settled ON requests (expires_at, uuid) WHERE state > 1;

ALTER TABLE keys RENAME TO keys_before;
DROP INDEX keys_remembered;

CREATE TABLE keys (
  service BLOB NOT NULL,
  key BLOB NOT NULL,
  uuid BLOB NOT NULL,
  until INTEGER, -- null while its request is in the store
  changed INTEGER NOT NULL, -- since its request is not; before, it goes with its request
  PRIMARY KEY (service, key)
) STRICT, WITHOUT ROWID;

INSERT INTO keys SELECT service, key, uuid, until, row_number() OVER () FROM keys_before;
DROP TABLE keys_before;

CREATE INDEX keys_remembered ON keys (until) WHERE until IS NOT NULL;
CREATE INDEX keys_by_change ON keys (changed) WHERE until IS NOT NULL;

-- Closed and expired requests that the other store may still have a record of.
CREATE TABLE tombstones (
  uuid BLOB PRIMARY KEY,
  key_until INTEGER NOT NULL,
  changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tombstones_by_change ON tombstones (changed);

-- At most one row: how much of the other store this one holds.
CREATE TABLE peer (
  id INTEGER PRIMARY KEY,
  store_id BLOB NOT NULL,
  up_to INTEGER NOT NULL,
  bodies_up_to INTEGER NOT NULL
) STRICT;
