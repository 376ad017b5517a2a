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
 */

/** 16 bytes: a UUIDv7. */
export type RequestUuid = Buffer;

/** Where a request that is in the store stands. (Closed and expired ones are not in it.) */
export type StoredState = 'pending' | 'replied' | 'dead';

/** One delivery that ended without a reply that was kept. Wall times in milliseconds. */
export interface Attempt {
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reason: string;
}

/** Attempts of one request that are kept: the last ones. */
export const ATTEMPTS_KEPT = 20;

/** What a request is, without its body. Wall times in milliseconds since 1970. */
export interface StoredRequest {
  readonly uuid: RequestUuid;
  /** Order of acceptance: larger than every number given before it by this store. */
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
export type Change =
  | {
      readonly kind: 'accept';
      readonly request: StoredRequest;
      readonly body: Buffer;
      /** D16: with a key that the service has seen, nothing is stored and the first one's uuid is told. */
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
    }
  /** An operator's: pending again in a higher generation, its attempts counted anew. */
  | {
      readonly kind: 'retry';
      readonly uuid: RequestUuid;
      readonly generation: number;
      readonly at: number;
      readonly expiresAt: number;
    }
  /** Drops replied and dead requests whose time is over, and keys that need no remembering. */
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
  /** accept: the key is known, this is its request. */
  | { readonly kind: 'known'; readonly uuid: RequestUuid }
  /** retry: the request as it stands now. */
  | { readonly kind: 'retried'; readonly request: StoredRequest }
  /** sweep: how many ended, and whether there are more. */
  | {
      readonly kind: 'swept';
      readonly replied: number;
      readonly dead: number;
      readonly more: boolean;
    };

/** Requests in the store by state, and what they take. */
export interface StoreCounts {
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  /** Size of the store in bytes, without what waits to be reused. */
  readonly bytes: number;
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

/** What is known of one request: the answer to a look-up. */
export type Found =
  | { readonly state: 'absent' }
  | { readonly state: 'pending' }
  | { readonly state: 'replied'; readonly reply: Buffer }
  | { readonly state: 'dead'; readonly reason: string };

/** What a store tells, never within a call. */
export interface StoreEvents {
  /** In the order of the batches. */
  committed(batch: number, results: readonly ChangeResult[], counts: StoreCounts): void;
  batchFailed(batch: number, failure: StoreFailure): void;
  /** Bodies in the order asked for; `null` for one that is no longer pending. */
  loaded(load: number, bodies: readonly (Buffer | null)[]): void;
  found(look: number, found: Found): void;
  /** A read failed; it may be asked again. */
  loadFailed(load: number, failure: StoreFailure): void;
  lookFailed(look: number, failure: StoreFailure): void;
}

/** What a store has when it is opened: everything pending, in order, without bodies. */
export interface Recovered {
  readonly counts: StoreCounts;
  /** Larger than every number that was ever given. */
  readonly nextNumber: number;
}

/**
 * A store. One batch is under way at a time; the caller waits for its end before the next. Reads may
 * come at any time and see every batch that was committed before them.
 */
export interface Store {
  /** @param batch a number of the caller's, told with the result */
  commit(batch: number, changes: readonly Change[]): void;
  /** The bodies of pending requests, packed. */
  load(load: number, uuids: readonly RequestUuid[]): void;
  lookUp(look: number, uuid: RequestUuid): void;
  /** Ends after the batch that is under way. */
  close(): Promise<void>;
}

/**
 * Opens a store. `pending` is called with every pending request in order of its number, in pieces,
 * before the promise resolves.
 */
export type OpenStore = (
  events: StoreEvents,
  pending: (requests: readonly StoredRequest[]) => void,
) => Promise<{ readonly store: Store; readonly recovered: Recovered }>;
