/**
 * The calls that a store's thread carries out, and what it tells besides their outcome: each with the shapes
 * of its arguments and of its result. Both ends, and both engines, use this table.
 */
import { assert, present } from '../../core/assert.js';
import { changesBytes, packChanges, TOMBSTONES, unpackChanges } from '../batch-codec.js';
import type { NodeMerged, NodeRecovered } from '../node-store.js';
import type { PackReader, PackWriter } from '../../core/value-bytes.js';
import { putRequest, requestFrom, STATES } from '../request.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  ClaimedRequest,
  ClaimOrder,
  Closer,
  Found,
  Holding,
  MergeFailure,
  OwnerCount,
  Ownership,
  ReadCursor,
  Release,
  RequestUuid,
  ServiceCount,
  StoreCounts,
  StoredContent,
  StoredRequest,
  StoreFailure,
  Transaction,
  ClaimedTurns,
} from '../store.js';
import type { Ranked, RankedMerged, TombstoneSizes } from '../ranked.js';
import { RECORD_COUNTS, type RecordCount } from '../record-kind.js';
import { packRanked, unpackRanked } from '../ranked-codec.js';
import { OWNER, QUERIES } from './query-operations.js';
import { packRequests, unpackPending } from './request-messages.js';
import {
  BYTES,
  FLAG,
  LATIN1,
  list,
  maybe,
  NOTHING,
  NUMBER,
  oneOf,
  type Shape,
  struct,
  tagged,
  TEXT,
  tuple,
  type ValueOf,
} from '../../core/shapes.js';

const UUIDS = list<RequestUuid>(BYTES);
const CLOSER = TEXT as Shape<Closer>;

const HOLDING = struct<Holding>({ storeId: BYTES, upTo: NUMBER, bodiesUpTo: NUMBER });
const TRANSACTION = struct<Transaction>({
  number: NUMBER,
  tombstones: TOMBSTONES,
  peerHolds: NUMBER,
  holds: maybe(HOLDING),
});
const CURSOR = struct<ReadCursor>({
  upTo: NUMBER,
  bodiesUpTo: NUMBER,
  changed: NUMBER,
  number: NUMBER,
});
const CHUNK = struct<Chunk>({ records: BYTES, holds: HOLDING, next: maybe(CURSOR) });

const CHANGES: Shape<readonly Change[]> = {
  put: packChanges,
  take: (from) => present(unpackChanges(from), 'changes of this program'),
};
const RANKED: Shape<readonly Ranked[]> = {
  put: (to, records) => to.bytes(packRanked(records)),
  take: (from) => present(unpackRanked(from.bytes()), 'records of this program'),
};
const TOMBSTONE_SIZES = struct<TombstoneSizes>({ part: NUMBER, count: NUMBER, keyBytes: NUMBER });
const REQUEST: Shape<StoredRequest> = { put: putRequest, take: requestFrom };
const REQUESTS: Shape<readonly StoredRequest[]> = { put: packRequests, take: unpackPending };

const RESULTS = list(
  tagged<'kind', ChangeResult>('kind', {
    done: null,
    ended: struct({ webhook: BYTES, generation: NUMBER }),
    passed: null,
    refused: null,
    busy: null,
    denied: null,
    known: struct({ uuid: BYTES, state: oneOf(...STATES, 'closed') }),
    another: null,
    reopened: struct({ request: REQUEST }),
    swept: struct({
      replied: NUMBER,
      dead: NUMBER,
      services: list(struct({ service: BYTES, count: NUMBER })),
      gone: list(BYTES),
      more: FLAG,
    }),
  }),
);

const CONTENT = struct<StoredContent>({
  body: BYTES,
  headers: maybe(BYTES),
  backoff: maybe(struct({ baseMs: NUMBER, maxMs: NUMBER })),
});

const OWNERSHIP = { owner: OWNER, isShared: FLAG };
const FOUND = tagged<'state', Found>('state', {
  absent: null,
  closed: struct({ by: list(CLOSER) }),
  pending: struct<Ownership>(OWNERSHIP),
  replied: struct({ ...OWNERSHIP, reply: maybe(BYTES), replyBytes: NUMBER }),
  dead: struct({ ...OWNERSHIP, reason: TEXT, failure: maybe(BYTES) }),
});

