/** Runs the other machines in turns of the broker's loop. */
import type { Broker } from '../broker/broker.js';
import type { Companion } from '../broker/io/loop.js';
import { SYSTEM_TIME, type Time } from '../core/clock.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { PairNode } from './pair.js';

/** The machines beside the broker. */
interface Machines {
  /** `null`: nothing is stored. */
  readonly titanic: Titanic | null;
  /** `null`: a standalone node. */
  readonly pair: PairNode | null;
  /** Companions that serve where the broker does. */
  readonly served?: readonly Companion[];
  /** Companions that run on every node. */
  readonly others?: readonly Companion[];
}

export function turnsOf(
  broker: Broker,
  { titanic, pair, served = [], others = [] }: Machines,
  time: Time = SYSTEM_TIME,
): Companion {
  const isSettled = (): boolean =>
    (titanic?.isSettled ?? true) && served.every((each) => each.isSettled);
  const all = [...served, ...others];
  return {
    setTime: (now) => {
      // A node that stalled must notice it before anything else (D19).
      pair?.look(now);
      titanic?.setTime(now, time.wall());
      for (const each of all) each.setTime(now);
    },
    run: (now) => {
      // Again, in case it stalled between the inputs of a turn and the turn.
      pair?.look(now);
      // Nothing may be shown or acknowledged before the state of the peer is known.
      if (pair?.isFenced !== true) {
        titanic?.run(now, time.wall(), broker.internalRequests, broker.storedDeliveries);
        for (const each of served) each.run(now);
      }
      // After the broker's own turn: workers registered here come before those of other brokers.
      for (const each of others) each.run(now);
      pair?.run(now, isSettled());
    },
    dueInMs: (now) => {
      const ofPair = pair?.dueInMs(now) ?? Infinity;
      if (pair?.isFenced === true) return ofPair;
      const ofTitanic = titanic?.dueInMs(now, time.wall()) ?? Infinity;
      let dueMs = Math.min(ofTitanic, ofPair);
      for (const each of all) dueMs = Math.min(dueMs, each.dueInMs(now));
      return dueMs;
    },
    get isSettled() {
      return isSettled() && others.every((each) => each.isSettled);
    },
  };
}
