import { allows } from '../admission/access.js';
import type { BrokerOptions } from '../options.js';
import type { OwnerStanding } from '../ports.js';
import { NO_QUOTAS } from '../quotas.js';
import { Grants } from '../state/entities.js';

/**
 * What the owner of stored requests may do without a connection: what it could do over some
 * listener that its key could connect to, or that takes peers without keys (D80).
 */
export class OwnerRights {
  readonly #options: Pick<BrokerOptions, 'listeners' | 'rightsOf' | 'quotasOf'>;

  constructor(options: Pick<BrokerOptions, 'listeners' | 'rightsOf' | 'quotasOf'>) {
    this.#options = options;
  }

  /** @param key its name; `null`: the shared anonymous owner */
  standingOf(key: string | null, service: Buffer): OwnerStanding {
    const { listeners, rightsOf, quotasOf } = this.#options;
    let quota: string | null = null;
    let mayRequest = false;
    for (const [listener, rules] of listeners.entries()) {
      if (rules.hasKeys === (key === null)) continue;
      const rights = key === null ? null : (rightsOf?.(listener, key) ?? null);
      if (!allows(new Grants(rules, rights), 'client', service)) continue;
      mayRequest = true;
      quota ??= rights?.quota ?? null;
    }
    return { mayRequest, quotas: quotasOf?.(quota) ?? NO_QUOTAS };
  }
}