const MERGED = struct<NodeMerged>({
  joined: NUMBER,
  ranTwice: NUMBER,
  opened: REQUESTS,
  ended: UUIDS,
  parts: list(
    struct<RankedMerged>({
      part: NUMBER,
      changed: RANKED,
      ineffective: RANKED,
      conflicts: list(LATIN1),
    }),
  ),
});

const RELEASES = list(struct<Release>({ uuid: BYTES, claim: NUMBER }));
const CLAIM_ORDER = struct<ClaimOrder>({
  wanted: list(
    struct({
      service: BYTES,
      isSchedules: FLAG,
      most: NUMBER,
      turns: struct<ClaimedTurns>({ after: BYTES, each: NUMBER, held: list(BYTES) }),
    }),
  ),
  released: RELEASES,
  known: maybe(RELEASES),
});
const CLAIMED = list(
  struct<ClaimedRequest>({
    request: REQUEST,
    claim: NUMBER,
    content: maybe(CONTENT),
    isTurn: FLAG,
  }),
);

/** Straight code, not `struct`: it comes with every commit. */
const OWNER_COUNT: Shape<OwnerCount> = {
  put: (to, { owner, stored, bytes }) => {
    to.text(owner);
    to.number(stored);
    to.number(bytes);
  },
  take: (from) => ({ owner: OWNER.take(from), stored: from.number(), bytes: from.number() }),
};
const SERVICE_COUNT: Shape<ServiceCount> = {
  put: (to, { service, pending, retrying, replied, dead }) => {
    to.bytes(service);
    to.number(pending);
    to.number(retrying);
    to.number(replied);
    to.number(dead);
  },
  take: (from) => ({
    service: from.bytes(),
    pending: from.number(),
    retrying: from.number(),
    replied: from.number(),
    dead: from.number(),
  }),
};
const OWNER_COUNTS = list(OWNER_COUNT);
const SERVICE_COUNTS = list(SERVICE_COUNT);
const COUNTS = struct<StoreCounts>({
  ...(Object.fromEntries(RECORD_COUNTS.map((name) => [name, NUMBER])) as Record<
    RecordCount,
    typeof NUMBER
  >),
  bytes: NUMBER,
  nextNumber: NUMBER,
  owners: OWNER_COUNTS,
  services: SERVICE_COUNTS,
});
const RECOVERED = struct<NodeRecovered>({
  counts: COUNTS,
  newestAt: NUMBER,
  storeId: BYTES,
  firstTransaction: NUMBER,
  holds: maybe(HOLDING),
  isNumbered: FLAG,
  epochMax: NUMBER,
  parts: list(TOMBSTONE_SIZES),
});

/** @typeParam Kind what a failure can be */
function failure<Kind extends MergeFailure['kind']>(...kinds: readonly Kind[]) {
  const words = oneOf(...kinds);
  const shape: Shape<{ kind: Kind; message: string; detail?: string }> = {
    put: (to, { kind, message, detail = '' }) => {
      words.put(to, kind);
      to.text(message);
      to.text(detail);
    },
    take: (from) => {
      const [kind, message, detail] = [words.take(from), from.text(), from.text()];
      return detail === '' ? { kind, message } : { kind, message, detail };
    },
  };
  return shape;
}

const STORE_FAILURE: Shape<StoreFailure> = failure('full', 'busy', 'fatal');
const MERGE_FAILURE: Shape<MergeFailure> = failure('full', 'busy', 'fatal', 'malformed');

export interface Operation<Args extends readonly unknown[], Result, Failed> {
  readonly args: Shape<Args>;
  readonly result: Shape<Result>;
  readonly failure: Shape<Failed>;
  /** The thread begins at once, while the turn of the caller goes on. */
  readonly isWrite: boolean;
  /** Roughly how many bytes the arguments take, if they may be many. */
  readonly bytes: (...args: Args) => number;
}

const FEW_BYTES = 64;
const fewBytes = (): number => FEW_BYTES;

function read<Args extends readonly unknown[], Result>(
  args: Shape<Args>,
  result: Shape<Result>,
): Operation<Args, Result, StoreFailure> {
  return { args, result, failure: STORE_FAILURE, isWrite: false, bytes: fewBytes };
}

function write<Args extends readonly unknown[], Result>(
  args: Shape<Args>,
  result: Shape<Result>,
  bytes: (...args: Args) => number = fewBytes,
): Operation<Args, Result, StoreFailure> {
  return { ...read(args, result), isWrite: true, bytes };
}

