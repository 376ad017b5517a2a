/** What the SDK reads from the JSON of `mmi.broker`. Accepts any answer. */
import type { Frames } from '../core/frames.js';

/** A longer one is ignored, because it would raise every time-out. */
const PAIR_HEARTBEAT_MS_MAX = 60_000;

/**
 * The pair's heartbeat in milliseconds; 0 for a broker that is not in a pair or does not know the
 * question; `null` if there is no status.
 * @param at index of the status frame
 */
export function pairHeartbeatMs(frames: Frames, at: number): number | null {
  const facts = brokerFacts(frames, at);
  if (facts === null) return at < frames.count ? 0 : null;
  const value = 'pairHeartbeatMs' in facts ? facts.pairHeartbeatMs : 0;
  return typeof value === 'number' && value >= 0 && value <= PAIR_HEARTBEAT_MS_MAX ? value : 0;
}

/** What a worker uses of its broker. */
export interface WorkerOffers {
  /** Workers may register with a credit. */
  readonly credit: boolean;
  /** READY may have options, after the credit. */
  readonly options: boolean;
  /** Workers may ask for headers in these options. */
  readonly headers: boolean;
  /** Workers may report failures. */
  readonly fail: boolean;
  /** The largest message that it accepts. */
  readonly messageBytesMax: number;
}

export const NO_WORKER_OFFERS: WorkerOffers = {
  credit: false,
  options: false,
  headers: false,
  fail: false,
  messageBytesMax: Infinity,
};

export function workerOffersOf(frames: Frames, at: number): WorkerOffers {
  const has = extensionsOf(frames, at);
  const credit = has('credit');
  const options = credit && has('ready-options');
  return {
    credit,
    options,
    headers: options && has('headers'),
    fail: has('fail'),
    messageBytesMax: messageBytesMaxOf(frames, at),
  };
}

/** The largest message that the broker accepts; `Infinity` if it does not say. */
export function messageBytesMaxOf(frames: Frames, at: number): number {
  const facts = brokerFacts(frames, at);
  const limits: unknown = facts !== null && 'limits' in facts ? facts.limits : null;
  if (typeof limits !== 'object' || limits === null || !('messageBytes' in limits)) return Infinity;
  const { messageBytes } = limits;
  return typeof messageBytes === 'number' && messageBytes > 0 ? messageBytes : Infinity;
}

/**
 * Extensions that a client uses: stored requests with options, waiting for replies, failures,
 * headers, own pauses, parts while a worker sends them.
 */
export interface Offers {
  readonly submit: boolean;
  readonly wait: boolean;
  readonly fail: boolean;
  readonly headers: boolean;
  readonly backoff: boolean;
  readonly progress: boolean;
}

/** The broker's extensions; none if it does not know the question. */
export function offersOf(frames: Frames, at: number): Offers {
  const has = extensionsOf(frames, at);
  return {
    submit: has('submit'),
    wait: has('wait'),
    fail: has('fail'),
    headers: has('headers'),
    backoff: has('backoff'),
    progress: has('progress'),
  };
}

function extensionsOf(frames: Frames, at: number): (name: string) => boolean {
  const facts = brokerFacts(frames, at);
  const listed = facts !== null && 'extensions' in facts ? facts.extensions : [];
  return (name) => Array.isArray(listed) && listed.includes(name);
}

function brokerFacts(frames: Frames, at: number): object | null {
  if (at + 1 >= frames.count || frames.view(at).toString('latin1') !== '200') return null;
  try {
    const value: unknown = JSON.parse(frames.view(at + 1).toString('utf8'));
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}
