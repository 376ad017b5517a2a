/** Files that another program has changed: only tables and indexes of this one belong into a store. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { backupStore } from '../../src/store/sqlite/file/backup.js';
import { connect } from '../../src/store/sqlite/file/connection.js';
import { checkOwnStore, openForReading } from '../../src/store/sqlite/file/database.js';
import { upgrade } from '../../src/store/sqlite/file/formats.js';
import { movedTo } from '../../src/store/sqlite/file/moved.js';
import { readMigrations } from '../../src/store/sqlite/file/schema.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { accept, dead, reply } from '../support/store-changes.js';
import { errorOf, storeDirectory } from '../support/store-directory.js';
import { packed } from '../support/store-pair.js';

const silent = (): void => {};
const BESIDE = ['-wal', '-shm', '-journal'] as const;

const directory = storeDirectory();

beforeEach(async () => {
  const user = await directory.open();
  const body = packed('x');
  await user.commit(accept(1, { key: 'k', body }), accept(2, { body }), accept(3, { body }));
  await user.commit(reply(2, { reply: packed('y') }), dead(3));
  await user.close();
});

function execute(sql: string): void {
  const db = new Database(directory.file);
  db.exec(sql);
  db.close();
}

function verify(): ReturnType<typeof verifyStore> {
  return verifyStore(directory.file, silent);
}

const ENDLESS = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
  SELECT x'00' AS service, x'00' AS key, '' AS owner, x'00' AS uuid, NULL AS until, i AS changed, NULL AS extra FROM n`;

/** What another program made, and how it is named. */
const STRANGERS: readonly (readonly [named: string, sql: string])[] = [
  [
    'the trigger evil of requests',
    'CREATE TRIGGER evil AFTER INSERT ON requests BEGIN DELETE FROM bodies; END',
  ],
  ['the view seen', 'CREATE VIEW seen AS SELECT 1'],
  ['the view keys', `DROP TABLE keys; CREATE VIEW keys AS ${ENDLESS}`],
  ['the view ledger', `DROP TABLE ledger; CREATE VIEW ledger AS ${ENDLESS.replace('extra', 'x')}`],
  ['the table letters', 'CREATE TABLE letters (text TEXT)'],
  ['the table set_aside_keys_1', 'CREATE TABLE set_aside_keys_1 (a, b AS (hex(a)))'],
  ['the view set_aside_keys_1', `CREATE VIEW set_aside_keys_1 AS ${ENDLESS}`],
  ['the index found of requests', 'CREATE INDEX found ON requests (hex(body_bytes))'],
  [
    'the table deaths',
    `DROP TABLE deaths; CREATE TABLE deaths (number INTEGER PRIMARY KEY, reason TEXT NOT NULL,
      died_at INTEGER NOT NULL, more TEXT AS (hex(zeroblob(reason)))) STRICT`,
  ],
  [
    'the table bodies',
    `DROP TABLE bodies; CREATE TABLE bodies (number INTEGER PRIMARY KEY ON CONFLICT REPLACE
      REFERENCES requests ON DELETE CASCADE, body BLOB NOT NULL) STRICT`,
  ],
  [
    'the index keys_remembered of keys',
    'DROP INDEX keys_remembered; CREATE INDEX keys_remembered ON keys (until)',
  ],
  ['the table \\u{1b}[31m\\u{9b}', 'CREATE TABLE "\u001b[31m\u009b" (a)'],
];

describe('a store', () => {
  it.each(STRANGERS)('with %s is refused by all, and not changed', async (named, sql) => {
    execute(sql);
    const before = readFileSync(directory.file);
    const refused = [
      await errorOf(() => directory.open()),
      await errorOf(verify),
      await errorOf(() => checkOwnStore(directory.file)),
      await errorOf(() => backupStore(directory.file, join(directory.path, 'copy.db'), silent)),
    ];
    for (const error of refused) {
      expect(error.code).toBe('ERR_TITANIC_FILE');
      expect(exitStatusOf(error)).toBe(EXIT.config);
      expect(error.message).toContain(`store ${directory.file}: it has ${named}, which`);
    }
    expect(readFileSync(directory.file).equals(before)).toBe(true);
    expect(existsSync(join(directory.path, 'copy.db'))).toBe(false);
    // Also where nothing remembers the store.
    rmSync(join(directory.path, 'store.json'));
    expect((await errorOf(() => directory.open())).message).toContain(named);
  });

  it('with many such things names the first ones', async () => {
    execute(Array.from({ length: 9 }, (_, n) => `CREATE VIEW v${n} AS SELECT 1;`).join(''));
    expect((await errorOf(verify)).message).toMatch(
      /it has the view v\d, the view v\d, the view v\d, the 6 more, /,
    );
  });

  it('with such a thing is moved away by --new-store', async () => {
    execute('CREATE VIEW seen AS SELECT 1');
    const user = await directory.open(directory.file, true);
    expect(user.pending).toEqual([]);
    expect(directory.news.at(-1)?.how).toBe('anew');
    expect(readdirSync(directory.path).join()).toContain('titanic.db.lost-');
  });

  it('that was read in by sqlite3, or has its statistics, is a store', async () => {
    execute('ANALYZE; VACUUM');
    expect(verify().problems).toEqual([]);
    const user = await directory.open();
    expect(user.pending).toHaveLength(1);
  });

  it('is never trusted: its schema calls nothing that reaches out of the file', () => {
    const db = connect(directory.file, { readonly: true });
    expect(db.pragma('trusted_schema', { simple: true })).toBe(0);
    db.close();
  });
});

