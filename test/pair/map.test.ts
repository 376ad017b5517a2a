import { join } from 'node:path';

import { changedProgram } from '../support/later-program.js';
import { contentOf, MapLoad, pairWithMap } from '../support/map-load.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairOptions,
  removePairs,
  ROLES,
} from '../support/pair-daemons.js';
import { mapRowsIn } from '../support/map-rows.js';
import { until } from '../support/until.js';

/** A hand-over does not fail because the machine is busy. */
const PATIENT: PairOptions = { heartbeatIntervalMs: 2000 };

const loads: MapLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await removePairs();
});

async function loadedPair(
  options: PairOptions = {},
): Promise<{ readonly pair: PairOfDaemons; readonly load: MapLoad }> {
  const { pair, maps } = await pairWithMap(options);
  const load = new MapLoad(maps);
  loads.push(load);
  load.start();
  await load.progress();
  return { pair, load };
}

/** Every change that resolved is at both nodes and on both disks. */
async function expectNothingLost(pair: PairOfDaemons, load: MapLoad): Promise<void> {
  await load.stop();
  expect(load.errors).toEqual([]);
  await pair.atBoth(async () => {
    await load.reader.synced;
    await until(() => load.wrong(contentOf(load.reader)).length === 0, 'the reader is right');
  });
  await load.close();
  expect(load.errors).toEqual([]);
  const { differences } = await pair.rest();
  expect(differences).toEqual([]);
  for (const role of ROLES) {
    const rows = mapRowsIn(join(pair.dataDirOf(role), 'titanic.db'));
    const stored = rows.map(({ key, value }) => [key, String(value)] as const);
    expect(load.wrong(new Map(stored))).toEqual([]);
  }
}

describe('the map of a pair of processes (D53)', () => {
  it('kill -9 of the active under load, then of the passive: writers and readers go on, nothing is lost', async () => {
    const { pair, load } = await loadedPair();
    const first = await pair.inSync();
    const second = otherOf(first);
    await pair.node(first).kill();
    await load.progress();
    await pair.until(second, 'alone', ({ state }) => state === 'active');
    await pair.start(first);
    expect(await pair.inSync()).toBe(second);
    await load.progress();
    await pair.node(first).kill();
    await load.progress();
    await pair.start(first);
    expect(await pair.inSync()).toBe(second);
    await load.progress();
    await expectNothingLost(pair, load);
  });

  it('an active node that is stopped until the other serves comes back as the passive one', async () => {
    const { pair, load } = await loadedPair();
    const active = await pair.inSync();
    pair.node(active).signal('SIGSTOP');
    await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
    await load.progress();
    pair.node(active).signal('SIGCONT');
    await pair.node(active).waitFor('ha.paused');
    expect(await pair.inSync()).toBe(otherOf(active));
    await load.progress();
    await expectNothingLost(pair, load);
  });

  it('a link that is cut while both live, in each way: nothing is lost', async () => {
    const { pair, load } = await loadedPair();
    for (const cut of ['reset', 'frozen', 'toServer', 'toClient'] as const) {
      const active = await pair.inSync();
      pair.link.set(cut);
      await pair.until(active, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
      await load.progress();
      pair.link.set('open');
      await pair.inSync();
      await load.progress();
    }
    await expectNothingLost(pair, load);
  });

  it('beside a node that compares no numbers, as 0.1.0, each leads in turn: nothing is lost (D121)', async () => {
    const older = changedProgram((change) => {
      change('wire/chp-client.js', 'return uuid.startsWith(MARK, MARK_AT)', 'return false');
    });
    const { pair, load } = await loadedPair(PATIENT);
    const newer = await pair.inSync();
    const other = otherOf(newer);
    expect((await pair.node(other).stop()).status).toBe(0);
    pair.programs.set(other, older);
    await pair.start(other);
    await pair.inSync();
    await load.progress();
    for (const from of [newer, other]) {
      await pair.switchedOver(from);
      await load.progress();
    }
    expect(await pair.inSync()).toBe(newer);
    await expectNothingLost(pair, load);
  });

  it('a switchover, and SIGTERM of the active, hand the map over without an error', async () => {
    const { pair, load } = await loadedPair(PATIENT);
    const first = await pair.inSync();
    await pair.switchedOver(first);
    await load.progress();
    const second = await pair.inSync();
    expect((await pair.node(second).stop()).status).toBe(0);
    await load.progress();
    await pair.start(second);
    await pair.inSync();
    await expectNothingLost(pair, load);
  });
});
