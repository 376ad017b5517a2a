import type { HaOrder, Pair } from '../http/ports.js';

const NO_PAIR = 'this node is standalone: it has no peer';

/** What a node without a peer says of its pair. */
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
      peer: null,
      lastChange: null,
      history: [],
    }),
    switchover: () => Promise.resolve(refused),
    promote: () => Promise.resolve(refused),
  };
}
