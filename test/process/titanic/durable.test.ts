import { join } from 'node:path';

import Database from 'better-sqlite3';

import { Child, type Finished, killAll, run } from '../../support/child.js';
import { clientOf, endUsers, serve, upper } from '../../support/daemon-users.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';

const UUID = /^[0-9A-F]{32}\n$/;
/** That it is stored, in time. */
const WAITS = 'waiting for its reply';
const NEVER = 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF';
/** So a client goes on over a restart. */
const AGAIN = { timeoutMs: 16_000 };

/** For those who neither end it nor set it otherwise. */
let shared: Daemon;

beforeAll(async () => {
  shared = await startDaemon();
});

afterEach(async () => {
  await endUsers();
  await killAll(shared);
});

afterAll(removeDaemons);

function request(daemon: Daemon, ...args: string[]): Promise<Finished> {
  return run(['request', '--endpoint', daemon.endpoint, ...args]);
}

/** A wait for what does not come; a longer one where this machine takes that time to come so far as to say so. */
async function inVain(
  daemon: Daemon,
  says: string,
  ...args: string[]
): Promise<Finished & { waitedMs: number }> {
  for (let waitedMs = 1000; ; waitedMs *= 4) {
    const times = ['--timeout-ms', String(waitedMs)];
    const ended = await request(daemon, ...args, ...times);
    const isOver = ended.stderr.includes(says) || waitedMs > PATIENCE_MS;
    if (isOver) return { ...ended, waitedMs };
  }
}

/** Stores one by the command line, without waiting. */
async function stored(daemon: Daemon, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await request(daemon, '--durable', '--no-wait', ...args);
  expect(status).toBe(0);
  // Some are stored before anybody serves them, which is said.
  expect(stderr).toMatch(/^(majordomo: no worker serves "\w+"\. The request is stored.*\n)?$/);
  expect(stdout).toMatch(UUID);
  return stdout.trim();
}

function restart({ endpoint, dataDir }: Daemon): Promise<Daemon> {
  return startDaemon({ endpoint, dataDir });
}

