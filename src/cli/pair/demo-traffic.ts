/** A client and a worker of the demonstration, and the outcome of every request. */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf } from '../../core/errors.js';
import { Client } from '../../sdk/client.js';
import { Worker } from '../../sdk/worker.js';

const SERVICE = 'demo';
const LOOPS = 4;
const PAUSE_MS = 5;

export interface Tally {
  answered: number;
  unanswered: number;
  receipts: number;
  /** Receipts of requests that the pair no longer knows, or that got another request's reply. */
  lost: number;
  /** The longest time that a request took, in milliseconds. */
  longestMs: number;
}

export class Traffic {
  readonly tally: Tally = { answered: 0, unanswered: 0, receipts: 0, lost: 0, longestMs: 0 };
  readonly #client: Client;
  readonly #worker: Worker;
  readonly #loops: Promise<void>[];
  #isOver = false;

  constructor(endpoints: readonly string[]) {
    this.#worker = new Worker(
      { endpoints, service: SERVICE, concurrency: 100 },
      ({ frames }) => frames,
    );
    // The demonstration kills brokers.
    this.#worker.on('lost', () => undefined);
    void this.#worker.run();
    this.#client = new Client({ endpoints, timeoutMs: 60_000 });
    this.#loops = Array.from({ length: LOOPS }, (_, loop) =>
      this.#loop(loop, loop % 2 === 0 ? this.#ask : this.#store),
    );
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    await this.#worker.close();
    await this.#client.close();
  }

  async #loop(loop: number, once: (text: string) => Promise<void>): Promise<void> {
    for (let number = 0; !this.#isOver; number++) {
      const began = performance.now();
      await once(`${loop} ${number}`);
      this.tally.longestMs = Math.max(this.tally.longestMs, performance.now() - began);
      await pause(PAUSE_MS);
    }
  }

  readonly #ask = async (text: string): Promise<void> => {
    try {
      const reply = await this.#client.request(SERVICE, text);
      if (reply.text() === text) this.tally.answered++;
      else this.tally.unanswered++;
    } catch {
      this.tally.unanswered++;
    }
  };

  /** Stores, fetches, closes. From the moment the receipt arrives it must be kept. */
  readonly #store = async (text: string): Promise<void> => {
    try {
      const job = await this.#client.enqueue(SERVICE, text);
      this.tally.receipts++;
      const reply = await job.result({ timeoutMs: 60_000 });
      if (reply.text() !== text) this.tally.lost++;
      await job.close();
    } catch (error) {
      if (codeOf(error) === 'ERR_TITANIC_UNKNOWN') this.tally.lost++;
      else this.tally.unanswered++;
    }
  };
}
