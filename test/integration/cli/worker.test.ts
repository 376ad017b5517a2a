import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from '@jest/globals';

import { Child, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';

afterEach(removeDaemons);

/** Starts `majordomo worker` and waits until it is registered. */
async function offer(
  daemon: Daemon,
  service: string,
  line: readonly string[],
  options: readonly string[] = [],
): Promise<Child> {
  const before = daemon.logged('worker.registered').length;
  const at = ['--endpoint', daemon.endpoint];
  const worker = new Child(['worker', service, ...options, ...at, '--', ...line]);
  await daemon.waitFor('worker.registered', before + 1);
  return worker;
}

function request(daemon: Daemon, ...args: readonly string[]): ReturnType<typeof run> {
  return run(['request', '--endpoint', daemon.endpoint, ...args]);
}

async function untilBusy(daemon: Daemon, count: number): Promise<void> {
  for (;;) {
    const { stdout } = await run(['workers', '-o', 'json', '--endpoint', daemon.endpoint]);
    const workers = JSON.parse(stdout) as { inFlight: number }[];
    if (workers.reduce((sum, { inFlight }) => sum + inFlight, 0) >= count) return;
  }
}

describe('majordomo worker makes a command a service', () => {
  it('whose input is the body and whose output is the reply', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'upper', ['tr', 'a-z', 'A-Z']);
    expect(await request(daemon, 'upper', 'hello')).toMatchObject({ status: 0, stdout: 'HELLO\n' });
    // Several frames come one after the other.
    expect(await request(daemon, 'upper', 'a', '', 'b')).toMatchObject({ stdout: 'AB\n' });
    expect(await request(daemon, 'upper')).toMatchObject({ stdout: '\n' });
  });

  it('that learns the name of the service, and whose errors pass through', async () => {
    const daemon = await startDaemon();
    const script = 'printf "%s" "$MAJORDOMO_SERVICE"; echo careful >&2';
    const worker = await offer(daemon, 'who', ['sh', '-c', script]);
    expect(await request(daemon, 'who', 'x')).toMatchObject({ stdout: 'who\n' });
    await worker.until(({ stderr }) => stderr.includes('careful\n'), 'the warning');
  });

  it('that need not read its input', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'true', ['true']);
    const input = Buffer.alloc(1024 * 1024);
    const args = ['request', 'true', '-', '-o', 'json', '--endpoint', daemon.endpoint];
    const { stdout } = await run(args, { input });
    expect(JSON.parse(stdout)).toMatchObject({ frames: [{ data: '' }] });
  });

  it('with options of its own after --, and binary data both ways', async () => {
    const daemon = await startDaemon();
    await offer(daemon, 'head', ['head', '-c', '4']);
    const args = ['request', 'head', '-', '-o', 'raw', '--endpoint', daemon.endpoint];
    const child = new Child(args);
    child.input(Buffer.from([0xff, 0x00, 0x0a, 0xfe, 0x41]));
    await child.finished();
    expect([...child.stdoutBytes]).toEqual([0xff, 0x00, 0x0a, 0xfe]);
  });

  it('that runs several times at once with --concurrency (D23)', async () => {
    const daemon = await startDaemon();
    // Each run waits until the other is there: one at a time they would wait for ever.
    const folder = temporaryDirectory();
    const script = `touch ${folder}/$$; until [ "$(ls ${folder} | wc -l)" -ge 2 ]; do sleep 0.02; done`;
    await offer(daemon, 'meet', ['sh', '-c', script], ['--concurrency', '2']);
    const both = await Promise.all([request(daemon, 'meet'), request(daemon, 'meet')]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
  });

  it.each(['0.1', '0.2'])('over MDP %s', async (protocol) => {
    const daemon = await startDaemon();
    await offer(daemon, 'upper', ['tr', 'a-z', 'A-Z'], ['--protocol', protocol]);
    expect(await request(daemon, 'upper', 'hi')).toMatchObject({ stdout: 'HI\n' });
    const { stdout } = await run(['workers', '-o', 'json', '--endpoint', daemon.endpoint]);
    expect(JSON.parse(stdout)).toMatchObject([{ service: 'upper', version: protocol }]);
  });

  it('that comes back after kill -9 and restart of the broker', async () => {
    const daemon = await startDaemon();
    const worker = await offer(daemon, 'upper', ['tr', 'a-z', 'A-Z']);
    await daemon.kill();
    await worker.until(({ stderr }) => stderr.includes('lost'), 'the loss');
    const again = await startDaemon({ endpoint: daemon.endpoint, dataDir: daemon.dataDir });
    await again.waitFor('worker.registered');
    expect(await request(again, 'upper', 'hi')).toMatchObject({ stdout: 'HI\n' });
  });
});

