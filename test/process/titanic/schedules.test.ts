/** Schedules by the command line, through kill -9, backup and verify. */
import { join } from 'node:path';

import { killAll, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { endUsers, serve } from '../../support/daemon-users.js';
import { until } from '../../support/until.js';

afterEach(async () => {
  await endUsers();
  await killAll();
  await removeDaemons();
});

const HTTP = { sets: ['http.listen=127.0.0.1:0'] };

interface Listed {
  readonly items: readonly { readonly name: string | null; readonly firings: number }[];
}

async function durable(daemon: Daemon, ...args: string[]): Promise<string> {
  const ended = await run(['durable', ...args, '--endpoint', daemon.endpoint]);
  expect([ended.stderr, ended.status]).toEqual(['', 0]);
  return ended.stdout;
}

async function schedules(daemon: Daemon): Promise<Listed['items']> {
  const { items } = JSON.parse(await durable(daemon, 'schedules', '-o', 'json')) as Listed;
  return items;
}

async function stored(daemon: Daemon): Promise<number> {
  const asked = ['durable', 'ls', '--service', 'tick', '-o', 'json', '--admin', httpOf(daemon)];
  const { stdout } = await run(asked);
  return (JSON.parse(stdout) as { readonly items: readonly unknown[] }).items.length;
}

describe('majordomo durable schedule', () => {
  it('has requests stored, also after kill -9; verify and backup cover it; unschedule ends it', async () => {
    const first = await startDaemon(HTTP);
    const made = await durable(first, 'schedule', 'every', '* * * * * *', 'tick', 'hello');
    expect(made).toMatch(/^every is due next at \d{4}-\d\d-\d\dT[\d:.]+Z\n$/);
    await durable(first, 'schedule', 'never', '0 0 29 2 *', 'tick', '-o', 'json');
    await until(async () => (await stored(first)) >= 2, 'two requests of the schedule');
    await first.kill();
    const { endpoint, dataDir } = first;
    const copy = join(temporaryDirectory(), 'copy.db');
    await run(['backup', '--set', `node.dataDir=${dataDir}`, copy]);
    const { stdout } = await run(['verify', copy, '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ schedules: 2, problems: [] });
    const again = await startDaemon({ ...HTTP, endpoint, dataDir });
    const before = await stored(again);
    await until(async () => (await stored(again)) > before, 'a request after the start');
    const shown = await durable(again, 'schedules');
    expect(shown).toMatch(/NAME +CRON +TIME ZONE +SERVICE +NEXT +IN +FIRINGS/);
    expect(shown).toMatch(/never +0 0 29 2 \* +UTC +tick +\d{4}-02-29T00:00:00\.000Z/);
    const [every] = await schedules(again);
    expect(every?.name).toBe('every');
    // One for each due time: none twice.
    expect(await durable(again, 'unschedule', 'every')).toBe('every is ended\n');
    const firings = await stored(again);
    expect(every?.firings).toBeLessThanOrEqual(firings);
    expect(await schedules(again)).toHaveLength(1);
    const gone = await run(['durable', 'unschedule', 'every', '--endpoint', again.endpoint]);
    expect(gone).toMatchObject({ status: 1, stdout: 'every was no schedule of yours\n' });
    const answer = await ask(`${httpOf(again)}/api/v1/titanic/schedules`, {
      token: tokenOf(again),
    });
    expect(answer.json).toEqual({
      next: null,
      items: [
        {
          ...{ name: 'never', service: 'tick', cron: '0 0 29 2 *', timeZone: 'UTC', owner: null },
          ...{
            uuid: expect.stringMatching(/^[0-9A-F]{32}$/),
            firings: 0,
            last: null,
            paused: false,
          },
          ...{ next: expect.stringMatching(/-02-29T/), since: expect.any(String) },
        },
      ],
    });
    const ls = await run(['durable', 'ls', '-o', 'json', '--admin', httpOf(again)]);
    expect(ls.stdout).not.toContain('titanic.schedule');
  });

  it('is paused, fired and resumed over HTTP, and its service by command, also through kill -9', async () => {
    const first = await startDaemon(HTTP);
    await durable(first, 'schedule', 'yearly', '@yearly', 'tick', 'hello');
    const command = async (daemon: Daemon, ...line: string[]): Promise<string> => {
      const admin = ['--admin', httpOf(daemon), '--token-file', join(daemon.dataDir, 'http.token')];
      // `titanic` is another name of `durable`.
      return (await run(['titanic', 'schedules', ...line, ...admin])).stdout;
    };
    const order = async (daemon: Daemon, what: string): Promise<unknown> => {
      const path = `${httpOf(daemon)}/api/v1/titanic/schedules`;
      const token = tokenOf(daemon);
      const { items } = (await ask(path, { token })).json as {
        readonly items: readonly { readonly uuid: string }[];
      };
      const url = `${path}/${items[0]?.uuid ?? ''}/${what}`;
      return (await ask(url, { method: 'POST', token })).json;
    };
    const service = async (daemon: Daemon, what: string): Promise<unknown> => {
      const admin = ['--admin', httpOf(daemon), '--token-file', join(daemon.dataDir, 'http.token')];
      return (await run(['services', what, 'tick', ...admin])).stdout;
    };
    expect(await order(first, 'pause')).toEqual({ paused: true });
    expect(await service(first, 'pause')).toBe('tick is paused\n');
    expect(await order(first, 'fire')).toEqual({
      fired: true,
      uuid: expect.stringMatching(/^[\dA-F]{32}$/) as unknown,
    });
    expect(await stored(first)).toBe(1);
    await first.kill();
    const { endpoint, dataDir } = first;
    const again = await startDaemon({ ...HTTP, endpoint, dataDir });
    const shown = async (): Promise<string> =>
      (await run(['services', '--admin', httpOf(again)])).stdout;
    await until(async () => (await shown()).includes('tick (paused)'), 'the pause is known');
    const served = serve(again, 'tick');
    await until(
      async () => /tick \(paused\) +1 /.test(await shown()),
      'its worker is there, and idle',
    );
    const mmi = await run(['request', 'mmi.service', 'tick', '--endpoint', endpoint]);
    expect(mmi.stdout.trim()).toBe('503');
    expect(served).toEqual([]);
    expect(await service(again, 'resume')).toBe('tick is not paused\n');
    await until(() => served.length === 1, 'what waited is served');
    expect(await order(again, 'resume')).toEqual({ paused: false });
    const [, uuid = ''] = /([0-9A-F]{32}) +yearly/.exec(await command(again, 'all')) ?? [];
    expect(await command(again, 'pause', uuid)).toBe(`${uuid} is paused\n`);
    expect(await command(again, 'all')).toMatch(/yearly .* paused\n$/);
    expect(await command(again, 'end', uuid)).toBe(`${uuid} is ended\n`);
    expect(await command(again, 'all')).toBe('');
    expect(await order(again, 'nothing')).toMatchObject({
      error: { code: 'ERR_HTTP_NOT_FOUND' },
    });
  });

  it('is listed over HTTP in pages, with a token and, without its name, without', async () => {
    const daemon = await startDaemon(HTTP);
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const [at, name] of names.entries()) {
      await durable(daemon, 'schedule', name, `0 0 0 1 1 * ${2190 + at}`, 'tick');
    }
    for (const token of [undefined, tokenOf(daemon)]) {
      const pages: (string | null)[][] = [];
      for (let cursor: string | null = ''; cursor !== null && pages.length < 9;) {
        const query = `limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
        const { status, json } = await ask(`${httpOf(daemon)}/api/v1/titanic/schedules?${query}`, {
          ...(token === undefined ? {} : { token }),
        });
        expect(status).toBe(200);
        const page = json as Listed & { readonly next: string | null };
        pages.push(page.items.map(({ name }) => name));
        cursor = page.next;
      }
      const whole = [['a', 'b'], ['c', 'd'], ['e']];
      const open = [[null, null], [null, null], [null]];
      expect(pages).toEqual(token === undefined ? open : whole);
    }
    for (const cursor of ['x', '0'.repeat(32), '0'.repeat(48)]) {
      const url = `${httpOf(daemon)}/api/v1/titanic/schedules?cursor=${cursor}`;
      const { status, json } = await ask(url);
      expect([status, JSON.stringify(json)]).toEqual([400, expect.stringContaining('cursor')]);
    }
  });

  it('keeps the requests from other keys, unless they are shared', async () => {
    const daemon = await startDaemon(HTTP);
    await durable(daemon, 'schedule', 'own', '* * * * * *', 'own', 'x');
    await durable(daemon, 'schedule', 'ours', '* * * * * *', 'ours', 'x', '--shared');
    const at = ['--admin', httpOf(daemon)];
    const sharedOf = async (service: string): Promise<unknown> => {
      const { stdout } = await run(['durable', 'ls', '--service', service, '-o', 'json', ...at]);
      const { items } = JSON.parse(stdout) as { readonly items: readonly { shared: boolean }[] };
      return items[0]?.shared;
    };
    await until(async () => (await sharedOf('own')) === false, 'a request of the first');
    await until(async () => (await sharedOf('ours')) === true, 'a request of the second');
    const stored = ['request', '--endpoint', daemon.endpoint, '--durable', '--no-wait', '--shared'];
    await run([...stored, 'once', 'x']);
    expect(await sharedOf('once')).toBe(true);
  });

  it('says what is wrong with its line, its time zone or its name, and stores nothing', async () => {
    const daemon = await startDaemon(HTTP);
    const refused = async (...args: string[]): Promise<string> => {
      const asked = ['durable', 'schedule', ...args, '--endpoint', daemon.endpoint];
      const { status, stderr } = await run(asked);
      expect(status).not.toBe(0);
      return stderr;
    };
    expect(await refused('n', '0 0 30 2 *', 'tick')).toContain('cron: it never comes');
    expect(await refused('n', '0 0 0 1 1 * 2020', 'tick')).toContain(
      'all its times are in the past',
    );
    expect(await refused('n', '@daily', 'tick', '--time-zone', 'Mars/Olympus')).toContain(
      'timeZone: there is no such time zone',
    );
    expect(await refused('', '@daily', 'tick')).toContain('name');
    expect(await schedules(daemon)).toEqual([]);
  });
});
