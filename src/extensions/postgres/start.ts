/** Opens the store of a node in a database, and passes on what becomes of its connection. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { SharedStore } from '../../bstar/replication/shared-store.js';
import { monotonicMs } from '../../core/clock.js';
import {
  operated,
  type DatabaseView,
  restore,
  type TitanicDeps,
  type TitanicHost,
  titanicOn,
} from '../../node/stored.js';
import { StoreReports } from '../../node/store-reports.js';
import { packHint } from '../../store/hint-codec.js';
import { refuseLeftBehind } from '../../store/sqlite/file/left-behind.js';
import type { ClaimStore, Recovered } from '../../store/store.js';
import type { TitanicClaims } from '../../titanic/machine/requests/context.js';
import type { TitanicEvents } from '../../titanic/machine/requests/events.js';
import type { Titanic } from '../../titanic/machine/titanic.js';
import { uuidText } from '../../wire/tsp.js';
import { PROCESS_CLOCK } from './clock.js';
import { HeardHints } from './heard-hints.js';
import { loginOf, shownDatabase } from './login.js';
import { type DatabaseMemory, readDatabaseMemory, writeDatabaseMemory } from './memory.js';
import {
  type OpenPostgres,
  openPostgresQueries,
  openPostgresStore,
  type StoreReport,
} from './postgres-store.js';
import { StoreClock } from './store-clock.js';

const DIRECTORY_ID_DIGITS = 32;

/** @throws as `refuseLeftBehind`, `loginOf` and `openPostgresStore` */
export async function startInDatabase(deps: TitanicDeps): Promise<TitanicHost> {
  const { config, dataDir, configFile, loop, events, fatal } = deps;
  const wake = (): void => loop.wake();
  refuseLeftBehind(join(dataDir, config.titanic.file), configFile);
  const memory = readDatabaseMemory(dataDir);
  const order = await orderOf(deps, memory);
  const clock = new StoreClock();
  const reports = new StoreReports(wake, clock, fatal);
  const database = new Database({ dataDir, order, memory, events, clock });
  const { store, recovered } = await openPostgresStore(order, reports, (report) => {
    wake();
    database.reported(report);
  });
  const replica = database.opened(store, recovered);
  const hints = new HintCarrier(store, order.hints);
  const titanic = titanicOn(store, recovered, replica, deps, clock, claimsOf(store, hints));
  database.serve(titanic);
  reports.titanic = titanic;
  await restore(titanic, reports, store);
  const heard = new HeardHints(PROCESS_CLOCK, (hint) => {
    reports.arrived();
    reports.hinted(hint);
  });
  return {
    titanic,
    replication: null,
    epochMax: 0,
    part: () => null,
    time: clock,
    database: database.view,
    hints: {
      sendBy: (carrier) => {
        hints.carrier = carrier;
      },
      received: (content) => heard.heard(content),
    },
    ...operated(titanic, store, openPostgresQueries(database.openOptions), loop),
  };
}

async function orderOf(
  { config, isNewStore }: TitanicDeps,
  memory: DatabaseMemory,
): Promise<OpenPostgres> {
  const login = { ...(await loginOf(config)), ...(isNewStore ? { history: null } : {}) };
  return {
    login,
    name: shownDatabase(login),
    timeoutMs: config.titanic.storeTimeoutMs,
    leaseMs: config.fleet.leaseMs,
    node: config.node.name,
    // A copy of the directory on another machine has another id: its lock proves nothing there.
    directoryId: createHash('sha256')
      .update(`${memory.home} ${hostname()}`)
      .digest('hex')
      .slice(0, DIRECTORY_ID_DIGITS),
    storeId: isNewStore ? null : memory.storeId,
    // With NATS, hints are sent over it.
    hints: config.fleet.nats.length === 0,
  };
}

/** Sends hints to the other brokers of the store. */
class HintCarrier {
  carrier: ((content: Buffer) => void) | null = null;
  readonly #store: ClaimStore;
  readonly #sendsByStore: boolean;

