import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';

import { readMigrations } from '../../src/titanic/io/file/schema.js';
import { backupStore } from '../../src/titanic/io/file/backup.js';
import { verifyStore } from '../../src/titanic/io/file/verify.js';
import { packFailure } from '../../src/titanic/store/failure-codec.js';
import { FAILURE, putBytes } from '../../src/titanic/store/fields.js';
import { PackWriter } from '../../src/titanic/store/packing.js';
import { keyBytes, type Owner, readFrom } from '../../src/titanic/store/store.js';
import { accept, attempt, dead, NOON, reply, sweep, uuidOf } from '../support/store-changes.js';
import { makeOlderStore } from '../support/older-store.js';
import { StoreDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, recordsIn } from '../support/store-pair.js';

/** Written by the program of the commit 86a78c1, the last one without owners. */
const THIRD = fileURLToPath(new URL('../../../test/disk/stores/version-3.db.gz', import.meta.url));
/** Written by the program of the commit 1c6e109, the last one that kept counts in the file. */
const SIXTH = fileURLToPath(new URL('../../../test/disk/stores/version-6.db.gz', import.meta.url));
const silent = (): void => {};
/** What a key of `echo` counts for. */
const sizeOf = (key: string): number => keyBytes(Buffer.from('echo'), Buffer.from(key));

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('a store of version %i', (from) => {
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
    makeOlderStore(directory.file, from);
  });
  afterEach(async () => {
    await directory.remove();
  });

  it('is read and copied without an upgrade: its file keeps that version', async () => {
    const counts = { version: from, pending: 1, replied: 1, dead: 1, keys: 2, problems: [] };
    expect(verifyStore(directory.file, silent)).toMatchObject(counts);
    const copy = `${directory.file}-copy`;
    await backupStore(directory.file, copy, silent);
    expect(verifyStore(copy, silent)).toMatchObject(counts);
    const user = await directory.open(copy);
    expect(user.recovered.storeId).toHaveLength(16);
    expect(user.pending).toHaveLength(1);
  });

  it('keeps all its content when it is opened, is intact, and accepts more', async () => {
    const user = await directory.open();
    expect(user.recovered.counts).toMatchObject({ pending: 1, replied: 1, dead: 1, nextNumber: 9 });
    const services = [
      { service: Buffer.from('echo'), pending: 1, retrying: 1, replied: 1, dead: 1 },
    ];
    expect(user.recovered.counts.services).toEqual(services);
    expect(user.pending).toMatchObject([{ uuid: uuidOf(1), number: 1, attempts: 1 }]);
    expect(await user.load(uuidOf(1))).toEqual([packed('x')]);
    expect(await user.lookUp(uuidOf(2))).toMatchObject({ state: 'replied', reply: packed('y') });
    expect(await user.lookUp(uuidOf(7))).toMatchObject({ state: 'dead', reason: 'worn out' });
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

  it('keeps what workers say about failed attempts from then on, and sends it to the other node', async () => {
    const user = await directory.open();
    const failure = packFailure({ kind: 'error', code: 'E', text: 'no', detail: [] });
    const failed = attempt(1, 2);
    const last = {
      ...failed,
      attempts: 3,
      attempt: { ...failed.attempt, reason: 'E: no', failure },
    };
    await user.commit(last, { ...dead(1), reason: 'E: no' });
    expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'dead', reason: 'E: no', failure });
    const other = await directory.open(directory.apart('other'));
    for (const chunk of await chunksFrom(user, readFrom(null))) await mergeInto(other, chunk, true);
    expect(await other.lookUp(uuidOf(1))).toMatchObject({ reason: 'E: no', failure });
    expect(await contentOf(other)).toEqual(await contentOf(user));
    const copy = `${directory.file}-copy`;
    await user.close();
    await backupStore(directory.file, copy, silent);
    const restored = await directory.open(copy);
    expect(await restored.lookUp(uuidOf(1))).toMatchObject({ reason: 'E: no', failure });
  });

  it('can join a pair: its content goes to the other node in pieces, once', async () => {
    const user = await directory.open();
    const other = await directory.open(directory.apart('other'));
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

describe('a store of the last version without failures, whose peer was newer', () => {
  const failure = packFailure({ kind: 'error', code: 'E', text: 'no', detail: [] });
  const LATER = 30;
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
    makeOlderStore(directory.file, 5);
  });
  afterEach(async () => {
    await directory.remove();
  });

  /** Fields that the version did not know, as it kept them with the attempt. */
  function keep(...fields: readonly (readonly [field: number, value: Buffer])[]): void {
    const db = new Database(directory.file);
    db.prepare('UPDATE attempts SET extra = ?').run(extraOf(...fields));
    db.close();
  }

  function extraOf(...fields: readonly (readonly [field: number, value: Buffer])[]): Buffer {
    const to = new PackWriter(64);
    for (const [field, value] of fields) putBytes(to, field, value);
    return to.takeBuffer();
  }

  async function attempts(): Promise<unknown> {
    const user = await directory.open();
    const records = await contentOf(user);
    return records.flatMap((record) => ('attempts' in record ? record.attempts : []));
  }

  it('has the failures that it received but did not understand', async () => {
    keep([FAILURE, failure]);
    expect(await attempts()).toMatchObject([{ reason: 'lost', failure, extra: null }]);
  });

  it('keeps what this version does not understand either', async () => {
    const later = Buffer.from('later');
    keep([FAILURE, failure], [LATER, later]);
    expect(await attempts()).toMatchObject([{ failure, extra: extraOf([LATER, later]) }]);
    expect(verifyStore(directory.file, silent).problems).toEqual([]);
  });

  it('leaves attempts without a failure alone', async () => {
    const extra = extraOf([LATER, Buffer.from('later')]);
    keep([LATER, Buffer.from('later')]);
    expect(await attempts()).toMatchObject([{ failure: null, extra }]);
  });

  it('has no failure for an attempt that did not fail: another node would refuse it', async () => {
    keep([FAILURE, Buffer.alloc(9000, 1)]);
    expect(await attempts()).toMatchObject([{ failure: null, extra: null }]);
  });
});