function merge<Args extends readonly unknown[], Result>(
  args: Shape<Args>,
  result: Shape<Result>,
  bytes: (...args: Args) => number,
): Operation<Args, Result, MergeFailure> {
  return { args, result, failure: MERGE_FAILURE, isWrite: true, bytes };
}

/** What a store's thread is asked; its query thread takes `close`, too, and alone takes QUERIES. */
export const OPERATIONS = {
  commit: write(
    tuple<[Transaction, readonly Change[]]>(TRANSACTION, CHANGES),
    RESULTS,
    (_transaction, changes) => FEW_BYTES + changesBytes(changes),
  ),
  commitRanked: write(
    tuple<[Transaction, number, readonly Ranked[]]>(TRANSACTION, NUMBER, RANKED),
    NOTHING,
  ),
  /** Records of the peer; whether it is the active node; no ranked record has a higher epoch. */
  merge: merge<[Transaction, Buffer, boolean, number], NodeMerged>(
    tuple(TRANSACTION, BYTES, FLAG, NUMBER),
    MERGED,
    (_transaction, records) => FEW_BYTES + records.length,
  ),
  /** Reads from a cursor on, at most so many requests and bytes. */
  read: read(tuple<[ReadCursor, number, number]>(CURSOR, NUMBER, NUMBER), CHUNK),
  list: read(tuple<[number]>(NUMBER), REQUESTS),
  listKept: read(tuple<[number]>(NUMBER), REQUESTS),
  listRanked: read(tuple<[number, string]>(NUMBER, LATIN1), RANKED),
  load: read(tuple<[readonly RequestUuid[]]>(UUIDS), list(maybe(CONTENT))),
  /** If a reply has more bytes than given, only its size is returned. */
  lookUp: read(tuple<[RequestUuid, number]>(BYTES, NUMBER), FOUND),
  claim: write(tuple<[ClaimOrder]>(CLAIM_ORDER), CLAIMED),
  /** Takes what `packHint` makes. Neither this nor `close` is answered. */
  hint: read(tuple<[Buffer]>(BYTES), NOTHING),
  close: read(tuple<[]>(), NOTHING),
  page: read(...QUERIES.page),
  groups: read(...QUERIES.groups),
  history: read(...QUERIES.history),
  bodies: read(...QUERIES.bodies),
  hasKeys: read(...QUERIES.hasKeys),
} as const;

/** What it tells besides the outcome of calls. */
export const NEWS = {
  opened: RECOVERED,
  counted: COUNTS,
  tombstones: TOMBSTONE_SIZES,
  foundClaimed: REQUESTS,
  taken: NOTHING,
  /** What `unpackHint` takes, which may be no hint. */
  hinted: BYTES,
  closed: NOTHING,
} as const;

type Operations = typeof OPERATIONS;
export type OperationName = keyof Operations;
export type ArgsOf<Name extends OperationName> = ValueOf<Operations[Name]['args']>;
export type ResultOf<Name extends OperationName> = ValueOf<Operations[Name]['result']>;
export type FailureOf<Name extends OperationName> = ValueOf<Operations[Name]['failure']>;
export type NewsName = keyof typeof NEWS;

const OPERATION_NAMES = Object.keys(OPERATIONS) as OperationName[];
export const NEWS_NAMES = Object.keys(NEWS) as NewsName[];

/** A call, as the thread gets it. */
export type OrderOf<Name extends OperationName> = {
  readonly [Each in Name]: {
    readonly name: Each;
    readonly id: number;
    readonly args: ArgsOf<Each>;
  };
}[Name];
export type Order = OrderOf<OperationName>;

export function putOrder(to: PackWriter, name: OperationName, id: number): void {
  to.byte(OPERATION_NAMES.indexOf(name));
  to.number(id);
}

/** All calls of a message, in their order. @typeParam Name those that this thread is sent */
export function* takeOrders<Name extends OperationName = OperationName>(
  from: PackReader,
): Generator<OrderOf<Name>> {
  while (!from.isAtEnd) {
    const name = present(OPERATION_NAMES[from.byte()], 'an operation of this program');
    const id = from.number();
    const args = OPERATIONS[name].args.take(from);
    assert(from.isWhole, 'an order of this program');
    yield { name, id, args } as OrderOf<Name>;
  }
}
