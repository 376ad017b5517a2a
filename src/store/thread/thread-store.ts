/**
 * The main thread's side of a store that works in a thread of its own: orders and answers are packed,
 * several in one message.
 */
import { Worker } from 'node:worker_threads';

import { assert } from '../../core/assert.js';
import { MajordomoError, messageOf } from '../../core/errors.js';
import type { MapRecord } from '../map-record.js';
import type { MapStoreEvents } from '../map-store.js';
import type { NodeRecovered, NodeStore } from '../node-store.js';
import { changesBytes, packChanges } from '../batch-codec.js';
import { packHint, unpackHint } from '../hint-codec.js';
import { PackReader, PackWriter } from '../../core/packing.js';
import type {
  Change,
  ClaimedRequest,
  ClaimOrder,
  Hint,
  ReadPlace,
  RequestUuid,
  PairStoreEvents,
  StoreCounts,
  StoredRequest,
  StoreFailure,
  Transaction,
} from '../store.js';
import {
  BATCH_FAILED,
  CLAIM_FAILED,
  CLAIMED,
  CLOSED,
  COMMITTED,
  COUNTED,
  DO_CLAIM,
  DO_CLOSE,
  DO_COMMIT,
  DO_COMMIT_MAP,
  DO_HINT,
  DO_LIST,
  DO_LIST_MAP,
  DO_LIST_SCHEDULES,
  DO_LOAD,
  DO_LOOK_UP,
  DO_MERGE,
  DO_READ,
  FOUND,
  HINTED,
  KEPT,
  LIST_FAILED,
  LISTED,
  LOAD_FAILED,
  LOADED,
  LOOK_FAILED,
  MAP_LIST_FAILED,
  MAP_LISTED,
  MAP_MERGED,
  MAP_TOMBSTONES,
  MERGE_FAILED,
  MERGED,
  type OpenFailure,
  OPENED,
  packMapRecords,
  packPlace,
  packTransaction,
  packUuids,
  READ,
  READ_FAILED,
  TAKEN,
  unpackBodies,
  unpackChunk,
  unpackCounts,
  unpackFailure,
  unpackFound,
  unpackMapMerged,
  unpackMapRecords,
  unpackMerged,
  unpackMergeFailure,
  unpackRecovered,
  unpackResults,
} from './messages.js';
import { unpackPending } from './request-messages.js';
import { packClaimOrder, unpackClaimed } from './claim-messages.js';

const ORDERS_BYTES = 256;
const UUID_BYTES = 20;
/** Roughly what a record of the map takes. */
const RECORD_BYTES = 200;

/** Besides those of the port, what only some stores report. */
export interface ThreadStoreEvents extends PairStoreEvents {
  /** Batches failed with an unknown outcome, and these requests of them are in the store. */
  kept?(requests: readonly StoredRequest[]): void;
  /** Another session was taken: other brokers may have claimed what this one had. */
  taken?(): void;
  /** @param counts what the store holds, with the work of other brokers */
  counted?(counts: StoreCounts): void;
  claimed?(claim: number, requests: readonly ClaimedRequest[]): void;
  claimFailed?(claim: number, failure: StoreFailure): void;
  /** Another broker has told this one. */
  hinted?(hint: Hint): void;
}

/** A thread that carries out a store's orders. */
export interface StoreThread<News extends object> {
  readonly script: URL;
  readonly workerData: unknown;
  /** The store, in messages. */
  readonly name: string;
  /** Takes what it sends that is neither an answer nor a failure to open. */
  readonly news: (news: News) => void;
}

function isOpenFailure(message: object): message is OpenFailure {
  return 'code' in message;
}

