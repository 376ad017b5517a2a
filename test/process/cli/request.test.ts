import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

import { codeOf } from '../../../src/core/errors.js';
import { Client } from '../../../src/sdk/client.js';
import { type Handler, Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { Child, type Finished, killAll, MAIN, run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePorts, listening } from '../../support/free-ports.js';
import { PATIENCE_MS } from '../../support/patience.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

/** For the whole file, with `echo`; other services belong to one case each. */
let daemon: Daemon;
let endpoint: string;
/** For the cases about services without workers: it soon stops expecting any back. */
let other: Daemon;
const workers: Worker[] = [];

beforeAll(async () => {
  daemon = await startDaemon();
  endpoint = daemon.endpoint;
  await offer(daemon, 'echo', (request) => request.frames);
});

afterEach(() => killAll(daemon, other));

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await removeDaemons();
});

/** A worker of this process: its handler says what the test needs. */
async function offer(
  at: Daemon,
  service: string,
  handler: Handler,
  options: Partial<WorkerOptions> = {},
): Promise<void> {
  const worker = new Worker({ endpoints: [at.endpoint], service, ...options }, handler);
  workers.push(worker);
  void worker.run();
  const client = new Client({ endpoints: [at.endpoint] });
  for (let status = ''; status !== '200';) {
    status = (await client.request('mmi.service', service)).text();
  }
  await client.close();
}

/** An endpoint where nobody listens. */
async function deadEndpoint(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return `tcp://127.0.0.1:${port}`;
}

