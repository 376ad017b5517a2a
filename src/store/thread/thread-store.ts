/**
 * The main thread's side of a store that works in a thread of its own: calls and their outcomes are packed,
 * several in one message. The numbers of calls are known here and in the thread only.
 */
import type { Worker } from 'node:worker_threads';

import { assert, present } from '../../core/assert.js';
import { MajordomoError, messageOf } from '../../core/errors.js';
import { packHint, unpackHint } from '../hint-codec.js';
import type { NodeMerged, NodeRecovered, NodeStore } from '../node-store.js';
import { PackReader, PackWriter } from '../../core/value-bytes.js';
import type { RankedStoreEvents } from '../ranked.js';
import type {
  ClaimStore,
  ClaimStoreEvents,
  Completion,
  Hint,
  MergeFailure,
  StoreEvents,
  StoreFailure,
  Transaction,
} from '../store.js';
import type { OpenFailure } from './opening.js';
import {
  type ArgsOf,
  type FailureOf,
  NEWS,
  NEWS_NAMES,
  type Operation,
  OPERATIONS,
  type OperationName,
  putOrder,
  type ResultOf,
} from './operations.js';
import { DONE_ANSWER, NEWS_ANSWER } from './thread-answers.js';

const ORDERS_BYTES = 256;

/** Besides what all stores report, what only some do. */
export type ThreadStoreEvents = StoreEvents &
  Partial<RankedStoreEvents & Omit<ClaimStoreEvents, keyof StoreEvents>>;

/** A thread that carries out a store's orders. */
export interface StoreThread<News extends object> {
  readonly thread: Pick<Worker, 'on' | 'postMessage' | 'terminate'>;
  /** The store, in messages. */
  readonly name: string;
  /** Takes what it sends that is neither an answer nor a failure to open. */
  readonly news: (news: News) => void;
}

function isOpenFailure(message: object): message is OpenFailure {
  return 'code' in message;
}

/** A call that the thread has not answered yet. */
interface PendingCall {
  readonly operation: Pick<Operation<never, unknown, MergeFailure>, 'result' | 'failure'>;
  readonly completion: Completion<unknown, MergeFailure>;
}

/** The arguments of an operation, then its completion. */
type Call<Name extends OperationName> = (
  ...given: [...ArgsOf<Name>, Completion<ResultOf<Name>, FailureOf<Name>>]
) => void;

/** The number of operations that are not answered. */
const UNANSWERED = 0;

