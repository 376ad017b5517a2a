import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { APPLICATION_ID } from '../../src/store/sqlite/file/schema.js';
import { STORED_BYTES_MAX } from '../../src/wire/tsp.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { accept, close, uuidOf } from '../support/store-changes.js';
import { errorOf, storeDirectory } from '../support/store-directory.js';
import type { Outcome, StoreUser } from '../support/store-user.js';
import { itWithTool } from '../support/tools.js';

const PAGE_BYTES = 4096;

const directory = storeDirectory();

function failureIn(outcome: Outcome): { kind: string; message: string } {
  return 'failure' in outcome ? outcome.failure : { kind: 'none', message: 'it was committed' };
}

it('a row has room for the largest body, and for what stands beside it', () => {
  const db = new Database(':memory:');
  const length = db.prepare('SELECT length(zeroblob(?))').pluck();
  const largest = STORED_BYTES_MAX + 1024 * 1024;
  expect(length.get(largest)).toBe(largest);
  expect(() => length.get(1024 * 1024 * 1024)).toThrow(/too big/);
  db.close();
});

describe('a file that is not a store of this broker', () => {
  const FOREIGN: Readonly<Record<string, (file: string) => void>> = {
    'that is not SQLite': (file) => writeFileSync(file, 'Dear diary,\n'.repeat(1000)),
    'that is a directory': (file) => mkdirSync(file),
    'of another application': (file) => {
      const db = new Database(file);
      db.pragma('journal_mode = WAL');
      db.exec('CREATE TABLE letters (text TEXT)');
      db.close();
    },
  };

  for (const [title, make] of Object.entries(FOREIGN)) {
    it(`${title} is refused with 78, and left as it is`, async () => {
      make(directory.file);
      const before = snapshot(directory.path);
      const error = await errorOf(directory.open());
      expect(error.code).toBe('ERR_TITANIC_FILE');
      expect(exitStatusOf(error)).toBe(EXIT.config);
      expect(error.message).toContain(directory.file);
      expect(snapshot(directory.path)).toEqual(before);
    });
  }

  it('of a newer program is refused with 78, which names both formats, and left unchanged', async () => {
    const db = new Database(directory.file);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma('user_version = 4711');
    db.close();
    const before = snapshot(directory.path);
    const error = await errorOf(directory.open());
    expect(error.code).toBe('ERR_TITANIC_VERSION');
    expect(exitStatusOf(error)).toBe(EXIT.config);
    expect(error.message).toMatch(/format 4711, this program reads up to \d+: .*restore a backup/);
    expect(snapshot(directory.path)).toEqual(before);
  });

  it('in a directory that does not exist ends with 74', async () => {
    const error = await errorOf(directory.open(join(directory.path, 'none', 'titanic.db')));
    expect(exitStatusOf(error)).toBe(EXIT.disk);
  });

  it('of which only the log is left is not replaced: the log’s content would be lost', async () => {
    writeFileSync(`${directory.file}-wal`, 'x');
    const error = await errorOf(directory.open());
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(error.message).toContain(`${directory.file}-wal`);
    // No advice that loses it.
    expect(error.message).not.toMatch(/away|remove|delete/);
  });
});

it('a new store is for its owner only: file and log have mode 0600', async () => {
  const user = await directory.open();
  await user.commit(accept(1));
  for (const suffix of ['', '-wal', '-shm']) {
    expect(statSync(`${directory.file}${suffix}`).mode & 0o777).toBe(0o600);
  }
});

