/**
 * A broker with a well-behaved client and worker beside whom others misbehave. `end` checks what
 * holds whatever was done to it: both were served throughout, the log stayed calm, and it ends with 0.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { type Program, python } from '../interop/support/program.js';
import { type Daemon, type LogLine, startDaemon } from '../support/daemon.js';
import { SCRATCH } from '../support/scratch.js';
import { until } from '../support/until.js';

/** A service that only the well-behaved client and worker use. */
const SERVICE = 'steady';
/** What counts as being served. */
const ANSWERS = 20;
interface Weighing extends Pick<NodeJS.MemoryUsage, 'rss' | 'heapTotal' | 'heapUsed'> {
  readonly count: number;
}

/** In the daemon: SIGUSR2 has it collect its garbage and write down how much memory it has. */
function weighs(file: string): string[] {
  const script = `import { renameSync, writeFileSync } from 'node:fs';
    const file = ${JSON.stringify(file)};
    let count = 0;
    process.on('SIGUSR2', () => {
      gc();
      writeFileSync(file + '.new', JSON.stringify({ count: ++count, ...process.memoryUsage() }));
      renameSync(file + '.new', file);
    });`;
  return ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(script)}`];
}

const NONE: Weighing = { count: 0, rss: 0, heapTotal: 0, heapUsed: 0 };

function weighingIn(file: string): Weighing {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Weighing) : NONE;
}

const SLACK_BYTES = 32 * 1024 * 1024;

export class Siege {
  readonly daemon: Daemon;
  readonly #client: Program;
  readonly #memoryFile: string;
  #reports = 0;
  #weighings = 0;

  private constructor(daemon: Daemon, memoryFile: string) {
    this.daemon = daemon;
    this.#memoryFile = memoryFile;
    python('worker', daemon.endpoint, SERVICE);
    this.#client = python('steady_client', daemon.endpoint, SERVICE);
  }

  static async begin(...sets: string[]): Promise<Siege> {
    const file = join(mkdtempSync(join(SCRATCH, 'majordomo-siege-')), 'memory');
    const siege = new Siege(await startDaemon({ sets, nodeOptions: weighs(file) }), file);
    await siege.served();
    return siege;
  }

  get endpoint(): string {
    return this.daemon.endpoint;
  }

  /** Waits until the well-behaved client was answered several times more. */
  async served(): Promise<void> {
    const before = await this.#answered();
    await until(
      async () => (await this.#answered()) >= before + ANSWERS,
      'the well-behaved client is answered',
    );
  }

  /**
   * Memory that the process holds, in bytes. V8 keeps up to 128 MiB for what is young, however little of it
   * is used: that, and garbage, do not count.
   */
  async heldBytes(): Promise<number> {
    process.kill(this.daemon.pid, 'SIGUSR2');
    const wanted = ++this.#weighings;
    await until(() => weighingIn(this.#memoryFile).count >= wanted, 'the memory of the broker');
    const { rss, heapTotal, heapUsed } = weighingIn(this.#memoryFile);
    return rss - heapTotal + heapUsed;
  }

  /** It holds little more than before, now that nobody attacks it. */
  async bounded(beforeBytes: number): Promise<void> {
    const mostBytes = beforeBytes * 2 + SLACK_BYTES;
    let held = 0;
    await until(
      async () => (held = await this.heldBytes()) < mostBytes,
      () => `${held} bytes to become less than ${mostBytes}`,
    );
  }

  openDescriptors(): number {
    return readdirSync(`/proc/${this.daemon.pid}/fd`).length;
  }

  async end(): Promise<void> {
    await this.served();
    await this.#client.finished();
    expect(await this.daemon.stop()).toMatchObject({ status: 0, signal: null });
    expect(this.daemon.logged('broker.crashed')).toEqual([]);
    expectCalmLog(this.daemon.log);
    rmSync(dirname(this.#memoryFile), { recursive: true });
  }

  async #answered(): Promise<number> {
    this.#client.tell('report');
    const { answered } = await this.#client.waitFor('report', ++this.#reports);
    return Number(answered);
  }
}

/** At most one line a second for each kind of thing that a peer can provoke (contract §6). */
function expectCalmLog(log: readonly LogLine[]): void {
  const times = log.map((line) => Date.parse(String(line['time'])));
  const lifeSeconds = (Math.max(...times) - Math.min(...times)) / 1000;
  const kinds = new Map<string, number>();
  for (const line of log) {
    const { event = '' } = line;
    const kind = [event, line['kind'], line['reason'], line['service']].join(' ');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const loud = [...kinds].filter(([, count]) => count > lifeSeconds + 2);
  expect(loud).toEqual([]);
}
