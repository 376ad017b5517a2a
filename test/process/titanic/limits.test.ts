/** Limits that operators set while the broker runs: by command and over HTTP, through kill -9. */
import { join } from 'node:path';

import type { Service } from '../../../src/admin/api/node-answers.js';
import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { until } from '../../support/until.js';

afterEach(removeDaemons);

const HTTP = {
  sets: ['http.listen=127.0.0.1:0', 'titanic.enabled=true', 'broker.heartbeatIntervalMs=100'],
};

async function services(daemon: Daemon, ...line: readonly string[]) {
  const token = ['--token-file', join(daemon.dataDir, 'http.token')];
  return await run(['services', ...line, '--admin', httpOf(daemon), ...token]);
}

async function shown(
  daemon: Daemon,
  service: string,
  token?: string,
): Promise<Service | undefined> {
  const url = `${httpOf(daemon)}/api/v1/services?service=${service}`;
  const { json } = await ask(url, token === undefined ? {} : { token });
  return (json as { readonly items: readonly Service[] }).items[0];
}

describe('limits that operators set', () => {
  it('hold at once and through kill -9, before the first request is sent, until they are taken away', async () => {
    const first = await startDaemon(HTTP);
    const limit = ['--running', '2', '--group-per-second', '0.5', '--on-failure', 'hold'];
    expect(await services(first, 'limit', 'slow', ...limit)).toMatchObject({
      status: 0,
      stdout: 'slow is limited: 2 running; each group 0.5 per second, on failure hold\n',
    });
    const log = await ask(`${httpOf(first)}/api/v1/services/slow/limit`, {
      ...{ method: 'POST', token: tokenOf(first), body: '{"running":2}' },
      headers: { 'content-type': 'application/json' },
    });
    expect(log).toMatchObject({ status: 200, json: { limited: true } });
    await first.kill();
    const { endpoint, dataDir } = first;
    const again = await startDaemon({ ...HTTP, endpoint, dataDir });
    expect(await shown(again, 'slow', tokenOf(again))).toMatchObject({
      limits: { running: 2 },
      groupLimits: null,
      limitsSet: { by: 'http.token', at: expect.stringMatching(/^20/) as unknown },
    });
    // Who it was is seen with a token only.
    expect(await shown(again, 'slow')).toMatchObject({ limitsSet: { by: null } });
    let [running, most, served] = [0, 0, 0];
    let free = (): void => undefined;
    const freed = new Promise<void>((resolve) => {
      free = resolve;
    });
    const options = { endpoints: [endpoint], service: 'slow', concurrency: 10 };
    const worker = new Worker(options, async ({ frames }) => {
      most = Math.max(most, ++running);
      served++;
      await freed;
      running--;
      return frames;
    });
    void worker.run();
    const client = new Client({ endpoints: [endpoint], timeoutMs: 60_000 });
    const answers = Array.from({ length: 6 }, () => client.request('slow', 'x'));
    await client.submit('slow', 'y');
    const held = async (): Promise<string> => (await services(again, 'show', 'slow')).stdout;
    await until(async () => (await held()).includes('2 of 2 run'), 'two run');
    expect(await held()).toMatch(
      /limit {4}2 running; held: 2 of 2 run\n {9}set by http\.token at 20[^\n]*Z\n/,
    );
    expect([most, served]).toEqual([2, 2]);
    // A reload of the configuration leaves it.
    again.signal('SIGHUP');
    await again.waitFor('config.reloaded');
    expect([most, (await shown(again, 'slow'))?.limits?.running]).toEqual([2, 2]);
    expect((await services(again, 'unlimit', 'slow')).stdout).toBe(
      'slow has no limits of operators\n',
    );
    await until(() => served === 7, 'all others are sent');
    free();
    await Promise.all(answers);
    expect(await shown(again, 'slow')).toMatchObject({ limits: null, limitsSet: null });
    await client.close();
    await worker.close();
    for (const name of ['service.limited', 'service.unlimited', 'operator.acted']) {
      expect([...first.log, ...again.log].map(({ event }) => event)).toContain(name);
    }
  });

  it('are refused in words if they are wrong, of the broker itself, or cannot be kept', async () => {
    const daemon = await startDaemon(HTTP);
    const said = async (...line: string[]): Promise<string> => {
      const { status, stderr } = await services(daemon, ...line);
      expect(status).not.toBe(0);
      return stderr;
    };
    expect(await said('limit', 'x')).toContain('give at least one limit, such as --running 5');
    expect(await said('limit', 'x', '--running', '0')).toContain('whole number from 1 to 1000000');
    expect(await said('limit', 'x', '--per-second', '1e3')).toContain('from 0.001 to 1000000');
    expect(await said('limit', 'x', '--burst', '5')).toContain(
      'burst: is of use only with perSecond',
    );
    expect(await said('limit', 'mmi.x', '--running', '5')).toContain('only services of workers');
    const readOnly = await ask(`${httpOf(daemon)}/api/v1/services/x/limit`, { method: 'POST' });
    expect(readOnly.status).toBe(401);
    const without = await startDaemon({
      sets: ['http.listen=127.0.0.1:0', 'titanic.enabled=false'],
    });
    expect((await services(without, 'limit', 'x', '--running', '5')).stderr).toContain(
      'titanic.enabled is false: set them in broker.services',
    );
  });
});
