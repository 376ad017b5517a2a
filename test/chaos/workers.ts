/** Workers that come, go, dawdle and fail. */
import { setTimeout as pause } from 'node:timers/promises';

import { Worker } from '../../src/sdk/worker.js';
import type { SimRandom } from '../simulation/world/random.js';
import { replyTo } from './receipts.js';
import { silent } from '../support/silent.js';

const CHANGE_MS = 500;
const SLOW_MS = 30;
const CONCURRENCY = 8;

export class Workers {
  readonly #endpoints: readonly string[];
  readonly #services: readonly [string, ...string[]];
  readonly #random: SimRandom;
  readonly #present = new Map<string, Worker>();
  /** Replies that were given back to the broker; some of them twice for one request. */
  answered = 0;
  #isStopped = false;
  #isSteady = false;
  #coming: Promise<void> = Promise.resolve();

  constructor(
    endpoints: readonly string[],
    services: readonly [string, ...string[]],
    random: SimRandom,
  ) {
    this.#endpoints = endpoints;
    this.#services = services;
    this.#random = random;
  }

  start(): void {
    for (const service of this.#services) this.#come(service);
    this.#coming = this.#comeAndGo();
  }

  /** One worker for each service; none fails any more. */
  async settle(): Promise<void> {
    this.#isStopped = true;
    this.#isSteady = true;
    await this.#coming;
    for (const service of this.#services) {
      if (!this.#present.has(service)) this.#come(service);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#present.values()].map((worker) => worker.close()));
  }

  async #comeAndGo(): Promise<void> {
    while (!this.#isStopped) {
      await pause(this.#random.int(0, CHANGE_MS));
      const service = this.#random.pick(this.#services);
      const worker = this.#present.get(service);
      this.#present.delete(service);
      if (worker === undefined) this.#come(service);
      // Running requests are returned.
      else await worker.close({ graceMs: 0 });
    }
  }

  #come(service: string): void {
    const random = this.#random;
    const worker = new Worker(
      {
        endpoints: this.#endpoints,
        service,
        concurrency: CONCURRENCY,
        heartbeatIntervalMs: 200,
        retryBaseMs: 20,
        retryMaxMs: 100,
      },
      async ({ frames }) => {
        if (!this.#isSteady && random.chance(0.1)) await pause(random.int(0, SLOW_MS));
        if (!this.#isSteady && random.chance(0.02)) throw new Error('as it happens');
        this.answered++;
        return replyTo(service, frames);
      },
    );
    this.#present.set(service, worker);
    void silent(worker).run();
  }
}
