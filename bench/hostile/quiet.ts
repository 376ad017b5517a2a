/** Well-behaved peers: a worker and its client, idle workers, a storing client, and newcomers. */
import { setTimeout as sleep } from 'node:timers/promises';

import { codeOf } from '../../src/core/errors.js';
import { Client, type CurveOptions } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { until } from '../../test/support/until.js';
import type { WebhookReceiver } from '../../test/support/webhook-receiver.js';

/** The first service gets requests; the others only have to stay registered. */
export const SERVICES = ['honest-0', 'honest-1', 'honest-2', 'honest-3', 'honest-4'] as const;
const ASK_MS = 20;
const COME_MS = 500;
const TELL_MS = 100;
/** A request without an answer this long after the end has failed. */
const REST_MS = 30_000;
const BODY = Buffer.alloc(1024, 'x');

/** Waiting times in milliseconds, in order of completion. */
export interface Waits {
  /** From a request to its reply. */
  readonly client: number[];
  /** From a request to its arrival at the worker; if it never arrives, until it was given up. */
  readonly worker: number[];
  /** From a request to store to its receipt. */
  readonly receipt: number[];
  /** From a request to store to the webhook that tells of its reply. */
  readonly receiver: number[];
  /** From the first byte of a new client to its first answer. */
  readonly newcomer: number[];
  /** Codes of the errors. */
  readonly failures: string[];
}

export interface QuietOptions {
  readonly endpoint: string;
  readonly curve: CurveOptions | null;
  /** Whether it also stores requests. */
  readonly stores: boolean;
  /** Is told of the ends of requests; `null`: nobody is. */
  readonly receiver: WebhookReceiver | null;
}

export class Quiet {
  readonly #client: Client;
  readonly #workers: readonly Worker[];
  readonly #options: QuietOptions;
  /** By the number of a request on its way to the worker: called when it arrives. */
  readonly #arrivals = new Map<string, () => void>();
  #asked = 0;

  private constructor(options: QuietOptions) {
    this.#options = options;
    this.#client = this.#newClient();
    this.#workers = SERVICES.map((service) => {
      const worker = new Worker({ ...this.#site, service, concurrency: 100 }, ({ frames }) => {
        this.#arrivals.get(String(frames[0]))?.();
        return frames;
      });
      void worker.run();
      return worker;
    });
  }

  /** Resolves when all workers are registered. */
  static async begin(options: QuietOptions): Promise<Quiet> {
    const quiet = new Quiet(options);
    for (const service of SERVICES) {
      await quiet.#client.request(service, 'are you there?');
    }
    return quiet;
  }

  /** How long each request of the next seconds waited. */
  async measure(seconds: number): Promise<Waits> {
    const waits = noWaits();
    const open: Promise<void>[] = [];
    const asking = setInterval(() => {
      open.push(this.#time(waits, waits.client, () => this.#ask(waits)));
      if (this.#options.stores) open.push(this.#time(waits, waits.receipt, () => this.#store()));
    }, ASK_MS);
    const coming = setInterval(() => {
      open.push(this.#time(waits, waits.newcomer, () => this.#come()));
    }, COME_MS);
    const telling = setInterval(() => {
      const { receiver } = this.#options;
      if (receiver === null) return;
      open.push(this.#time(waits, waits.receiver, () => this.#tell(receiver)));
    }, TELL_MS);
    await sleep(seconds * 1000);
    clearInterval(telling);
    clearInterval(asking);
    clearInterval(coming);
    await Promise.all(open);
    return waits;
  }

  async end(): Promise<void> {
    await this.#client.close();
    await Promise.all(this.#workers.map((worker) => worker.close({ graceMs: 0 })));
  }

  get #site(): Pick<QuietOptions, never> & { endpoints: string[]; curve?: CurveOptions } {
    const { endpoint, curve } = this.#options;
    return { endpoints: [endpoint], ...(curve === null ? {} : { curve }) };
  }

  #newClient(): Client {
    return new Client({ ...this.#site, timeoutMs: REST_MS });
  }

  async #ask({ worker }: Waits): Promise<void> {
    const number = String(this.#asked++);
    const began = performance.now();
    const arrived = (): void => {
      if (this.#arrivals.delete(number)) worker.push(performance.now() - began);
    };
    this.#arrivals.set(number, arrived);
    try {
      await this.#client.request(SERVICES[0], number);
    } finally {
      arrived();
    }
  }

  async #store(): Promise<void> {
    const { frames } = await this.#client.request('titanic.request', ['honest-store', BODY]);
    if (frames[0]?.toString() !== '200') throw new Error(`titanic ${String(frames[0])}`);
  }

  async #tell({ origin, received }: WebhookReceiver): Promise<void> {
    const path = `/${this.#asked++}`;
    const options = JSON.stringify({ webhook: origin + path });
    const { frames } = await this.#client.request('titanic.submit', [options, SERVICES[1], 'x']);
    if (frames[0]?.toString() !== '200') throw new Error(`titanic ${String(frames[0])}`);
    await until(() => received.some((webhook) => webhook.path === path), 'a webhook');
  }

  async #come(): Promise<void> {
    const client = this.#newClient();
    try {
      await client.request('mmi.service', SERVICES[0]);
    } finally {
      void client.close();
    }
  }

  /** A failure also counts with its duration. */
  async #time(waits: Waits, into: number[], act: () => Promise<void>): Promise<void> {
    const began = performance.now();
    try {
      await act();
    } catch (error) {
      waits.failures.push(codeOf(error) ?? String(error));
    }
    into.push(performance.now() - began);
  }
}

function noWaits(): Waits {
  return { client: [], worker: [], receipt: [], receiver: [], newcomer: [], failures: [] };
}
