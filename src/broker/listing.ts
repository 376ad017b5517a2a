/**
 * Lists what is registered, page by page, for callers outside the broker. A page blocks the loop
 * for a bounded time, however long the list is. The cursor says where to continue. Entries that
 * come or go in between may be missed, but none is listed twice.
 */
import type { CountedService } from '../core/counted-services.js';
import type {
  ServiceFigures,
  ServiceSeen,
  ServiceStatus,
  WorkerSeen,
  WorkerStatus,
} from '../wire/mmi-answers.js';
import { freePlaces, inFlight } from './gauges.js';
import type { RunLimit } from './options.js';
import type { Listed, Registry } from './ports.js';
import type { Service, Worker } from './state/entities.js';
import type { InternalServices } from './state/internal-services.js';
import type { Tables } from './state/request-store.js';
import type { Sessions } from './state/sessions.js';

/** Maximum number of entries examined for one page, even if few of them match. */
const LOOKED_AT_MAX = 10_000;
/** Maximum number of workers that are told of one identity. */
const HOLDERS_MAX = 8;

/**
 * The position after which a page begins: the number of a service, and of the last of its workers
 * that was listed.
 */
export interface Position {
  readonly service: number;
  readonly worker: number;
}

export const START: Position = { service: 0, worker: 0 };

export interface ListPage<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; `null`: this was the last page. */
  readonly next: Position | null;
}

/** Provides figures about services beyond their workers and queues. */
export interface FigureSource {
  of(service: Buffer, counted: CountedService): ServiceFigures;
}

const NO_FIGURES: ServiceFigures = { plain: null, durable: null };

function serviceStatus(service: Service, source: FigureSource | null): ServiceStatus {
  const { plain, durable } = source?.of(service.name, service.counted) ?? NO_FIGURES;
  return {
    service: service.shown,
    paused: service.isPaused,
    contracts: service.contracts?.count ?? 0,
    workersWaiting: service.workers.size - service.workersBusy,
    workersBusy: service.workersBusy,
    free: freePlaces(service),
    queued: service.waiting.plainCount,
    inFlight: inFlight(service),
    plain,
    durable,
  };
}

/** Groups that wait for a limit and are shown. */
const HELD_MAX = 10;

type ShownLimits = Pick<ServiceSeen, 'limits' | 'groupLimits' | 'limitsSet'>;

function limitsOf({ waiting }: Service, now: number): ShownLimits {
  const { gate, limits } = waiting;
  const set = limits?.set;
  const ofGroups = limits?.group ?? null;
  return {
    limits: gate && { ...shownLimit(gate.limit), runs: gate.running, held: gate.whyShut(now) },
    groupLimits: ofGroups && {
      ...shownLimit(ofGroups),
      onFailure: limits?.holds === true ? 'hold' : 'pass',
      held: waiting
        .longestHeld(now, HELD_MAX)
        .map(({ group, queued, why }) => ({ group, queued, why })),
    },
    limitsSet: set === undefined ? null : { by: set.by, at: new Date(set.at).toISOString() },
  };
}

function shownLimit({ running, perSecond, burst }: RunLimit) {
  const shown = (value: number): number | null => (value === Infinity ? null : value);
  return { running: shown(running), perSecond: shown(perSecond), burst };
}

function workerStatus(worker: Worker, now: number): WorkerStatus {
  return {
    service: worker.service.shown,
    state: worker.held.count > 0 ? 'busy' : 'waiting',
    version: worker.kind.shown,
    inFlight: worker.held.count,
    credit: worker.credit,
    sinceMs: Math.round(now - worker.registeredAt),
    key: worker.peer.key,
    name: worker.name,
    number: worker.number,
  };
}

/** Most entries of a long list are never shown, so the JSON is made only for those that are. */
class ListedLazily implements Listed {
  readonly service: number;
  readonly worker: number;
  readonly name: Buffer;
  readonly #status: () => ServiceStatus | WorkerStatus;
  #json: string | null = null;

  /** @param worker 0 for the service itself */
  constructor({ id, name }: Service, worker: number, status: () => ServiceStatus | WorkerStatus) {
    this.service = id;
    this.worker = worker;
    this.name = name;
    this.#status = status;
  }

  get json(): string {
    return (this.#json ??= JSON.stringify(this.#status()));
  }
}

/** A worker that has a request. */
interface Holder {
  /** The number of the worker, as in the log. */
  readonly worker: string;
  readonly workerName: string | null;
}

/** What one identity uses of the broker. */
export interface ClientSeen {
  /** The identity that quotas count it under (D70). */
  readonly identity: string;
  readonly connections: number;
  readonly workers: number;
  /** Requests in the last seconds, refused ones included. */
  readonly requestsPerSecond: number;
  readonly refusedPerSecond: number;
  /** Requests held for it, waiting or at workers. */
  readonly outstanding: number;
  /** All memory that the node holds for it (D77). */
  readonly heldBytes: number;
  /** Some of the workers that have plain requests of it. */
  readonly heldBy: readonly Holder[];
  /** The name of its quotas. */
  readonly quota: string | null;
}

/** What is listed. */
type Registered = Pick<Tables, 'clients' | 'services' | 'workers' | 'identities' | 'table'> & {
  readonly internals: InternalServices;
  readonly sessions: Sessions;
};

export class Listing implements Registry {
  readonly #data: Registered;
  /** Figures for lists; `null` until `setFigures` provides them. */
  #figures: FigureSource | null = null;

