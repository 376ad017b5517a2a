/** The thread of a store in PostgreSQL: carries out orders, and answers them. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { codeOf, detailsOf, messageOf } from '../../core/errors.js';
import { PackReader } from '../../core/packing.js';
import type { StoreFailure } from '../../store/store.js';
import {
  BATCH_FAILED,
  CLAIM_FAILED,
  CLAIMED,
  CLOSED,
  COMMITTED,
  COUNTED,
  FOUND,
  HINTED,
  KEPT,
  LIST_FAILED,
  LISTED,
  LOAD_FAILED,
  LOADED,
  LOOK_FAILED,
  type OpenFailure,
  OPENED,
  packBodies,
  packCounts,
  packFound,
  packRecovered,
  packResults,
  TAKEN,
} from '../../store/thread/messages.js';
import { packRequests } from '../../store/thread/request-messages.js';
import { packClaimed } from '../../store/thread/claim-messages.js';
import { ThreadAnswers } from '../../store/thread/thread-answers.js';
import { FenceDown, failureOf, storeText } from './failures.js';
import type { OpenPostgres, StoreReport } from './messages.js';
import { type Order, readOrders } from './orders.js';
import {
  claimedOf,
  inParts,
  type LargeReply,
  list,
  listSchedules,
  load,
  lookUp,
  type Reading,
} from './reader.js';
import { BATCHES_MAX, StoreSession } from './store-session.js';
import { UnknownOutcome } from './writer.js';

/** Transactions of the n-th session of a store have numbers above n times this. */
const SESSION_TRANSACTIONS = 2 ** 32;
/** After an unknown outcome, if nothing is committed: the pause before each question about it. */
const SETTLE_MS = 250;
/** How many look-ups one statement answers. */
const LOOK_UPS_MAX = 512;

type CommitOrder = Extract<Order, { readonly kind: 'commit' }>;
type LookUpOrder = Extract<Order, { readonly kind: 'look_up' }>;
type ReadOrder = Exclude<Order, { readonly kind: 'commit' | 'claim' | 'hint' | 'close' }>;

/** A read, and what it waits for: it sees the batches that were ordered before it. */
interface QueuedRead {
  readonly order: ReadOrder;
  readonly after: Promise<void>;
}

class PostgresThread {
  readonly #port: MessagePort;
  readonly #open: OpenPostgres;
  readonly #store: StoreSession;
  readonly #answers: ThreadAnswers;
  readonly #reader: Reading = async (work) => await this.#store.read(work);
  readonly #batches: { readonly order: CommitOrder; readonly ended: () => void }[] = [];
  /** Batches that are being committed. */
  #committing = 0;
  /** Settled when all batches that were ordered so far have ended. */
  #committed: Promise<void> = Promise.resolve();
  readonly #reads: QueuedRead[] = [];
  #reading: Promise<void> | null = null;
  /** Settled when the large replies that were asked for are read. */
  #large: Promise<void> = Promise.resolve();
  #settling: NodeJS.Timeout | null = null;
  #isClosing = false;

  constructor(open: OpenPostgres, port: MessagePort, store: StoreSession) {
    this.#open = open;
    this.#port = port;
    this.#answers = new ThreadAnswers(port);
    this.#store = store;
    packRecovered(this.#answers.begin(OPENED, 0), {
      counts: store.writer.takeCounts(),
      storeId: store.storeId,
      firstTransaction: store.firstSession * SESSION_TRANSACTIONS + 1,
      holds: null,
      isNumbered: true,
      mapEpochMax: 0,
      mapTombstoneBytes: 0,
    });
    this.#answers.send();
    store.serve({
      taken: () => {
        this.#answers.begin(TAKEN, 0);
        this.#answers.send();
      },
      counted: () => {
        packCounts(this.#answers.begin(COUNTED, 0), store.writer.takeCounts());
        this.#answers.send();
      },
      hinted: (hint) => {
        this.#answers.begin(HINTED, 0).bytes(hint);
        this.#answers.send();
      },
    });
    port.on('message', (message: Uint8Array) => {
      for (const order of readOrders(new PackReader(message))) this.#take(order);
    });
  }

