/**
 * A broker with a well-behaved client and worker beside whom others misbehave. `end` checks what
 * holds whatever was done to it: both were served throughout, the log stayed calm, and it ends with 0.
 */
import { readdirSync, readFileSync } from 'node:fs';

import { expect } from '@jest/globals';

import { type Program, python } from '../interop/support/program.js';
import { RawPeer } from '../interop/support/raw-peer.js';
import { type Daemon, type LogLine, startDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

/** A service that only the well-behaved client and worker use. */
const SERVICE = 'steady';
/** What counts as being served. */
const ANSWERS = 20;
const LARGE = Buffer.alloc(256 * 1024, 'x');
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
    const siege = new Siege(await startDaemon({ sets }));
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

  /**
   * Memory may grow by garbage, but not by what is kept. V8 collects old garbage only when more of it is
   * made, so a broker with too much memory gets large requests.
   */
  async bounded(beforeBytes: number): Promise<void> {
    const mostBytes = beforeBytes * 2 + SLACK_BYTES;
    if (this.residentBytes() < mostBytes) return;
    const client = new RawPeer(this.endpoint);
    await until(
      async () => {
        for (let asked = 0; asked < 32; asked++) await client.ask('large', 'mmi.service', LARGE);
        return this.residentBytes() < mostBytes;
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
