import { describe, expect, it } from '@jest/globals';

import { EVERYTHING } from '../../../src/broker/rights.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Grants, Peer } from '../../../src/broker/state/entities.js';
import { Identities } from '../../../src/broker/state/identities.js';
import { Peers } from '../../../src/broker/state/peers.js';

describe('the connected peers', () => {
  it('are all listed, and nothing for numbers that are in no use', () => {
    const identities = new Identities(new Holdings(), () => NO_QUOTAS);
    const peers = new Peers();
    const [first, second] = [3, 5].map((id) => {
      const identity = identities.join(`ip:${id}`, null, null);
      return new Peer(id, 0, null, identity, '127.0.0.1', new Grants(EVERYTHING, null));
    });
    if (first === undefined || second === undefined) throw new Error('two peers');
    peers.add(first);
    peers.add(second);
    expect([...peers.all()].map(({ id }) => id)).toEqual([3, 5]);
    peers.remove(first);
    expect([...peers.all()].map(({ id }) => id)).toEqual([5]);
  });
});