/** @typeParam News what the thread reports besides answers; without a field `code` */
export class ThreadStore<News extends object> implements NodeStore, ClaimStore {
  readonly opened: Promise<NodeRecovered>;
  readonly #name: string;
  readonly #events: ThreadStoreEvents;
  readonly #thread: StoreThread<News>['thread'];
  #orders: PackWriter | null = null;
  readonly #calls = new Map<number, PendingCall>();
  #lastCall = 0;
  #isOpen = false;
  #settleOpening: {
    done(recovered: NodeRecovered): void;
    failed(error: MajordomoError): void;
  } | null = null;
  /** Why there is no thread any more. */
  #lost: StoreFailure | null = null;
  readonly #ended: Promise<void>;

  constructor({ thread, name, news }: StoreThread<News>, events: ThreadStoreEvents) {
    this.#name = name;
    this.#events = events;
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpening = { done: resolve, failed: reject };
    });
    this.#thread = thread;
    this.#thread.on('message', (message: Uint8Array | OpenFailure | News) => {
      if (message instanceof Uint8Array) this.#receive(new PackReader(message));
      else if (isOpenFailure(message)) this.#failOpening(message);
      else news(message);
    });
    this.#thread.on('error', (error) => this.#threadLost(messageOf(error)));
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        this.#threadLost('the store thread ended');
        resolve();
      });
    });
  }

  // ---------------------------------------------------------------- calls

  readonly commit: Call<'commit'> = this.#caller('commit');
  readonly commitRanked: Call<'commitRanked'> = this.#caller('commitRanked');
  readonly read: Call<'read'> = this.#caller('read');
  readonly list: Call<'list'> = this.#caller('list');
  readonly listKept: Call<'listKept'> = this.#caller('listKept');
  readonly listRanked: Call<'listRanked'> = this.#caller('listRanked');
  readonly load: Call<'load'> = this.#caller('load');
  readonly lookUp: Call<'lookUp'> = this.#caller('lookUp');
  readonly claim: Call<'claim'> = this.#caller('claim');
  readonly #merge = this.#caller('merge');

  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
    epochMax = Number.MAX_SAFE_INTEGER,
  ): void {
    this.#merge(transaction, records, isFromActive, epochMax, completion);
  }

  hint(hint: Hint): void {
    this.#send(UNANSWERED, 'hint', OPERATIONS.hint, [packHint(hint)]);
  }

  async close(): Promise<void> {
    if (this.#lost === null) this.#send(UNANSWERED, 'close', OPERATIONS.close, []);
    await this.#ended;
  }

  #caller<Name extends OperationName>(name: Name): Call<Name> {
    const operation = OPERATIONS[name] as Operation<ArgsOf<Name>, ResultOf<Name>, FailureOf<Name>>;
    return (...given) => {
      const completion = given.pop() as PendingCall['completion'];
      const id = ++this.#lastCall;
      this.#calls.set(id, { operation, completion });
      this.#send(id, name, operation, given as ArgsOf<Name>);
    };
  }

  /** All calls of one turn are sent in one message, unless the thread is to begin at once. */
  #send<Args extends readonly unknown[]>(
    id: number,
    name: OperationName,
    operation: Operation<Args, unknown, MergeFailure>,
    args: Args,
  ): void {
    if (this.#orders === null) {
      this.#orders = new PackWriter(ORDERS_BYTES + operation.bytes(...args));
      queueMicrotask(() => this.#post());
    }
    putOrder(this.#orders, name, id);
    operation.args.put(this.#orders, args);
    // A loss is reported later, never within a call.
    if (operation.isWrite && this.#lost === null) this.#post();
  }

  #post(): void {
    const bytes = this.#orders?.take();
    this.#orders = null;
    if (bytes === undefined) return;
    if (this.#lost === null) this.#thread.postMessage(bytes, [bytes.buffer]);
    else this.#failAll(this.#lost);
  }

  // ---------------------------------------------------------------- answers

  #receive(message: PackReader): void {
    if (this.#isOpen) this.#events.arrived();
    while (!message.isAtEnd) {
      const what = message.byte();
      const id = message.number();
      if (what === NEWS_ANSWER) this.#tell(id, message);
      else this.#answered(id, what === DONE_ANSWER, message);
    }
    assert(message.isWhole, 'answers of this program');
  }

  #answered(id: number, isDone: boolean, message: PackReader): void {
    const { operation, completion } = present(this.#calls.get(id), 'a call that is not answered');
    this.#calls.delete(id);
    if (isDone) {
      completion.done(operation.result.take(message));
      return;
    }
    const failure = operation.failure.take(message);
    completion.failed(failure);
    const { kind, ...text } = failure;
    if (kind === 'fatal') this.#events.fatal({ kind, ...text });
  }

  #tell(id: number, message: PackReader): void {
    const events = this.#events;
    switch (present(NEWS_NAMES[id], 'news of this program')) {
      case 'opened':
        this.#isOpen = true;
        this.#settleOpening?.done(NEWS.opened.take(message));
        this.#settleOpening = null;
        break;
      case 'counted':
        events.counted(NEWS.counted.take(message));
        break;
      case 'tombstones':
        events.tombstones?.(NEWS.tombstones.take(message));
        break;
      case 'foundClaimed':
        events.foundClaimed?.(NEWS.foundClaimed.take(message));
        break;
      case 'taken':
        events.taken?.();
        break;
      case 'hinted': {
        const hint = unpackHint(NEWS.hinted.take(message));
        if (hint !== null) events.hinted?.(hint);
        break;
      }
      case 'closed':
        this.#isOpen = false;
    }
  }

  // ---------------------------------------------------------------- ends

  #failOpening({ code, message, details }: OpenFailure): void {
    this.#settleOpening?.failed(new MajordomoError(code, message, { details }));
    this.#settleOpening = null;
    void this.#thread.terminate();
  }

  #threadLost(why: string): void {
    if (this.#lost !== null) return;
    const message = `store ${this.#name}: ${why}; restart the broker`;
    this.#lost = { kind: 'fatal', message };
    this.#settleOpening?.failed(new MajordomoError('ERR_TITANIC_DISK', message));
    this.#settleOpening = null;
    this.#failAll(this.#lost);
  }

  #failAll(failure: StoreFailure): void {
    // Orders after it was closed are not carried out: that is no fault of the disk.
    if (!this.#isOpen) return;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    if (calls.length === 0) return;
    this.#events.arrived();
    for (const { completion } of calls) completion.failed(failure);
    this.#events.fatal(failure);
  }
}