  /** @param sendsByStore without NATS, the store sends them */
  constructor(store: ClaimStore, sendsByStore: boolean) {
    this.#store = store;
    this.#sendsByStore = sendsByStore;
  }

  readonly hint: TitanicClaims['hint'] = (hint) => {
    if (this.#sendsByStore) this.#store.hint(hint);
    else this.carrier?.(packHint(hint));
  };
}

function claimsOf(store: ClaimStore, { hint }: HintCarrier): TitanicClaims {
  return {
    claim: (...order) => store.claim(...order),
    listKept: (...order) => store.listKept(...order),
    hint,
  };
}

interface DatabaseDeps {
  readonly dataDir: string;
  readonly order: OpenPostgres;
  readonly memory: DatabaseMemory;
  readonly events: TitanicEvents;
  /** Is set by the clock of the store. */
  readonly clock: StoreClock;
}

type SessionsReport = Extract<StoreReport, { readonly report: 'sessions' }>;
type ReportHandlers = {
  readonly [R in StoreReport['report']]: (
    report: Extract<StoreReport, { readonly report: R }>,
  ) => void;
};

/** What a node knows of its database, from what the store's thread reports. */
class Database {
  readonly #in: DatabaseDeps;
  #memory: DatabaseMemory;
  /** The newest history of the server. */
  #history: DatabaseMemory['history'];
  #how: 'made' | 'found' = 'found';
  #replica: SharedStore | null = null;
  #titanic: Titanic | null = null;
  #lastRenewal = -Infinity;
  #hasSession = true;
  #sessions: SessionsReport | null = null;
  #oldestSnapshotSeconds: number | null = null;
  #unclaimedSince: ReadonlyMap<string, number> = new Map();
  #server = '';
  #isUp = true;
  /** Since when it can be reached, or not. */
  #since = new Date();

  constructor(deps: DatabaseDeps) {
    this.#in = deps;
    this.#memory = deps.memory;
    this.#history = deps.memory.history;
  }

