/**
 * The client over several servers that know nothing of each other (the Guide's Freelance pattern): it
 * is connected to all of them, and each request goes to the first one that is alive.
 *
 * - A server is *alive* while it is connected and something was heard of it within two intervals of
 *   PINGs. One that refused with 503 is not asked again for an interval.
 * - An *attempt* sends a request at most once to each server: first to the first one alive, in the order
 *   of the endpoints; to the next when that is lost, silent or refuses, and after `hedgeMs` without an
 *   answer. The first answer wins. After `resendMs` without an answer another attempt follows, which
 *   begins after the last server that was asked. A server that is alive and has the request is not sent it
 *   again. A request settles within `timeoutMs`.
 * - If no server is alive the request waits for one.
 *
 * The strategy `freelance` of `Client`, over MDP, and the only one of `FreelanceClient`, over 10/FLP (D40).
 */
import type { MonotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import { type BackoffOptions, backoffMs, type Random } from '../backoff.js';
import { type BrokerRefusal, type Call, isTemporary } from './call.js';
import { ATTEMPT_MODULUS } from './correlation.js';
import {
  type DeliverySink,
  type DeliveryStrategy,
  KEY_REFUSALS,
  type LearntBroker,
} from './delivery-strategy.js';
import { Deadlines } from './deadlines.js';
import { type Copy, isAlive, isReady, Race, type Server, serverAt } from './race.js';
import type { Leaving } from './endpoint-order.js';
import { whyLeadMs } from './whys.js';

export interface FreelanceOptions extends BackoffOptions {
  /** Number of endpoints. */
  readonly endpoints: number;
  /** A request without an answer is sent to one more server after so long; `null`: it is not. */
  readonly hedgeMs: number | null;
  /** A server that was silent for so long is asked for a sign of life. */
  readonly pingIntervalMs: number;
  /** A connection alone is a sign of life; otherwise only a message is. */
  readonly isAliveWhenConnected: boolean;
}

export class Freelance implements DeliveryStrategy {
  readonly #options: FreelanceOptions;
  readonly #sink: DeliverySink;
  readonly #random: Random;
  readonly #servers: readonly Server[];
  readonly #serverOf = new Map<number, Server>();
  readonly #races = new Map<Call, Race>();
  /** Every race has a deadline. */
  readonly #deadlines = new Deadlines<Race>();
  /** Races that are sent to the next server that is alive and was not asked. */
  readonly #wanting = new Set<Race>();
  #links = 0;
  /** The endpoint that requests go to first; -1: none is alive. */
  #preferred = -1;
  /** The endpoint that was preferred last, if requests were sent since; otherwise -1. */
  #used = -1;
  /** Why no endpoint is preferred now. */
  #leftWhy: Leaving | null = null;
  #looksAt: MonotonicMs = Infinity;
  /** A server that was given up has been heard: `tick` is to be called. */
  #isRevived = false;

  constructor(options: FreelanceOptions, sink: DeliverySink, random: Random) {
    this.#options = options;
    this.#sink = sink;
    this.#random = random;
    this.#servers = Array.from({ length: options.endpoints }, (_, at) => serverAt(at));
  }

  /** The endpoint that requests go to first, by its index; -1: none is alive. */
  get preferred(): number {
    return this.#preferred;
  }

  /** What is kept of requests, in all places together: 0 when all have settled. */
  get held(): number {
    const { size } = this.#races;
    const out = this.#servers.reduce((sum, server) => sum + server.out.size, 0);
    return size + out + this.#wanting.size + this.#deadlines.all().length;
  }

  start(now: MonotonicMs): void {
    for (const server of this.#servers) this.#open(server);
    this.#looksAt = now + this.#lookMs;
  }

  add(call: Call, now: MonotonicMs): void {
    call.startedAt = Math.ceil(now);
    const race = new Race(call);
    this.#races.set(call, race);
    this.#begin(race, now);
  }

  // ---------------------------------------------------------------- connections

  connected(link: number, now: MonotonicMs): void {
    const server = this.#serverOf.get(link);
    if (server === undefined) return;
    server.connected = true;
    server.keyRefusals = 0;
    server.restsUntilMs = -Infinity;
    server.liveness.begin(this.#options.isAliveWhenConnected);
    this.#sink.greet(link);
    // The answer shows whether it serves.
    if (!this.#options.isAliveWhenConnected) this.#sink.ping(link);
    this.#serveWanting(now);
  }

  disconnected(link: number, now: MonotonicMs): void {
    const server = this.#serverOf.get(link);
    if (server === undefined) return;
    // A new link, not the next connection of the old one: that would send its buffered output
    // before the hello.
    this.#serverOf.delete(link);
    server.link = 0;
    server.connected = false;
    server.liveness.end();
    server.takesHeaders = null;
    server.takesOptions = false;
    server.takesGroups = false;
    server.tellsWhy = null;
    server.failures++;
    server.openAt = now + backoffMs(this.#options, server.failures, this.#random);
    this.#sink.close(link);
    this.#prefer('unreachable', now);
    const lost = [...server.out];
    server.out.clear();
    for (const race of lost) this.#lost(race, server, now);
  }

  unreachable(link: number, isKeyRefused: boolean): void {
    const server = this.#serverOf.get(link);
    if (server === undefined) return;
    server.keyRefusals = isKeyRefused ? server.keyRefusals + 1 : 0;
    if (!this.#servers.every(({ keyRefusals }) => keyRefusals >= KEY_REFUSALS)) return;
    for (const race of [...this.#wanting]) {
      if (race.copies.length === 0) this.#fail(race, race.call.keyError());
    }
  }

  heard(link: number): boolean {
    const server = this.#serverOf.get(link);
    if (server?.connected !== true) return false;
    server.failures = 0;
    if (!server.liveness.heard()) return false;
    this.#isRevived = true;
    return true;
  }

  learnt(link: number, broker: LearntBroker, now: MonotonicMs): void {
    const server = this.#serverOf.get(link);
    if (server === undefined) return;
    server.takesHeaders = broker.takesHeaders;
    server.takesOptions = broker.takesOptions;
    server.takesGroups = broker.takesGroups;
    server.tellsWhy = broker.tellsWhy;
    this.#serveWanting(now);
  }

  // ---------------------------------------------------------------- answers

  progressed(call: Call, now: MonotonicMs): void {
    const race = this.#races.get(call);
    if (race === undefined) return;
    // A worker has it: to send it again would throw away the parts that have arrived.
    race.hedgesMs = race.whyAtMs = Infinity;
    if (race.copies.length > 1) {
      this.#takeBack(race, call.answerOf);
      race.mayServeLater = true;
    }
    race.endsMs = now + call.settings.resendMs;
    this.#wanting.delete(race);
    this.#setDeadline(race, now);
  }

  answered(call: Call): void {
    this.#settle(call, call.answerOf);
  }

  refused(call: Call, send: number, refusal: BrokerRefusal, now: MonotonicMs): boolean {
    const race = this.#races.get(call);
    const copy = race?.copies.find((each) => each.send % ATTEMPT_MODULUS === send);
    if (race === undefined || copy === undefined) return false;
    const { server } = copy;
    this.#drop(race, copy);
    call.refusal = refusal;
    call.sends--;
    if (refusal.status === '503') {
      server.restsUntilMs = now + this.#options.pingIntervalMs;
      this.#prefer('refused', now);
    }
    race.mayServeLater ||= isTemporary(refusal);
    // Of one that may run once, and was at a worker, no other broker is asked.
    const isOver = (call.streams && call.hasParts) || refusal.status === '520';
    if (isOver) this.#fail(race, call.refusedError(refusal));
    else this.#goOnAfterRefusal(race, copy, refusal, now);
    return true;
  }

  sendOn(call: Call, link: number): number {
    return this.#races.get(call)?.copies.findLast(({ server }) => server.link === link)?.send ?? 0;
  }

  #goOnAfterRefusal(race: Race, copy: Copy, refusal: BrokerRefusal, now: MonotonicMs): void {
    if (this.#isCarried(race, [copy])) return;
    const { call } = race;
    const next = this.#nextFor(race, now);
    if (next !== null) this.#send(race, next, now);
    else if (race.copies.length > 0) this.#want(race, now);
    else if (race.mayServeLater) this.#rest(race, now);
    else this.#fail(race, call.refusedError(refusal));
  }

  /** All have refused: the attempt begins again after a pause. */
  #rest(race: Race, now: MonotonicMs): void {
    const { call } = race;
    this.#wanting.delete(race);
    call.state = 'resting';
    call.refusals++;
    race.endsMs = now + backoffMs(this.#options, call.refusals, this.#random);
    race.hedgesMs = race.whyAtMs = Infinity;
    this.#setDeadline(race, now);
  }

  /** The connection on which the answer of `server` would have come is gone. */
  #lost(race: Race, server: Server, now: MonotonicMs): void {
    const copies = race.copies.filter((copy) => copy.server === server);
    race.copies = race.copies.filter((copy) => copy.server !== server);
    const { call } = race;
    if (call.streams && call.hasParts) {
      this.#fail(race, call.brokenError('the connection was lost'));
    } else if (call.settings.once && copies.length > 0) {
      this.#fail(race, call.outcomeError('its broker was lost'));
    } else this.#askNext(race, copies, now);
  }

  cancel(call: Call): void {
    this.#settle(call);
  }

  #settle(call: Call, kept = 0): void {
    const race = this.#races.get(call);
    if (race === undefined) return;
    this.#races.delete(call);
    this.#deadlines.clear(race);
    this.#wanting.delete(race);
    this.#takeBack(race, kept);
    for (const copy of race.copies) this.#drop(race, copy);
    call.state = 'settled';
  }

  // ---------------------------------------------------------------- time

  tick(now: MonotonicMs): void {
    this.#isRevived = false;
    if (this.#looksAt <= now) this.#look(now);
    for (const server of this.#servers) {
      if (server.openAt <= now) this.#open(server);
      if (server.restsUntilMs <= now) server.restsUntilMs = -Infinity;
    }
    this.#serveWanting(now);
    let race = this.#deadlines.takeDue(now);
    while (race !== undefined) {
      this.#due(race, now);
      race = this.#deadlines.takeDue(now);
    }
  }

  nextMs(): MonotonicMs {
    if (this.#isRevived) return -Infinity;
    let next = Math.min(this.#looksAt, this.#deadlines.nextMs());
    for (const { openAt, restsUntilMs } of this.#servers) {
      next = Math.min(next, openAt, restsUntilMs === -Infinity ? Infinity : restsUntilMs);
    }
    return next;
  }

  /** Twice per interval, so that a silent server is found within half an interval. */
  get #lookMs(): number {
    return this.#options.pingIntervalMs / 2;
  }

  #look(now: MonotonicMs): void {
    this.#looksAt = now + this.#lookMs;
    for (const server of this.#servers) {
      if (!server.connected) continue;
      const isLost = server.liveness.look();
      if (server.liveness.isAsked) this.#sink.ping(server.link);
      if (!isLost) continue;
      this.#prefer('silent', now);
      // Late answers of this server are used, if they are the first.
      for (const race of [...server.out]) {
        const copies = race.copies.filter((copy) => copy.server === server);
        if (!race.call.hasParts) this.#askNext(race, copies, now);
      }
    }
  }

  #due(race: Race, now: MonotonicMs): void {
    const { call } = race;
    const isOver = call.leftMs(now) < 1;
    if (race.endsMs > now && !isOver) {
      if (race.hedgesMs <= now) this.#hedge(race, now);
      if (race.whyAtMs <= now) this.#askWhy(race);
      this.#setDeadline(race, now);
      return;
    }
    if (isOver) {
      this.#fail(race, this.#errorOf(call, now));
    } else if (call.hasParts && race.copies.some(({ server }) => isAlive(server))) {
      // Further parts may take their time.
      race.endsMs = now + call.settings.resendMs;
      this.#setDeadline(race, now);
    } else if (call.hasBegun) {
      this.#fail(race, call.timeoutError(now));
    } else {
      this.#begin(race, now);
    }
  }

  /** Why no answer came in time. */
  #errorOf(call: Call, now: MonotonicMs): MajordomoError {
    if (call.attempt > 0) return call.timeoutError(now);
    if (this.#servers.some(({ keyRefusals }) => keyRefusals > 0)) return call.keyError();
    if (call.isSpecial && this.#servers.some(({ connected }) => connected)) {
      return call.unsupportedError('does not say');
    }
    return call.timeoutError(now);
  }

  #askWhy(race: Race): void {
    race.whyAtMs = Infinity;
    const asked = race.copies.findLast(
      ({ server }) => server.connected && server.tellsWhy === true,
    );
    if (asked !== undefined) this.#sink.askWhy(asked.server.link, race.call);
  }

  #hedge(race: Race, now: MonotonicMs): void {
    race.hedgesMs = Infinity;
    const next = this.#nextFor(race, now);
    if (next === null) {
      this.#want(race, now);
      return;
    }
    this.#sink.hedged();
    this.#send(race, next, now);
  }

  // ---------------------------------------------------------------- attempts

  /** The next attempt; if no server is alive, it begins when one is. */
  #begin(race: Race, now: MonotonicMs): void {
    const last = race.asked.at(-1);
    race.first = last === undefined ? 0 : (last + 1) % this.#servers.length;
    race.asked = [];
    race.mayServeLater = false;
    race.hedgesMs = Infinity;
    race.endsMs = race.whyAtMs = Infinity;
    const server = this.#nextFor(race, now);
    if (server === null) {
      // All that are alive have it.
      if (race.copies.length > 0) race.whyAtMs = this.#whyAt(race, now);
      this.#want(race, now);
      return;
    }
    race.attempts++;
    race.endsMs = now + race.call.settings.resendMs;
    this.#send(race, server, now);
    if (this.#options.hedgeMs !== 0) return;
    for (let next = this.#nextFor(race, now); next !== null; next = this.#nextFor(race, now)) {
      this.#sink.hedged();
      this.#send(race, next, now);
    }
  }

  /** What was asked is lost, or silent: the next server is asked, in a new attempt if need be. */
  #askNext(race: Race, gone: readonly Copy[], now: MonotonicMs): void {
    if (this.#isCarried(race, gone)) return;
    const next = this.#nextFor(race, now);
    if (next !== null) this.#send(race, next, now);
    else if (race.copies.length > 0) this.#want(race, now);
    else this.#begin(race, now);
  }

  /**
   * The loss of these copies is no reason to ask one more server: they were of an earlier attempt, or,
   * without `hedgeMs`, another server that is alive may answer the present one.
   */
  #isCarried({ copies, attempts }: Race, gone: readonly Copy[]): boolean {
    const present = copies.filter(({ attempt }) => attempt === attempts);
    if (this.#options.hedgeMs === null) return present.some(({ server }) => isAlive(server));
    return present.length > 0 && !gone.some(({ attempt }) => attempt === attempts);
  }

  #send(race: Race, server: Server, now: MonotonicMs): void {
    const { call } = race;
    // The parts of another server's answer are lost with this send.
    if (call.hasParts) this.#takeBack(race);
    call.sent(server.link, 0, server.takesHeaders === true);
    race.asked.push(server.endpoint);
    race.copies.push({ server, send: call.attempt, attempt: race.attempts });
    server.out.add(race);
    this.#wanting.delete(race);
    this.#used = this.#preferred;
    const { hedgeMs } = this.#options;
    const hedges = hedgeMs !== null && hedgeMs > 0 && this.#mayAskMore(race);
    race.hedgesMs = hedges ? now + hedgeMs : Infinity;
    if (server.tellsWhy !== false) race.whyAtMs = this.#whyAt(race, now);
    this.#setDeadline(race, now);
    this.#sink.send(server.link, call);
  }

  /** When a server is to be asked why there is no answer; `Infinity`: never, as another attempt may follow. */
  #whyAt({ call, endsMs }: Race, now: MonotonicMs): MonotonicMs {
    const endMs = now + call.leftMs(now);
    const leadMs = endMs <= endsMs ? whyLeadMs(endMs - now) : 0;
    return leadMs === 0 ? Infinity : endMs - leadMs;
  }

  /** Has the request of a race sent as soon as there is a server for it. */
  #want(race: Race, now: MonotonicMs): void {
    if (race.copies.length === 0) race.call.state = 'waiting';
    this.#wanting.add(race);
    this.#setDeadline(race, now);
  }

  #serveWanting(now: MonotonicMs): void {
    this.#prefer('returned', now);
    if (this.#preferred < 0) return;
    for (const race of [...this.#wanting]) {
      // An answer may have settled it meanwhile.
      if (!this.#wanting.has(race) || this.#isCarried(race, race.copies)) continue;
      const next = this.#nextFor(race, now);
      if (next !== null) this.#serve(race, next, now);
      else this.#failIfUnsupported(race);
    }
  }

  #serve(race: Race, server: Server, now: MonotonicMs): void {
    this.#wanting.delete(race);
    if (race.asked.length === 0) {
      this.#begin(race, now);
      return;
    }
    if (race.copies.length > 0) this.#sink.hedged();
    this.#send(race, server, now);
  }

  /** Fails a request if every server has said that it does not support what it needs. */
  #failIfUnsupported(race: Race): void {
    const { call } = race;
    if (!call.isSpecial || call.attempt > 0) return;
    const isRefused = (server: Server): boolean =>
      server.takesHeaders !== null && !call.isTakenBy(server);
    if (this.#servers.every(isRefused)) this.#fail(race, call.unsupportedError('does not'));
  }

  #fail(race: Race, error: MajordomoError): void {
    const { call } = race;
    this.#settle(call);
    this.#sink.fail(call, error);
  }

  #setDeadline(race: Race, now: MonotonicMs): void {
    const { call, endsMs, hedgesMs, whyAtMs } = race;
    const lastMs = call.leftMs(now);
    this.#deadlines.set(race, now, Math.min(Math.min(endsMs, hedgesMs, whyAtMs) - now, lastMs));
  }

  #drop(race: Race, copy: Copy): void {
    race.copies.splice(race.copies.indexOf(copy), 1);
    if (!race.copies.some(({ server }) => server === copy.server)) copy.server.out.delete(race);
  }

  /** Takes back the sends of a request, but for `kept`: nobody wants their answers any more. */
  #takeBack(race: Race, kept = 0): void {
    for (const copy of [...race.copies]) {
      if (copy.send === kept) continue;
      this.#drop(race, copy);
      this.#sink.cancel(copy.server.link, race.call.id, copy.send);
    }
  }

  // ---------------------------------------------------------------- servers

  #open(server: Server): void {
    server.openAt = Infinity;
    server.link = ++this.#links;
    this.#serverOf.set(server.link, server);
    this.#sink.open(server.link, server.endpoint);
  }

  /** The next server, in order, that is alive, has no send of the request, and was not asked by the present attempt. */
  #nextFor(race: Race, now: MonotonicMs): Server | null {
    const count = this.#servers.length;
    const { call } = race;
    // What may run once is asked of one server.
    if (!call.mayBeSent) return null;
    for (let step = 0; step < count; step++) {
      const server = this.#servers[(race.first + step) % count];
      if (server === undefined || !isReady(server, now)) continue;
      if (call.isSpecial && !call.isTakenBy(server)) continue;
      if (race.copies.some((copy) => copy.server === server)) continue;
      if (!race.asked.includes(server.endpoint)) return server;
    }
    return null;
  }

  /** Whether there are servers that the present attempt has not asked. */
  #mayAskMore(race: Race): boolean {
    return race.asked.length < this.#servers.length;
  }

  #prefer(why: Leaving, now: MonotonicMs): void {
    const preferred = this.#servers.findIndex((server) => isReady(server, now));
    if (preferred === this.#preferred) return;
    this.#preferred = preferred;
    if (preferred < 0) {
      this.#leftWhy = why;
      return;
    }
    const reason = this.#leftWhy ?? why;
    this.#leftWhy = null;
    const from = this.#used;
    if (from < 0 || from === preferred) return;
    this.#used = -1;
    this.#sink.switched(from, preferred, reason);
  }
}
