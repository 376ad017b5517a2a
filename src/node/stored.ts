/** Titanic in this process: the machine, its store, and its turns in the broker's loop. */
import { join } from 'node:path';

import type { Status } from '../admin/api/node-answers.js';
import type { Broker } from '../broker/broker.js';
import type { BrokerLoop } from '../broker/io/loop.js';
import type { PairEvents } from '../bstar/pair-events.js';
import type { Config } from '../config/config.js';
import { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import type { PartStorage } from '../store/ranked.js';
import type { StoreNews } from '../store/sqlite/file/known-store.js';
import type { LogReport } from '../store/sqlite/file/log-watch.js';
import type { AsideNews } from '../store/thread/opening.js';
import { openSqliteQueries } from '../store/sqlite/queries/sqlite-queries.js';
import type { ClosableQueries } from '../store/thread/thread-queries.js';
import { openSqliteStore } from '../store/sqlite/sqlite-store.js';
import type { TitanicEvent, TitanicEvents } from '../titanic/machine/requests/events.js';
import type { OperatorApi } from '../titanic/operator/operator-api.js';
import { Operator } from '../titanic/operator/operator.js';
import { Replication } from '../bstar/replication/replication.js';
import { Standalone } from '../bstar/replication/standalone.js';
import type { OwnedKey } from '../store/queries.js';
import type { Recovered, Store, StoreFailure } from '../store/store.js';
import type { TitanicClaims } from '../titanic/machine/requests/context.js';
import type { Replica } from '../titanic/machine/requests/replica.js';
import type { TitanicCounters } from '../titanic/machine/requests/counters.js';
import { Titanic } from '../titanic/machine/titanic.js';
import type { SharedStoreStatus } from '../wire/mmi.js';
import { awake, operatorApiOf } from './operator-api.js';
import { StoreReports } from './store-reports.js';
import { SYSTEM_TIME, type Time } from '../core/clock.js';

/** What is shown of a database. */
export interface DatabaseView {
  /** Shows the store for `mmi.fleet`. @param now monotonic milliseconds */
  toClients(now: number): SharedStoreStatus;
  toOperators(): NonNullable<Status['store']>;
}

/** Hints between the brokers of a shared store. */
export interface HintChannel {
  /** Takes one of another broker. */
  readonly received: (content: Buffer) => void;
  /** Sends hints this way from now on. */
  sendBy(carrier: (content: Buffer) => void): void;
}

export interface TitanicHost {
  readonly titanic: Titanic;
  /** `null`: the store belongs to no pair. */
  readonly replication: Replication | null;
  /**
   * The part of the store with this number, for its extension; `null`: a database keeps nothing but
   * requests.
   */
  readonly part: (part: number) => PartStorage | null;
  /** The highest epoch of the records of all parts; 0: there is none. */
  readonly epochMax: number;
  /** The clock of what is stored. */
  readonly time: Time;
  /** `null`: the store is a file. */
  readonly database: DatabaseView | null;
  /** `null`: the store is a file. */
  readonly hints: HintChannel | null;
  /** The API for operators. */
  readonly operatorApi: OperatorApi;
  /** Whether the store has an idempotency key. */
  readonly hasKey: (key: OwnedKey) => Promise<boolean | StoreFailure>;
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
  /** The file of the configuration; `null`: there is none. */
  readonly configFile: string | null;
  /** Parts of the store that extensions of this program have. */
  readonly parts: ReadonlySet<number>;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly events: TitanicEvents;
  /** `null`: nothing is replicated. */
  readonly pairEvents: PairEvents | null;
  /** The store can no longer be trusted: the process must end. */
  readonly fatal: (error: MajordomoError) => void;
}

/**
 * Opens the store in a file and connects Titanic to the broker. Resolves when all pending requests are known;
 * in a pair Titanic is inactive until the pair activates it.
 * @throws the store's errors
 */
export async function startStoredRequests(deps: TitanicDeps): Promise<TitanicHost> {
  const { config, dataDir, isNewStore, loop, events, pairEvents, fatal } = deps;
  const wake = (): void => loop.wake();
  const reports = new StoreReports(wake, SYSTEM_TIME, fatal);
  const file = join(dataDir, config.titanic.file);
  const log = new StoreLog(events);
  const open = openSqliteStore(file, {
    isNewStore,
    isPaired: pairEvents !== null,
    news: (news) => {
      if ('how' in news) events.emit(eventOf(news));
      else log.reported(news);
    },
  });
  const { store, recovered } = await open(reports);
  if (pairEvents !== null && !recovered.isNumbered) {
    await store.close();
    const text = 'the disk is full: a node of a pair that cannot write does not start';
    throw new MajordomoError('ERR_TITANIC_FULL', `store ${file}: ${text}`);
  }
  const told = new Set<number>();
  /** Told once of each part that no extension of this program knows: its records are only kept. */
  const kept = (part: number): void => {
    if (deps.parts.has(part) || told.has(part)) return;
    told.add(part);
    events.emit({ name: 'store.part_kept', part });
  };
  for (const { part } of recovered.parts) kept(part);
  const replication =
    pairEvents === null
      ? null
      : new Replication(config.titanic.replication, store, recovered, pairEvents, kept);
  const standalone = new Standalone(store, recovered.firstTransaction);
  const titanic = titanicOn(store, recovered, replication ?? standalone, deps);
  reports.titanic = titanic;
  log.serve(titanic.figures.counters);
  replication?.serve(titanic);
  if (replication === null) await restore(titanic, reports, store);
  return {
    titanic,
    replication,
    time: SYSTEM_TIME,
    database: null,
    hints: null,
    epochMax: recovered.epochMax,
    part: (part) => ({
      replica: replication?.partReplica(part) ?? standalone.partIn(store, part),
      list: (after, completion) => store.listRanked(part, after, completion),
      epochMax: recovered.epochMax,
      tombstones: recovered.parts.find((of) => of.part === part) ?? { part, count: 0, keyBytes: 0 },
      serve: (extension) => {
        reports.parts.set(part, extension);
        replication?.parts.set(part, extension);
      },
    }),
    ...operated(titanic, store, openSqliteQueries(file), loop),
  };
}

/** Connects Titanic, with what an open store contains, to the broker. */
export function titanicOn(
  store: Store,
  recovered: Recovered,
  replica: Replica,
  { config, broker, events }: TitanicDeps,
  time: Time = SYSTEM_TIME,
  claims: TitanicClaims | null = null,
): Titanic {
  const { services: counted } = broker.counters.requests;
  const titanic = new Titanic(
    config.titanic,
    store,
    replica,
    events,
    secureRandom,
    counted,
    claims,
  );
  titanic.counted(recovered.counts);
  titanic.setTime(time.now(), time.wall());
  titanic.opened(recovered.newestAt);
  broker.internals.all.push(titanic);
  broker.storedDeliveries.attach(titanic);
  return titanic;
}

/** The store answers so many in a few milliseconds. */
const KEYS_AT_ONCE_MAX = 256;

/** Keys that are asked for while the store is read for others are read together: they take one place in its queue. */
function keyReader(queries: ClosableQueries): TitanicHost['hasKey'] {
  const waiting: { readonly key: OwnedKey; answer: (known: boolean | StoreFailure) => void }[] = [];
  let isReading = false;
  const read = (): void => {
    const asked = waiting.splice(0, KEYS_AT_ONCE_MAX);
    isReading = asked.length > 0;
    if (!isReading) return;
    const keys = asked.map(({ key }) => key);
    queries.hasKeys(keys, (known) => {
      for (const [at, { answer }] of asked.entries()) {
        answer('message' in known ? known : known[at] === true);
      }
      read();
    });
  };
  return (key) =>
    new Promise((answer) => {
      waiting.push({ key, answer });
      if (!isReading) read();
    });
}

/** What operators can do with it, and its end. */
export function operated(
  titanic: Titanic,
  store: Store,
  queries: ClosableQueries,
  loop: BrokerLoop,
): Pick<TitanicHost, 'operatorApi' | 'hasKey' | 'quiesce' | 'close'> {
  const operator = new Operator(titanic.operatorHost(), awake(queries, loop));
  return {
    operatorApi: operatorApiOf(operator, loop),
    hasKey: keyReader(queries),
    quiesce: () => operator.many.stop(),
    close: async () => {
      await queries.close();
      await store.close();
    },
  };
}

/** Passes on what is told of the log of a store file. */
class StoreLog {
  readonly #events: TitanicEvents;
  #counters: TitanicCounters | null = null;
  #last: LogReport = { logBytes: 0, heldBy: null };

  constructor(events: TitanicEvents) {
    this.#events = events;
  }

  serve(counters: TitanicCounters): void {
    this.#counters = counters;
    counters.store.logBytes = this.#last.logBytes;
  }

  reported(report: LogReport): void {
    const before = this.#last.heldBy;
    this.#last = report;
    const { logBytes, heldBy } = report;
    if (this.#counters !== null) this.#counters.store.logBytes = logBytes;
    if (heldBy === before) return;
    if (heldBy === null) this.#events.emit({ name: 'store.log_freed' });
    else this.#events.emit({ name: 'store.log_held', by: heldBy, bytes: logBytes });
  }
}

function eventOf(news: StoreNews | AsideNews): TitanicEvent {
  if (news.how === 'set-aside') return { name: 'store.set_aside', text: news.text };
  const { how, id, aside } = news;
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

/** Resolves when the machine knows all pending requests. @throws, with the store closed, if they cannot be read */
export async function restore(
  titanic: Titanic,
  reports: StoreReports,
  store: Store,
): Promise<void> {
  try {
    await reports.restore(titanic);
  } catch (error) {
    await store.close();
    throw error;
  }
}
