/** Carries out the orders of a store, and answers them. */
import type { MessagePort } from 'node:worker_threads';

import { storedContent } from '../../store/fields.js';
import { PackReader } from '../../core/value-bytes.js';
import type { RequestUuid, StoredContent, StoreFailure } from '../../store/store.js';
import {
  type OperationName,
  type Order,
  type OrderOf,
  type ResultOf,
  takeOrders,
} from '../../store/thread/operations.js';
import { ThreadAnswers } from '../../store/thread/thread-answers.js';
import type { Clock, Timer } from './clock.js';
import { failureOf, isRefusal, textOf } from './failures.js';
import type { OpenPostgres } from './postgres-store.js';
import { type BodyKey, inParts, type LargeReply, type LookedUp } from './reader.js';
import { BATCHES_MAX, type StoreConnections } from './store-connections.js';
import { UnknownOutcome } from './writer.js';

/** Transactions of the n-th session of a store have numbers above n times this. */
const SESSION_TRANSACTIONS = 2 ** 32;
/** After an unknown outcome, if nothing is committed: the pause before each question about it. */
const SETTLE_MS = 250;
/** How many look-ups one statement answers. */
const LOOK_UPS_MAX = 512;

type ReadOrder = OrderOf<'list' | 'listKept' | 'load' | 'lookUp'>;

/** A read, and what it waits for: it sees the batches that were ordered before it. */
interface QueuedRead {
  readonly order: ReadOrder;
  readonly after: Promise<void>;
}

/** Where orders come from, and answers go. */
export type OrdersPort = Pick<MessagePort, 'on' | 'postMessage' | 'close'>;

export class StoreOrders {
  readonly #port: OrdersPort;
  readonly #open: OpenPostgres;
  readonly #clock: Clock;
  readonly #store: StoreConnections;
  readonly #answers: ThreadAnswers;
  readonly #batches: { readonly order: OrderOf<'commit'>; readonly ended: () => void }[] = [];
  /** Batches that are being committed. */
  #committing = 0;
  /** Settled when all batches that were ordered so far have ended. */
  #committed: Promise<void> = Promise.resolve();
  readonly #reads: QueuedRead[] = [];
  #reading: Promise<void> | null = null;
  /** Settled when the large replies that were asked for are read. */
  #large: Promise<void> = Promise.resolve();
  #settling: Timer | null = null;
  /** By operation: what the database said when it last refused it, until it works again. */
  readonly #refused = new Map<OperationName, string>();
  #isClosing = false;

