/**
 * The store port: where stored requests are kept.
 *
 * Asynchronous and batched. A batch of changes is committed as a whole or not at all, and is on
 * disk when its `Completion` is told; the changes of a batch take effect in their order. Applying a
 * batch a second time changes nothing, because each change is a step up a ladder (D17):
 *
 *     absent < pending < replied or dead < closed or expired      (replied before dead)
 *
 * A step that is not above the state of the request is skipped. An operator's retry raises the
 * request's *generation*, and the higher generation wins before the step counts.
 *
 * In a pair (D14, D20) a `PairStore` returns its changes after a given transaction as opaque records
 * (`read`), and takes in what the other one read (`merge`, D17). After two stores have taken in
 * each other's records they have the same content, except for the numbers of requests.
 */

import type { Backoff } from '../wire/job-option-table.js';
import { isOnceKey } from '../wire/tsp.js';
import type { Attempt } from './attempt.js';
import type { RecordCount, StoredState } from './record-kind.js';
import {
  ANONYMOUS,
  type Owner,
  type Ownership,
  type RequestUuid,
  type StoredRequest,
} from './request.js';

export type { Attempt } from './attempt.js';
export type { StoredState } from './record-kind.js';
export {
  ANONYMOUS,
  type Owner,
  type Ownership,
  type RequestUuid,
  STATES,
  type StoredRequest,
} from './request.js';

/** What is read of a request when it is sent to a worker. */
export interface StoredContent {
  /** Packed frames. */
  readonly body: Buffer;
  /** The headers as the client sent them; `null`: none. */
  readonly headers: Buffer | null;
  /** D81: the pauses that its client chose; `null`: those of this broker. */
  readonly backoff: Backoff | null;
}

/** Who ends a request: as one of its possible owners, or whoever owns it. */
export type Closer = Owner | typeof ANY_OWNER;
export const ANY_OWNER = '';

/** Whether somebody may ask for a request, or close it; also whether their tombstone ends it (D71). */
export function isOpenTo(by: Closer, { owner, isShared }: Ownership): boolean {
  return by === ANY_OWNER || by === owner || isShared || owner === ANONYMOUS;
}

/** How many attempts of one request are kept: the last ones. */
export const ATTEMPTS_RETAINED = 20;

/** A step of one request. Bodies and replies are packed frames. */
export type Change = Step & {
  /**
   * Fields that the store does not read, such as those of a later version: the request keeps them
   * as they came. See core/numbered-fields.ts.
   */
  readonly extra?: Buffer;
  /**
   * The next change of the batch belongs to the same decision: a refusal, a lock, or a split of the batch that would
   * separate the two takes both.
   */
  readonly withNext?: true;
};

