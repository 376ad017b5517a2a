/** The latest refusals and their reasons, for `majordomo acl log`. */
import { oneLine } from '../../core/escape.js';
import { OldestFirst } from '../../core/oldest-first.js';
import type { BrokerEvent, BrokerEvents } from '../../broker/broker-events.js';
import type { PairEvent, PairEvents } from '../../bstar/pair-events.js';
import type { TitanicEvent, TitanicEvents } from '../../titanic/machine/requests/events.js';

export interface RefusalRecord {
  /** Counted from the start of the process. */
  readonly number: number;
  /** Milliseconds since 1970: the first and the last refusal of this entry. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** The number of equal refusals. */
  readonly count: number;
  readonly what: 'request' | 'worker' | 'connection';
  /** The name of the key, or the beginning of a key without a name; `null`: no key, or unknown. */
  readonly key: string | null;
  readonly address: string | null;
  /** Percent-escaped (D3); `null`: the refusal came before a service was known. */
  readonly service: string | null;
  readonly reason: string;
}

const RETAINED_MAX = 1000;
/** The most entries of one key and of one address, so that none displaces the others' entries. */
const RETAINED_OF_ONE_MAX = 250;
/** The longest text. Each text is one line here, whoever wrote it. */
const CHARACTERS_MAX = 256;

const ANOTHERS = 'the durable request belongs to another identity';

export type RefusalFacts = Pick<RefusalRecord, 'what' | 'key' | 'address' | 'service' | 'reason'>;
type Event = BrokerEvent | TitanicEvent | PairEvent;

/** Keeps the last thousand; repeated refusals of a stranger are one entry with a count. */
export class Refusals implements BrokerEvents, TitanicEvents, PairEvents {
  readonly #wall: () => number;
  /** The entries by content, in the order of their latest refusal. */
  readonly #retained = new OldestFirst<string, RefusalRecord>();
  /** The entries of each key or address. */
  readonly #retainedOf = new Map<string, Set<string>>();
  #total = 0;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number) {
    this.#wall = wall;
  }

  emit(event: Event): void {
    const facts = refusalFactsOf(event);
    if (facts !== null) this.record(facts);
  }

  record(refused: RefusalFacts): void {
    const facts = withOneLineTexts(refused);
    const now = this.#wall();
    const id = JSON.stringify(Object.values(facts));
    const before = this.#retained.get(id);
    if (before === undefined) this.#makeRoomFor(facts);
    else this.#forget(id, before);
    const { number, firstAt, count } = before ?? { number: ++this.#total, firstAt: now, count: 0 };
    this.#retained.set(id, { number, firstAt, lastAt: now, count: count + 1, ...facts });
    const who = whoseOf(facts);
    const own = this.#retainedOf.get(who);
    if (own === undefined) this.#retainedOf.set(who, new Set([id]));
    else own.add(id);
  }

  /** Newest first. */
  list(limit: number): readonly RefusalRecord[] {
    return [...this.#retained]
      .reverse()
      .slice(0, limit)
      .map(({ value }) => value);
  }

  #makeRoomFor(facts: RefusalFacts): void {
    const own = this.#retainedOf.get(whoseOf(facts));
    const isShareUsed = own !== undefined && own.size >= RETAINED_OF_ONE_MAX;
    if (!isShareUsed && this.#retained.size < RETAINED_MAX) return;
    // (A share is small.)
    const [oldest = ''] = isShareUsed ? own : [this.#retained.oldest?.key];
    const refusal = this.#retained.get(oldest);
    if (refusal !== undefined) this.#forget(oldest, refusal);
  }

  #forget(id: string, refusal: RefusalRecord): void {
    this.#retained.delete(id);
    const who = whoseOf(refusal);
    const own = this.#retainedOf.get(who);
    own?.delete(id);
    if (own?.size === 0) this.#retainedOf.delete(who);
  }
}

/** The key of a refused connection was its own choice, so the refusal counts for the address. */
function whoseOf({ what, key, address }: RefusalFacts): string {
  return what === 'connection' || key === null ? `from ${address}` : `key ${key}`;
}

function refusalFactsOf(event: Event): RefusalFacts | null {
  switch (event.name) {
    case 'request.refused':
      return event.reason === 'rights' ? facts('request', event, event.service, event.text) : null;
    case 'titanic.denied':
      return facts('request', event, `titanic.${event.wanted}`, ANOTHERS);
    case 'worker.refused':
      if (event.reason !== 'rights') return null;
      return facts(
        'worker',
        event,
        event.service,
        'the key has no right to offer the service here',
      );
    case 'worker.lost':
      if (event.reason !== 'rights') return null;
      return facts('worker', event, event.service, 'the right to offer the service was withdrawn');
    case 'connection.rejected':
    case 'ha.rejected':
      return facts('connection', event, null, event.reason);
    case 'ha.refused':
      // Otherwise this node dialled, or was refused itself.
      return event.address === null ? null : facts('connection', event, null, event.text);
    default:
      return null;
  }
}

function facts(
  what: RefusalRecord['what'],
  { key, address }: { readonly key: string | null; readonly address: string | null },
  service: string | null,
  reason: string,
): RefusalFacts {
  return { what, key, address, service, reason };
}

function withOneLineTexts({ what, key, address, service, reason }: RefusalFacts): RefusalFacts {
  return {
    what,
    key: line(key),
    address: line(address),
    service: line(service),
    reason: line(reason) ?? '',
  };
}

function line(text: string | null): string | null {
  if (text === null) return null;
  return oneLine(text.slice(0, CHARACTERS_MAX));
}
