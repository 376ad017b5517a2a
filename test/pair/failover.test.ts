import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';

import type { ClientOptions } from '../../src/sdk/client.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairOptions,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';

/** A hand-over does not fail because the machine is busy. */
const PATIENT: PairOptions = { heartbeatIntervalMs: 2000 };

const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await removePairs();
});

async function loadedPair(
  options: PairOptions = {},
  client: Partial<ClientOptions> = {},
): Promise<{ readonly pair: PairOfDaemons; readonly load: PairLoad }> {
  const pair = await startPairOfDaemons(options);
  const load = new PairLoad(pair.endpoints, client);
  loads.push(load);
  load.start();
  await load.progress();
  return { pair, load };
}

describe('a pair of processes (§6)', () => {
  it('kill -9 of the active under load: the other serves by a client’s vote, nothing is lost', async () => {
    const { pair, load } = await loadedPair();
    const active = await pair.inSync();
    const other = otherOf(active);
    await pair.node(active).kill();
    await load.progress();
    await pair.until(other, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
    await pair.start(active);
    expect(await pair.inSync()).toBe(other);
    await load.progress();
    await expectNothingLost(pair, load);
    expect(pair.logged('ha.split')).toEqual([]);
  });

  it('kill -9 of the passive: the active carries on alone, and takes it back', async () => {
    const { pair, load } = await loadedPair();
    const active = await pair.inSync();
    await pair.node(otherOf(active)).kill();
    await load.progress();
    const alone = await pair.until(active, 'alone', ({ inSync }) => !inSync);
    expect(alone).toMatchObject({ state: 'active' });
    await load.progress();
    await pair.start(otherOf(active));
    expect(await pair.inSync()).toBe(active);
    await expectNothingLost(pair, load);
  });

  it('an active node that is stopped for ten heartbeats comes back as the passive node (D19)', async () => {
    const { pair, load } = await loadedPair();
    const active = await pair.inSync();
    const other = otherOf(active);
    pair.node(active).signal('SIGSTOP');
    const stoppedAt = performance.now();
    await pair.until(other, 'active', ({ state }) => state === 'active');
    await load.progress();
    await pause(Math.max(0, 10 * pair.heartbeatIntervalMs - (performance.now() - stoppedAt)));
    pair.node(active).signal('SIGCONT');
    await pair.node(active).waitFor('ha.paused');
    expect(await pair.inSync()).toBe(other);
    await load.progress();
    await expectNothingLost(pair, load);
  });

  it.each(['reset', 'frozen', 'toServer', 'toClient'] as const)(
    'a link that is cut (%s) while both live: both serve, then one, with both histories (D17)',
    async (cut) => {
      const { pair, load } = await loadedPair();
      const active = await pair.inSync();
      const other = otherOf(active);
      // A client that reaches only the passive node makes it serve.
      const stray = new PairLoad([pair.endpointOf(other)]);
      loads.push(stray);
      pair.link.set(cut);
      stray.start();
      await pair.until(other, 'active', ({ state }) => state === 'active');
      await Promise.all([stray.progress(), load.progress()]);
      await pair.until(active, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
      await stray.stop();
      pair.link.set('open');
      await pair.inSync();
      await pair.untilLogged('ha.split');
      for (const [uuid, reply] of stray.open) load.open.set(uuid, reply);
      for (const uuid of stray.closed) load.closed.add(uuid);
      expect(stray.errors).toEqual([]);
      await stray.close();
      await expectNothingLost(pair, load);
    },
  );

  it('a switchover and a second one back cause no error at a client', async () => {
    const { pair, load } = await loadedPair(PATIENT, { retries: 3 });
    const first = await pair.inSync();
    await pair.switchedOver(first);
    await load.progress();
    expect(await pair.inSync()).toBe(otherOf(first));
    await pair.switchedOver(otherOf(first));
    await load.progress();
    expect(await pair.inSync()).toBe(first);
    await expectNothingLost(pair, load);
    expect(pair.logged('ha.split')).toEqual([]);
  });

  it('SIGTERM of the active hands over and ends with 0, without an error at a client', async () => {
    const { pair, load } = await loadedPair(PATIENT);
    const active = await pair.inSync();
    const { status } = await pair.node(active).stop();
    expect(status).toBe(0);
    await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
    expect(pair.logged('ha.kept')).toEqual([]);
    await load.progress();
    await pair.start(active);
    expect(await pair.inSync()).toBe(otherOf(active));
    await expectNothingLost(pair, load);
  });

  it('a rolling upgrade by switchover: each node restarts while passive, without an error at a client', async () => {
    const { pair, load } = await loadedPair(PATIENT, { retries: 3 });
    for (let turn = 0; turn < 2; turn++) {
      const active = await pair.inSync();
      const passive = otherOf(active);
      await pair.node(passive).stop();
      await load.progress();
      await pair.start(passive);
      expect(await pair.inSync()).toBe(active);
      await pair.switchedOver(active);
      await load.progress();
      expect(await pair.inSync()).toBe(passive);
    }
    await expectNothingLost(pair, load);
    expect(pair.logged('ha.split')).toEqual([]);
  });
});
