/** Titanic in this process: the machine, its store, its turns in the broker's loop. */
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop } from '../broker/io/loop.js';
import type { PairEvents } from '../bstar/events.js';
import type { Config } from '../config/config.js';
import { present } from '../core/assert.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import { openSqliteReading } from '../titanic/io/sqlite-reading.js';
import { openSqliteStore } from '../titanic/io/sqlite-store.js';
import type { TitanicEvents } from '../titanic/events.js';
import type { TitanicOffice } from '../titanic/office.js';
import { Alone } from '../titanic/replica.js';
import type {
  MergeFailure,
  Store,
  StoreCounts,
  StoreEvents,
  StoreFailure,
} from '../titanic/store.js';
import { Titanic } from '../titanic/titanic.js';
import { awake, officeOf } from './office.js';
import { PairStore } from './pair-store.js';

export interface StoredRequests {
  readonly titanic: Titanic;
  /** `null`: the store belongs to no pair. */
  readonly pairStore: PairStore | null;
  /** What operators see and do. */
  readonly office: TitanicOffice;
  /** Before the broker drains: orders about many requests go no further. */
  quiesce(): void;
  /** After the broker has drained: ends with what is under way on disk. */
  close(): Promise<void>;
}

/** What Titanic lives in. */
export interface Surroundings {
  readonly config: Config;
  readonly dataDir: string;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly events: TitanicEvents;
  /** `null`: nothing is replicated. */
  readonly pairEvents: PairEvents | null;
  /** The store can no longer be trusted: the process has to end. */
  readonly fatal: (error: MajordomoError) => void;
}

/**
 * Opens the store and plugs Titanic into the broker. Resolves when everything pending is known; in a
 * pair Titanic sleeps until the pair wakes it.
 * @throws the store's errors
 */
export async function startStoredRequests(surroundings: Surroundings): Promise<StoredRequests> {
  const { config, dataDir, broker, loop, events, pairEvents, fatal } = surroundings;
  const told = new Told(loop, fatal);
  const file = join(dataDir, config.titanic.file);
  const open = openSqliteStore(file);
  const { store, recovered } = await open(told);
  if (pairEvents !== null && !recovered.isNumbered) {
    await store.close();
    const text = 'the disk is full: a node of a pair that cannot write does not start';
    throw new MajordomoError('ERR_TITANIC_FULL', `store ${file}: ${text}`);
  }
  const isStrict = config.titanic.replication === 'strict';
  const pairStore =
    pairEvents === null ? null : new PairStore(store, recovered, isStrict, pairEvents);
  const replica = pairStore ?? new Alone(recovered.firstTransaction);
  const titanic = new Titanic(config.titanic, store, replica, events, secureRandom);
  told.begin(titanic, pairStore);
  titanic.setTime(monotonicMs(), Date.now());
  broker.host(titanic);
  broker.keep(titanic);
  if (pairStore === null) await restore(titanic, told, recovered.counts, store);
  else titanic.counted(recovered.counts);
  const reading = openSqliteReading(file);
  const operator = titanic.operator(awake(reading, loop));
  return {
    titanic,
    pairStore,
    office: officeOf(operator, loop),
    quiesce: () => {
      operator.stop();
    },
    close: async () => {
      await reading.close();
      await store.close();
    },
  };
}

async function restore(
  titanic: Titanic,
  told: Told,
  counts: StoreCounts,
  store: Store,
): Promise<void> {
  const restored = told.restored();
  titanic.activate(counts);
  try {
    await restored;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Codes of a start that could not read what is pending. */
const LIST_CODES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'ERR_TITANIC_FULL',
  busy: 'ERR_TITANIC_BUSY',
  fatal: 'ERR_TITANIC_DISK',
};

/** What the store tells goes into the machine, which acts on it in the turn that this brings. */
class Told implements StoreEvents {
  readonly #loop: BrokerLoop;
  readonly #fatal: (error: MajordomoError) => void;
  /** The machine is made when the store is open, which tells nothing that it was not asked. */
  #titanic: Titanic | null = null;
  #pairStore: PairStore | null = null;
  #restored: { done(): void; failed(error: MajordomoError): void } | null = null;

  constructor(loop: BrokerLoop, fatal: (error: MajordomoError) => void) {
    this.#loop = loop;
    this.#fatal = fatal;
  }

  begin(titanic: Titanic, pairStore: PairStore | null): void {
    this.#titanic = titanic;
    this.#pairStore = pairStore;
  }

  /** Resolves when everything pending is known to the machine; rejects if it cannot be read. */
  restored(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#restored = { done: resolve, failed: reject };
    });
  }

  committed(...told: Parameters<StoreEvents['committed']>): void {
    const [number, , counts] = told;
    this.#loop.wake();
    if (this.#pairStore?.committed(number, counts) !== true) this.#machine.committed(...told);
  }

  batchFailed(transaction: number, failure: StoreFailure): void {
    this.#loop.wake();
    if (this.#pairStore?.batchFailed(transaction, failure) !== true) {
      this.#machine.batchFailed(transaction, failure);
    }
    this.#end(failure);
  }

  loaded(...told: Parameters<StoreEvents['loaded']>): void {
    this.#machine.loaded(...told);
  }

  found(...told: Parameters<StoreEvents['found']>): void {
    this.#machine.found(...told);
  }

  listed(...told: Parameters<StoreEvents['listed']>): void {
    const machine = this.#machine;
    machine.setTime(monotonicMs(), Date.now());
    machine.listed(...told);
    if (!machine.isRestored) return;
    this.#restored?.done();
    this.#restored = null;
  }

  loadFailed(load: number, failure: StoreFailure): void {
    this.#machine.loadFailed(load);
    this.#end(failure);
  }

  lookFailed(look: number, failure: StoreFailure): void {
    this.#machine.lookFailed(look);
    this.#end(failure);
  }

  listFailed(list: number, failure: StoreFailure): void {
    this.#machine.listFailed(list);
    this.#restored?.failed(new MajordomoError(LIST_CODES[failure.kind], failure.message));
    this.#restored = null;
  }

  merged(...told: Parameters<StoreEvents['merged']>): void {
    this.#loop.wake();
    this.#pairStore?.merged(...told);
  }

  mergeFailed(transaction: number, failure: MergeFailure): void {
    this.#loop.wake();
    this.#pairStore?.mergeFailed(transaction, failure);
    if (failure.kind !== 'malformed') this.#end({ ...failure, kind: failure.kind });
  }

  chunk(...told: Parameters<StoreEvents['chunk']>): void {
    this.#loop.wake();
    this.#pairStore?.chunk(...told);
  }

  readFailed(read: number, failure: StoreFailure): void {
    this.#loop.wake();
    this.#pairStore?.readFailed(read, failure);
    this.#end(failure);
  }

  get #machine(): Titanic {
    this.#loop.wake();
    return present(this.#titanic, 'a store tells nothing that it was not asked');
  }

  #end(failure: StoreFailure): void {
    if (failure.kind !== 'fatal') return;
    this.#fatal(new MajordomoError('ERR_TITANIC_DISK', failure.message));
  }
}
