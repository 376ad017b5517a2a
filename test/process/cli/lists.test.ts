import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';

import { Child, type Finished, killAll, MAIN, run, runEach } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { httpOf, tokenOf } from '../../support/http.js';
import { freePorts } from '../../support/free-ports.js';
import { itWithTool } from '../../support/tools.js';
import { removeStrangers, strangeBroker } from '../../support/strangers.js';

const COMMANDS = ['status', 'services', 'workers'] as const;

/** A daemon without services. */
let idle: Daemon;

beforeAll(async () => {
  idle = await startDaemon();
});

afterEach(async () => {
  removeStrangers();
  await killAll(idle);
});

afterAll(removeDaemons);

/** An endpoint where nobody listens. */
async function deadEndpoint(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return `tcp://127.0.0.1:${port}`;
}

async function offer(daemon: Daemon, service: string, ...options: string[]): Promise<void> {
  const before = daemon.logged('worker.registered').length;
  new Child(['worker', service, ...options, '--endpoint', daemon.endpoint, '--', 'cat']).input('');
  await daemon.waitFor('worker.registered', before + 1);
}

function cells(stdout: string): string[][] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
}

describe('--watch', () => {
  it('prints a list again when it has changed, as JSON one per line', async () => {
    const daemon = await startDaemon();
    const at = ['--endpoint', daemon.endpoint];
    const json = new Child(['workers', 'alpha', '--watch', '--json', ...at]);
    const text = new Child(['services', '--watch', ...at]);
    await json.until(({ stdout }) => stdout === '[]\n', 'an empty list');
    await text.until(({ stdout }) => stdout.includes('SERVICE'), 'a table without rows');
    await offer(daemon, 'alpha');
    await json.until(({ stdout }) => stdout.split('\n').length > 2, 'a second list');
    expect(JSON.parse(json.stdout.split('\n')[1] ?? '')).toMatchObject([{ service: 'alpha' }]);
    await text.until(({ stdout }) => stdout.includes('alpha'), 'a table with the service');
    expect(text.stdout.split('SERVICE')).toHaveLength(3);
  });

  it('waits for a broker that restarts, and ends if there was none', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const at = ['--admin', httpOf(daemon)];
    const watching = new Child(['services', '--watch', '--json', ...at]);
    await watching.until(({ stdout }) => stdout === '[]\n', 'an empty list');
    daemon.signal('SIGTERM');
    await daemon.finished();
    await watching.until(({ stderr }) => stderr.includes('; retrying\n'), 'its message');
    expect(watching.stderr.split('\n')).toHaveLength(2);
    expect(watching.ended).toBe(false);
    expect(await run(['services', '--watch', ...at])).toMatchObject({ status: 69, stdout: '' });
  });
});

