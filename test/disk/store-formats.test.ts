/** Store files of other formats: older ones are brought to the newest, others are refused. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import Database from 'better-sqlite3';

import { FieldWriter } from '../../src/core/numbered-fields.js';
import { PackWriter } from '../../src/core/value-bytes.js';
import { REQUEST_FIELDS } from '../../src/store/request.js';
import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { backupStore } from '../../src/store/sqlite/file/backup.js';
import { checkOwnStore } from '../../src/store/sqlite/file/database.js';
import { formatOf } from '../../src/store/sqlite/file/connection.js';
import { upgrade } from '../../src/store/sqlite/file/formats.js';
import { refuseLeftBehind } from '../../src/store/sqlite/file/left-behind.js';
import {
  APPLICATION_ID,
  DEVELOPMENT_IDS,
  type Migration,
  readMigrations,
} from '../../src/store/sqlite/file/schema.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { fileMigration } from '../support/later-program.js';
import { accept, attempt, dead, reply, uuidOf } from '../support/store-changes.js';
import { errorOf, storeDirectory } from '../support/store-directory.js';
import { packed } from '../support/store-pair.js';

const silent = (): void => {};
const NOW = readMigrations().length;
/** A made-up next format. */
const LATER = NOW + 1;

const directory = storeDirectory();
/** Of the store as `filled` leaves it. */
let storeId: string;

beforeEach(filled);

async function filled(): Promise<void> {
  const user = await directory.open();
  await user.commit(accept(1, { key: 'k', body: packed('x') }), accept(2), accept(3));
  await user.commit(attempt(1, 1), reply(2, { reply: packed('y') }), dead(3));
  await user.close();
  storeId = user.recovered.storeId.toString('hex');
}

const CONTENT = { pending: 1, replied: 1, dead: 1, keys: 1, problems: [] };

/** As the next program does when it opens the store. */
function upgraded(sql = fileMigration(LATER), before: readonly Migration[] = []): void {
  const db = new Database(directory.file);
  db.pragma('journal_mode = WAL');
  try {
    upgrade(db, directory.file, [...readMigrations(), ...before, { format: LATER, sql }]);
  } finally {
    db.close();
  }
}

function look<Result>(path: string, work: (db: Database.Database) => Result): Result {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    return work(db);
  } finally {
    db.close();
  }
}

function removeStore(): void {
  for (const suffix of ['-wal', '-shm', '']) {
    rmSync(`${directory.file}${suffix}`, { force: true });
  }
}

function copies(): string[] {
  return readdirSync(directory.path).filter((name) => name.includes('.format-'));
}

function formats(): { format: number; laterColumn: number; problem: string } {
  return look(directory.file, (db) => ({
    format: formatOf(db),
    laterColumn: (db.pragma('table_info(requests)') as { name: string }[]).filter(
      ({ name }) => name === `of_format_${LATER}`,
    ).length,
    problem: String(db.pragma('integrity_check(1)', { simple: true })),
  }));
}

