/** Titanic in this process: the machine, its store, its turns in the broker's loop. */
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop, Companion } from '../broker/io/loop.js';
import type { Config } from '../config/config.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import { openSqliteStore } from '../titanic/io/sqlite-store.js';
import type { TitanicEvents } from '../titanic/events.js';
import type { Store, StoreEvents, StoreFailure } from '../titanic/store.js';
import { Titanic } from '../titanic/titanic.js';

export interface StoredRequests {
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
  const startedAt = monotonicMs();
  const late = new LateStore();
  const titanic = new Titanic(config.titanic, late, events, secureRandom);
  const told = tell(titanic, loop, fatal);
  const open = openSqliteStore(join(dataDir, config.titanic.file));
  const { store, recovered } = await open(told, (requests) => {
    titanic.setTime(monotonicMs(), Date.now());
    titanic.restore(requests);
  });
  late.store = store;
  const tookMs = Math.round(monotonicMs() - startedAt);
  titanic.recovered(recovered.counts, recovered.nextNumber, tookMs);
  broker.host(titanic);
  broker.keep(titanic);
  loop.accompany(companion(titanic, broker));
  return { close: () => store.close() };
}

/** The machine is made before its store is open, and asks nothing of it before. */
class LateStore implements Omit<Store, 'close'> {
  store: Store | null = null;

  commit(...batch: Parameters<Store['commit']>): void {
    this.store?.commit(...batch);
  }

  load(...load: Parameters<Store['load']>): void {
    this.store?.load(...load);
  }

  lookUp(...look: Parameters<Store['lookUp']>): void {
    this.store?.lookUp(...look);
  }
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

/** What the store tells goes into the machine, which acts on it in the turn that this brings. */
function tell(
  titanic: Titanic,
  loop: BrokerLoop,
  fatal: (error: MajordomoError) => void,
): StoreEvents {
  const end = (failure: StoreFailure): void => {
    if (failure.kind === 'fatal') fatal(new MajordomoError('ERR_TITANIC_DISK', failure.message));
  };
  return {
    committed: (batch, results, counts) => {
      loop.wake();
      titanic.committed(batch, results, counts);
    },
    batchFailed: (batch, failure) => {
      loop.wake();
      titanic.batchFailed(batch, failure);
      end(failure);
    },
    loaded: (load, bodies) => {
      loop.wake();
      titanic.loaded(load, bodies);
    },
    found: (look, found) => {
      loop.wake();
      titanic.found(look, found);
    },
    loadFailed: (load, failure) => {
      loop.wake();
      titanic.loadFailed(load);
      end(failure);
    },
    lookFailed: (look, failure) => {
      loop.wake();
      titanic.lookFailed(look);
      end(failure);
    },
  };
}
