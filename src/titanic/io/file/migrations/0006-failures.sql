-- The failure that a worker reported for an attempt: packed frames kind, code, text, detail. Null: none.
ALTER TABLE attempts ADD COLUMN failure BLOB;

-- The other node of a pair may have been newer. The failures that it sent are then among the fields that
-- this node did not know.
UPDATE attempts SET failure = failure_in(extra), extra = without_failure(extra) WHERE extra IS NOT NULL;

-- The previous version of this node ignored failures from the other node. Therefore the other node sends all
-- of its requests again, without their bodies.
UPDATE peer SET up_to = 0;
