import { monotonicMs, type MonotonicMs } from '../core/clock.js';

/**
 * The one timer of a whole machine. A tick comes after everything readable was read, so that a program that was busy
 * does not mistake answers waiting in the socket for silence.
 */
export class Ticker {
  readonly #tick: (now: MonotonicMs) => MonotonicMs;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #atMs: MonotonicMs = Infinity;
  #isRef = true;

  /** @param tick does what is due, and returns when it wants to be called next */
  constructor(tick: (now: MonotonicMs) => MonotonicMs) {
    this.#tick = tick;
  }

  /** The machine wants a tick at `atMs`; `Infinity`: none. An early tick does no harm. */
  want(atMs: MonotonicMs): void {
    if (atMs >= this.#atMs || atMs === Infinity) return;
    this.stop();
    this.#atMs = atMs;
    const waitMs = Math.min(Math.max(atMs - monotonicMs(), 0), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => {
      this.#immediate = setImmediate(() => {
        this.stop();
        this.want(this.#tick(monotonicMs()));
      });
    }, Math.ceil(waitMs));
    if (!this.#isRef) this.#timer.unref();
  }

  /** Whether its timer keeps the process alive; true at first. */
  setRef(isRef: boolean): void {
    this.#isRef = isRef;
    if (isRef) this.#timer?.ref();
    else this.#timer?.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#atMs = Infinity;
  }
}

const LONGEST_WAIT_MS = 2 ** 30;
