/**
 * What differs between the kinds of workers: MDP 0.1 and 0.2, Simple Pirates (REQ, the Guide) and
 * Paranoid Pirates (6/PPP). The broker treats them alike in everything that is not in this table.
 */
import { byDialect, DELIMITED, type Dialect, isMdp, MDP_FORMS } from '../wire/dialect.js';

const PIRATE_INTERVAL_MS = 1000;

export interface WorkerKind {
  /** How lists show it. */
  readonly shown: '0.1' | '0.2' | 'spp' | 'ppp';
  /** The heartbeats of both sides; `null`: there are none, and its connection shows that it lives. */
  readonly heartbeats: Heartbeats | null;
  /**
   * Whether it knows DISCONNECT. If not, its connection is closed, or, if it did nothing wrong, it is
   * told nothing.
   */
  readonly knowsDisconnect: boolean;
  /** Whether a second READY begins a new conversation; otherwise it is an error. */
  readonly mayStartAnew: boolean;
  /** Whether it waits for requests after any reply, also if it is not registered or has another request. */
  readonly replyMeansReady: boolean;
  /** Whether it may heartbeat without still having the request it was sent (D35). */
  readonly mayForgetRequest: boolean;
}

/** Functions of `broker.heartbeatIntervalMs`. */
export interface Heartbeats {
  /** How often the broker sends one. */
  readonly everyMs: (intervalMs: number) => number;
  /** How often it sends one; after `broker.heartbeatLiveness` such intervals in silence it is lost. */
  readonly expectedEveryMs: (intervalMs: number) => number;
}

export const MDP_HEARTBEATS: Heartbeats = {
  everyMs: (intervalMs) => intervalMs,
  expectedEveryMs: (intervalMs) => intervalMs,
};

/** The Guide's Paranoid Pirates count in seconds and cannot be told another interval (D34). */
export const PIRATE_HEARTBEATS: Heartbeats = {
  everyMs: (intervalMs) => Math.min(intervalMs, PIRATE_INTERVAL_MS),
  expectedEveryMs: (intervalMs) => Math.max(intervalMs, PIRATE_INTERVAL_MS),
};

const MDP = {
  heartbeats: MDP_HEARTBEATS,
  knowsDisconnect: true,
  mayStartAnew: false,
  replyMeansReady: false,
  mayForgetRequest: false,
};

const PIRATE = { knowsDisconnect: false, mayStartAnew: true, mayForgetRequest: true };
const SIMPLE = { ...PIRATE, heartbeats: null, replyMeansReady: true };
const PARANOID = { ...PIRATE, heartbeats: PIRATE_HEARTBEATS, replyMeansReady: false };

/** Kinds of workers, by the dialect of READY. */
export const WORKER_KINDS: Readonly<Record<Dialect, WorkerKind>> = byDialect((dialect) => {
  if (isMdp(dialect)) return { ...MDP, shown: `0.${MDP_FORMS[dialect].version}` };
  return dialect === DELIMITED ? { ...SIMPLE, shown: 'spp' } : { ...PARANOID, shown: 'ppp' };
});
