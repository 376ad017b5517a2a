/** Who asks an internal service, for tests that have no broker. */
import { NO_QUOTAS } from '../../src/broker/quotas.js';
import type { Asker } from '../../src/broker/ports.js';
import { Holdings } from '../../src/core/holdings.js';

/** Somebody without a key, who may do everything; what a test wants otherwise is given. */
export function asker(given: Partial<Asker> = {}): Asker {
  const identity = given.identity ?? 'ip:127.0.0.1';
  return {
    identity,
    scope: '0 ',
    owner: null,
    address: '127.0.0.1',
    isOperator: false,
    isMmiMinimal: false,
    quotas: NO_QUOTAS,
    holder: new Holdings().use(identity),
    mayRequest: () => true,
    mayServe: () => true,
    isGone: false,
    outputLeft: () => Infinity,
    identityOutputLeft: () => Infinity,
    ...given,
  };
}
