/**
 * The store port: where stored requests are.
 *
 * Asynchronous and batched. A batch of changes is committed whole or not at all, and is on disk when
 * `committed` is told; the changes of a batch take effect in their order. Applying a batch twice
 * changes nothing the second time, because each change is a step up a ladder (D17):
 *
 *     absent < pending < replied or dead < closed or expired      (replied before dead)
 *
 * A step that is not above where the request stands is passed over. An operator's retry raises the
 * request's *generation*, and the higher generation wins before the step counts.
 *
 * In a pair (D14, D20) a store says what of it changed after a given transaction, as opaque records
 * (`read`), and takes what the other one read (`merge`, D17). Two stores that took each other's
 * records have the same content, but for the numbers of requests.
 */

/** 16 bytes: a UUIDv7. */
export type RequestUuid = Buffer;

/**
 * Whose a request is (D70, D71): that of a CURVE key, by the key's name; `anonymous`: stored without
 * a key; empty: stored by a version that kept no owners.
 */
export type Owner = '' | 'anonymous' | `key:${string}`;

/** Stored by a version that kept no owners. As the one who acts: whoever owns it. */
export const NO_OWNER = '';
export const ANONYMOUS = 'anonymous';

/** What decides who may ask for a request, and close it. */
export interface Belonging {
  readonly owner: Owner;
  /** D71: everybody who has its uuid may. */
  readonly isShared: boolean;
}

/**
 * Whether somebody may ask for a request, or close it, by the ownership alone (D71). One without an
 * owner is open to those who have the right on its service, of which a store knows nothing.
 */
export function isOpenTo(by: Owner, { owner, isShared }: Belonging): boolean {
  return by === NO_OWNER || by === owner || isShared || owner === ANONYMOUS;
}

/** Whether a tombstone by somebody is of this very request. */
export function isEndedBy(by: Owner, request: Belonging): boolean {
  return isOpenTo(by, request) || request.owner === NO_OWNER;
}

/** Where a request that is in the store stands. (Closed and expired ones are not in it.) */
export type StoredState = 'pending' | 'replied' | 'dead';

/** As numbers, where states are written as such. */
export const STATES: readonly StoredState[] = ['pending', 'replied', 'dead'];

/** One delivery that ended without a reply that was kept. Wall times in milliseconds. */
export interface Attempt {
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reason: string;
  /** What its worker said (D63), see failures.ts; `null`: nothing. */
  readonly failure: Buffer | null;
  /** Fields of a later version, as they came; see fields.ts. */
  readonly extra: Buffer | null;
}

/** Attempts of one request that are kept: the last ones. */
export const ATTEMPTS_KEPT = 20;

/** What a request is, without its body. Wall times in milliseconds since 1970. */
export interface StoredRequest extends Belonging {
  readonly uuid: RequestUuid;
  /**
   * Order of acceptance, of this store's own: one that is not above all that were given is replaced
   * by the next one when the request is accepted. A merged request keeps the number that it had in
   * the other store, if that is free here; those of one merge whose number is taken come after all
   * others, in the order in which they were accepted (`acceptedAt`, then uuid).
   */
  readonly number: number;
  readonly service: Buffer;
  readonly state: StoredState;
  /** -100 to 100; higher goes first. */
  readonly priority: number;
  readonly acceptedAt: number;
  /** Not to be dispatched before. */
  readonly notBefore: number;
  /** When it ends unserved. */
  readonly expiresAt: number;
  readonly maxAttempts: number;
  /** Attempts since the last retry of an operator. */
  readonly attempts: number;
  readonly generation: number;
  /** Size of its body, packed. */
  readonly bodyBytes: number;
}

/** A step of one request. Bodies and replies are packed frames. */
export type Change = Step & {
  /** Fields of a later version, as they came: the request keeps them. See fields.ts. */
  readonly extra?: Buffer;
};

type Step =
  | {
      readonly kind: 'accept';
      readonly request: StoredRequest;
      readonly body: Buffer;
      /**
       * D16, D70: with a key that its owner has used for the service, or that was used before owners
       * were kept, nothing is stored and the first one's uuid is told.
       */
      readonly key: Buffer | null;
    }
  | {
      readonly kind: 'attempt';
      readonly uuid: RequestUuid;
      readonly generation: number;
      /** Attempts so far, this one counted. */
      readonly attempts: number;
      readonly attempt: Attempt;
      /** Not to be dispatched again before. */
      readonly notBefore: number;
    }
  | {
      readonly kind: 'reply';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly reply: Buffer;
      readonly worker: string;
      readonly at: number;
      /** When the reply is dropped, unless it is closed before. */
      readonly expiresAt: number;
    }
  | {
      readonly kind: 'dead';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly reason: string;
      readonly at: number;
      readonly expiresAt: number;
    }
  /** Deletes request and reply; its key is remembered until `keyUntil`, unless it is a once-key. */
  | {
      readonly kind: 'close' | 'expire';
      readonly uuid: RequestUuid;
      readonly at: number;
      readonly keyUntil: number;
      /** Who ends it: what is not open to them stays. Empty: whoever owns it. */
      readonly by: Owner;
    }
  /** An operator's: pending again in a higher generation, its attempts counted anew. */
  | {
      readonly kind: 'retry';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly at: number;
      readonly expiresAt: number;
    }
  /**
   * Drops replied and dead requests whose time is over, the earliest first, then by uuid; and keys
   * that need no remembering, unless the pair is not in sync: the other store may have them yet.
   * So two stores of equal content drop the same, and the change is as short as its few numbers.
   */
  | {
      readonly kind: 'sweep';
      readonly now: number;
      readonly keyUntil: number;
      readonly most: number;
    };

