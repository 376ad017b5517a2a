/** Clients that submit, fetch and close concurrently until they are stopped. */
import { codeOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import type { SimRandom } from '../simulation/world/random.js';
import { type Receipt, Receipts } from './receipts.js';

export const SERVICES = ['alpha', 'beta', 'gamma', 'delta'] as const;
const CLIENTS = 2;
const LANES = 24;
/** Requests that a lane submits at once. */
const BURST_MAX = 16;
/** This many open requests are enough. */
const OPEN_MAX = 3000;
const CHECK_MS = 60_000;

export class Load {
  readonly receipts: Receipts;
  /** Requests without an answer, by error code. Acknowledged requests are never among them. */
  readonly failures = new Map<string, number>();
  readonly #clients: Client[];
  readonly #random: SimRandom;
  readonly #lanes: Promise<void>[] = [];
  #stopped = false;

  /** @param endpoints of one daemon, or of the nodes of a pair */
  constructor(endpoints: readonly string[], random: SimRandom) {
    this.receipts = new Receipts(endpoints.length > 1);
    this.#random = random;
    this.#clients = Array.from(
      { length: CLIENTS },
      () => new Client({ endpoints, retryBaseMs: 20, retryMaxMs: 100, timeoutMs: 301_000 }),
    );
  }

  start(): void {
    for (const client of this.#clients) {
      for (let lane = 0; lane < LANES; lane++) this.#lanes.push(this.#lane(client));
    }
  }

  /** Resolves when nothing is in progress. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Fetches, checks and closes every request that is open. */
  async finish(): Promise<void> {
    await this.#each(this.receipts.open(), async (client, receipt) => {
      await this.receipts.fetch(client, receipt, CHECK_MS);
      await this.receipts.close(client, receipt);
    });
  }

  /** Fetches and checks every request that is open, and looks for every closed one. */
  async check(): Promise<void> {
    await this.#each(this.receipts.open(), async (client, receipt) => {
      await this.receipts.fetch(client, receipt, CHECK_MS);
    });
    await this.#each([...this.receipts.closed], async (client, uuid) => {
      await this.receipts.lookForClosed(client, uuid);
    });
  }

  async #each<T>(items: T[], step: (client: Client, item: T) => Promise<void>): Promise<void> {
    const lane = async (client: Client): Promise<void> => {
      for (let item = items.pop(); item !== undefined; item = items.pop()) await step(client, item);
    };
    await Promise.all(
      this.#clients.flatMap((client) => Array.from({ length: LANES }, () => lane(client))),
    );
  }

  async #lane(client: Client): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#step(client);
      } catch (error) {
        const code = codeOf(error);
        if (code === undefined) throw error;
        this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
      }
    }
  }

  async #step(client: Client): Promise<void> {
    const random = this.#random;
    if (this.receipts.openCount >= OPEN_MAX || random.chance(0.3)) {
      await this.#fetchOne(client, this.receipts.any(random));
    } else {
      const burst = Array.from({ length: random.int(1, BURST_MAX) }, () =>
        this.receipts.submit(client, random.pick(SERVICES), random),
      );
      const [receipt] = await Promise.all(burst);
      if (random.chance(0.3)) await this.#fetchOne(client, receipt);
    }
    if (random.chance(0.2)) await this.receipts.look(client, this.receipts.any(random));
  }

  async #fetchOne(client: Client, receipt: Receipt | undefined): Promise<void> {
    if (receipt === undefined) return;
    const fetched = await this.receipts.fetch(client, receipt, 200);
    if (fetched && this.#random.chance(0.7)) await this.receipts.close(client, receipt);
  }
}
