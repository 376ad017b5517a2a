-- Counts for each service, kept with every change: requests by state. `retrying`: pending requests whose last
-- attempt failed.
CREATE TABLE services (
  service BLOB PRIMARY KEY,
  pending INTEGER NOT NULL,
  retrying INTEGER NOT NULL,
  replied INTEGER NOT NULL,
  dead INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO services
  SELECT service, sum(state = 1), sum(state = 1 AND attempts > 0), sum(state = 2), sum(state = 3)
  FROM requests GROUP BY service;
