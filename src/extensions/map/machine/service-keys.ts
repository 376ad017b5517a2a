/**
 * The broker's own keys (D55): `/mmi/service/NAME` is `200` while the service has a worker here.
 * They are numbered and published like other records, but not stored.
 */
import { escapeName } from '../../../core/escape.js';
import { BROKER_KEYS, MAP_KEY_BYTES_MAX } from '../../../wire/chp-client.js';

const PREFIX = '/mmi/service/';

export const SERVED = '200';

export function isReservedKey(key: string): boolean {
  return key.startsWith(BROKER_KEYS);
}

export class ServiceKeys {
  /** The keys of the services that have a worker. */
  readonly served = new Set<string>();
  /** Keys that were taken while they were served: those that the map may have. */
  readonly #shown = new Set<string>();
  /** Keys that may have changed since they were taken. */
  readonly changed = new Set<string>();

  get hasChanges(): boolean {
    return this.changed.size > 0;
  }

  set(name: Buffer, isServed: boolean): void {
    const key = PREFIX + escapeName(name).replaceAll('/', '%2F');
    if (key.length > MAP_KEY_BYTES_MAX) return;
    if (isServed) this.served.add(key);
    else this.served.delete(key);
    this.changed.add(key);
  }

  /** The node begins to serve: nobody has been told any of them. */
  announceAll(): void {
    this.changed.clear();
    for (const key of this.served) this.changed.add(key);
  }

  /** Takes a key that may have changed; `null`: none has. */
  take(): string | null {
    for (const key of this.changed) {
      this.changed.delete(key);
      if (this.served.has(key)) this.#shown.add(key);
      else this.#shown.delete(key);
      return key;
    }
    return null;
  }

  /** Takes the keys that the map may have, when the node stops serving. */
  takeShown(): string[] {
    const shown = [...this.#shown];
    this.#shown.clear();
    return shown;
  }
}
