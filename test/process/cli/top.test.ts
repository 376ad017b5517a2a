import { spawn } from 'node:child_process';
import { once } from 'node:events';

import type { Service } from '../../../src/admin/api/node-answers.js';
import type { Page } from '../../../src/admin/api/words.js';
import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { MAIN, run } from '../../support/child.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { itWithTool } from '../../support/tools.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { cleanUp, rawWorker } from '../broker/support.js';

afterEach(cleanUp);

async function startWithWorker(...sets: string[]): Promise<Daemon> {
  // Its worker sends no heartbeats; it must not be expired, even on a busy machine.
  const patient = 'broker.heartbeatIntervalMs=60000';
  const daemon = await startDaemon({
    sets: ['http.listen=127.0.0.1:0', 'node.name=left', patient, ...sets],
  });
  await rawWorker(daemon.endpoint, 'echo');
  await daemon.waitFor('worker.registered');
  return daemon;
}

/** `top` in a terminal with this many columns; `input` of the process is what is typed. */
function topInTerminal(
  daemon: Daemon,
  columns: number,
  rows = 20,
  line = 'top --interval-ms 100',
): ReturnType<typeof spawn> {
  const command = `${process.execPath} ${MAIN} ${line} --admin ${httpOf(daemon)}`;
  const inTerminal = `stty cols ${columns} rows ${rows}; exec ${command}`;
  return spawn('script', ['-qefc', inTerminal, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
}

describe('majordomo top', () => {
  it('prints one screen without a terminal, and JSON once', async () => {
    const daemon = await startWithWorker();
    const at = ['--admin', httpOf(daemon)];
    const { status, stdout } = await run(['top', ...at]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^left standalone active, up \d+s, ready$/m);
    // IN/S and OUT/S are the node's own, which it knows after its first sample.
    expect(stdout).toMatch(/^echo +0 +0 +1 +- +- +(-|0\.0) +0\.0 +(-|0\.0)$/m);
    expect(stdout).not.toContain('\u001b');
    const json = JSON.parse((await run(['top', '-o', 'json', ...at])).stdout) as object;
    expect(json).toMatchObject({
      status: { node: 'left' },
      health: { health: 'ok' },
      services: [{ service: 'echo', workersWaiting: 1 }],
    });
  });

  it('of one service shows its workers, and with the token their addresses (D67)', async () => {
    const daemon = await startWithWorker();
    const peer = await rawWorker(daemon.endpoint, 'other');
    await daemon.waitFor('worker.registered', 2);
    const named = new RawPeer(daemon.endpoint);
    await named.send('MDPW02', '\x01', 'echo', '3', '{"name":"vm<1>"}');
    await daemon.waitFor('worker.registered', 3);
    const at = ['top', 'echo', '--admin', httpOf(daemon)];
    const { status, stdout } = await run(at);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^echo +0 +0 +4 /m);
    expect(stdout).toMatch(/^vm<1> +waiting +0 +\d+s +- +3$/m);
    expect(stdout).not.toContain('other');
    const withToken = [...at, '--token', tokenOf(daemon), '-o', 'json'];
    expect(JSON.parse((await run(withToken)).stdout)).toMatchObject({
      services: [{ service: 'echo', workersWaiting: 2 }],
      workers: [
        { name: null, address: '127.0.0.1' },
        { name: 'vm<1>', address: '127.0.0.1' },
      ],
    });
    peer.close();
    named.close();
  });

  it('shows rates of services without a label in the metrics, of which bench takes none', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0', 'metrics.services=2'] });
    const { endpoint } = daemon;
    const bench = await run(['bench', '--endpoint', endpoint, '--seconds', '1']);
    expect(bench.status).toBe(0);
    await using stack = new AsyncDisposableStack();
    const client = stack.use(new Client(endpoint));
    for (const service of ['one', 'two', 'three']) {
      const worker = stack.use(
        new Worker({ endpoints: endpoint, service }, ({ frames }) => frames),
      );
      void worker.run();
      // Replied to once the worker is registered.
      await client.request(service, 'hi');
    }
    const over = new AbortController();
    const requests = (async () => {
      while (!over.signal.aborted) await client.request('three', 'hi');
    })();
    stack.defer(async () => {
      over.abort();
      await requests;
    });
    const http = httpOf(daemon);
    const { text } = await ask(`${http}/metrics`);
    const labels = text.matchAll(/^majordomo_requests_received_total\{service="(.*)"\}/gm);
    expect([...labels].map(([, service]) => service)).toEqual(['__other__', 'one', 'two']);
    let rate = 0;
    while (rate === 0) {
      const { json } = await ask(`${http}/api/v1/services?service=three`);
      rate = (json as Page<Service>).items[0]?.plain?.repliesPerSecond ?? 0;
    }
    const { stdout } = await run(['top', '--admin', http]);
    expect(stdout).toMatch(/^three +\d+ +\d+ +\d+ +- +- +(?!0\.0)[\d.]+ +0\.0 +(?!0\.0)[\d.]+$/m);
    const history = await ask(`${http}/api/v1/services/history?service=three`);
    expect(history.json).toMatchObject({ kept: false, samples: [] });
  });

  itWithTool('script and stty', 'draws anew until q, and gives the terminal back', async () => {
    const daemon = await startWithWorker();
    const top = topInTerminal(daemon, 30);
    let seen = '';
    const drawnTwice = new Promise<void>((resolve) => {
      top.stdout?.on('data', (chunk: Buffer) => {
        seen += chunk.toString('utf8');
        if (seen.split('SERVICE').length > 3) resolve();
      });
    });
    await drawnTwice;
    top.stdin?.write('q');
    await once(top, 'close');
    expect(top.exitCode).toBe(0);
    expect(seen.startsWith('\u001b[?1049h')).toBe(true);
    expect(seen.trimEnd().endsWith('\u001b[?1049l')).toBe(true);

    const lines = seen.replaceAll(/\u001b\[[?\d]*[A-Za-z]/g, '').split(/\r*\n/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60);
  });

  itWithTool('script and stty', '-o wide stays live, with all columns in more lines', async () => {
    const daemon = await startWithWorker();
    for (const line of ['top --interval-ms 100 -o wide', 'services --watch -o wide']) {
      const shown = topInTerminal(daemon, 30, 20, line);
      let seen = '';
      await new Promise<void>((resolve) => {
        shown.stdout?.on('data', (chunk: Buffer) => {
          seen += chunk.toString('utf8');
          if (seen.split('SERVICE').length > 3) resolve();
        });
      });
      shown.stdin?.write('q');
      await once(shown, 'close');
      const [, last = ''] = seen.split('\u001b[H').slice(-2);
      const lines = last.replaceAll(/\u001b\[[?\d]*[A-Za-z]/g, '').split(/\r*\n/);
      expect(Math.max(...lines.map(({ length }) => length))).toBe(30);
      const finite = line.split(' ').filter((each) => each !== '--watch');
      const { stdout } = await run([...finite, '--admin', httpOf(daemon)]);
      // Those that fill the width go on in the next one.
      const whole = lines.map((each) => (each.length === 30 ? each : `${each}\n`)).join('');
      const heads = /^SERVICE.*\n/m.exec(stdout)?.[0] ?? 'none';
      expect(whole).toContain(heads);
    }
  });

  itWithTool('script and stty', 'draws 80 by 24 in a terminal that says 0 by 0', async () => {
    const daemon = await startWithWorker();
    const top = topInTerminal(daemon, 0, 0);
    let seen = '';
    await new Promise<void>((resolve) => {
      top.stdout?.on('data', (chunk: Buffer) => {
        seen += chunk.toString('utf8');
        if (seen.includes('\u001b[Kecho ')) resolve();
      });
    });
    top.stdin?.write('q');
    await once(top, 'close');
    expect(seen).toContain('left standalone active');
  });

  itWithTool('script and stty', 'waits for a daemon that goes away', async () => {
    const [port = 0] = await freePorts(1);
    const daemon = await startWithWorker(`http.listen=127.0.0.1:${port}`);
    const top = topInTerminal(daemon, 80);
    let seen = '';
    const until = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (chunk: Buffer): void => {
          seen += chunk.toString('utf8');
          if (seen.includes(text)) resolve();
        };
        top.stdout?.on('data', look);
      });
    await until('left standalone active');
    await daemon.kill();
    await until('cannot be reached: connection refused');
    const at = new URL(httpOf(daemon)).host;
    const again = await startDaemon({ sets: [`http.listen=${at}`, 'node.name=right'] });
    await until('right standalone active');
    top.stdin?.write('q');
    await once(top, 'close');
    expect(top.exitCode).toBe(0);
    await again.stop();
  });
});
