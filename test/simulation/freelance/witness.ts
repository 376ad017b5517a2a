/**
 * Watches what a client's strategy does, and knows nothing of how it decides: for each request, where it
 * was sent, what became of each send, and how it ended. // D40
 */
import type { Call } from '../../../src/sdk/client/call.js';
import { ATTEMPT_MODULUS } from '../../../src/sdk/client/correlation.js';
import { hold } from '../world/failure.js';
import type { Outages } from './outages.js';
import { ANSWER_MS, type FreelanceHabits, PARTS } from './weather.js';

/** A server, as far as the client has heard. */
export interface SeenServer {
  readonly endpoint: number;
  /** 0: none. */
  link: number;
  isConnected: boolean;
  heardAt: number;
}

interface Copy {
  readonly server: SeenServer;
  readonly send: number;
  /** No answer to it can count any more. */
  end: 'open' | 'lost' | 'refused' | 'dropped';
  endedAt: number;
}

/** A request, from its beginning to its end. */
export interface Watched {
  readonly name: string;
  readonly call: Call;
  readonly startedAt: number;
  readonly copies: Copy[];
  /** Copies of the present attempt. */
  attempt: Copy[];
  attemptEndsAt: number;
  /** Until then it is not known which of two attempts a send is part of. */
  isUnclearUntil: number;
  lastSendAt: number;
  /** When its last open copy came to its end. */
  bareSince: number;
  bareBy: Copy['end'];
  lastPartAt: number;
  /** How it ended: `null` not yet, or the code of an error. */
  outcome: string | null;
  endedAt: number;
}

/** Everything that could go wrong for this client with one server. */
export interface Hindrances {
  readonly machine: Outages;
  readonly way: Outages;
}

/** What a late tick and the rounding of times may add. */
const LATE_MS = 10;
/** A server from which nothing comes is seen to be away after so many PING intervals. */
const SEEN_INTERVALS = 2.6;

export class Witness {
  readonly watched = new Map<Call, Watched>();
  readonly #who: string;
  readonly #habits: FreelanceHabits;
  readonly #servers: readonly Hindrances[];
  readonly #stalls: Outages;

  constructor(
    who: string,
    habits: FreelanceHabits,
    servers: readonly Hindrances[],
    stalls: Outages,
  ) {
    this.#who = who;
    this.#habits = habits;
    this.#servers = servers;
    this.#stalls = stalls;
  }

  begins(name: string, call: Call, now: number): void {
    this.watched.set(call, {
      name,
      call,
      startedAt: now,
      copies: [],
      attempt: [],
      attemptEndsAt: Infinity,
      isUnclearUntil: -Infinity,
      lastSendAt: -Infinity,
      bareSince: -Infinity,
      bareBy: 'open',
      lastPartAt: -Infinity,
      outcome: null,
      endedAt: Infinity,
    });
  }

  // ---------------------------------------------------------------- sends

  sends(call: Call, link: number, server: SeenServer | undefined, now: number): void {
    const request = this.#of(call);
    const { name } = request;
    hold(request.outcome === null, `${name} is sent after its end`);
    hold(server?.isConnected === true && server.link === link, `${name} is sent to no server`);
    const open = request.copies.filter(({ end }) => end === 'open');
    const isBare = open.length === 0;
    const isThere = open.some((copy) => copy.server === server) && this.#isAlive(server, now);
    hold(!isThere, `${name} is sent again to ${server.endpoint}, which is alive and has it`);
    const previous = request.attempt.find((copy) => copy.server === server);
    if (now >= request.attemptEndsAt - 1) {
      this.#newAttempt(request, now);
      // It may have been the last send of the attempt that ends now.
      request.isUnclearUntil = now + LATE_MS;
    } else if (now <= request.isUnclearUntil) {
      request.attempt = [];
    } else if (isBare && now > request.bareSince) {
      this.#newAttempt(request, now);
    } else if (previous !== undefined) {
      hold(isBare, `${name} is sent to ${server.endpoint} twice in an attempt`);
      const isAtOnce = previous.end === 'refused' && previous.endedAt === now;
      hold(!isAtOnce || request.bareBy !== 'refused', `${name} is sent again to who has refused`);
      this.#newAttempt(request, now);
    } else {
      this.#another(request, now);
    }
    const copy: Copy = { server, send: call.attempt, end: 'open', endedAt: Infinity };
    // Its parts are thrown away.
    if (request.lastPartAt > -Infinity) for (const each of open) each.end = 'dropped';
    request.copies.push(copy);
    request.attempt.push(copy);
    request.lastSendAt = now;
  }