/** What became of one change, in the order of the batch. */
export type ChangeResult =
  | { readonly kind: 'done' }
  /** It was no step up: nothing changed. */
  | { readonly kind: 'passed' }
  /** close: it is another's, or has no owner: nothing changed. */
  | { readonly kind: 'denied'; readonly owner: Owner; readonly service: Buffer }
  /** accept: the key is known, this is its request. */
  | { readonly kind: 'known'; readonly uuid: RequestUuid }
  /** retry: the request as it stands now. */
  | { readonly kind: 'retried'; readonly request: StoredRequest }
  /** sweep: how many ended, and whether there are more. */
  | {
      readonly kind: 'swept';
      readonly replied: number;
      readonly dead: number;
      /** Both together, of each service of which there were any. */
      readonly services: readonly { readonly service: Buffer; readonly count: number }[];
      readonly more: boolean;
    };

/** What a store holds of another one: the peer's. */
export interface Holding {
  /** 16 bytes. */
  readonly storeId: Buffer;
  /** Every record of it that was changed by this transaction or one before. */
  readonly upTo: number;
  /** And the bodies of all requests that were born up to it, whenever they changed since. */
  readonly bodiesUpTo: number;
}

/**
 * What a close or an expiry leaves of a request, so that no record of it brings it back (D17):
 * `none`: nothing (standalone); `known`: a tombstone of a request that was there (a pair in sync, in
 * which what one does not know the other does not know); `all`: also of one that was not.
 */
export type Tombstones = 'none' | 'known' | 'all';

/** How changes, or records, are committed. */
export interface Transaction {
  /** Above that of every transaction before; there may be gaps. Told with the result. */
  readonly number: number;
  readonly tombstones: Tombstones;
  /** What the store holds of the peer's from now on; `null`: no news. */
  readonly holds: Holding | null;
  /** The peer's disk has this store up to that transaction: tombstones up to it go. 0: no news. */
  readonly peerHolds: number;
}

/** Where a reading of a store's records goes on. */
export interface ReadPlace {
  /** Everything up to that transaction was read. */
  readonly upTo: number;
  /** The receiver has the bodies of requests that were born up to it. */
  readonly bodiesUpTo: number;
  /** Requests up to this one were read: changed by that transaction, of that number. */
  readonly changed: number;
  readonly number: number;
}

/**
 * How records and batches are written for the other node of a pair. 1: by places, as up to the version
 * before owners were kept, which it cannot tell. 2: by numbered fields. Both can be read at any time.
 */
export type Format = 1 | 2;

export const FORMAT = 2;

/** Records of a store, and how far they go. */
export interface Chunk {
  /** What `merge` takes; see record-codec.ts. */
  readonly records: Buffer;
  /** What the other store holds of this one when it has merged them, and all before. */
  readonly holds: Holding;
  /** Where to go on; `null` if nothing was above it in the store at that moment. */
  readonly next: ReadPlace | null;
}

/** What a merge did. */
export interface Merged {
  /** Requests of which something was taken over. */
  readonly joined: number;
  /** Requests that had another reply here than there: they ran on both sides. */
  readonly ranTwice: number;
  /** Those that are pending now, and were not or had other facts. */
  readonly opened: readonly StoredRequest[];
  /** Those that were pending, and are not. */
  readonly ended: readonly RequestUuid[];
}

/** What is in the store of one owner. */
export interface OwnerCount {
  readonly owner: Owner;
  readonly stored: number;
  /** Of bodies and replies. */
  readonly bytes: number;
}

/** What is in the store of one service. */
export interface ServiceCount {
  readonly service: Buffer;
  readonly pending: number;
  /** Of the pending ones: those whose last attempt failed. */
  readonly retrying: number;
  readonly replied: number;
  readonly dead: number;
}

/** Services that are told when a store is opened, and kept in memory by name, at most. */
export const SERVICES_KEPT_MAX = 10_000;

/** Requests in the store by state, and what they take. */
export interface StoreCounts {
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  /** Size of the store in bytes, without what waits to be reused. */
  readonly bytes: number;
  /** Larger than every number of a request that was ever given. */
  readonly nextNumber: number;
  /** Of whom there may be other numbers than were told before; when it is opened: of all. */
  readonly owners: readonly OwnerCount[];
  /**
   * Of which services there are other numbers than were told before; when it is opened: of all, or of
   * so many as are kept, those with the most requests.
   */
  readonly services: readonly ServiceCount[];
}

