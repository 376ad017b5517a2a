/**
 * One direction of one connection: keeps order, delays at random, can be stopped and cut. The items
 * can be anything: messages, or runs of bytes.
 */
import type { SimClock } from './clock.js';
import type { SimRandom } from './random.js';

export interface PipeOptions {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export class Pipe<T> {
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #options: PipeOptions;
  readonly #deliver: (item: T) => void;
  /** Arrived, but the reader has stopped. */
  readonly #unread: { item: T; bytes: number }[] = [];
  #lastAt = 0;
  #stopped = false;
  #cut = false;
  #swallows = false;
  /** Sent and not yet read. */
  waitingBytes = 0;

  constructor(
    clock: SimClock,
    random: SimRandom,
    options: PipeOptions,
    deliver: (item: T) => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#deliver = deliver;
  }

  send(item: T, bytes: number): void {
    if (this.#cut) return;
    const { delayMinMs, delayMaxMs } = this.#options;
    const at = this.#clock.now + this.#random.int(delayMinMs, delayMaxMs);
    this.#lastAt = Math.max(this.#lastAt, at);
    this.waitingBytes += bytes;
    if (this.#swallows) return;
    this.#clock.at(this.#lastAt, () => {
      if (this.#cut || this.#swallows) return;
      if (this.#stopped || this.#unread.length > 0) this.#unread.push({ item, bytes });
      else this.#read(item, bytes);
    });
  }

  /** The reader stops: what arrives waits. */
  stop(): void {
    this.#stopped = true;
  }

  resume(): void {
    this.#stopped = false;
    for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift()) {
      this.#read(next.item, next.bytes);
    }
  }

  /** Data in flight is lost, and everything after it. */
  cut(): void {
    this.#cut = true;
    this.#unread.length = 0;
    this.waitingBytes = 0;
  }

  /** Nothing arrives any more, and the sender is not notified: it sees its output grow. */
  swallow(): void {
    this.#swallows = true;
    this.#unread.length = 0;
  }

  #read(item: T, bytes: number): void {
    this.waitingBytes -= bytes;
    this.#deliver(item);
  }
}
