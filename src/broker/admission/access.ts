/** What one connection may do: its key and its listener must both allow it (D72). */
import type { Frames } from '../../core/frames.js';
import type { KeyRights, ListenerRules } from '../rights.js';

export class Access {
  /** `null`: it connected without a key. */
  readonly rights: KeyRights | null;
  readonly rules: ListenerRules;
  /**
   * The last service it was allowed to request, cached because the next request is usually for the
   * same one.
   */
  #allowed: Buffer | null = null;

  constructor(rules: ListenerRules, rights: KeyRights | null) {
    this.rules = rules;
    this.rights = rights;
  }

  get isOperator(): boolean {
    return this.rights?.operator === true;
  }

  /** Whether it may send requests at all. */
  get isClient(): boolean {
    return !this.rules.client.isNone && this.rights?.client.isNone !== true;
  }

  /** Whether a request may be sent to the service that frame `index` names. */
  mayRequest(frames: Frames, index: number): boolean {
    const { rights, rules } = this;
    const isAll = rules.client.isAll && (rights === null || rights.client.isAll);
    if (isAll && !rules.authoriser) return true;
    const bytes = frames.buffer(index);
    const start = frames.start(index);
    const end = frames.end(index);
    const known = this.#allowed;
    if (known?.compare(bytes, start, end) === 0) return true;
    if (!this.#matches('client', bytes, start, end)) return false;
    this.#allowed = Buffer.from(bytes.subarray(start, end));
    return true;
  }

  /** Whether the peer may request, or offer, a service. */
  allows(role: 'client' | 'worker', service: Buffer): boolean {
    return this.#matches(role, service, 0, service.length);
  }

  /** The entry of its key changed. */
  changed(): void {
    this.#allowed = null;
  }

  #matches(role: 'client' | 'worker', bytes: Buffer, start: number, end: number): boolean {
    const { rights, rules } = this;
    const { authoriser } = rules;
    if (authoriser?.compare(bytes, start, end) === 0) {
      const isOffered = role === 'worker' && rules.worker.matches(bytes, start, end);
      return isOffered && (rights ?? rules).worker.names(authoriser);
    }
    if (!rules[role].matches(bytes, start, end)) return false;
    return rights === null || rights[role].matches(bytes, start, end);
  }
}