type Step =
  | {
      readonly kind: 'accept';
      /** The request that is stored, whose number is set when the batch begins. */
      readonly request: StoredRequest & { number: number };
      readonly body: Buffer;
      /**
       * D16, D70: if its owner has already used the key for the service, nothing is stored and the
       * result is the first request's uuid, or that it was another request (D112).
       */
      readonly key: Buffer | null;
      /** The key counts however long ago it was to be forgotten, because the clock was set (D110). */
      readonly keepsKeys?: boolean;
      /** `FIRST_CLAIM`: this broker has it claimed from the beginning. See `ClaimStore`. */
      readonly claim?: number;
    }
  | {
      readonly kind: 'attempt';
      readonly uuid: RequestUuid;
      readonly generation: number;
      /** Attempts so far, including this one. */
      readonly attempts: number;
      readonly attempt: Attempt;
      /** Milliseconds since 1970 before which the request is not dispatched again. */
      readonly notBefore: number;
      /** The claim that this broker must still have, or nothing is stored; it ends with the step. */
      readonly claim?: number;
      /** The claim goes on. */
      readonly keepsClaim?: boolean;
    }
  | {
      readonly kind: 'reply';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly reply: Buffer;
      readonly worker: string;
      readonly at: number;
      /** When the reply is dropped, unless the request is closed before. */
      readonly expiresAt: number;
    }
  | {
      readonly kind: 'dead';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly reason: string;
      readonly at: number;
      readonly expiresAt: number;
      /** The claim that this broker must still have, or nothing is stored. */
      readonly claim?: number;
    }
  /** Deletes request and reply. The key is remembered until `keyUntil`, unless it is a once-key. */
  | {
      readonly kind: 'close' | 'expire';
      readonly uuid: RequestUuid;
      readonly at: number;
      readonly keyUntil: number;
      /** Who ends it: requests that are not open to them stay. */
      readonly by: Closer;
      /** A pending request stays if a broker has claimed it. */
      readonly onlyUnclaimed?: boolean;
    }
  /**
   * What becomes of a schedule at a due time, and of a webhook when its request ends, or is tried again: from then on
   * it is pending, with this outcome, until `notBefore`. Of two, the one of the higher generation counts, then the
   * one with more attempts.
   */
  | {
      readonly kind: 'advance';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly attempts: number;
      readonly notBefore: number;
      /** 0: as it is. */
      readonly expiresAt: number;
      /** See outcomes.ts. */
      readonly outcome: number;
      readonly outcomeAt: number;
      /** The claim of its partner that this broker must still have, or nothing is stored: the end of that needs it, too. */
      readonly partnerClaim?: number;
      /** The claim that this broker must still have, or nothing is stored; it ends with the step. */
      readonly claim?: number;
      /** The claim goes on. */
      readonly keepsClaim?: boolean;
    }
  /** An operator's retry: pending again in a higher generation, with its attempts reset. */
  | {
      readonly kind: 'retry';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly expiresAt: number;
      /** What its history says of the retry, without a worker. It is dispatched from its end on. */
      readonly attempt: Attempt;
    }
  /**
   * Drops replied and dead requests, and pending records of some kinds that are not sent to workers, whose time is
   * over, the earliest first, then by uuid; and keys that need not be remembered, unless the pair is not in
   * sync: the other store may still have them. So two stores of equal content drop the same, also if one of them
   * does not know such a kind, and the change itself is only a few numbers.
   */
  | {
      readonly kind: 'sweep';
      readonly now: number;
      readonly keyUntil: number;
      readonly most: number;
      /** The kinds of those pending records: see `KEPT_KINDS_BITS`. */
      readonly kinds: number;
    };

/** The uuid of the request that a change is about; empty: a sweep is about none. */
export function uuidsChanged(change: Change): RequestUuid[] {
  if (change.kind === 'sweep') return [];
  return [change.kind === 'accept' ? change.request.uuid : change.uuid];
}

/** An acceptance that is being made. */
export type NewRequest = { -readonly [Field in keyof AcceptStep]: AcceptStep[Field] };
type AcceptStep = Extract<Change, { readonly kind: 'accept' }>;

/** The result of one change, in the order of the batch. */
export type ChangeResult =
  | { readonly kind: 'done' }
  /** close, expire: done; the request of this generation had this webhook. */
  | { readonly kind: 'ended'; readonly webhook: RequestUuid; readonly generation: number }
  /** The change was not a step up: nothing changed. */
  | { readonly kind: 'passed' }
  /** The store does not take this change; the others of its batch are made. */
  | { readonly kind: 'refused' }
  /** The change cannot be made now; the others of its batch are. It may be tried again. */
  | { readonly kind: 'busy' }
  /** close: it belongs to another owner: nothing changed. */
  | { readonly kind: 'denied' }
  /** accept: the key is known and belongs to this request, which is still there, or has ended. */
  | {
      readonly kind: 'known';
      readonly uuid: RequestUuid;
      readonly state: StoredState | 'closed';
    }
  /** accept: the key is known and belongs to a request that is another one (D112). */
  | { readonly kind: 'another' }
  /** retry, advance: pending in a higher generation, as it is now. */
  | { readonly kind: 'reopened'; readonly request: StoredRequest }
  /** sweep: how many ended, and whether there are more. */
  | {
      readonly kind: 'swept';
      readonly replied: number;
      readonly dead: number;
      /** How many requests and webhooks, for each service that had any. */
      readonly services: readonly { readonly service: Buffer; readonly count: number }[];
      /** Records that are not sent to workers; empty in a shared store: brokers see it when they list them. */
      readonly gone: readonly RequestUuid[];
      readonly more: boolean;
    };

export const DONE: ChangeResult = { kind: 'done' };

/** The webhook of a record; `null`: it has none. */
export function webhookOf({
  kind,
  partner,
}: Pick<StoredRequest, 'kind' | 'partner'>): RequestUuid | null {
  return kind === 'request' && partner.length > 0 ? partner : null;
}

/** The result of a close or an expiry that has ended a record. */
export function endOf(
  record: Pick<StoredRequest, 'kind' | 'partner' | 'generation'>,
): ChangeResult {
  const webhook = webhookOf(record);
  return webhook === null ? DONE : { kind: 'ended', webhook, generation: record.generation };
}

