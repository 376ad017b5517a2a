/** Clients that store requests one after the other, and what they were answered. */
import { setTimeout as pause } from 'node:timers/promises';

import { Client } from '../../src/sdk/client.js';
import type { Cluster } from './postgres-cluster.js';
import { PATIENCE_MS } from './patience.js';

/** Of each client between two requests: what is refused at once would take the processor from others. */
const PAUSE_MS = 5;

export interface Answered {
  readonly status: string;
  /** Of a receipt. */
  readonly uuid: string;
}

/**
 * ```ts
 * const receipts = new Receipts(daemon.endpoint, 3);
 * … trouble …
 * await receipts.stop();
 * expect(await receipts.missing(server, database)).toEqual([]);
 * ```
 */
export class Receipts {
  readonly all: Answered[] = [];
  readonly #clients: readonly Client[];
  readonly #writers: readonly Promise<void>[];
  #isOver = false;

  /** @param service of the requests; without a worker they stay pending */
  constructor(endpoint: string, writers: number, service = 'kept') {
    const all = Array.from({ length: writers }, () => {
      return new Client({ endpoints: [endpoint], timeoutMs: PATIENCE_MS, resendMs: PATIENCE_MS });
    });
    this.#clients = all;
    this.#writers = all.map((client) => this.#write(client, service));
  }

  async #write(client: Client, service: string): Promise<void> {
    while (!this.#isOver) {
      const { frames } = await client.request('titanic.request', [service, 'x']);
      const [status = '', uuid = ''] = frames.map(String);
      this.all.push({ status, uuid });
      await pause(PAUSE_MS);
    }
  }

  get given(): readonly Answered[] {
    return this.all.filter(({ status }) => status === '200');
  }

  get refused(): readonly Answered[] {
    return this.all.filter(({ status }) => status !== '200');
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#writers);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** The receipts of which the database has no request. */
  async missing(server: Cluster, database: string): Promise<readonly string[]> {
    const rows = await server.sql(
      "SELECT upper(replace(id::text, '-', '')) AS id FROM majordomo.request",
      database,
    );
    const kept = new Set(rows.map(({ id }) => id));
    return this.given.map(({ uuid }) => uuid).filter((uuid) => !kept.has(uuid));
  }
}
