import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { readMigrations } from '../../../src/store/sqlite/file/schema.js';
import { Child, run } from '../../support/child.js';
import { clientOf, endAll } from '../../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { until } from '../../support/until.js';

afterEach(endAll);

/** A broker with this many pending requests, each with a key, because it may be sent again. */
async function withRequests(count: number): Promise<Daemon> {
  const daemon = await startDaemon();
  const client = clientOf(daemon, { timeoutMs: 10_000 });
  const body = 'x'.repeat(1000);
  await Promise.all(Array.from({ length: count }, () => client.submit('work', body)));
  return daemon;
}

function storeOf({ dataDir }: Daemon): string {
  return join(dataDir, 'titanic.db');
}

/** Ports that no other broker of this machine has. */
const FREE = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=off'];

function setsOf(...sets: readonly string[]): string[] {
  return sets.flatMap((set) => ['--set', set]);
}

function json(text: string): unknown {
  return JSON.parse(text);
}

/** Overwrites bytes in the middle of the file. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill(0xff, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 20_000);
  writeFileSync(path, bytes);
}

describe('majordomo backup', () => {
  it('copies the store of a running broker under load; the copy is intact', async () => {
    const daemon = await withRequests(500);
    const client = clientOf(daemon);
    const done = new AbortController();
    const load = (async () => {
      while (!done.signal.aborted) await client.submit('work', 'meanwhile');
    })();
    const copy = join(temporaryDirectory(), 'copy.db');
    const args = ['backup', '--set', `node.dataDir=${daemon.dataDir}`, copy];
    const { status, stdout, stderr } = await run(args);
    done.abort();
    await load;
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^.*copy\.db: [\d.]+ [KM]iB\n$/),
      stderr: '',
    });
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const verified = await run(['verify', copy, '-o', 'json']);
    expect(verified).toMatchObject({ status: 0, stderr: '' });
    const report = json(verified.stdout) as { pending: number };
    expect(report).toMatchObject({ file: copy, problems: [] });
    expect(report.pending).toBeGreaterThanOrEqual(500);
    // A broker that is started on it finds all requests.
    const dataDir = temporaryDirectory();
    copyFileSync(copy, join(dataDir, 'titanic.db'));
    const restored = await startDaemon({ dataDir });
    expect((await restored.waitFor('titanic.recovered'))['pending']).toBe(report.pending);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'that a signal ends leaves nothing behind: %s',
    async (signal) => {
      const daemon = await withRequests(1);
      await daemon.kill();
      const store = new Database(storeOf(daemon));
      // So many pages that copying them takes a while.
      store.exec('INSERT INTO bodies (number, body) VALUES (1000, zeroblob(200000000))');
      store.close();
      const directory = temporaryDirectory();
      const copy = join(directory, 'copy.db');
      await until(async () => {
        const backup = new Child(['backup', '--store', storeOf(daemon), copy]);
        await until(() => readdirSync(directory).length > 0, 'it has begun');
        backup.signal(signal);
        const ended = await backup.finished();
        // It may have been quicker than the signal.
        const isWhole = existsSync(copy);
        rmSync(copy, { force: true });
        if (!isWhole) expect(ended).toMatchObject({ status: null, signal });
        return !isWhole;
      }, 'a signal comes in the middle');
      expect(readdirSync(directory)).toEqual([]);
    },
  );

  it('never overwrites a file: 64, and the file is left unchanged', async () => {
    const daemon = await withRequests(1);
    const copy = join(temporaryDirectory(), 'copy.db');
    writeFileSync(copy, 'mine');
    const ended = await run(['backup', '--store', storeOf(daemon), copy]);
    expect(ended).toMatchObject({ status: 64, stderr: expect.stringContaining('exists already') });
    expect(readFileSync(copy, 'utf8')).toBe('mine');
  });

  it('ends with 74 if there is no store or no directory, and leaves nothing behind', async () => {
    const directory = temporaryDirectory();
    const copy = join(directory, 'copy.db');
    const none = await run(['backup', '--store', join(directory, 'none.db'), copy]);
    expect(none).toMatchObject({ status: 74, stderr: expect.stringContaining('none.db') });
    expect(existsSync(copy)).toBe(false);
    const daemon = await withRequests(1);
    const nowhere = join(directory, 'no', 'copy.db');
    const { status, stderr } = await run(['backup', '--store', storeOf(daemon), nowhere]);
    expect(status).toBe(74);
    expect(stderr).toContain(`backup of ${storeOf(daemon)} to ${nowhere}: ENOENT`);
    expect(stderr).not.toMatch(/restart|restore/);
  });
});

describe('majordomo verify', () => {
  it('counts the content of a store, in use or not', async () => {
    const daemon = await withRequests(3);
    const whole = `${storeOf(daemon)}: whole\n3 pending, 0 replied, 0 dead, 3 keys\n0 keys of the map\nformat ${readMigrations().length}, `;
    const used = await run(['verify', storeOf(daemon)]);
    expect(used).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining(whole) });
    await daemon.stop();
    const args = ['verify', '--set', `node.dataDir=${daemon.dataDir}`];
    expect(await run(args)).toMatchObject({ status: 0, stdout: expect.stringContaining(whole) });
  });

  it('a part that no extension of this version knows is kept, said once, and counted (D115)', async () => {
    const daemon = await withRequests(1);
    const { dataDir } = daemon;
    await daemon.stop();
    const path = storeOf(daemon);
    const db = new Database(path);
    db.exec("INSERT INTO ranked VALUES (1, 200, x'6b', 1, 1, 0, x'00', 1)");
    db.close();
    const again = await startDaemon({ dataDir });
    expect(await again.waitFor('store.part_kept')).toMatchObject({ level: 'warn', part: 200 });
    await again.stop();
    const { status, stdout } = await run(['verify', path]);
    expect([status, stdout]).toEqual([
      0,
      expect.stringContaining(
        '\n0 keys of the map\n1 record of part 200, which no extension of this version knows\n',
      ),
    ]);
    const { parts } = json((await run(['verify', path, '-o', 'json'])).stdout) as { parts: object };
    expect(parts).toEqual([
      { part: 1, name: 'map', records: 0 },
      { part: 200, name: null, records: 1 },
    ]);
  });

  it('ends with 74 for damaged pages, and describes the damage', async () => {
    const daemon = await withRequests(500);
    await daemon.stop();
    damage(storeOf(daemon));
    const { status, stdout, stderr } = await run(['verify', storeOf(daemon), '-o', 'json']);
    expect(status).toBe(74);
    expect(stderr).toContain(`majordomo: ${storeOf(daemon)}: `);
    expect(stderr).not.toContain('    at ');
    const { problems } = json(stdout) as { problems: string[] };
    expect(problems.length).toBeGreaterThan(0);
  });

  it('ends with 74 for contradictory content, and names the contradiction', async () => {
    const daemon = await withRequests(3);
    await daemon.stop();
    const file = new Database(storeOf(daemon));
    file.exec('DELETE FROM bodies WHERE number = 2');
    file.close();
    expect(await run(['verify', storeOf(daemon)])).toMatchObject({
      status: 74,
      stderr: expect.stringContaining(
        'requests without a body, or with one of another size: 1; the first is number 2',
      ),
    });
  });

  it.each<[string, string]>([
    ['no SQLite', 'not a store of any kind, but some text that is long enough'],
    ['empty', ''],
  ])('ends with 74 for a file that is %s', async (_what, content) => {
    const path = join(temporaryDirectory(), 'file.db');
    writeFileSync(path, content);
    const { status, stderr } = await run(['verify', path]);
    expect(status).toBe(74);
    expect(stderr).toContain('file.db');
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  it('ends with 74 for the file of a running broker, copied alone, and says that its log is missing', async () => {
    const daemon = await withRequests(3);
    const copy = join(temporaryDirectory(), 'alone.db');
    copyFileSync(storeOf(daemon), copy);
    expect(await run(['verify', copy])).toMatchObject({
      status: 74,
      stdout: expect.stringContaining(`${copy}: 1 problem\n`),
      stderr: expect.stringContaining(`the log ${copy}-wal is missing`),
    });
  });

  it('ends with 74 for a missing file', async () => {
    const path = join(temporaryDirectory(), 'none.db');
    const { status, stderr } = await run(['verify', path]);
    expect(status).toBe(74);
    expect(stderr).toContain('none.db');
    expect(existsSync(path)).toBe(false);
  });
});

describe('a backup that is put in the place of a store, beside the log of the store', () => {
  it('is refused by serve, verify, backup and doctor, with both ways on', async () => {
    const daemon = await withRequests(2);
    const { dataDir } = daemon;
    const copy = join(temporaryDirectory(), 'copy.db');
    expect(await run(['backup', '--store', storeOf(daemon), copy])).toMatchObject({ status: 0 });
    await clientOf(daemon).submit('work', 'later');
    await daemon.kill();
    const kept = readFileSync(storeOf(daemon));
    copyFileSync(copy, storeOf(daemon));
    const own = setsOf(`node.dataDir=${dataDir}`, ...FREE);
    for (const args of [['verify'], ['backup', join(dataDir, 'other.db')], ['serve']]) {
      const { status, stderr } = await run([...args, ...own]);
      expect([args, status]).toEqual([args, 74]);
      expect(stderr).toContain('titanic.db-wal belongs to another file');
    }
    const doctor = await run(['doctor', '-o', 'json', ...own]);
    expect(doctor.stdout).toContain('titanic.db-wal belongs to another file');
    // One way on: the store as it was when the broker was killed.
    writeFileSync(storeOf(daemon), kept);
    const again = await startDaemon({ dataDir });
    expect(await again.waitFor('titanic.recovered')).toMatchObject({ pending: 3 });
    await again.kill();
    // The other one: the backup.
    copyFileSync(copy, storeOf(daemon));
    for (const suffix of ['-wal', '-shm']) rmSync(`${storeOf(daemon)}${suffix}`);
    const restored = await startDaemon({ dataDir });
    expect(await restored.waitFor('titanic.recovered')).toMatchObject({ pending: 2 });
  });
});

describe('a store that is lost', () => {
  it('is reported alike by serve, verify, backup and doctor; --new-store starts with a new one and logs it', async () => {
    const { dataDir } = await withRequests(2).then(async (daemon) => {
      await daemon.stop();
      return daemon;
    });
    const file = join(dataDir, 'titanic.db');
    writeFileSync(file, Buffer.alloc(statSync(file).size));
    const why = 'its first page is damaged: it begins with zeros';
    const own = setsOf(`node.dataDir=${dataDir}`, ...FREE);
    for (const args of [['verify'], ['backup', join(dataDir, 'copy.db')], ['serve']]) {
      const said = await run([...args, ...own]);
      expect(said).toMatchObject({ status: 74, stderr: expect.stringContaining(why) });
      expect(said.stderr).toContain('majordomo backup');
    }
    const doctor = await run(['doctor', '-o', 'json', ...own]);
    expect(doctor.status).toBe(1);
    expect(json(doctor.stdout)).toMatchObject({
      checks: expect.arrayContaining([
        {
          name: 'store',
          state: 'problem',
          text: expect.stringContaining(why),
          remedy: expect.stringContaining('--new-store'),
        },
      ]),
    });
    const renewed = await startDaemon({ dataDir, newStore: true });
    const { aside } = await renewed.waitFor('store.renewed');
    expect(existsSync(String(aside))).toBe(true);
    expect(await renewed.waitFor('titanic.recovered')).toMatchObject({ pending: 0 });
  });
});
