/** Titanic in this process: the machine, its store, and its turns in the broker's loop. */
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop } from '../broker/io/loop.js';
import type { PairEvents } from '../bstar/events.js';
import type { Config } from '../config/config.js';
import { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import type { MapMachine } from '../map/map-machine.js';
import type { MapReplica, MapStoreReads } from '../map/replica.js';
import type { StoreNews } from '../titanic/io/file/known-store.js';
import { openSqliteQueries } from '../titanic/io/queries/sqlite-queries.js';
import { openSqliteStore } from '../titanic/io/sqlite-store.js';
import type { TitanicEvent, TitanicEvents } from '../titanic/machine/events.js';
import type { OperatorApi } from '../titanic/operator/operator-api.js';
import { Operator } from '../titanic/operator/operator.js';
import { Replication } from '../replication/replication.js';
import { Standalone } from '../replication/standalone.js';
import type { Store } from '../titanic/store/store.js';
import { Titanic } from '../titanic/machine/titanic.js';
import { awake, operatorApiOf } from './operator-api.js';
import { MapResults } from './map-results.js';
import { StoreEventRouter } from './store-event-router.js';
import { SYSTEM_TIME } from './turns.js';

/** Where a map keeps its records: beside the requests. */
export interface MapKeeping {
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  /** The highest epoch of any record in the store; 0: there is none. */
  readonly epochMax: number;
  /** From now on, this machine is told what becomes of its changes. Called before it is opened. */
  serve(machine: MapMachine): void;
}

export interface TitanicHost {
  readonly titanic: Titanic;
  /** `null`: the store belongs to no pair. */
  readonly replication: Replication | null;
  readonly map: MapKeeping;
  /** The API for operators. */
  readonly operatorApi: OperatorApi;
  /** Called before the broker drains: bulk commands stop. */
  quiesce(): void;
  /** Called after the broker has drained: completes what is in progress on disk. */
  close(): Promise<void>;
}

/** What Titanic depends on. */
export interface TitanicDeps {
  readonly config: Config;
  readonly dataDir: string;
  /** Allows a store other than the one that the directory remembers. */
  readonly isNewStore: boolean;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly events: TitanicEvents;
  /** `null`: nothing is replicated. */
  readonly pairEvents: PairEvents | null;
  /** The store can no longer be trusted: the process must end. */
  readonly fatal: (error: MajordomoError) => void;
}

/**
 * Opens the store and connects Titanic to the broker. Resolves when all pending requests are known;
 * in a pair Titanic is inactive until the pair activates it.
 * @throws the store's errors
 */
export async function startStoredRequests(deps: TitanicDeps): Promise<TitanicHost> {
  const { config, dataDir, isNewStore, broker, loop, events, pairEvents, fatal } = deps;
  const wake = (): void => {
    loop.wake();
  };
  const router = new StoreEventRouter(wake, SYSTEM_TIME, fatal);
  const file = join(dataDir, config.titanic.file);
  const open = openSqliteStore(file, {
    isNewStore,
    isPaired: pairEvents !== null,
    news: (news) => {
      events.emit(eventOf(news));
    },
  });
  const { store, recovered } = await open(router, router);
  if (pairEvents !== null && !recovered.isNumbered) {
    await store.close();
    const text = 'the disk is full: a node of a pair that cannot write does not start';
    throw new MajordomoError('ERR_TITANIC_FULL', `store ${file}: ${text}`);
  }
  const replication =
    pairEvents === null
      ? null
      : new Replication(config.titanic.replication, store, recovered, pairEvents);
  const standalone = new Standalone(store, recovered.firstTransaction);
  const replica = replication ?? standalone;
  const { labels } = broker.counters.requests;
  const titanic = new Titanic(config.titanic, store, replica, events, secureRandom, labels);
  replication?.serve(titanic);
  router.begin(titanic, replication);
  titanic.counted(recovered.counts);
  titanic.setTime(SYSTEM_TIME.now(), SYSTEM_TIME.wall());
  broker.host(titanic);
  broker.keep(titanic);
  if (replication === null) await restore(titanic, router, store);
  const queries = openSqliteQueries(file);
  const operator = new Operator(titanic.operatorHost(), awake(queries, loop));
  return {
    titanic,
    replication,
    map: {
      replica: replication?.map ?? standalone.mapIn(store),
      store: {
        list: (list, after) => {
          store.listMap(list, after);
        },
      },
      epochMax: recovered.mapEpochMax,
      serve: (machine) => {
        router.serveMap(new MapResults(machine, SYSTEM_TIME));
      },
    },
    operatorApi: operatorApiOf(operator, loop),
    quiesce: () => {
      operator.stop();
    },
    close: async () => {
      await queries.close();
      await store.close();
    },
  };
}

function eventOf({ how, id, aside }: StoreNews): TitanicEvent {
  switch (how) {
    case 'made':
    case 'found':
      return { name: 'store.known', how, id };
    case 'anew':
      return { name: 'store.renewed', id, aside };
    case 'kept':
      return { name: 'store.kept', id };
  }
}

async function restore(titanic: Titanic, router: StoreEventRouter, store: Store): Promise<void> {
  const restored = router.restored();
  titanic.activate();
  try {
    await restored;
  } catch (error) {
    await store.close();
    throw error;
  }
}
