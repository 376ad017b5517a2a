/** The worker of webhooks, which is in this process: to the parts of the machine one of the broker's workers. */
import type {
  EmbeddedServiceApi,
  OwnerRights,
  ServiceWorkers,
  StoredBody,
} from '../../broker/ports.js';
import { WEBHOOKS } from './webhooks.js';

/** The worker of webhooks reports by `Titanic.dispatched`, `replied`, `failed`, `deferred` and `called`, never within a call. */
export interface WebhookWorker {
  /** How many more it takes now. */
  room(): number;
  /** @param reference for its reports, until `withdraw`; after `deferred` and `called` it takes it again */
  take(reference: number): void;
  /** Nothing is to be reported of it any more. */
  withdraw(reference: number): void;
}

/** Above all numbers that the broker gives. */
const NUMBERS = 2 ** 52;

export class WithWebhookWorker implements EmbeddedServiceApi {
  readonly #broker: EmbeddedServiceApi;
  readonly #worker: WebhookWorker;
  #isPaused = false;

  constructor(broker: EmbeddedServiceApi, worker: WebhookWorker) {
    this.#broker = broker;
    this.#worker = worker;
  }

  room(service: Buffer): number {
    if (!service.equals(WEBHOOKS)) return this.#broker.room(service);
    return this.#isPaused ? 0 : this.#worker.room();
  }

  served(): readonly Buffer[] {
    return [...this.#broker.served(), WEBHOOKS];
  }

  workersOf(service: Buffer): ServiceWorkers {
    return service.equals(WEBHOOKS)
      ? { isServed: true, unservedSince: null }
      : this.#broker.workersOf(service);
  }

  submit(
    service: Buffer,
    reference: number,
    content: StoredBody,
    again: number | null,
  ): number | null {
    if (!service.equals(WEBHOOKS)) {
      return this.#broker.submit(service, reference, content, again);
    }
    this.#worker.take(reference);
    return NUMBERS + reference;
  }

  withdraw(id: number): void {
    if (id < NUMBERS) this.#broker.withdraw(id);
    else this.#worker.withdraw(id - NUMBERS);
  }

  parts(id: number): Buffer | null {
    return id < NUMBERS ? this.#broker.parts(id) : null;
  }

  setPaused(service: Buffer, isPaused: boolean): void {
    if (service.equals(WEBHOOKS)) this.#isPaused = isPaused;
    this.#broker.setPaused(service, isPaused);
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#broker.setBacklog(service, has);
  }

  setStored(service: Buffer, hasStored: boolean): void {
    this.#broker.setStored(service, hasStored);
  }

  ownerRightsOf(key: string | null, service: Buffer): OwnerRights {
    return this.#broker.ownerRightsOf(key, service);
  }
}
