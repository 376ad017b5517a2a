/**
 * A client's copy of the map: keys (as Latin-1) with their values, the bytes that they take, and the
 * number up to which it has the updates.
 */
import { compareNumbers, type MapNumber } from '../../wire/chp-client.js';

/** Keys, as Latin-1, and their values. */
export type Values = ReadonlyMap<string, Buffer>;

/** Counted for each record, besides its key and value; as `limits.mapBytes` does (D57). */
const RECORD_COST_BYTES = 128;
const FIRST: MapNumber = { epoch: 0, counter: 0 };

export function recordCost(key: string, value: Buffer): number {
  return key.length + value.length + RECORD_COST_BYTES;
}

export class MapCopy {
  readonly #values: Map<string, Buffer>;
  #bytes: number;
  #number: MapNumber;

  constructor(values = new Map<string, Buffer>(), bytes = 0, number = FIRST) {
    this.#values = values;
    this.#bytes = bytes;
    this.#number = number;
  }

  get values(): Values {
    return this.#values;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether an update with this number is newer than the copy. */
  isBefore(number: MapNumber): boolean {
    return compareNumbers(this.#number, number) < 0;
  }

  /**
   * Applies an update that is newer.
   * @param value empty: the key is gone
   * @returns the value before; `undefined`: there was none
   */
  apply(key: string, value: Buffer, number: MapNumber): Buffer | undefined {
    this.#number = number;
    const before = this.#values.get(key);
    if (before !== undefined) this.#bytes -= recordCost(key, before);
    if (value.length === 0) {
      this.#values.delete(key);
    } else {
      this.#bytes += recordCost(key, value);
      this.#values.set(key, value);
    }
    return before;
  }
}
