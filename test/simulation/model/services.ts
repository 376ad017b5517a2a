import { ModelService } from './state.js';

/** Services that have workers or waiting requests. */
export class ModelServices {
  readonly #byName = new Map<string, ModelService>();

  find(name: string): ModelService | null {
    const service = this.#byName.get(name);
    return service !== undefined && isThere(service) ? service : null;
  }

  named(name: string): ModelService {
    let service = this.#byName.get(name);
    if (service === undefined) {
      service = new ModelService(name);
      this.#byName.set(name, service);
    }
    return service;
  }

  *all(): IterableIterator<ModelService> {
    for (const service of this.#byName.values()) if (isThere(service)) yield service;
  }

  get count(): number {
    return [...this.all()].length;
  }

  get withWorkers(): number {
    return [...this.all()].filter(({ workers }) => workers.size > 0).length;
  }

  get withoutWorkers(): number {
    return this.count - this.withWorkers;
  }
}

/** A name from which requests were taken is kept until the end of the turn. */
function isThere(service: ModelService): boolean {
  return service.workers.size > 0 || service.queue.length > 0 || service.touched;
}
