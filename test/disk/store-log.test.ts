/** The log of a store (`-wal`) is applied to the file that it belongs to, and to no other. */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { backupStore } from '../../src/store/sqlite/file/backup.js';
import { checkOwnStore } from '../../src/store/sqlite/file/database.js';
import { NEXT_MARK } from '../../src/store/sqlite/file/log-mark.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { accept } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import type { StoreUser } from '../support/store-user.js';

/** More than the pages from which on the log is copied into the file. */
const LARGE = { body: Buffer.alloc(2_000_000) };
const silent = (): void => {};

const directory = storeDirectory();
/** Those that were accepted. */
let count: number;

beforeEach(() => {
  count = 0;
});

async function acceptNext(user: StoreUser, options = {}): Promise<void> {
  await user.commit(accept(++count, options));
}

/** The log is in the file, and is begun anew. */
async function beginLog(user: StoreUser): Promise<void> {
  await acceptNext(user, LARGE);
}

/** The store as a broker that is killed now leaves it, at another path. */
function killed(name: string): string {
  const path = directory.apart(name);
  for (const suffix of ['', '-wal', '-shm']) {
    copyFileSync(`${directory.file}${suffix}`, path + suffix);
  }
  copyFileSync(join(directory.path, 'store.json'), join(directory.path, name, 'store.json'));
  return path;
}

async function pendingAt(path: string): Promise<number> {
  const user = await directory.open(path);
  await user.close();
  return user.pending.length;
}

function filesBeside(path: string): unknown {
  const folder = join(path, '..');
  return readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]);
}

/** The copies of a store that people make, by what makes them. */
const COPIES: Readonly<Record<string, (to: string) => Promise<unknown>>> = {
  'majordomo backup': (to) => backupStore(directory.file, to, silent),
  "SQLite's .backup": async (to) => {
    const db = new Database(directory.file, { readonly: true });
    await db.backup(to);
    db.close();
  },
  'VACUUM INTO': (to) => {
    const db = new Database(directory.file, { readonly: true });
    db.prepare('VACUUM INTO ?').run(to);
    db.close();
    return Promise.resolve();
  },
};

async function refusedAt(path: string): Promise<void> {
  const before = filesBeside(path);
  const error: unknown = await directory.open(path).catch((reason: unknown) => reason);
  expect([codeOf(error), exitStatusOf(error)]).toEqual(['ERR_TITANIC_LOST', EXIT.disk]);
  expect(messageOf(error)).toContain(`its log ${path}-wal belongs to another file`);
  expect(messageOf(error)).toContain(`move ${path}-wal and ${path}-shm away`);
  expect(messageOf(error)).toContain('put back the file that it belongs to');
  // Whoever only reads is told the same.
  expect(() => verifyStore(path, silent)).toThrow('belongs to another file');
  expect(() => checkOwnStore(path)).toThrow('belongs to another file');
  expect(filesBeside(path)).toEqual(before);
}

describe('a copy in the place of the store, with the log of the store still beside it', () => {
  describe.each(Object.keys(COPIES))('made by %s', (how) => {
    const copy = COPIES[how] ?? (() => Promise.reject(new Error(how)));

    it.each([
      ['since the log was begun', 0],
      ['before the log was begun', 2],
    ])('%s, is refused; without the log it is used', async (_when, beginnings) => {
      const user = await directory.open();
      await acceptNext(user);
      const to = join(directory.path, 'copy.db');
      await copy(to);
      for (let begun = 0; begun < beginnings; begun++) await beginLog(user);
      await acceptNext(user);
      const path = killed('restored');
      copyFileSync(to, path);
      await refusedAt(path);
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix);
      expect(await pendingAt(path)).toBe(1);
    });

    it('of a store that was itself restored from one, is refused', async () => {
      const first = await directory.open();
      await acceptNext(first);
      const to = join(directory.path, 'copy.db');
      await copy(to);
      await first.close();
      rmSync(directory.file);
      renameSync(to, directory.file);
      const user = await directory.open();
      await copy(to);
      await acceptNext(user);
      const path = killed('again');
      copyFileSync(to, path);
      await refusedAt(path);
    });
  });

  it('is refused if it is an older file of the same store, or a newer one', async () => {
    const user = await directory.open();
    await acceptNext(user);
    const older = killed('older');
    for (let begun = 0; begun < 3; begun++) await beginLog(user);
    await acceptNext(user);
    const newer = killed('newer');
    copyFileSync(newer, `${newer}.kept`);
    copyFileSync(older, newer);
    await refusedAt(newer);
    copyFileSync(`${newer}.kept`, older);
    await refusedAt(older);
  });
});

