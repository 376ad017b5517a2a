import { join } from 'node:path';

import { Client } from '../../src/sdk/client.js';
import { run } from '../support/child.js';
import { startDaemon } from '../support/daemon.js';
import {
  otherOf,
  type PairRole,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { PATIENCE_MS } from '../support/patience.js';

const cluster = sharedCluster();

afterEach(removePairs);

/** Stores a request. @returns its uuid */
async function store(endpoint: string): Promise<string> {
  const client = new Client({ endpoints: [endpoint], timeoutMs: 55_000 });
  try {
    return (await client.submit('later', 'x')).uuid;
  } finally {
    await client.close();
  }
}

async function answer(url: string, uuid: string): Promise<string> {
  const daemon = await startDaemon({ sets: [`titanic.store=${url}`] });
  const client = new Client({ endpoints: [daemon.endpoint], timeoutMs: PATIENCE_MS });
  try {
    return (await client.request('titanic.reply', [uuid])).text();
  } finally {
    await client.close();
    await daemon.stop();
  }
}

describeWithPostgres('majordomo migrate, of a pair', () => {
  it('moves the file of the active node after a switchover in sync, not the other one', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const pair = await startPairOfDaemons();
    const before = await pair.inSync();
    const after = otherOf(before);
    const first = await store(pair.endpointOf(before));
    await pair.switchedOver(before);
    expect((await pair.node(before).stop()).status).toBe(0);
    const second = await store(pair.endpointOf(after));
    expect((await pair.node(after).stop()).status).toBe(0);
    const fileOf = (role: PairRole): string => join(pair.dataDirOf(role), 'titanic.db');
    const args = ['--to', url];
    const refused = await run(['migrate', '--from', fileOf(before), ...args]);
    expect([refused.status, refused.stderr]).toEqual([
      78,
      expect.stringContaining('the other node of its pair was active last'),
    ]);
    const moved = await run(['migrate', '--from', fileOf(after), ...args, '-o', 'json']);
    expect([moved.status, moved.stderr]).toEqual([
      0,
      expect.stringContaining('the other node must be stopped'),
    ]);
    expect(JSON.parse(moved.stdout)).toMatchObject({ pending: 2 });
    expect(await answer(url, first)).toBe('300');
    expect(await answer(url, second)).toBe('300');
  });

  it('refuses the file of a node that served alone, without --force', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const pair = await startPairOfDaemons();
    const dead = await pair.inSync();
    const alone = otherOf(dead);
    await pair.node(dead).kill();
    const uuid = await store(pair.endpointOf(alone));
    await pair.node(alone).stop();
    const args = ['migrate', '--from', join(pair.dataDirOf(alone), 'titanic.db'), '--to', url];
    const refused = await run(args);
    expect([refused.status, refused.stderr]).toEqual([
      78,
      expect.stringMatching(/not in sync .*ha switchover.*--force/),
    ]);
    const forced = await run([...args, '--force']);
    expect([forced.status, forced.stderr]).toEqual([
      0,
      expect.stringContaining('only what is in this file is moved'),
    ]);
    expect(await answer(url, uuid)).toBe('300');
  });
});
