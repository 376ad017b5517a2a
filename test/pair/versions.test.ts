import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';

import { closeRelays } from '../support/tcp-relay.js';
import { type Daemon, removeDaemons } from '../support/daemon.js';
import { builtProgram } from '../support/old-program.js';
import {
  otherOf,
  type PairOfDaemons,
  pairOfDaemons,
  ROLES,
  type PairRole,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { itWithTool, toolAvailable } from '../support/tools.js';
import { LONG_TEST_MS } from '../support/patience.js';

/** The last release that speaks only version 1 of the peer protocol. */
const COMMIT = '86a78c1';
const TOOL = 'the history of this repository';

let old = '';
const loads: PairLoad[] = [];

beforeAll(() => {
  if (toolAvailable(TOOL)) old = builtProgram(COMMIT);
}, LONG_TEST_MS);

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  closeRelays();
});

afterAll(removeDaemons);

/** Two nodes of the old program, in sync, under continuous load. */
async function oldPair(): Promise<{ readonly pair: PairOfDaemons; readonly load: PairLoad }> {
  const pair = await pairOfDaemons({ direct: true });
  for (const role of ROLES) pair.programs.set(role, old);
  await Promise.all(ROLES.map((role) => pair.start(role)));
  await pair.inSync();
  const load = new PairLoad(pair.endpoints);
  loads.push(load);
  load.start();
  await load.progress();
  return { pair, load };
}

/** Once the node is passive. */
async function upgrade(pair: PairOfDaemons, role: PairRole): Promise<void> {
  if ((await pair.inSync()) === role) await pair.switchedOver(role);
  expect((await pair.node(role).stop()).status).toBe(0);
  pair.programs.delete(role);
  await pair.start(role);
  expect(await pair.inSync()).toBe(otherOf(role));
}

/** The link speaks that version. HTTP may show that there is a link before the log does. */
async function connectedBy(node: Daemon, version: number): Promise<void> {
  const last = (): unknown => node.logged('ha.connected').at(-1)?.['version'];
  await node.until(() => last() === version, `a link of version ${version} in the log`);
}

describe('a pair is upgraded node by node from a program that speaks version 1', () => {
  // The backup dials. Each case upgrades the other node first.
  for (const first of ROLES) {
    itWithTool(
      TOOL,
      `the ${first} first: it serves, the old one does again, nothing is lost`,
      async () => {
        const { pair, load } = await oldPair();
        await upgrade(pair, first);
        await load.progress();
        for (const from of [otherOf(first), first, otherOf(first)]) {
          await pair.switchedOver(from);
          expect(await pair.inSync()).toBe(otherOf(from));
          await load.progress();
        }
        await connectedBy(pair.node(first), 1);
        await upgrade(pair, otherOf(first));
        await load.progress();
        await connectedBy(pair.node(first), 2);
        await expectNothingLost(pair, load);
      },
    );
  }
});
