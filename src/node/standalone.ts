import type { HaOrder, Pair } from '../admin/ports.js';
import type { PairFacts } from '../admin/metrics/pair-metrics.js';

const NO_PAIR = 'this node is standalone: it has no peer';

/** The values of its metrics. */
export const STANDALONE_FACTS: PairFacts = {
  role: 'standalone',
  state: 'active',
  epoch: 0,
  isPeerUp: false,
  isInSync: false,
  replicationLagMs: 0,
  transitions: { waiting: 0, passive: 0, joining: 0, active: 0 },
  splitBrains: 0,
};

/** The pair status of a node without a peer. */
export function standalonePair(node: string): Pair {
  const refused: HaOrder = { done: false, reason: NO_PAIR };
  return {
    status: () => ({
      node,
      role: 'standalone',
      state: 'active',
      epoch: 0,
      inSync: false,
      replication: 'off',
      lagMs: null,
      keysDiffer: null,
      peer: null,
      lastChange: null,
      history: [],
    }),
    switchover: () => Promise.resolve(refused),
    promote: () => Promise.resolve(refused),
  };
}
