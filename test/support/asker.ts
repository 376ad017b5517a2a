/** The sender of a request to an internal service, for tests without a broker. */
import { NO_QUOTAS } from '../../src/broker/quotas.js';
import type { Asker } from '../../src/broker/ports.js';
import { Holdings } from '../../src/core/holdings.js';

/** A peer without a key that has all rights; the test overrides what it needs. */
export function asker(given: Partial<Asker> = {}): Asker {
  const identity = given.identity ?? 'ip:127.0.0.1';
  return {
    identity,
    scope: '0 ',
    owner: null,
    address: '127.0.0.1',
    isOperator: false,
    isMmiMinimal: false,
    mayResume: true,
    quotas: NO_QUOTAS,
    memory: new Holdings().use(identity),
    mayRequest: () => true,
    mayServe: () => true,
    isGone: false,
    outputLeft: () => Infinity,
    identityOutputLeft: () => Infinity,
    outputMax: () => Infinity,
    ...given,
  };
}
