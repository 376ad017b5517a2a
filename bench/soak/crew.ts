/** The processes that load the pair, the guests among them, and the receiver of webhooks: the checker hears of all. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { type Checker, type Executor, KINDS } from './checker.js';
import { ASKED_OPTIONS, isAnswer, liveOf } from './live.js';
import { isHooked, type News, type Stand } from './voice.js';

export const LOADS = ['clients', 'workers', 'programs'] as const;
export type Load = (typeof LOADS)[number];

const GUESTS_EVERY_MS = 4000;
const GUEST_STAYS_MS = 4000;
/** A broker finds out by then that a peer is gone that was stopped. */
const STOPPED_MS = 12_000;
/** A failover takes two to four seconds (docs/operating.md), and more on a busy machine. */
const GAP_MAX_MS = 10_000;
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
  /** All processes that run. */
  readonly #children = new Set<ChildProcess>();
  /** Those that were asked to end, or are killed. */
  readonly #asked = new WeakSet<ChildProcess>();
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
    // Guests that are stopped do not see that this process has ended.
    process.once('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL');
    });
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

  /** The longest time without any reply to a plain request since the last call; one that is too long is wrong. */
  takeGap(): number {
    const gapMs = this.#gapMs;
    this.#gapMs = 0;
    if (gapMs > GAP_MAX_MS) {
      this.#checker.wrong(`no reply to a plain request for ${(gapMs / 1000).toFixed(1)} s`);
    }
    return gapMs;
  }

  pidOf(load: Load): number {
    return this.#members.get(load)?.pid ?? 0;
  }

  async liveOf(load: Load): Promise<number | null> {
    const child = this.#members.get(load);
    return child?.connected === true ? await liveOf(child) : null;
  }

  start(stand: Stand): void {
    for (const load of LOADS) {
      this.#members.set(load, this.#fork(load, stand, { goneAt: Infinity }));
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
    await pause(GUEST_STAYS_MS * (0.5 + Math.random()));
    executor.goneAt = Date.now();
    if (isStopped) {
      child.kill('SIGSTOP');
      await pause(STOPPED_MS);
    }
    this.#kill(child);
    this.#checker.count(`${load} that were killed`);
  }

  /** Has it end what it has begun. */
  async stop(load: Load): Promise<void> {
    const child = this.#members.get(load);
    if (child === undefined || !this.#children.has(child)) return;
    const ended = once(child, 'exit');
    this.#asked.add(child);
    // One that has just ended cannot be told, and needs not be.
    child.send('stop', () => undefined);
    const isLate = Symbol();
    if ((await Promise.race([ended, pause(END_MS, isLate, { ref: false })])) === isLate) {
      this.#checker.wrong(`the ${load} do not come to an end`);
    }
  }

  /** Ends everything that still runs. */
  async close(): Promise<void> {
    for (const child of this.#children) {
      const ended = once(child, 'exit');
      this.#kill(child);
      await ended;
    }
    this.#hooks.close();
    this.#hooks.closeAllConnections();
  }

  #fork(load: Load, stand: Stand, executor: Executor): ChildProcess {
    const script = join(import.meta.dirname, `${load}.js`);
    const execArgv = [...process.execArgv, ...ASKED_OPTIONS];
    const child = fork(script, [JSON.stringify(stand)], { execArgv });
    this.#children.add(child);
    child.on('message', (news: News) => {
      if (!isAnswer(news)) this.#hear(news, executor, stand.isGuest);
    });
    child.once('exit', (status, signal) => {
      this.#children.delete(child);
      if (this.#asked.has(child) && (status === 0 || signal === 'SIGKILL')) return;
      const whose = stand.isGuest ? `a guest of the ${load}` : `the process of the ${load}`;
      this.#checker.wrong(`${whose} ended with ${signal ?? status}`);
    });
    return child;
  }

  #kill(child: ChildProcess): void {
    this.#asked.add(child);
    child.kill('SIGKILL');
  }

  #hear(news: News, executor: Executor, isGuest: boolean): void {
    const checker = this.#checker;
    const { kind, stored = [], done = [], ran, counts = {}, wrong = [], silenceMs = 0 } = news;
    for (const number of stored) checker.stored(kind, number, isHooked(number));
    for (const number of done) checker.done(kind, number, Date.now());
    if (ran !== undefined) checker.ran(kind, ran, executor, Date.now());
    for (const [name, count] of Object.entries(counts)) checker.count(name, count);
    for (const text of wrong) checker.wrong(text);
    // A guest may be stopped.
    if (!isGuest) this.#gapMs = Math.max(this.#gapMs, silenceMs);
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
