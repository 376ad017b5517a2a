/** The calls that a store's query thread carries out. Both engines use this part of the table of operations. */
import {
  BYTES,
  FLAG,
  list,
  maybe,
  NUMBER,
  oneOf,
  type Shape,
  struct,
  TEXT,
  tuple,
} from '../../core/shapes.js';
import type { GroupPage, OwnedKey, RequestGroup } from '../queries.js';
import type { ScanQuery } from '../scan.js';
import type { Grouping, RowFilter } from '../stored-filter.js';
import type { Owner, RequestUuid } from '../store.js';

export const OWNER = TEXT as Shape<Owner>;
const MAYBE_BYTES = maybe(BYTES);
const MAYBE_TEXT = maybe(TEXT);
const MAYBE_NUMBER = maybe(NUMBER);

const SCAN_QUERY = struct<ScanQuery>({
  from: TEXT,
  to: TEXT,
  service: MAYBE_BYTES,
  serviceMatch: oneOf('exact', 'prefix', 'substring'),
  kind: NUMBER,
  own: BYTES,
  more: struct<RowFilter>({
    reason: MAYBE_TEXT,
    pattern: MAYBE_TEXT,
    code: MAYBE_TEXT,
    header: maybe(struct({ name: TEXT, value: TEXT })),
    diedAfter: MAYBE_NUMBER,
    diedBefore: MAYBE_NUMBER,
    phase: maybe(oneOf('waiting', 'delayed', 'retrying')),
    at: MAYBE_NUMBER,
    uuidEnd: MAYBE_TEXT,
  }),
  states: NUMBER,
  only: MAYBE_BYTES,
  except: MAYBE_BYTES,
  limit: NUMBER,
});

const SCAN = { next: MAYBE_BYTES, scanned: NUMBER };
const GROUP = struct<RequestGroup>({
  service: MAYBE_BYTES,
  code: MAYBE_TEXT,
  pattern: MAYBE_TEXT,
  count: NUMBER,
  example: struct({ uuid: BYTES, service: BYTES, reason: MAYBE_TEXT }),
});

/** What is stored packed is read in the main thread. */
const HISTORY = struct({
  listed: BYTES,
  hasKey: FLAG,
  attemptsEver: NUMBER,
  extra: MAYBE_BYTES,
  attempts: list(
    struct({
      worker: TEXT,
      startedAt: NUMBER,
      endedAt: NUMBER,
      reason: TEXT,
      failure: MAYBE_BYTES,
    }),
  ),
  reply: maybe(struct({ bytes: NUMBER, worker: TEXT, at: NUMBER })),
  death: maybe(struct({ reason: TEXT, at: NUMBER })),
});

/** Beginnings of packed frames, and the sizes of the whole. */
const BODIES = struct({
  body: MAYBE_BYTES,
  bodyBytes: MAYBE_NUMBER,
  reply: MAYBE_BYTES,
  replyBytes: MAYBE_NUMBER,
  extra: MAYBE_BYTES,
});

/** The shapes of the arguments and of the result of each call. `listed` is what `packListed` makes. */
export const QUERIES = {
  page: [tuple<[ScanQuery]>(SCAN_QUERY), struct({ listed: BYTES, ...SCAN })],
  groups: [
    tuple<[ScanQuery, Grouping]>(SCAN_QUERY, oneOf('reason', 'service', 'code')),
    struct<GroupPage>({ groups: list(GROUP), ...SCAN }),
  ],
  history: [tuple<[RequestUuid]>(BYTES), maybe(HISTORY)],
  bodies: [tuple<[RequestUuid]>(BYTES), maybe(BODIES)],
  hasKeys: [
    tuple<[readonly OwnedKey[]]>(list(struct({ service: BYTES, key: BYTES, owner: OWNER }))),
    list(FLAG),
  ],
} as const;

export type QueryName = keyof typeof QUERIES;
