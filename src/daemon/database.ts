/** Opens the store of a node in a database, and passes on what becomes of its connection. */
import { hostname } from 'node:os';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { Config } from '../config/config.js';
import { isLoopback } from '../config/io/loopback.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import { placeOf, shownHost } from '../core/postgres-url.js';
import { SharedStore } from '../replication/shared-store.js';
import { refuseLeftBehind } from '../store/sqlite/file/left-behind.js';
import type { Examined } from '../extensions/postgres/examine.js';
import type { OpenPostgres, StoreReport } from '../extensions/postgres/messages.js';
import { openPostgresStore } from '../extensions/postgres/postgres-store.js';
import type { TitanicEvents } from '../titanic/machine/events.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { DatabaseStatus, FleetStore } from '../wire/mmi.js';
import { uuidText } from '../wire/tsp.js';
import type { ClaimStore, ClaimStoreEvents, Recovered } from '../store/store.js';
import {
  type DatabaseMemory,
  readDatabaseMemory,
  rememberedHistory,
  rememberedStore,
  writeDatabaseMemory,
} from './io/database-memory.js';
import type { StoreClock } from './store-clock.js';

const HOME_DIGITS = 32;

type SessionsReport = Extract<StoreReport, { readonly report: 'sessions' }>;

export interface DatabaseDeps {
  readonly config: Config;
  readonly dataDir: string;
  readonly isNewStore: boolean;
  /** For messages that name a command; `null`: there is none. */
  readonly configFile: string | null;
  readonly events: TitanicEvents;
  /** Is set by the clock of the store. */
  readonly clock: StoreClock;
  /** Something changed on which the machine acts in the turn that this causes. */
  readonly wake: () => void;
}

/** What is shown of a database. */
export interface DatabaseView {
  /** For `mmi.fleet`. @param now monotonic milliseconds */
  toClients(now: number): FleetStore;
  toOperators(): DatabaseStatus;
}

export interface OpenedDatabase {
  readonly store: ClaimStore;
  readonly recovered: Recovered;
  readonly replica: SharedStore;
  readonly place: OpenPostgres;
  readonly view: DatabaseView;
  /** From now on it is told what concerns it. */
  serve(titanic: Titanic): void;
}

/**
 * Where the store is, for its thread, and which history of it was used last.
 * @throws ERR_CONFIG_INVALID, if it was not checked before
 */
export async function loginOf({
  titanic,
  node,
}: {
  readonly titanic: Pick<Config['titanic'], 'store' | 'storePasswordFile'>;
  /** Absent: no history is remembered. */
  readonly node?: Pick<Config['node'], 'dataDir'>;
}): Promise<OpenPostgres['login']> {
  const place = placeOf(titanic.store);
  if (typeof place === 'string') throw new MajordomoError('ERR_CONFIG_INVALID', place);
  const areLocal = await Promise.all(
    place.hosts.map(async ({ host, port }) =>
      host.startsWith('/') ? true : isLoopback({ scheme: 'tcp', host, port }),
    ),
  );
  const isLocal = areLocal.every(Boolean);
  const history = node === undefined ? null : rememberedHistory(node.dataDir);
  return { place, passwordFile: titanic.storePasswordFile, isLoopback: isLocal, history };
}

/** A store in messages: without the user. */
export function shownDatabase({ place }: OpenPostgres['login']): string {
  return `${place.hosts.map(shownHost).join(',')}/${place.database}`;
}

/** The database of a configuration, for commands that look at it. @throws as `loginOf` */
export async function examinedOf(config: Pick<Config, 'titanic' | 'node'>): Promise<Examined> {
  const login = await loginOf(config);
  const storeId = rememberedStore(config.node.dataDir);
  return { login, name: shownDatabase(login), storeId };
}

