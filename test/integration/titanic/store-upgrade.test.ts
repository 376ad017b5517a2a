import { readFileSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';

import { APPLICATION_ID, readMigrations } from '../../../src/titanic/io/schema.js';
import { backupStore } from '../../../src/titanic/io/backup.js';
import { verifyStore } from '../../../src/titanic/io/verify.js';
import { readFrom } from '../../../src/titanic/store.js';
import { accept, NOON, reply, sweep, uuidOf } from '../../support/store-changes.js';
import { StoreDirectory } from '../../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, recordsIn } from '../../support/store-pair.js';

const FIRST = new URL('../../../src/titanic/io/migrations/0001-requests.sql', import.meta.url);
const silent = (): void => {};

/** A store as the first version left it: one pending, one replied, one dead, one closed with a key. */
function makeFirst(path: string): void {
  const db = new Database(path);
  db.pragma('auto_vacuum = INCREMENTAL');
  db.pragma(`application_id = ${APPLICATION_ID}`);
  db.exec(readFileSync(FIRST, 'utf8'));
  db.pragma('user_version = 1');
  const request = db.prepare(
    `INSERT INTO requests VALUES (?, ?, CAST('echo' AS BLOB), ?, ?, 0, 0, ${NOON}, ${NOON},
      ${NOON + 1000}, 10, ?, ?, 3)`,
  );
  const body = db.prepare('INSERT INTO bodies VALUES (?, ?)');
  for (const [number, key, state, attempts] of [
    [1, 'k', 1, 1],
    [2, null, 2, 0],
    [7, null, 3, 0],
  ] as const) {
    const keyBytes = key === null ? null : Buffer.from(key);
    request.run(number, uuidOf(number), keyBytes, state, attempts, attempts);
    body.run(number, packed('x'));
  }
  db.exec(`INSERT INTO attempts VALUES (1, 1, 'w', ${NOON}, ${NOON}, 'lost')`);
  db.prepare(`INSERT INTO replies VALUES (2, ?, 'w', ${NOON})`).run(packed('y'));
  db.exec(`INSERT INTO deaths VALUES (7, 'worn out', ${NOON})`);
  const key = db.prepare("INSERT INTO keys VALUES (CAST('echo' AS BLOB), ?, ?, ?)");
  key.run(Buffer.from('k'), uuidOf(1), null);
  key.run(Buffer.from('old'), uuidOf(6), NOON + 5000);
  db.exec('UPDATE ledger SET next_number = 9, pending = 1, replied = 1, dead = 1');
  db.pragma('journal_mode = WAL');
  db.close();
}

describe('a store of the first version', () => {
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
    makeFirst(directory.file);
  });
  afterEach(async () => {
    await directory.remove();
  });

  it('is read, and copied, as it is: its file stays of that version', async () => {
    const counts = { version: 1, pending: 1, replied: 1, dead: 1, keys: 2, problems: [] };
    expect(verifyStore(directory.file, silent)).toMatchObject(counts);
    const copy = `${directory.file}-copy`;
    await backupStore(directory.file, copy, silent);
    expect(verifyStore(copy, silent)).toMatchObject(counts);
    const user = await directory.open(copy);
    expect(user.recovered.storeId).toHaveLength(16);
    expect(user.pending).toHaveLength(1);
  });

  it('has all that it had when it was opened, is whole, and goes on', async () => {
    const user = await directory.open();
    expect(user.recovered.counts).toMatchObject({ pending: 1, replied: 1, dead: 1, nextNumber: 9 });
    expect(user.pending).toMatchObject([{ uuid: uuidOf(1), number: 1, attempts: 1 }]);
    expect(await user.load(uuidOf(1))).toEqual([packed('x')]);
    expect(await user.lookUp(uuidOf(2))).toEqual({ state: 'replied', reply: packed('y') });
    expect(await user.lookUp(uuidOf(7))).toEqual({ state: 'dead', reason: 'worn out' });
    expect(
      await user.commit(accept(20, { key: 'k' }), accept(21, { key: 'old' }), reply(1), accept(22)),
    ).toMatchObject([
      { kind: 'known', uuid: uuidOf(1) },
      { kind: 'known', uuid: uuidOf(6) },
      { kind: 'done' },
      { kind: 'done' },
    ]);
    expect(await user.commit(sweep(NOON + 1000))).toMatchObject([{ replied: 1, dead: 1 }]);
    await user.close();
    const { version, problems, keys } = verifyStore(directory.file, silent);
    const newest = readMigrations().length;
    expect({ version, problems, keys }).toEqual({ version: newest, problems: [], keys: 2 });
  });

  it('can be one of a pair: what was there goes to the other, in pieces, and once', async () => {
    const user = await directory.open();
    const other = await directory.open(`${directory.file}-other`);
    const chunks = await chunksFrom(user, readFrom(null), 1);
    expect(chunks.length).toBeGreaterThan(2);
    for (const chunk of chunks) await mergeInto(other, chunk, true);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    expect((await contentOf(user)).map(({ kind }) => kind)).toEqual([
      'key',
      'request',
      'request',
      'request',
    ]);
    const { upTo } = chunks.at(-1)?.holds ?? { upTo: 0 };
    await user.commit(accept(30, { body: packed('new') }));
    const [rest] = await chunksFrom(user, readFrom({ upTo, bodiesUpTo: upTo }));
    expect(rest && recordsIn(rest)).toMatchObject([{ request: { uuid: uuidOf(30) } }]);
  });
});

describe('a backup', () => {
  it('is another store: its id is its own', async () => {
    const directory = new StoreDirectory();
    const user = await directory.open();
    await user.commit(accept(1));
    const copy = `${directory.file}-copy`;
    await backupStore(directory.file, copy, silent);
    const { storeId } = (await directory.open(copy)).recovered;
    expect(storeId).toHaveLength(16);
    expect(storeId).not.toEqual(user.recovered.storeId);
    await directory.remove();
  });
});
