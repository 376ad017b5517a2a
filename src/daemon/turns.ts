/** The machines beside the broker take their turns in its loop. */
import type { Broker } from '../broker/broker.js';
import type { Companion } from '../broker/io/loop.js';
import { monotonicMs } from '../core/clock.js';
import type { Titanic } from '../titanic/titanic.js';
import type { PairNode } from './pair.js';

/** Where the time comes from. */
export interface Time {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970; may be wrong, and jump. */
  wall(): number;
}

export const SYSTEM_TIME: Time = { now: monotonicMs, wall: () => Date.now() };

/** @param titanic `null`: nothing is stored; @param pair `null`: a standalone node */
export function turnsOf(
  broker: Broker,
  titanic: Titanic | null,
  pair: PairNode | null,
  time: Time = SYSTEM_TIME,
): Companion {
  return {
    setTime: (now) => {
      // A node that stood still has to know it before anything else (D19).
      pair?.look(now);
      titanic?.setTime(now, time.wall());
    },
    run: (now) => {
      // Also if it stood still between the inputs of a turn and the turn.
      pair?.look(now);
      // Nothing is shown or acknowledged before it is known what became of the peer.
      if (pair?.isFenced !== true) titanic?.run(now, time.wall(), broker.embedded, broker.embedded);
      pair?.run(now, titanic?.isSettled ?? true);
    },
    dueInMs: (now) => {
      const ofTitanic = pair?.isFenced === true ? Infinity : titanic?.dueInMs(now, time.wall());
      return Math.min(ofTitanic ?? Infinity, pair?.dueInMs(now) ?? Infinity);
    },
    get isSettled() {
      return titanic?.isSettled ?? true;
    },
  };
}
