import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { killAll, MAIN, run } from '../../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { PATIENCE_MS } from '../../support/patience.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

/** A daemon that stops has ended long before this many signals were sent. */
const SIGNALS_MAX = 5000;
/** A reader that stalls delays the end by a second; a busy machine has many lines left to format. */
const STALLED_MS_MAX = 60_000;

/** Far more lines of the log than a pipe takes. */
const REQUESTS = 2000;

/** For the cases that need any broker: with a data directory to create, and a configuration file. */
let shared: Daemon;
let above = '';
let file = '';
let ipc = '';
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const directory = temporaryDirectory();
  above = join(directory, 'above');
  file = join(directory, 'majordomo.yaml');
  writeFileSync(file, 'limits:\n  frames: 32\n');
  mkdirSync(join(directory, 'run'));
  chmodSync(join(directory, 'run'), 0o700);
  ipc = `ipc://${join(directory, 'run', 'mdp')}`;
  const endpoint = `[tcp://127.0.0.1:0, ${ipc}]`;
  const sets = ['node.name=left'];
  shared = await startDaemon({ endpoint, dataDir: join(above, 'data'), file, sets });
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await killAll(shared);
});

afterAll(removeDaemons);

function clientOf(endpoint: string): Client {
  const client = new Client({ endpoints: endpoint, timeoutMs: PATIENCE_MS });
  closing.push(() => client.close());
  return client;
}

/** A request that nobody answers until the worker is ended, so that a drain has something to wait for. */
async function keepBusy({ endpoint }: Daemon): Promise<() => Promise<void>> {
  const begun = new Promise<Worker>((resolve) => {
    const worker = new Worker({ endpoints: endpoint, service: 'slow' }, async ({ signal }) => {
      resolve(worker);
      await new Promise((abort) => signal.addEventListener('abort', abort));
      return 'too late';
    });
    closing.push(() => worker.close({ graceMs: 0 }));
    void worker.run();
  });
  const client = clientOf(endpoint);
  client.request('slow', '').catch(() => undefined);
  const worker = await begun;
  return async () => {
    await client.close();
    await worker.close({ graceMs: 0 });
  };
}

/** Its own description. */
async function status(daemon: Daemon): Promise<unknown> {
  const { stdout } = await run(['status', '-o', 'json', '--endpoint', daemon.endpoint]);
  return JSON.parse(stdout);
}