export const PASSED: ChangeResult = { kind: 'passed' };
export const DENIED: ChangeResult = { kind: 'denied' };
export const ANOTHER: ChangeResult = { kind: 'another' };
export const REFUSED: ChangeResult = { kind: 'refused' };
export const BUSY: ChangeResult = { kind: 'busy' };

/** What a store holds of the other store of the pair. */
export interface Holding {
  /** 16 bytes. */
  readonly storeId: Buffer;
  /** The last transaction of the other whose changed records it holds, with those of all earlier ones. */
  readonly upTo: number;
  /**
   * The transaction up to which it also holds the bodies of all requests created, whenever they changed
   * since.
   */
  readonly bodiesUpTo: number;
}

/**
 * What a close or an expiry leaves of a request, so that no record brings it back (D17): `none`:
 * nothing (standalone), except of what the peer of an earlier pair may have; `known`: a tombstone of
 * a request that was here (a pair in sync, where neither store knows a request that the other does
 * not); `all`: also of one that was not here.
 */
export type Tombstones = 'none' | 'known' | 'all';

/** How changes, or records, are committed. Only a `PairStore` takes more than the number. */
export interface Transaction {
  /** Above that of every earlier transaction; there may be gaps. Returned with the result. */
  readonly number: number;
  readonly tombstones: Tombstones;
  /** What the store holds of the peer's from now on; `null`: unchanged. */
  readonly holds: Holding | null;
  /**
   * The peer's disk has this store up to this transaction: tombstones up to it are dropped. 0:
   * unchanged.
   */
  readonly peerHolds: number;
}

/** Where the reading of a store's records continues. */
export interface ReadCursor {
  /** Everything up to this transaction has been read. */
  readonly upTo: number;
  /** The receiver has the bodies of requests created up to this transaction. */
  readonly bodiesUpTo: number;
  /**
   * Requests up to this one have been read: the one with that number, changed by that transaction.
   */
  readonly changed: number;
  readonly number: number;
}

/**
 * The encoding of records and batches for the other node of a pair, which is their first byte.
 * Fields are added without another one: see core/numbered-fields.ts.
 */
export const FORMAT = 1;

/** Records of a store, and how far they reach. */
export interface Chunk {
  /** The bytes that `merge` takes; see record-codec.ts. */
  readonly records: Buffer;
  /** What the other store holds of this one after it has merged these records and all before. */
  readonly holds: Holding;
  /** Where to continue; `null` if there was nothing more in the store at that moment. */
  readonly next: ReadCursor | null;
}

/** The result of a merge. */
export interface Merged {
  /** Number of requests that were changed or added. */
  readonly joined: number;
  /** Requests whose reply differed here and there: they were executed on both sides. */
  readonly ranTwice: number;
  /** Requests that are pending now, and were not before or have other facts. */
  readonly opened: readonly StoredRequest[];
  /** Requests that were pending, and are not any more. */
  readonly ended: readonly RequestUuid[];
}

/** What the store holds for one owner. */
export interface OwnerCount {
  readonly owner: Owner;
  readonly stored: number;
  /** Bytes of bodies and replies, and of idempotency keys (`KEY_BYTES`). */
  readonly bytes: number;
}

/**
 * What an idempotency key takes, in bytes: this much, and several times the names of its service and
 * its own, which are in index entries, too. It counts for its owner from its first use until it is
 * forgotten, so a request that is closed frees its body, but not its key. A once-key goes with its
 * request and does not count.
 */
export const KEY_BYTES = 128;
export const KEY_COPIES = 4;

export function keyBytes(service: Buffer, key: Buffer): number {
  return isOnceKey(key) ? 0 : KEY_BYTES + KEY_COPIES * (service.length + key.length);
}

/** What the store holds for one service. */
export interface ServiceCount {
  readonly service: Buffer;
  readonly pending: number;
  /** The number of pending requests whose last attempt failed. */
  readonly retrying: number;
  readonly replied: number;
  readonly dead: number;
}

/**
 * Maximum number of services that are reported when a store is opened, and kept in memory by name.
 */
export const SERVICES_COUNTED_MAX = 10_000;

/** What is in the store: what is sent to workers by state, the other records by kind, and the size of all. */
export interface StoreCounts extends Readonly<Record<RecordCount, number>> {
  /** Size of the store in bytes, without space waiting to be reused. */
  readonly bytes: number;
  /** Larger than every request number that was ever given. */
  readonly nextNumber: number;
  /** The owners whose counts changed since the last report; when the store is opened: all. */
  readonly owners: readonly OwnerCount[];
  /**
   * The services whose counts changed since the last report; when the store is opened: all, or the
   * maximum that is kept, those with the most requests.
   */
  readonly services: readonly ServiceCount[];
}

