/** What the SDK reads from the JSON of `mmi.broker`. Accepts any answer. */
import type { Frames } from '../core/frames.js';
import { readJsonObject } from '../wire/json-object.js';

const OK = Buffer.from('200');

/** A longer one is ignored, because it would raise every time-out. */
const PAIR_HEARTBEAT_MS_MAX = 60_000;

/** What a worker uses of its broker. */
export interface WorkerOffers {
  /** Workers may register with a credit. */
  readonly credit: boolean;
  /** READY may have options, after the credit. */
  readonly options: boolean;
  /** Workers may ask for headers in these options. */
  readonly headers: boolean;
  /** Workers may ask for CANCEL in these options. */
  readonly cancel: boolean;
  /** Workers may ask for the groups of their requests in these options, and say what they run of others. */
  readonly group: boolean;
  /** READY may have a contract, after the options. */
  readonly contract: boolean;
  /** Workers may report failures. */
  readonly fail: boolean;
  /** Workers may say that they want no more requests. */
  readonly leave: boolean;
  /** The largest message that it accepts. */
  readonly messageBytesMax: number;
}

export const NO_WORKER_OFFERS: WorkerOffers = {
  credit: false,
  options: false,
  headers: false,
  cancel: false,
  group: false,
  contract: false,
  fail: false,
  leave: false,
  messageBytesMax: Infinity,
};

/**
 * Extensions that a client uses: durable requests with options, waiting for replies, failures,
 * headers, own pauses, parts while a worker sends them, taking requests back, whether a durable request existed,
 * durable requests that are answered in the same exchange, why a request has no answer, options and group of a plain request.
 */
export interface Offers {
  readonly submit: boolean;
  readonly wait: boolean;
  readonly fail: boolean;
  readonly headers: boolean;
  readonly backoff: boolean;
  readonly progress: boolean;
  readonly cancel: boolean;
  readonly existed: boolean;
  readonly call: boolean;
  readonly why: boolean;
  readonly options: boolean;
  readonly group: boolean;
}

/** A broker's answer to `mmi.broker`. The JSON is parsed once, whatever is asked of the answer. */
export class BrokerFacts {
  /**
   * The pair's heartbeat in milliseconds; 0 for a broker that is not in a pair or does not know the
   * question; `null` if there is no status.
   */
  readonly pairHeartbeatMs: number | null;
  /** The largest message that the broker accepts; `Infinity` if it does not say. */
  readonly messageBytesMax: number;
  /** Tells this start of the broker from all others; empty: it does not say. */
  readonly instance: string;
  readonly #extensions: readonly unknown[];

  /** @param at index of the status frame */
  constructor(frames: Frames, at: number) {
    const { pairHeartbeatMs, limits, extensions, instance } = brokerFacts(frames, at);
    this.pairHeartbeatMs = at < frames.count ? heartbeatOf(pairHeartbeatMs) : null;
    this.messageBytesMax = messageBytesOf(limits);
    this.instance = typeof instance === 'string' ? instance : '';
    this.#extensions = Array.isArray(extensions) ? extensions : [];
  }

  /** The broker's extensions; none if it does not know the question. */
  get offers(): Offers {
    return {
      submit: this.#has('submit'),
      wait: this.#has('wait'),
      fail: this.#has('fail'),
      headers: this.#has('headers'),
      backoff: this.#has('backoff'),
      progress: this.#has('progress'),
      cancel: this.#has('cancel'),
      existed: this.#has('existed'),
      call: this.#has('call'),
      why: this.#has('why'),
      options: this.#has('options'),
      group: this.#has('group'),
    };
  }

  get workerOffers(): WorkerOffers {
    const credit = this.#has('credit');
    const options = credit && this.#has('ready-options');
    return {
      credit,
      options,
      headers: options && this.#has('headers'),
      cancel: options && this.#has('cancel'),
      group: options && this.#has('group'),
      contract: options && this.#has('contract'),
      fail: this.#has('fail'),
      leave: credit && this.#has('leave'),
      messageBytesMax: this.messageBytesMax,
    };
  }

  #has(name: string): boolean {
    return this.#extensions.includes(name);
  }
}

function heartbeatOf(value: unknown): number {
  return typeof value === 'number' && value >= 0 && value <= PAIR_HEARTBEAT_MS_MAX ? value : 0;
}

function messageBytesOf(limits: unknown): number {
  if (typeof limits !== 'object' || limits === null || !('messageBytes' in limits)) return Infinity;
  const { messageBytes } = limits;
  return typeof messageBytes === 'number' && messageBytes > 0 ? messageBytes : Infinity;
}

/** The JSON of an answer; empty if the broker does not know the question. */
function brokerFacts(frames: Frames, at: number): Readonly<Record<string, unknown>> {
  if (at + 1 >= frames.count || !frames.equals(at, OK)) return {};
  return readJsonObject(frames.view(at + 1)) ?? {};
}
