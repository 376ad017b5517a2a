import { join } from 'node:path';

import Database from 'better-sqlite3';

import { PEER_VERSION } from '../../src/wire/pair.js';
import { closeRelays } from '../support/tcp-relay.js';
import { type Daemon, removeDaemons } from '../support/daemon.js';
import { LATER_FIELD, laterFormat, laterProgram } from '../support/later-program.js';
import {
  otherOf,
  type PairOfDaemons,
  pairOfDaemons,
  ROLES,
  type PairRole,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { LONG_TEST_MS } from '../support/patience.js';

let later = '';
const loads: PairLoad[] = [];

beforeAll(() => {
  later = laterProgram(1);
});

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  closeRelays();
});

afterAll(removeDaemons);

/** Two nodes of this program, in sync, under continuous load. */
async function pairUnderLoad(): Promise<{
  readonly pair: PairOfDaemons;
  readonly load: PairLoad;
}> {
  const pair = await pairOfDaemons({ direct: true });
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
  pair.programs.set(role, later);
  await pair.start(role);
  expect(await pair.inSync()).toBe(otherOf(role));
}

/** The link speaks that version. HTTP may show that there is a link before the log does. */
async function connectedBy(node: Daemon, version: number): Promise<void> {
  const last = (): unknown => node.logged('ha.connected').at(-1)?.['version'];
  await node.until(() => last() === version, `a link of version ${version} in the log`);
}

/** The format of a node's store, and how many of its requests have what only the later program knows. */
function stored(pair: PairOfDaemons, role: PairRole): { format: number; marked: number } {
  const db = new Database(join(pair.dataDirOf(role), 'titanic.db'), { readonly: true });
  try {
    const marked = db.prepare('SELECT count(*) FROM requests WHERE instr(extra, ?) > 0').pluck();
    const format = Number(db.pragma('user_version', { simple: true }));
    return { format, marked: Number(marked.get(Buffer.from(LATER_FIELD))) };
  } finally {
    db.close();
  }
}

describe('a pair is upgraded node by node to a program of the next version', () => {
  // The backup dials. Each case upgrades the other node first.
  for (const first of ROLES) {
    it(
      `the ${first} first: it serves, the other one does again, nothing is lost`,
      async () => {
        const second = otherOf(first);
        const { pair, load } = await pairUnderLoad();
        await upgrade(pair, first);
        await load.progress();
        await pair.switchedOver(second);
        expect(await pair.inSync()).toBe(first);
        await load.progress();
        for (const from of [first, second]) {
          await pair.switchedOver(from);
          expect(await pair.inSync()).toBe(otherOf(from));
          await load.progress();
        }
        await connectedBy(pair.node(first), PEER_VERSION);
        // The one that does not know the field has it, and hands it on.
        const { format, marked } = stored(pair, second);
        expect([format, marked > 0]).toEqual([laterFormat(0), true]);
        await upgrade(pair, second);
        await load.progress();
        await connectedBy(pair.node(first), PEER_VERSION + 1);
        await expectNothingLost(pair, load);
        const rest = ROLES.map((role) => stored(pair, role));
        expect(rest.map((each) => each.format)).toEqual([laterFormat(1), laterFormat(1)]);
        expect(new Set(rest.map((each) => each.marked)).size).toBe(1);
        expect(rest[0]?.marked).toBeGreaterThanOrEqual(marked);
      },
      LONG_TEST_MS,
    );
  }
});