  #newAttempt(request: Watched, now: number): void {
    request.attempt = [];
    request.attemptEndsAt = now + request.call.settings.resendMs;
  }

  /** One more server is asked within an attempt: there is a reason for it. */
  #another(request: Watched, now: number): void {
    const { hedgeMs } = this.#habits;
    const { name, attempt } = request;
    const alive = attempt.find((copy) => copy.end === 'open' && this.#isAlive(copy.server, now));
    if (hedgeMs === null) {
      hold(
        alive === undefined,
        `${name} is sent to one more though ${alive?.server.endpoint} is alive`,
      );
    } else if (attempt.every((copy) => copy.end === 'open' && this.#isAlive(copy.server, now))) {
      hold(now - request.lastSendAt >= hedgeMs, `${name} is sent to one more too early`);
    }
  }

  #isAlive({ isConnected, heardAt }: SeenServer, now: number): boolean {
    return isConnected && now - heardAt < 2 * this.#habits.pingIntervalMs - 1;
  }

  // ---------------------------------------------------------------- what becomes of sends

  lost(server: SeenServer, now: number): void {
    for (const request of this.watched.values()) {
      if (request.outcome !== null) continue;
      const lost = request.copies.filter((copy) => copy.server === server && copy.end === 'open');
      for (const copy of lost) this.#over(request, copy, 'lost', now);
    }
  }

  refused(call: Call, send: number, now: number): void {
    const request = this.watched.get(call);
    const copy = request?.copies.find(
      (each) => each.send % ATTEMPT_MODULUS === send && each.end === 'open',
    );
    if (request === undefined || copy === undefined) return;
    this.#over(request, copy, 'refused', now);
  }

  #over(request: Watched, copy: Copy, end: Copy['end'], now: number): void {
    const { call } = request;
    copy.end = end;
    copy.endedAt = now;
    // The parts of other answers were dropped, so none of them is whole.
    if (call.hasParts && copy.send === call.answerOf) {
      for (const each of request.copies) if (each.end === 'open') each.end = 'dropped';
    }
    if (request.copies.some((each) => each.end === 'open')) return;
    request.bareSince = now;
    request.bareBy = end;
  }

  part(call: Call, now: number): void {
    const request = this.#of(call);
    request.lastPartAt = now;
    request.attemptEndsAt = now + call.settings.resendMs;
  }

  // ---------------------------------------------------------------- ends

  /** @returns whether some server was sound all the time, so that the request must succeed */
  ends(call: Call, outcome: string, now: number): boolean {
    const request = this.#of(call);
    const { name, startedAt } = request;
    hold(request.outcome === null, `${name} settles twice: ${request.outcome ?? ''}, ${outcome}`);
    request.outcome = outcome;
    request.endedAt = now;
    const isStalled = this.#stalls.overlap(startedAt, now);
    const latest = this.#latestEnd(request);
    hold(isStalled || now <= latest, `${name} settles at ${now}, which is after ${latest}`);
    if (outcome === 'aborted' || isStalled) return false;
    const withinMs = this.#certainMs(request);
    if (now > startedAt + withinMs || outcome !== 'answered') {
      hold(withinMs === Infinity, `${name}: ${outcome} though a server was sound all the time`);
    }
    return withinMs < Infinity;
  }

  #latestEnd({ call, startedAt }: Watched): number {
    return startedAt + call.settings.timeoutMs + LATE_MS;
  }

  /**
   * How soon it had to be answered; `Infinity`: nothing is certain. A server was sound, and was asked in
   * time: because the request was sent to more than one, or in its last attempt at the latest, or
   * because all others were seen to be away.
   */
  #certainMs(request: Watched): number {
    const { settings, service } = request.call;
    const { timeoutMs, resendMs } = settings;
    const { hedgeMs, pingIntervalMs } = this.#habits;
    // The first part of a slow server's answer ends the search for another server.
    if (service === PARTS) return Infinity;
    const others = this.#servers.length - 1;
    const hedgedMs = hedgeMs === null ? Infinity : others * hedgeMs + ANSWER_MS;
    if (hedgedMs <= resendMs && this.#isSound(request, hedgedMs)) return hedgedMs;
    const seenMs = others * SEEN_INTERVALS * pingIntervalMs + ANSWER_MS;
    const mayBeSeen = seenMs <= resendMs && !this.#isSlow(request, seenMs);
    if (mayBeSeen && this.#isSound(request, seenMs)) return seenMs;
    const triedMs = others * resendMs + ANSWER_MS;
    const isEnough = timeoutMs >= (1 + others) * resendMs;
    return isEnough && this.#isSound(request, triedMs) ? triedMs : Infinity;
  }

  /** Whether nothing was wrong with some server in its first `forMs`. */
  #isSound({ startedAt }: Watched, forMs: number): boolean {
    const until = startedAt + forMs;
    return this.#servers.some(
      ({ machine, way }) => !machine.overlap(startedAt, until) && !way.overlap(startedAt, until),
    );
  }

  #isSlow({ startedAt }: Watched, forMs: number): boolean {
    const until = startedAt + forMs;
    return this.#servers.some(
      ({ machine, way }) =>
        machine.overlap(startedAt, until, 'slow') || way.overlap(startedAt, until, 'slow'),
    );
  }

  /** @returns the name of one that has not settled, or `null` */
  get unsettled(): string | null {
    for (const { name, outcome } of this.watched.values()) if (outcome === null) return name;
    return null;
  }

  #of(call: Call): Watched {
    const request = this.watched.get(call);
    hold(request !== undefined, `${this.#who} knows of a request that was never made`);
    return request;
  }
}
