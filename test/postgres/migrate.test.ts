import { cpSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import Database from 'better-sqlite3';
import { Client as Postgres } from 'pg';

import { ServiceError } from '../../src/sdk/service-error.js';
import { Worker } from '../../src/sdk/worker.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import type { StoreContent } from '../support/memory-node-tables.js';
import { Child, type Finished, run } from '../support/child.js';
import {
  ask,
  atEnd,
  clientOf,
  endAll,
  endUsers,
  serve,
  upper as inCapitals,
} from '../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory, unstarted } from '../support/daemon.js';
import { makeEveryKind } from '../support/every-kind.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { accept } from '../support/store-changes.js';
import { digestOf } from '../support/store-digest.js';
import { packed } from '../support/store-pair.js';
import { StoreUser } from '../support/store-user.js';
import { until } from '../support/until.js';
import { LONG_TEST_MS, PATIENCE_MS } from '../support/patience.js';

const cluster = sharedCluster();

afterEach(endAll);

async function emptyUrl(): Promise<string> {
  const server = await cluster();
  return server.url(await server.database());
}

async function sql(url: string, text: string): Promise<Record<string, unknown>[]> {
  return await (await cluster()).sql(text, url.split('/').at(-1));
}

async function migrate(from: string, to: string, ...more: string[]): Promise<Finished> {
  return await run(['migrate', '--from', from, '--to', to, ...more]);
}

function upper(daemon: Daemon): void {
  serve(daemon, 'upper', (text) => {
    if (text === 'fail') throw new ServiceError('no-such', 'not here', { retry: false });
    return inCapitals(text);
  });
}

/** Where its requests are now, as `verify` tells; `null`: in the file. */
async function movedTo(file: string): Promise<unknown> {
  const { stdout } = await run(['verify', file, '-o', 'json']);
  return (JSON.parse(stdout) as { moved: unknown }).moved;
}

/** A store file with rows of every kind, in a data directory of its own. */
async function everyKind(more = 0): Promise<string> {
  const file = join(temporaryDirectory(), 'titanic.db');
  await makeEveryKind(file, more);
  const db = new Database(file);
  // A field of a later version. No change of this one brings it to a key.
  db.exec("UPDATE keys SET extra = x'3c0000' WHERE key = CAST('order-4' AS BLOB)");
  db.close();
  return file;
}

/** What a copy of a store has in common with it: not the numbers of its transactions. */
function comparable(path: string) {
  const { requests, keys, owners, services, nextNumber }: StoreContent = sqliteContent(path);
  return {
    ...{ owners, services, nextNumber },
    requests: requests.map(({ changed: _changed, born: _born, ...rest }) => rest),
    keys: keys.map(({ changed: _changed, ...rest }) => rest),
  };
}

describeWithPostgres('majordomo migrate', () => {
  it('moves rows of every kind, and backup writes them back: equal, row for row', async () => {
    const file = await everyKind(20);
    const before = comparable(file);
    expect(before.keys.filter(({ extra, until }) => extra !== null && until === null)).toHaveLength(
      1,
    );
    const url = await emptyUrl();
    const moved = await migrate(file, url, '-o', 'json');
    expect([moved.status, moved.stderr]).toEqual([0, '']);
    const kept = { schedules: 1, pauses: 1, limits: 1, later: 1 };
    const counts = { pending: 28, replied: 7, dead: 1, keys: 6, ...kept };
    expect(JSON.parse(moved.stdout)).toMatchObject({ ...counts, how: 'first', copied: 40 });
    const config = ['--set', `titanic.store=${url}`];
    const there = await run(['verify', '-o', 'json', ...config]);
    expect(JSON.parse(there.stdout)).toMatchObject({ ...counts, problems: [] });
    // The marked file can still be looked at.
    const here = await run(['verify', file, '-o', 'json']);
    expect(JSON.parse(here.stdout)).toMatchObject({ ...counts, problems: [] });
    const copy = join(temporaryDirectory(), 'titanic.db');
    const back = await run(['backup', copy, ...config]);
    expect([back.status, back.stderr]).toEqual([0, '']);
    expect(comparable(copy)).toEqual(before);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const verified = await run(['verify', copy, '-o', 'json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({ ...counts, problems: [] });
    // And there again.
    const again = await emptyUrl();
    expect((await migrate(copy, again)).status).toBe(0);
    const second = join(temporaryDirectory(), 'titanic.db');
    await run(['backup', second, '--set', `titanic.store=${again}`]);
    expect(comparable(second)).toEqual(before);
  });

  it('receipts of a broker stay good: replies, failures, keys, delays, headers, schedules', async () => {
    const before = await startDaemon();
    const { dataDir } = before;
    const client = clientOf(before);
    upper(before);
    const replied = await client.submit('upper', 'hello');
    expect((await replied.result({ timeoutMs: PATIENCE_MS })).text()).toBe('HELLO');
    const failed = await client.submit('upper', 'fail');
    await expect(failed.result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
      code: 'ERR_SERVICE_FAILED',
    });
    const closed = await client.submit('upper', 'closed', { idempotencyKey: 'closed' });
    await closed.result({ timeoutMs: PATIENCE_MS });
    await closed.close();
    const headers = { tenant: 'blue' };
    const backoff = { baseMs: 10, maxMs: 20 };
    const options = { idempotencyKey: 'k', priority: 9, headers, maxAttempts: 3, backoff };
    const waits = await client.submit('later', 'hello', options);
    const delayed = await client.submit('later', 'delayed', { delayMs: 3_600_000 });
    await client.schedule('nightly', 'later', 'x', { cron: '30 2 * * *', timeZone: 'Asia/Tokyo' });
    const schedules = await client.schedules();
    await endUsers();
    expect((await before.stop()).status).toBe(0);
    const url = await emptyUrl();
    const moved = await migrate(join(dataDir, 'titanic.db'), url);
    expect([moved.status, moved.stderr]).toEqual([0, '']);
    expect(moved.stdout).toMatch(
      / moved to 127\.0\.0\.1:\d+\/store_\d+\n2 pending, 1 replied, 1 dead, /,
    );
    expect(moved.stdout).toMatch(/5 requests copied in [\d.]+ s, \d+ a second\n$/);

    const broker = await startDaemon({ sets: [`titanic.store=${url}`] });
    const there = clientOf(broker);
    expect((await there.job(replied.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('HELLO');
    await expect(there.job(failed.uuid).result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
      code: 'ERR_SERVICE_FAILED',
      serviceCode: 'no-such',
    });
    expect(await ask(there, 'titanic.reply', closed.uuid)).toEqual(['400 unknown']);
    const remembered = await there.submit('upper', 'closed', { idempotencyKey: 'closed' });
    expect(remembered.uuid).toBe(closed.uuid);
    expect((await there.submit('later', 'hello', options)).uuid).toBe(waits.uuid);
    expect(await ask(there, 'titanic.reply', delayed.uuid)).toEqual(['300']);
    expect(await there.schedules()).toEqual(schedules);
    let tenant: unknown = null;
    const worker = new Worker({ endpoints: [broker.endpoint], service: 'later' }, (asked) => {
      tenant = asked.headers['tenant'];
      return 'done';
    });
    atEnd(() => worker.close({ graceMs: 0 }));
    void worker.run();
    expect((await there.job(waits.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('done');
    expect(tenant).toBe('blue');
    expect(await ask(there, 'titanic.close', replied.uuid)).toEqual(['200']);

    const refused = await unstarted({ dataDir });
    expect(refused).toEqual({
      status: 78,
      stderr: expect.stringMatching(/was moved to the database 127\.0\.0\.1:\d+\/store_\d+ at 20/),
    });
    expect(refused.stderr).not.toContain('postgres@');
    const again = await migrate(join(dataDir, 'titanic.db'), url, '-o', 'json');
    expect(JSON.parse(again.stdout)).toMatchObject({ how: 'already', copied: 0 });
    // Back: a broker with a file gives the same answers.
    const copy = temporaryDirectory();
    const args = ['--set', `titanic.store=${url}`];
    expect((await run(['backup', join(copy, 'titanic.db'), ...args])).status).toBe(0);
    const back = clientOf(await startDaemon({ dataDir: copy }));
    expect((await back.job(waits.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('done');
    await expect(back.job(failed.uuid).result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
      serviceCode: 'no-such',
    });
    expect(await ask(back, 'titanic.reply', replied.uuid)).toEqual(['400 unknown']);
    expect(await ask(back, 'titanic.reply', delayed.uuid)).toEqual(['300']);
    expect(await back.schedules()).toEqual(schedules);
    expect((await back.submit('later', 'hello', options)).uuid).toBe(waits.uuid);
  });

  it(
    'killed again and again, it continues, and everything is there once',
    async () => {
      const file = await everyKind(8000);
      const url = await emptyUrl();
      const before = comparable(file);
      const gate = await Gate.at(url);
      const first = new Child(['migrate', '--from', file, '--to', url]);
      await gate.passes();
      await gate.isReached();
      await gate.kill(first);
      // A transaction has the requests and the place after them, or neither.
      const beyond = await sql(
        url,
        `SELECT count(*)::int FROM majordomo.request, majordomo.origin
          WHERE after_id IS NULL OR id > after_id`,
      );
      expect(beyond).toEqual([{ count: 0 }]);
      const refused = await unstarted({ sets: [`titanic.store=${url}`] });
      expect(refused).toMatchObject({ status: 78 });
      expect(refused.stderr).toContain('majordomo migrate');
      for (let kills = 1; kills < 3; kills++) {
        const child = new Child(['migrate', '--from', file, '--to', url]);
        await gate.passes();
        await pause(Math.random() * 60);
        await gate.kill(child);
      }
      expect(await placeIn(url)).toMatchObject([{ finished: false }]);
      await gate.open();
      const done = await migrate(file, url, '-o', 'json');
      expect([done.status, done.stderr]).toEqual([0, '']);
      expect(JSON.parse(done.stdout)).toMatchObject({ how: 'resumed', dead: 1 });
      const copy = join(temporaryDirectory(), 'titanic.db');
      await run(['backup', copy, '--set', `titanic.store=${url}`]);
      expect(digestOf(comparable(copy))).toBe(digestOf(before));
      expect((await unstarted({ dataDir: dirname(file) })).status).toBe(78);
    },
    LONG_TEST_MS,
  );
});

/** Before a transaction of a migration writes its place, it waits for the gate. */
const GATE = `CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
  CREATE FUNCTION public.gated() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF to_regclass('majordomo.origin') IS NOT NULL THEN
        CREATE OR REPLACE TRIGGER gate BEFORE UPDATE ON majordomo.origin
          FOR EACH ROW EXECUTE FUNCTION public.gate();
      END IF;
    END $$;
  CREATE EVENT TRIGGER gated ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION public.gated()`;
const MIGRATION = `FROM pg_stat_activity
  WHERE application_name = 'majordomo' AND datname = current_database()`;

/** Transactions of a migration pass it one at a time: it is a lock, which goes to those that wait in turn. */
class Gate {
  static async at(url: string): Promise<Gate> {
    await sql(url, GATE);
    const locking = async (): Promise<Postgres> => {
      const made = new Postgres({ connectionString: url });
      await made.connect();
      atEnd(() => made.end());
      return made;
    };
    const gate = new Gate(url, await locking(), await locking());
    await gate.#holder.query('SELECT pg_advisory_lock(1)');
    return gate;
  }

  readonly #url: string;
  #holder: Postgres;
  #other: Postgres;

  private constructor(url: string, holder: Postgres, other: Postgres) {
    this.#url = url;
    this.#holder = holder;
    this.#other = other;
  }

  async #waiting(count: number): Promise<void> {
    const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
    await until(
      async () => (await sql(this.#url, waiting)).length === count,
      `${count} wait at the gate`,
    );
  }

  async isReached(): Promise<void> {
    await this.#waiting(1);
  }

  /** The next transaction has passed. */
  async passes(): Promise<void> {
    await this.isReached();
    const closed = this.#other.query('SELECT pg_advisory_lock(1)');
    await this.#waiting(2);
    await this.#holder.query('SELECT pg_advisory_unlock(1)');
    await closed;
    [this.#holder, this.#other] = [this.#other, this.#holder];
  }

  async kill(child: Child): Promise<void> {
    expect(child.ended).toBe(false);
    child.signal('SIGKILL');
    await child.exited;
    // Else the server would go on with what it has received.
    await sql(this.#url, `SELECT pg_terminate_backend(pid) ${MIGRATION}`);
    await until(
      async () => (await sql(this.#url, `SELECT 1 ${MIGRATION}`)).length === 0,
      'its connection is over',
    );
  }

  async open(): Promise<void> {
    await this.#holder.query('SELECT pg_advisory_unlock(1)');
  }
}

/** How far the copying has come. */
async function placeIn(url: string): Promise<Record<string, unknown>[]> {
  return await sql(url, 'SELECT after_id, finished FROM majordomo.origin');
}

/** What a kill at the worst moment leaves: everything is copied, and nothing says so yet. */
async function unfinish(file: string, url: string): Promise<void> {
  const db = new Database(file);
  db.exec('DELETE FROM moved');
  db.close();
  await sql(url, 'UPDATE majordomo.origin SET finished = false');
}

describeWithPostgres('majordomo backup of a database', () => {
  it('gives new numbers in the same order where a file cannot have those of the database', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    // Beyond what a number of JavaScript holds, and some of them twice.
    await sql(url, 'UPDATE majordomo.request SET seq = 1800000000000000000 + seq / 2');
    const rows = await sql(url, 'SELECT id FROM majordomo.request ORDER BY seq, id');
    const copy = join(temporaryDirectory(), 'titanic.db');
    expect((await run(['backup', copy, '--set', `titanic.store=${url}`])).status).toBe(0);
    const { requests, nextNumber } = sqliteContent(copy);
    expect(requests.map(({ request }) => request.uuid.toString('hex'))).toEqual(
      rows.map(({ id }) => String(id).replaceAll('-', '')),
    );
    expect(requests.map(({ request }) => request.number)).toEqual(rows.map((_, n) => n + 1));
    expect(nextNumber).toBe(rows.length + 1);
    expect((await run(['verify', copy])).status).toBe(0);
  });

  it('into a directory that does not exist: 74; of a database without a store: 78', async () => {
    const url = await emptyUrl();
    const config = ['--set', `titanic.store=${url}`];
    const empty = await run(['backup', join(temporaryDirectory(), 'b.db'), ...config]);
    expect([empty.status, empty.stderr]).toEqual([78, expect.stringContaining('has no store')]);
    await migrate(await everyKind(), url);
    const nowhere = await run(['backup', join(temporaryDirectory(), 'absent', 'b.db'), ...config]);
    expect([nowhere.status, nowhere.stderr]).toEqual([74, expect.stringContaining('ENOENT')]);
  });
});

describeWithPostgres('majordomo migrate refuses', () => {
  it('while the broker of the file runs: 69', async () => {
    const daemon = await startDaemon();
    const { status, stderr } = await migrate(join(daemon.dataDir, 'titanic.db'), await emptyUrl());
    expect([status, stderr]).toEqual([69, expect.stringContaining('stop the broker first')]);
  });

  it('while a broker uses the database: 69; afterwards it is done', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    const { store } = await openDatabaseStore(url, PATIENCE_MS);
    const { status, stderr } = await migrate(file, url);
    expect([status, stderr]).toEqual([69, expect.stringContaining('the broker test uses')]);
    await store.close();
    expect((await migrate(file, url)).status).toBe(0);
  });

  it("a database with another fleet's receipts, also with one that was moved there before: 78", async () => {
    const url = await emptyUrl();
    expect((await migrate(await everyKind(), url)).status).toBe(0);
    const file = await everyKind();
    const { status, stderr } = await migrate(file, url);
    expect([status, stderr]).toEqual([
      78,
      expect.stringMatching(
        /holds receipts of another store already, once moved from .*titanic\.db/,
      ),
    ]);
    expect(await movedTo(file)).toBe(null);
  });

  it('a file that was moved elsewhere: 78, and says where', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    const { status, stderr } = await migrate(file, await emptyUrl());
    const name = url.split('/').at(-1);
    expect([status, stderr]).toEqual([78, expect.stringMatching(`was moved to the .*/${name}`)]);
  });

  it('a file that was put back and served since it was moved: 78, not taken for moved', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    const before = join(temporaryDirectory(), 'before.db');
    cpSync(file, before);
    await migrate(file, url);
    cpSync(before, file);
    const served = await StoreUser.open(openSqliteStore(file));
    await served.commit(accept(600, { body: packed('since'), number: 600 }));
    await served.close();
    const { status, stderr } = await migrate(file, url);
    expect([status, stderr]).toEqual([
      78,
      expect.stringMatching(/has no mark of that: it is a copy/),
    ]);
    expect(await movedTo(file)).toBe(null);
    const elsewhere = await migrate(file, await emptyUrl(), '-o', 'json');
    expect(JSON.parse(elsewhere.stdout)).toMatchObject({ how: 'first' });
  });

  it('an unfinished database, for another file: 78; backup refuses it, verify tells of it', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    await unfinish(file, url);
    const other = await migrate(await everyKind(), url);
    expect([other.status, other.stderr]).toEqual([78, expect.stringContaining(file)]);
    const config = ['--set', `titanic.store=${url}`];
    const backup = await run(['backup', join(temporaryDirectory(), 'b.db'), ...config]);
    expect([backup.status, backup.stderr]).toEqual([78, expect.stringContaining(file)]);
    const verify = await run(['verify', ...config]);
    expect([verify.status, verify.stderr]).toEqual([74, expect.stringContaining('not all here')]);
    // Only the last step was missing.
    const again = await migrate(file, url, '-o', 'json');
    expect(JSON.parse(again.stdout)).toMatchObject({ how: 'resumed', copied: 0, dead: 1 });
    expect(await placeIn(url)).toMatchObject([{ finished: true }]);
  });

  it('begins anew if a broker has used the file since', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    await unfinish(file, url);
    const used = await StoreUser.open(openSqliteStore(file));
    const since = accept(600, { body: packed('since'), number: 600 });
    await used.commit(since);
    await used.close();
    const again = await migrate(file, url, '-o', 'json');
    expect(JSON.parse(again.stdout)).toMatchObject({ how: 'anew', dead: 1 });
    const there = `SELECT 1 AS is_there FROM majordomo.request WHERE id = '${since.request.uuid.toString('hex')}'`;
    expect(await sql(url, there)).toEqual([{ is_there: 1 }]);
  });

  it('to mark a file whose copy differs in anything: 74', async () => {
    const server = await cluster();
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    await unfinish(file, url);
    for (const change of [
      'UPDATE majordomo.request SET attempts = attempts + 1 WHERE state = 1',
      'DELETE FROM majordomo.request WHERE id = (SELECT max(id::text)::uuid FROM majordomo.request)',
      "UPDATE majordomo.body SET frames = frames || '\\x00' WHERE kind = 2",
      'DELETE FROM majordomo.key WHERE until IS NULL',
      'UPDATE majordomo.key SET until = until + 1 WHERE until IS NOT NULL',
      "UPDATE majordomo.attempt SET reason = 'another'",
      // Fields of a later version.
      'UPDATE majordomo.request SET extra = NULL',
      'UPDATE majordomo.attempt SET extra = NULL',
      'UPDATE majordomo.key SET extra = NULL',
    ]) {
      const changed = server.url(await server.database(url.split('/').at(-1)));
      await sql(changed, change);
      const { status, stderr } = await migrate(file, changed);
      expect([change, status, stderr]).toEqual([
        ...[change, 74],
        expect.stringContaining('differs from the file'),
      ]);
      expect(await placeIn(changed)).toMatchObject([{ finished: false }]);
    }
    expect((await unstarted({ sets: [`titanic.store=${url}`] })).status).toBe(78);
    expect(await movedTo(file)).toBe(null);
  });

  it('keys of the map, unless they are to stay behind: 78', async () => {
    const file = await everyKind();
    const db = new Database(file);
    db.exec("INSERT INTO ranked VALUES (1, 1, x'2f61', 1, 1, 0, x'31', 1)");
    db.exec("INSERT INTO ranked VALUES (2, 200, x'2f61', 1, 1, 0, x'31', 1)");
    db.close();
    const url = await emptyUrl();
    const { status, stderr } = await migrate(file, url);
    expect([status, stderr]).toEqual([
      78,
      expect.stringContaining('holds 1 key of the map, 1 record of part 200'),
    ]);
    expect((await migrate(file, url, '--without-map')).status).toBe(0);
  });

  it('a password in the URL: 64, without repeating it', async () => {
    const { status, stderr } = await migrate(await everyKind(), 'postgresql://u:secret@h/x');
    expect([status, stderr]).toEqual([64, expect.stringContaining('a password does not belong')]);
    expect(stderr).not.toContain('secret');
  });
});

describeWithPostgres('a data directory with a store file, and a database', () => {
  const withFile = (dataDir: string): string => join(dataDir, 'majordomo.yaml');

  it('a forgotten migrate: serve refuses it (78), doctor tells; not once it was moved', async () => {
    const file = await everyKind();
    const dataDir = dirname(file);
    const url = await emptyUrl();
    const config = withFile(dataDir);
    writeFileSync(config, `titanic:\n  store: ${url}\n`);
    const holds = `${file} holds 16 requests and 1 schedule and 1 pause and 1 limit and 1 record of a later version that are not in the database: run`;
    const refused = await unstarted({ dataDir, file: config });
    expect([refused.status, refused.stderr]).toEqual([
      78,
      `majordomo: ${holds} \`majordomo migrate -c ${config}\` first, or move the file away\n`,
    ]);
    const bare = await unstarted({ dataDir, sets: [`titanic.store=${url}`] });
    expect(bare.stderr).toContain(`${holds} \`majordomo migrate\` first, or move`);
    const ofDirectory = ['-c', config, '--set', `node.dataDir=${dataDir}`];
    expect(await problems(ofDirectory)).toEqual([
      expect.stringContaining(`${holds} \`majordomo migrate -c ${config}\` first`),
    ]);
    // Nothing was made there.
    await expect(sql(url, 'SELECT 1 FROM majordomo.meta')).rejects.toThrow('majordomo.meta');
    expect((await run(['migrate', ...ofDirectory])).status).toBe(0);
    expect(await problems(ofDirectory)).toEqual([]);
    await startDaemon({ dataDir, file: config });
  });

  it("a file without requests is in nobody's way", async () => {
    const dataDir = temporaryDirectory();
    await (await StoreUser.open(openSqliteStore(join(dataDir, 'titanic.db')))).close();
    await startDaemon({ dataDir, sets: [`titanic.store=${await emptyUrl()}`] });
  });

  it('the moved file decides which store the directory remembers, not a former database', async () => {
    const former = await startDaemon({ sets: [`titanic.store=${await emptyUrl()}`] });
    await former.stop();
    const { dataDir } = former;
    await makeEveryKind(join(dataDir, 'titanic.db'), 0);
    const url = await emptyUrl();
    expect((await migrate(join(dataDir, 'titanic.db'), url)).status).toBe(0);
    const remembers = (there: string): string[] => [
      '--set',
      `node.dataDir=${dataDir}`,
      '--set',
      `titanic.store=${there}`,
    ];
    expect(await problems(remembers(url))).toEqual([]);
    // A file that was moved before changes nothing.
    const another = await emptyUrl();
    expect(await problems(remembers(another))).toEqual([expect.stringContaining('remembers')]);
    const sets = [`titanic.store=${another}`];
    await (await startDaemon({ dataDir, sets, newStore: true })).stop();
    const again = await migrate(join(dataDir, 'titanic.db'), url, '-o', 'json');
    expect(JSON.parse(again.stdout)).toMatchObject({ how: 'already' });
    expect(await problems(remembers(another))).toEqual([]);
  });

  it('a moved file: doctor and verify say where its requests are', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    const moved = await migrate(file, url, '-o', 'json');
    const { seconds } = JSON.parse(moved.stdout) as { seconds: number };
    expect(String(seconds)).toMatch(/^\d+(\.\d{1,3})?$/);
    const again = await migrate(file, url, '-o', 'json');
    expect(String((JSON.parse(again.stdout) as { seconds: number }).seconds)).toBe('0');
    expect(await problems(['--set', `node.dataDir=${dirname(file)}`])).toEqual([
      expect.stringMatching(/was moved to the database 127\.0\.0\.1:\d+\/store_\d+ at 20/),
    ]);
    const text = await run(['verify', file]);
    expect(text.stdout).toMatch(/\nmoved to 127\.0\.0\.1:\d+\/store_\d+ at 20\d\d-.*Z\n$/);
    const json = JSON.parse((await run(['verify', file, '-o', 'json'])).stdout) as unknown;
    expect(json).toMatchObject({ moved: { place: expect.stringContaining('/store_') } });
  });

  it('an unfinished move: doctor tells of it', async () => {
    const file = await everyKind();
    const url = await emptyUrl();
    await migrate(file, url);
    await sql(url, 'UPDATE majordomo.origin SET finished = false');
    const config = ['--set', `titanic.store=${url}`, '--set', `node.dataDir=${dirname(file)}`];
    expect(await problems(config)).toEqual([
      expect.stringMatching(/^store .* the requests of .* were not all moved here: run/),
    ]);
  });
});

/** The texts of the problems that `doctor` finds. */
async function problems(config: readonly string[]): Promise<string[]> {
  const { status, stdout } = await run(['doctor', '-o', 'json', ...config]);
  const { checks } = JSON.parse(stdout) as { checks: { state: string; text: string }[] };
  const found = checks.filter(({ state }) => state === 'problem').map(({ text }) => text);
  expect(status).toBe(found.length === 0 ? 0 : 1);
  return found;
}