/** @typeParam News what the thread reports besides answers; without a field `code` */
export class ThreadStore<News extends object> implements NodeStore {
  readonly opened: Promise<NodeRecovered>;
  readonly #name: string;
  readonly #events: ThreadStoreEvents;
  readonly #mapEvents: MapStoreEvents | null;
  readonly #thread: Worker;
  #orders: PackWriter | null = null;
  /** Orders that the thread has not answered yet. */
  readonly #batches = new Set<number>();
  readonly #merges = new Set<number>();
  readonly #loads = new Set<number>();
  readonly #lookUps = new Set<number>();
  readonly #lists = new Set<number>();
  readonly #reads = new Set<number>();
  readonly #mapLists = new Set<number>();
  readonly #claims = new Set<number>();
  #isOpen = false;
  #settleOpening: {
    done(recovered: NodeRecovered): void;
    failed(error: MajordomoError): void;
  } | null = null;
  /** Why there is no thread any more. */
  #lost: StoreFailure | null = null;
  readonly #ended: Promise<void>;

  constructor(
    { script, workerData, name, news }: StoreThread<News>,
    events: ThreadStoreEvents,
    mapEvents: MapStoreEvents | null,
  ) {
    this.#name = name;
    this.#events = events;
    this.#mapEvents = mapEvents;
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpening = { done: resolve, failed: reject };
    });
    this.#thread = new Worker(script, { workerData, name: 'store' });
    this.#thread.on('message', (message: Uint8Array | OpenFailure | News) => {
      if (message instanceof Uint8Array) this.#receive(new PackReader(message));
      else if (isOpenFailure(message)) this.#failOpening(message);
      else news(message);
    });
    this.#thread.on('error', (error) => {
      this.#lose(messageOf(error));
    });
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        this.#lose('the store thread ended');
        resolve();
      });
    });
  }

  // ---------------------------------------------------------------- orders

  commit(transaction: Transaction, changes: readonly Change[]): void {
    this.#batches.add(transaction.number);
    const order = this.#order(DO_COMMIT, transaction.number, changesBytes(changes));
    packTransaction(order, transaction);
    packChanges(order, changes);
    // The thread works while this turn continues. (A loss is reported later, never within a call.)
    if (this.#lost === null) this.#send();
  }

  commitMap(transaction: Transaction, changes: readonly MapRecord[]): void {
    this.#batches.add(transaction.number);
    const order = this.#order(DO_COMMIT_MAP, transaction.number, changes.length * RECORD_BYTES);
    packTransaction(order, transaction);
    packMapRecords(order, changes);
    if (this.#lost === null) this.#send();
  }

  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    mapEpochMax = Number.MAX_SAFE_INTEGER,
  ): void {
    this.#merges.add(transaction.number);
    const order = this.#order(DO_MERGE, transaction.number, records.length + UUID_BYTES);
    packTransaction(order, transaction);
    order.byte(isFromActive ? 1 : 0);
    order.number(mapEpochMax);
    order.bytes(records);
  }

  read(read: number, place: ReadPlace, requestsMax: number, bytesMax: number): void {
    this.#reads.add(read);
    const order = this.#order(DO_READ, read, 0);
    packPlace(order, place);
    order.number(requestsMax);
    order.number(bytesMax);
  }

  list(list: number, after: number): void {
    this.#lists.add(list);
    this.#order(DO_LIST, list, 0).number(after);
  }

  listSchedules(list: number, after: number): void {
    this.#lists.add(list);
    this.#order(DO_LIST_SCHEDULES, list, 0).number(after);
  }

  claim(claim: number, order: ClaimOrder): void {
    this.#claims.add(claim);
    const bytes = UUID_BYTES * (order.released.length + (order.known?.length ?? 0));
    packClaimOrder(this.#order(DO_CLAIM, claim, bytes), order);
  }

  hint(hint: Hint): void {
    const bytes = packHint(hint);
    this.#order(DO_HINT, 0, bytes.length).bytes(bytes);
  }

  listMap(list: number, after: string): void {
    this.#mapLists.add(list);
    this.#order(DO_LIST_MAP, list, after.length).bytes(Buffer.from(after, 'latin1'));
  }

  load(load: number, uuids: readonly RequestUuid[]): void {
    this.#loads.add(load);
    packUuids(this.#order(DO_LOAD, load, uuids.length * UUID_BYTES), uuids);
  }

  lookUp(look: number, uuid: RequestUuid, replyBytesMax: number): void {
    this.#lookUps.add(look);
    const order = this.#order(DO_LOOK_UP, look, UUID_BYTES);
    order.bytes(uuid);
    order.number(replyBytesMax);
  }

  async close(): Promise<void> {
    if (this.#lost === null) this.#order(DO_CLOSE, 0, 0);
    await this.#ended;
  }

  /** Begins an order; all orders of one turn are sent in one message. */
  #order(what: number, id: number, bytes: number): PackWriter {
    if (this.#orders === null) {
      this.#orders = new PackWriter(ORDERS_BYTES + bytes);
      queueMicrotask(() => {
        this.#send();
      });
    }
    this.#orders.byte(what);
    this.#orders.number(id);
    return this.#orders;
  }

  #send(): void {
    const bytes = this.#orders?.take();
    this.#orders = null;
    if (bytes === undefined) return;
    if (this.#lost === null) this.#thread.postMessage(bytes, [bytes.buffer]);
    else this.#failAll(this.#lost);
  }

  // ---------------------------------------------------------------- answers

  #receive(message: PackReader): void {
    while (!message.isAtEnd) {
      const what = message.byte();
      const id = message.number();
      switch (what) {
        case COMMITTED:
          this.#batches.delete(id);
          this.#events.committed(id, unpackResults(message), unpackCounts(message));
          break;
        case BATCH_FAILED:
          this.#batches.delete(id);
          this.#events.batchFailed(id, unpackFailure(message));
          break;
        case LOADED:
          this.#loads.delete(id);
          this.#events.loaded(id, unpackBodies(message));
          break;
        case LOAD_FAILED:
          this.#loads.delete(id);
          this.#events.loadFailed(id, unpackFailure(message));
          break;
        case FOUND:
          this.#lookUps.delete(id);
          this.#events.found(id, unpackFound(message));
          break;
        case LOOK_FAILED:
          this.#lookUps.delete(id);
          this.#events.lookFailed(id, unpackFailure(message));
          break;
        case MERGED:
          this.#merges.delete(id);
          this.#events.merged(id, unpackMerged(message), unpackCounts(message));
          break;
        case MERGE_FAILED:
          this.#merges.delete(id);
          this.#events.mergeFailed(id, unpackMergeFailure(message));
          break;
        case READ:
          this.#reads.delete(id);
          this.#events.chunk(id, unpackChunk(message));
          break;
        case READ_FAILED:
          this.#reads.delete(id);
          this.#events.readFailed(id, unpackFailure(message));
          break;
        case LISTED:
          this.#lists.delete(id);
          this.#events.listed(id, unpackPending(message));
          break;
        case LIST_FAILED:
          this.#lists.delete(id);
          this.#events.listFailed(id, unpackFailure(message));
          break;
        case MAP_MERGED:
          this.#mapEvents?.mapMerged(unpackMapMerged(message));
          break;
        case MAP_TOMBSTONES:
          this.#mapEvents?.mapTombstones(message.number());
          break;
        case MAP_LISTED:
          this.#mapLists.delete(id);
          this.#mapEvents?.mapListed(id, unpackMapRecords(message));
          break;
        case MAP_LIST_FAILED:
          this.#mapLists.delete(id);
          this.#mapEvents?.mapListFailed(id, unpackFailure(message));
          break;
        case KEPT:
          this.#events.kept?.(unpackPending(message));
          break;
        case TAKEN:
          this.#events.taken?.();
          break;
        case COUNTED:
          this.#events.counted?.(unpackCounts(message));
          break;
        case CLAIMED:
          this.#claims.delete(id);
          this.#events.claimed?.(id, unpackClaimed(message));
          break;
        case CLAIM_FAILED:
          this.#claims.delete(id);
          this.#events.claimFailed?.(id, unpackFailure(message));
          break;
        case HINTED: {
          const hint = unpackHint(message.bytes());
          if (hint !== null) this.#events.hinted?.(hint);
          break;
        }
        case OPENED:
          this.#isOpen = true;
          this.#settleOpening?.done(unpackRecovered(message));
          this.#settleOpening = null;
          break;
        default:
          assert(what === CLOSED, 'an answer of a known kind');
          this.#isOpen = false;
      }
    }
  }

  // ---------------------------------------------------------------- ends

  #failOpening({ code, message, details }: OpenFailure): void {
    this.#settleOpening?.failed(new MajordomoError(code, message, { details }));
    this.#settleOpening = null;
    void this.#thread.terminate();
  }

  #lose(why: string): void {
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
    const events = this.#events;
    const ends: readonly (readonly [Set<number>, (id: number) => void])[] = [
      [this.#batches, (id) => events.batchFailed(id, failure)],
      [this.#merges, (id) => events.mergeFailed(id, failure)],
      [this.#loads, (id) => events.loadFailed(id, failure)],
      [this.#lookUps, (id) => events.lookFailed(id, failure)],
      [this.#lists, (id) => events.listFailed(id, failure)],
      [this.#reads, (id) => events.readFailed(id, failure)],
      [this.#claims, (id) => events.claimFailed?.(id, failure)],
      [this.#mapLists, (id) => this.#mapEvents?.mapListFailed(id, failure)],
    ];
    for (const [asked, fail] of ends) {
      const ids = [...asked];
      asked.clear();
      for (const id of ids) fail(id);
    }
  }
}
