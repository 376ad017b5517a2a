/**
 * The messages that a subscriber has received and its reader has not taken yet: a pure machine, which
 * decides when to stop reading the connections, and when the reader is too slow.
 */
import type { MonotonicMs } from '../../core/clock.js';
import { type MajordomoError, sdkError } from '../errors.js';
import { endInRun, type MessageRun } from './message-run.js';
import { ReceivedStreamMessage, type StreamMessage } from './stream-message.js';

interface SubscriberInboxOptions {
  /** Above this it is full. */
  readonly bytesMax: number;
  /** A message that is later than this when it is taken is an error; `null`: none is. */
  readonly maxDelayMs: number | null;
}

/** Overhead of a run. */
const RUN_COST_BYTES = 256;
/** The queue moves to the front of its array when this many entries before it are free. */
const COMPACT_FROM = 1024;

export class SubscriberInbox {
  readonly #options: SubscriberInboxOptions;
  #queue: MessageRun[] = [];
  #head = 0;
  /** Where the oldest message begins in the oldest run. */
  #at = 0;
  #size = 0;
  #bytes = 0;
  #isFull = false;

  constructor(options: SubscriberInboxOptions) {
    this.#options = options;
  }

  /** Messages that wait. */
  get size(): number {
    return this.#size;
  }

  /** No more is to be read; until half of it is taken. */
  get isFull(): boolean {
    return this.#isFull;
  }

  push(run: MessageRun): void {
    if (this.#size === 0) this.#at = run.start;
    this.#queue.push(run);
    this.#size += run.count;
    this.#bytes += run.end - run.start + RUN_COST_BYTES;
    if (this.#bytes > this.#options.bytesMax) this.#isFull = true;
  }

  /** The error of the oldest message, if it is too late already; `null`: it is not, or there is none. */
  lateness(now: () => MonotonicMs): MajordomoError | null {
    const { maxDelayMs } = this.#options;
    const run = this.#queue[this.#head];
    if (maxDelayMs === null || run === undefined) return null;
    const oldest = new ReceivedStreamMessage(run, this.#at, endInRun(run, this.#at));
    const { sentAtMs } = oldest;
    const delayMs = sentAtMs === null ? 0 : (run.source.lateness?.of(now(), sentAtMs) ?? 0);
    return delayMs > maxDelayMs ? tooSlow(delayMs, maxDelayMs, this.size, oldest) : null;
  }

  /** Takes the oldest message out; `null`: there is none. */
  take(): ReceivedStreamMessage | null {
    const run = this.#queue[this.#head];
    if (run === undefined) return null;
    const start = this.#at;
    const end = endInRun(run, start);
    this.#at = end;
    this.#size--;
    this.#bytes -= end - start;
    if (end === run.end) this.#nextRun();
    if (this.#isFull && this.#bytes * 2 <= this.#options.bytesMax) this.#isFull = false;
    return new ReceivedStreamMessage(run, start, end);
  }

  #nextRun(): void {
    this.#bytes -= RUN_COST_BYTES;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_FROM && this.#head * 2 >= this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    this.#at = this.#queue[this.#head]?.start ?? 0;
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.#size = 0;
    this.#bytes = 0;
    this.#isFull = false;
  }
}

function tooSlow(
  delayMs: number,
  maxDelayMs: number,
  behind: number,
  { topic, endpoint }: StreamMessage,
): MajordomoError {
  const late = Math.round(delayMs);
  const text = `a message came ${late} ms late to its reader (maxDelayMs is ${maxDelayMs}); ${behind} are waiting`;
  const details = { delayMs: late, behind, endpoint, topic };
  return sdkError('ERR_STREAM_TOO_SLOW', text, { details });
}
