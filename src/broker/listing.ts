/**
 * What is registered, page by page, for those who look from outside: a page costs the loop a bounded
 * time, however much there is. A cursor is where to go on; what comes and goes in between may be
 * missed, and nothing is told twice.
 */
import type { ServiceFigures, ServiceStatus, WorkerStatus } from '../wire/mmi.js';
import type { Listed } from './ports.js';
import type { ServiceTable } from './service-table.js';
import type { Service, Worker } from './state.js';

/** So many are looked at for one page, also when few of them are wanted. */
const LOOKED_AT_MAX = 10_000;

/** After which a page begins: the number of a service, and of its workers the last one told. */
export interface Position {
  readonly service: number;
  readonly worker: number;
}

export const START: Position = { service: 0, worker: 0 };

export interface ListPage<Item> {
  readonly items: readonly Item[];
  /** `null`: this was the last page. */
  readonly next: Position | null;
}

/** Who knows more of services than their workers and queues. */
export interface FigureSource {
  /** @param shown percent-escaped */
  of(service: Buffer, shown: string): ServiceFigures;
}

/** One is set once there is one. */
export interface Figures {
  source: FigureSource | null;
}

const NO_FIGURES: ServiceFigures = { plain: null, durable: null };

export function serviceStatus(service: Service, { source }: Figures): ServiceStatus {
  const { plain, durable } = source?.of(service.name, service.shown) ?? NO_FIGURES;
  return {
    service: service.shown,
    workersWaiting: service.workers.size - service.workersBusy,
    workersBusy: service.workersBusy,
    queued: service.queue.count,
    plain,
    durable,
  };
}

export function workerStatus(worker: Worker, now: number): WorkerStatus {
  return {
    service: worker.service.shown,
    state: worker.held.count > 0 ? 'busy' : 'waiting',
    version: worker.version === 1 ? '0.1' : '0.2',
    inFlight: worker.held.count,
    credit: worker.credit,
    sinceMs: Math.round(now - worker.registeredAt),
    key: worker.peer.key,
    name: worker.name,
  };
}

/** Of a long list most are asked for by nobody: the JSON is made for who is told of it. */
export class ListedLazily implements Listed {
  readonly service: number;
  readonly worker: number;
  readonly name: Buffer;
  readonly #status: () => ServiceStatus | WorkerStatus;
  #json: string | null = null;

  /** @param worker 0: it is the service itself */
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

/** As operators see a worker. */
export interface WorkerSeen extends WorkerStatus {
  /** Where it came from. */
  readonly address: string;
}

export class Listing {
  readonly #services: ServiceTable;

  readonly #figures: Figures;

  constructor(services: ServiceTable, figures: Figures) {
    this.#services = services;
    this.#figures = figures;
  }

  /** How many services there are to list. */
  get serviceCount(): number {
    return this.#services.listed;
  }

  /** From now on lists have figures. */
  setFigures(source: FigureSource): void {
    this.#figures.source = source;
  }

  /** Services by number, from a position on. */
  services(
    from: Position,
    limit: number,
    name: Buffer | null,
    isWanted: (service: ServiceStatus) => boolean,
    now: number,
  ): ListPage<ServiceStatus> {
    this.#services.forget(now);
    const items: ServiceStatus[] = [];
    let lookedAt = 0;
    for (const service of this.#named(name, from.service)) {
      if (items.length >= limit || lookedAt >= LOOKED_AT_MAX) {
        return { items, next: { service: service.id, worker: 0 } };
      }
      lookedAt++;
      const status = serviceStatus(service, this.#figures);
      if (isWanted(status)) items.push(status);
    }
    return { items, next: null };
  }

  /** Workers by service and in the order in which they registered. */
  workers(
    from: Position,
    limit: number,
    name: Buffer | null,
    isWanted: (worker: WorkerStatus) => boolean,
    now: number,
  ): ListPage<WorkerSeen> {
    const items: WorkerSeen[] = [];
    let lookedAt = 0;
    for (const service of this.#named(name, from.service)) {
      let told = service.id === from.service ? from.worker : 0;
      // Services without workers are looked at, too.
      lookedAt++;
      for (const worker of service.workers) {
        if (worker.number <= told) continue;
        if (items.length >= limit || lookedAt >= LOOKED_AT_MAX) {
          return { items, next: { service: service.id, worker: told } };
        }
        lookedAt++;
        told = worker.number;
        const status = workerStatus(worker, now);
        if (isWanted(status)) items.push({ ...status, address: worker.peer.address });
      }
      if (lookedAt > LOOKED_AT_MAX) return { items, next: { service: service.id + 1, worker: 0 } };
    }
    return { items, next: null };
  }

  *#named(name: Buffer | null, from: number): IterableIterator<Service> {
    if (name === null) {
      yield* this.#services.from(from);
      return;
    }
    const service = this.#services.find(name, 0, name.length);
    if (service !== null && service.id >= from) yield service;
  }
}
