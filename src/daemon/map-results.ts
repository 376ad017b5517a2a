/**
 * Tells the map's machine, with the time, what its store reports and what replication brings or
 * confirms.
 */
import type { MapMachine } from '../map/map-machine.js';
import type { MapRecord } from '../store/map-record.js';
import type { MapMerged, MapStoreEvents } from '../store/map-store.js';
import type { ReplicatedMap } from '../replication/ports.js';
import type { StoreFailure } from '../store/store.js';
import type { Time } from './turns.js';

export class MapResults implements MapStoreEvents, ReplicatedMap {
  readonly #machine: MapMachine;
  readonly #time: Pick<Time, 'now'>;

  constructor(machine: MapMachine, time: Pick<Time, 'now'>) {
    this.#machine = machine;
    this.#time = time;
  }

  /** Returns false if the transaction is not the map's own. */
  committed(transaction: number): boolean {
    return this.#machine.committed(transaction, this.#time.now());
  }

  /** Returns false if the transaction is not the map's own. */
  batchFailed(transaction: number, failure: StoreFailure): boolean {
    return this.#machine.batchFailed(transaction, failure, this.#time.now());
  }

  released(transaction: number, isDoubtful: boolean): void {
    this.#machine.released(transaction, isDoubtful, this.#time.now());
  }

  numbersAbove(epoch: number): void {
    this.#machine.numbersAbove(epoch);
  }

  followed(changes: readonly MapRecord[]): void {
    this.#machine.followed(changes, this.#time.now());
  }

  mapMerged(merged: MapMerged): void {
    this.#machine.merged(merged, this.#time.now());
  }

  mapTombstones(bytes: number): void {
    this.#machine.tombstones(bytes);
  }

  mapListed(list: number, records: readonly MapRecord[]): void {
    this.#machine.listed(list, records, this.#time.now());
  }

  mapListFailed(list: number, _failure: StoreFailure): void {
    this.#machine.listFailed(list, this.#time.now());
  }
}
