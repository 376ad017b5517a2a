import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Supervisor, superviseBy } from '../../../src/node/io/supervisor.js';
import { SILENT } from '../../support/logs.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { itWithTool, PYTHON } from '../../support/tools.js';

/** Reads datagrams, as systemd does. One message a line, assignments separated by spaces. */
const RECEIVER = `
import socket, sys
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(" ".join(notify.recv(65536).decode().split("\\n")), flush=True)
`;

/** Has no descriptors left when it is to say that it is ready, and some when it stops. */
const SHORT_OF_DESCRIPTORS = `
import { closeSync, openSync } from 'node:fs';
import { superviseBy } from ${JSON.stringify(new URL('../../../src/node/io/supervisor.js', import.meta.url).href)};
import { SILENT } from ${JSON.stringify(new URL('../../support/logs.js', import.meta.url).href)};
const supervisor = superviseBy(process.env, SILENT);
const held = [];
try {
  for (;;) held.push(openSync('/dev/null'));
} catch {}
supervisor.ready({ loop: { afterNextTurn: () => undefined }, summary: () => 'short' });
await new Promise(setImmediate);
for (const each of held) closeSync(each);
supervisor.stopping();
`;

const listeners: ChildProcess[] = [];
const supervisors: Supervisor[] = [];

afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) supervisor.stopping();
  for (const listener of listeners.splice(0)) listener.kill('SIGKILL');
  await removeDaemons();
});

/** Lines that a process has printed; `waitFor` resolves when `test` is true of one. */
class Lines {
  all: string[] = [];
  #look: () => void = () => undefined;

  constructor(listener: ChildProcess) {
    let rest = '';
    listener.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      // With it, systemd-notify asks for a confirmation that its message was read.
      this.all.push(...lines.filter((line) => line !== 'BARRIER=1'));
      this.#look();
    });
  }

  waitFor(test: (line: string) => boolean, count = 1): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (this.all.filter(test).length >= count) resolve();
      };
      this.#look();
    });
  }

  /** The first assignments of all messages but the watchdog's. */
  get kinds(): string[] {
    return this.all
      .map((line) => line.split(' ')[0] ?? '')
      .filter((kind) => kind.endsWith('=1') && kind !== 'WATCHDOG=1');
  }
}

const says = (word: string) => (line: string) => line.startsWith(word);

