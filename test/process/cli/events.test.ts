import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { Publisher } from '../../../src/sdk/stream.js';
import { Child, MAIN, run } from '../../support/child.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { closeWatchers, eventsOf, PUBLISHES } from '../../support/events.js';
import { ask, httpOf } from '../../support/http.js';
import { until } from '../../support/until.js';
import { cleanUp, rawWorker } from '../broker/support.js';

const PATIENT = 'broker.heartbeatIntervalMs=60000';
const open: (() => unknown)[] = [];

afterEach(async () => {
  await closeWatchers();
  for (const close of open.splice(0)) await close();
  await cleanUp();
});

async function publishing(...sets: readonly string[]): Promise<Daemon> {
  return await startDaemon({ sets: [PUBLISHES, PATIENT, 'http.listen=127.0.0.1:0', ...sets] });
}

async function subscribers(daemon: Daemon): Promise<number> {
  const { text } = await ask(`${httpOf(daemon)}/metrics`);
  return Number(/^majordomo_stream_subscribers (\d+)$/m.exec(text)?.[1] ?? NaN);
}

/** Registers workers until the command has printed one of them; only then it subscribes for sure. */
async function untilPrinted(child: Child, { endpoint }: Daemon): Promise<void> {
  for (let index = 0; !child.stdout.includes('worker.registered'); index++) {
    await rawWorker(endpoint, `try-${index}`);
    const late = performance.now() + 500;
    const isPrinted = (): boolean => child.stdout.includes('worker.registered');
    await until(() => isPrinted() || performance.now() > late, 'a line');
  }
}

/** A line of shell in which `majordomo` is this build. */
async function shell(line: string): Promise<{ stdout: string; stderr: string }> {
  const script = line.replaceAll('majordomo ', `${process.execPath} ${MAIN} `);
  const child = spawn('/bin/bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  open.push(() => child.kill('SIGKILL'));
  await once(child, 'close');
  return said;
}

/** Publishes without a pause in the form of events, so that every pipe is full at once. */
async function flood(): Promise<string> {
  const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });
  const [endpoint = ''] = await publisher.open();
  const timer = setInterval(() => {
    for (let index = 0; index < 100; index++) {
      publisher.publish('worker.lost', JSON.stringify({ event: 'worker.lost', index }));
    }
  }, 5);
  open.push(async () => {
    clearInterval(timer);
    await publisher.close({ graceMs: 0 });
  });
  return endpoint;
}

describe('majordomo events', () => {
  it('asks the broker where it publishes, and prints the events whose names begin so', async () => {
    const daemon = await publishing();
    const child = new Child(['events', 'worker.reg', '--endpoint', daemon.endpoint]);
    await untilPrinted(child, daemon);
    await rawWorker(daemon.endpoint, 'echo');
    await child.until(({ stdout }) => stdout.includes('service=echo'), 'the worker');
    child.signal('SIGTERM');
    const { status, stdout, stderr } = await child.finished();
    expect([status, stderr]).toEqual([0, '']);
    const [line = ''] = stdout.split('\n').filter((text) => text.includes('service=echo'));
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z  worker\.registered  service=echo  worker=\d+  credit=1$/,
    );
  });

  it('takes the endpoint, several topics and -o json; MAJORDOMO_URL may be the HTTP address', async () => {
    const daemon = await publishing();
    const topics = ['events', 'ha.', 'worker.registered', '-o', 'json'];
    const given = new Child([...topics, '--events', eventsOf(daemon)]);
    const learnt = new Child(topics, { environment: { MAJORDOMO_URL: httpOf(daemon) } });
    for (const child of [given, learnt]) {
      await untilPrinted(child, daemon);
      const [line = ''] = child.stdout.split('\n');
      const event = JSON.parse(line) as Record<string, unknown>;
      expect(Object.keys(event).slice(0, 2)).toEqual(['time', 'event']);
      expect(event).toMatchObject({ event: 'worker.registered', workerName: null });
      child.signal('SIGINT');
      expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
    }
  });

  it('ends with 0 and no message when its reader goes away', async () => {
    const endpoint = await flood();
    const line = `majordomo events --events ${endpoint} | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await shell(line);
    expect(stdout).toMatch(/^\S+ {2}worker\.lost {2}index=\d+\n0\n$/);
    expect(stderr).toBe('');
  });

  it('ends with 75, and says how late it is, when its reader stands still', async () => {
    const endpoint = await flood();
    // The reader of the pipe reads nothing until the command has ended.
    const line =
      `{ majordomo events --events ${endpoint} --max-delay-ms 300; echo "$?" >&2; kill $!; } > ` +
      '>(exec sleep 120)';
    const { stderr } = await shell(line);
    expect(stderr).toMatch(/^majordomo: .* (\d+) ms.*\n75\n$/);
    expect(Number(/(\d+) ms/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(300);
  });

  it('a reader that stands still does not keep it from ending by a signal', async () => {
    const endpoint = await flood();
    const child = new Child(['events', '--events', endpoint]);
    child.process.stdout.pause();
    await new Promise((resolve) => child.process.stdout.once('readable', resolve));
    child.signal('SIGTERM');
    const { status } = await child.finished();
    expect(status).toBe(0);
  });

  it('says that the connection is lost, and that it is back', async () => {
    const daemon = await publishing();
    const { endpoint, dataDir } = daemon;
    const events = eventsOf(daemon);
    const child = new Child(['events', 'worker.', '--endpoint', endpoint]);
    await untilPrinted(child, daemon);
    await daemon.kill();
    await child.until(({ stderr }) => stderr.includes('lost'), 'the loss');
    const sets = [`events.listen=${events}`, PATIENT, 'http.listen=127.0.0.1:0'];
    const again = await startDaemon({ endpoint, dataDir, sets });
    await child.until(({ stderr }) => stderr.includes('again'), 'the connection');
    expect(child.stderr).toBe(
      `majordomo: lost the connection to ${events}; events are missed until it is back\n` +
        `majordomo: connected to ${events} again\n`,
    );
    await until(async () => (await subscribers(again)) === 1, 'its subscription');
    child.signal('SIGTERM');
    expect((await child.finished()).status).toBe(0);
  });

  it('ends with 69 where nobody publishes, with 64 for what is no endpoint', async () => {
    const { status, stderr } = await run([
      ...['events', '--events', 'tcp://127.0.0.1:1', '--timeout-ms', '200'],
    ]);
    expect(status).toBe(69);
    expect(stderr).toContain(
      'no publisher accepted a connection at tcp://127.0.0.1:1 within 200 ms: connection refused (if',
    );
    expect(await run(['events', '--events', 'nowhere'])).toMatchObject({ status: 64 });
  });

  it('ends with 1 where something else is published', async () => {
    const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });
    open.push(() => publisher.close({ graceMs: 0 }));
    const [endpoint = ''] = await publisher.open();
    const child = new Child(['events', '--events', endpoint]);
    await until(() => publisher.hasSubscribers('x'), 'its subscription');
    publisher.publish('price.gold', '2401.5');
    expect(await child.finished()).toMatchObject({
      status: 1,
      stderr: 'majordomo: what is published there are no events\n',
    });
  });
});