describe('the place to which a store was moved', () => {
  it('is one line that no terminal acts on, and its time is one that there is', () => {
    execute(
      `INSERT INTO moved VALUES (1, 'a' || char(10, 27) || '[31m' || char(155), x'00', 1 << 62)`,
    );
    const db = openForReading(directory.file);
    expect(movedTo(db)?.place).toBe('a\\u{a}\\u{1b}[31m\\u{9b}');
    db.close();
    expect(verify().moved).toEqual({
      place: 'a\\u{a}\\u{1b}[31m\\u{9b}',
      at: '9999-12-31T23:59:59.999Z',
    });
  });
});

describe('in place of a file', () => {
  const MAKE: readonly (readonly [what: string, make: (path: string) => void])[] = [
    ['a FIFO', (path) => execFileSync('mkfifo', [path])],
    ['a directory', (path) => mkdirSync(path)],
    ['a device', (path) => symlinkSync('/dev/zero', path)],
  ];

  it.each(MAKE)(
    '%s is told, and not opened: the store, and what SQLite opens with it',
    async (what, make) => {
      for (const suffix of ['', ...BESIDE]) {
        const path = `${directory.file}${suffix}`;
        const aside = `${path}.aside`;
        if (existsSync(path)) renameSync(path, aside);
        make(path);
        const said = suffix === '' ? `it is ${what}` : `${path} is ${what}`;
        for (const work of [verify, () => directory.open()]) {
          expect((await errorOf(work)).message).toContain(said);
        }
        rmSync(path, { recursive: true });
        if (existsSync(aside)) renameSync(aside, path);
      }
      expect(verify().problems).toEqual([]);
    },
  );

  it.each(MAKE)('%s that the directory would remember is no memory', async (_what, make) => {
    const path = join(directory.path, 'store.json');
    rmSync(path);
    make(path);
    expect((await errorOf(() => directory.open())).message).toContain('store.json: damaged');
  });

  it.each(MAKE)('%s at the name of the copy from before an upgrade makes way', (_what, make) => {
    const format = readMigrations().length;
    const copy = `${directory.file}.format-${format}`;
    make(copy);
    const db = connect(directory.file);
    upgrade(db, directory.file, [...readMigrations(), { format: format + 1, sql: 'SELECT 1' }]);
    db.close();
    expect(verifyStore(copy, silent)).toMatchObject({ format, pending: 1, problems: [] });
  });
});

it('a table whose pages are in it again and again is damage, and is not read', async () => {
  const endless = join(directory.path, 'endless.db');
  copyFileSync(directory.file, endless);
  const db = new Database(endless);
  db.pragma('journal_mode = DELETE');
  const find = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'bodies'").pluck();
  const root = Number(find.get());
  db.close();
  writeFileSync(endless, withLevels(readFileSync(endless), root, 8));
  const error = await errorOf(() => verifyStore(endless, silent));
  expect(error.code).toBe('ERR_TITANIC_DISK');
  expect(error.message).toContain('pages are in its tables more than once');
});

const FANOUT = 300;
/** SQLite's format: https://sqlite.org/fileformat2.html */
const PAGE_BYTES_AT = 16;
const PAGES_AT = 28;

/** Makes the one page of a table a tree of so many levels, in each of which all children are the same page. */
function withLevels(file: Buffer, root: number, levels: number): Buffer {
  const bytes = file.readUInt16BE(PAGE_BYTES_AT);
  const pages = file.readUInt32BE(PAGES_AT);
  const leaf = file.subarray((root - 1) * bytes, root * bytes);
  const above = Array.from({ length: levels }, (_, level) => interior(bytes, pages + 1 + level));
  const made = Buffer.concat([file, leaf, ...above]);
  interior(bytes, pages + levels).copy(made, (root - 1) * bytes);
  made.writeUInt32BE(pages + 1 + levels, PAGES_AT);
  return made;
}

/** A page of a table that has the same child in each of its cells. */
function interior(bytes: number, child: number): Buffer {
  const page = Buffer.alloc(bytes);
  page[0] = 5;
  page.writeUInt16BE(FANOUT, 3);
  page.writeUInt32BE(child, 8);
  let at = bytes;
  for (let cell = 0; cell < FANOUT; cell++) {
    at -= 6;
    page.writeUInt32BE(child, at);
    // Its key: a number of two bytes.
    page.writeUInt16BE(0x81_00 + (cell % 128), at + 4);
    page.writeUInt16BE(at, 12 + 2 * cell);
  }
  page.writeUInt16BE(at, 5);
  return page;
}
