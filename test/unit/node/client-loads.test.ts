import type { ClientSeen } from '../../../src/broker/listing.js';
import { clientLoads } from '../../../src/node/client-loads.js';
import { ANONYMOUS } from '../../../src/store/store.js';

function client(identity: string, more: Partial<ClientSeen> = {}): ClientSeen {
  return {
    ...{ identity, connections: 1, workers: 0, requestsPerSecond: 0, refusedPerSecond: 0 },
    ...{ outstanding: 0, heldBytes: 0, heldBy: [], quota: null },
    ...more,
  };
}

const SEEN = [
  client('ip:10.0.0.1', { requestsPerSecond: 50.123, heldBytes: 9 }),
  client('key:alice', { requestsPerSecond: 100, outstanding: 1 }),
  client('key:token:shop', { outstanding: 7, heldBytes: 900 }),
  client('ipc', {}),
];
const OWNERS = [
  { owner: 'key:alice', stored: 2, bytes: 20 },
  { owner: 'key:gone', stored: 3, bytes: 3000 },
  { owner: ANONYMOUS, stored: 4, bytes: 400 },
] as const;

const names = (by: Parameters<typeof clientLoads>[2]['by'], limit = 10): unknown =>
  clientLoads(SEEN, OWNERS, { by, limit }).items.map(({ name }) => name);

describe('the clients that use most of a node', () => {
  it('come first, by requests, by what is outstanding, by what they store, or by memory', () => {
    expect(names('requests', 2)).toEqual(['alice', '10.0.0.1']);
    expect(names('outstanding', 2)).toEqual(['shop', 'alice']);
    expect(names('stored', 3)).toEqual(['gone', null, 'alice']);
    expect(names('held', 2)).toEqual(['shop', '10.0.0.1']);
  });

  it('are keys, tokens and addresses, owners that are not connected, and what has no owner', () => {
    const { items, total } = clientLoads(SEEN, OWNERS, { by: 'requests', limit: 10 });
    expect(total).toBe(6);
    expect(items).toMatchObject([
      { kind: 'key', name: 'alice', stored: 2, storedBytes: 20, connections: 1 },
      { kind: 'address', name: '10.0.0.1', stored: null, requestsPerSecond: 50.12 },
      { kind: 'token', name: 'shop', stored: 0, storedBytes: 0 },
      { kind: 'key', name: 'gone', stored: 3, connections: 0 },
      { kind: 'anonymous', name: null, stored: 4 },
      { kind: 'address', name: 'ipc', stored: null },
    ]);
  });

  it('are found among any number, of which few are kept', () => {
    const crowd = function* (): Generator<ClientSeen> {
      for (let each = 0; each < 5000; each++) {
        yield client(`ip:${each}`, { requestsPerSecond: (each * 7919) % 5000 });
      }
    };
    const { items, total } = clientLoads(crowd(), [], { by: 'requests', limit: 3 });
    expect(total).toBe(5000);
    expect(items.map(({ requestsPerSecond }) => requestsPerSecond)).toEqual([4999, 4998, 4997]);
  });
});