describe('a store that the last version without owners wrote', () => {
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
    writeFileSync(directory.file, gunzipSync(readFileSync(THIRD)));
  });
  afterEach(async () => {
    await directory.remove();
  });

  it('keeps all its content, without owners, and counts it', async () => {
    const user = await directory.open();
    const { counts } = user.recovered;
    expect(counts).toMatchObject({ pending: 1, replied: 1, dead: 1 });
    expect(counts.owners).toEqual([
      { owner: '', stored: 3, bytes: 5 + 5 + 5 + 7 + sizeOf('k') + sizeOf('old') },
    ]);
    expect(user.pending).toMatchObject([{ uuid: uuidOf(1), owner: '', isShared: false }]);
    const whose = { owner: '', isShared: false, service: Buffer.from('echo') };
    const yes = { state: 'replied', reply: packed('yes'), replyBytes: 5, ...whose };
    expect(await user.lookUp(uuidOf(2))).toEqual(yes);
    expect(await user.lookUp(uuidOf(4))).toEqual({ state: 'closed', by: [''] });
    expect(await user.lookUp(uuidOf(9))).toEqual({ state: 'closed', by: [''] });
    await user.close();
    const version = readMigrations().length;
    expect(verifyStore(directory.file, silent)).toMatchObject({ version, problems: [] });
  });

  it('its keys lead to their requests for any client; a client’s own keys come first (D70)', async () => {
    const user = await directory.open();
    const known = { kind: 'known', uuid: uuidOf(1) };
    const asks = (n: number, key: string, owner: Owner) => accept(n, { key, owner });
    expect(await user.commit(asks(20, 'k', 'key:alice'), asks(21, 'k', 'anonymous'))).toEqual([
      known,
      known,
    ]);
    const fresh = [asks(22, 'new', 'key:alice'), asks(23, 'new', 'key:bob')];
    expect((await user.commit(...fresh)).map(({ kind }) => kind)).toEqual(['done', 'done']);
  });

  it('asks the other node for all requests again, without bodies, to learn their owners', async () => {
    const user = await directory.open();
    const storeId = Buffer.alloc(16, 9);
    expect(user.recovered.holds).toEqual({ storeId, upTo: 0, bodiesUpTo: 66 });
  });
});

describe('a store that the last version with counts in the file wrote', () => {
  const echo = Buffer.from('echo');
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
    writeFileSync(directory.file, gunzipSync(readFileSync(SIXTH)));
  });
  afterEach(async () => {
    await directory.remove();
  });

  it('is read as it is, with the counts that it has', () => {
    const counts = { version: 6, pending: 2, replied: 1, dead: 1, keys: 2, problems: [] };
    expect(verifyStore(directory.file, silent)).toMatchObject(counts);
    const db = new Database(directory.file);
    db.exec('UPDATE ledger SET pending = 7');
    db.close();
    expect(verifyStore(directory.file, silent).problems.join()).toContain('the ledger says');
  });

  it.each([true, false])('keeps all its content; in a pair: %p', async (isPaired) => {
    const user = await directory.open(directory.file, false, isPaired);
    const { counts } = user.recovered;
    expect(counts).toMatchObject({ pending: 2, replied: 1, dead: 1, nextNumber: 10 });
    expect([...counts.owners].sort((a, b) => (a.owner < b.owner ? -1 : 1))).toEqual([
      { owner: 'anonymous', stored: 2, bytes: 5 + 5 + 7 + sizeOf('gone') },
      { owner: 'key:alice', stored: 1, bytes: 5 + sizeOf('k') },
      { owner: 'key:bob', stored: 1, bytes: 6 },
    ]);
    expect(counts.services).toEqual([
      { service: echo, pending: 1, retrying: 1, replied: 1, dead: 1 },
      { service: Buffer.from('other'), pending: 1, retrying: 0, replied: 0, dead: 0 },
    ]);
    expect(user.pending).toMatchObject([
      { uuid: uuidOf(1), owner: 'key:alice', attempts: 1 },
      { uuid: uuidOf(5), owner: 'key:bob', isShared: true },
    ]);
    expect(await user.load(uuidOf(1), uuidOf(5))).toEqual([packed('one'), packed('five')]);
    expect(await user.lookUp(uuidOf(2))).toMatchObject({ state: 'replied', reply: packed('yes') });
    const again = accept(20, { key: 'k', owner: 'key:alice' });
    expect(await user.commit(again)).toEqual([{ kind: 'known', uuid: uuidOf(1) }]);
    const other = await directory.open(directory.apart('other'));
    for (const chunk of await chunksFrom(user, readFrom(null), 1)) {
      await mergeInto(other, chunk, true);
    }
    expect(await contentOf(other)).toEqual(await contentOf(user));
    await user.close();
    const version = readMigrations().length;
    expect(verifyStore(directory.file, silent)).toMatchObject({ version, problems: [] });
  });
});

describe('a backup', () => {
  it('is another store: it has a new id', async () => {
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