describe('a command that fails gives its request back (D25)', () => {
  it('to be answered by another worker', async () => {
    const daemon = await startDaemon();
    const bad = await offer(daemon, 'job', ['sh', '-c', 'echo half; exit 3']);
    await offer(daemon, 'job', ['echo', 'whole']);
    // The one that has waited longest is asked first.
    const asked = request(daemon, 'job', 'x');
    expect(await asked).toMatchObject({ status: 0, stdout: 'whole\n' });
    expect(bad.stderr).toContain('sh exited with 3; the request is given back');
  });

  it('until the broker abandons it (D6), which the client learns', async () => {
    const daemon = await startDaemon({ sets: ['broker.maxDeliveries=2'] });
    const worker = await offer(daemon, 'job', ['false']);
    const { status, stderr } = await request(daemon, 'job', 'x');
    expect(status).toBe(1);
    expect(stderr).toContain('502');
    expect(worker.stderr.split('false exited with 1; the request is given back')).toHaveLength(3);
  });

  it.each([
    {
      how: 'is killed',
      line: ['sh', '-c', 'kill -9 $$'],
      says: 'was ended by SIGKILL',
      options: [],
    },
    {
      how: 'answers too much',
      line: ['head', '-c', '2000', '/dev/zero'],
      says: 'answered more than 1KiB',
      options: ['--output-bytes', '1KiB'],
    },
    {
      how: 'takes too long',
      line: ['sleep', '600'],
      says: 'ran longer than 100 ms',
      options: ['--timeout-ms', '100'],
    },
  ])('when it $how', async ({ line, says, options }) => {
    const daemon = await startDaemon({ sets: ['broker.maxDeliveries=1'] });
    const worker = await offer(daemon, 'job', line, options);
    expect(await request(daemon, 'job', 'x')).toMatchObject({ status: 1 });
    expect(worker.stderr).toContain(says);
  });

  it('when it is gone by then', async () => {
    const daemon = await startDaemon({ sets: ['broker.maxDeliveries=1'] });
    const program = join(temporaryDirectory(), 'job');
    writeFileSync(program, '#!/bin/sh\necho x\n');
    chmodSync(program, 0o755);
    const worker = await offer(daemon, 'job', [program]);
    rmSync(program);
    expect(await request(daemon, 'job', 'x')).toMatchObject({ status: 1 });
    expect(worker.stderr).toContain('could not be run');
  });
});

describe('a signal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'lets what runs end, and then the worker, with 0: %s',
    async (signal) => {
      const daemon = await startDaemon();
      const folder = temporaryDirectory();
      const script = `until [ -e ${folder}/go ]; do sleep 0.02; done; echo done`;
      const worker = await offer(daemon, 'slow', ['sh', '-c', script]);
      const asked = request(daemon, 'slow', '--timeout-ms', '20000', 'x');
      await untilBusy(daemon, 1);
      worker.signal(signal);
      await worker.until(({ stderr }) => stderr.includes('draining: 1'), 'the drain');
      writeFileSync(join(folder, 'go'), '');
      expect(await asked).toMatchObject({ status: 0, stdout: 'done\n' });
      expect(await worker.finished()).toMatchObject({ status: 0 });
      await daemon.waitFor('worker.lost');
    },
  );

  it.each([
    { signal: 'SIGINT', expected: 130 },
    { signal: 'SIGTERM', expected: 143 },
  ] as const)('a second time ends it at once with $expected, and the command', async (given) => {
    const daemon = await startDaemon();
    const worker = await offer(daemon, 'slow', ['sh', '-c', 'echo begun >&2; sleep 600 & wait']);
    const client = new Child(['request', 'slow', '--endpoint', daemon.endpoint]);
    client.input('');
    await worker.until(({ stderr }) => stderr.includes('begun'), 'the command');
    worker.signal('SIGTERM');
    await worker.until(({ stderr }) => stderr.includes('draining'), 'the drain');
    worker.signal(given.signal);
    // Finished is when its standard error is closed, which all that it had started share.
    expect(await worker.finished()).toMatchObject({ status: given.expected });
  });

  it('ends a worker that is idle, or has never had a broker, with 0', async () => {
    const daemon = await startDaemon();
    const idle = await offer(daemon, 'echo', ['cat']);
    idle.signal('SIGTERM');
    expect(await idle.finished()).toMatchObject({ status: 0 });
    await daemon.stop();
    const lonely = new Child(['worker', 'echo', '--endpoint', daemon.endpoint, '--', 'cat']);
    await lonely.until(({ stderr }) => stderr.includes('nobody answers at'), 'the complaint');
    lonely.signal('SIGTERM');
    expect(await lonely.finished()).toMatchObject({ status: 0 });
  });

  it('ends a drain that takes too long, and the request is given back', async () => {
    const daemon = await startDaemon();
    const worker = await offer(daemon, 'slow', ['sleep', '600'], ['--grace-ms', '100']);
    const asked = request(daemon, 'slow', '--timeout-ms', '15000', 'x');
    await untilBusy(daemon, 1);
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
    await offer(daemon, 'slow', ['echo', 'quick']);
    expect(await asked).toMatchObject({ stdout: 'quick\n' });
  });
});