describe('a store in use when its disk fails', () => {
  const THEFTS: Readonly<Record<string, (file: string) => void>> = {
    'the file is removed': (file) => rmSync(file),
    'its log is removed': (file) => rmSync(`${file}-wal`),
    'the file is replaced': (file) => {
      renameSync(file, `${file}.old`);
      writeFileSync(file, readFileSync(`${file}.old`));
    },
  };

  for (const [title, steal] of Object.entries(THEFTS)) {
    it(`${title}: nothing is acknowledged any more, the failure names file and remedy`, async () => {
      const user = await directory.open();
      await user.commit(accept(1));
      steal(directory.file);
      const failure = failureIn(await user.tryCommit([accept(2)]));
      expect(failure.kind).toBe('fatal');
      expect(failure.message).toContain(directory.file);
      expect(failure.message).toContain('restart');
      // Everything that comes after it fails, too.
      expect(failureIn(await user.tryCommit([accept(3)])).kind).toBe('fatal');
      expect(await user.lookUp(uuidOf(1))).toMatchObject({ kind: 'fatal' });
      expect(await user.load(uuidOf(1))).toMatchObject({ kind: 'fatal' });
    });
  }

  it('a damaged page is found when it is read, and is fatal', async () => {
    const before = await directory.open();
    const numbers = Array.from({ length: 200 }, (_, at) => at + 1);
    await before.commit(...numbers.map((n) => accept(n, { body: Buffer.alloc(1000, 0xaa) })));
    await before.close();
    damage(directory.file, Buffer.alloc(500, 0xaa));
    const user = await directory.open();
    const loaded = await user.load(...numbers.map(uuidOf));
    expect(loaded).toMatchObject({ kind: 'fatal', message: expect.stringContaining('verify') });
    expect(failureIn(await user.tryCommit([accept(201)])).kind).toBe('fatal');
  });

  it('a damaged page that is needed at the start ends it with 74', async () => {
    const before = await directory.open();
    await before.commit(accept(1, { service: Buffer.alloc(100, 0xbb) }));
    await before.close();
    damage(directory.file, Buffer.alloc(50, 0xbb));
    const error = await errorOf(directory.open());
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(error.message).toContain(directory.file);
  });

  it('a lock of another program is waited for, without holding up the main thread', async () => {
    const user = await directory.open();
    await user.commit(accept(1));
    const other = new Database(directory.file);
    other.exec('BEGIN IMMEDIATE');
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const outcome = user.tryCommit([accept(2)]);
    // Many turns of the main thread pass while the other thread waits.
    while (turns < 20) await new Promise(setImmediate);
    other.exec('COMMIT');
    other.close();
    clearInterval(timer);
    expect(await outcome).toHaveProperty('results');
  });

  it('a lock that stays is busy: nothing is stored, and the next batch goes in when it ends', async () => {
    const user = await directory.open();
    await user.commit(accept(1));
    const other = new Database(directory.file);
    other.exec('BEGIN IMMEDIATE');
    const failure = failureIn(await user.tryCommit([accept(2)]));
    expect(failure.kind).toBe('busy');
    expect(failure.message).toContain(directory.file);
    // What was committed can be read meanwhile.
    expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'pending' });
    other.exec('COMMIT');
    other.close();
    expect(await user.lookUp(uuidOf(2))).toMatchObject({ state: 'absent' });
    expect(await user.commit(accept(2))).toEqual([{ kind: 'done' }]);
  });
});

describe('a store that is closed', () => {
  it('commits what is in progress; later calls are refused, but not as disk failures', async () => {
    const user = await directory.open();
    const underWay = user.commit(accept(1));
    const closed = user.close();
    void user.tryCommit([accept(2)]);
    await Promise.all([underWay, closed]);
    void user.tryCommit([accept(3)]);
    void user.list(0);
    await new Promise(setImmediate);
    expect(user.told).toEqual([`transaction ${user.recovered.firstTransaction}`]);
    const { pending } = await directory.open();
    expect(pending.map(({ number }) => number)).toEqual([1]);
  });
});

