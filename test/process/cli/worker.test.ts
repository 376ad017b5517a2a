import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { messageOf } from '../../../src/core/errors.js';
import { Client } from '../../../src/sdk/client.js';
import { Child, killAll, MAIN, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

/** For the whole file: each case has its own services. */
let daemon: Daemon;
/** The same, with a single delivery for each request. */
let single: Daemon;

beforeAll(async () => {
  [daemon, single] = await Promise.all([
    startDaemon(),
    startDaemon({ sets: ['broker.maxDeliveries=1'] }),
  ]);
});

afterEach(() => killAll(daemon, single));

afterAll(removeDaemons);

/** Starts `majordomo worker` and waits until it is registered. */
async function offer(
  daemon: Daemon,
  service: string,
  line: readonly string[],
  options: readonly string[] = [],
): Promise<Child> {
  const at = ['--endpoint', daemon.endpoint];
  const worker = new Child(['worker', service, ...options, ...at, '--', ...line]);
  await says(worker, `${service}: registered at ${daemon.endpoint}`);
  return worker;
}

function request(daemon: Daemon, ...args: readonly string[]): ReturnType<typeof run> {
  return run(['request', '--endpoint', daemon.endpoint, ...args]);
}

/** Of the last process that wrote `began PID`. */
function pidOf(worker: Child): number {
  return Number(worker.stderr.match(/(?<=began )\d+(?=\n)/g)?.at(-1));
}

/** Resolves when it has written that to its standard error. */
function says(worker: Child, text: string): Promise<void> {
  return worker.until(({ stderr }) => stderr.includes(text), text);
}

function isAlive(pid: number): boolean {
  try {
    // (Not its command line: that is empty for a moment while a process becomes another program.)
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Z and X: it has ended, and nobody has waited for it.
    return !/[ZX]/.test(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

describe('majordomo worker makes a command a service', () => {
  it('whose input is the body and whose output is the reply', async () => {
    await offer(daemon, 'upper', ['tr', 'a-z', 'A-Z']);
    expect(await request(daemon, 'upper', 'hello')).toMatchObject({ status: 0, stdout: 'HELLO\n' });
    // Several frames are concatenated.
    expect(await request(daemon, 'upper', 'a', '', 'b')).toMatchObject({ stdout: 'AB\n' });
    expect(await request(daemon, 'upper')).toMatchObject({ stdout: '\n' });
  });

  it('that gets the name of the service, and whose standard error passes through', async () => {
    const script = 'printf "%s" "$MAJORDOMO_SERVICE"; echo careful >&2';
    const worker = await offer(daemon, 'who', ['sh', '-c', script]);
    expect(await request(daemon, 'who', 'x')).toMatchObject({ stdout: 'who\n' });
    await says(worker, 'careful\n');
  });

  it('that gets no secret of the worker: of MAJORDOMO_… only the name of the service', async () => {
    const environment = { MAJORDOMO_TOKEN: 'hush', MAJORDOMO_HTTP__TOKEN: 'hush', OTHER: 'seen' };
    const script = 'env | grep -E "^(MAJORDOMO_|OTHER)" | sort';
    const line = ['worker', 'told', '--endpoint', daemon.endpoint, '--', 'sh', '-c', script];
    const worker = new Child(line, { environment });
    await says(worker, `registered at ${daemon.endpoint}`);
    expect(await request(daemon, 'told', 'x')).toMatchObject({
      stdout: 'MAJORDOMO_SERVICE=told\nOTHER=seen\n',
    });
  });

  it('that does not read its input', async () => {
    await offer(daemon, 'true', ['true']);
    const input = Buffer.alloc(1024 * 1024);
    const args = ['request', 'true', '-', '-o', 'json', '--endpoint', daemon.endpoint];
    const { stdout } = await run(args, { input });
    expect(JSON.parse(stdout)).toMatchObject({ frames: [{ data: '' }] });
  });

  it('with options of its own after --, and binary data both ways', async () => {
    await offer(daemon, 'head', ['head', '-c', '4']);
    const args = ['request', 'head', '-', '-o', 'raw', '--endpoint', daemon.endpoint];
    const child = new Child(args);
    child.input(Buffer.from([0xff, 0x00, 0x0a, 0xfe, 0x41]));
    await child.finished();
    expect([...child.stdoutBytes]).toEqual([0xff, 0x00, 0x0a, 0xfe]);
  });

  it('that runs several times at once with --concurrency (D23)', async () => {
    // Each run waits for the other: one at a time, they would wait for ever.
    const folder = temporaryDirectory();
    const script = `touch ${folder}/$$; until [ "$(ls ${folder} | wc -l)" -ge 2 ]; do sleep 0.02; done`;
    await offer(daemon, 'meet', ['sh', '-c', script], ['--concurrency', '2']);
    const both = await Promise.all([request(daemon, 'meet'), request(daemon, 'meet')]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
  });

  it.each(['0.1', '0.2'])('over MDP %s', async (protocol) => {
    const service = `mdp-${protocol}`;
    await offer(daemon, service, ['tr', 'a-z', 'A-Z'], ['--protocol', protocol]);
    expect(await request(daemon, service, 'hi')).toMatchObject({ stdout: 'HI\n' });
    const { stdout } = await run(['workers', service, '-o', 'json', '--endpoint', daemon.endpoint]);
    expect(JSON.parse(stdout)).toMatchObject([{ service, version: protocol }]);
  });

  it('that registers again after kill -9 and restart of the broker', async () => {
    const first = await startDaemon();
    const worker = await offer(first, 'upper', ['tr', 'a-z', 'A-Z']);
    await first.kill();
    await says(worker, 'lost');
    const again = await startDaemon({ endpoint: first.endpoint, dataDir: first.dataDir });
    await again.waitFor('worker.registered');
    expect(await request(again, 'upper', 'hi')).toMatchObject({ stdout: 'HI\n' });
  });
});

describe('a command that fails', () => {
  it('gives its client the exit status and the last line of its standard error', async () => {
    const line = ['sh', '-c', 'echo "on its way" >&2; echo "card declined" >&2; echo >&2; exit 3'];
    const bad = await offer(daemon, 'pay', line);
    const { status, stdout, stderr } = await request(daemon, 'pay', 'x');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toBe('majordomo: pay failed: exit-3: card declined\n');
    await says(bad, 'pay failed: exit-3: card declined');
    await says(bad, 'on its way');
    const detailed = await request(daemon, '--detail', 'pay', 'x');
    expect(detailed.stderr).toBe(
      'majordomo: pay failed: exit-3: card declined\non its way\ncard declined\n',
    );
    const json = await request(daemon, '-o', 'json', 'pay', 'x');
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stdout)).toEqual({
      ...{ service: 'pay', failed: true, code: 'exit-3', text: 'card declined' },
      detail: [{ encoding: 'utf8', data: 'on its way\ncard declined\n\n' }],
    });
    const lost = daemon.logged('worker.lost');
    expect(lost.filter(({ service }) => service === 'pay')).toEqual([]);
    const failed = (): Record<string, unknown> => daemon.logged('request.failed').at(-1) ?? {};
    await daemon.until(() => failed()['service'] === 'pay', 'the failure in the log');
    expect(failed()).toMatchObject({ kind: 'error' });
  });

  it.each([1, 4])('stays registered, at a concurrency of %i', async (concurrency) => {
    const service = `fails at ${concurrency}`;
    await offer(daemon, service, ['false'], ['--concurrency', String(concurrency)]);
    for (let at = 0; at < 5; at++) {
      expect(await request(daemon, service, 'x')).toMatchObject({ status: 2 });
    }
    const registered = (): unknown[] =>
      daemon.logged('worker.registered').filter((line) => line['service'] === service);
    // One line a second is written for all services.
    await daemon.until(() => registered().length > 0, 'its registration in the log');
    expect(registered()).toHaveLength(1);
  });

  it('with 75 is retried at another worker; with 64 and 65 a stored request is not retried', async () => {
    await offer(daemon, 'elsewhere', ['sh', '-c', 'exit 75']);
    await offer(daemon, 'elsewhere', ['echo', 'done']);
    for (let at = 0; at < 3; at++) {
      expect(await request(daemon, 'elsewhere', 'x')).toMatchObject({ stdout: 'done\n' });
    }
    for (const status of [64, 65]) {
      const service = `final ${status}`;
      await offer(daemon, service, ['sh', '-c', `echo "not that" >&2; exit ${status}`]);
      const { status: ended, stderr } = await request(daemon, '--durable', service, 'x');
      expect(ended).toBe(2);
      expect(stderr).toMatch(/^majordomo: stored as [0-9A-F]{32}\n/);
      expect(stderr).toContain(`${service} failed: exit-${status}: not that\n`);
    }
  });

  it.each([
    { how: 'is killed', line: ['sh', '-c', 'kill -9 $$'], told: 'signal-SIGKILL', options: [] },
    {
      how: 'answers too much',
      line: ['head', '-c', '2000', '/dev/zero'],
      told: 'too-large: head wrote 2000 bytes or more, at most 1024 are allowed (--output-bytes)',
      options: ['--output-bytes', '1KiB'],
    },
    {
      how: 'takes too long',
      line: ['sleep', '600'],
      told: 'timeout: sleep ran longer than 100 ms',
      options: ['--timeout-ms', '100'],
    },
  ])('says so when it $how', async ({ how, line, told, options }) => {
    const worker = await offer(single, how, line, options);
    const { status, stderr } = await request(single, how, 'x');
    expect(status).toBe(2);
    expect(stderr).toBe(`majordomo: ${how} failed: ${told}\n`);
    await says(worker, `${how} failed: ${told}\n`);
  });

  it('by writing too much is not tried again: it would write as much', async () => {
    const runs = join(temporaryDirectory(), 'runs');
    const script = `echo run >> ${runs}; echo big >&2; head -c 2000 /dev/zero`;
    await offer(daemon, 'too much', ['sh', '-c', script], ['--output-bytes', '1KiB']);
    const told =
      'too much failed: too-large: sh wrote 2000 bytes or more, ' +
      'at most 1024 are allowed (--output-bytes)\n';
    const stored = await request(daemon, '--durable', 'too much', 'x');
    expect(stored.status).toBe(2);
    expect(stored.stderr).toContain(told);
    expect(readFileSync(runs, 'utf8')).toBe('run\n');
    const plain = await request(daemon, '--detail', 'too much', 'x');
    expect(plain).toMatchObject({ status: 2, stderr: `majordomo: ${told}big\n` });
  });

  it('and whose worker is gone is retried elsewhere, and fails if there is no other worker', async () => {
    const program = join(temporaryDirectory(), 'job');
    writeFileSync(program, '#!/bin/sh\necho x\n');
    chmodSync(program, 0o755);
    await offer(single, 'gone', [program]);
    rmSync(program);
    const { status, stderr } = await request(single, 'gone', 'x');
    expect(status).toBe(2);
    expect(stderr).toContain('could not be started');
  });

  it('to start for want of descriptors fails its request, and the worker goes on', async () => {
    const go = join(temporaryDirectory(), 'go');
    const script = `until [ -e ${go} ]; do sleep 0.2; done; cat`;
    const at = ['--endpoint', single.endpoint, '--concurrency', '20'];
    const line = ['worker', 'many', ...at, '--', 'sh', '-c', script];
    const worker = new Child(line, { before: 'ulimit -n 48' });
    await says(worker, `many: registered at ${single.endpoint}`);
    const client = new Client({ endpoints: single.endpoint });
    try {
      const answers = Array.from({ length: 20 }, (_, at) => {
        return client.request('many', String(at)).then(
          ({ frames }) => frames.join(),
          (error: unknown) => messageOf(error),
        );
      });
      await says(worker, 'many failed: not-started: sh could not be started: spawn sh EMFILE');
      writeFileSync(go, '');
      const all = await Promise.all(answers);
      const failed = all.filter((text) => text.endsWith('could not be started: spawn sh EMFILE'));
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.length).toBeLessThan(20);
      expect(all.filter((text, at) => text === String(at))).toHaveLength(20 - failed.length);
      expect((await client.request('many', 'again')).frames.join()).toBe('again');
    } finally {
      await client.close();
    }
  });

  it('has its text shown harmlessly, cut to 1 KiB and 4 KiB', async () => {
    const script = `printf '\\033[31mred\\007<b>\\n' >&2; exit 1`;
    await offer(daemon, 'escapes', ['sh', '-c', script]);
    const { stderr } = await request(daemon, '--detail', 'escapes', 'x');
    expect(stderr).not.toMatch(/[\u001b\u0007]/);
    expect(stderr).toContain('[31mred\uFFFD<b>');
    const long = `head -c 100000 /dev/zero | tr '\\0' e >&2; exit 1`;
    await offer(daemon, 'long', ['sh', '-c', long]);
    const json = await request(daemon, '-o', 'json', 'long', 'x');
    const told = JSON.parse(json.stdout) as { text: string; detail: { data: string }[] };
    expect(told.text).toHaveLength(1024);
    expect(told.detail.map(({ data }) => data.length)).toEqual([4096]);
  });

  it('is told by SIGTERM when nobody waits for its request any more', async () => {
    const script =
      'trap "echo told >&2; exit 0" TERM; echo began >&2; while :; do sleep 0.05; done';
    const worker = await offer(daemon, 'stopped', ['sh', '-c', script]);
    const { stdout } = await request(daemon, '--durable', '--no-wait', 'stopped', 'x');
    await says(worker, 'began');
    await request(daemon, '--close', stdout.trim());
    await says(worker, 'told');
    // It is no failure, and the worker serves on.
    const next = request(daemon, '--durable', '--no-wait', 'stopped', 'y');
    await worker.until(({ stderr }) => stderr.split('began').length === 3, 'a second run');
    await request(daemon, '--close', (await next).stdout.trim());
    expect(worker.stderr).not.toContain('failed');
  });

  it('is told by SIGTERM, and what it started and ignores that is killed when it has ended', async () => {
    const script = `sh -c 'trap "" TERM; echo "began $$" >&2; exec sleep 600 >/dev/null 2>&1' & wait`;
    const worker = await offer(daemon, 'survives', ['sh', '-c', script]);
    const { stdout } = await request(daemon, '--durable', '--no-wait', 'survives', 'x');
    await worker.until(() => pidOf(worker) > 0, 'its process id');
    const pid = pidOf(worker);
    expect(isAlive(pid)).toBe(true);
    await request(daemon, '--close', stdout.trim());
    await until(() => !isAlive(pid), 'its end');
  });

  it('is killed if it ignores SIGTERM, before the worker gives its place to another', async () => {
    const script = 'trap "" TERM; echo began $$ >&2; while :; do sleep 0.05; done';
    const worker = await offer(daemon, 'ignores', ['sh', '-c', script]);
    const { stdout } = await request(daemon, '--durable', '--no-wait', 'ignores', 'x');
    await says(worker, 'began');
    await request(daemon, '--close', stdout.trim());
    await request(daemon, '--durable', '--no-wait', 'ignores', 'y');
    await worker.until(({ stderr }) => stderr.split('began').length === 3, 'a second run');
    expect(worker.stderr).not.toContain('goes on');
    worker.signal('SIGTERM');
    await says(worker, 'draining');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 143 });
    await until(() => !isAlive(pidOf(worker)), 'the end of its command');
  });

  it('is done when it ends, even if a process that it started keeps its standard error open', async () => {
    const line = ['sh', '-c', 'sleep 600 > /dev/null & echo $!'];
    const worker = await offer(daemon, 'leaves', line);
    const { stdout } = await request(daemon, 'leaves', 'x');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
    process.kill(Number(stdout), 'SIGKILL');
  });

  it('is done when it ends, even if a process that it started keeps its standard output open', async () => {
    const line = ['sh', '-c', 'sleep 600 & head -c 200000 /dev/zero; echo $!'];
    const worker = await offer(daemon, 'holds', line);
    const { stdout } = await request(daemon, 'holds', 'x');
    const [, pid] = /^\0{200000}([0-9]+)\n$/.exec(stdout) ?? [];
    await says(worker, 'sh has ended, and what it started holds its standard output open');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
    process.kill(Number(pid), 'SIGKILL');
  });
});

