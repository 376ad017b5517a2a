import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Client } from '../../src/sdk/client.js';
import { run } from '../support/child.js';
import { ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import {
  type Daemon,
  type DaemonOptions,
  startDaemon,
  temporaryDirectory,
} from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';
import { PATIENCE_MS } from '../support/patience.js';

/** For cases that wait for its end. Elsewhere a machine that stalls must not end one. */
const SHORT_LEASE = 'fleet.leaseMs=3000';

const cluster = sharedCluster();

async function database(): Promise<string> {
  const server = await cluster();
  return server.url(await server.database());
}

afterEach(endAll);

async function broker(url: string, name: string, more: DaemonOptions = {}): Promise<Daemon> {
  const sets = [`titanic.store=${url}`, `node.name=${name}`, ...(more.sets ?? [])];
  return await startDaemon({ ...more, sets });
}

describeWithPostgres('brokers that share a database', () => {
  it('a receipt of one is honoured by all: stored at one, served at another, read at a third', async () => {
    const url = await database();
    const [a, b, c] = [await broker(url, 'a'), await broker(url, 'b'), await broker(url, 'c')];
    serve(b, 'upper', upper);
    const job = await clientOf(a).submit('upper', 'hello');
    const at = clientOf(c);
    expect((await at.job(job.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('HELLO');
    // A client that waits at a broker that does not have the request learns of its reply.
    const second = await clientOf(a).submit('upper', 'again');
    expect(await ask(at, 'titanic.wait', second.uuid, '30000')).toEqual(['200', 'AGAIN']);
    expect(await ask(at, 'titanic.close', job.uuid)).toEqual(['200']);
    expect(await ask(clientOf(a), 'titanic.reply', job.uuid)).toEqual(['400 unknown']);
    await until(async () => {
      const [, answer = '{}'] = await ask(at, 'mmi.fleet', '');
      const { store } = JSON.parse(answer) as { store: { sessions: { node: string }[] } };
      return store.sessions.map(({ node }) => node).join() === 'c,a,b';
    }, 'all know each other');
    const shown = await run(['fleet', 'status', '--endpoint', c.endpoint]);
    expect(shown.stderr).toBe('');
    expect(shown.stdout).toMatch(/^database: reached; session renewed .*, lease 10 s\n/);
    expect(shown.stdout).toMatch(/\nc +\d+ +asked\n/);
  });

  it('fleet status -c asks the broker of that configuration, whatever the environment names', async () => {
    const at = await broker(await database(), 'a', { sets: ['http.listen=127.0.0.1:0'] });
    const { host } = new URL(String((await at.waitFor('broker.ready'))['http']));
    const file = join(temporaryDirectory(), 'a.yaml');
    const dataDir = `node: { dataDir: '${at.dataDir}' }`;
    writeFileSync(file, `${dataDir}\nhttp: { listen: '${host}' }\n`);
    const environment = { MAJORDOMO_ENDPOINT: 'tcp://127.0.0.1:1' };
    const shown = await run(['fleet', 'status', '-c', file], { environment });
    expect([shown.stderr, shown.stdout]).toEqual(['', expect.stringMatching(/\na +\d+ +asked\n/)]);
    writeFileSync(file, `${dataDir}\nhttp: { listen: 'off' }\n`);
    const off = await run(['fleet', 'status', '-c', file]);
    expect([off.status, off.stderr]).toEqual([
      64,
      expect.stringContaining('http.listen is off: give --endpoint'),
    ]);
    writeFileSync(file, `${dataDir}\nhttp: { listen: '127.0.0.1:1' }\n`);
    const away = await run(['fleet', 'status', '-c', file]);
    expect([away.status, away.stderr]).toEqual([
      69,
      expect.stringMatching(/http\.listen: cannot get the endpoint from .*; give --endpoint\n/),
    ]);
  });

  it('a client learns from mmi.fleet that there is a database, but not which one, where, or whose', async () => {
    const url = await database();
    const at = await broker(url, 'a');
    const [status, answer = ''] = await ask(clientOf(at), 'mmi.fleet', '');
    expect(status).toBe('200');
    const { store } = JSON.parse(answer) as { store: object };
    expect(Object.keys(store).sort()).toEqual(
      ['accepted', 'completed', 'leaseMs', 'renewedMs', 'sessions', 'up'].sort(),
    );
    const { hostname, port, username, pathname } = new URL(url);
    for (const secret of [hostname, port, username, pathname.slice(1)]) {
      expect(answer).not.toContain(secret);
    }
  });

  it('many requests at each of three brokers: each is served once, at whichever broker has a worker', async () => {
    const url = await database();
    const first = await broker(url, 'a');
    const daemons = [first, await broker(url, 'b'), await broker(url, 'c')];
    const served = new Map<string, number>();
    for (const daemon of daemons) {
      serve(daemon, 'count', (text) => {
        served.set(text, (served.get(text) ?? 0) + 1);
        return text;
      });
    }
    const each = 300;
    const jobs = await Promise.all(
      daemons.flatMap((daemon, d) => {
        const client = clientOf(daemon);
        return Array.from({ length: each }, (_, n) => client.submit('count', `${d} ${n}`));
      }),
    );
    const reader = clientOf(first);
    for (const job of jobs) await reader.job(job.uuid).result({ timeoutMs: PATIENCE_MS });
    expect(served.size).toBe(3 * each);
    expect([...served.values()].every((count) => count === 1)).toBe(true);
  });

  it('what a broker that was killed had claimed is served by another one after its lease', async () => {
    const url = await database();
    const sets = [SHORT_LEASE];
    const [a, b] = [await broker(url, 'a', { sets }), await broker(url, 'b', { sets })];
    let taken = 0;
    serve(a, 'slow', () => {
      taken++;
      return new Promise<string>(() => undefined);
    });
    const client = clientOf(b);
    const job = await clientOf(a).submit('slow', 'x');
    await until(() => taken === 1, 'the worker has it');
    await a.kill();
    serve(b, 'slow', (text) => `${text} at b`);
    expect((await client.job(job.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('x at b');
    expect((await b.waitFor('store.session_ended'))['node']).toBe('a');
  });

  it('a broker that was stopped for longer than its lease: another serves, its late reply changes nothing', async () => {
    const url = await database();
    const sets = [SHORT_LEASE];
    const [a, b] = [await broker(url, 'a', { sets }), await broker(url, 'b', { sets })];
    let finish: (text: string) => void = () => undefined;
    let taken = 0;
    serve(a, 'slow', () => {
      taken++;
      return new Promise<string>((resolve) => {
        finish = resolve;
      });
    });
    const job = await clientOf(a).submit('slow', 'x');
    await until(() => taken === 1, 'the worker has it');
    a.signal('SIGSTOP');
    serve(b, 'slow', (text) => `${text} at b`);
    expect((await clientOf(b).job(job.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe(
      'x at b',
    );
    finish('late');
    a.signal('SIGCONT');
    // A connection that was late, too, is told instead of the session that ended meanwhile.
    await a.until(
      () => ['store.session_lost', 'store.lost'].some((event) => a.logged(event).length > 0),
      'it tells that its session has ended',
    );
    const client = clientOf(a);
    // Plain requests were served all the time.
    serve(a, 'plain');
    expect((await client.request('plain', 'x')).text()).toBe('x');
    await until(async () => {
      const [status, reply] = await ask(client, 'titanic.reply', job.uuid);
      return status === '200' && reply === 'x at b';
    }, 'it answers from the store');
    // It claims and serves again.
    serve(a, 'upper', upper);
    const next = await client.submit('upper', 'next');
    expect((await next.result({ timeoutMs: PATIENCE_MS })).text()).toBe('NEXT');
  });

  it('a failed attempt at one broker is followed by one at another', async () => {
    const url = await database();
    const sets = ['titanic.retryBaseMs=50', 'titanic.retryMaxMs=200'];
    const [a, b] = [await broker(url, 'a', { sets }), await broker(url, 'b', { sets })];
    let failed = 0;
    serve(a, 'flaky', () => {
      failed++;
      throw new Error('not here');
    });
    const job = await clientOf(a).submit('flaky', 'x', { maxAttempts: 1000 });
    await until(() => failed > 0, 'the first attempt failed');
    serve(b, 'flaky', (text) => `${text} at b`);
    expect((await clientOf(a).job(job.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe(
      'x at b',
    );
  });

  it('a schedule is due once in the fleet, is known to all brokers, and survives the one that has it', async () => {
    const url = await database();
    const sets = [SHORT_LEASE];
    const [a, b] = [await broker(url, 'a', { sets }), await broker(url, 'b', { sets })];
    const due: string[] = [];
    serve(b, 'tick', (text) => {
      due.push(text);
      return '';
    });
    const [first, other] = [clientOf(a), clientOf(b)];
    const made = await ask(
      first,
      'titanic.schedule',
      '{"name":"s","cron":"* * * * * *"}',
      'tick',
      '1',
    );
    expect(made[0]).toBe('200');
    const namesAt = async (client: Client): Promise<string[]> => {
      const [, answer = '{}'] = await ask(client, 'titanic.schedules');
      const { schedules } = JSON.parse(answer) as { schedules: { name: string }[] };
      return schedules.map(({ name }) => name);
    };
    expect(await namesAt(other)).toEqual(['s']);
    await until(() => due.length >= 3, 'it is due');
    await a.kill();
    const before = due.length;
    await until(() => due.length >= before + 2, 'it is due without the broker that made it');
    // Replaced at another broker, it has the new body; ended there, it is due no more.
    expect(
      await ask(other, 'titanic.schedule', '{"name":"s","cron":"* * * * * *"}', 'tick', '2'),
    ).toEqual(['200', expect.stringContaining('"name":"s"')]);
    await until(() => due.at(-1) === '2', 'the new one is due');
    const again = await broker(url, 'a', { dataDir: a.dataDir, endpoint: a.endpoint });
    expect(await namesAt(clientOf(again))).toEqual(['s']);
    expect(await ask(clientOf(again), 'titanic.unschedule', 's')).toEqual([
      '200',
      '{"removed":true}',
    ]);
    expect(await namesAt(other)).toEqual([]);
  });
});
