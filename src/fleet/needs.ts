/**
 * The services that this broker needs workers of elsewhere: for requests that wait, and for clients
 * that ask whether anybody serves them (D83, D87).
 */
import type { Origin } from './origin.js';
import { FOLLOW_MS, RENEW_MS, SERVICES_MAX, WANT_AGAIN_MS, WANT_MS } from './options.js';

/** How long an answer that nobody serves a service holds. */
const ABSENT_FOR_MS = 1000;

interface Need {
  /** When a request last waited for it, or somebody asked. */
  neededAt: number;
  /** Requests waited when it was last looked. */
  isWaiting: boolean;
  /** When WANT was last sent; -Infinity: it is to be sent. */
  wantedAt: number;
  /** Until when answers to the last WANT are awaited; Infinity: none is. */
  answersUntil: number;
  /** Until when nobody is taken to serve it. */
  absentUntil: number;
  /** Those who asked. */
  readonly asking: ((isServed: boolean) => void)[];
  /** The broker machine asked. */
  isSought: boolean;
}

/** How many may ask for one service at once; others are told that it is absent. */
const ASKING_MAX = 10_000;

/** How many are looked at to find one that can be forgotten. */
const DROP_LOOKS_MAX = 1000;

export class Needs {
  readonly #origin: Origin;
  /** By service, one character per byte. */
  readonly #needs = new Map<string, Need>();
  /** When they have to be looked at, in monotonic milliseconds. */
  #dueAt = Infinity;
  /** `Origin.losses` when they were last looked at. */
  #losses = 0;

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  /** Whether the service is needed here. */
  has(service: string): boolean {
    return this.#needs.has(service);
  }

  /** A request waits for the service. */
  wanted(service: string, now: number): void {
    const need = this.#of(service, now);
    if (need === null) return;
    need.neededAt = now;
    need.isWaiting = true;
    this.#dueAt = Math.min(this.#dueAt, this.#wantAt(service, need));
  }

  /** @param isAlone no other broker can be asked */
  seek(service: string, isAlone: boolean, now: number): 'served' | 'absent' | 'unknown' {
    if (this.#origin.isServed(service)) return 'served';
    const need = isAlone ? null : this.#of(service, now);
    if (need === null || need.absentUntil > now) return 'absent';
    need.isSought = true;
    this.#seek(need, now);
    return 'unknown';
  }

  ask(service: string, isAlone: boolean, now: number, answer: (isServed: boolean) => void): void {
    if (this.#origin.isServed(service)) {
      answer(true);
      return;
    }
    const need = isAlone ? null : this.#of(service, now);
    if (need === null || need.absentUntil > now || need.asking.length >= ASKING_MAX) {
      answer(false);
      return;
    }
    need.asking.push(answer);
    this.#seek(need, now);
  }

  #seek(need: Need, now: number): void {
    need.neededAt = now;
    if (need.answersUntil !== Infinity) return;
    need.wantedAt = -Infinity;
    this.#dueAt = -Infinity;
  }

  /** Nobody listens to a WANT for the service. @returns true if the broker machine had asked */
  unheard(service: string, now: number): boolean {
    const need = this.#needs.get(service);
    if (need === undefined || need.answersUntil === Infinity) return false;
    return this.#decided(need, false, now);
  }

  /** A broker has offered it. @returns true if the broker machine had asked */
  found(service: string, now: number): boolean {
    const need = this.#needs.get(service);
    return need !== undefined && this.#decided(need, true, now);
  }

