/** The clients of `majordomo bench`, in a process of their own. */
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

import { EXIT } from '../../../core/exit.js';
import { type Calls, Requests } from './calls.js';
import { MapChanges } from './map-changes.js';
import {
  type LoadKind,
  type LoadPlan,
  type LoadResult,
  received,
  send,
  sendFailure,
} from './messages.js';
import { Receipts } from './receipts.js';

/** Nanoseconds: up to ten minutes, three digits. */
const HISTOGRAM = { lowest: 1, highest: 600e9, figures: 3 } as const;
/** How often the open loop checks which requests are due. */
const TICK_MS = 1;
/** How often it checks whether the last requests are answered. */
const LAST_MS = 10;
/** How long an interrupted run may take to close what it has stored. */
const CLOSING_MS_MAX = 10_000;

const CALLS: Readonly<Record<LoadKind, new (plan: LoadPlan) => Calls>> = {
  echo: Requests,
  fleet: Requests,
  durable: Receipts,
  map: MapChanges,
};

class Load {
  readonly #plan: LoadPlan;
  readonly #calls: Calls;
  readonly #latency: RecordableHistogram = createHistogram(HISTOGRAM);
  #next = 0;
  #outstanding = 0;
  #answers = 0;
  #measured = 0;
  #failed = 0;
  #isMeasuring = false;
  #isOver = false;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    this.#calls = new CALLS[plan.kind](plan);
  }

  async run(): Promise<void> {
    const { warmUpMs, measureMs, rate, outstanding } = this.#plan;
    await this.#calls.begin();
    if (rate > 0) this.#openLoop(performance.now(), rate);
    else for (let index = 0; index < outstanding; index++) void this.#closedLoop();
    const progress = setInterval(() => this.#sendProgress(), 1000);
    await unlessInterrupted(warmUpMs);
    this.#isMeasuring = true;
    const cpu = process.cpuUsage();
    const start = performance.now();
    await unlessInterrupted(measureMs);
    this.#isMeasuring = false;
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    clearInterval(progress);
    this.#isOver = true;
    const result = this.#result(seconds, (user + system) / 1e6);
    while (this.#outstanding > 0) await sleep(LAST_MS);
    await this.#calls.end();
    if (!interrupted.signal.aborted) send({ ...result, failed: this.#failed });
  }

  #result(seconds: number, cpuSeconds: number): LoadResult {
    return {
      kind: 'result',
      requests: this.#measured,
      failed: this.#failed,
      seconds,
      latencyUs: {
        p50: this.#latency.percentile(50) / 1000,
        p99: this.#latency.percentile(99) / 1000,
        'p99.9': this.#latency.percentile(99.9) / 1000,
        max: this.#latency.max / 1000,
      },
      cpuSeconds,
    };
  }

  /** Sends one request after the other: the next when the last is answered. */
  async #closedLoop(): Promise<void> {
    while (!this.#isOver) await this.#request(performance.now());
  }

  /**
   * Sends requests at planned times, whether or not earlier ones are answered. Latency counts from
   * the planned time, so a stall counts for all requests that were due during it (coordinated
   * omission).
   */
  #openLoop(start: number, rate: number): void {
    const intervalMs = 1000 / rate;
    let sent = 0;
    const timer = setInterval(() => {
      if (this.#isOver) clearInterval(timer);
      for (let due = start + sent * intervalMs; due <= performance.now();) {
        if (this.#isOver) return;
        void this.#request(due);
        due = start + ++sent * intervalMs;
      }
    }, TICK_MS);
  }

  async #request(since: number): Promise<void> {
    this.#outstanding++;
    try {
      await this.#calls.one(this.#next++);
      this.#answers++;
      if (this.#isMeasuring) {
        this.#measured++;
        this.#latency.record(Math.max(1, Math.round((performance.now() - since) * 1e6)));
      }
    } catch {
      // Of the last ones, nobody knows whether they would have been in time.
      if (this.#isMeasuring || this.#isOver) this.#failed++;
    } finally {
      this.#outstanding--;
    }
  }

  #sendProgress(): void {
    send({
      kind: 'progress',
      perSecond: this.#answers,
      outstanding: this.#outstanding,
    });
    this.#answers = 0;
  }
}

const interrupted = new AbortController();

/** The command forwards the first signal; a terminal sends it here, too. */
function closeOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      interrupted.abort();
      setTimeout(() => process.exit(EXIT.failed), CLOSING_MS_MAX).unref();
    });
  }
}

async function unlessInterrupted(ms: number): Promise<void> {
  await sleep(ms, undefined, interrupted).catch(() => undefined);
}

/** The command was killed: nobody waits for a result. */
function alone(): void {
  process.exit();
}

process.once('disconnect', alone);
void received()
  .then((plan) => {
    if (plan.kind === 'durable') closeOnSignal();
    return new Load(plan).run();
  })
  .catch((error: unknown) => {
    sendFailure(error);
    // The command may have been interrupted: then it says whether all is closed.
    process.exitCode = EXIT.failed;
  })
  .finally(() => process.off('disconnect', alone).disconnect());
