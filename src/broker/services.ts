import { present } from '../core/assert.js';
import { ByteTable } from '../core/byte-table.js';
import type { Labels } from '../core/labels.js';
import type { Identities, Identity } from './identities.js';
import type { RequestTable } from './requests.js';
import { Service } from './state.js';

/** All services by name and number. A service lives while it has workers or waiting requests. */
export class Services {
  readonly #byName: ByteTable;
  readonly #byId: (Service | null)[] = [];
  readonly #freeIds: number[] = [];
  readonly #table: RequestTable;
  readonly #labels: Labels;
  readonly #identities: Identities;
  #withWorkers = 0;

  /** @param seed see `ByteTable` */
  constructor(table: RequestTable, seed: number, labels: Labels, identities: Identities) {
    this.#table = table;
    this.#identities = identities;
    this.#labels = labels;
    this.#byName = new ByteTable(seed);
  }

  get count(): number {
    return this.#byName.size;
  }

  /** Services that have a worker. */
  get withWorkers(): number {
    return this.#withWorkers;
  }

  find(bytes: Uint8Array, start: number, end: number): Service | null {
    const id = this.#byName.get(bytes, start, end);
    return id < 0 ? null : (this.#byId[id] ?? null);
  }

  byId(id: number): Service {
    return present(this.#byId[id], 'a service that lives');
  }

  /** @param namedBy who asked for it first, or offers it */
  add(name: Buffer, namedBy: Identity): Service {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const service = new Service(id, name, namedBy, this.#table);
    namedBy.services++;
    service.label = this.#labels.of(service.shown);
    this.#byId[id] = service;
    this.#byName.add(name, id);
    return service;
  }

  /** The service has a worker, and so may have a label of its own from now on. */
  label(service: Service): void {
    service.label = this.#labels.claim(service.shown);
  }

  /** A worker came or went. */
  workersChanged(before: number, after: number): void {
    if (before === 0 && after > 0) this.#withWorkers++;
    if (before > 0 && after === 0) this.#withWorkers--;
  }

  /** Forgets the service if nothing needs it any more. */
  releaseIfUnused(service: Service): void {
    if (
      service.workers.size > 0 ||
      service.queue.count > 0 ||
      service.due ||
      service.stored.count > 0
    ) {
      return;
    }
    if (this.#byId[service.id] !== service) return;
    this.#byName.delete(service.name);
    this.#byId[service.id] = null;
    this.#freeIds.push(service.id);
    service.namedBy.services--;
    this.#identities.settled(service.namedBy);
  }

  all(): IterableIterator<Service> {
    return this.from(0);
  }

  /** Those whose number is at least `id`, by their numbers. */
  *from(id: number): IterableIterator<Service> {
    for (let at = id; at < this.#byId.length; at++) {
      const service = this.#byId[at] ?? null;
      if (service !== null) yield service;
    }
  }
}