  #decided(need: Need, isServed: boolean, now: number): boolean {
    need.answersUntil = Infinity;
    need.absentUntil = isServed ? -Infinity : now + ABSENT_FOR_MS;
    for (const answer of need.asking.splice(0)) answer(isServed);
    const { isSought } = need;
    need.isSought = false;
    return isSought;
  }

  /**
   * @param want sends WANT for a service
   * @param isWaiting whether requests wait for it
   * @param unfollow is told of a service that nobody needs any more
   * @returns true if something was decided that the broker machine had asked
   */
  run(
    now: number,
    want: (service: string) => void,
    isWaiting: (service: string) => boolean,
    unfollow: (service: string) => void,
  ): boolean {
    if (this.nextDueAt(now) > now) return false;
    this.#dueAt = Infinity;
    this.#losses = this.#origin.losses;
    let isDecided = false;
    let dueAt = Infinity;
    for (const [service, need] of this.#needs) {
      if (need.answersUntil <= now && this.#decided(need, this.#origin.isServed(service), now)) {
        isDecided = true;
      }
      if (this.#wantAt(service, need) <= now) {
        need.isWaiting = isWaiting(service);
        if (need.isWaiting) need.neededAt = now;
        if (need.isWaiting || need.isSought || need.asking.length > 0) {
          need.wantedAt = now;
          need.answersUntil = now + WANT_MS;
          want(service);
        }
      } else if (this.#endsAt(service, need) <= now && need.answersUntil === Infinity) {
        // Requests that find credit at once are need, too.
        const usedAt = Math.min(this.#origin.usedAt(service), now);
        if (usedAt + FOLLOW_MS > now) {
          need.neededAt = usedAt;
        } else {
          this.#needs.delete(service);
          unfollow(service);
          continue;
        }
      }
      dueAt = Math.min(dueAt, this.#dueAtOf(service, need));
    }
    // Answers may have brought new needs.
    this.#dueAt = Math.min(this.#dueAt, dueAt);
    return isDecided;
  }

  #dueAtOf(service: string, need: Need): number {
    const wantAt = this.#wantAt(service, need);
    const endsAt = wantAt === Infinity ? this.#endsAt(service, need) : Infinity;
    return Math.min(need.answersUntil, wantAt, endsAt);
  }

  /** Until when it is kept with nobody needing it. Of a service that nobody offers nothing is known. */
  #endsAt(service: string, { neededAt }: Need): number {
    return neededAt + (this.#origin.isServed(service) ? FOLLOW_MS : WANT_MS + ABSENT_FOR_MS);
  }

  /**
   * When WANT is to be sent; Infinity: there is no need. Brokers that lost NATS together are not back
   * together: who did not listen yet to the first WANT is asked again soon.
   */
  #wantAt(service: string, { isWaiting, isSought, asking, wantedAt }: Need): number {
    if (!isWaiting && !isSought && asking.length === 0) return Infinity;
    return wantedAt + (this.#origin.isOffered(service) ? RENEW_MS : WANT_AGAIN_MS);
  }

  /** All have to be asked for again: the bus was away. */
  renew(): void {
    for (const need of this.#needs.values()) need.wantedAt = -Infinity;
    if (this.#needs.size > 0) this.#dueAt = -Infinity;
  }

  /** Nobody can be asked. @returns true if the broker machine had asked */
  giveUp(now: number): boolean {
    let isSought = false;
    for (const need of this.#needs.values()) {
      if (need.answersUntil !== Infinity || need.asking.length > 0 || need.isSought) {
        if (this.#decided(need, false, now)) isSought = true;
      }
    }
    return isSought;
  }

  /** Monotonic milliseconds; Infinity: never. */
  nextDueAt(now: number): number {
    // A service that nobody offers any more is asked for sooner.
    if (this.#needs.size > 0 && this.#origin.losses !== this.#losses) return now;
    return Math.max(this.#dueAt, now);
  }

  #of(service: string, now: number): Need | null {
    const known = this.#needs.get(service);
    if (known !== undefined) return known;
    if (this.#needs.size >= SERVICES_MAX && !this.#dropOne()) return null;
    const made: Need = {
      neededAt: now,
      isWaiting: false,
      wantedAt: -Infinity,
      answersUntil: Infinity,
      absentUntil: -Infinity,
      asking: [],
      isSought: false,
    };
    this.#needs.set(service, made);
    return made;
  }

  /** Forgets one of the oldest that nobody waits for: any client may ask for services that nobody has. */
  #dropOne(): boolean {
    let looks = 0;
    for (const [service, need] of this.#needs) {
      if (++looks > DROP_LOOKS_MAX) return false;
      const { isWaiting, isSought, asking, answersUntil } = need;
      const isAwaited = isWaiting || isSought || asking.length > 0 || answersUntil !== Infinity;
      if (isAwaited || this.#origin.isServed(service)) continue;
      this.#needs.delete(service);
      return true;
    }
    return false;
  }
}
