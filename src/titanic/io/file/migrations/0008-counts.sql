-- Every receipt wrote these counts. They are now made when the store is opened, and kept in memory.
DROP TABLE owners;
DROP TABLE services;
ALTER TABLE ledger DROP COLUMN pending;
ALTER TABLE ledger DROP COLUMN replied;
ALTER TABLE ledger DROP COLUMN dead;
ALTER TABLE ledger DROP COLUMN tombstones;
