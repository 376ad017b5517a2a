-- Format 1. Times are milliseconds since 1970. Transactions are numbered: those of the n-th opening of the
-- store are above n * 2^32.

-- One row: what the store records about itself.
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY,
  store_id BLOB NOT NULL, -- 16 bytes: copies of one store share the first half
  openings INTEGER NOT NULL, -- how often it was opened for service
  next_number INTEGER NOT NULL -- above every number that was ever given
) STRICT;

INSERT INTO ledger (id, store_id, openings, next_number) VALUES (1, randomblob(16), 0, 1);

-- Requests that are neither closed nor expired.
CREATE TABLE requests (
  number INTEGER PRIMARY KEY, -- order of acceptance: rows are appended
  uuid BLOB NOT NULL,
  service BLOB NOT NULL,
  owner TEXT NOT NULL, -- 'key:' and the name of a CURVE key; 'anonymous': stored without a key
  shared INTEGER NOT NULL, -- 1: open to everybody who knows its uuid
  kind INTEGER NOT NULL, -- 0 request, 1 schedule, 2 pause, 3 webhook, above: of a later version
  partner BLOB NOT NULL, -- of a request its webhook, of a webhook its request; empty: none
  own BLOB NOT NULL, -- what only its kind has, and never changes: see own-fields.ts
  outcome INTEGER NOT NULL, -- what became of it last: see outcomes.ts
  outcome_at INTEGER NOT NULL,
  key BLOB,
  state INTEGER NOT NULL, -- 1 pending, 2 replied, 3 dead
  generation INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, -- of a pending one unserved, of the others unclosed
  max_attempts INTEGER NOT NULL,
  attempts INTEGER NOT NULL, -- since the last retry
  attempts_ever INTEGER NOT NULL,
  body_bytes INTEGER NOT NULL,
  reply_bytes INTEGER NOT NULL, -- 0: it has no reply
  changed INTEGER NOT NULL, -- the transaction that last changed it
  born INTEGER NOT NULL, -- the one that stored its body here
  extra BLOB -- numbered fields that have no column, also those of later versions, as they came
) STRICT;

-- An index that every receipt would write is made only for the node of a pair (pair-index.ts).
-- UUIDs of version 7: entries are appended.
CREATE UNIQUE INDEX requests_by_uuid ON requests (uuid);
-- What a sweep ends; the order is the same in both stores of a pair. Pending records that are sent to workers
-- are not in it: whoever dispatches them ends them.
CREATE INDEX requests_expiry ON requests (expires_at, uuid) WHERE state > 1 OR kind NOT IN (0, 3);
-- Operators list, retry and purge them, the newest first. (Deaths are rare.)
CREATE INDEX requests_dead ON requests (uuid, service) WHERE state = 3;

-- In a table of their own, because recovery reads all pending requests but no bodies.
CREATE TABLE bodies (
  number INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE replies (
  number INTEGER PRIMARY KEY,
  reply BLOB NOT NULL,
  worker TEXT NOT NULL,
  replied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE deaths (
  number INTEGER PRIMARY KEY,
  reason TEXT NOT NULL,
  died_at INTEGER NOT NULL
) STRICT;

-- The last attempts of each request; the ordinal counts all of them.
CREATE TABLE attempts (
  number INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  worker TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  failure BLOB, -- what its worker reported: packed frames kind, code, text, detail; null: nothing
  extra BLOB, -- fields of later versions, as they came
  PRIMARY KEY (number, ordinal)
) STRICT, WITHOUT ROWID;

-- Idempotency keys; each owner has its own. A key is kept while its request is in the store, and for a time
-- after that.
CREATE TABLE keys (
  service BLOB NOT NULL,
  key BLOB NOT NULL,
  owner TEXT NOT NULL,
  uuid BLOB NOT NULL,
  until INTEGER, -- null while its request is in the store
  changed INTEGER NOT NULL, -- since its request is not; before, it goes with its request
  extra BLOB, -- fields of later versions, as they came
  PRIMARY KEY (service, key, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_remembered ON keys (until) WHERE until IS NOT NULL;
CREATE INDEX keys_by_change ON keys (changed) WHERE until IS NOT NULL;

-- Closed and expired requests that the other store of a pair may still have a record of.
CREATE TABLE tombstones (
  uuid BLOB NOT NULL,
  -- '' if the request was here when it was closed; then no other row has its uuid. Otherwise who closed a uuid
  -- that was unknown here, one row for each.
  closed_by TEXT NOT NULL,
  key_until INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  extra BLOB, -- fields of later versions, as they came
  PRIMARY KEY (uuid, closed_by)
) STRICT, WITHOUT ROWID;

CREATE INDEX tombstones_by_change ON tombstones (changed);

-- What extensions keep. Between records of one part and key, the higher (epoch, counter) wins.
CREATE TABLE ranked (
  id INTEGER PRIMARY KEY,
  part INTEGER NOT NULL, -- the number of its extension: 1 to 255
  key BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  deleted INTEGER NOT NULL, -- 1: a tombstone, a deletion that the other node of a pair may not have yet
  body BLOB NOT NULL, -- its extension alone can read it
  changed INTEGER NOT NULL -- the transaction that last changed it
) STRICT;

CREATE UNIQUE INDEX ranked_by_key ON ranked (part, key);
CREATE INDEX ranked_tombstones ON ranked (changed) WHERE deleted = 1;

-- Row 1: how much of the other store of a pair this one holds. Row 2, while this one serves without the other: the
-- requests that were born, and (in bodies_up_to) the ids of ranked records, up to which the other may have them.
CREATE TABLE peer (
  id INTEGER PRIMARY KEY,
  store_id BLOB NOT NULL,
  up_to INTEGER NOT NULL,
  bodies_up_to INTEGER NOT NULL
) STRICT;

-- At most one row: the database that has all of these requests now. Then nobody may serve this file.
CREATE TABLE moved (
  id INTEGER PRIMARY KEY,
  place TEXT NOT NULL,
  store_id BLOB NOT NULL,
  moved_at INTEGER NOT NULL
) STRICT;