  opened(store: ClaimStore, recovered: Recovered): SharedStore {
    const { order, events } = this.#in;
    const storeId = recovered.storeId.toString('hex');
    const known = this.#memory.storeId;
    this.#remember({ storeId, history: this.#history });
    if (known === null) events.emit({ name: 'store.known', how: this.#how, id: storeId });
    else if (known !== storeId) events.emit({ name: 'store.renewed', id: storeId, aside: null });
    this.#replica = new SharedStore(
      store,
      recovered.firstTransaction,
      order.leaseMs,
      order.timeoutMs,
      monotonicMs,
      this.#lastRenewal,
    );
    return this.#replica;
  }

  /** From now on the machine is told what concerns it. */
  serve(titanic: Titanic): void {
    this.#titanic = titanic;
    const { store } = titanic.figures.counters;
    store.oldestSnapshotSeconds = this.#oldestSnapshotSeconds;
    store.unclaimedSince = this.#unclaimedSince;
    store.isUp = this.#isUp;
  }

  /** For threads that read it. */
  get openOptions(): OpenPostgres {
    const { order } = this.#in;
    const { history, storeId } = this.#memory;
    return { ...order, login: { ...order.login, history }, storeId };
  }

  #remember(news: Partial<DatabaseMemory>): void {
    this.#memory = { ...this.#memory, ...news };
    writeDatabaseMemory(this.#in.dataDir, this.#memory);
  }

  // ---------------------------------------------------------------- reports

  reported(report: StoreReport): void {
    // Each report goes to the line of its own name.
    (this.#reports[report.report] as (report: StoreReport) => void)(report);
  }

  readonly #reports: ReportHandlers = {
    renewed: ({ sentAtMs, storeMs }) => {
      const at = monotonicMs() - (PROCESS_CLOCK.now() - sentAtMs);
      this.#lastRenewal = Math.max(this.#lastRenewal, at);
      this.#replica?.renewed(at);
      this.#in.clock.set(at, storeMs, monotonicMs());
      this.#hasSessionNow();
    },
    ended: () => {
      this.#replica?.ended();
      this.#hasNoSession('its session has ended');
    },
    overdue: ({ text }) => this.#hasNoSession(`it was not renewed: ${text}`),
    sessions: (report) => {
      this.#sessions = report;
    },
    otherEnded: ({ node, session }) => {
      this.#in.events.emit({ name: 'store.session_ended', node, session });
    },
    taken: () => this.#hasSessionNow(),
    connected: ({ host, history }) => {
      this.#server = host;
      const known = this.#history;
      if (known?.systemId === history.systemId && known.timeline === history.timeline) return;
      this.#history = history;
      // Before the store is open, it may be the history of another one, which is refused.
      if (this.#replica !== null) this.#remember({ history });
    },
    made: () => {
      this.#how = 'made';
    },
    snapshot: ({ seconds }) => {
      this.#oldestSnapshotSeconds = seconds;
      if (this.#titanic !== null) {
        this.#titanic.figures.counters.store.oldestSnapshotSeconds = seconds;
      }
    },
    unclaimed: ({ since }) => {
      this.#unclaimedSince = since;
      if (this.#titanic !== null) this.#titanic.figures.counters.store.unclaimedSince = since;
    },
    refused: ({ text }) => this.#in.events.emit({ name: 'store.refused', text }),
    unread: ({ text }) => this.#in.events.emit({ name: 'store.unread', text }),
    'set-aside': ({ text }) => this.#in.events.emit({ name: 'store.set_aside', text }),
    locked: ({ uuid, pid }) => {
      const shown = uuidText(Buffer.from(uuid, 'hex'));
      this.#in.events.emit({ name: 'store.locked', uuid: shown, pid });
    },
    flooded: ({ pid }) => this.#in.events.emit({ name: 'store.flooded', pid }),
    lost: ({ text }) => {
      this.#replica?.lost();
      this.#setUp(false);
      this.#in.events.emit({ name: 'store.lost', text });
    },
    returned: ({ host, awayMs }) => {
      this.#replica?.returned();
      this.#setUp(true);
      this.#in.events.emit({ name: 'store.returned', host, awayMs });
      if (this.#hasSession) this.#titanic?.regained();
    },
    failedover: ({ host, text }) => this.#in.events.emit({ name: 'store.switched', host, text }),
    retried: ({ reason }) => {
      if (this.#titanic !== null) this.#titanic.figures.counters.store.retries[reason]++;
    },
  };

  #hasSessionNow(): void {
    if (!this.#hasSession) {
      this.#in.events.emit({ name: 'store.session_taken' });
      this.#titanic?.regained();
    }
    this.#hasSession = true;
  }

  /**
   * Reports a lost session each time that it is seen. `StoreCauses` passes it on once, and not while the store is lost:
   * it has to hear again what lasts after that.
   */
  #hasNoSession(text: string): void {
    this.#in.events.emit({ name: 'store.session_lost', text });
    this.#hasSession = false;
  }

  #setUp(isUp: boolean): void {
    this.#isUp = isUp;
    this.#since = new Date();
    if (this.#titanic !== null) this.#titanic.figures.counters.store.isUp = isUp;
  }

  // ---------------------------------------------------------------- questions

  readonly view: DatabaseView = {
    toClients: (now) => {
      const { leaseMs, node } = this.#in.order;
      const { mine = null, others = [] } = this.#sessions ?? {};
      const own = { session: mine ?? 0, node, self: true, overdue: false };
      const hasOwn = mine !== null && this.#replica?.refusal === null;
      return {
        up: this.#isUp,
        leaseMs,
        accepted: this.#titanic?.figures.counters.accepted ?? 0,
        completed: this.#titanic?.figures.counters.completed ?? 0,
        renewedMs: Math.max(0, Math.round(now - this.#lastRenewal)),
        sessions: [
          ...(hasOwn ? [own] : []),
          ...others.map(({ isOverdue, ...other }) => ({
            ...other,
            self: false,
            overdue: isOverdue,
          })),
        ],
      };
    },
    toOperators: () => ({
      database: this.#in.order.name,
      server: this.#server,
      up: this.#isUp,
      since: this.#since.toISOString(),
    }),
  };
}
