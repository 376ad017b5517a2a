-- One row: counts that are kept with every change.
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY,
  next_number INTEGER NOT NULL, -- above every number that was ever given
  pending INTEGER NOT NULL,
  replied INTEGER NOT NULL,
  dead INTEGER NOT NULL
) STRICT;

INSERT INTO ledger VALUES (1, 1, 0, 0, 0);

-- Requests that are neither closed nor expired. Times are milliseconds since 1970.
CREATE TABLE requests (
  number INTEGER PRIMARY KEY, -- order of acceptance: rows are appended
  uuid BLOB NOT NULL,
  service BLOB NOT NULL,
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
  body_bytes INTEGER NOT NULL
) STRICT;

-- UUIDs of version 7: entries are appended.
CREATE UNIQUE INDEX requests_by_uuid ON requests (uuid);
CREATE INDEX requests_pending ON requests (number) WHERE state = 1;
CREATE INDEX requests_settled ON requests (expires_at) WHERE state > 1;

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
  PRIMARY KEY (number, ordinal)
) STRICT, WITHOUT ROWID;

-- Idempotency keys. A key is kept while its request is in the store, and for a time after that.
CREATE TABLE keys (
  service BLOB NOT NULL,
  key BLOB NOT NULL,
  uuid BLOB NOT NULL,
  until INTEGER, -- null while its request is in the store
  PRIMARY KEY (service, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_remembered ON keys (until) WHERE until IS NOT NULL;