/**
 * Why a batch was not committed.
 * `full`, `busy`: nothing of it is in the store, the cause may end, the batch can be tried again.
 * `fatal`: nobody knows what of it is on the disk, what was written before can no longer be trusted,
 * the process has to end.
 */
export interface StoreFailure {
  readonly kind: 'full' | 'busy' | 'fatal';
  readonly message: string;
}

/** Why records were not merged: `malformed` are bytes that no store of this version made. */
export interface MergeFailure {
  readonly kind: StoreFailure['kind'] | 'malformed';
  readonly message: string;
}

/**
 * What a close or an expiry left (D17). `by`: `NO_OWNER`, if the request was there, and then it is the
 * only one of its uuid; else who closed a uuid that was unknown here, a tombstone each, which ends what
 * is open to them or has no owner, and nothing else (`isEndedBy`).
 */
export interface Tombstone {
  readonly keyUntil: number;
  readonly by: Owner;
  /** Fields of a later version, as they came; see fields.ts. */
  readonly extra: Buffer | null;
}

/** What is known of one request: the answer to a look-up. */
export type Found =
  | { readonly state: 'absent' }
  /** The `by` of its tombstones. */
  | { readonly state: 'closed'; readonly by: readonly Owner[] }
  | (Whose & { readonly state: 'pending' })
  /** `reply` is `null` if it is larger than was asked for. */
  | (Whose & {
      readonly state: 'replied';
      readonly reply: Buffer | null;
      readonly replyBytes: number;
    })
  /** `failure`: what the worker of its last attempt said, if that is why. */
  | (Whose & { readonly state: 'dead'; readonly reason: string; readonly failure: Buffer | null });

/** Who may know of a request. */
export interface Whose extends Belonging {
  readonly service: Buffer;
}

/** What a store tells, never within a call. */
export interface StoreEvents {
  /** Transactions, changes or records, in the order of their numbers. */
  committed(transaction: number, results: readonly ChangeResult[], counts: StoreCounts): void;
  batchFailed(transaction: number, failure: StoreFailure): void;
  merged(transaction: number, merged: Merged, counts: StoreCounts): void;
  mergeFailed(transaction: number, failure: MergeFailure): void;
  /** Bodies in the order asked for; `null` for one that is no longer pending. */
  loaded(load: number, bodies: readonly (Buffer | null)[]): void;
  found(look: number, found: Found): void;
  /** Pending requests in the order of their numbers; none: there are no more. */
  listed(list: number, requests: readonly StoredRequest[]): void;
  chunk(read: number, chunk: Chunk): void;
  /** A read failed; it may be asked again. */
  loadFailed(load: number, failure: StoreFailure): void;
  lookFailed(look: number, failure: StoreFailure): void;
  listFailed(list: number, failure: StoreFailure): void;
  readFailed(read: number, failure: StoreFailure): void;
}

/** What a store has when it is opened. */
export interface Recovered {
  readonly counts: StoreCounts;
  /** 16 random bytes, made with the store. */
  readonly storeId: Buffer;
  /** The least number of a transaction from now on: no process before could use it or one above. */
  readonly firstTransaction: number;
  readonly holds: Holding | null;
  /**
   * False if the disk was too full to write down that the store was opened: until the first commit
   * a crash lets the same numbers be used again, so nothing may be shipped under them.
   */
  readonly isNumbered: boolean;
}

/**
 * A store. What it is asked is done in the order asked. Reads may come at any time and see every
 * transaction that was asked for and committed before them.
 */
export interface Store {
  commit(transaction: Transaction, changes: readonly Change[]): void;
  /**
   * Takes what another store read (D17). Taking the same again changes nothing.
   * @param isFromActive where a request, or a key, stands the same but otherwise, the records' side
   * is kept, and not this one; what is kept here counts as changed, so that the other learns of it
   */
  merge(transaction: Transaction, records: Buffer, isFromActive: boolean): void;
  /**
   * Reads records from a place on, in the order of their change: requests until so many or so many
   * bytes are reached (at least one), with what else was changed up to there. The last chunk is one
   * that has fewer bytes.
   * @param format that the reader of the records knows
   */
  read(read: number, place: ReadPlace, requestsMax: number, bytesMax: number, format: Format): void;
  /** A piece of the pending requests, without bodies: those with a number above this one. */
  list(list: number, after: number): void;
  /** The bodies of pending requests, packed. */
  load(load: number, uuids: readonly RequestUuid[]): void;
  /** @param replyBytesMax a larger reply is only measured */
  lookUp(look: number, uuid: RequestUuid, replyBytesMax: number): void;
  /** Ends after what is under way; what is asked later is not done, and nothing is told of it. */
  close(): Promise<void>;
}

export type OpenStore = (
  events: StoreEvents,
) => Promise<{ readonly store: Store; readonly recovered: Recovered }>;

/** Where to begin to read for somebody who holds that much; `null`: nothing of this store. */
export function readFrom(holding: Omit<Holding, 'storeId'> | null): ReadPlace {
  const { upTo, bodiesUpTo } = holding ?? { upTo: 0, bodiesUpTo: 0 };
  return { upTo, bodiesUpTo, changed: upTo, number: Number.MAX_SAFE_INTEGER };
}
