-- The records of the map (12/CHP). A record without a value is a tombstone: a deletion that the other node of a
-- pair may not have yet. Between records of one key, the higher (epoch, counter) wins.
CREATE TABLE map (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  uuid BLOB NOT NULL, -- of the last change: 16 bytes, or empty
  properties BLOB NOT NULL,
  value BLOB,
  changed INTEGER NOT NULL -- the transaction that last changed it
) STRICT;

CREATE UNIQUE INDEX map_by_key ON map (key);
CREATE INDEX map_tombstones ON map (changed) WHERE value IS NULL;

-- The previous version of this node could not receive the map. Therefore the other node sends all of its
-- requests again, without their bodies, and its map.
UPDATE peer SET up_to = 0;
