/**
 * The services that this broker needs workers of elsewhere: for requests that wait, and for clients
 * that ask whether anybody serves them (D83, D87).
 */
import { OldestFirst } from '../../../core/oldest-first.js';
import { Allowance } from './allowance.js';
import type { OutgoingRequests } from './outgoing-requests.js';
import {
  FIRST_WANTS_AT_ONCE,
  FIRST_WANTS_PER_SECOND,
  FOLLOW_MS,
  LATER_WANTS_AT_ONCE,
  LATER_WANTS_PER_SECOND,
  RENEW_MS,
  SERVICES_MAX,
  WANT_AGAIN_MS,
  WANT_MS,
} from './options.js';

/** How long an answer that nobody serves a service holds. */
const ABSENT_FOR_MS = 1000;

interface Need {
  /** When a request last waited for it, or somebody asked. */
  neededAt: number;
  /** Requests waited when it was last looked. */
  isWaiting: boolean;
  /** When WANT was last sent; -Infinity: it is due. */
  wantedAt: number;
  /** Until when answers to the last WANT are awaited; Infinity: none is. */
  answersUntil: number;
  /** Until when those who asked wait for WANT to be sent; Infinity: nobody does. */
  sentUntil: number;
  /** Until when the service counts as served by nobody. */
  absentUntil: number;
  /** Callbacks of those who asked whether the service is served. */
  readonly asking: ((isServed: boolean) => void)[];
  /** The broker machine asked. */
  isAskedByBroker: boolean;
}

/** How many may ask for one service at once; others are told that it is absent. */
const ASKING_MAX = 10_000;

/** How many are looked at to find one that can be forgotten. */
const DROP_LOOKS_MAX = 1000;

/** All are looked at together: of many, so many a millisecond. */
const LOOKS_PER_MS = 100;
/** So many WANTs are sent together, if so many wait. */
const LATER_TOGETHER = 10;

export class Needs {
  readonly #outgoing: OutgoingRequests;
  readonly #tellDecided: (service: string) => void;
  /** Needs by service, one character per byte. */
  readonly services = new Map<string, Need>();
  /** Services that were just asked for: WANT is sent in the next turn. */
  readonly #first = new Set<string>();
  /** Services whose WANT is due, and waits for its turn: the oldest first. */
  readonly #later = new OldestFirst<string, null>();
  /** For requests that wait, and for questions: the latter do not keep the former from workers. */
  readonly #firstWants = new Allowance(FIRST_WANTS_AT_ONCE, FIRST_WANTS_PER_SECOND);
  readonly #firstAsked = new Allowance(FIRST_WANTS_AT_ONCE, FIRST_WANTS_PER_SECOND);
  readonly #laterWants = new Allowance(LATER_WANTS_AT_ONCE, LATER_WANTS_PER_SECOND);
  /** When they have to be looked at, in monotonic milliseconds. */
  #dueAt = Infinity;
  #lookedAt = -Infinity;
  /** `OutgoingRequests.losses` when they were last looked at. */
  #losses = 0;

  /** @param decided is told of each service that the broker machine had asked about */
  constructor(outgoing: OutgoingRequests, decided: (service: string) => void) {
    this.#outgoing = outgoing;
    this.#tellDecided = decided;
  }

  /** A request waits for the service. */
  wanted(service: string, now: number): void {
    const need = this.#of(service, now);
    if (need === null) return;
    need.neededAt = now;
    if (!need.isWaiting && !need.isAskedByBroker) this.#later.delete(service);
    need.isWaiting = true;
    const wantAt = this.#wantAt(service, need);
    if (wantAt <= now) this.#wantFirst(service);
    else this.#dueAt = Math.min(this.#dueAt, wantAt);
  }

  /** @param isAlone no other broker can be asked */
  seek(service: string, isAlone: boolean, now: number): 'served' | 'absent' | 'unknown' {
    if (this.#outgoing.byService.has(service)) return 'served';
    const need = isAlone ? null : this.#of(service, now);
    if (need === null || need.absentUntil > now) return 'absent';
    if (!need.isWaiting && !need.isAskedByBroker) this.#later.delete(service);
    need.isAskedByBroker = true;
    this.#seek(service, need, now);
    return 'unknown';
  }

  ask(service: string, isAlone: boolean, now: number, answer: (isServed: boolean) => void): void {
    if (this.#outgoing.byService.has(service)) {
      answer(true);
      return;
    }
    const need = isAlone ? null : this.#of(service, now);
    if (need === null || need.absentUntil > now || need.asking.length >= ASKING_MAX) {
      answer(false);
      return;
    }
    need.asking.push(answer);
    this.#seek(service, need, now);
    if (need.answersUntil !== Infinity) return;
    need.sentUntil = Math.min(need.sentUntil, now + WANT_MS);
    this.#dueAt = Math.min(this.#dueAt, need.sentUntil);
  }

  #seek(service: string, need: Need, now: number): void {
    need.neededAt = now;
    if (need.answersUntil !== Infinity) return;
    need.wantedAt = -Infinity;
    this.#wantFirst(service);
  }

