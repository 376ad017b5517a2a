/**
 * Who may send a webhook now. Receivers are strangers, and any of them may keep its connections for as long as an
 * attempt may take. So each has few places, and what is free is left to others in part: a webhook whose
 * receiver has no place waits in the store, and costs only its number here.
 */
import { OldestFirst } from '../../core/oldest-first.js';

const PLACES_MAX = 256;
/** A host has one place until it answers, and one more with each answer, up to this many. */
const HOST_PLACES_MAX = 4;
/** How many of those that wait are looked at when a place becomes free. */
const LOOKS_MAX = 256;

export interface Receiver {
  /** With its port. */
  readonly host: string;
  /** The entry of `http.webhookHosts` that allows it. */
  readonly entry: string;
  /** Who stored the request of which the webhook tells. */
  readonly owner: string;
}

/** The webhooks that wait for one receiver, the oldest first: also some that do not wait any more. */
interface Line {
  readonly key: string;
  readonly receiver: Receiver;
  references: number[];
  /** References before this one are done with. */
  head: number;
  waiting: number;
}

/** References that are done with are removed in bulk. */
const HEAD_MAX = 1024;

/** Numbers above 0, by name. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, change: 1 | -1): void {
    const count = this.of(name) + change;
    if (count === 0) this.#counts.delete(name);
    else this.#counts.set(name, count);
  }
}

export class WebhookPlaces {
  /** The receivers of webhooks that have a place, by reference. */
  readonly placed = new Map<number, Receiver>();
  readonly #waiting = new Map<number, Line>();
  /** In the order of their turns. */
  readonly #lines = new OldestFirst<string, Line>();
  /** How many places each host, entry and owner has. */
  readonly #taken = { host: new Counts(), entry: new Counts(), owner: new Counts() };
  /** How many places each host that has some may have. */
  readonly #most = new Map<string, number>();

  /** @returns whether it has a place; otherwise it waits until it is called */
  take(reference: number, receiver: Receiver): boolean {
    if (this.placed.has(reference)) return true;
    if (this.#waiting.has(reference)) return false;
    const key = keyOf(receiver);
    const known = this.#lines.get(key);
    if (known === undefined && this.#hasRoom(receiver)) {
      this.#place(reference, receiver);
      return true;
    }
    const line = known ?? { key, receiver, references: [], head: 0, waiting: 0 };
    line.references.push(reference);
    line.waiting++;
    this.#waiting.set(reference, line);
    this.#lines.set(key, line);
    return false;
  }

  /**
   * Takes a webhook out, which needs no place any more, and waits for none.
   * @param answered whether its host answered; `null`: it was not asked
   * @returns those that are called: they waited, and have a place now
   */
  leave(reference: number, answered: boolean | null): readonly number[] {
    const line = this.#waiting.get(reference);
    if (line !== undefined) this.#drop(reference, line);
    const receiver = this.placed.get(reference);
    if (receiver === undefined) return [];
    this.placed.delete(reference);
    this.#count(receiver, -1);
    const { host } = receiver;
    if (answered !== null) {
      this.#most.set(host, answered ? Math.min(this.#mostOf(host) + 1, HOST_PLACES_MAX) : 1);
    }
    const called = this.#call(keyOf(receiver));
    if (this.#taken.host.of(host) === 0) this.#most.delete(host);
    return called;
  }

  /** All that wait are called without a place, and have to take one again. */
  callAll(): readonly number[] {
    const all = [...this.#waiting.keys()];
    this.#waiting.clear();
    this.#lines.clear();
    return all;
  }

  /** Receivers in turn, and then the one whose place is free: others may wait for the share of its owner. */
  #call(key: string): readonly number[] {
    const called: number[] = [];
    let idle = 0;
    for (let looks = 0; looks < LOOKS_MAX && idle < this.#lines.size; looks++) {
      const line = this.#lines.oldest?.value;
      if (line === undefined) break;
      this.#lines.delete(line.key);
      this.#lines.set(line.key, line);
      idle = this.#callNext(line, called) ? 0 : idle + 1;
    }
    for (let line = this.#lines.get(key); line !== undefined; line = this.#lines.get(key)) {
      if (!this.#callNext(line, called)) break;
    }
    return called;
  }

  #callNext(line: Line, called: number[]): boolean {
    if (!this.#hasRoom(line.receiver)) return false;
    const { references } = line;
    let reference = references[line.head++];
    while (reference !== undefined && this.#waiting.get(reference) !== line) {
      reference = references[line.head++];
    }
    if (reference === undefined) return false;
    if (line.head >= HEAD_MAX) {
      line.references = references.slice(line.head);
      line.head = 0;
    }
    this.#drop(reference, line);
    this.#place(reference, line.receiver);
    called.push(reference);
    return true;
  }

  #drop(reference: number, line: Line): void {
    this.#waiting.delete(reference);
    if (--line.waiting === 0) this.#lines.delete(line.key);
  }

  /**
   * The hosts of one entry may have at most half as many places as are free, the webhooks of one owner at
   * most as many as are free. So whatever some of them take, others find a place.
   */
  #hasRoom({ host, entry, owner }: Receiver): boolean {
    const free = PLACES_MAX - this.placed.size;
    return (
      this.#taken.host.of(host) < this.#mostOf(host) &&
      this.#taken.entry.of(entry) < free / 2 &&
      this.#taken.owner.of(owner) < free
    );
  }

  #place(reference: number, receiver: Receiver): void {
    this.placed.set(reference, receiver);
    this.#count(receiver, 1);
  }

  #count({ host, entry, owner }: Receiver, change: 1 | -1): void {
    this.#taken.host.add(host, change);
    this.#taken.entry.add(entry, change);
    this.#taken.owner.add(owner, change);
  }

  #mostOf(host: string): number {
    return this.#most.get(host) ?? 1;
  }
}

/** A host has no blank in it. */
function keyOf({ host, owner }: Receiver): string {
  return `${host} ${owner}`;
}