  #take(order: Order): void {
    switch (order.kind) {
      case 'commit':
        this.#queue(order);
        break;
      case 'claim':
        void this.#claim(order);
        break;
      case 'hint':
        this.#store.hint(order.hint);
        break;
      case 'close':
        void this.#close();
        break;
      default:
        this.#reads.push({ order, after: this.#committed });
        this.#reading ??= this.#readAll();
    }
  }

  #queue(order: CommitOrder): void {
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

  /** One read after the other, in which they came. */
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
    switch (order.kind) {
      case 'look_up':
        await this.#lookUp(order, after);
        break;
      case 'load':
        await this.#load(order);
        break;
      case 'list':
        await this.#list(order, list);
        break;
      case 'list_schedules':
        await this.#list(order, listSchedules);
    }
  }

  async #commit({ id, changes }: CommitOrder): Promise<void> {
    const { writer } = this.#store;
    let { session } = writer;
    try {
      await this.#settle();
      session = writer.session;
      const { results, counts } = await writer.commit(changes);
      // What it accepted in a session that has ended meanwhile, another broker may have claimed.
      if (writer.session !== session && writer.doubt(changes)) {
        packCounts(this.#answers.begin(COUNTED, 0), counts);
        throw new UnknownOutcome(new FenceDown('the session of this broker has ended meanwhile'));
      }
      const answer = this.#answers.begin(COMMITTED, id);
      packResults(answer, results);
      packCounts(answer, counts);
    } catch (error) {
      if (error instanceof FenceDown) this.#store.foundEnded(session);
      this.#answers.fail(BATCH_FAILED, id, this.#failureOf(error));
      if (writer.isInDoubt) this.#settleLater();
    }
  }

  /** Nothing is under way any more, and it is told what this broker has claimed by it. */
  async #settle(): Promise<void> {
    const { writer } = this.#store;
    this.#store.mustBeReady();
    if (writer.isInDoubt) await writer.settled();
    await this.#tellKept();
  }

  /** Without another batch, the broker would not learn of what it has claimed. */
  #settleLater(): void {
    if (this.#isClosing) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = null;
      // What is being committed settles it, or comes here again.
      if (this.#committing > 0 || !this.#store.writer.isInDoubt) return;
      this.#committing++;
      const settled = this.#settle()
        .catch(() => {
          this.#settleLater();
        })
        .then(() => {
          this.#committing--;
          this.#answers.send();
          this.#startBatches();
        });
      const before = this.#committed;
      this.#committed = settled.then(() => before);
    }, SETTLE_MS);
  }

  /** While batches are committed. */
  async #claim({ id, order }: Extract<Order, { kind: 'claim' }>): Promise<void> {
    const { session } = this.#store.writer;
    try {
      this.#store.mustBeReady();
      const claimed = await this.#store.claims.claim(order);
      if (this.#store.writer.session !== session) {
        throw new FenceDown('the session of this broker has ended meanwhile');
      }
      packClaimed(this.#answers.begin(CLAIMED, id), claimed);
    } catch (error) {
      if (error instanceof FenceDown) this.#store.foundEnded(session);
      this.#answers.fail(CLAIM_FAILED, id, this.#failureOf(error));
    }
    this.#answers.send();
  }

  /** Batches failed with an unknown outcome: what of them this broker has claimed after all. */
  async #tellKept(): Promise<void> {
    const { writer } = this.#store;
    if (!writer.hasDoubtful) return;
    const asked = writer.takeDoubtful();
    const kept = await this.#store
      .read((connection) => claimedOf(connection, asked, writer.session))
      .catch((error: unknown) => {
        writer.doubtAgain(asked);
        throw error;
      });
    if (kept.length === 0) return;
    packRequests(this.#answers.begin(KEPT, 0), kept);
  }

  /** With all that follow it at once, and wait for the same batches. */
  async #lookUp(first: LookUpOrder, after: Promise<void>): Promise<void> {
    const asked = [first];
    while (asked.length < LOOK_UPS_MAX) {
      const next = this.#reads[0];
      if (next?.order.kind !== 'look_up' || next.after !== after) break;
      asked.push(next.order);
      this.#reads.shift();
    }
    try {
      const answers = await lookUp(this.#reader, asked);
      for (const [at, { id }] of asked.entries()) {
        const answer = answers[at] ?? { state: 'absent' };
        if ('kept' in answer) this.#readInParts(id, answer);
        else packFound(this.#answers.begin(FOUND, id), answer);
      }
    } catch (error) {
      for (const { id } of asked) this.#answers.fail(LOOK_FAILED, id, this.#failureOf(error));
    }
  }

  /** One large reply after the other, while other reads go on: each may take long. */
  #readInParts(id: number, { found, kept }: LargeReply): void {
    const read: Reading = async (work) => {
      if (this.#isClosing) throw new Error('the store is being closed');
      return await this.#reader(work);
    };
    this.#large = this.#large.then(async () => {
      try {
        // If it is not there any more, the next look-up finds what is.
        const reply = await inParts(read, kept);
        packFound(this.#answers.begin(FOUND, id), { ...found, reply });
      } catch (error) {
        this.#answers.fail(LOOK_FAILED, id, this.#failureOf(error));
      }
      this.#answers.send();
    });
  }

  async #load({ id, uuids }: Extract<Order, { kind: 'load' }>): Promise<void> {
    try {
      const bodies = await load(this.#reader, uuids);
      packBodies(this.#answers.begin(LOADED, id), bodies);
    } catch (error) {
      this.#answers.fail(LOAD_FAILED, id, this.#failureOf(error));
    }
  }

  async #list({ id, after }: { id: number; after: number }, read: typeof list): Promise<void> {
    try {
      const requests = await this.#store.read((connection) => read(connection, after));
      packRequests(this.#answers.begin(LISTED, id), requests);
    } catch (error) {
      this.#answers.fail(LIST_FAILED, id, this.#failureOf(error));
    }
  }

  /** After all that was ordered before. */
  async #close(): Promise<void> {
    this.#isClosing = true;
    if (this.#settling !== null) clearTimeout(this.#settling);
    await this.#committed;
    await this.#reading;
    await this.#large;
    await this.#store.close();
    this.#answers.begin(CLOSED, 0);
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

async function start(): Promise<void> {
  const port = present(parentPort, 'this runs in a thread');
  const open = workerData as OpenPostgres;
  const report = (told: StoreReport): void => {
    port.postMessage(told);
  };
  try {
    new PostgresThread(open, port, await StoreSession.begin(open, report));
  } catch (error) {
    const known = codeOf(error)?.startsWith('ERR_TITANIC_') === true;
    const code = known ? codeOf(error) : 'ERR_TITANIC_STORE_AWAY';
    const details = detailsOf(error);
    const message = known ? messageOf(error) : storeText(open.name, error);
    port.postMessage({ code: code ?? '', message, details } satisfies OpenFailure);
  }
}

void start();