async function listen(): Promise<{ readonly path: string; readonly lines: Lines }> {
  const path = join(temporaryDirectory(), 'notify');
  const listener = spawn(PYTHON, ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  listeners.push(listener);
  const lines = new Lines(listener);
  await lines.waitFor(says('bound'));
  return { path, lines };
}

function childrenOf({ pid }: Daemon): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

const TOOL = 'systemd-notify and python3';

describe('a daemon under systemd', () => {
  itWithTool(TOOL, 'reports READY, RELOADING and READY, STOPPING, in this order', async () => {
    const { path, lines } = await listen();
    const daemon = await startDaemon({ environment: { NOTIFY_SOCKET: path } });
    await lines.waitFor(says('READY=1 STATUS=workers: 0; requests: 0 waiting, 0 at workers'));
    daemon.signal('SIGHUP');
    await lines.waitFor(says('RELOADING=1 MONOTONIC_USEC='));
    await lines.waitFor(says('READY=1'), 2);
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    await lines.waitFor(says('STOPPING=1 STATUS=draining'));
    expect(lines.kinds).toEqual(['READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1']);
  });

  itWithTool(TOOL, 'feeds the watchdog as long as its loop turns', async () => {
    const { path, lines } = await listen();
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000' };
    const daemon = await startDaemon({ environment });
    await lines.waitFor(says('WATCHDOG=1 STATUS=workers: 0'), 3);
    await daemon.stop();
  });

  itWithTool(TOOL, 'restarts its notification helper when it dies, and says so', async () => {
    const { path, lines } = await listen();
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000' };
    const daemon = await startDaemon({ environment });
    await lines.waitFor(says('READY=1'));
    const [helper] = childrenOf(daemon);
    process.kill(helper ?? 0, 'SIGKILL');
    expect(await daemon.waitFor('supervisor.lost')).toMatchObject({ reason: 'sh: SIGKILL' });
    const before = lines.all.length;
    await lines.waitFor(says('WATCHDOG=1'), before + 1);
  });

  it('starts no helper if nobody is to be notified', async () => {
    const daemon = await startDaemon({ environment: { WATCHDOG_USEC: '100000' } });
    expect(childrenOf(daemon)).toEqual([]);
  });

  it('serves without systemd-notify, and says so', async () => {
    const directory = temporaryDirectory();
    const environment = { NOTIFY_SOCKET: join(directory, 'notify'), PATH: directory };
    const daemon = await startDaemon({ environment });
    const reason = 'systemd-notify is not installed';
    expect(await daemon.waitFor('supervisor.lost')).toMatchObject({ level: 'warn', reason });
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });
});

/** A `systemd-notify` that prints its arguments into a pipe that the test reads. */
function fakeNotify(): { readonly environment: Record<string, string>; readonly lines: Lines } {
  const directory = temporaryDirectory();
  const told = join(directory, 'told');
  const script = `#!/bin/sh\necho "$*" >> ${told}\n`;
  writeFileSync(join(directory, 'systemd-notify'), script, { mode: 0o755 });
  writeFileSync(told, '');
  const tail = spawn('tail', ['-f', '-n', '+1', told], { stdio: ['ignore', 'pipe', 'inherit'] });
  listeners.push(tail);
  const environment = {
    NOTIFY_SOCKET: 'unused',
    PATH: `${directory}:${process.env['PATH'] ?? ''}`,
  };
  return { environment, lines: new Lines(tail) };
}

function supervise(environment: Record<string, string>): Supervisor {
  const supervisor = superviseBy(environment, SILENT);
  supervisors.push(supervisor);
  return supervisor;
}

describe('the watchdog', () => {
  it('outlives a time without descriptors, and notifies systemd after it', async () => {
    const { path, lines } = await listen();
    const line = `ulimit -n 60 && exec "$0" --input-type=module --eval "$1"`;
    const child = spawn('/bin/sh', ['-c', line, process.execPath, SHORT_OF_DESCRIPTORS], {
      env: { ...process.env, NOTIFY_SOCKET: path },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await lines.waitFor(says('STOPPING=1'));
    expect(lines.kinds).toEqual(['STOPPING=1']);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  });

  it('does not feed the watchdog from a timer alone: a turn of the loop must have ended', async () => {
    const { environment, lines } = fakeNotify();
    const supervisor = supervise({ ...environment, WATCHDOG_USEC: '2000' });
    const turns: (() => void)[] = [];
    const asked = new Promise<void>((resolve) => {
      supervisor.ready({
        loop: {
          afterNextTurn: (then) => {
            if (turns.push(then) === 20) resolve();
          },
        },
        summary: () => 'busy',
      });
    });
    await asked;
    supervisor.reloaded();
    await lines.waitFor(says('READY=1'), 2);
    expect(lines.all.filter(says('WATCHDOG=1'))).toEqual([]);
    turns[0]?.();
    await lines.waitFor(says('WATCHDOG=1 STATUS=busy'));
  });

  it('does not feed the watchdog of another process', async () => {
    const { environment, lines } = fakeNotify();
    const supervisor = supervise({ ...environment, WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' });
    let turns = 0;
    supervisor.ready({ loop: { afterNextTurn: () => turns++ }, summary: () => '' });
    for (let message = 2; message < 10; message++) {
      supervisor.reloaded();
      await lines.waitFor(says('READY=1'), message);
    }
    expect(turns).toBe(0);
  });

  it('sends one line, whatever the text: it cannot contain another assignment', async () => {
    const { environment, lines } = fakeNotify();
    const summary = (): string => `a\tSTOPPING=1\nREADY=0 * ${'x'.repeat(300)}`;
    supervise(environment).ready({ loop: { afterNextTurn: () => undefined }, summary });
    await lines.waitFor(says('READY=1'));
    expect(lines.all).toHaveLength(1);
    expect(lines.all[0]).toMatch(/^READY=1 STATUS=a STOPPING=1 READY=0 \* x+$/);
    expect(lines.all[0]?.length).toBeLessThan(220);
  });
});
