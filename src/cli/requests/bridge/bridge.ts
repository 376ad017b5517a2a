/**
 * A worker that hands its requests on to one server. It is registered while the server is there: it leaves before
 * what the server lost goes back, so that this goes to another worker, and registers again once the server is back,
 * for the places that are free: what was at the server when it left may take as long as it likes.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { monotonicMs } from '../../../core/clock.js';
import { LINK_LIMITS } from '../../../sdk/dials.js';
import type { Handler, Worker } from '../../../sdk/worker.js';
import type { InnerContext } from '../../../sdk/worker/handler.js';
import { DAY_MS } from '../../common/options.js';
import type { Outcome, Server } from './server.js';

/** The pause after a request that took too long, doubled with each in a row: only a request can tell more. */
const PAUSE_MS_MIN = 1000;
const PAUSE_MS_MAX = 30_000;
/** How long a worker may take to leave: as long as what it is doing. */
const LEAVE_MS = DAY_MS;

export interface BridgeOptions {
  /** The number of requests that the server takes at once. */
  readonly concurrency: number;
  /** @param lost called when a connection to the server is lost while no request tells of it */
  readonly openServer: (lost: (why: string) => void) => Promise<Server>;
  /**
   * A worker that has not begun.
   * @param isFurther it joins one that is registered
   */
  readonly newWorker: (handler: Handler, concurrency: number, isFurther: boolean) => Worker;
  /** The server is away, or was asked for a pause. Once, until it is there again. */
  readonly away: (why: string) => void;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #closing = new AbortController();
  /** The end of each worker that has not ended; those that leave have requests, or answers for a broker that is lost. */
  readonly #runs = new Map<Worker, Promise<void>>();
  /** The workers that take requests. */
  #present: Worker[] = [];
  /** How many requests these take at once. */
  #places = 0;
  /** How many they have. */
  #asked = 0;
  /** How many those have that leave. */
  #older = 0;
  /** How often it has left. */
  #departures = 0;
  /** Ends the time in which it is registered; `null`: it is not. */
  #end: PromiseWithResolvers<undefined> | null = null;
  #server: Server | null = null;
  #isAwayTold = false;
  #pausedUntilMs = 0;
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
      while (!signal.aborted) {
        const leftMs = this.#pausedUntilMs - monotonicMs();
        if (leftMs > 0) await pause(leftMs, undefined, { signal }).catch(() => undefined);
        else await this.#serveOnce(server, signal);
      }
      await Promise.all(this.#runs.values());
    } finally {
      server.close();
    }
  }

  /** Serves until the server is away. */
  async #serveOnce(server: Server, signal: AbortSignal): Promise<void> {
    await server.ready(signal, (why) => this.#tell(why));
    // What was there before may have asked for a pause meanwhile.
    if (signal.aborted || this.#pausedUntilMs > monotonicMs()) return;
    this.#isAwayTold = false;
    this.#end = Promise.withResolvers<undefined>();
    this.#offerFree(server);
    await this.#end.promise;
  }

  /** Registers for the places that are free, but not for each that becomes free by itself. */
  #offerFree(server: Server): void {
    const free = this.#options.concurrency - this.#older - this.#places;
    const isTooFew = free < this.#places && this.#older > 0;
    if (this.#end === null || free <= 0 || isTooFew) return;
    const { length } = this.#present;
    const departures = this.#departures;
    const worker = this.#options.newWorker(
      async ({ frames }, context) => {
        this.#count(departures, 1);
        try {
          // The worker makes no other context.
          return await this.#handle(server, frames, context as InnerContext, departures);
        } finally {
          this.#count(departures, -1);
          this.#offerFree(server);
        }
      },
      free,
      length > 0,
    );
    this.#places += free;
    this.#present.push(worker);
    const run = worker.run().finally(() => this.#runs.delete(worker));
    run.catch((error: unknown) => this.#end?.reject(error));
    this.#runs.set(worker, run);
  }

  /** @param departures when their worker came */
  #count(departures: number, by: number): void {
    if (departures === this.#departures) this.#asked += by;
    else this.#older += by;
  }

  async #handle(
    server: Server,
    frames: readonly Buffer[],
    context: InnerContext,
    departures: number,
  ): Promise<readonly Buffer[]> {
    const { signal, task, session } = context;
    const { headers, deadlineMs } = task.request;
    // A broker may not say what it accepts.
    const replyBytesMax = Math.min(session.messageBytesMax, LINK_LIMITS.messageBytesMax);
    const outcome: Outcome = signal.aborted
      ? { kind: 'unwanted' }
      : await server.ask({ frames, headers, deadlineMs, replyBytesMax, signal });
    // What runs at the same time counts once.
    const isFirst = departures === this.#departures;
    switch (outcome.kind) {
      case 'reply':
        this.#vain = 0;
        return outcome.frames;
      case 'failed': {
        const { error, pauseMs } = outcome;
        if (pauseMs === null) {
          this.#vain = 0;
        } else {
          const why = `${error.serviceCode} ${error.message}`;
          this.#leave(why, this.#nextPauseMs(isFirst, pauseMs));
        }
        throw error;
      }
      case 'lost': {
        const { why, wasWritten, isSilent } = outcome;
        // A connection proves little: a proxy takes it for a server that is away. So only the first loss in a row is
        // without a pause.
        this.#leave(why, this.#nextPauseMs(isFirst, 0, isSilent ? PAUSE_MS_MIN : 0));
        context.giveBack(why, wasWritten);
        throw new Error(why);
      }
      case 'unwanted':
        throw new Error('nobody waits for it');
    }
  }

  #nextPauseMs(isFirst: boolean, askedMs: number, firstMs = PAUSE_MS_MIN): number {
    if (isFirst) this.#vain++;
    const laterMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** (this.#vain - 1));
    return Math.max(askedMs, this.#vain > 1 ? laterMs : firstMs);
  }

  /** Takes no more requests until the server is there again. */
  #leave(why: string, pauseMs = 0): void {
    if (this.#closing.signal.aborted) return;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, monotonicMs() + pauseMs);
    this.#tell(why, pauseMs);
    this.#departures++;
    this.#older += this.#asked;
    this.#asked = 0;
    this.#places = 0;
    for (const worker of this.#present.splice(0)) void worker.close({ graceMs: LEAVE_MS });
    this.#stopOffering();
  }

  #stopOffering(): void {
    this.#end?.resolve(undefined);
    this.#end = null;
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
    this.#stopOffering();
    for (const worker of this.#runs.keys()) void worker.close({ graceMs });
    setTimeout(() => this.#server?.close(), graceMs).unref();
  }
}
