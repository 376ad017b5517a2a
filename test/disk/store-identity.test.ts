import {
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { backupStore } from '../../src/store/sqlite/file/backup.js';
import { checkOwnStore } from '../../src/store/sqlite/file/database.js';
import { accept } from '../support/store-changes.js';
import { errorOf, StoreDirectory, storeDirectory } from '../support/store-directory.js';

const MEMORY = 'store.json';

const directory = storeDirectory();

/** A directory with a store that has requests 1 to 3, nobody using it. */
async function withStore(): Promise<string> {
  const user = await directory.open();
  await user.commit(accept(1), accept(2), accept(3));
  await user.close();
  return user.recovered.storeId.toString('hex');
}

async function pendingAfter(isNewStore = false): Promise<number> {
  const user = await directory.open(directory.file, isNewStore);
  const { length } = user.pending;
  await user.close();
  return length;
}

function pathOf(name: string): string {
  return join(directory.path, name);
}

/** Files by name and content; the locks of readers are none of them. */
function snapshot(): readonly (readonly [string, string])[] {
  return readdirSync(directory.path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('-shm'))
    .map(({ name }) => [name, readFileSync(pathOf(name), 'latin1')] as const);
}

function overwrite(offset: number, bytes: Buffer): void {
  const file = openSync(directory.file, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

async function storeOfAnother(to: string): Promise<void> {
  const other = new StoreDirectory();
  const user = await other.open();
  await user.commit(accept(9));
  await user.close();
  copyFileSync(other.file, to);
  await other.remove();
}

/** What can become of a store, and what is said of it. */
const LOSSES: Readonly<Record<string, readonly [RegExp, () => Promise<void> | void]>> = {
  'that is missing': [/it is missing/, () => rmSync(directory.file)],
  'that is missing, with a log left': [
    /it is missing, but its log .*-wal exists/,
    () => renameSync(directory.file, `${directory.file}-wal`),
  ],
  'that is empty': [/it is empty/, () => writeFileSync(directory.file, '')],
  'whose first page is zeros': [
    /its first page is damaged: it begins with zeros/,
    () => overwrite(0, Buffer.alloc(4096)),
  ],
  'whose first page is garbage': [
    /it is not an SQLite file, or its first page is damaged/,
    () => overwrite(0, Buffer.alloc(4096, 0xa5)),
  ],
  'whose first pages are damaged behind the header': [
    /its first pages are damaged/,
    () => overwrite(100, Buffer.alloc(3 * 4096, 0xa5)),
  ],
  'that is a directory': [
    /it is a directory/,
    () => {
      rmSync(directory.file);
      mkdirSync(directory.file);
    },
  ],
  'that is the file of another application': [
    /of another application/,
    () => {
      rmSync(directory.file);
      const db = new Database(directory.file);
      db.exec('CREATE TABLE letters (text TEXT)');
      db.close();
    },
  ],
  'that is another store': [
    /it is another store, with the id/,
    () => storeOfAnother(directory.file),
  ],
};

describe('a store other than the one that the data directory remembers', () => {
  for (const [title, [said, lose]] of Object.entries(LOSSES)) {
    it(`${title}: exits with 74, says which, how to restore and how to start with a new store, and changes nothing`, async () => {
      const id = await withStore();
      await lose();
      const before = snapshot();
      const error = await errorOf(directory.open());
      expect(error.code).toBe('ERR_TITANIC_LOST');
      expect(exitStatusOf(error)).toBe(EXIT.disk);
      expect(error.message).toMatch(said);
      expect(error.message).toContain(directory.file);
      expect(error.message).toContain(id);
      expect(error.message).toContain('majordomo backup');
      expect(error.message).toContain('serve --new-store');
      expect(error.message).not.toMatch(/remove|delete|another titanic.file/);
      expect(snapshot()).toEqual(before);
      // Whoever only reads is told the same.
      expect(() => checkOwnStore(directory.file)).toThrow(said);
      // It stays so, however often one starts.
      expect((await errorOf(directory.open())).message).toBe(error.message);
      expect(snapshot()).toEqual(before);
    });

    it(`${title}: --new-store goes on, deletes nothing, and counts once`, async () => {
      const id = await withStore();
      await lose();
      const before = snapshot();
      const isAnother = title === 'that is another store';
      expect(await pendingAfter(true)).toBe(isAnother ? 1 : 0);
      const news = directory.news.at(-1);
      expect(news?.how).toBe('anew');
      expect(news?.id).not.toBe(id);
      // Whatever was there is there under another name.
      const names = readdirSync(directory.path);
      const moved = before.filter(([name]) => name.startsWith('titanic.db') && !isAnother);
      for (const [name, content] of moved) {
        const aside = names.find(
          (each) =>
            each.startsWith('titanic.db.lost-') === !isAnother &&
            each.endsWith(name.endsWith('-wal') ? '-wal' : 'Z'),
        );
        expect(readFileSync(pathOf(aside ?? '?'), 'latin1')).toBe(content);
      }
      checkOwnStore(directory.file);
      // The same start again, as a supervisor would: nothing is begun anew a second time.
      const user = await directory.open(directory.file, true);
      await user.commit(accept(4));
      await user.close();
      expect(directory.news.at(-1)?.how).toBe('kept');
      rmSync(directory.file);
      const again = await errorOf(directory.open(directory.file, true));
      expect(again.code).toBe('ERR_TITANIC_LOST');
      expect(again.message).toContain('applies once');
      // Only after a start without it.
      expect((await errorOf(directory.open())).code).toBe('ERR_TITANIC_LOST');
      expect(await pendingAfter(true)).toBe(0);
      expect(await pendingAfter()).toBe(0);
    });
  }

  it('under another titanic.file is refused, and told where it was', async () => {
    await withStore();
    const error = await errorOf(directory.open(pathOf('other.db')));
    expect(error.message).toContain('set titanic.file back to titanic.db');
    renameSync(directory.file, pathOf('other.db'));
    const user = await directory.open(pathOf('other.db'));
    expect(user.pending).toHaveLength(3);
  });

  it('put back is used as before', async () => {
    await withStore();
    renameSync(directory.file, `${directory.file}.elsewhere`);
    await errorOf(directory.open());
    renameSync(`${directory.file}.elsewhere`, directory.file);
    expect(await pendingAfter()).toBe(3);
    expect(directory.news.map(({ how }) => how)).toEqual(['made']);
  });
});

describe('a backup restored in place of the store', () => {
  it('is an earlier state of the same store: it is accepted, and so is a backup of it', async () => {
    await withStore();
    const copy = pathOf('copy.db');
    const second = pathOf('copy-of-copy.db');
    await backupStore(directory.file, copy, () => {});
    await backupStore(copy, second, () => {});
    for (const each of [copy, second]) {
      rmSync(directory.file);
      copyFileSync(each, directory.file);
      expect(await pendingAfter()).toBe(3);
    }
    expect(directory.news.map(({ how }) => how)).toEqual(['made']);
  });

  it('gets a new id, because it numbers requests on its own (D20)', async () => {
    const id = await withStore();
    await backupStore(directory.file, pathOf('copy.db'), () => {});
    renameSync(pathOf('copy.db'), directory.file);
    const user = await directory.open();
    const its = user.recovered.storeId.toString('hex');
    expect(its).not.toBe(id);
    expect(its.slice(0, 16)).toBe(id.slice(0, 16));
  });
});

describe('a directory that remembers no store', () => {
  it('that is empty gets a store, and remembers it', async () => {
    const id = await withStore();
    expect(directory.news).toEqual([{ how: 'made', id, aside: null }]);
    expect(JSON.parse(readFileSync(pathOf(MEMORY), 'utf8'))).toEqual({
      file: 'titanic.db',
      id,
      newStoreGiven: false,
    });
    expect(await pendingAfter()).toBe(3);
    expect(directory.news).toHaveLength(1);
  });

  it('that has a store from before directories remembered it adopts the store', async () => {
    const id = await withStore();
    rmSync(pathOf(MEMORY));
    checkOwnStore(directory.file);
    expect(await pendingAfter()).toBe(3);
    expect(directory.news.at(-1)).toEqual({ how: 'found', id, aside: null });
    expect(existsSync(pathOf(MEMORY))).toBe(true);
  });

  for (const [title, bytes] of [
    ['empty', ''],
    ['zeros', Buffer.alloc(8192)],
  ] as const) {
    it(`whose store is ${title}: nothing is begun over it, nor another titanic.file named`, async () => {
      writeFileSync(directory.file, bytes);
      const error = await errorOf(directory.open());
      expect(error.code).toBe('ERR_TITANIC_LOST');
      expect(error.message).not.toContain('another titanic.file');
      expect(await pendingAfter(true)).toBe(0);
    });
  }

  it('with another program’s file at the store’s path: left alone, even with --new-store', async () => {
    writeFileSync(directory.file, 'Dear diary,\n'.repeat(100));
    for (const isNewStore of [false, true]) {
      const error = await errorOf(directory.open(directory.file, isNewStore));
      expect(error.code).toBe('ERR_TITANIC_FILE');
    }
    expect(readFileSync(directory.file, 'utf8')).toContain('Dear diary');
  });
});

describe('a crash between any two steps', () => {
  it('of a first start: it is a first start again, or the store is adopted', async () => {
    // The draft of the store, half written.
    writeFileSync(`${directory.file}.new`, 'half a store');
    expect(await pendingAfter()).toBe(0);
    // The store stands, its memory does not, or is half written.
    rmSync(pathOf(MEMORY));
    writeFileSync(pathOf(`${MEMORY}.new`), '{"file":"tita');
    expect(await pendingAfter()).toBe(0);
    expect(directory.news.map(({ how }) => how)).toEqual(['made', 'found']);
  });

  /** The states that a crash leaves of `--new-store` on a store of zeros with a log. */
  const STEPS: Readonly<Record<string, () => void>> = {
    'the order is written': () => {},
    'the log is aside': () => rmSync(`${directory.file}-wal`),
    'all is aside': () => {
      rmSync(`${directory.file}-wal`);
      rmSync(directory.file);
    },
    'a new store is half made': () => {
      rmSync(`${directory.file}-wal`);
      rmSync(directory.file);
      writeFileSync(`${directory.file}.new`, 'half');
    },
  };
  for (const [title, leave] of Object.entries(STEPS)) {
    for (const isGiven of [true, false]) {
      it(`of --new-store, when ${title}, goes on ${isGiven ? 'with' : 'without'} it`, async () => {
        await withStore();
        writeFileSync(directory.file, Buffer.alloc(8192));
        writeFileSync(`${directory.file}-wal`, 'a log');
        const order = { file: 'titanic.db', id: null, newStoreGiven: true };
        writeFileSync(pathOf(MEMORY), JSON.stringify(order));
        leave();
        expect(await pendingAfter(isGiven)).toBe(0);
        expect(directory.news.at(-1)?.how).toBe('anew');
        // And is over then.
        rmSync(directory.file);
        expect((await errorOf(directory.open())).code).toBe('ERR_TITANIC_LOST');
      });
    }
  }

  it('of --new-store, when the new store stands: it is that one', async () => {
    await withStore();
    const order = { file: 'titanic.db', id: null, newStoreGiven: true };
    writeFileSync(pathOf(MEMORY), JSON.stringify(order));
    expect(await pendingAfter()).toBe(3);
    expect(await pendingAfter()).toBe(3);
  });
});

it('a memory that is damaged is not guessed at, and the store is left alone', async () => {
  await withStore();
  for (const text of ['', '{', '[]', '{"file":"titanic.db","id":"xyz","newStoreGiven":false}']) {
    writeFileSync(pathOf(MEMORY), text);
    const before = snapshot();
    const error = await errorOf(directory.open());
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(error.message).toMatch(/store\.json: damaged.*majordomo verify/);
    expect(snapshot()).toEqual(before);
  }
});