describe('a log beside its own file', () => {
  it('is applied, whenever the broker was killed', async () => {
    const user = await directory.open();
    expect(await pendingAt(killed('at the start'))).toBe(0);
    await acceptNext(user);
    expect(await pendingAt(killed('soon'))).toBe(1);
    for (let round = 0; round < 12; round++) {
      await (round % 3 === 2 ? beginLog(user) : acceptNext(user, { body: Buffer.alloc(300_000) }));
      expect(await pendingAt(killed(`round ${round}`))).toBe(count);
    }
  });

  it.each(['idle', 'in a transaction'])(
    'is applied after a clean stop if a reader that is %s keeps it, and nothing was stored since the start',
    async (how) => {
      const user = await directory.open();
      const reader = new Database(directory.file, { readonly: true });
      reader.exec(how === 'idle' ? 'SELECT * FROM ledger' : 'BEGIN; SELECT * FROM ledger');
      await user.close();
      reader.close();
      expect(await pendingAt(directory.file)).toBe(0);
    },
  );

  it('is applied whatever a client has stored that looks like its mark', async () => {
    const user = await directory.open();
    const body = Buffer.from(`MJDBLOG${'0'.repeat(16)}1${'0'.repeat(10)}${'0'.repeat(32)}`);
    await acceptNext(user, { body });
    expect(await pendingAt(killed('forged'))).toBe(1);
  });

  it('is applied if the broker was killed before it had copied what it wrote first', async () => {
    const user = await directory.open();
    await acceptNext(user);
    const copy = join(directory.path, 'copy.db');
    await backupStore(directory.file, copy, silent);
    const path = killed('restored');
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix);
    copyFileSync(copy, path);
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    const cookie = db.pragma('schema_version', { simple: true });
    db.prepare(NEXT_MARK).run(1, cookie);
    for (const suffix of ['', '-wal', '-shm']) copyFileSync(path + suffix, `${copy}${suffix}`);
    db.close();
    for (const suffix of ['', '-wal', '-shm']) copyFileSync(`${copy}${suffix}`, path + suffix);
    expect(await pendingAt(path)).toBe(1);
  });

  it('is applied if a reader keeps it from being begun anew', async () => {
    const user = await directory.open();
    const reader = new Database(directory.file, { readonly: true });
    reader.exec('BEGIN; SELECT * FROM ledger');
    for (let round = 0; round < 4; round++) {
      await beginLog(user);
      await acceptNext(user);
      expect(await pendingAt(killed(`round ${round}`))).toBe(count);
    }
    reader.close();
  });

  it('is applied after many crashes in a row, and with all files of an earlier moment put back', async () => {
    let path = directory.file;
    const user = await directory.open();
    await acceptNext(user);
    const early = killed('early');
    for (let crash = 0; crash < 4; crash++) {
      await beginLog(user);
      path = killed(`crash ${crash}`);
      const next = await directory.open(path);
      expect(next.pending).toHaveLength(count);
    }
    const late = killed('late');
    for (const suffix of ['', '-wal', '-shm']) copyFileSync(early + suffix, late + suffix);
    expect(await pendingAt(late)).toBe(1);
  });
});

describe('verify', () => {
  const missingAt = (path: string): string | null => verifyStore(path, silent).missing;

  it('says of the file of a running broker, copied alone, that its log is missing', async () => {
    const user = await directory.open();
    await acceptNext(user);
    const copy = join(directory.path, 'copy.db');
    copyFileSync(directory.file, copy);
    expect(verifyStore(copy, silent)).toMatchObject({ pending: 0, missing: `${copy}-wal` });
    // SQLite has made an empty log.
    expect(missingAt(copy)).toBe(`${copy}-wal`);
  });

  it('misses none of a store that is in service, was stopped or killed, or of a copy', async () => {
    const user = await directory.open();
    await acceptNext(user);
    expect(missingAt(directory.file)).toBeNull();
    expect(missingAt(killed('killed'))).toBeNull();
    for (const [how, copy] of Object.entries(COPIES)) {
      const to = join(directory.path, `${how.replaceAll(/\W/g, '')}.db`);
      await copy(to);
      expect([how, missingAt(to)]).toEqual([how, null]);
    }
    await user.close();
    expect(missingAt(directory.file)).toBeNull();
  });
});
