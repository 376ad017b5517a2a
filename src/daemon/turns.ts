/** Runs the other machines in turns of the broker's loop. */
import type { Broker } from '../broker/broker.js';
import type { Companion } from '../broker/io/loop.js';
import { monotonicMs } from '../core/clock.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { PairNode } from './pair.js';

/** The source of time. */
export interface Time {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970; may be wrong and may jump. */
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
      // A node that stalled must notice it before anything else (D19).
      pair?.look(now);
      titanic?.setTime(now, time.wall());
    },
    run: (now) => {
      // Again, in case it stalled between the inputs of a turn and the turn.
      pair?.look(now);
      // Nothing may be shown or acknowledged before the state of the peer is known.
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