describe('majordomo services', () => {
  it('shows a table by name, and the JSON of mmi.services', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'zeta');
    await offer(daemon, 'alpha');
    await offer(daemon, 'alpha');
    const at = ['--endpoint', daemon.endpoint];
    const { status, stdout, stderr } = await run(['services', ...at]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [head, ...rows] = cells(stdout);
    expect(head?.join(' ')).toBe(
      'SERVICE FREE BUSY QUEUED REPLIES/S FAILED/S P99 MAX PENDING RETRYING DEAD OLDEST',
    );
    expect(rows.map(([service, waiting]) => `${service ?? ''} ${waiting?.trim() ?? ''}`)).toEqual([
      'alpha 2',
      'zeta 1',
    ]);
    const json = JSON.parse((await run(['services', '-o', 'json', ...at])).stdout) as unknown[];
    expect(json).toHaveLength(2);
    expect(json).toContainEqual({
      service: 'alpha',
      paused: false,
      contracts: 0,
      workersWaiting: 2,
      workersBusy: 0,
      free: 2,
      queued: 0,
      inFlight: 0,
      plain: expect.objectContaining({ requestsPerSecond: 0, p99Ms: null }),
      durable: null,
    });
  });

  it('shows names alone, parts of the JSON, and refuses a wrong expression with its place', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'zeta');
    await offer(daemon, 'alpha');
    const shown = async (output: string): Promise<Finished> =>
      await run(['services', '-o', output, '--endpoint', daemon.endpoint]);
    const { stdout } = await shown('name');
    expect(stdout.trimEnd().split('\n').sort()).toEqual(['alpha', 'zeta']);
    const idle = await shown('jsonpath={.items[?(@.service=="zeta")].workersWaiting}');
    expect(idle).toMatchObject({ status: 0, stdout: '1\n', stderr: '' });
    expect((await shown('wide')).stdout).toMatch(/^SERVICE .* OLDEST\n/);
    const nothing = await shown('jsonpath={.items[?(@.service=="nobody")].service}');
    expect(nothing).toMatchObject({
      status: 0,
      stdout: '',
      stderr: 'majordomo: -o jsonpath={.items[?(@.service=="nobody")].service}: nothing is there\n',
    });
    const wrong = await shown('jsonpath={.items[}');
    expect(wrong).toMatchObject({ status: 64, stdout: '' });
    expect(wrong.stderr).toContain('at character 9');
  });

  itWithTool('script and stty', 'fits into a narrow terminal, but for -o wide', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'alpha');
    const inTerminal = async (...more: string[]): Promise<string[]> => {
      const words = [process.execPath, MAIN, 'services', '--endpoint', daemon.endpoint, ...more];
      const line = `stty cols 40 rows 20; exec ${words.join(' ')}`;
      const child = spawn('script', ['-qefc', line, '/dev/null'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let seen = '';
      child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString('utf8')));
      await once(child, 'close');
      return stripVTControlCharacters(seen).trimEnd().split(/\r?\n/);
    };
    const [head = '', row = ''] = await inTerminal();
    expect(head).toBe('SERVICE  BUSY  QUEUED  FAILED/S  DEAD');
    expect(row).toMatch(/^alpha +0 +0 +(-|0\.0) +-$/);
    expect((await inTerminal('-o', 'wide'))[0]).toMatch(/^SERVICE .* OLDEST$/);
  });

  it('prints a header without rows, or an empty list, when nothing is served', async () => {
    const at = ['--endpoint', idle.endpoint];
    expect((await run(['services', ...at])).stdout).toMatch(
      /^SERVICE  FREE  BUSY  QUEUED  .*OLDEST\n$/,
    );
    expect((await run(['services', '-o', 'json', ...at])).stdout).toBe('[]\n');
  });
});

describe('majordomo workers', () => {
  it('shows all of them, or those of one service', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'one', '--protocol', '0.1');
    await offer(daemon, 'many', '--concurrency', '5');
    const at = ['--endpoint', daemon.endpoint];
    const all = cells((await run(['workers', ...at])).stdout);
    expect(all[0]).toEqual([
      'SERVICE',
      'NAME',
      'STATE',
      'PROTOCOL',
      'IN FLIGHT',
      'CREDIT',
      'SINCE',
      'KEY',
      'ADDRESS',
    ]);
    expect(all).toHaveLength(3);
    const { stdout } = await run(['workers', 'many', '-o', 'json', ...at]);
    expect(JSON.parse(stdout)).toEqual([
      {
        service: 'many',
        state: 'waiting',
        version: '0.2',
        inFlight: 0,
        number: expect.any(Number),
        credit: 5,
        sinceMs: expect.any(Number),
        key: null,
        name: expect.stringMatching(/^.+:\d+$/),
        address: null,
      },
    ]);
  });

  it('shows the name given with --name, and over HTTP the address (D67)', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    await offer(daemon, 'one', '--name', 'left\u001b[2J\n<b>');
    const at = ['workers', '--admin', httpOf(daemon)];
    const shown = 'left%1B[2J%0A<b>';
    const open = cells((await run(at)).stdout);
    expect(open[1]).toEqual(expect.arrayContaining([shown]));
    expect(open[1]?.at(-1)).toBe('-');
    const [, row] = cells((await run([...at, '--token', tokenOf(daemon)])).stdout);
    expect(row).toEqual(expect.arrayContaining([shown]));
    expect(row?.at(-1)).toBe('127.0.0.1');
    const tooLong = ['worker', 'one', '--name', 'n'.repeat(65), '--endpoint', daemon.endpoint];
    const { status, stderr } = await run([...tooLong, '--', 'cat']);
    expect({ status, stderr }).toEqual({
      status: 64,
      stderr: 'majordomo: name must have at most 64 characters\n',
    });
  });

  it('ends with 1 for a service without workers', async () => {
    expect(await run(['workers', 'none', '--endpoint', idle.endpoint])).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'majordomo: no worker is registered for none\n',
    });
  });
});