describe('majordomo serve', () => {
  it('prints its addresses and its node once clients are served (contract §6)', () => {
    expect(shared.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/);
    expect(shared.logged('broker.ready')[0]).toMatchObject({ level: 'info', node: 'left' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('drains at %s and exits with 0', async (signal) => {
    const daemon = await startDaemon();
    daemon.signal(signal);
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null });
    expect(daemon.log.map(({ event }) => event)).toEqual([
      'store.known',
      'titanic.recovered',
      'broker.ready',
      'broker.draining',
      'broker.stopped',
    ]);
  });

  it.each([
    { signal: 'SIGINT', expected: 130 },
    { signal: 'SIGTERM', expected: 143 },
  ] as const)('exits at once at a second signal: $expected', async ({ signal, expected }) => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=600000'] });
    await keepBusy(daemon);
    daemon.signal('SIGTERM');
    await daemon.waitFor('broker.draining');
    daemon.signal(signal);
    expect(await daemon.finished()).toMatchObject({ status: expected, signal: null });
    expect(daemon.logged('broker.stopped')).toEqual([]);
  });

  it('ends with 0 even if SIGHUP keeps coming after it has stopped', async () => {
    const daemon = await startDaemon();
    daemon.signal('SIGTERM');
    await daemon.waitFor('broker.stopped');
    for (let sent = 0; sent < SIGNALS_MAX && !daemon.ended; sent++) {
      daemon.signal('SIGHUP');
      await new Promise(setImmediate);
    }
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null });
    expect(daemon.logged('config.reloaded')).toEqual([]);
  });

  it('does not reread its configuration while it drains', async () => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=600000'] });
    const endBusy = await keepBusy(daemon);
    daemon.signal('SIGHUP');
    await daemon.waitFor('config.reloaded');
    daemon.signal('SIGTERM');
    await daemon.waitFor('broker.draining');
    for (let sent = 0; sent < 10; sent++) daemon.signal('SIGHUP');
    await endBusy();
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null });
    expect(daemon.logged('config.reloaded')).toHaveLength(1);
  });

  it('logs one line per event for people, with fields only at level debug', async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const brief = new Daemon({ endpoint: `tcp://127.0.0.1:${first}`, sets: ['log.format=pretty'] });
    const full = new Daemon({
      endpoint: `tcp://127.0.0.1:${second}`,
      sets: ['log.format=pretty', 'log.level=debug'],
    });
    for (const daemon of [brief, full]) {
      await daemon.until(({ stdout }) => stdout.includes('listening on'), 'its first words');
      daemon.signal('SIGTERM');
      await daemon.exited;
      for (const line of daemon.stdout.trimEnd().split('\n')) {
        expect(line).toMatch(/^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] [A-Z]+: \S/);
      }
    }
    expect(brief.stdout).toMatch(/listening on tcp:\S+\n/);
    expect(full.stdout).toMatch(/listening on tcp:\S+ \{"endpoint.*\}\n/);
  });

  it.each(['json', 'pretty'])('ends with 0 even if nobody reads its log (%s)', async (format) => {
    const [port = 0] = await freePorts(1);
    const endpoint = `tcp://127.0.0.1:${port}`;
    const daemon = new Daemon({ endpoint, sets: ['log.level=debug', `log.format=${format}`] });
    await daemon.until(({ stdout }) => stdout.includes('listening on'), 'its first words');
    const { stdout } = daemon.process;
    stdout.pause();
    try {
      const worker = new Worker({ endpoints: endpoint, service: 'echo' }, ({ frames }) => frames);
      closing.push(() => worker.close({ graceMs: 0 }));
      void worker.run();
      const client = clientOf(endpoint);
      const asked = Array.from({ length: REQUESTS }, () => client.request('echo', 'x'));
      await Promise.all(asked);
      const ended = once(daemon.process, 'exit', { signal: AbortSignal.timeout(STALLED_MS_MAX) });
      daemon.signal('SIGTERM');
      expect(await ended).toEqual([0, null]);
    } finally {
      stdout.resume();
    }
  });

  itWithTool(
    'script and stty',
    'suggests three commands on a terminal, and only there',
    async () => {
      expect(shared.stderr).toBe('');
      const sets = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=off', 'titanic.enabled=false'];
      const options = [...sets, `node.dataDir=${temporaryDirectory()}`].map(
        (set) => `--set ${set}`,
      );
      const line = `exec ${process.execPath} ${MAIN} serve ${options.join(' ')}`;
      const terminal = spawn('script', ['-qefc', line, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      const said: string[] = [];
      let isTold = false;
      for await (const chunk of terminal.stdout) {
        said.push(String(chunk));
        if (isTold || !said.join('').includes('request upper hello --endpoint')) continue;
        // As Ctrl-C does.
        terminal.stdin.write('\x03');
        isTold = true;
      }
      expect(said.join('')).toContain('Majordomo listens on tcp://127.0.0.1:');
    },
  );

  it('refuses a data directory that another one uses, with 69', async () => {
    const second = new Daemon({ dataDir: shared.dataDir });
    const ended = await second.finished();
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain(shared.dataDir);
    expect(ended.stderr).toContain(`in use by process ${shared.pid} on `);
    expect(second.logged('broker.failed')[0]).toMatchObject({ code: 'ERR_DATA_DIR_IN_USE' });
  });

  it.each(['info', 'silent'])(
    'says once why it does not start where log and errors go to one place, at log.level %s',
    (level) => {
      const sets = [`node.dataDir=${shared.dataDir}`, `log.level=${level}`, 'log.format=pretty'];
      const line = ['serve', ...sets.flatMap((set) => ['--set', set])].join(' ');
      const args = ['-c', `exec ${process.execPath} ${MAIN} ${line} 2>&1`];
      const { status, stdout } = spawnSync('sh', args, { encoding: 'utf8' });
      expect(status).toBe(69);
      expect(stdout.match(/in use by/g)).toHaveLength(1);
    },
  );

  it('refuses a port that another program uses, with 69, and leaves nothing open', async () => {
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const address = stranger.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const taken = `tcp://127.0.0.1:${port}`;
    const ended = await new Daemon({ endpoint: `[tcp://127.0.0.1:0, ${taken}]` }).finished();
    stranger.close();
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain(`cannot listen on broker.listen ${taken}: another process`);
  });

  it('ends with 74 for an unusable data directory', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const ended = await new Daemon({ dataDir: join(file, 'data') }).finished();
    expect(ended.status).toBe(74);
    expect(ended.stderr).toContain('node.dataDir');
  });

  it('ends with 74 if the file system cannot create directories', async () => {
    const ended = await new Daemon({ dataDir: '/proc/majordomo/data' }).finished();
    expect(ended.status).toBe(74);
    expect(ended.stderr).toContain('node.dataDir /proc/majordomo/data');
  });

  it('creates a data directory and its missing parents, for its own user only', () => {
    const modes = [above, join(above, 'data')].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700]);
  });

  it('applies changes at SIGHUP, says which need a restart, and keeps what it has if they are wrong', async () => {
    const daemon = shared;
    // Once it answers, it also handles signals.
    expect(await status(daemon)).toMatchObject({ limits: { frames: 32 } });
    writeFileSync(file, 'limits:\n  frames: 64\nbroker:\n  maxDeliveries: 5\n');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded')).toMatchObject({
      applied: [{ key: 'limits.frames', from: 32, to: 64 }],
      needRestart: [{ key: 'broker.maxDeliveries', from: 3, to: 5 }],
    });
    expect(await status(daemon)).toMatchObject({ limits: { frames: 64 } });
    writeFileSync(file, 'limits:\n  frames: lots\n');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.refused')).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect(await status(daemon)).toMatchObject({ limits: { frames: 64 } });
  });

  it('applies nothing at SIGHUP if a new value contradicts one that stays until a restart', async () => {
    const written = join(temporaryDirectory(), 'map.yaml');
    writeFileSync(written, 'map: {listen: tcp://127.0.0.1:0}\n');
    const daemon = await startDaemon({ file: written });
    writeFileSync(written, 'limits: {memoryBytes: 64MiB, mapBytes: 128MiB, frames: 64}\n');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.refused')).toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      msg: expect.stringContaining(
        'map.listen as before, until a restart: limits.mapBytes: 128MiB',
      ),
    });
    expect(await status(daemon)).toMatchObject({ limits: { frames: 256 } });
    await daemon.stop();
  });

  itWithTool(
    'script and stty',
    'reloads at SIGHUP on a terminal, and drains when the terminal is closed',
    async () => {
      const written = join(temporaryDirectory(), 'log');
      const line = [process.execPath, MAIN, 'serve', '--set', 'http.listen=off'];
      const own = `node.dataDir=${join(temporaryDirectory(), 'data')}`;
      for (const set of ['broker.listen=tcp://127.0.0.1:0', 'log.format=json', own]) {
        line.push('--set', set);
      }
      // (Of util-linux. It has the terminal, and so closes it by its end.)
      const command = `echo pid $$; exec ${line.join(' ')} > ${written}`;
      const terminal = spawn('script', ['--quiet', '--command', command, '/dev/null']);
      let shown = '';
      terminal.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
      const log = (): string => (existsSync(written) ? readFileSync(written, 'utf8') : '');
      try {
        await until(() => log().includes('broker.ready'), 'broker.ready');
        const pid = Number(/pid (\d+)/.exec(shown)?.[1]);
        process.kill(pid, 'SIGHUP');
        await until(() => log().includes('config.reloaded'), 'config.reloaded');
      } finally {
        terminal.kill('SIGKILL');
      }
      await until(() => log().includes('broker.stopped'), 'broker.stopped');
    },
  );

  it('reads the environment, but takes --set first; it keeps running when nobody reads its log', async () => {
    const daemon = await startDaemon({
      environment: { MAJORDOMO_NODE__NAME: 'env', MAJORDOMO_LIMITS__FRAMES: '32' },
      sets: ['node.name=set'],
    });
    daemon.process.stdout.destroy();
    daemon.process.stderr.destroy();
    daemon.signal('SIGHUP');
    expect(await status(daemon)).toMatchObject({
      ...{ state: 'active', node: 'set', limits: { frames: 32 } },
    });
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });
});
