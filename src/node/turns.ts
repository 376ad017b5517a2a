/** Runs the other machines in turns of the broker's loop. */
import type { Broker } from '../broker/broker.js';
import type { Companion } from '../broker/io/loop.js';
import { monotonicMs } from '../core/clock.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { FleetHost } from '../extensions/fleet/host.js';
import type { MapHost } from '../extensions/map/host.js';
import type { PairNode } from './pair.js';

/** The source of time. */
export interface Time {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970; may be wrong and may jump. */
  wall(): number;
}

export const SYSTEM_TIME: Time = { now: monotonicMs, wall: () => Date.now() };

/** The machines beside the broker. */
export interface Machines {
  /** `null`: nothing is stored. */
  readonly titanic: Titanic | null;
  /** Absent or `null`: there is no map. */
  readonly map?: MapHost | null;
  /** `null`: a standalone node. */
  readonly pair: PairNode | null;
  /** Absent or `null`: the node is in no fleet. */
  readonly fleet?: Pick<FleetHost, 'machine'> | null;
}

export function turnsOf(
  broker: Broker,
  { titanic, map = null, pair, fleet = null }: Machines,
  time: Time = SYSTEM_TIME,
): Companion {
  const isSettled = (): boolean => (titanic?.isSettled ?? true) && (map?.isSettled ?? true);
  return {
    setTime: (now) => {
      // A node that stalled must notice it before anything else (D19).
      pair?.look(now);
      titanic?.setTime(now, time.wall());
      map?.setTime(now);
      fleet?.machine.setTime(now);
    },
    run: (now) => {
      // Again, in case it stalled between the inputs of a turn and the turn.
      pair?.look(now);
      // Nothing may be shown or acknowledged before the state of the peer is known.
      if (pair?.isFenced !== true) {
        titanic?.run(now, time.wall(), broker.embedded, broker.embedded);
        map?.run(now);
      }
      // After the broker's own turn: workers registered here come first.
      fleet?.machine.run(now, broker.embedded, broker.remote);
      pair?.run(now, isSettled());
    },
    dueInMs: (now) => {
      const ofPair = pair?.dueInMs(now) ?? Infinity;
      if (pair?.isFenced === true) return ofPair;
      const ofTitanic = titanic?.dueInMs(now, time.wall()) ?? Infinity;
      const ofMap = map?.dueInMs(now) ?? Infinity;
      return Math.min(ofTitanic, ofMap, ofPair, fleet?.machine.dueInMs(now) ?? Infinity);
    },
    get isSettled() {
      return isSettled() && (fleet?.machine.isSettled ?? true);
    },
  };
}