describe('a file system of its own', () => {
  let mounted = '';

  beforeEach(() => {
    mounted = join(directory.path, 'disk');
    mkdirSync(mounted);
  });
  afterEach(() => {
    spawnSync('umount', ['-l', mounted]);
  });

  const mount = (...options: readonly string[]): void => {
    const run = spawnSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      options.join(),
      'majordomo-test',
      mounted,
    ]);
    expect(run.status).toBe(0);
  };

  /** Commits until it is full; every request that was acknowledged. */
  const fill = async (user: StoreUser, from: number): Promise<number[]> => {
    const kept: number[] = [];
    for (let n = from; n < from + 10_000; n++) {
      const outcome = await user.tryCommit([accept(n, { body: Buffer.alloc(20_000, n) })]);
      if ('failure' in outcome) {
        expect(outcome.failure.kind).toBe('full');
        expect(outcome.failure.message).toContain('free space');
        return kept;
      }
      kept.push(n);
    }
    throw new Error('it never was full');
  };

  itWithTool(
    'root',
    'that is full: rolled back, readable, and taken up again once there is room',
    async () => {
      mount('size=4m');
      const ballast = join(mounted, 'ballast');
      writeFileSync(ballast, Buffer.alloc(1024 * 1024));
      const file = join(mounted, 'titanic.db');
      const user = await directory.open(file);
      const kept = await fill(user, 1);
      expect(kept.length).toBeGreaterThan(10);
      const last = kept.at(-1) ?? 0;
      expect(await user.lookUp(uuidOf(last))).toMatchObject({ state: 'pending' });
      expect(await user.lookUp(uuidOf(last + 1))).toMatchObject({ state: 'absent' });
      rmSync(ballast);
      const more = await fill(user, last + 1);
      expect(more.length).toBeGreaterThan(10);
      await user.close();

      const again = await directory.open(file);
      expect(again.pending.map(({ uuid }) => uuid)).toEqual([...kept, ...more].map(uuidOf));
    },
  );

  itWithTool(
    'root',
    'that is full: what ends requests needs the room that operating.md says, and makes room',
    async () => {
      mount('size=16m');
      const ballast = join(mounted, 'ballast');
      writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024));
      const file = join(mounted, 'titanic.db');
      const user = await directory.open(file);
      const kept = await fill(user, 1);
      expect(failureIn(await user.tryCommit([close(1)])).kind).toBe('full');
      const room = statSync(`${file}-wal`).size + 1024 * 1024;
      truncateSync(ballast, statSync(ballast).size - room);
      for (const n of kept) await user.commit(close(n));
      const more = await fill(user, (kept.at(-1) ?? 0) + 1);
      expect(more.length).toBeGreaterThanOrEqual(kept.length);
    },
  );

  itWithTool(
    'root',
    'that is full at the start: everything is there, and writes begin once there is room',
    async () => {
      mount('size=4m');
      const file = join(mounted, 'titanic.db');
      const before = await directory.open(file);
      await before.commit(accept(1));
      await before.close();
      const ballast = join(mounted, 'ballast');
      spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
      const user = await directory.open(file);
      expect(user.pending.map(({ number }) => number)).toEqual([1]);
      expect(await user.load(uuidOf(1))).toEqual([Buffer.from('body 1')]);
      expect(failureIn(await user.tryCommit([accept(2)])).kind).toBe('full');
      rmSync(ballast);
      await user.commit(accept(2));
      await user.commit(accept(3));
      // From now on others can read it again.
      expect(verifyStore(file, () => {})).toMatchObject({ pending: 3, problems: [] });
    },
  );

  itWithTool(
    'root',
    'that is full before there is a store: it opens empty, and is made once there is room',
    async () => {
      mount('size=4m');
      const file = join(mounted, 'titanic.db');
      const ballast = join(mounted, 'ballast');
      spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
      const user = await directory.open(file);
      expect(user.pending).toEqual([]);
      expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'absent' });
      expect(failureIn(await user.tryCommit([accept(1)])).kind).toBe('full');
      expect(readdirSync(mounted)).toEqual(['ballast']);
      rmSync(ballast);
      await user.commit(accept(2));
      await user.commit(accept(3));
      expect(verifyStore(file, () => {})).toMatchObject({ pending: 2, problems: [] });
      await user.close();
      const again = await directory.open(file);
      expect(again.pending.map(({ uuid }) => uuid)).toEqual([2, 3].map(uuidOf));
    },
  );

  itWithTool('root', 'that is read-only now: fatal in use, and 74 at the start', async () => {
    mount('size=4m');
    const file = join(mounted, 'titanic.db');
    const user = await directory.open(file);
    await user.commit(accept(1));
    await user.close();
    spawnSync('mount', ['-o', 'remount,ro', mounted]);
    const error = await errorOf(directory.open(file));
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(error.message).toContain(file);
  });
});

/** Every file below the directory, and what is in it. */
function snapshot(path: string): readonly (readonly [name: string, content: string])[] {
  return readdirSync(path, { withFileTypes: true }).map((entry) => [
    entry.name,
    entry.isFile() ? readFileSync(join(path, entry.name), 'latin1') : 'a directory',
  ]);
}

/** Overwrites the head of each page that has these bytes in it. */
function damage(file: string, bytes: Buffer): void {
  const content = readFileSync(file);
  let damaged = 0;
  for (let at = PAGE_BYTES; at < content.length; at += PAGE_BYTES) {
    const page = content.subarray(at, at + PAGE_BYTES);
    if (!page.includes(bytes)) continue;
    page.fill(0xff, 0, 100);
    damaged++;
  }
  expect(damaged).toBeGreaterThan(0);
  writeFileSync(file, content);
}