/** Rows of the store's file that have to do with requests. */
function rows(daemon: Daemon): Record<string, number> {
  const file = new Database(join(daemon.dataDir, 'titanic.db'), { readonly: true });
  const count = (table: string): number =>
    Number(file.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
  const tables = ['requests', 'bodies', 'replies', 'attempts'];
  const counts = Object.fromEntries(tables.map((table) => [table, count(table)]));
  file.close();
  return counts;
}

describe('a durable request (issue: done when)', () => {
  it('survives kill -9 of the broker, is answered, fetched, closed and removed from the file', async () => {
    const first = await startDaemon();
    const uuid = await stored(first, 'upper', 'hello');
    const { waitedMs, ...early } = await inVain(first, 'no reply to', '--result', uuid);
    expect(early).toMatchObject({
      status: 75,
      stdout: '',
      stderr: `majordomo: no reply to the durable request ${uuid} within ${waitedMs} ms; only its uuid is known here: \`majordomo durable show ${uuid}\` tells its service and its state\n`,
    });
    await first.kill();
    const again = await restart(first);
    expect((await again.waitFor('titanic.recovered'))['pending']).toBe(1);
    const worker = new Child([
      'worker',
      'upper',
      '--endpoint',
      again.endpoint,
      '--',
      'tr',
      'a-z',
      'A-Z',
    ]);
    const fetched = await request(again, '--result', uuid);
    expect(fetched).toMatchObject({ status: 0, stdout: 'HELLO\n', stderr: '' });
    worker.signal('SIGTERM');
    await worker.exited;
    // It stays until it is closed, also over another crash.
    await again.kill();
    const third = await restart(first);
    expect(await request(third, '--result', uuid)).toMatchObject({ stdout: 'HELLO\n' });
    expect(await request(third, '--close', uuid)).toMatchObject({ status: 0, stdout: '' });
    const unknown = await request(third, '--result', uuid);
    expect(unknown).toMatchObject({ status: 1, stdout: '' });
    expect(unknown.stderr).toContain(`no durable request ${uuid} for this client`);
    await third.stop();
    expect(rows(third)).toEqual({ requests: 0, bodies: 0, replies: 0, attempts: 0 });
  });
});

describe('majordomo request', () => {
  it('--durable waits, prints the reply, and closes what was stored', async () => {
    const child = new Child(['request', '--durable', '--endpoint', shared.endpoint, 'upper', 'hi']);
    child.input('');
    await child.until(({ stderr }) => stderr.includes(WAITS), 'a word to the user');
    const uuid = /stored as ([0-9A-F]{32});/.exec(child.stderr)?.[1] ?? '';
    serve(shared, 'upper', upper);
    expect(await child.finished()).toMatchObject({ status: 0, stdout: 'HI\n' });
    expect(await request(shared, '--result', uuid)).toMatchObject({ status: 1 });
  });

  it('--durable keeps waiting when the broker is killed and restarted', async () => {
    const first = await startDaemon();
    const child = new Child(['request', '--durable', '--endpoint', first.endpoint, 'upper', 'hi']);
    child.input('');
    await child.until(({ stderr }) => stderr.includes(WAITS), 'a word to the user');
    await first.kill();
    serve(await restart(first), 'upper', upper);
    expect(await child.finished()).toMatchObject({ status: 0, stdout: 'HI\n' });
  });

  it('--durable ends with 75 and the uuid when its timeout expires', async () => {
    const { status, stderr } = await inVain(shared, WAITS, '--durable', 'upper', 'hi');
    expect(status).toBe(75);
    expect(stderr).toMatch(
      /^majordomo: no worker .*\nmajordomo: stored as [0-9A-F]{32}; waiting for its reply\nmajordomo: no reply to /,
    );
  });

  it('with the same --key stores one request for each service', async () => {
    const first = await stored(shared, '--key', 'order-17', 'upper', 'a');
    expect(await stored(shared, '--key', 'order-17', 'upper', 'a')).toBe(first);
    const other = await request(
      shared,
      '--durable',
      '--no-wait',
      '--key',
      'order-17',
      'upper',
      'b',
    );
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringContaining('409 the key was used'),
    ]);
    expect(await stored(shared, '--key', 'order-17', 'lower', 'a')).not.toBe(first);
  });

  it('--priority 100 runs first, --delay-ms later', async () => {
    await stored(shared, 'log', 'second');
    await stored(shared, '--delay-ms', '600000', 'log', 'much later');
    await stored(shared, '--priority', '-5', 'log', 'third');
    const last = await stored(shared, '--priority', '-6', 'log', 'fourth');
    await stored(shared, '--priority', '100', 'log', 'first');
    const order = serve(shared, 'log', () => 'x');
    await clientOf(shared).job(last).result({ timeoutMs: PATIENCE_MS });
    expect(order).toEqual(['first', 'second', 'third', 'fourth']);
  });

  it('-o json has the uuid, the state and the frames', async () => {
    const json = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await request(shared, '-o', 'json', ...args)).stdout);
    const { uuid } = (await json('--durable', '--no-wait', 'upper', 'hi')) as { uuid: string };
    const pending = await inVain(shared, 'no reply to', '-o', 'json', '--result', uuid);
    expect(JSON.parse(pending.stdout)).toEqual({ uuid, state: 'pending' });
    serve(shared, 'upper', upper);
    const frames = [{ encoding: 'utf8', data: 'HI' }];
    expect(await json('--result', uuid)).toEqual({ uuid, state: 'replied', frames });
    // The same, beside `durable show`.
    const at = ['--endpoint', shared.endpoint];
    const result = await run(['durable', 'result', uuid, '--json', ...at]);
    expect(result.status).toBe(0);
    expect(JSON.parse(result.stdout)).toEqual({ uuid, state: 'replied', frames });
    expect(await json('--durable', 'upper', 'hi')).toMatchObject({ service: 'upper', frames });
    const closed = await run(['durable', 'close', uuid, '--json', ...at]);
    expect(JSON.parse(closed.stdout)).toEqual({ uuid, closed: true });
    const again = await run(['durable', 'close', uuid, '--json', ...at]);
    expect(JSON.parse(again.stdout)).toEqual({ uuid, closed: false });
    expect(again).toMatchObject({
      status: 1,
      stderr: `majordomo: ${uuid} is unknown, or already closed\n`,
    });
    expect(await json('--result', uuid)).toEqual({ uuid, state: 'unknown' });
    expect(await json('--close', uuid)).toEqual({ uuid, closed: true });
    expect(await json('--result', uuid)).toEqual({ uuid, state: 'unknown' });
  });

  it('ends with 2 and the reason if a worker failed, and with 1 for what cannot be stored', async () => {
    const daemon = await startDaemon({ sets: ['titanic.maxAttempts=1'] });
    const uuid = await stored(daemon, 'bad', 'x');
    new Child(['worker', 'bad', '--endpoint', daemon.endpoint, '--', 'false']);
    const { status, stderr } = await request(daemon, '--result', uuid);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'majordomo: the durable request failed: exit-1\n',
    });
    const refused = await request(daemon, '--durable', 'mmi.service', 'x');
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('400 mmi.*') });
  });

  it('--close of an unknown request succeeds; --result of it says that it is unknown', async () => {
    expect(await request(shared, '--close', NEVER)).toMatchObject({ status: 0 });
    expect(await request(shared, '--result', NEVER)).toMatchObject({
      status: 1,
      stderr: `majordomo: there is no durable request ${NEVER} for this client: closed, expired, never stored, or of another key\n`,
    });
  });
});

describe('the SDK with the daemon', () => {
  it('waiting for a result ends as soon as it is stored, even after kill -9', async () => {
    const first = await startDaemon();
    const client = clientOf(first, AGAIN);
    const jobs = await Promise.all(
      Array.from({ length: 200 }, (_, number) => client.submit('upper', `request ${number}`)),
    );
    const results = Promise.all(jobs.map((job) => job.result({ timeoutMs: PATIENCE_MS })));
    await first.kill();
    serve(await restart(first), 'upper', upper);
    const replies = await results;
    expect(replies.map((reply) => reply.text())).toEqual(
      jobs.map((_, number) => `REQUEST ${number}`),
    );
    await Promise.all(jobs.map((job) => job.close()));
    const states = await Promise.all(jobs.map((job) => job.state()));
    expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['unknown']));
  });

  it('a submit that is sent again after kill -9 is stored once', async () => {
    const first = await startDaemon();
    const client = clientOf(first, AGAIN);
    await client.request('mmi.broker', '');
    const submits = Promise.all(
      Array.from({ length: 200 }, (_, number) => client.submit('upper', `request ${number}`)),
    );
    await first.kill();
    const again = await restart(first);
    const jobs = await submits;
    expect(new Set(jobs.map(({ uuid }) => uuid)).size).toBe(200);
    await again.stop();
    expect(rows(again)['requests']).toBe(200);
  });
});
