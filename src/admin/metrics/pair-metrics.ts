import { by } from './broker-metrics.js';
import type { Exposition } from './exposition.js';

type PairRole = 'standalone' | 'primary' | 'backup';
type PairState = 'waiting' | 'passive' | 'joining' | 'active';

/** Counters of a pair, or of a standalone node. */
export interface PairFacts {
  readonly role: PairRole;
  readonly state: PairState;
  readonly epoch: number;
  readonly isPeerUp: boolean;
  readonly isInSync: boolean;
  /** Age of the oldest change that the peer has not confirmed; 0 if there is none. */
  readonly replicationLagMs: number;
  /** Changes of the state since the start, by new state. */
  readonly transitions: Readonly<Record<PairState, number>>;
  /** How often both nodes were found active. */
  readonly splitBrains: number;
}

export function pairMetrics(out: Exposition, facts: PairFacts): void {
  const single = (name: Parameters<Exposition['metric']>[0], value: number): void => {
    out.metric(name);
    out.sample('', value);
  };
  by(out, 'ha_role', 'role', { [facts.role]: 1 });
  by(out, 'ha_state', 'state', { [facts.state]: 1 });
  single('ha_epoch', facts.epoch);
  single('ha_peer_up', Number(facts.isPeerUp));
  single('ha_replication_lag_seconds', facts.replicationLagMs / 1000);
  single('ha_in_sync', Number(facts.isInSync));
  by(out, 'ha_transitions_total', 'to', facts.transitions);
  single('ha_split_brain_total', facts.splitBrains);
}
