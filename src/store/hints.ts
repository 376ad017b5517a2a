/**
 * What other brokers of a shared store may want to know at once (D92). They find it by asking, too: a
 * hint that is lost costs them that time, nothing else.
 */
import type { Hint, RequestUuid } from './store.js';
import { HINT_BYTES_MAX, hintedBytes, tailOf, UUID_TAIL_BYTES } from './hint-codec.js';

/** At most one hint is sent in this time, and acted upon. */
export const HINT_PAUSE_MS = 5;

export class Hints {
  readonly #send: (hint: Hint) => void;
  readonly #services = new Map<string, Buffer>();
  readonly #ended: Buffer[] = [];
  #bytes = 0;
  #sentAt = -Infinity;

  constructor(send: (hint: Hint) => void) {
    this.#send = send;
  }

  /** A request that no broker has claimed, and whose time has come, is in the store. */
  stored(service: Buffer): void {
    const name = service.toString('latin1');
    if (this.#services.has(name) || !this.#fits(hintedBytes(service))) return;
    this.#services.set(name, Buffer.from(service));
  }

  /** A request was replied, is dead, or was closed. @param uuid may be only its tail */
  ended(uuid: RequestUuid): void {
    if (this.#fits(UUID_TAIL_BYTES)) this.#ended.push(tailOf(uuid));
  }

  #fits(bytes: number): boolean {
    if (this.#bytes + bytes > HINT_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  /** When `run` is due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#bytes === 0 ? Infinity : this.#sentAt + HINT_PAUSE_MS;
  }

  run(now: number): void {
    if (now < this.dueAt) return;
    this.#sentAt = now;
    const hint = { services: [...this.#services.values()], ended: this.#ended.splice(0) };
    this.#services.clear();
    this.#bytes = 0;
    this.#send(hint);
  }
}
