import Database from 'better-sqlite3';

import { setAsideAt } from '../../src/store/sqlite/file/set-aside.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { cursorFor } from '../../src/store/store.js';
import { accept, attempt, reply, uuidOf } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, StorePair } from '../support/store-pair.js';

const silent = (): void => {};
const BODY = { key: 'k', body: packed('1') };
const REPLY = { ...reply(3), reply: packed('ho') };

const directory = storeDirectory();

beforeEach(async () => {
  const user = await directory.open();
  await user.commit(
    accept(1, BODY),
    accept(2, { body: packed('2') }),
    accept(3, { body: packed('3') }),
    REPLY,
    attempt(2, 1),
  );
  await user.close();
});

function damage(sql: string): void {
  const db = new Database(directory.file);
  const { changes } = db.prepare(sql).run();
  db.close();
  expect(changes).toBe(1);
}

function problems(): readonly string[] {
  return verifyStore(directory.file, silent).problems;
}

/** A bad row: the statement that damages that of request 1, and the uuids that are left. */
const DAMAGED: readonly (readonly [what: string, sql: string])[] = [
  ['a number of 2^53', 'UPDATE requests SET number = 9007199254740992 WHERE number = 1'],
  ['a number of 2^62', 'UPDATE requests SET number = 4611686018427387904 WHERE number = 1'],
  ['a due time of 9e15 ms', 'UPDATE requests SET not_before = 9000000000000000 WHERE number = 1'],
  ['a negative time', 'UPDATE requests SET accepted_at = -1 WHERE number = 1'],
  ['a generation of 2^53', 'UPDATE requests SET generation = 9007199254740992 WHERE number = 1'],
  ['a reply of -1 bytes', 'UPDATE requests SET reply_bytes = -1 WHERE number = 1'],
  ['an unknown state', 'UPDATE requests SET state = 7 WHERE number = 1'],
  ['an impossible transaction', 'UPDATE requests SET changed = 1 << 60 WHERE number = 1'],
];

describe('a row that cannot be used is set aside when the store is opened (D104):', () => {
  it.each(DAMAGED)('a request with %s', async (_what, sql) => {
    damage(sql);
    expect(problems().length).toBeGreaterThan(0);
    for (const start of [1, 2]) {
      const user = await directory.open();
      expect(user.recovered.counts).toMatchObject({ pending: 1, replied: 1 });
      expect(user.pending).toMatchObject([{ uuid: uuidOf(2) }]);
      expect(await user.lookUp(uuidOf(1))).toEqual({ state: 'absent' });
      expect(await user.commit(accept(10 + start, { key: `n${start}` }))).toEqual([
        { kind: 'done' },
      ]);
      await user.commit({ kind: 'close', uuid: uuidOf(10 + start), at: 1, keyUntil: 1, by: '' });
      expect(directory.aside).toHaveLength(start);
      await user.close();
    }
    expect(problems()).toEqual([expect.stringContaining('1 in set_aside_requests_1')]);
    expect(setAsideAt(directory.file)).toContain('1 in set_aside_bodies_1');
    const db = new Database(directory.file, { readonly: true });
    const rows = db.prepare(
      'SELECT uuid, length(body) AS bytes FROM set_aside_requests_1, set_aside_bodies_1',
    );
    expect(rows.all()).toEqual([{ uuid: uuidOf(1), bytes: expect.any(Number) }]);
    db.close();
  });

  it('an attempt that began at an impossible time, with its request', async () => {
    damage('UPDATE attempts SET started_at = 1 << 60');
    const user = await directory.open();
    expect(user.pending).toMatchObject([{ uuid: uuidOf(1) }]);
  });

  it('a remembered key, without any request', async () => {
    damage('UPDATE keys SET until = 1 << 60');
    const user = await directory.open();
    expect(user.recovered.counts).toMatchObject({ pending: 2, replied: 1 });
    expect(setAsideAt(directory.file)).toContain('1 in set_aside_keys_1');
  });

  it('what it belongs to is taken in again from the other node of the pair', async () => {
    const other = await directory.open(directory.apart('other'));
    await other.commit(accept(1, BODY));
    damage('UPDATE requests SET generation = 1 << 60 WHERE number = 1');
    const user = await directory.open();
    expect(await contentOf(user)).toHaveLength(2);
    expect(await user.commit(accept(1, BODY))).toEqual([{ kind: 'done' }]);
    expect(await contentOf(user)).toHaveLength(3);
  });

  it('the peer is asked for all that it has, of which this store no longer holds some', async () => {
    const [user, other] = [await directory.open(), await directory.open(directory.apart('other'))];
    const pair = new StorePair(user, other);
    expect(await pair.join(0, 10)).toBe(true);
    expect(await pair.join(1, 10)).toBe(true);
    await user.close();
    damage('UPDATE requests SET generation = 1 << 60 WHERE number = 1');
    const again = await directory.open();
    for (const chunk of await chunksFrom(other, cursorFor(again.recovered.holds))) {
      await mergeInto(again, chunk, true);
    }
    expect(await again.lookUp(uuidOf(1))).toMatchObject({ state: 'pending' });
    await again.close();
    expect((await directory.open()).recovered.holds).not.toMatchObject({ upTo: 0 });
  });

  it('a ledger whose numbers are out of range goes on above those of the requests', async () => {
    for (const sql of [
      'UPDATE ledger SET next_number = 9007199254740993',
      'UPDATE ledger SET next_number = 1',
      'UPDATE ledger SET openings = 1 << 40',
    ]) {
      damage(sql);
      const user = await directory.open();
      expect(user.recovered.counts.nextNumber).toBe(4);
      expect(Number.isSafeInteger(user.recovered.firstTransaction)).toBe(true);
      await user.close();
      expect(problems()).toEqual([]);
    }
  });

  it('a reply of an impossible time only loses its time', async () => {
    damage('UPDATE replies SET replied_at = 1 << 60');
    const user = await directory.open();
    expect(await user.lookUp(uuidOf(3))).toMatchObject({ state: 'replied' });
    const records = await contentOf(user);
    expect(JSON.stringify(records)).toContain(String(Date.UTC(10_000, 0) - 1));
  });

  it('without such rows nothing is written, and nothing is reported', async () => {
    const user = await directory.open();
    expect(user.pending).toHaveLength(2);
    expect(directory.aside).toEqual([]);
    expect(setAsideAt(directory.file)).toBe(null);
  });
});