/**
 * Why a batch was not committed.
 * `full`, `busy`: none of it is in the store, the cause may pass, and the batch can be tried again.
 * `fatal`: it is uncertain what of it is on disk, and what was written before can no longer be
 * trusted: the process must end.
 */
export interface StoreFailure {
  readonly kind: 'full' | 'busy' | 'fatal';
  /** Clients are told this, too. */
  readonly message: string;
  /** More, for operators: it may name hosts and tables. Absent: there is no more. */
  readonly detail?: string;
}

/** Why records were not merged. `malformed`: no store of this version made these bytes. */
export interface MergeFailure {
  readonly kind: StoreFailure['kind'] | 'malformed';
  readonly message: string;
  readonly detail?: string;
}

/**
 * What a close or an expiry left (D17). `by`: `ANY_OWNER`, if the request was here; then it is the
 * only tombstone of its uuid. Otherwise who closed a uuid that was unknown here, with a tombstone
 * for each of them, which ends only requests that are open to them (`isOpenTo`).
 */
export interface Tombstone {
  readonly keyUntil: number;
  readonly by: Closer;
  /** Fields of a later version, as they came; see core/numbered-fields.ts. */
  readonly extra: Buffer | null;
}

/** What is known about one request: the result of a look-up. */
export type Found =
  | { readonly state: 'absent' }
  /** The `by` of its tombstones. */
  | { readonly state: 'closed'; readonly by: readonly Closer[] }
  | (Ownership & { readonly state: 'pending' })
  /** `reply` is `null` if it is larger than the limit of the question. */
  | (Ownership & {
      readonly state: 'replied';
      readonly reply: Buffer | null;
      readonly replyBytes: number;
    })
  /** `failure`: what the worker of its last attempt reported, if that is why it is dead. */
  | (Ownership & {
      readonly state: 'dead';
      readonly reason: string;
      readonly failure: Buffer | null;
    });

/**
 * What becomes of a call: one of the two is called, once, and never within the call. Bytes in a result
 * are views of memory that the receiver may keep.
 */
export interface Completion<Result, Failed = StoreFailure> {
  done(result: Result): void;
  failed(failure: Failed): void;
}

/** What a store reports besides the outcome of calls; never within a call. */
export interface StoreEvents {
  /** Outcomes or reports follow at once: who acts on them notes the time. */
  arrived(): void;
  /**
   * A call has failed and its completion was told; what was written before cannot be trusted any more, so
   * the process must end.
   */
  fatal(failure: StoreFailure): void;
  /** What it holds has changed; before the outcome of the commit or merge that changed it. */
  counted(counts: StoreCounts): void;
}

/** What a store reports when it is opened. */
export interface Recovered {
  readonly counts: StoreCounts;
  /** When the newest request that is there was accepted, by its uuid: wall milliseconds; 0: there is none. */
  readonly newestAt: number;
  /** 16 random bytes, made with the store. */
  readonly storeId: Buffer;
  /**
   * The lowest transaction number from now on: no earlier process can have used it or a higher one.
   */
  readonly firstTransaction: number;
  readonly holds: Holding | null;
  /**
   * False if the disk was too full to record that the store was opened. Until the first commit, a
   * crash would let the same numbers be used again, so nothing may be shipped under them.
   */
  readonly isNumbered: boolean;
}

/**
 * A store. Commits take effect in their order. Reads may be requested at any time and see every
 * transaction that was requested before them and committed; in a database, where reads have connections
 * of their own, also one that was requested after them.
 */