  /** Unless its WANT waits for its turn already. */
  #wantFirst(service: string): void {
    if (!this.#later.has(service)) this.#first.add(service);
  }

  /** Nobody listens to a WANT for the service. */
  unheard(service: string, now: number): void {
    const need = this.services.get(service);
    if (need === undefined || need.answersUntil === Infinity) return;
    this.#decided(service, need, false, now);
  }

  /** A broker has offered it. */
  found(service: string, now: number): void {
    const need = this.services.get(service);
    if (need !== undefined) this.#decided(service, need, true, now);
  }

  #decided(service: string, need: Need, isServed: boolean, now: number): void {
    need.answersUntil = Infinity;
    need.absentUntil = isServed ? -Infinity : now + ABSENT_FOR_MS;
    answerAll(need, isServed);
    if (!need.isAskedByBroker) return;
    need.isAskedByBroker = false;
    this.#tellDecided(service);
  }

  /**
   * @param want sends WANT for a service
   * @param isWaiting whether requests wait for it
   * @param unfollow is told of a service that nobody needs any more
   */
  run(
    now: number,
    want: (service: string) => void,
    isWaiting: (service: string) => boolean,
    unfollow: (service: string) => void,
  ): void {
    if (this.nextDueAt(now) > now) return;
    const send = (service: string): boolean => this.#send(service, now, want, isWaiting);
    for (const service of this.#first) {
      const allowance = this.#isForRequests(service) ? this.#firstWants : this.#firstAsked;
      if (allowance.readyAt(1, now) > now) this.#later.set(service, null);
      else if (send(service)) allowance.take(now);
    }
    this.#first.clear();
    if (this.#lookAt(now) <= now) this.#look(now, isWaiting, unfollow);
    for (const { key: service } of this.#later) {
      if (this.#laterWants.readyAt(1, now) > now) break;
      this.#later.delete(service);
      if (send(service)) this.#laterWants.take(now);
    }
  }

  #isForRequests(service: string): boolean {
    const need = this.services.get(service);
    return need !== undefined && (need.isWaiting || need.isAskedByBroker);
  }

  /** Sends WANT, if the service is still needed. */
  #send(
    service: string,
    now: number,
    want: (service: string) => void,
    isWaiting: (service: string) => boolean,
  ): boolean {
    const need = this.services.get(service);
    if (need === undefined) return false;
    const isNeeded = isNeededNow(service, need, isWaiting, now);
    if (isNeeded) {
      need.wantedAt = now;
      need.answersUntil = now + WANT_MS;
      need.sentUntil = Infinity;
      want(service);
    }
    this.#dueAt = Math.min(this.#dueAt, this.#dueAtOf(service, need));
    return isNeeded;
  }

  /** Ends what is over, and finds out for which services WANT is due. */
  #look(
    now: number,
    isWaiting: (service: string) => boolean,
    unfollow: (service: string) => void,
  ): void {
    this.#dueAt = Infinity;
    this.#lookedAt = now;
    this.#losses = this.#outgoing.losses;
    let dueAt = Infinity;
    for (const [service, need] of this.services) {
      if (need.answersUntil <= now) {
        this.#decided(service, need, this.#outgoing.byService.has(service), now);
      }
      // Nobody was asked, so nothing is known; who asks again may have more luck.
      if (need.sentUntil <= now) answerAll(need, false);
      if (this.#wantAt(service, need) <= now) {
        if (!this.#later.has(service) && isNeededNow(service, need, isWaiting, now)) {
          this.#later.set(service, null);
        }
      } else if (this.#endsAt(service, need) <= now && need.answersUntil === Infinity) {
        // Requests that find credit at once are need, too.
        const usedAt = Math.min(this.#outgoing.usedAt(service), now);
        if (usedAt + FOLLOW_MS > now) {
          need.neededAt = usedAt;
        } else {
          this.#forget(service);
          unfollow(service);
          continue;
        }
      }
      dueAt = Math.min(dueAt, this.#dueAtOf(service, need));
    }
    // Answers may have brought new needs.
    this.#dueAt = Math.min(this.#dueAt, dueAt);
  }

  /** When it has to be looked at; not for the WANT that waits for its turn. */
  #dueAtOf(service: string, need: Need): number {
    const wantAt = this.#wantAt(service, need);
    const endsAt = wantAt === Infinity ? this.#endsAt(service, need) : Infinity;
    const nextAt = this.#later.has(service) ? Infinity : Math.min(wantAt, endsAt);
    return Math.min(need.answersUntil, need.sentUntil, nextAt);
  }

  /** Until when it is kept with nobody needing it. Of a service that nobody offers nothing is known. */
  #endsAt(service: string, { neededAt }: Need): number {
    return neededAt + (this.#outgoing.byService.has(service) ? FOLLOW_MS : WANT_MS + ABSENT_FOR_MS);
  }

  /**
   * When WANT is to be sent; Infinity: there is no need. Brokers that lost NATS together are not back
   * together: who did not listen yet to the first WANT is asked again soon.
   */
  #wantAt(service: string, need: Need): number {
    if (!isNeeded(need)) return Infinity;
    return need.wantedAt + (this.#outgoing.isOffered(service) ? RENEW_MS : WANT_AGAIN_MS);
  }

  /** All have to be asked for again: the bus was away. */
  renew(): void {
    this.#later.clear();
    for (const [service, need] of this.services) {
      need.wantedAt = -Infinity;
      if (isNeeded(need)) this.#first.add(service);
    }
    if (this.services.size > 0) this.#dueAt = -Infinity;
  }

  /** Nobody can be asked. */
  giveUp(now: number): void {
    for (const [service, need] of this.services) {
      if (need.answersUntil !== Infinity || need.asking.length > 0 || need.isAskedByBroker) {
        this.#decided(service, need, false, now);
      }
    }
  }

  /** Monotonic milliseconds; Infinity: never. */
  nextDueAt(now: number): number {
    if (this.#first.size > 0) return now;
    const count = Math.min(this.#later.size, LATER_TOGETHER);
    const laterAt = count === 0 ? Infinity : this.#laterWants.readyAt(count, now);
    return Math.max(now, Math.min(laterAt, this.#lookAt(now)));
  }

  /** When all have to be looked at. */
  #lookAt(now: number): number {
    const { size } = this.services;
    // A service that nobody offers any more is asked for sooner.
    const dueAt = size > 0 && this.#outgoing.losses !== this.#losses ? now : this.#dueAt;
    return Math.max(dueAt, this.#lookedAt + Math.floor(size / LOOKS_PER_MS));
  }

  #of(service: string, now: number): Need | null {
    const known = this.services.get(service);
    if (known !== undefined) return known;
    if (this.services.size >= SERVICES_MAX && !this.#dropOne()) return null;
    const made: Need = {
      neededAt: now,
      isWaiting: false,
      wantedAt: -Infinity,
      answersUntil: Infinity,
      sentUntil: Infinity,
      absentUntil: -Infinity,
      asking: [],
      isAskedByBroker: false,
    };
    this.services.set(service, made);
    return made;
  }

  /** Forgets one of the oldest that nobody waits for: any client may ask for services that nobody has. */
  #dropOne(): boolean {
    let looks = 0;
    for (const [service, need] of this.services) {
      if (++looks > DROP_LOOKS_MAX) return false;
      const isAwaited = isNeeded(need) || need.answersUntil !== Infinity;
      if (isAwaited || this.#outgoing.byService.has(service)) continue;
      this.#forget(service);
      return true;
    }
    return false;
  }

  #forget(service: string): void {
    this.services.delete(service);
    this.#first.delete(service);
    this.#later.delete(service);
  }
}

function isNeeded({ isWaiting, isAskedByBroker, asking }: Need): boolean {
  return isWaiting || isAskedByBroker || asking.length > 0;
}

/** Whether a service is needed, after a look whether requests still wait for it. */
function isNeededNow(
  service: string,
  need: Need,
  isWaiting: (service: string) => boolean,
  now: number,
): boolean {
  need.isWaiting = isWaiting(service);
  if (need.isWaiting) need.neededAt = now;
  return isNeeded(need);
}

function answerAll(need: Need, isServed: boolean): void {
  need.sentUntil = Infinity;
  for (const answer of need.asking.splice(0)) answer(isServed);
}
