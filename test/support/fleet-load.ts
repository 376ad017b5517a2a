/** Continuous requests to all brokers of a fleet, while something happens to it. */
import { setTimeout as pause } from 'node:timers/promises';

import { ask, clientOf, upper } from './daemon-users.js';
import type { Daemon } from './daemon.js';
import { until } from './until.js';

/** Between two requests of a client: the load is modest. */
const PAUSE_MS = 25;
/** Answers to each client that show that it is served again. */
const ANSWERS = 5;
/** Receipts that are asked for at a time. */
const ASKED = 100;

/**
 * At each broker a client that stores requests for `kept`, whose worker has to answer in capitals,
 * and one that sends requests to `plain`, whose worker has to send them back.
 */
export class FleetLoad {
  /** The bodies of the requests, by uuid. */
  readonly receipts = new Map<string, string>();
  /** What was answered instead of a receipt. */
  readonly refused: string[] = [];
  /** Answers so far: those of the clients that store, then those of the others. */
  readonly answered: number[];
  readonly #running: Promise<void>[];
  #isOver = false;

  constructor(brokers: readonly Daemon[]) {
    this.answered = brokers.flatMap(() => [0, 0]);
    const { length } = brokers;
    this.#running = brokers.flatMap((broker, n) => {
      const others = [...brokers.slice(n), ...brokers.slice(0, n)];
      return [this.#stores(broker, n), this.#asks(others, length + n)];
    });
  }

  async #stores(broker: Daemon, lane: number): Promise<void> {
    const client = clientOf(broker, { timeoutMs: 5000 });
    for (let n = 0; !this.#isOver; n++) {
      const body = `${lane} ${n}`;
      const answer = ask(client, 'titanic.request', 'kept', body);
      // A client that hears nothing has no receipt.
      const [status = '', uuid = ''] = await answer.catch((error: unknown) => [String(error)]);
      if (status === '200') {
        this.receipts.set(uuid, body);
        this.#count(lane);
      } else {
        this.refused.push(status);
      }
      await pause(PAUSE_MS);
    }
  }

  /** Every request is answered, if need be after retries. */
  async #asks(brokers: readonly Daemon[], lane: number): Promise<void> {
    const client = clientOf(brokers, { timeoutMs: 46_500 });
    for (let n = 0; !this.#isOver; n++) {
      const body = `${lane} ${n}`;
      expect(await ask(client, 'plain', body)).toEqual([body]);
      this.#count(lane);
      await pause(PAUSE_MS);
    }
  }

  #count(lane: number): void {
    this.answered[lane] = (this.answered[lane] ?? 0) + 1;
  }

  /** Waits until each of these clients has more answers. */
  async progress(what: string, isMeant: (lane: number) => boolean = () => true): Promise<void> {
    const before = [...this.answered];
    const going = until(
      () => before.every((count, n) => !isMeant(n) || (this.answered[n] ?? 0) >= count + ANSWERS),
      what,
    );
    // A plain request that failed is the better message.
    await Promise.race([going, Promise.all(this.#running)]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  /** Asks this broker for the reply to every receipt. @returns those that it does not honour */
  async wrongAt(broker: Daemon): Promise<readonly string[]> {
    const client = clientOf(broker);
    const receipts = [...this.receipts];
    const wrong: string[] = [];
    for (let at = 0; at < receipts.length; at += ASKED) {
      const asked = receipts.slice(at, at + ASKED).map(async ([uuid, body]) => {
        const answer = await ask(client, 'titanic.wait', uuid, '30000');
        if (answer.join() !== `200,${upper(body)}`) wrong.push(`${body}: ${answer.join(' ')}`);
      });
      await Promise.all(asked);
    }
    return wrong;
  }
}
