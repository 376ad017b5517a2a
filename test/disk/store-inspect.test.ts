import {
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';

import { EXIT, exitStatusOf } from '../../src/core/exit.js';
import { backupStore } from '../../src/store/sqlite/file/backup.js';
import { readMigrations } from '../../src/store/sqlite/file/schema.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import type { Ranked } from '../../src/store/ranked.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { RankedStoreUser } from '../support/ranked-store-user.js';
import {
  acceptKind,
  acceptWithWebhook,
  endWithWebhook,
  LATER_KIND,
} from '../support/record-kinds.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { accept, attempt, close, dead, reply, uuidOf } from '../support/store-changes.js';
import { digestOf } from '../support/store-digest.js';
import { storeDirectory } from '../support/store-directory.js';

const directory = storeDirectory();
let target: string;
let storeId: Buffer;

beforeEach(async () => {
  target = join(directory.path, 'backup.db');
  const user = await directory.open();
  ({ storeId } = user.recovered);
  await user.commit(
    ...[1, 2, 3, 4].map((n) => accept(n, { key: `key ${n}` })),
    reply(2),
    dead(3),
    attempt(1, 1),
    close(4),
  );
});

const silent = (): void => {};

describe('verify', () => {
  it('reports what is in a store while the broker uses it', () => {
    const steps: string[] = [];
    const report = verifyStore(directory.file, (what, done, all) => {
      steps.push(what);
      expect(done).toBeLessThan(all);
    });
    expect(report).toMatchObject({ pending: 1, replied: 1, dead: 1, keys: 4, problems: [] });
    expect(report).toMatchObject({
      format: readMigrations().length,
      freeBytes: 0,
      bytes: expect.any(Number),
    });
    expect(steps.length).toBeGreaterThan(5);
  });

  const RANKED = 'INSERT INTO ranked VALUES';

  /** What somebody may do to a store by hand, and what is said about it. */
  const DAMAGES: Readonly<Record<string, string>> = {
    'DELETE FROM bodies WHERE number = 1': 'without a body',
    "UPDATE bodies SET body = x'00' WHERE number = 1": 'of another size',
    "INSERT INTO bodies VALUES (77, x'00')": 'bodies of no request: 1; the first is number 77',
    'DELETE FROM replies': 'replied, but without a reply: 1; the first is number 2',
    "INSERT INTO replies VALUES (1, x'', '', 0)": 'not replied, but with a reply',
    'UPDATE requests SET reply_bytes = 9 WHERE number = 2': 'with a reply of another size: 1',
    'DELETE FROM deaths': 'dead, but without a reason: 1; the first is number 3',
    "INSERT INTO deaths VALUES (1, '', 0)": 'not dead, but with a reason',
    'DELETE FROM attempts': 'with a wrong number of attempts: 1; the first is number 1',
    "INSERT INTO attempts VALUES (77, 1, '', 0, 0, '', NULL, NULL)": 'attempts of no request: 1',
    'UPDATE requests SET state = 4 WHERE number = 1': 'in an unknown state',
    "UPDATE requests SET uuid = x'00' WHERE number = 1": 'with an invalid uuid',
    "UPDATE requests SET service = x'' WHERE number = 1": 'without a service',
    'UPDATE requests SET priority = 101 WHERE number = 1': 'with values out of range',
    'UPDATE ledger SET next_number = 2': 'requests with a number that is not assigned yet: 2;',
    'DELETE FROM ledger': 'the ledger has no id of the store',
    "UPDATE ledger SET store_id = x''": 'the ledger has no id of the store',
    'UPDATE requests SET changed = changed << 1 WHERE number = 1':
      'changed by a future transaction',
    'UPDATE requests SET born = changed + 1 WHERE number = 1': 'before their body was stored',
    "INSERT INTO tombstones SELECT uuid, '', 0, changed, NULL FROM requests":
      'requests that are closed but still stored: 3;',
    'DELETE FROM keys': 'whose key belongs to another request',
    'UPDATE keys SET until = 1': 'whose key belongs to another request',
    "INSERT INTO keys VALUES (x'00', x'00', '', x'00', NULL, 0, NULL)":
      '1 keys belong to missing requests',
    [`${RANKED} (1, 1, x'', 1, 1, 0, x'00', 0)`]:
      'of extensions with an invalid part or key: 1; the next start sets them aside',
    [`${RANKED} (1, 0, x'61', 1, 1, 0, x'00', 0)`]: 'of extensions with an invalid part or key',
    [`${RANKED} (1, 256, x'61', 1, 1, 0, x'00', 0)`]: 'of extensions with an invalid part or key',
    [`${RANKED} (1, 1, x'61', 1, 1 << 40, 0, x'00', 0)`]: 'of extensions with values out of range',
    [`${RANKED} (1, 1, x'61', 1, 1, 2, x'00', 0)`]: 'of extensions with values out of range',
    [`${RANKED} (1, 200, x'61', 1, 1, 1, x'', 1 << 60)`]:
      'of extensions changed by a future transaction',
  };

  /** The same of records 11, a webhook of the request 12, 13, a schedule, 14, a pause, 15, of a later version, and 16, a limit. */
  const OF_KINDS: Readonly<Record<string, string>> = {
    "UPDATE requests SET partner = x'' WHERE kind = 3": 'webhooks that tell of no request: 1',
    "UPDATE requests SET partner = x'' WHERE number = 12":
      'requests and webhooks whose partner does not name them: 1; the first is number 11',
    'UPDATE requests SET kind = 0 WHERE number = 11': 'whose partner does not name them: 2',
    'UPDATE requests SET kind = 3 WHERE number = 12': 'whose partner does not name them: 2',
    [`UPDATE requests SET kind = 3, partner = (SELECT uuid FROM requests WHERE number = 12)
      WHERE number = 15`]: 'webhooks that tell of the same request as another one: 2',
    'UPDATE requests SET state = 3 WHERE number = 13':
      'records not sent to workers, but not pending',
    'UPDATE requests SET state = 2 WHERE number = 14':
      'records not sent to workers, but not pending',
    [`UPDATE requests SET partner = randomblob(16) WHERE number = 13`]:
      'records not sent to workers, but with a partner: 1',
    "UPDATE requests SET key = x'00' WHERE number = 11":
      'records that are no requests, but have an idempotency key: 1',
    'UPDATE requests SET not_before = expires_at - 1 WHERE number = 14':
      'pauses and limits that are due',
    'UPDATE requests SET attempts_ever = 1 WHERE number = 14':
      'pauses and limits that are due at a time: 1',
    'UPDATE requests SET state = 2 WHERE number = 16':
      'records not sent to workers, but not pending: 1',
    "UPDATE requests SET key = x'00' WHERE number = 16":
      'records that are no requests, but have an idempotency key: 1',
    'UPDATE requests SET not_before = expires_at - 1 WHERE number = 16':
      'pauses and limits that are due at a time: 1',
  };

  for (const [damage, problem] of Object.entries(OF_KINDS)) {
    it(`finds out about ${damage}, and of the records of each kind nothing before`, async () => {
      const file = directory.apart('kinds');
      const user = await directory.open(file);
      await user.commit(
        ...acceptWithWebhook(12, 11),
        acceptKind('schedule', 13),
        acceptKind('pause', 14),
        acceptKind(LATER_KIND, 15, { partner: uuidOf(11) }),
        acceptKind('limit', 16),
      );
      await user.close();
      const problems = (): string => verifyStore(file, silent).problems.join('\n');
      expect(problems()).toBe('');
      const db = new Database(file);
      db.exec(damage);
      db.close();
      expect(problems()).toContain(problem);
    });
  }

  it('takes a webhook whose request has ended, and a request whose webhook was told', async () => {
    const file = directory.apart('kinds');
    const user = await directory.open(file);
    await user.commit(
      ...acceptWithWebhook(11, 12),
      ...endWithWebhook(close(11), 12, 'cancelled'),
      ...acceptWithWebhook(21, 22),
      ...endWithWebhook(reply(21), 22, 'replied'),
      close(22),
    );
    await user.close();
    expect(verifyStore(file, silent).problems).toEqual([]);
  });

  for (const [damage, problem] of Object.entries(DAMAGES)) {
    it(`finds out about ${damage}`, () => {
      const db = new Database(directory.file);
      db.exec(damage);
      db.close();
      const { problems } = verifyStore(directory.file, silent);
      expect(problems.join('\n')).toContain(problem);
    });
  }

  it('finds damaged pages, and goes on with what can be read', async () => {
    await backupStore(directory.file, target, silent);
    const content = readFileSync(target);
    // The last page: somewhere in the tables.
    content.fill(0xff, content.length - 4096);
    for (let at = 8192; at < content.length; at += 4096) content.fill(0xff, at, at + 8);
    writeFileSync(target, content);
    const { problems } = verifyStore(target, silent);
    expect(problems.length).toBeGreaterThan(0);
  });

  it('says that a file is missing: 74', () => {
    let error: unknown = null;
    try {
      verifyStore(target, silent);
    } catch (thrown) {
      error = thrown;
    }
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(String(error)).toContain(`${target} does not exist`);
    expect(readdirSync(directory.path)).not.toContain('backup.db');
  });
});

describe('the records of extensions', () => {
  const UNKNOWN = 200;
  const record = (key: string, isDeleted = false): Ranked => {
    return { key, epoch: 1, counter: 1, isDeleted, body: Buffer.from(key) };
  };

  it('are counted by verify, and copied by backup, also of a part that nobody knows (D115)', async () => {
    await directory.remove();
    const open = openSqliteStore(directory.file);
    const user = await RankedStoreUser.open(open);
    await user.commit([record('/a'), record('/b'), record('/gone', true)], { tombstones: 'all' });
    await user.commit([record('/a')], {}, UNKNOWN);
    await backupStore(directory.file, `${directory.file}-copy`, silent);
    await user.commit([record('/c')]);
    await user.close();
    expect(verifyStore(directory.file, silent)).toMatchObject({
      parts: [
        { part: 1, records: 3 },
        { part: UNKNOWN, records: 1 },
      ],
      problems: [],
    });
    const copy = join(directory.apart('restored'));
    renameSync(`${directory.file}-copy`, copy);
    expect(verifyStore(copy, silent)).toMatchObject({
      parts: [
        { part: 1, records: 2 },
        { part: UNKNOWN, records: 1 },
      ],
      problems: [],
    });
    const restored = await RankedStoreUser.open(openSqliteStore(copy));
    expect(await restored.list()).toEqual([record('/a'), record('/b')]);
    expect(await restored.list(UNKNOWN)).toEqual([record('/a')]);
    expect(restored.recovered.epochMax).toBe(1);
    await restored.close();
  });
});

describe('backup', () => {
  it('is the store as it was at one moment, in one file of mode 0600, while batches go on', async () => {
    const user = await directory.open();
    const large = Buffer.alloc(200_000);
    for (let n = 10; n < 60; n++) await user.commit(accept(n, { body: large }));
    const backup = { isDone: false };
    // All but the last one, which the writing below closes.
    const kept = (): string =>
      digestOf(
        sqliteContent(backup.isDone ? target : directory.file)
          .requests.filter(({ request }) => request.number < 59)
          .map((entry) => ({ ...entry, body: entry.body.length })),
      );
    const before = kept();
    let n = 60;
    const writing = (async () => {
      while (!backup.isDone) await user.commit(accept(n++), close(n - 2));
    })();
    // On a slow disk hardly a batch is committed during one copy: then it is made again.
    for (let copies = 0; copies === 0 || (n <= 61 && copies < 20); copies++) {
      rmSync(target, { force: true });
      let done = 0;
      await backupStore(directory.file, target, (pages, all) => {
        expect(pages).toBeGreaterThanOrEqual(done);
        expect(all).toBeGreaterThan(1000);
        done = pages;
      });
    }
    backup.isDone = true;
    await writing;
    expect(n).toBeGreaterThan(61);
    const { problems, pending } = verifyStore(target, silent);
    expect(problems).toEqual([]);
    expect(pending).toBeGreaterThanOrEqual(51);
    expect(kept()).toBe(before);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory.path).sort()).toEqual([
      'backup.db',
      'store.json',
      'titanic.db',
      'titanic.db-shm',
      'titanic.db-wal',
    ]);
  });

  it('can be used as a store: another one, with a new id', async () => {
    await backupStore(directory.file, target, silent);
    const user = await directory.open(target);
    expect(user.recovered.storeId).toHaveLength(16);
    expect(user.recovered.storeId).not.toEqual(storeId);
    expect(user.recovered.counts).toMatchObject({ pending: 1, replied: 1, dead: 1 });
    // A running store has reserved some numbers above those that it gave.
    expect(user.recovered.counts.nextNumber).toBeGreaterThanOrEqual(5);
    await user.commit(accept(5));
  });

  it('replaces nothing', async () => {
    writeFileSync(target, 'precious');
    const error = await backupStore(directory.file, target, silent).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'ERR_TITANIC_TARGET' });
    expect(exitStatusOf(error)).toBe(EXIT.usage);
    expect(readFileSync(target, 'utf8')).toBe('precious');
  });

  it('two at the same moment to one target: one is whole, the other one is told', async () => {
    const [ofNobody, ofAnother] = [2 ** 30, process.ppid].map(
      (pid) => `${target}.${pid}-0123abcd.partial`,
    );
    for (const left of [ofNobody, ofAnother]) writeFileSync(left ?? '', 'incomplete');
    const others: Promise<void>[] = [];
    const one = backupStore(directory.file, target, () => {
      if (others.length === 0) others.push(backupStore(directory.file, target, silent));
    });
    const ended = [...(await Promise.allSettled([one])), ...(await Promise.allSettled(others))];
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(ended).toContainEqual({
      ...{ status: 'rejected', reason: expect.objectContaining({ code: 'ERR_TITANIC_TARGET' }) },
    });
    expect(verifyStore(target, silent).problems).toEqual([]);
    // What an interrupted one left is removed, not what another process is making.
    const names = readdirSync(directory.path).filter((name) => name.startsWith('backup'));
    expect(names).toEqual(['backup.db', basename(ofAnother ?? '')]);
  });

  it('removes what interrupted backups to other names left in the directory, hours ago', async () => {
    const left = (pid: number, hours: number): string => {
      const name = `monday-${hours}.db.${pid}-0123abcd.partial`;
      const file = join(directory.path, name);
      writeFileSync(file, 'incomplete');
      const then = new Date(Date.now() - hours * 3_600_000);
      utimesSync(file, then, then);
      return name;
    };
    left(2 ** 30, 7);
    // Perhaps of another machine that shares the directory; and of a process that is there.
    const kept = [left(2 ** 30, 5), left(process.ppid, 8)];
    await backupStore(directory.file, target, silent);
    const names = readdirSync(directory.path).filter((name) => name.endsWith('.partial'));
    expect(names.sort()).toEqual(kept.sort());
  });

  it('leaves nothing behind if it cannot be made: 74', async () => {
    const nowhere = join(directory.path, 'none', 'backup.db');
    const error = await backupStore(directory.file, nowhere, silent).catch(
      (thrown: unknown) => thrown,
    );
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    writeFileSync(join(directory.path, 'letter'), 'Dear diary');
    const foreign = await backupStore(join(directory.path, 'letter'), target, silent).catch(
      (thrown: unknown) => thrown,
    );
    expect(exitStatusOf(foreign)).toBe(EXIT.config);
    expect(readdirSync(directory.path).filter((name) => name.startsWith('backup'))).toEqual([]);
  });

  it('of a store with a damaged page is none, and says what to do: 74', async () => {
    const db = new Database(directory.file);
    db.pragma('wal_checkpoint(TRUNCATE)');
    const root = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'bodies'").pluck();
    const page = Number(root.get());
    const bytes = Number(db.pragma('page_size', { simple: true }));
    db.close();
    const content = readFileSync(directory.file);
    content.fill(0xff, (page - 1) * bytes, page * bytes);
    writeFileSync(directory.file, content);
    const error = await backupStore(directory.file, target, silent).catch(
      (thrown: unknown) => thrown,
    );
    expect(exitStatusOf(error)).toBe(EXIT.disk);
    expect(String(error)).toMatch(
      /is damaged: .*; no backup was made: look with `majordomo verify/,
    );
    expect(readdirSync(directory.path).filter((name) => name.startsWith('backup'))).toEqual([]);
  });
});
