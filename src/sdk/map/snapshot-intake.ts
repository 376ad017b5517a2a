/**
 * A snapshot while it arrives, and the updates that are published meanwhile. Of several updates of one
 * key only the last is kept, so that both together are bounded by their bytes.
 */
import type { MapNumber } from '../../wire/chp-client.js';
import { MapCopy, recordCost } from './copy.js';

interface Update {
  readonly value: Buffer;
  readonly number: MapNumber;
}

export class SnapshotIntake {
  readonly #values = new Map<string, Buffer>();
  /** By key, in order of their numbers. */
  readonly #updates = new Map<string, Update>();
  #valueBytes = 0;
  /** Bytes of all records that have come, also of those that came twice. */
  #recordBytes = 0;
  #updateBytes = 0;

  /** A snapshot without end reaches any limit. */
  get bytes(): number {
    return this.#recordBytes + this.#updateBytes;
  }

  record(key: string, value: Buffer): void {
    const cost = recordCost(key, value);
    this.#recordBytes += cost;
    if (value.length === 0) return;
    const before = this.#values.get(key);
    this.#valueBytes += before === undefined ? cost : cost - recordCost(key, before);
    this.#values.set(key, value);
  }

  update(key: string, value: Buffer, number: MapNumber): void {
    const before = this.#updates.get(key);
    if (before !== undefined) this.#updateBytes -= recordCost(key, before.value);
    this.#updateBytes += recordCost(key, value);
    this.#updates.delete(key);
    this.#updates.set(key, { value, number });
  }

  /**
   * The snapshot is complete.
   * @param number of its end: it has all updates up to there
   */
  finish(number: MapNumber): MapCopy {
    const copy = new MapCopy(this.#values, this.#valueBytes, number);
    for (const [key, update] of this.#updates) {
      if (copy.isBefore(update.number)) copy.apply(key, update.value, update.number);
    }
    return copy;
  }
}
