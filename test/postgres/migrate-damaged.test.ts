/** `majordomo migrate` of a store file that is damaged. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { type Finished, run } from '../support/child.js';
import { endAll } from '../support/daemon-users.js';
import { temporaryDirectory } from '../support/daemon.js';
import { makeEveryKind } from '../support/every-kind.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';

const PAGE_BYTES = 4096;
/** More than one page of each index has. */
const REQUESTS = 4000;

const cluster = sharedCluster();

afterEach(endAll);

interface Damage {
  readonly what: string;
  readonly writes?: (db: Database.Database) => void;
  readonly spoils?: (file: string) => void;
}

/** In one file, without a log, in a directory that remembers no store. */
async function wholeFile(change: (db: Database.Database) => void = () => {}): Promise<string> {
  const made = join(temporaryDirectory(), 'titanic.db');
  await makeEveryKind(made, REQUESTS);
  const db = new Database(made);
  change(db);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  const file = join(temporaryDirectory(), 'titanic.db');
  copyFileSync(made, file);
  return file;
}

function pagesOf(file: string, table: string, type: string): number[] {
  const db = new Database(file, { readonly: true });
  try {
    const text = 'SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path';
    return db.prepare<[string, string], number>(text).pluck().all(table, type);
  } finally {
    db.close();
  }
}

function rewrite(file: string, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(file, change(readFileSync(file)));
}

/** @param at which page of that kind; the last one is read when others were copied */
function spoil(table: string, type = 'leaf', at = -1): (file: string) => void {
  return (file) => {
    const page = pagesOf(file, table, type).at(at) ?? 0;
    expect(page).toBeGreaterThan(0);
    rewrite(file, (bytes) => bytes.fill(0xa5, (page - 1) * PAGE_BYTES, page * PAGE_BYTES));
  };
}

/** An index that has another uuid for a request than its row, in its place in the order. */
function spoilUuid(file: string): void {
  const db = new Database(file, { readonly: true });
  const uuids = db.prepare('SELECT uuid FROM requests ORDER BY uuid').pluck().all() as Buffer[];
  db.close();
  const before = uuids.at(100) ?? Buffer.alloc(0);
  const after = Buffer.from(before);
  after[15] = (after[15] ?? 0) ^ 1;
  const leaves = pagesOf(file, 'requests_by_uuid', 'leaf');
  rewrite(file, (bytes) => {
    const pages = leaves.map((page) => (page - 1) * PAGE_BYTES);
    const at = pages
      .map((start) => [start, bytes.subarray(start, start + PAGE_BYTES).indexOf(before)] as const)
      .find(([, place]) => place >= 0);
    expect(at).toBeDefined();
    after.copy(bytes, (at?.[0] ?? 0) + (at?.[1] ?? 0));
    return bytes;
  });
}

/** A reply of many pages, at the end. */
function withLargeReply(db: Database.Database): void {
  const large = Buffer.alloc(200_000, 1);
  const last = db.prepare('SELECT max(number) FROM replies').pluck().get();
  db.prepare('UPDATE replies SET reply = ? WHERE number = ?').run(large, last);
}

/** A row that no statement would write, as a damaged page may show it. */
function writeNull(table: string, column: string): (db: Database.Database) => void {
  return (db) => {
    db.unsafeMode();
    const text = 'SELECT sql FROM sqlite_schema WHERE name = ?';
    const schema = db.prepare<[string], string>(text).pluck().get(table) ?? '';
    const nullable = schema.replace(new RegExp(`(\\b${column} [A-Z]+) NOT NULL`), '$1');
    expect(nullable).not.toBe(schema);
    const set = (to: string): void => {
      db.pragma('writable_schema = ON');
      db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?').run(to, table);
      db.pragma('writable_schema = RESET');
    };
    set(nullable);
    const number = `(SELECT max(number) FROM ${table})`;
    const { changes } = db
      .prepare(`UPDATE ${table} SET ${column} = NULL WHERE number = ${number}`)
      .run();
    expect(changes).toBe(1);
    set(schema);
  };
}

async function migrate(file: string): Promise<Finished> {
  const server = await cluster();
  return await run(['migrate', '--from', file, '--to', server.url(await server.database())]);
}

describeWithPostgres('majordomo migrate, of a damaged file', () => {
  it.each<Damage>([
    { what: 'the page of the ledger', spoils: spoil('ledger') },
    { what: 'a page of requests', spoils: spoil('requests') },
    { what: 'an inner page of requests', spoils: spoil('requests', 'internal') },
    { what: 'a page of the index of uuids', spoils: spoil('requests_by_uuid') },
    { what: 'a uuid in the index of uuids', spoils: spoilUuid },
    { what: 'a page of bodies', spoils: spoil('bodies') },
    { what: 'a page of attempts', spoils: spoil('attempts') },
    { what: 'a page of keys', spoils: spoil('keys') },
    {
      what: 'the size of its pages',
      spoils: (file) => rewrite(file, (bytes) => bytes.fill(0xff, 16, 18)),
    },
    {
      what: 'its end, which is missing',
      spoils: (file) => rewrite(file, (bytes) => bytes.subarray(0, bytes.length / 2)),
    },
    {
      // It leads to the next one.
      what: 'a page that continues a large reply',
      writes: withLargeReply,
      spoils: spoil('replies', 'overflow', 0),
    },
    { what: 'a row without an owner', writes: writeNull('requests', 'owner') },
    { what: 'a row without a service', writes: writeNull('requests', 'service') },
    { what: 'a row without a body', writes: writeNull('bodies', 'body') },
  ])('$what: 74, and it says which file is damaged and what to do', async (damage) => {
    const { what, writes, spoils } = damage;
    const file = await wholeFile(writes);
    spoils?.(file);
    const { status, stderr } = await migrate(file);
    expect([what, status, stderr]).toEqual([
      ...[what, 74],
      expect.stringContaining(`majordomo: store ${file} is damaged: `),
    ]);
    expect(stderr).toContain(
      'look with `majordomo verify`, then migrate a backup from before the damage',
    );
    expect(stderr).not.toContain('    at ');
    // It does not count as moved: there is damage, and nothing else.
    const verified = await run(['verify', file]);
    expect([verified.status, verified.stdout]).toEqual([74, expect.not.stringContaining('moved')]);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['is empty', () => Buffer.alloc(0)],
    ['was cut in its first page', (bytes) => bytes.subarray(0, 100)],
    ['has a damaged header', (bytes) => bytes.fill(1, 0, 16)],
    ['begins with zeros', (bytes) => bytes.fill(0, 0, PAGE_BYTES)],
  ])('that %s: 74, as verify and backup end', async (_what, change) => {
    const file = await wholeFile();
    rewrite(file, change);
    const copy = join(temporaryDirectory(), 'copy.db');
    const ended = [
      await migrate(file),
      await run(['verify', file]),
      await run(['backup', '--store', file, copy]),
    ];
    for (const { status, stderr } of ended) {
      expect([status, stderr]).toEqual([74, expect.stringContaining(file)]);
      expect(stderr).toContain('restore a backup');
    }
  });
});
