import type { Authorise } from './curve/server.js';

/** CURVE on a listener. */
export interface ListenerCurve {
  /**
   * The listener's keys, 32 bytes each: the current one first, then one that will replace it or
   * that it has replaced. (libzmq uses only the first.)
   */
  readonly secretKeys: readonly Buffer[];
  /** Decides who may connect, and under which name. Called for every connection. */
  readonly authorise: Authorise;
}