describe('a store of an older format', () => {
  const COPY = `titanic.db.format-${NOW}`;

  it('is changed in place; a copy from before, for its owner only, is beside it', () => {
    upgraded();
    expect(formats()).toEqual({ format: LATER, laterColumn: 1, problem: 'ok' });
    const count = 'SELECT count(*) FROM requests';
    expect(look(directory.file, (db) => db.prepare(count).pluck().get())).toBe(3);
    expect(copies()).toEqual([COPY]);
    const copy = `${directory.file}.format-${NOW}`;
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(verifyStore(copy, silent)).toMatchObject({ format: NOW, ...CONTENT });
  });

  it('has what an older program kept of a request in the column that there is for it now', async () => {
    const user = await directory.open();
    const later = new PackWriter(64);
    const fields = new FieldWriter(later);
    // As if the columns of priority and owner were new.
    fields.number(7, REQUEST_FIELDS.priority.field);
    fields.text('key:acme', REQUEST_FIELDS.owner.field);
    const known = later.takeBuffer();
    fields.text('later still', 100);
    const unknown = later.takeBuffer().subarray(known.length);
    await user.commit({ ...accept(4, { priority: 0 }), extra: later.takeBuffer() });
    await user.commit({ ...accept(5), extra: unknown });
    await user.close();
    upgraded();
    const text =
      'SELECT number, priority, owner, state, extra FROM requests WHERE extra IS NOT NULL';
    expect(look(directory.file, (db) => db.prepare(text).raw().all())).toEqual([
      [4, 7, 'key:acme', 1, unknown],
      [5, 0, 'anonymous', 1, unknown],
    ]);
  });

  it('keeps its format if a step fails; the next start begins again, and has the copy already', () => {
    const bad = 'CREATE TABLE half (a); INSERT INTO nowhere VALUES (1)';
    const between = { format: LATER, sql: fileMigration(LATER) };
    expect(() => upgraded(bad, [between])).toThrow(/nowhere/);
    expect(formats()).toEqual({ format: NOW, laterColumn: 0, problem: 'ok' });
    expect(verifyStore(directory.file, silent)).toMatchObject({ format: NOW, ...CONTENT });
    const first = statSync(`${directory.file}.format-${NOW}`).ino;
    upgraded();
    expect(formats()).toMatchObject({ format: LATER, laterColumn: 1 });
    expect(copies()).toEqual([COPY]);
    expect(statSync(`${directory.file}.format-${NOW}`).ino).toBe(first);
  });

  it('is not changed if it cannot be copied', () => {
    const db = new Database(directory.file);
    db.pragma('wal_checkpoint(TRUNCATE)');
    const root = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'bodies'").pluck();
    const page = Number(root.get());
    db.close();
    const damaged = readFileSync(directory.file);
    damaged.fill(0xff, (page - 1) * 4096, page * 4096);
    writeFileSync(directory.file, damaged);
    expect(() => upgraded()).toThrow(/malformed/);
    expect(look(directory.file, formatOf)).toBe(NOW);
    expect(readdirSync(directory.path).filter((name) => /format|copying/.test(name))).toEqual([]);
  });

  it('from before the upgrade can be put back: the newer one is refused, and names it', async () => {
    upgraded();
    const copy = `${directory.file}.format-${NOW}`;
    const error = await errorOf(() => directory.open());
    expect(error.code).toBe('ERR_TITANIC_VERSION');
    expect(exitStatusOf(error)).toBe(EXIT.config);
    expect(error.message).toContain(`has format ${LATER}, this program reads up to ${NOW}: `);
    expect(error.message).toContain(`or put back the copy from before the upgrade, ${copy}`);
    removeStore();
    renameSync(copy, directory.file);
    const user = await directory.open();
    expect(user.pending).toMatchObject([{ uuid: uuidOf(1), attempts: 1 }]);
    expect(await user.lookUp(uuidOf(2))).toMatchObject({ reply: packed('y') });
    // As every copy, it numbers its own transactions: the other node of a pair must see that.
    const id = user.recovered.storeId.toString('hex');
    expect([id.slice(0, 16), id === storeId]).toEqual([storeId.slice(0, 16), false]);
  });

  it('that was served again since an earlier upgrade is copied anew; that copy is kept', async () => {
    upgraded();
    copyFileSync(`${directory.file}.format-${NOW}`, directory.file);
    const user = await directory.open();
    await user.commit(accept(9));
    await user.close();
    upgraded();
    expect(formats().format).toBe(LATER);
    expect(copies()).toHaveLength(2);
    const pending = copies().map(
      (name) => verifyStore(directory.file.replace(/titanic\.db$/, name), silent).pending,
    );
    expect([...pending].sort()).toEqual([1, 2]);
  });
});

describe('a store of a development version', () => {
  /** The store as one: with the mark that they had, and the number of their format. */
  function becomesDevelopment(format: number, mark = DEVELOPMENT_IDS[0]): void {
    const db = new Database(directory.file);
    db.pragma(`application_id = ${mark}`);
    db.pragma(`user_version = ${format}`);
    db.pragma('journal_mode = DELETE');
    db.close();
  }

  const refusal = (format: number): string =>
    `store ${directory.file} has format ${format} of a development version, which was never released: ` +
    'go on with the version that wrote it, or start with an empty store with `majordomo serve --new-store`';

  it.each([
    [1, DEVELOPMENT_IDS[1]],
    [2, DEVELOPMENT_IDS[0]],
    [9, DEVELOPMENT_IDS[0]],
  ])(
    'is refused with 78, whatever its number (%i), with the two ways on, and left as it is',
    async (format, mark) => {
      becomesDevelopment(format, mark);
      const before = readFileSync(directory.file);
      const readers: readonly (() => unknown)[] = [
        () => directory.open(),
        () => verifyStore(directory.file, silent),
        () => backupStore(directory.file, `${directory.file}-copy`, silent),
        () => checkOwnStore(directory.file),
        () => refuseLeftBehind(directory.file, null),
      ];
      for (const read of readers) {
        const error = await errorOf(read);
        expect(error.code).toBe('ERR_TITANIC_VERSION');
        expect(exitStatusOf(error)).toBe(EXIT.config);
        expect(error.message).toContain(refusal(format));
      }
      expect(readFileSync(directory.file).equals(before)).toBe(true);
      expect(existsSync(`${directory.file}-copy`)).toBe(false);
    },
  );

  it('is moved aside by order, once; the new store is empty', async () => {
    becomesDevelopment(9);
    const user = await directory.open(directory.file, true);
    expect(user.recovered.counts).toMatchObject({ pending: 0, replied: 0, dead: 0 });
    await user.close();
    const news = directory.news.at(-1);
    expect(news).toMatchObject({ how: 'anew', aside: expect.stringContaining(directory.file) });
    const mark = (path: string): unknown =>
      look(path, (db) => db.pragma('application_id', { simple: true }));
    expect(mark(news?.aside ?? '')).toBe(DEVELOPMENT_IDS[0]);
    expect(mark(directory.file)).toBe(APPLICATION_ID);
    // The order has been carried out: put back, it is refused, and the text says how to order again.
    removeStore();
    renameSync(news?.aside ?? '', directory.file);
    const error = await errorOf(() => directory.open(directory.file, true));
    expect(error.message).toContain(
      `${refusal(9)}, which moves this one aside (--new-store applies once`,
    );
    expect((await errorOf(() => directory.open())).message).not.toContain('applies once');
    await directory.open(directory.file, true);
  });
});
