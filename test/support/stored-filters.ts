/** Filters of stored requests that leave out none. */
import type { RowFilter, StoredFilter } from '../../src/store/stored-filter.js';

export const ANY_ROW: RowFilter = {
  ...{ reason: null, pattern: null, code: null, header: null },
  ...{ diedAfter: null, diedBefore: null, phase: null, at: null, uuidEnd: null },
};

export const ANY_REQUEST: StoredFilter = {
  ...{ service: null, serviceMatch: 'exact', kind: 'listed', group: null, uuid: null },
  ...{ acceptedAfter: null, acceptedBefore: null, more: ANY_ROW },
};