describe('as process 1', () => {
  itWithTool('root', 'it waits for what its commands leave behind, and drains', async () => {
    const zombies = 'grep -l "^State:.Z" /proc/[0-9]*/status | wc -l';
    const command = `read what; if [ "$what" = leave ]; then (true &); else ${zombies}; fi`;
    const args = ['worker', 'first', '--endpoint', daemon.endpoint, '--', 'sh', '-c', command];
    const own = ['--pid', '--fork', '--kill-child', '--mount-proc'];
    const outside = spawn('unshare', [...own, process.execPath, MAIN, ...args]);
    const ended = once(outside, 'close');
    try {
      for (let n = 0; n < 5; n++) await request(daemon, 'first', 'leave');
      let left = '';
      while (left !== '0\n') left = (await request(daemon, 'first', 'count')).stdout;
      const { pid = 0 } = outside;
      const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
      process.kill(Number(first), 'SIGTERM');
      await ended;
      expect(outside.exitCode).toBe(0);
    } finally {
      outside.kill('SIGKILL');
    }
  });
});

describe('a signal', () => {
  const COMMAND = 'sleep 600 & echo began $! >&2; wait';

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'lets what runs end, and then the worker, with 0: %s',
    async (signal) => {
      const service = `slow ${signal}`;
      const folder = temporaryDirectory();
      const script = `echo begun >&2; until [ -e ${folder}/go ]; do sleep 0.02; done; echo done`;
      const worker = await offer(daemon, service, ['sh', '-c', script]);
      const asked = request(daemon, service, '--timeout-ms', '20000', 'x');
      await says(worker, 'begun');
      worker.signal(signal);
      await says(worker, 'draining: 1');
      writeFileSync(join(folder, 'go'), '');
      expect(await asked).toMatchObject({ status: 0, stdout: 'done\n' });
      expect(await worker.finished()).toMatchObject({ status: 0 });
      await daemon.until(
        () => daemon.logged('worker.lost').some((line) => line['service'] === service),
        'its leave in the log',
      );
    },
  );

  it.each([
    { signal: 'SIGINT', expected: 130 },
    { signal: 'SIGTERM', expected: 143 },
    { signal: 'SIGHUP', expected: 143 },
  ] as const)('a second time ends it at once with $expected, and the command', async (given) => {
    const service = `held ${given.signal}`;
    const worker = await offer(daemon, service, ['sh', '-c', COMMAND]);
    await request(daemon, '--durable', '--no-wait', service, 'x');
    await worker.until(() => pidOf(worker) > 0, 'its process id');
    worker.signal('SIGTERM');
    await says(worker, 'draining');
    worker.signal(given.signal);
    expect(await worker.finished()).toMatchObject({ status: given.expected });
    await until(() => !isAlive(pidOf(worker)), 'the end of its command');
  });

  it('of a bug ends the command, too', async () => {
    const bug = 'process.on("SIGUSR2", () => { throw new Error("a bug") })';
    const line = ['worker', 'crashes', '--endpoint', daemon.endpoint, '--', 'sh', '-c', COMMAND];
    const nodeOptions = ['--import', `data:text/javascript,${encodeURIComponent(bug)}`];
    const worker = new Child(line, { nodeOptions });
    await request(daemon, '--durable', '--no-wait', 'crashes', 'x');
    await worker.until(() => pidOf(worker) > 0, 'its process id');
    worker.signal('SIGUSR2');
    expect(await worker.finished()).toMatchObject({ status: 70 });
    await until(() => !isAlive(pidOf(worker)), 'the end of its command');
  });

  it('ends a worker that is idle, or never reached a broker, with 0', async () => {
    const idle = await offer(daemon, 'echo', ['cat']);
    idle.signal('SIGTERM');
    expect(await idle.finished()).toMatchObject({ status: 0 });
    const [nobody = 0] = await freePorts(1);
    const at = ['--endpoint', `tcp://127.0.0.1:${nobody}`];
    const lonely = new Child(['worker', 'echo', ...at, '--', 'cat']);
    await says(lonely, 'no answer from');
    lonely.signal('SIGTERM');
    expect(await lonely.finished()).toMatchObject({ status: 0 });
  });

  it('ends a drain that takes too long, and the request is returned', async () => {
    const script = 'echo begun >&2; sleep 600 & wait';
    const worker = await offer(daemon, 'long', ['sh', '-c', script], ['--grace-ms', '100']);
    const asked = request(daemon, 'long', '--timeout-ms', '15000', 'x');
    await says(worker, 'begun');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
    await offer(daemon, 'long', ['echo', 'quick']);
    expect(await asked).toMatchObject({ stdout: 'quick\n' });
  });
});
