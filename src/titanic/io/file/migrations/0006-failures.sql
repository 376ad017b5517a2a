-- What a worker said of an attempt that failed: packed frames kind, code, text, detail. Null: nothing.
ALTER TABLE attempts ADD COLUMN failure BLOB;

-- The other node of a pair may have been newer: then what it told stands among the fields that this one did
-- not know.
UPDATE attempts SET failure = failure_in(extra), extra = without_failure(extra) WHERE extra IS NOT NULL;

-- While this node was of the version before, it did not know what the other one told of failures: that
-- one tells all of its requests again, without their bodies.
UPDATE peer SET up_to = 0;
