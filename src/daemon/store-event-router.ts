/**
 * Passes the store's results to those who wait for them: reads to Titanic and the map, what
 * replication read or merged to replication. On a node of a pair, commits go to replication, which
 * numbers transactions; otherwise to the map or Titanic, whoever made them.
 */
import { present } from '../core/assert.js';
import { MajordomoError } from '../core/errors.js';
import type { MapRecord } from '../store/map-record.js';
import type { MapMerged, MapStoreEvents } from '../store/map-store.js';
import type { Replication } from '../replication/replication.js';
import type {
  ClaimedRequest,
  ClaimStoreEvents,
  Hint,
  MergeFailure,
  PairStoreEvents,
  StoreCounts,
  StoredRequest,
  StoreFailure,
} from '../store/store.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { MapResults } from './map-results.js';
import type { Time } from './turns.js';

/** Error codes of a start that could not read the pending requests. */
const LIST_CODES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'ERR_TITANIC_FULL',
  busy: 'ERR_TITANIC_BUSY',
  fatal: 'ERR_TITANIC_DISK',
};

export class StoreEventRouter implements PairStoreEvents, ClaimStoreEvents, MapStoreEvents {
  readonly #wake: () => void;
  readonly #time: Time;
  readonly #fatal: (error: MajordomoError) => void;
  /** Set when the store is open; before that the store has nothing to report. */
  #titanic: Titanic | null = null;
  #replication: Replication | null = null;
  /** `null`: this node has no map. */
  #map: MapResults | null = null;
  #restored: { done(): void; failed(error: MajordomoError): void } | null = null;

  /** @param wake a result arrived: the machine acts on it in the turn that this causes */
  constructor(wake: () => void, time: Time, fatal: (error: MajordomoError) => void) {
    this.#wake = wake;
    this.#time = time;
    this.#fatal = fatal;
  }

  begin(titanic: Titanic, replication: Replication | null): void {
    this.#titanic = titanic;
    this.#replication = replication;
  }

  /** From now on, a map is in the store. */
  serveMap(map: MapResults): void {
    this.#map = map;
    this.#replication?.serveMap(map);
  }

  get #reads(): Titanic {
    return present(this.#titanic, 'a store that was asked something');
  }

  /** Resolves when the machine knows all pending requests; rejects if they cannot be read. */
  restored(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#restored = { done: resolve, failed: reject };
    });
  }

  committed(...result: Parameters<PairStoreEvents['committed']>): void {
    this.#wake();
    const [transaction, , counts] = result;
    if (this.#replication !== null) this.#replication.committed(...result);
    else if (this.#map?.committed(transaction) === true) this.#reads.counted(counts);
    else this.#reads.committed(...result);
  }

  batchFailed(transaction: number, failure: StoreFailure): void {
    this.#wake();
    if (this.#replication !== null) this.#replication.batchFailed(transaction, failure);
    else if (this.#map?.batchFailed(transaction, failure) !== true) {
      this.#reads.batchFailed(transaction, failure);
    }
    this.#endIfFatal(failure);
  }

  loaded(...result: Parameters<PairStoreEvents['loaded']>): void {
    this.#wake();
    this.#reads.loaded(...result);
  }

  found(...result: Parameters<PairStoreEvents['found']>): void {
    this.#wake();
    this.#reads.found(...result);
  }

  listed(...result: Parameters<PairStoreEvents['listed']>): void {
    this.#wake();
    const titanic = this.#reads;
    titanic.setTime(this.#time.now(), this.#time.wall());
    titanic.listed(...result);
    if (!titanic.isRestored) return;
    this.#restored?.done();
    this.#restored = null;
  }

  loadFailed(load: number, failure: StoreFailure): void {
    this.#wake();
    this.#reads.loadFailed(load);
    this.#endIfFatal(failure);
  }

  lookFailed(look: number, failure: StoreFailure): void {
    this.#wake();
    this.#reads.lookFailed(look, failure);
    this.#endIfFatal(failure);
  }

  listFailed(list: number, failure: StoreFailure): void {
    this.#wake();
    this.#reads.listFailed(list);
    if (this.#restored === null) this.#endIfFatal(failure);
    else this.#restored.failed(new MajordomoError(LIST_CODES[failure.kind], failure.message));
    this.#restored = null;
  }

  /** Batches failed with an unknown outcome, and this broker has claimed these requests of them. */
  kept(requests: readonly StoredRequest[]): void {
    this.#wake();
    const titanic = this.#reads;
    titanic.setTime(this.#time.now(), this.#time.wall());
    titanic.kept(requests);
  }

  taken(): void {
    this.#wake();
    const titanic = this.#reads;
    titanic.setTime(this.#time.now(), this.#time.wall());
    titanic.taken();
  }

  counted(counts: StoreCounts): void {
    this.#wake();
    this.#reads.counted(counts);
  }

  hinted(hint: Hint): void {
    this.#wake();
    const titanic = this.#reads;
    titanic.setTime(this.#time.now(), this.#time.wall());
    titanic.hinted(hint);
  }

  claimed(claim: number, requests: readonly ClaimedRequest[]): void {
    this.#wake();
    const titanic = this.#reads;
    titanic.setTime(this.#time.now(), this.#time.wall());
    titanic.claimed(claim, requests);
  }

  claimFailed(claim: number, failure: StoreFailure): void {
    this.#wake();
    this.#reads.claimFailed(claim);
    this.#endIfFatal(failure);
  }

  merged(...result: Parameters<PairStoreEvents['merged']>): void {
    this.#wake();
    this.#replication?.merged(...result);
  }

  mapMerged(merged: MapMerged): void {
    this.#wake();
    this.#map?.mapMerged(merged);
  }

  mapTombstones(bytes: number): void {
    this.#wake();
    this.#map?.mapTombstones(bytes);
  }

  mapListed(list: number, records: readonly MapRecord[]): void {
    this.#wake();
    this.#map?.mapListed(list, records);
  }

  mapListFailed(list: number, failure: StoreFailure): void {
    this.#wake();
    this.#map?.mapListFailed(list, failure);
    this.#endIfFatal(failure);
  }

  mergeFailed(transaction: number, failure: MergeFailure): void {
    this.#wake();
    this.#replication?.mergeFailed(transaction, failure);
    if (failure.kind !== 'malformed') this.#endIfFatal({ ...failure, kind: failure.kind });
  }

  chunk(...result: Parameters<PairStoreEvents['chunk']>): void {
    this.#wake();
    this.#replication?.chunk(...result);
  }

  readFailed(read: number, failure: StoreFailure): void {
    this.#wake();
    this.#replication?.readFailed(read, failure);
    this.#endIfFatal(failure);
  }

  /** A store that cannot be trusted any more ends the process. */
  #endIfFatal(failure: StoreFailure): void {
    if (failure.kind !== 'fatal') return;
    this.#fatal(new MajordomoError('ERR_TITANIC_DISK', failure.message));
  }
}
