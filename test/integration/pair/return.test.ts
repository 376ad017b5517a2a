import { afterEach, describe, expect, it } from '@jest/globals';

import { Client } from '../../../src/sdk/client.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  startPairOfDaemons,
} from '../../support/pair-daemons.js';

/** Long: a hand-over does not fail because the machine is busy. */
const HEARTBEAT_MS = 2000;
const COUNT = 50;
const BODY_BYTES = 100_000;

const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await removePairs();
});

async function store({ endpoints }: PairOfDaemons): Promise<void> {
  const client = new Client({ endpoints, retries: 30 });
  clients.push(client);
  const body = Buffer.alloc(BODY_BYTES, 'x');
  const asked = Array.from({ length: COUNT }, () =>
    client.request('titanic.request', ['nobody', body]),
  );
  for (const { frames } of await Promise.all(asked)) expect(String(frames[0])).toBe('200');
}

/** What passes on the link until a node that was stopped is back and in sync. Bytes. */
async function bytesOfReturn(pair: PairOfDaemons, role: PairRole): Promise<number> {
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
  };
  pair.link.tap = { connected: () => undefined, fromClient: count, fromServer: count };
  await pair.start(role);
  await pair.inSync();
  return bytes;
}

describe('a peer that returns (D20)', () => {
  it('after it handed over in sync, no stored body travels', async () => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS });
    await store(pair);
    const active = await pair.inSync();
    await pair.node(active).stop();
    expect(pair.logged('ha.kept')).toEqual([]);
    expect(await bytesOfReturn(pair, active)).toBeLessThan(BODY_BYTES / 2);
  });

  it('what it caught up with before, it has: nothing of that travels again', async () => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS });
    const active = await pair.inSync();
    const passive = otherOf(active);
    await pair.node(passive).kill();
    await store(pair);
    expect(await bytesOfReturn(pair, passive)).toBeGreaterThan(COUNT * BODY_BYTES);
    await pair.node(active).stop();
    expect(await bytesOfReturn(pair, active)).toBeLessThan(BODY_BYTES / 2);
  });
});
