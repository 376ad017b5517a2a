/** What a key may do: from the keys file, or from the service that authorises keys. */
import type { KeyRights } from '../broker/rights.js';
import { MDP_ROLES } from '../config/entries.js';
import type { Grants } from '../config/grants.js';
import { GlobSet } from '../core/glob.js';

/** The rights in the current entry: each name keeps its object, and the values in it change. */
export interface Rights extends KeyRights {
  client: GlobSet;
  worker: GlobSet;
  operator: boolean;
  quota: string | null;
  /** Whether the key may be the other node of the pair. */
  peer: boolean;
}

export type WrittenRights = Grants & Pick<Rights, 'operator' | 'quota' | 'peer'>;

export const NOTHING: Readonly<Rights> = {
  client: GlobSet.none,
  worker: GlobSet.none,
  operator: false,
  quota: null,
  peer: false,
};

/** Returns true if anything has changed. */
export function updateRights(rights: Rights, written: WrittenRights): boolean {
  const { client, worker, operator, quota, peer } = written;
  const same = MDP_ROLES.every(
    (role) => rights[role].patterns.join('\n') === written[role].join('\n'),
  );
  if (same && rights.operator === operator && rights.quota === quota && rights.peer === peer) {
    return false;
  }
  Object.assign(rights, {
    client: GlobSet.of(client),
    worker: GlobSet.of(worker),
    operator,
    quota,
    peer,
  });
  return true;
}