describe('majordomo status', () => {
  it('shows the broker and its totals, and the JSON of mmi.broker', async () => {
    const daemon = await startDaemon({ sets: ['node.name=left'] });
    await offer(daemon, 'echo');
    const at = ['--endpoint', daemon.endpoint];
    const rows = new Map(
      cells((await run(['status', ...at])).stdout).map(([name, value]) => [name, value]),
    );
    expect(rows.get('node')).toBe('left');
    expect(rows.get('state')).toBe('active');
    expect(rows.get('workers')).toBe('1 (1 idle, 0 busy)');
    const json = JSON.parse((await run(['status', '-o', 'json', ...at])).stdout) as object;
    expect(Object.keys(json)).toEqual(
      expect.arrayContaining(['version', 'uptimeMs', 'node', 'role', 'state', 'epoch', 'limits']),
    );
  });
});

describe(`majordomo ${COMMANDS.join(', ')}`, () => {
  const each = (...args: readonly string[]): Promise<Finished[]> =>
    runEach(COMMANDS.map((command) => [command, ...args]));

  it('end with 69 when nobody listens there', async () => {
    for (const said of await each('--timeout-ms', '300', '--endpoint', await deadEndpoint())) {
      expect(said).toMatchObject({ status: 69, stdout: '' });
      expect(said.stderr).toMatch(/no broker answers at tcp:\/\/127\.0\.0\.1:[0-9]+/);
    }
  });

  it('ask the next endpoint when the first accepts no connection', async () => {
    const at = ['--endpoint', await deadEndpoint(), '--endpoint', idle.endpoint];
    for (const said of await each(...at)) expect(said).toMatchObject({ status: 0, stderr: '' });
  });

  it('end with 1 at a broker that knows MMI, but not this question', async () => {
    for (const said of await each('--endpoint', await strangeBroker(() => ['501']))) {
      expect(said).toMatchObject({ status: 1, stdout: '' });
      expect(said.stderr).toContain('(501)');
    }
  });

  it.each([
    ['no JSON', '{'],
    ['another kind of JSON', '3'],
    ['nothing', undefined],
  ])('end with 1 at a broker that answers %s', async (_what, json) => {
    const endpoint = await strangeBroker(() => (json === undefined ? ['200'] : ['200', json]));
    for (const said of await each('--endpoint', endpoint)) {
      expect(said).toMatchObject({ status: 1, stdout: '' });
      expect(said.stderr).toContain('unexpected answer');
    }
  });

  it('show no control characters from another broker on a terminal', async () => {
    const evil = { service: '\u001b[2Jevil', state: '\u0007', node: 'a\nb', name: '\u001b[1m' };
    const endpoint = await strangeBroker((service) => [
      '200',
      JSON.stringify(service === 'mmi.broker' ? evil : [evil]),
    ]);
    for (const { status, stdout } of await each('--endpoint', endpoint)) {
      expect(status).toBe(0);
      const controls = stdout.split('').filter((letter) => letter < ' ' && letter !== '\n');
      expect(controls).toEqual([]);
    }
  });
});
