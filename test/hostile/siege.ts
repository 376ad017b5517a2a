/**
 * A broker with a well-behaved client and worker beside whom others misbehave. `end` checks what
 * holds whatever was done to it: both were served throughout, the log stayed calm, and it ends with 0.
 */
import { readdirSync, readFileSync } from 'node:fs';

import { expect } from '@jest/globals';

import { type Program, python } from '../interop/support/program.js';
import { type Daemon, type LogLine, startDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

/** A service that only the well-behaved client and worker use. */
const SERVICE = 'steady';
/** What counts as being served. */
const ANSWERS = 20;
/** The daemon collects its garbage when it is told to. */
const COLLECTS = [
  '--expose-gc',
  '--import',
  "data:text/javascript,process.on('SIGUSR2', () => gc())",
];
const SLACK_BYTES = 32 * 1024 * 1024;

export class Siege {
  readonly daemon: Daemon;
  readonly #client: Program;
  #reports = 0;

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
    python('worker', daemon.endpoint, SERVICE);
    this.#client = python('steady_client', daemon.endpoint, SERVICE);
  }

  static async begin(...sets: string[]): Promise<Siege> {
    const siege = new Siege(await startDaemon({ sets, nodeOptions: COLLECTS }));
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

  /** Memory of the process, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.daemon.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Memory may grow by garbage, of which the broker lets much lie, but not by what is kept. */
  async bounded(beforeBytes: number, times = 2): Promise<void> {
    const mostBytes = beforeBytes * times + SLACK_BYTES;
    await until(
      () => {
        if (this.residentBytes() < mostBytes) return true;
        process.kill(this.daemon.pid, 'SIGUSR2');
        return false;
      },
      () => `${this.residentBytes()} bytes to become less than ${mostBytes}`,
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
