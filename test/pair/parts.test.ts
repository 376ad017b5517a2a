import { join } from 'node:path';

import Database from 'better-sqlite3';

import { Client } from '../../src/sdk/client.js';
import { SharedMap } from '../../src/sdk/map/shared-map.js';
import { freePortsInARow } from '../support/free-ports.js';
import { mapRowsIn } from '../support/map-rows.js';
import { PATIENCE_MS } from '../support/patience.js';
import { type PairOfDaemons, pairOfDaemons, removePairs, ROLES } from '../support/pair-daemons.js';

const LATER_PART = 200;
/** Far above every epoch that the pair has had. */
const LATER_EPOCH = 1000;

afterEach(removePairs);

function storeOf(pair: PairOfDaemons, role: (typeof ROLES)[number]): string {
  return join(pair.dataDirOf(role), 'titanic.db');
}

/** A record that an extension of a later version has stored, which the other node does not have yet. */
function storeLaterRecord(path: string): void {
  const db = new Database(path);
  db.exec(`INSERT INTO ranked SELECT NULL, ${LATER_PART}, x'6b', ${LATER_EPOCH}, 1, 0, x'00',
    ((openings + 1) << 32) - 1 FROM ledger`);
  db.close();
}

function laterRecordsIn(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('SELECT count(*) FROM ranked WHERE part = ?').pluck().get(LATER_PART);
  } finally {
    db.close();
  }
}

it('records of a part that no extension of a node serves are kept there, and come back (D115)', async () => {
  const port = await freePortsInARow(3);
  const listen = `tcp://127.0.0.1:${port}`;
  const pair = await pairOfDaemons({
    direct: true,
    setsOf: { primary: [`map.listen=${listen}`] },
  });
  for (const role of ROLES) await pair.start(role);
  if ((await pair.inSync()) === 'backup') await pair.switchedOver('backup');
  const map = new SharedMap({ endpoints: [listen] });
  const client = new Client({ endpoints: pair.endpoints, timeoutMs: PATIENCE_MS });
  try {
    await map.set('/shop/open', 'yes');
    // The backup has no map, and serves with what it keeps of the primary's.
    await pair.node('primary').kill();
    await client.submit('echo', 'once');
    await pair.start('primary');
    expect(await pair.inSync()).toBe('backup');
    await pair.switchedOver('backup');
    await map.set('/shop/closed', 'no');
    expect((await pair.rest()).differences).toEqual([]);
  } finally {
    await Promise.all([map.close(), client.close()]);
  }
  for (const role of ROLES) {
    const keys = mapRowsIn(storeOf(pair, role)).map(({ key }) => key);
    expect(keys).toEqual(['/shop/closed', '/shop/open']);
  }

  storeLaterRecord(storeOf(pair, 'primary'));
  for (const role of ROLES) await pair.start(role);
  const active = await pair.inSync();
  for (const role of ROLES) {
    expect(await pair.node(role).waitFor('store.part_kept')).toMatchObject({ part: LATER_PART });
  }
  // What changes such a record next has to be above it.
  expect((await pair.look(active))?.epoch).toBeGreaterThan(LATER_EPOCH);
  await pair.rest();
  for (const role of ROLES) expect(laterRecordsIn(storeOf(pair, role))).toBe(1);
});
