/**
 * A worker that hands its requests on to one server. It is registered while the server is there: it leaves before
 * what the server lost goes back, so that this goes to another worker, and registers again once the server is back.
 */
import { setTimeout as pause } from 'node:timers/promises';

import type { Handler, Worker } from '../../../sdk/worker.js';
import type { InnerContext } from '../../../sdk/worker/handler.js';
import { DAY_MS } from '../../common/options.js';
import type { Outcome, Server } from './server.js';

/** The pause after a request that took too long, doubled with each in a row: only a request can tell more. */
const PAUSE_MS_MIN = 1000;
const PAUSE_MS_MAX = 30_000;
/** How long its worker may take to leave: as long as what it is doing. */
const LEAVE_MS = DAY_MS;
/** How long the next worker waits for one that has answers for a lost broker; they are sent all the same. */
const UNSENT_MS = 2000;

export interface BridgeOptions {
  /** @param lost called when a connection to the server is lost while no request tells of it */
  readonly openServer: (lost: (why: string) => void) => Promise<Server>;
  /** A worker that has not begun. */
  readonly newWorker: (handler: Handler) => Worker;
  /** The server is away, or was asked for a pause. Once, until it is there again. */
  readonly away: (why: string) => void;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #closing = new AbortController();
  #worker: Worker | null = null;
  /** The end of each worker that has not ended; the older ones have answers for a broker that is lost. */
  readonly #runs = new Map<Worker, Promise<void>>();
  /** The number of requests of the present worker that have not ended. */
  #asked = 0;
  /** The present worker takes no more requests. */
  #isLeaving = false;
  /** Ends the wait for the present worker. */
  #left: (() => void) | null = null;
  #server: Server | null = null;
  #isAwayTold = false;
  #pauseMs = 0;
  /** Registrations in a row in which the server lost a request, answered none in time, or was busy. */
  #vain = 0;

  constructor(options: BridgeOptions) {
    this.#options = options;
  }

  /** The number of requests that are at the server. */
  get running(): number {
    return [...this.#runs.keys()].reduce((sum, { running }) => sum + running, 0);
  }

  /** Serves until `close()`. */
  async run(): Promise<void> {
    const { signal } = this.#closing;
    const server = await this.#options.openServer((why) => this.#leave(why));
    this.#server = server;
    try {
      while (!signal.aborted) await this.#serveOnce(server, signal);
      await Promise.all(this.#runs.values());
    } finally {
      server.close();
    }
  }

  /** Serves until the server is away. */
  async #serveOnce(server: Server, signal: AbortSignal): Promise<void> {
    await pause(this.#pauseMs, undefined, { signal }).catch(() => undefined);
    this.#pauseMs = 0;
    if (!signal.aborted) await server.ready(signal, (why) => this.#tell(why));
    if (signal.aborted) return;
    this.#isAwayTold = false;
    const left = Promise.withResolvers<undefined>();
    this.#left = () => left.resolve(undefined);
    this.#isLeaving = false;
    const worker = this.#options.newWorker(async (request, context) => {
      this.#asked++;
      try {
        // The worker makes no other context.
        return await this.#handle(server, request.frames, context as InnerContext);
      } finally {
        this.#asked--;
        this.#lookLeft();
      }
    });
    this.#worker = worker;
    const run = worker.run().finally(() => this.#runs.delete(worker));
    this.#runs.set(worker, run);
    await Promise.race([run, left.promise]);
  }

  /** A broker that is lost for good must not keep the server from the others. */
  #lookLeft(): void {
    if (!this.#isLeaving || this.#asked > 0 || this.#left === null) return;
    setTimeout(this.#left, UNSENT_MS).unref();
  }

  async #handle(
    server: Server,
    frames: readonly Buffer[],
    context: InnerContext,
  ): Promise<readonly Buffer[]> {
    const { signal, task, session } = context;
    const { headers, deadlineMs } = task.request;
    const replyBytesMax = session.messageBytesMax;
    const outcome: Outcome = signal.aborted
      ? { kind: 'unwanted' }
      : await server.ask({ frames, headers, deadlineMs, replyBytesMax, signal });
    switch (outcome.kind) {
      case 'reply':
        this.#vain = 0;
        return outcome.frames;
      case 'failed': {
        const { error, pauseMs } = outcome;
        if (pauseMs === null) this.#vain = 0;
        else this.#leave(`${error.serviceCode} ${error.message}`, this.#nextPauseMs(pauseMs));
        throw error;
      }
      case 'lost': {
        const { why, wasWritten, isSilent } = outcome;
        // A connection proves little: a proxy takes it for a server that is away. So only the first loss in a row is
        // without a pause.
        this.#leave(why, this.#nextPauseMs(0, isSilent ? PAUSE_MS_MIN : 0));
        context.giveBack(why, wasWritten);
        throw new Error(why);
      }
      case 'unwanted':
        throw new Error('nobody waits for it');
    }
  }

  /** What runs at the same time counts once. */
  #nextPauseMs(askedMs: number, firstMs = PAUSE_MS_MIN): number {
    if (!this.#isLeaving) this.#vain++;
    const laterMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** (this.#vain - 1));
    return Math.max(askedMs, this.#vain > 1 ? laterMs : firstMs);
  }

  /** Takes no more requests until the server is there again. */
  #leave(why: string, pauseMs = 0): void {
    if (this.#closing.signal.aborted) return;
    this.#pauseMs = Math.max(this.#pauseMs, pauseMs);
    this.#tell(why, pauseMs);
    this.#isLeaving = true;
    void this.#worker?.close({ graceMs: LEAVE_MS });
    this.#lookLeft();
  }

  #tell(why: string, pauseMs = 0): void {
    if (this.#isAwayTold) return;
    this.#isAwayTold = true;
    const then = pauseMs > 0 ? `no requests for ${Math.ceil(pauseMs / 1000)} s` : 'waiting for it';
    this.#options.away(`${why}; ${then}`);
  }

  /** Drains: what is at the server has `graceMs` to be answered. */
  close(graceMs: number): void {
    this.#closing.abort();
    for (const worker of this.#runs.keys()) void worker.close({ graceMs });
    setTimeout(() => this.#server?.close(), graceMs).unref();
  }
}
