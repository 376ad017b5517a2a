/** What waits to be sent to one broker, in order, and the packs that are made of it. */
import {
  chunkRoom,
  encodeChunk,
  encodePack,
  FLEET_HEAD_BYTES,
  type FleetCredit,
  putCreditOf,
} from './codec.js';
import type { FleetHead } from './protocol.js';
import { OUTBOX_BYTES_MAX, PACK_BYTES, PACK_OVERHEAD_BYTES } from './options.js';

interface Waiting {
  readonly entry: Buffer;
  /** The request that this is, which keeps the number of its pack. */
  readonly out: { packNumber: number } | null;
  /** The service whose credit the entry states. */
  readonly service: Buffer | null;
}

/** Credit that an entry states, as it is when the entry is sent. */
export type CreditNow = (service: Buffer) => FleetCredit;

export class Outbox {
  #waiting: Waiting[] = [];
  /** What they take in memory. */
  #bytes = 0;
  /** The last number used. */
  #number = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The number of the last pack that was made; 0: there is none. */
  get lastNumber(): number {
    return this.#number;
  }

  /** Drops requests that wait. */
  withdraw(): void {
    this.#waiting = this.#waiting.filter(({ out }) => out === null);
    this.#bytes = this.#waiting.reduce((sum, { entry }) => sum + sizeOf(entry), 0);
  }

  /** Drops what waits. */
  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }

  /**
   * @param waits it cannot be sent at the end of this turn
   * @returns false: there is no room for it; it is dropped
   */
  add(
    entry: Buffer,
    out: { packNumber: number } | null = null,
    service: Buffer | null = null,
    waits = false,
  ): boolean {
    const isOver = this.#bytes + sizeOf(entry) > OUTBOX_BYTES_MAX && this.#bytes > 0;
    // Of requests there are at most 8 MiB, or one (D86); no list would show that one is missing.
    if (isOver && waits && out === null) return false;
    this.#waiting.push({ entry, out, service });
    this.#bytes += sizeOf(entry);
    return true;
  }

  /**
   * Makes packs of everything.
   * @param payloadMax of the bus, in bytes
   * @param head of each, but for its number
   */
  flush(
    payloadMax: number,
    head: Omit<FleetHead, 'number'>,
    credit: CreditNow,
    send: (pack: Buffer) => void,
  ): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    const most = Math.min(PACK_BYTES, payloadMax);
    let entries: Buffer[] = [];
    let bytes = 0;
    const end = (): void => {
      if (entries.length === 0) return;
      send(encodePack({ ...head, number: this.#number }, entries, bytes));
      entries = [];
      bytes = 0;
    };
    for (const { entry, out, service } of waiting) {
      if (service !== null) putCreditOf(entry, credit(service));
      const isOver = FLEET_HEAD_BYTES + bytes + entry.length > most;
      if (isOver) end();
      if (FLEET_HEAD_BYTES + entry.length > payloadMax) {
        this.#sendChunks(entry, payloadMax, head, send);
      } else {
        if (entries.length === 0) this.#number++;
        entries.push(entry);
        bytes += entry.length;
      }
      if (out !== null) out.packNumber = this.#number;
    }
    end();
  }

  #sendChunks(
    whole: Buffer,
    payloadMax: number,
    head: Omit<FleetHead, 'number'>,
    send: (pack: Buffer) => void,
  ): void {
    const room = chunkRoom(payloadMax);
    for (let start = 0; start < whole.length; start += room) {
      const number = ++this.#number;
      send(encodeChunk({ ...head, number }, whole, start, Math.min(whole.length, start + room)));
    }
  }
}

function sizeOf({ length }: Buffer): number {
  return length + PACK_OVERHEAD_BYTES;
}