describe('majordomo request prints', () => {
  it('each frame of the reply, with a newline unless it has one', async () => {
    const at = ['--endpoint', endpoint];
    expect(await run(['request', 'echo', 'one', 'two\n', '', ...at])).toMatchObject({
      status: 0,
      stdout: 'one\ntwo\n\n',
      stderr: '',
    });
    expect(await run(['request', 'echo', ...at])).toMatchObject({ status: 0, stdout: '\n' });
    expect(await run(['request', 'echo', ...at, '--', '-5'])).toMatchObject({ stdout: '-5\n' });
  });

  itWithTool(
    'script and stty',
    'control characters escaped on a terminal, unless raw is asked for',
    async () => {
      const escape = '\x1b]0;title\x07';
      const shown = async (...options: string[]): Promise<string> => {
        const words = [process.execPath, MAIN, 'request', 'echo', `${escape}ab`];
        const line = [...words, '--endpoint', endpoint, ...options]
          .map((word) => `'${word}'`)
          .join(' ');
        const terminal = spawn('script', ['-qefc', line, '/dev/null'], {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        let said = '';
        for await (const chunk of terminal.stdout) said += String(chunk);
        return said;
      };
      expect(await shown()).toBe('\\u{1b}]0;title\\u{7}ab\r\n');
      for (const raw of ['--raw', '-oraw']) expect(await shown(raw)).toBe(`${escape}ab`);
      const piped = await run(['request', 'echo', escape, '--endpoint', endpoint]);
      expect(piped.stdout).toBe(`${escape}\n`);
    },
  );

  it('JSON in which every frame names its encoding', async () => {
    const args = ['request', 'echo', 'grün', '-', '-o', 'json', '--endpoint', endpoint];
    const { status, stdout } = await run(args, { input: Buffer.from([0x00, 0xff, 0x0a]) });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      service: 'echo',
      frames: [
        { encoding: 'utf8', data: 'grün' },
        { encoding: 'base64', data: 'AP8K' },
      ],
    });
  });

  it('with -o raw the bytes and nothing else; standard input may be a frame of 8 MiB', async () => {
    const input = Buffer.alloc(8 * 1024 * 1024, 'majordomo\u00ff');
    const at = ['--endpoint', endpoint, '--timeout-ms', String(PATIENCE_MS)];
    const child = new Child(['request', 'echo', '-', '-o', 'raw', ...at]);
    child.input(input);
    expect((await child.finished()).status).toBe(0);
    expect(child.stdoutBytes.equals(input)).toBe(true);
  });

  it('names in JSON percent-escaped, as in lists of services (D3)', async () => {
    await offer(daemon, 'größe', () => 'x');
    const at = ['-o', 'json', '--endpoint', daemon.endpoint];
    const [asked, listed] = [
      await run(['request', 'größe', ...at]),
      await run(['services', ...at]),
    ];
    const { service } = JSON.parse(asked.stdout) as { service: string };
    expect(service).toBe('gr%C3%B6%C3%9Fe');
    expect(JSON.parse(listed.stdout)).toContainEqual(expect.objectContaining({ service }));
  });

  it('parts as they arrive with --stream, before the last one', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await offer(daemon, 'count', async function* count() {
      yield 'one';
      await released;
      return 'two';
    });
    const child = new Child(['request', 'count', '--stream', '--endpoint', daemon.endpoint]);
    child.input('');
    await child.until(({ stdout }) => stdout === 'one\n', 'the first part');
    release();
    expect(await child.finished()).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
  });

  it('one JSON object a line with --stream -o json', async () => {
    await offer(daemon, 'lines', async function* lines() {
      yield ['a', 'b'];
      return 'c';
    });
    const args = ['request', 'lines', '--stream', '-o', 'json', '--endpoint', daemon.endpoint];
    const lines = (await run(args)).stdout.trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { service: 'lines', final: false, progress: false, frames: [{ data: 'a' }, { data: 'b' }] },
      { service: 'lines', final: true, progress: false, frames: [{ data: 'c' }] },
    ]);
  });

  it('nothing more once its reader is gone (| head), and no error', async () => {
    await offer(daemon, 'flood', async function* flood() {
      const line = 'x'.repeat(65_536);
      for (let part = 0; part < 200; part++) yield line;
      return line;
    });
    const child = new Child(['request', 'flood', '--stream', '--endpoint', daemon.endpoint]);
    child.input('');
    await child.until(({ stdout }) => stdout.length > 0, 'the first part');
    child.process.stdout.destroy();
    expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('majordomo request speaks', () => {
  it('MDP 0.1 with --protocol 0.1, and gets the parts joined (D10)', async () => {
    await offer(daemon, 'joined', async function* joined() {
      yield 'one';
      return 'two';
    });
    const args = ['request', 'joined', '--protocol', '0.1', '--endpoint', daemon.endpoint];
    expect(await run(args)).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
  });

  it('with the next endpoint when the first accepts no connection', async () => {
    const args = ['request', 'echo', 'hi', '--endpoint', await deadEndpoint()];
    expect(await run([...args, '--endpoint', endpoint])).toMatchObject({ stdout: 'hi\n' });
  });

  it.each([', ', ' ', ','])(
    'with the endpoints of MAJORDOMO_ENDPOINT, parted by "%s"',
    async (by) => {
      const environment = { MAJORDOMO_ENDPOINT: [await deadEndpoint(), endpoint].join(by) };
      expect(await run(['request', 'echo', 'hi'], { environment })).toMatchObject({
        stdout: 'hi\n',
      });
    },
  );

  it('with a broker that starts while it waits', async () => {
    const late = await deadEndpoint();
    const child = new Child(['request', 'echo', 'hi', '--timeout', '1m', '--endpoint', late]);
    child.input('');
    await offer(await startDaemon({ endpoint: late }), 'echo', ({ frames }) => frames);
    expect(await child.finished()).toMatchObject({ status: 0, stdout: 'hi\n' });
  });
});

describe('majordomo request ends (contract §2)', () => {
  const briefly = ['--timeout-ms', '1500'];

  it('with 69 when no endpoint accepts a connection', async () => {
    const dead = await deadEndpoint();
    const stranger = createServer((socket) => {
      socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.6\r\n');
    });
    const other = `tcp://127.0.0.1:${await listening(stranger)}`;
    const args = ['request', 'echo', 'hi', ...briefly, '--endpoint', `${dead},${other}`];
    expect(await run(args)).toMatchObject({
      status: 69,
      stdout: '',
      stderr:
        `majordomo: no broker answers at ${dead}: connection refused; ${other}: not ZMTP 3: no signature ` +
        '(an address of http.listen is for --admin); name another broker with --endpoint, ' +
        'MAJORDOMO_ENDPOINT, MAJORDOMO_URL or majordomo context\n',
    });
    stranger.close();
  });

  it('with 75 when it was connected, but no reply came in time', async () => {
    const inVain = (timeoutMs: number): Promise<Finished> => {
      const times = ['--timeout-ms', String(timeoutMs)];
      return run(['request', 'nobody', 'hi', '--wait', ...times, '--endpoint', endpoint]);
    };
    let ended = await inVain(1000);
    // It could not connect in that short time on this machine.
    if (ended.status === 69) ended = await inVain(20_000);
    expect(ended).toMatchObject({ status: 75, stdout: '' });
    expect(ended.stderr).toBe(
      `majordomo: no reply from 'nobody' in time (sent once): no worker serves it; ${endpoint} accepted the connection (--timeout-ms)\n`,
    );
  });

  it('with 75 behind others, and says that these wait for busy workers', async () => {
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    await offer(daemon, 'stuck', async () => {
      await finished;
      return 'done';
    });
    const client = new Client({ endpoints: [endpoint], timeoutMs: PATIENCE_MS });
    const sent = [client.request('stuck', 'at the worker'), client.request('stuck', 'next')];
    const options = ['--timeout', '3s', '--endpoint', endpoint];
    const ended = await run(['request', 'stuck', 'hi', ...options]);
    expect(ended).toMatchObject({ status: 75, stdout: '' });
    // Its own may still wait: the broker's clock ends it.
    expect(ended.stderr).toMatch(
      / \(sent once\): its only worker is busy, and (1 request waits|2 requests wait); tcp:/,
    );
    finish();
    await Promise.all(sent);
    await client.close();
  });

  it.each([[], ['--stream'], ['--durable']])(
    'with 75 when the time of the whole call is over, with %j',
    async (...options) => {
      const patient = ['--timeout', '3s', '--endpoint', endpoint];
      const ended = await run(['request', 'nobody', 'hi', '--wait', ...patient, ...options]);
      expect(ended).toMatchObject({ status: 75, stdout: '' });
      const says = options.includes('--durable')
        ? /no reply to the durable request [0-9A-F]{32} within \d+ ms: no worker serves it/
        : /^majordomo: no reply from 'nobody' in time \(sent once\): no worker serves it; tcp:\S+ accepted the connection \(--timeout-ms\)\n$/;
      expect(ended.stderr).toMatch(says);
    },
  );

  it('with 1 when the broker refuses, and tells its reason (D11)', async () => {
    const { endpoint } = await startDaemon({ sets: ['broker.requestTtlMs=50'] });
    const { status, stdout, stderr } = await run([
      'request',
      'nobody',
      '--wait',
      '--endpoint',
      endpoint,
    ]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain("the broker refused the request to 'nobody': 408");
  });

  describe('with 1 if no worker serves the service', () => {
    // For that long after the start, the broker expects their workers to come back.
    const sets = ['broker.heartbeatIntervalMs=1000', 'broker.heartbeatLiveness=4'];
    const lively = { heartbeatIntervalMs: 100, heartbeatLiveness: 1000 };
    let at: readonly string[];

    beforeAll(async () => {
      other = await startDaemon({ sets });
      at = ['--endpoint', other.endpoint];
      await offer(other, 'search', (request) => request.frames, lively);
      // Until then a request waits for its whole time to live.
      const endpoints = [other.endpoint];
      const client = new Client({ endpoints, ifNoWorker: 'fail', timeoutMs: 500 });
      const isRefused = (): Promise<boolean> =>
        client.request('nobody', '').then(
          () => false,
          (error: unknown) => codeOf(error) === 'ERR_MDP_NO_WORKER',
        );
      await until(isRefused, 'the broker expects no worker back');
      await client.close();
    });

    it.each([[], ['--stream'], ['-o', 'json']])('at once, with %j', async (...options) => {
      // Its time-outs are longer than the test waits for its end.
      const patient = ['--timeout-ms', '600000', ...options];
      const { status, stdout, stderr } = await run(['request', 'serach', 'hi', ...at, ...patient]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toBe(
        'majordomo: no worker serves "serach"; did you mean "search"? (--wait waits for a worker)\n',
      );
    });

    it('and suggests no other service if none has a similar name', async () => {
      const { stderr } = await run(['request', 'caf\u00e9\u001b[2J', 'hi', ...at]);
      expect(stderr).toBe(
        'majordomo: no worker serves "caf%C3%A9%1B[2J" (--wait waits for a worker)\n',
      );
    });

    it('but not for a durable request: that waits, and says so', async () => {
      const { status, stdout, stderr } = await run([
        ...['request', '--durable', '--no-wait', 'serach', 'hi', ...at],
      ]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^[0-9A-F]{32}\n$/);
      expect(stderr).toBe(
        'majordomo: no worker serves "serach"; did you mean "search"? ' +
          'The request is stored and waits for a worker\n',
      );
    });
  });

  it('with 74 when standard output cannot be written', async () => {
    const before = 'exec > /dev/full';
    const ended = await run(['request', 'echo', 'hi', '--endpoint', endpoint], { before });
    expect(ended.status).toBe(74);
    expect(ended.stderr).toContain('standard output: ');
  });

  it('by its signal when it is interrupted', async () => {
    const child = new Child(['request', 'nowhere', '--wait', '--endpoint', endpoint]);
    child.input('');
    const client = new Client({ endpoints: [endpoint] });
    await until(async () => {
      const { frames } = await client.request('mmi.services', '');
      const services = JSON.parse(String(frames[1])) as { service: string; queued: number }[];
      return services.some(({ service, queued }) => service === 'nowhere' && queued === 1);
    }, 'the request in its queue');
    await client.close();
    child.signal('SIGINT');
    expect(await child.finished()).toMatchObject({ signal: 'SIGINT', stderr: '' });
  });

  it.each([
    { signal: 'SIGINT', options: [] },
    { signal: 'SIGTERM', options: ['--stream'] },
  ] as const)('by $signal, after its worker was told, $options', async ({ signal, options }) => {
    const service = `stopped-${signal}`;
    const reasons: unknown[] = [];
    await offer(daemon, service, (request) => {
      request.signal.addEventListener('abort', () => {
        reasons.push(codeOf(request.signal.reason));
      });
      return new Promise(() => undefined);
    });
    const child = new Child(['request', service, '--endpoint', endpoint, ...options]);
    child.input('');
    const worker = workers.at(-1);
    await until(() => worker?.running === 1, 'the request at its worker');
    child.signal(signal);
    expect(await child.finished()).toMatchObject({ signal, stdout: '', stderr: '' });
    await until(() => reasons.length === 1, 'the signal of the handler');
    expect(reasons).toEqual(['ERR_MDP_ABORTED']);
  });
});