  constructor(data: Registered) {
    this.#data = data;
  }

  /** Lists contain figures from now on. */
  setFigures(source: FigureSource): void {
    this.#figures = source;
  }

  // ---------------------------------------------------------------- for internal services

  isServed(name: Buffer): boolean {
    const internal = this.#data.internals.find(name, 0, name.length);
    if (internal !== null) return internal.offers(name);
    const found = this.#find(name);
    return found !== null && found.workers.size + found.remotes.size > 0;
  }

  isPaused(name: Buffer): boolean {
    return this.#find(name)?.isPaused === true;
  }

  whyHeld(name: Buffer, now: number): string | null {
    return this.#find(name)?.waiting.whyAnyHeld(now) ?? null;
  }

  status(name: Buffer): ServiceStatus | null {
    const found = this.#find(name);
    return found === null ? null : serviceStatus(found, this.#figures);
  }

  contracts(name: Buffer): Buffer | null {
    return this.#find(name)?.contractsJson ?? null;
  }

  get serviceCount(): number {
    return this.#data.services.listed;
  }

  get workerCount(): number {
    return this.#data.workers.count;
  }

  allServices(now: number): Listed[] {
    const { services } = this.#data;
    services.forget(now);
    return Array.from(
      services.all(),
      (service) => new ListedLazily(service, 0, () => serviceStatus(service, this.#figures)),
    );
  }

  allWorkers(now: number): Listed[] {
    const found: Listed[] = [];
    for (const service of this.#data.services.all()) {
      for (const worker of service.workers) {
        const status = (): WorkerStatus => workerStatus(worker, now);
        found.push(new ListedLazily(service, worker.number, status));
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- for operators

  /** A page of the services, by number, starting at a position. */
  servicePage(
    from: Position,
    limit: number,
    name: Buffer | null,
    isWanted: (service: ServiceStatus) => boolean,
    now: number,
  ): ListPage<ServiceSeen> {
    const { services, sessions, table } = this.#data;
    services.forget(now);
    const items: ServiceSeen[] = [];
    const away = sessions.requestsAway(table, LOOKED_AT_MAX);
    let lookedAt = 0;
    for (const service of this.#named(name, from.service)) {
      if (items.length >= limit || lookedAt >= LOOKED_AT_MAX) {
        return { items, next: { service: service.id, worker: 0 } };
      }
      lookedAt++;
      const status = serviceStatus(service, this.#figures);
      if (!isWanted(status)) continue;
      const arrivedAt = service.waiting.oldestAt();
      const oldestQueuedMs = arrivedAt === null ? null : Math.max(0, Math.round(now - arrivedAt));
      const { failedAt } = service.counted;
      const failedMsAgo = failedAt === -Infinity ? null : Math.max(0, Math.round(now - failedAt));
      const clientsAway = away === null ? null : (away.get(service.id) ?? 0);
      const limits = limitsOf(service, now);
      items.push({ ...status, oldestQueuedMs, clientsAway, ...limits, failedMsAgo });
    }
    return { items, next: null };
  }

  /** A page of the workers, by service and in the order in which they registered. */
  workerPage(
    from: Position,
    limit: number,
    name: Buffer | null,
    isWanted: (worker: WorkerStatus) => boolean,
    now: number,
  ): ListPage<WorkerSeen> {
    const items: WorkerSeen[] = [];
    let lookedAt = 0;
    for (const service of this.#named(name, from.service)) {
      let last = service.id === from.service ? from.worker : 0;
      // Services without workers count as examined, too.
      lookedAt++;
      for (const worker of service.workers) {
        if (worker.number <= last) continue;
        if (items.length >= limit || lookedAt >= LOOKED_AT_MAX) {
          return { items, next: { service: service.id, worker: last } };
        }
        lookedAt++;
        last = worker.number;
        const status = workerStatus(worker, now);
        if (isWanted(status)) {
          items.push({ ...status, address: worker.peer.address });
        }
      }
      if (lookedAt > LOOKED_AT_MAX) return { items, next: { service: service.id + 1, worker: 0 } };
    }
    return { items, next: null };
  }

  /** Every identity that uses something, or has left and sent requests lately. */
  *clients(now: number): Generator<ClientSeen> {
    const { clients, identities, services } = this.#data;
    const seconds = identities.secondsMarked(now) || 1;
    const holders = clients.holders(services.all(), HOLDERS_MAX, LOOKED_AT_MAX);
    for (const identity of identities.all()) {
      const { name, peers, workers, receivedLately, refusedLately, outstanding } = identity;
      yield {
        identity: name,
        connections: peers,
        workers,
        requestsPerSecond: receivedLately / seconds,
        refusedPerSecond: refusedLately / seconds,
        outstanding,
        heldBytes: identity.memory.bytes,
        heldBy: Array.from(holders.get(identity) ?? [], ({ number, name: workerName }) => ({
          worker: String(number),
          workerName,
        })),
        quota: identity.quota,
      };
    }
  }

  *#named(name: Buffer | null, from: number): IterableIterator<Service> {
    if (name === null) {
      yield* this.#data.services.from(from);
      return;
    }
    const service = this.#find(name);
    if (service !== null && service.id >= from) yield service;
  }

  #find(name: Buffer): Service | null {
    return this.#data.services.find(name, 0, name.length);
  }
}
