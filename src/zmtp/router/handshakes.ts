/**
 * Connections in their handshake. None has authenticated yet, so everything is bounded: their
 * number, per address and in total, their duration, and the number of CURVE HELLOs answered per
 * second. A connection costs almost nothing before its HELLO arrives; then it waits for its turn,
 * and addresses take turns. When there is no room for a new connection, the oldest one in the stage
 * where its address has most is closed, so that neither silent connections nor thousands of HELLOs
 * lock out peers that complete their handshake.
 */
import { Chain, type ChainLink } from '../../core/chain.js';
import { OldestFirst } from '../../core/oldest-first.js';
import { monotonicMs } from '../../core/clock.js';

/** A connection that has not completed its handshake by then is closed. */
const HANDSHAKE_MS_MAX = 3000;
/** A peer that waits for our whole greeting before it sends its own gets it after this delay. */
const GREETING_WAIT_MS = 100;
const CHECK_MS = 50;

/** Limits on concurrent handshakes. */
export interface HandshakeLimits {
  /** Over all listeners. */
  readonly max: number;
  readonly perAddressMax: number;
}

const LIMITS: HandshakeLimits = { max: 2048, perAddressMax: 1792 };
/** A HELLO and the steps after it cost about 0.8 ms of CPU: 400 a second, in small batches. */
const GRANT_MS = 5;
const GRANTS_MAX = 2;

/** A connection in its handshake. */
export interface Shaking<T> {
  /** The identity of its address, without a key. */
  readonly addressIdentity: string;
  readonly acceptedAt: number;
  /** The position by age. */
  readonly age: ChainLink<T>;
  /** The position in the current stage. */
  readonly stage: ChainLink<T>;
  showGreeting(): void;
  /** Answers its HELLO now. */
  grant(): void;
  /** The handshake took too long. */
  timeOut(): void;
  /** The connection is closed to make room for another one. */
  evict(): void;
}

/** Stages: no HELLO yet; its HELLO waits for its turn; its HELLO was answered. */
const SILENT = 0;
const ASKING = 1;
const ANSWERED = 2;

/** The connections of one address, by stage, in order of arrival there. */
class AddressHandshakes<T extends Shaking<T>> {
  readonly name: string;
  count = 0;
  readonly #stages = [new Chain<T>(), new Chain<T>(), new Chain<T>()] as const;
  readonly #counts = [0, 0, 0];

  constructor(name: string) {
    this.name = name;
  }

  /** The oldest one whose HELLO waits. */
  get asker(): T | null {
    return this.#stages[ASKING].head?.owner ?? null;
  }

  /** The oldest one of the fullest stage. */
  get dispensable(): T | null {
    const fullest = this.#counts.indexOf(Math.max(...this.#counts));
    return this.#stages[fullest]?.head?.owner ?? null;
  }

  enter({ stage }: T, to: 0 | 1 | 2): void {
    this.leave(stage);
    this.#stages[to].append(stage);
    this.#add(to, 1);
  }

  leave(stage: ChainLink<T>): void {
    const from = this.#stages.findIndex((chain) => chain === stage.chain);
    if (from < 0) return;
    stage.leave();
    this.#add(from, -1);
  }

  #add(stage: number, change: number): void {
    this.#counts[stage] = (this.#counts[stage] ?? 0) + change;
  }
}

export class Handshakes<T extends Shaking<T>> {
  readonly #limits: HandshakeLimits;
  /** All of them, oldest first. */
  readonly #all = new Chain<T>();
  #count = 0;
  readonly #byAddress = new Map<string, AddressHandshakes<T>>();
  /** Addresses with a waiting HELLO, in the order of their turns. */
  readonly #askers = new OldestFirst<AddressHandshakes<T>, null>();
  #grantsLeft = GRANTS_MAX;
  #timer: NodeJS.Timeout | null = null;
  #grantTimer: NodeJS.Timeout | null = null;

  constructor(limits: HandshakeLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Adds one; this may evict another one. */
  add(one: T): void {
    const handshakes = this.#ofAddress(one);
    const { max, perAddressMax } = this.#limits;
    if (handshakes.count >= perAddressMax) handshakes.dispensable?.evict();
    else if (this.#count >= max) this.#fullest(handshakes).dispensable?.evict();
    // The evicted connection may have been the last of its address.
    this.#byAddress.set(handshakes.name, handshakes);
    handshakes.count++;
    this.#count++;
    this.#all.append(one.age);
    handshakes.enter(one, SILENT);
    this.#timer ??= setTimeout(this.#check, CHECK_MS);
  }

  /** A plausible HELLO has arrived. */
  asks(one: T): void {
    const handshakes = this.#ofAddress(one);
    handshakes.enter(one, ASKING);
    this.#askers.set(handshakes, null);
    this.#grant();
  }

  /** The handshake of a connection has succeeded or failed. */
  remove(one: T): void {
    if (one.age.chain === null) return;
    const handshakes = this.#ofAddress(one);
    one.age.leave();
    handshakes.leave(one.stage);
    this.#count--;
    if (--handshakes.count === 0) this.#byAddress.delete(handshakes.name);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#grantTimer !== null) clearTimeout(this.#grantTimer);
    this.#timer = null;
    this.#grantTimer = null;
    this.#askers.clear();
  }

  #ofAddress({ addressIdentity: name }: T): AddressHandshakes<T> {
    return this.#byAddress.get(name) ?? new AddressHandshakes(name);
  }

  /** The address with the most connections; the given one if no other has more. */
  #fullest(handshakes: AddressHandshakes<T>): AddressHandshakes<T> {
    let found = handshakes;
    for (const other of this.#byAddress.values()) if (other.count > found.count) found = other;
    if (found.count > 0) return found;
    // If every address has only one connection: the oldest.
    return this.#byAddress.values().next().value ?? handshakes;
  }

  readonly #check = (): void => {
    this.#timer = null;
    const now = monotonicMs();
    for (let link = this.#all.head; link !== null;) {
      const { next, owner } = link;
      const waitedMs = now - owner.acceptedAt;
      if (waitedMs < GREETING_WAIT_MS) break;
      if (waitedMs < HANDSHAKE_MS_MAX) owner.showGreeting();
      else owner.timeOut();
      link = next;
    }
    if (this.#all.head !== null) this.#timer = setTimeout(this.#check, CHECK_MS);
  };

  #grant(): void {
    while (this.#grantsLeft > 0) {
      const one = this.#nextAsker();
      if (one === null) break;
      this.#grantsLeft--;
      one.grant();
    }
    if (this.#grantsLeft < GRANTS_MAX) this.#grantTimer ??= setTimeout(this.#refill, GRANT_MS);
  }

  #nextAsker(): T | null {
    for (const { key: handshakes } of this.#askers) {
      this.#askers.delete(handshakes);
      const one = handshakes.asker;
      if (one === null) continue;
      handshakes.enter(one, ANSWERED);
      if (handshakes.asker !== null) this.#askers.set(handshakes, null);
      return one;
    }
    return null;
  }

  readonly #refill = (): void => {
    this.#grantTimer = null;
    this.#grantsLeft = GRANTS_MAX;
    this.#grant();
  };
}