  constructor(open: OpenPostgres, clock: Clock, port: OrdersPort, store: StoreConnections) {
    this.#open = open;
    this.#clock = clock;
    this.#port = port;
    this.#answers = new ThreadAnswers(port);
    this.#store = store;
    this.#answers.news('opened', {
      counts: store.writer.counts.takeAll(),
      newestAt: store.newestAt,
      storeId: store.storeId,
      firstTransaction: store.firstSession * SESSION_TRANSACTIONS + 1,
      holds: null,
      isNumbered: true,
      epochMax: 0,
      parts: [],
    });
    this.#answers.send();
    store.serve({
      taken: () => {
        this.#answers.news('taken', null);
        this.#answers.send();
      },
      counted: (counts) => {
        this.#answers.news('counted', counts);
        this.#answers.send();
      },
      hinted: (hint) => {
        this.#answers.news('hinted', hint);
        this.#answers.send();
      },
      foundClaimed: (requests) => {
        this.#answers.news('foundClaimed', requests);
        this.#answers.send();
      },
    });
    port.on('message', (message: Uint8Array) => {
      for (const order of takeOrders(new PackReader(message))) this.#take(order);
    });
  }

  #take(order: Order): void {
    switch (order.name) {
      case 'commit':
        this.#queue(order);
        break;
      case 'claim':
        void this.#claim(order);
        break;
      case 'hint':
        this.#store.hint(...order.args);
        break;
      case 'close':
        void this.#close();
        break;
      case 'list':
      case 'listKept':
      case 'load':
      case 'lookUp':
        this.#reads.push({ order, after: this.#committed });
        this.#reading ??= this.#readAll();
        break;
      default:
        throw new Error('a store in a database belongs to no pair and has no map');
    }
  }

  #queue(order: OrderOf<'commit'>): void {
    const ended = new Promise<void>((resolve) => {
      this.#batches.push({ order, ended: resolve });
    });
    const before = this.#committed;
    this.#committed = ended.then(() => before);
    this.#startBatches();
  }

  #startBatches(): void {
    while (this.#committing < BATCHES_MAX) {
      // After an unknown outcome the next one is alone.
      if (this.#committing > 0 && this.#store.writer.isInDoubt) return;
      const batch = this.#batches.shift();
      if (batch === undefined) return;
      this.#committing++;
      void this.#commit(batch.order).then(() => {
        this.#committing--;
        this.#answers.send();
        batch.ended();
        this.#startBatches();
      });
    }
  }

  /** Does one read after the other, in the order in which they came. */
  async #readAll(): Promise<void> {
    for (;;) {
      const read = this.#reads.shift();
      if (read === undefined) break;
      await read.after;
      await this.#read(read);
      this.#answers.send();
    }
    this.#reading = null;
  }

  async #read({ order, after }: QueuedRead): Promise<void> {
    switch (order.name) {
      case 'lookUp':
        await this.#lookUp(order, after);
        break;
      case 'load':
        await this.#answer(order, async () => await this.#load(...order.args));
        break;
      case 'list':
        await this.#answer(order, async () => {
          return await this.#store.read((tables) => tables.list(...order.args));
        });
        break;
      case 'listKept':
        await this.#answer(order, async () => {
          return await this.#store.read((tables) => tables.listKept(...order.args));
        });
    }
  }

  async #load(asked: readonly RequestUuid[]): Promise<(StoredContent | null)[]> {
    const loaded: (StoredContent | null)[] = [];
    for (const content of await this.#store.read((tables) => tables.load(asked))) {
      if (content === null || !('bodyKey' in content)) {
        loaded.push(content);
        continue;
      }
      const body = await this.#whole(content.bodyKey);
      loaded.push(body === null ? null : storedContent(body, content.extra));
    }
    return loaded;
  }

  /** Each part within a time limit of its own. */
  async #whole(key: BodyKey): Promise<Buffer | null> {
    return await inParts((done) => this.#store.read((tables) => tables.part(key, done)));
  }

  async #answer<Name extends OperationName>(
    order: { readonly name: Name; readonly id: number },
    work: () => Promise<ResultOf<Name>>,
  ): Promise<void> {
    try {
      const result = await work();
      this.#refused.delete(order.name);
      this.#answers.done(order, result);
    } catch (error) {
      this.#failed([order], error);
    }
  }

  /** A read, or a claim, has failed. A refusal is told at once, and not again for each that follows. */
  #failed(
    orders: readonly { readonly name: OperationName; readonly id: number }[],
    error: unknown,
  ): void {
    for (const order of orders) this.#answers.failed(order, this.#failureOf(error));
    const [first] = orders;
    const text = textOf(error);
    if (first === undefined || !isRefusal(error) || this.#refused.get(first.name) === text) return;
    this.#refused.set(first.name, text);
    void this.#store.tellUnread(error);
  }

  async #commit(order: OrderOf<'commit'>): Promise<void> {
    const [, changes] = order.args;
    const { writer } = this.#store;
    try {
      this.#store.mustBeReady();
      const { results, counts } = await writer.commit(changes);
      this.#answers.news('counted', counts);
      this.#answers.done(order, results);
    } catch (error) {
      this.#answers.failed(order, this.#failureOf(error));
      if (writer.isInDoubt) this.#settleLater();
    }
  }

  /** Without another batch, the broker would not learn of what it has claimed. */
  #settleLater(): void {
    if (this.#isClosing) return;
    this.#settling ??= this.#clock.later(SETTLE_MS, () => {
      this.#settling = null;
      if (!this.#store.writer.isInDoubt) return;
      if (this.#committing > 0) {
        this.#settleLater();
        return;
      }
      this.#committing++;
      const settled = this.#settle()
        .catch(() => this.#settleLater())
        .then(() => {
          this.#committing--;
          this.#startBatches();
        });
      const before = this.#committed;
      this.#committed = settled.then(() => before);
    });
  }

  async #settle(): Promise<void> {
    this.#store.mustBeReady();
    await this.#store.writer.commit([]);
  }

  /** While batches are committed. */
  async #claim(order: OrderOf<'claim'>): Promise<void> {
    await this.#answer(order, async () => {
      this.#store.mustBeReady();
      return await this.#store.claims.claim(...order.args);
    });
    this.#answers.send();
  }

  /** Answers a look-up, and all that follow it at once and wait for the same batches. */
  async #lookUp(first: OrderOf<'lookUp'>, after: Promise<void>): Promise<void> {
    const asked = [first];
    while (asked.length < LOOK_UPS_MAX) {
      const next = this.#reads[0];
      if (next?.order.name !== 'lookUp' || next.after !== after) break;
      asked.push(next.order);
      this.#reads.shift();
    }
    let answers: LookedUp;
    try {
      const questions = asked.map(({ args: [uuid, replyBytesMax] }) => ({ uuid, replyBytesMax }));
      answers = await this.#store.read((tables) => tables.lookUp(questions));
    } catch (error) {
      this.#failed(asked, error);
      return;
    }
    this.#refused.delete('lookUp');
    for (const [at, order] of asked.entries()) {
      const answer = answers[at] ?? { state: 'absent' };
      if ('bodyKey' in answer) this.#readInParts(order, answer);
      else this.#answers.done(order, answer);
    }
  }

  /** Reads one large reply after the other, while other reads go on: each may take long. */
  #readInParts(order: OrderOf<'lookUp'>, { found, bodyKey }: LargeReply): void {
    const whole = async (): Promise<Buffer | null> => {
      return await inParts((done) => {
        if (this.#isClosing) throw new Error('the store is being closed');
        return this.#store.read((tables) => tables.part(bodyKey, done));
      });
    };
    this.#large = this.#large.then(async () => {
      // If it is not there any more, the next look-up finds what is.
      await this.#answer(order, async () => ({ ...found, reply: await whole() }));
      this.#answers.send();
    });
  }

  /** Closes the store, after all that was ordered before. */
  async #close(): Promise<void> {
    this.#isClosing = true;
    if (this.#settling !== null) this.#clock.cancel(this.#settling);
    await this.#committed;
    await this.#reading;
    await this.#large;
    await this.#store.close();
    this.#answers.news('closed', null);
    this.#answers.send();
    this.#port.close();
  }

  #failureOf(error: unknown): StoreFailure {
    const { name } = this.#open;
    if (!(error instanceof UnknownOutcome)) return failureOf(name, error);
    const { message, detail = message } = failureOf(name, error.cause);
    const of = (text: string): string => `${error.message}: ${text}`;
    return { kind: 'busy', message: of(message), detail: of(detail) };
  }
}
