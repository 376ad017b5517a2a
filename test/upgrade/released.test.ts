/**
 * A released version and this one, together and one after the other: `MAJORDOMO_RELEASED=DIRECTORY npm run test:upgrade`.
 * In that directory is a clone of the released version, after its `npm run build:test`.
 */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { present } from '../../src/core/assert.js';
import { run } from '../support/child.js';
import { HTTP, Post } from '../support/durable-commands.js';
import { endAll, endUsers, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import {
  otherOf,
  type PairOfDaemons,
  pairOfDaemons,
  ROLES,
  type PairRole,
} from '../support/pair-daemons.js';
import { PairLoad, type Sdk } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { LONG_TEST_MS } from '../support/patience.js';

const directory = present(process.env['MAJORDOMO_RELEASED'], 'MAJORDOMO_RELEASED=DIRECTORY');
const built = (path: string): string => resolve(directory, 'build', path);
const released = built('program/main.js');
/** Group of a request that only this version knows as such. */
const GROUP = 'tenant-7';

const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await endAll();
});

/** The SDK of the released version. */
async function releasedSdk(): Promise<Sdk> {
  const part = async (name: string): Promise<Partial<Sdk>> =>
    (await import(pathToFileURL(built(`src/sdk/${name}.js`)).href)) as Partial<Sdk>;
  const { Client } = await part('client');
  const { Worker } = await part('worker');
  return { Client: present(Client, 'a client'), Worker: present(Worker, 'a worker') };
}

/** Two nodes of the released version, in sync, with clients and workers of both versions. */
async function releasedPair(): Promise<{ pair: PairOfDaemons; progress: () => Promise<void> }> {
  const pair = await pairOfDaemons({ direct: true });
  for (const role of ROLES) pair.programs.set(role, released);
  await Promise.all(ROLES.map((role) => pair.start(role)));
  await pair.inSync();
  loads.push(new PairLoad(pair.endpoints), new PairLoad(pair.endpoints, {}, await releasedSdk()));
  for (const load of loads) load.start();
  const progress = async (): Promise<void> => {
    await Promise.all(loads.map((load) => load.progress()));
    expect(loads.flatMap(({ errors }) => errors)).toEqual([]);
  };
  await progress();
  return { pair, progress };
}

/** Restarts a node with a program, of this version by default, while it is passive. */
async function replace(pair: PairOfDaemons, role: PairRole, program?: string): Promise<void> {
  if ((await pair.inSync()) === role) await pair.switchedOver(role);
  expect((await pair.node(role).stop()).status).toBe(0);
  if (program === undefined) pair.programs.delete(role);
  else pair.programs.set(role, program);
  await pair.start(role);
  expect(await pair.inSync()).toBe(otherOf(role));
}

async function both(load: PairLoad, other: PairLoad, pair: PairOfDaemons): Promise<void> {
  await other.stop();
  await load.stop();
  // One proof for all receipts.
  for (const [uuid, reply] of other.open) load.open.set(uuid, reply);
  for (const uuid of other.closed) load.closed.add(uuid);
  await other.close();
  await expectNothingLost(pair, load);
}

describe('a pair under load of clients and workers of both versions', () => {
  for (const first of ROLES) {
    it(
      `is upgraded, the ${first} first, goes back, and is upgraded again: no error, nothing is lost`,
      async () => {
        const second = otherOf(first);
        const { pair, progress } = await releasedPair();
        await replace(pair, first);
        await progress();
        for (const from of [second, first]) {
          await pair.switchedOver(from);
          expect(await pair.inSync()).toBe(otherOf(from));
          await progress();
        }
        await replace(pair, first, released);
        await progress();
        await replace(pair, first);
        await progress();
        await replace(pair, second);
        await progress();
        await pair.switchedOver(first);
        expect(await pair.inSync()).toBe(second);
        await progress();
        const [load, other] = loads;
        await both(present(load, 'a load'), present(other, 'another'), pair);
      },
      LONG_TEST_MS,
    );
  }
});

describe('a store of one node', () => {
  const started = async (dataDir: string, program?: string): Promise<Daemon> =>
    await startDaemon({ dataDir, sets: [HTTP], ...(program === undefined ? {} : { program }) });

  it('that the released version wrote, is opened by this one, by that one, and by this one again', async () => {
    const dataDir = temporaryDirectory();
    const replies = new Map<string, string>();
    let grouped = '';
    for (const program of [released, undefined, released, undefined]) {
      const daemon = await started(dataDir, program);
      const post = new Post(daemon);
      const { client } = post;
      serve(daemon, 'upper', upper);
      for (const [uuid, reply] of replies) {
        expect((await client.job(uuid).result()).text()).toBe(reply);
      }
      const text = `of ${program === undefined ? 'this' : 'that'} version, ${replies.size}`;
      const job = await client.submit('upper', text);
      expect((await job.result()).text()).toBe(text.toUpperCase());
      replies.set(job.uuid, text.toUpperCase());
      if (program === undefined && grouped === '') {
        grouped = (await client.submit('nobody', 'x', { group: GROUP })).uuid;
      } else if (program === undefined) {
        const { stdout, stderr } = await post.durable('show', grouped, '-o', 'json');
        expect(stderr).toBe('');
        expect(JSON.parse(stdout)).toMatchObject({ group: GROUP });
      }
      await endUsers();
      expect((await daemon.stop()).status).toBe(0);
    }
    const { status, stderr } = await run(['verify', join(dataDir, 'titanic.db')]);
    expect([status, stderr]).toEqual([0, '']);
  });
});