/** @throws as `refuseLeftBehind` and `openPostgresStore` */
export async function openDatabase(
  { config, dataDir, isNewStore, configFile, events, clock, wake }: DatabaseDeps,
  reports: ClaimStoreEvents,
): Promise<OpenedDatabase> {
  refuseLeftBehind(join(dataDir, config.titanic.file), configFile);
  let memory = readDatabaseMemory(dataDir);
  const remember = (news: Partial<DatabaseMemory>): void => {
    memory = { ...memory, ...news };
    writeDatabaseMemory(dataDir, memory);
  };
  const login = { ...(await loginOf(config)), ...(isNewStore ? { history: null } : {}) };
  let history = memory.history;
  const { leaseMs } = config.fleet;
  const order: OpenPostgres = {
    login,
    name: shownDatabase(login),
    timeoutMs: config.titanic.storeTimeoutMs,
    leaseMs,
    node: config.node.name,
    // A copy of the directory on another machine is another home: its lock proves nothing there.
    home: createHash('sha256')
      .update(`${memory.home} ${hostname()}`)
      .digest('hex')
      .slice(0, HOME_DIGITS),
    storeId: isNewStore ? null : memory.storeId,
    // With NATS, hints are sent over it.
    hints: config.fleet.nats.length === 0,
  };
  let titanic: Titanic | null = null;
  let replica: SharedStore | null = null;
  let lastRenewal = -Infinity;
  let isOpen = false;
  let how = 'found' as 'made' | 'found';
  let sessions: SessionsReport | null = null;
  let oldestSnapshotSeconds: number | null = null;
  let unclaimedSince: ReadonlyMap<string, number> = new Map();
  let hasSession = true;
  let server = '';
  /** Since when it can be reached, or not. */
  let since = new Date();
  const hasNow = (): void => {
    if (!hasSession) {
      events.emit({ name: 'fleet.lease_taken' });
      titanic?.regained();
    }
    hasSession = true;
  };
  const hasNone = (text: string): void => {
    // Each time: after the store was away, it is told what lasts (`StoreCauses`).
    events.emit({ name: 'fleet.lease_lost', text });
    hasSession = false;
  };
  let isUp = true;
  const setUp = (up: boolean): void => {
    isUp = up;
    since = new Date();
    if (titanic !== null) titanic.figures.counters.store.isUp = up;
  };
  const report = (told: StoreReport): void => {
    wake();
    switch (told.report) {
      case 'renewed': {
        const at = monotonicOf(told.sentAtUs);
        lastRenewal = Math.max(lastRenewal, at);
        replica?.renewed(at);
        clock.set(at, told.storeMs);
        hasNow();
        break;
      }
      case 'ended':
        replica?.ended();
        hasNone('its session has ended');
        break;
      case 'overdue':
        hasNone(`it was not renewed: ${told.text}`);
        break;
      case 'sessions':
        sessions = told;
        break;
      case 'buried':
        events.emit({ name: 'fleet.lease_ended', node: told.node, session: told.session });
        break;
      case 'taken':
        hasNow();
        break;
      case 'connected': {
        server = told.host;
        const { systemId, timeline } = told.history;
        if (history?.systemId === systemId && history.timeline === timeline) break;
        history = told.history;
        // Before, it may be the history of another store, which is refused.
        if (isOpen) remember({ history });
        break;
      }
      case 'made':
        how = 'made';
        break;
      case 'snapshot':
        oldestSnapshotSeconds = told.seconds;
        if (titanic !== null) titanic.figures.counters.store.oldestSnapshotSeconds = told.seconds;
        break;
      case 'unclaimed':
        unclaimedSince = told.since;
        if (titanic !== null) titanic.figures.counters.store.unclaimedSince = told.since;
        break;
      case 'refused':
        events.emit({ name: 'store.refused', text: told.text });
        break;
      case 'set-aside':
        events.emit({ name: 'store.set_aside', text: told.text });
        break;
      case 'locked': {
        const { pid } = told;
        const uuid = uuidText(Buffer.from(told.uuid, 'hex'));
        events.emit({ name: 'store.locked', uuid, pid });
        break;
      }
      case 'lost':
        replica?.lost();
        setUp(false);
        events.emit({ name: 'store.lost', text: told.text });
        break;
      case 'returned':
        replica?.returned();
        setUp(true);
        events.emit({ name: 'store.returned', host: told.host, awayMs: told.awayMs });
        if (hasSession) titanic?.regained();
        break;
      case 'failedover':
        events.emit({ name: 'store.switched', host: told.host, text: told.text });
        break;
      case 'retried':
        if (titanic !== null) titanic.figures.counters.store.retries[told.reason]++;
    }
  };
  const { store, recovered } = await openPostgresStore(order, reports, report);
  const storeId = recovered.storeId.toString('hex');
  isOpen = true;
  const before = memory.storeId;
  remember({ storeId, history });
  if (before !== storeId) {
    events.emit(
      before === null
        ? { name: 'store.known', how, id: storeId }
        : { name: 'store.renewed', id: storeId, aside: null },
    );
  }
  const { firstTransaction } = recovered;
  replica = new SharedStore(
    store,
    firstTransaction,
    leaseMs,
    order.timeoutMs,
    monotonicMs,
    lastRenewal,
  );
  return {
    store,
    recovered,
    replica,
    place: { ...order, login: { ...login, history }, storeId },
    view: {
      toClients: (now) => {
        const { mine = null, others = [] } = sessions ?? {};
        const own = { session: mine ?? 0, node: order.node, self: true, overdue: false };
        return {
          ...{ up: isUp, leaseMs },
          accepted: titanic?.figures.counters.accepted ?? 0,
          completed: titanic?.figures.counters.completed ?? 0,
          renewedMs: Math.max(0, Math.round(now - lastRenewal)),
          sessions: [
            ...(mine === null || replica.refusal !== null ? [] : [own]),
            ...others.map(({ isOverdue, ...other }) => ({
              ...other,
              self: false,
              overdue: isOverdue,
            })),
          ],
        };
      },
      toOperators: () => ({
        ...{ database: order.name, server, up: isUp, since: since.toISOString() },
      }),
    },
    serve: (machine) => {
      titanic = machine;
      machine.figures.counters.store.oldestSnapshotSeconds = oldestSnapshotSeconds;
      machine.figures.counters.store.unclaimedSince = unclaimedSince;
      machine.figures.counters.store.isUp = isUp;
    },
  };
}

/** The clock of all threads, as that of this one. */
function monotonicOf(sharedUs: number): number {
  const ageMs = (Number(process.hrtime.bigint() / 1000n) - sharedUs) / 1000;
  return monotonicMs() - ageMs;
}
