/** The processes that load the pair, the guests among them, and the receiver of webhooks: the checker hears of all. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { type Checker, type Executor, KINDS } from './checker.js';
import { isHooked, type News, type Stand } from './voice.js';

export const LOADS = ['clients', 'workers', 'programs'] as const;
export type Load = (typeof LOADS)[number];

const GUESTS_EVERY_MS = 4000;
const GUEST_STAYS_MS = 4000;
/** A broker finds out by then that a peer is gone that was stopped. */
const STOPPED_MS = 12_000;
/** How long what has begun may take to its end. */
const END_MS = 300_000;
/** The receiver fails this often, and is told again. */
const REFUSES = 0.05;

/** What a webhook says, as far as it is checked. */
interface Told {
  readonly data: { readonly uuid: string; readonly outcome: string; readonly acceptedAt: string };
}

export class Crew {
  readonly #checker: Checker;
  readonly #members = new Map<Load, ChildProcess>();
  readonly #guests = new Set<ChildProcess>();
  readonly #hooks: Server;
  #gapMs = 0;

  static async open(checker: Checker): Promise<Crew> {
    const hooks = createServer();
    hooks.listen(0, '127.0.0.1');
    await once(hooks, 'listening');
    return new Crew(checker, hooks);
  }

  private constructor(checker: Checker, hooks: Server) {
    this.#checker = checker;
    this.#hooks = hooks;
    hooks.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        const isTaken = Math.random() >= REFUSES;
        if (isTaken) this.#told(request.url ?? '', Buffer.concat(chunks).toString());
        response.writeHead(isTaken ? 204 : 503).end();
      });
    });
  }

  /** Where webhooks go. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#hooks.address() as AddressInfo).port}`;
  }

  /** The longest time without any reply to a plain request since the last call. */
  takeGap(): number {
    const gapMs = this.#gapMs;
    this.#gapMs = 0;
    return gapMs;
  }

  pidOf(load: Load): number {
    return this.#members.get(load)?.pid ?? 0;
  }

  start(stand: Stand): void {
    for (const load of LOADS) {
      const child = this.#fork(load, stand, { goneAt: Infinity });
      child.once('exit', (status) => {
        if (status !== null && status !== 0) {
          this.#checker.wrong(`the process of the ${load} ended with ${status}`);
        }
      });
      this.#members.set(load, child);
    }
  }

  /** Clients and workers that come for a few seconds and are killed, or stop first, until `isOver`. */
  async invite(stand: Stand, isOver: () => boolean): Promise<void> {
    for (let count = 0; !isOver(); count++) {
      const load = count % 2 === 0 ? 'workers' : 'clients';
      void this.#visit(load, { ...stand, isGuest: true }, count % 4 < 2);
      await pause(GUESTS_EVERY_MS * (0.5 + Math.random()));
    }
  }

  async #visit(load: Load, stand: Stand, isStopped: boolean): Promise<void> {
    const executor: Executor = { goneAt: Infinity };
    const child = this.#fork(load, stand, executor);
    this.#guests.add(child);
    await pause(GUEST_STAYS_MS * (0.5 + Math.random()));
    executor.goneAt = Date.now();
    if (isStopped) {
      child.kill('SIGSTOP');
      await pause(STOPPED_MS);
    }
    child.kill('SIGKILL');
    this.#guests.delete(child);
    this.#checker.count(`${load} that were killed`);
  }

  /** Has it end what it has begun. */
  async stop(load: Load): Promise<void> {
    const child = this.#members.get(load);
    if (child?.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.send('stop');
    const isLate = Symbol();
    if ((await Promise.race([ended, pause(END_MS, isLate, { ref: false })])) === isLate) {
      this.#checker.wrong(`the ${load} do not come to an end`);
    }
  }

  /** Ends everything that still runs. */
  async close(): Promise<void> {
    for (const child of [...this.#members.values(), ...this.#guests]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    this.#hooks.close();
    this.#hooks.closeAllConnections();
  }

  #fork(load: Load, stand: Stand, executor: Executor): ChildProcess {
    const script = join(import.meta.dirname, `${load}.js`);
    const child = fork(script, [JSON.stringify(stand)]);
    child.on('message', (news: News) => this.#hear(news, executor));
    return child;
  }

  #hear(news: News, executor: Executor): void {
    const checker = this.#checker;
    const { kind, stored = [], done = [], ran, counts = {}, wrong = [], silenceMs = 0 } = news;
    for (const number of stored) checker.stored(kind, number, isHooked(number));
    for (const number of done) checker.done(kind, number);
    if (ran !== undefined) checker.ran(kind, ran, executor, Date.now());
    for (const [name, count] of Object.entries(counts)) checker.count(name, count);
    for (const text of wrong) checker.wrong(text);
    this.#gapMs = Math.max(this.#gapMs, silenceMs);
  }

  /** The URL says which request it was, or which schedule's. */
  #told(path: string, body: string): void {
    const [, whose = '', digits = ''] = path.split('/');
    const kind = KINDS.find((each) => each === whose);
    const { data } = JSON.parse(body) as Told;
    if (kind !== undefined) this.#checker.told(kind, Number(digits), data.outcome);
    else this.#checker.came(Number(digits), data.uuid, Date.parse(data.acceptedAt));
  }
}
