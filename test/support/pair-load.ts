/** The load on a pair during faults: stored and plain requests, and their outcome. */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client, type ClientOptions } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { Patience, PATIENCE_MS } from './patience.js';
import { until } from './until.js';
import { silent } from './silent.js';

const SERVICE = 'upper';
const STORED_LANES = 4;
const PLAIN_LANES = 2;
/** Pause of each lane between two requests: a steady load that leaves CPU time for others. */
const PAUSE_MS = 25;

export interface Sdk {
  readonly Client: typeof Client;
  readonly Worker: typeof Worker;
}

export class PairLoad {
  /** Uuid → the expected reply, of requests that were acknowledged and not closed. */
  readonly open = new Map<string, string>();
  readonly closed = new Set<string>();
  readonly errors: string[] = [];
  answered = 0;
  /** The longest time without any plain reply, in milliseconds. */
  silenceMs = 0;
  readonly #client: Client;
  readonly #worker: Worker;
  #lanes: Promise<void>[] = [];
  #isOver = false;
  #answeredAt = performance.now();

  /** @param sdk of another version */
  constructor(
    endpoints: readonly string[],
    options: Partial<ClientOptions> = {},
    sdk: Sdk = { Client, Worker },
  ) {
    this.#worker = new sdk.Worker(
      { endpoints, service: SERVICE, concurrency: 100, retryMaxMs: 500 },
      ({ frames }) => frames.map((frame) => upper(frame.toString())),
    );
    void silent(this.#worker).run();
    this.#client = new sdk.Client({ endpoints, timeoutMs: 77_500, ...options });
  }

  start(): void {
    this.#answeredAt = performance.now();
    for (let lane = 0; lane < STORED_LANES; lane++) this.#lanes.push(this.#store(lane));
    for (let lane = 0; lane < PLAIN_LANES; lane++) this.#lanes.push(this.#ask(lane));
  }

  /** Resolves once this many more requests of either kind were answered. */
  async progress(more = 40): Promise<void> {
    const enough = this.answered + this.closed.size + more;
    await until(
      () => this.answered + this.closed.size >= enough || this.errors.length > 0,
      `${more} more requests are answered`,
    );
  }

  /** Starts nothing new; resolves when all requests in progress are answered. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
    this.#lanes = [];
  }

  /** Checks every receipt: an open one has its own reply, and a closed one is unknown. */
  async check(): Promise<void> {
    for (const [uuid, reply] of this.open) {
      await this.#try(async () => {
        const text = (await this.#client.job(uuid).result({ timeoutMs: PATIENCE_MS })).text();
        if (text !== reply) this.errors.push(`${uuid}: another's reply: ${text}`);
      });
    }
    for (const uuid of this.closed) {
      const state = await settledState(this.#client, uuid);
      if (state !== 'unknown') this.errors.push(`${uuid} was closed, and is ${state}`);
    }
  }

  async close(): Promise<void> {
    await this.stop();
    await Promise.all([this.#worker.close({ graceMs: 100 }), this.#client.close()]);
  }

  async #store(lane: number): Promise<void> {
    for (let number = 0; !this.#isOver; number++) {
      const text = `stored ${lane} ${number}`;
      await this.#try(async () => {
        const job = await this.#client.submit(SERVICE, text);
        this.open.set(job.uuid, upper(text));
        const reply = (await job.result({ timeoutMs: PATIENCE_MS })).text();
        if (reply !== upper(text)) this.errors.push(`${job.uuid}: another's reply: ${reply}`);
        // Some stay open, to be checked at the end.
        if (number % 4 === 0) return;
        await job.close();
        this.open.delete(job.uuid);
        this.closed.add(job.uuid);
      });
      await pause(PAUSE_MS);
    }
  }

  async #ask(lane: number): Promise<void> {
    for (let number = 0; !this.#isOver; number++) {
      const text = `plain ${lane} ${number}`;
      await this.#try(async () => {
        const reply = (await this.#client.request(SERVICE, text)).text();
        if (reply !== upper(text)) this.errors.push(`${text}: another's reply: ${reply}`);
        this.answered++;
        const now = performance.now();
        this.silenceMs = Math.max(this.silenceMs, now - this.#answeredAt);
        this.#answeredAt = now;
      });
      await pause(PAUSE_MS);
    }
  }

  async #try(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.errors.push(`${codeOf(error) ?? ''} ${messageOf(error)}`);
    }
  }
}

/**
 * A node that is out of sync for a moment, as on a busy machine, reports a request that it does not
 * know as pending (docs/protocol.md, `400` needs certainty).
 */
export async function settledState(client: Client, uuid: string): Promise<string> {
  const patience = new Patience();
  for (;;) {
    const { state } = await client.job(uuid).state();
    if (state !== 'pending' || patience.isOver) return state;
    await patience.pause(100);
  }
}

function upper(text: string): string {
  return text.toUpperCase();
}
