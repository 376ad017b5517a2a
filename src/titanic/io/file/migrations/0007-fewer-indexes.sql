-- Every receipt wrote these two indexes. A start reads the pending requests from the table. Only a node of a pair
-- reads requests by change: each opening makes that index, or drops it (pair-index.ts).
DROP INDEX requests_pending;