export interface Store {
  /** Results in the order of the changes. */
  commit(
    transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void;
  /**
   * Lists pending requests without bodies, in part: those with a number above this one, in order of
   * their numbers. An empty list: there are no more. The first list of a store that one broker uses begins with all
   * records of the kind `limit`, whatever their numbers, which follow again in their places.
   */
  list(after: number, completion: Completion<readonly StoredRequest[]>): void;
  /**
   * The bodies of pending requests, packed, and their headers, in the order of the question; `null` for a
   * request that is no longer pending.
   */
  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void;
  /** @param replyBytesMax of a larger reply only the size is returned */
  lookUp(uuid: RequestUuid, replyBytesMax: number, completion: Completion<Found>): void;
  /** Ends after the work in progress. Later calls have no effect and get no result. */
  close(): Promise<void>;
}

/** A pending request that this broker has claimed, and its number among the claims of it. */
export interface ClaimedRequest {
  readonly request: StoredRequest;
  readonly claim: number;
  /** `null`: it is large, and is to be loaded when it is sent. */
  readonly content: StoredContent | null;
  /** Requests of its service have groups: see `ClaimedTurns`. */
  readonly isTurn: boolean;
}

/** Which requests are claimed of a service that has requests of groups (D118): of each group in turn. */
export interface ClaimedTurns {
  /** What the requests of the group have of their own whose turn was the last one; empty: those without a group. */
  readonly after: Buffer;
  /** How many of each group; 0: any number. */
  readonly each: number;
  /** The groups of which none is claimed, by what their requests have of their own. */
  readonly held: readonly Buffer[];
}

/** The turns of a service that, as far as is known, has no groups. */
export const NO_TURNS: ClaimedTurns = { after: Buffer.alloc(0), each: 0, held: [] };

/** How many requests of a service are wanted. */
export interface Wanted {
  readonly service: Buffer;
  /** Schedules that are due; otherwise requests and webhooks. */
  readonly isSchedules: boolean;
  readonly most: number;
  readonly turns: ClaimedTurns;
}

/** The claim of the broker that accepts a request and claims it at once. */
export const FIRST_CLAIM = 1;

/** A claim that is given back without an attempt. */
export interface Release {
  readonly uuid: RequestUuid;
  readonly claim: number;
}

export interface ClaimOrder {
  readonly wanted: readonly Wanted[];
  readonly released: readonly Release[];
  /** All that this broker knows as claimed: other claims of it are given back. `null`: none are. */
  readonly known: readonly Release[] | null;
}

/** What has happened in the store, for the other brokers that use it. */
export interface Hint {
  /** Requests of these services were stored that no broker has claimed. */
  readonly services: readonly Buffer[];
  /** The last bytes of the uuids of requests that were replied, are dead, or were closed. */
  readonly ended: readonly Buffer[];
}

/**
 * A store that several brokers share. Each dispatches only what it has claimed, and a request is
 * claimed by one broker at a time: until it makes a step of it, gives it back, or its session ends.
 */
export interface ClaimStore extends Store {
  /**
   * Gives claims back, then claims requests that no broker has, in the order of their dispatch; of a service that has
   * groups, perhaps only those of the highest priority. One call at a time. After a failure, requests may be claimed
   * that were never reported.
   */
  claim(order: ClaimOrder, completion: Completion<readonly ClaimedRequest[]>): void;
  /** Like `list`, of the schedules and the pauses. */
  listKept(after: number, completion: Completion<readonly StoredRequest[]>): void;
  /** Tells the other brokers, if that is possible at this moment. */
  hint(hint: Hint): void;
}

/** The reports of a store that several brokers share. `counted` also tells of the work of others. */
export interface ClaimStoreEvents extends StoreEvents {
  /** Batches failed with an unknown outcome, and this broker has claimed these requests of them. */
  foundClaimed(requests: readonly StoredRequest[]): void;
  /** Another session was taken: other brokers may have claimed what this one had. */
  taken(): void;
  /** Another broker has told this one. */
  hinted(hint: Hint): void;
}

/**
 * A store that can be one of a pair: it exchanges records with the other one, and keeps tombstones
 * until both have them. (A database that several machines share needs neither.)
 */
export interface PairStore extends Store {
  /**
   * Takes in what another store read (D17). Repeating it changes nothing.
   * @param isFromActive where a request, or a key, has the same rank but differs, the side of the
   * records is kept, not this one. Otherwise what is kept here counts as changed, so that the other
   * side learns of it.
   */
  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<Merged, MergeFailure>,
  ): void;
  /**
   * Reads records from a position on, in the order of their changes: requests until the maximum
   * number or bytes is reached (at least one), and everything else that changed up to there. The
   * last chunk is the one with fewer bytes.
   */
  read(
    place: ReadCursor,
    requestsMax: number,
    bytesMax: number,
    completion: Completion<Chunk>,
  ): void;
}

/**
 * Where to begin reading for a peer that holds this much; `null`: it holds nothing of this store.
 */
export function cursorFor(holding: Omit<Holding, 'storeId'> | null): ReadCursor {
  const { upTo, bodiesUpTo } = holding ?? { upTo: 0, bodiesUpTo: 0 };
  return { upTo, bodiesUpTo, changed: upTo, number: Number.MAX_SAFE_INTEGER };
}
