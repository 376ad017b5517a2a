import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from '../../src/sdk/client.js';
import { temporaryDirectory } from '../support/daemon.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  ROLES,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { until } from '../support/until.js';

/** Long: a hand-over does not fail because the machine is busy. */
const HEARTBEAT_MS = 2000;
const COUNT = 50;
const BODY_BYTES = 100_000;
const LARGE_BYTES = 12 * 1024 * 1024;

const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await removePairs();
});

async function store(
  { endpoints }: PairOfDaemons,
  count = COUNT,
  bodyBytes = BODY_BYTES,
): Promise<void> {
  const client = new Client({ endpoints, timeoutMs: 77_500 });
  clients.push(client);
  const body = Buffer.alloc(bodyBytes, 'x');
  const asked = Array.from({ length: count }, () =>
    client.request('titanic.request', ['nobody', body]),
  );
  for (const { frames } of await Promise.all(asked)) expect(String(frames[0])).toBe('200');
}

function bytesOfStore(pair: PairOfDaemons, role: PairRole): number {
  const paths = ['', '-wal'].map((ending) => join(pair.dataDirOf(role), `titanic.db${ending}`));
  return Math.max(...paths.map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0));
}

/** Like a lost disk: with everything that remembers it. */
function removeStore(pair: PairOfDaemons, role: PairRole): void {
  for (const file of ['titanic.db', 'titanic.db-wal', 'titanic.db-shm', 'store.json']) {
    rmSync(join(pair.dataDirOf(role), file), { force: true });
  }
}

/** Bytes on the link until a node that was stopped is in sync again. */
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

describe('a link that takes longer than two heartbeats to carry one request', () => {
  it.each(ROLES)('brings the other one back in sync, the %s being active (§6)', async (role) => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: 1000 });
    if ((await pair.inSync()) !== role) {
      await pair.switchedOver(otherOf(role));
      expect(await pair.inSync()).toBe(role);
    }
    const node = pair.node(role);
    const client = new Client({ endpoints: pair.endpoints, timeoutMs: 77_500 });
    clients.push(client);
    let givenUp = 1;
    // A busy machine alone may silence the link for half a heartbeat, but not every time.
    for (let tries = 1; givenUp > 0 && tries <= 3; tries++) {
      const ended = node.logged('ha.disconnected').length;
      await pair.node(otherOf(role)).kill();
      // Stored once, also if the client has to ask again.
      const idempotencyKey = `try ${tries}`;
      await client.submit('nobody', Buffer.alloc(LARGE_BYTES, 'x'), { idempotencyKey });
      await node.waitFor('ha.disconnected', ended + 1);
      const before = pair.logged('ha.disconnected').length;
      pair.link.bytesPerSecond = LARGE_BYTES / ((4 * pair.heartbeatIntervalMs) / 1000);
      const merges = node.logged('ha.merged').length;
      await pair.start(otherOf(role));
      expect(await pair.inSync()).toBe(role);
      const merged = await node.waitFor('ha.merged', merges + 1);
      givenUp = pair.logged('ha.disconnected').length - before;
      // A link that broke may have carried it before.
      if (givenUp === 0) expect(merged['toPeer']).toBe(1);
    }
    expect(givenUp).toBe(0);
  });
});

describe('limits.messageBytes', () => {
  it('raised by SIGHUP: a message that only the new limit allows is on both disks', async () => {
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    writeFileSync(file, 'limits: { messageBytes: 1MiB }\n');
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS, file });
    writeFileSync(file, 'limits: { messageBytes: 64MiB }\n');
    for (const role of ROLES) pair.node(role).signal('SIGHUP');
    for (const role of ROLES) await pair.node(role).waitFor('config.reloaded');
    const client = new Client({ endpoints: pair.endpoints, timeoutMs: 620_000 });
    clients.push(client);
    const idempotencyKey = 'once';
    await client.submit('nobody', Buffer.alloc(3 * LARGE_BYTES, 'x'), { idempotencyKey });
    await pair.inSync();
    const { differences, uuids } = await pair.rest();
    expect(differences).toEqual([]);
    expect(uuids.size).toBe(1);
    // Lowering the limit again does not keep stored requests from the peer, either.
    writeFileSync(file, 'limits: { messageBytes: 1MiB }\n');
    for (const file of ['titanic.db', 'store.json']) rmSync(join(pair.dataDirOf('backup'), file));
    await Promise.all(ROLES.map((role) => pair.start(role)));
    await pair.inSync();
    expect((await pair.rest()).differences).toEqual([]);
  });
});

describe('SIGTERM', () => {
  it('ends a node that is catching up with 0: it catches up again after its restart', async () => {
    const pair = await startPairOfDaemons();
    const active = await pair.inSync();
    const passive = otherOf(active);
    await pair.node(passive).kill();
    // Small requests: a chunk of them takes the disk longer than the link.
    await store(pair, 10_000, 10);
    for (let times = 0; times < 2; times++) {
      const node = await pair.start(passive);
      await until(() => bytesOfStore(pair, passive) >= 500_000, 'half a megabyte is stored');
      expect(await node.stop()).toMatchObject({ status: 0 });
      // Everything that it received is sent again.
      if (times === 0) removeStore(pair, passive);
    }
    await pair.start(passive);
    expect(await pair.inSync()).toBe(active);
    expect((await pair.rest()).differences).toEqual([]);
  });
});

describe('a peer that returns (D20)', () => {
  it('after it handed over in sync, no stored body is sent, and none again after it caught up', async () => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS });
    await store(pair);
    const first = await pair.inSync();
    await pair.node(first).stop();
    expect(pair.logged('ha.kept')).toEqual([]);
    expect(await bytesOfReturn(pair, first)).toBeLessThan(BODY_BYTES / 2);
    const active = await pair.inSync();
    const passive = otherOf(active);
    await pair.node(passive).kill();
    await store(pair);
    expect(await bytesOfReturn(pair, passive)).toBeGreaterThan(COUNT * BODY_BYTES);
    await pair.node(active).stop();
    expect(await bytesOfReturn(pair, active)).toBeLessThan(BODY_BYTES / 2);
  });

  it('without its store ends with 74; with --new-store it gets everything from its peer', async () => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS });
    await store(pair);
    const active = await pair.inSync();
    const passive = otherOf(active);
    await pair.node(passive).stop();
    rmSync(join(pair.dataDirOf(passive), 'titanic.db'));
    const refused = pair.launch(passive);
    expect(await refused.finished()).toMatchObject({ status: 74 });
    expect(refused.stderr).toContain('it is missing');
    const node = pair.launch(passive, [], true);
    await node.waitFor('store.renewed');
    expect(await pair.inSync()).toBe(active);
    const { differences, uuids } = await pair.rest();
    expect(differences).toEqual([]);
    expect(uuids.size).toBe(COUNT);
  });
});
