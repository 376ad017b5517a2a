/** Titanic in this process: the machine, its store, its turns in the broker's loop. */
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop, Companion } from '../broker/io/loop.js';
import type { Config } from '../config/config.js';
import { assert, present } from '../core/assert.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import type { TitanicSource } from '../observe/titanic-metrics.js';
import { openSqliteReading } from '../titanic/io/sqlite-reading.js';
import { openSqliteStore } from '../titanic/io/sqlite-store.js';
import type { TitanicEvents, TitanicTrace } from '../titanic/events.js';
import type { TitanicOffice } from '../titanic/office.js';
import { Alone } from '../titanic/replica.js';
import type { StoreEvents, StoreFailure } from '../titanic/store.js';
import { Titanic } from '../titanic/titanic.js';
import { awake, officeOf } from './office.js';

export interface StoredRequests {
  /** What operators see and do. */
  readonly office: TitanicOffice;
  /** Before the broker drains: orders about many requests go no further. */
  quiesce(): void;
  /** What is counted of them. */
  readonly source: TitanicSource;
  /** See `Titanic.follow`. */
  follow(trace: TitanicTrace | null): void;
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
  /** The store can no longer be trusted: the process has to end. */
  readonly fatal: (error: MajordomoError) => void;
}

/**
 * Opens the store and plugs Titanic into the broker. Resolves when everything pending is known.
 * @throws the store's errors
 */
export async function startStoredRequests(surroundings: Surroundings): Promise<StoredRequests> {
  const { config, dataDir, broker, loop, events, fatal } = surroundings;
  const told = new Told(loop, fatal);
  const file = join(dataDir, config.titanic.file);
  const open = openSqliteStore(file);
  const { store, recovered } = await open(told);
  const alone = new Alone(recovered.firstTransaction);
  const titanic = new Titanic(config.titanic, store, alone, events, secureRandom);
  const restored = told.begin(titanic);
  titanic.setTime(monotonicMs(), Date.now());
  titanic.activate(recovered.counts);
  broker.host(titanic);
  broker.keep(titanic);
  loop.accompany(companion(titanic, broker));
  try {
    await restored;
  } catch (error) {
    await store.close();
    throw error;
  }
  const reading = openSqliteReading(file);
  const operator = titanic.operator(awake(reading, loop));
  return {
    source: titanic,
    follow: (trace) => {
      titanic.follow(trace);
    },
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

function companion(titanic: Titanic, broker: Broker): Companion {
  return {
    setTime: (now) => {
      titanic.setTime(now, Date.now());
    },
    run: (now) => {
      titanic.run(now, Date.now(), broker.desk, broker.desk);
    },
    dueInMs: (now) => titanic.dueInMs(now, Date.now()),
    get isSettled() {
      return titanic.isSettled;
    },
  };
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
  #restored: { done(): void; failed(error: MajordomoError): void } | null = null;

  constructor(loop: BrokerLoop, fatal: (error: MajordomoError) => void) {
    this.#loop = loop;
    this.#fatal = fatal;
  }

  /** Resolves when everything pending is known to the machine; rejects if it cannot be read. */
  begin(titanic: Titanic): Promise<void> {
    this.#titanic = titanic;
    return new Promise((resolve, reject) => {
      this.#restored = { done: resolve, failed: reject };
    });
  }

  committed(...told: Parameters<StoreEvents['committed']>): void {
    this.#machine.committed(...told);
  }

  batchFailed(transaction: number, failure: StoreFailure): void {
    this.#machine.batchFailed(transaction, failure);
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

  merged(): void {
    this.#neverAsked();
  }

  mergeFailed(): void {
    this.#neverAsked();
  }

  chunk(): void {
    this.#neverAsked();
  }

  readFailed(): void {
    this.#neverAsked();
  }

  get #machine(): Titanic {
    this.#loop.wake();
    return present(this.#titanic, 'a store tells nothing that it was not asked');
  }

  #neverAsked(): void {
    assert(false, 'a node of its own merges nothing');
  }

  #end(failure: StoreFailure): void {
    if (failure.kind !== 'fatal') return;
    this.#fatal(new MajordomoError('ERR_TITANIC_DISK', failure.message));
  }
}
