/** Who was refused lately, and why: what `majordomo acl log` shows. */
import type { BrokerEvent, BrokerEvents } from '../broker/events.js';

export interface Refusal {
  /** Counted from the start of the process. */
  readonly number: number;
  /** Milliseconds since 1970: of the first and the last of those that are one entry. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Equal ones in a row. */
  readonly count: number;
  readonly what: 'request' | 'worker' | 'connection';
  /** The name of the key, or the beginning of one that has none; `null`: no key, or not known. */
  readonly key: string | null;
  readonly address: string | null;
  /** Percent-escaped (D3); `null`: it came to none. */
  readonly service: string | null;
  readonly reason: string;
}

const KEPT_MAX = 1000;
/** Of each text. Those are one line here, whoever wrote them. */
const CHARACTERS_MAX = 256;

type Facts = Pick<Refusal, 'what' | 'key' | 'address' | 'service' | 'reason'>;

/** The last thousand; a stranger who tries again and again is one entry with a count. */
export class Refusals implements BrokerEvents {
  readonly #wall: () => number;
  /** A ring: the oldest is overwritten first. */
  readonly #kept: Refusal[] = [];
  #next = 0;
  #total = 0;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number) {
    this.#wall = wall;
  }

  emit(event: BrokerEvent): void {
    const facts = factsOf(event);
    if (facts === null) return;
    const now = this.#wall();
    const lastIndex = (this.#next + KEPT_MAX - 1) % KEPT_MAX;
    const last = this.#kept[lastIndex];
    if (last !== undefined && isSame(last, facts)) {
      this.#kept[lastIndex] = { ...last, lastAt: now, count: last.count + 1 };
      return;
    }
    const number = ++this.#total;
    this.#kept[this.#next] = { number, firstAt: now, lastAt: now, count: 1, ...facts };
    this.#next = (this.#next + 1) % KEPT_MAX;
  }

  /** The newest first. */
  list(limit: number): readonly Refusal[] {
    const sinceOldest = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return sinceOldest.reverse().slice(0, limit);
  }
}

function factsOf(event: BrokerEvent): Facts | null {
  switch (event.name) {
    case 'request.refused':
    case 'worker.refused': {
      if (event.reason !== 'rights') return null;
      const what = event.name === 'request.refused' ? 'request' : 'worker';
      const reason = 'text' in event ? event.text : 'this key may not serve it here';
      const { key, address, service } = event;
      return {
        what,
        key: line(key),
        address: line(address),
        service: line(service),
        reason: line(reason) ?? '',
      };
    }
    case 'connection.rejected':
      return {
        what: 'connection',
        key: 'key' in event ? line(event.key) : null,
        address: 'address' in event ? line(event.address) : null,
        service: null,
        reason: line(event.reason) ?? '',
      };
    default:
      return null;
  }
}

function isSame(left: Facts, right: Facts): boolean {
  return (
    left.what === right.what &&
    left.key === right.key &&
    left.address === right.address &&
    left.service === right.service &&
    left.reason === right.reason
  );
}

function line(text: unknown): string | null {
  if (typeof text !== 'string') return null;
  return text.slice(0, CHARACTERS_MAX).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
