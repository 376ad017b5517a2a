/**
 * The client over brokers that return the envelope: all requests share one link.
 *
 * Lazy Pirate (docs/sdk-delivery.md), made asynchronous:
 * - A broker with sessions (docs/protocol.md) is sent a request once. While anything is out there, it has to be heard of:
 *   if it says nothing for a while, and nothing for as long after it was asked, it is taken for dead. A lost connection
 *   is followed by another one, and the broker says which requests it has: only what never arrived is sent again.
 * - Other brokers are sent a request again when it has had no answer for `resendMs`, over the same link if anything
 *   at all was heard there since it was sent; else the broker is taken for dead: the link is closed, one to
 *   the next endpoint opened, and everything unanswered sent there. So that a slow service on a
 *   quiet link is not taken for a dead broker, `mmi.broker` is asked after half that time, of
 *   brokers that have answered it before on that connection.
 * - A request settles within its `timeoutMs`.
 * - 503: the next endpoint, at once; where that would be too soon (all have refused), the same one
 *   again, after a pause, unless its broker is about to end. 429: again, after a pause. Other refusals are final.
 * - A request with headers goes only to a broker that supports them. What a broker supports is known when it
 *   has answered `mmi.broker`, which is asked on each connection; until then the request is held, unsent.
 * - While anything is out at a node of a pair, the node has to be heard of: if it says nothing for a
 *   while, and nothing for as long after it was asked, what may be sent again goes to the next.
 */
import type { MonotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import { backoffMs, type Random } from '../backoff.js';
import type { ResumeState } from '../../wire/mmi.js';
import {
  byAge,
  type BrokerRefusal,
  type Call,
  isDraining,
  isTemporary,
  type LostSend,
} from './call.js';
import { ATTEMPT_MODULUS } from './correlation.js';
import {
  type DeliveryStrategy,
  type DeliverySink,
  KEY_REFUSALS,
  type LearntBroker,
  NO_SESSION,
  type SessionState,
} from './delivery-strategy.js';
import { Deadlines } from './deadlines.js';
import { type Leaving, EndpointOrder, type EndpointOrderOptions } from './endpoint-order.js';
import { Inquiry, type Lost } from './inquiry.js';
import { whyLeadMs } from './whys.js';

interface LazyPirateOptions extends EndpointOrderOptions {
  /** How long an endpoint may have no connection before the next is tried, in milliseconds. */
  readonly connectMs: number;
}

/** How long a node of a pair may be silent at least, in heartbeats of the pair (docs/sdk-delivery.md). */
const PAIR_SILENCE_HEARTBEATS = 2.5;

/** How long a broker with a session may say nothing while requests are out there, before it is asked, and after that. */
const QUIET_MS = 1250;

/** How many of the requests that were given up without a connection are taken back when there is one again. */
const GIVEN_UP_MAX = 1000;
/** From this id on, requests wait for those that are out, and then a new session begins: ids must not start anew. */
const LAST_ID = 0xffff_0000;

/**
 * What a connection is used for. *asking*: requests were lost before it, so that first its broker has to say what it
 * knows of them, and everything waits; *open*: for requests.
 */
type Phase = 'asking' | 'open';

/** A connection to an endpoint. */
interface Line {
  readonly link: number;
  readonly endpoint: number;
  connected: boolean;
  /** When the connection was lost. */
  offlineMs: MonotonicMs;
  /** Number of messages received. */
  heard: number;
  /**
   * Whether it may be asked for a sign of life: it has answered `mmi.broker` on this connection.
   */
  answersProbes: boolean;
  /** Whether its broker supports headers; `null`: it has not said yet. */
  takesHeaders: boolean | null;
  /** Whether its broker takes options of a request. */
  takesOptions: boolean;
  /** Whether it takes the group of a request, too. */
  takesGroups: boolean;
  /** Whether its broker says why a request has no answer; `null`: as `takesHeaders`. */
  tellsWhy: boolean | null;
  phase: Phase;
  /** What its broker says of the session; `null`: it has not answered the hello yet. */
  session: SessionState | null;
  /** Which broker it is, or was at least; empty: it does not say. */
  instance: string;
  /** Calls out on it. */
  out: number;
  /** Whether nothing listens at the endpoint. */
  unreachable: boolean;
  /** When the broker is checked next: whether it has said anything; `Infinity`: it need not. */
  watchMs: MonotonicMs;
  /** The value of `heard` at the last check of the node. */
  heardAtWatch: number;
  /** Whether that check asked the node for a sign of life. */
  asked: boolean;
  /** Since when, and at which `heard`, the broker says nothing to requests whose time may be over before `resendMs`. */
  quietMs: MonotonicMs;
  heardAtQuiet: number;
}

export class LazyPirate implements DeliveryStrategy {
  readonly #options: LazyPirateOptions;
  readonly #sink: DeliverySink;
  readonly #random: Random;
  readonly #waiting = new Set<Call>();
  /** Requests with headers, until the broker of the line has said whether it supports them. */
  readonly #held = new Set<Call>();
  /** Every call that has not settled has a deadline. */
  readonly #deadlines = new Deadlines<Call>();
  /** Where new requests go; null in the pause before the next endpoint. */
  #line: Line | null = null;
  /** Lines that refused: they still bring the answers to their requests, then close. */
  readonly #retired = new Map<number, Line>();
  #links = 0;
  #endpoint = 0;
  #openAt: MonotonicMs = Infinity;
  #probeMs: MonotonicMs = Infinity;
  /** When the broker of the line was asked for a sign of life first since it was heard; `Infinity`: it was not. */
  #askedMs: MonotonicMs = Infinity;
  /** The greatest id that the broker may know in the session. */
  #lastId = 0;
  /** The greatest that any broker may know in it. */
  #highestId = 0;
  /** What became of lost sends. */
  readonly #inquiry = new Inquiry();
  /** Whether sends were lost on a line that was left, while others are asked for. */
  #hasNewLost = false;
  /** Lost sends of calls that were given up meanwhile. */
  readonly #givenUp: LostSend[] = [];
  /** Endpoints whose broker keeps no session, as far as is known. */
  readonly #sessionless = new Set<number>();
  /** Connections lost in a row without an answer to any request. */
  #failures = 0;
  /** Handshakes refused because of this client's key, since one was accepted. */
  #keyRefusals = 0;
  /** Endpoints whose last handshake was refused so. */
  readonly #refusing = new Set<number>();
  readonly #order: EndpointOrder;

  constructor(options: LazyPirateOptions, sink: DeliverySink, random: Random) {
    this.#options = options;
    this.#sink = sink;
    this.#random = random;
    this.#order = new EndpointOrder(options, random);
  }

  start(now: MonotonicMs): void {
    this.#open(now);
  }

  add(call: Call, now: MonotonicMs): void {
    call.startedAt = Math.ceil(now);
    const line = this.#line;
    // The patience with an endpoint counts from the first request that needs it.
    if (line !== null && !line.connected && this.#waiting.size === 0) line.offlineMs = now;
    this.#dispatch(call, now);
    this.#leaveUnreachable(now);
  }

  connected(link: number, now: MonotonicMs): void {
    const line = this.#line;
    if (line?.link !== link) return;
    line.connected = true;
    line.unreachable = false;
    this.#keyRefusals = 0;
    this.#refusing.clear();
    // The last broker may have known less than this one.
    this.#lastId = this.#highestId;
    this.#sink.greet(link);
    if (this.#lostCalls.length > 0) {
      line.phase = 'asking';
      this.#beginWatch(line, now);
    } else {
      this.#sendWaiting(line, now);
    }
  }

  /** Sends all that wait, in the order of their ids. */
  #sendWaiting(line: Line, now: MonotonicMs): void {
    line.phase = 'open';
    this.#takeBackGivenUp(line);
    const waiting = [...this.#waiting].sort(byAge);
    this.#waiting.clear();
    for (const call of waiting) this.#dispatch(call, now);
  }

  greeted(link: number, said: SessionState | null, now: MonotonicMs): void {
    const line = this.#lineOf(link);
    // A broker that refused a hello may take a later one.
    if (line === undefined || hasSession(line)) return;
    if (said === null && line === this.#line && line.phase === 'asking') {
      // The broker may have the session: it is asked again over another connection, after a pause.
      this.disconnected(link, now);
      return;
    }
    const session = said ?? NO_SESSION;
    line.session = session;
    if (session.resumeMs > 0) this.#sessionless.delete(line.endpoint);
    else this.#sessionless.add(line.endpoint);
    if (line !== this.#line) return;
    if (line.phase === 'asking') {
      if (!session.isKnown) this.#lastId = 0;
      this.#askOfLost(line, now);
    } else if (session.resumeMs > 0) {
      this.#becomeSession(line, now);
    }
    this.#takeBackGivenUp(line);
  }

  /** What was sent before that was known waits for its answer now, and is not sent again. */
  #becomeSession(line: Line, now: MonotonicMs): void {
    for (const call of this.#calls()) {
      if (call.link === line.link) this.#waitForAnswer(line, call, now);
    }
    this.#beginWatch(line, now);
  }

  // ---------------------------------------------------------------- what became of requests

  /**
   * A connection is there, and its broker is known: it says what became of the sends that it had, if it can. Others were
   * at a broker that has died, or is left; they are asked for if that is met again.
   */
  #askOfLost(line: Line, now: MonotonicMs): void {
    const { session } = line;
    if (session === null || line.takesHeaders === null) return;
    this.#hasNewLost = false;
    const lost: Lost[] = [];
    for (const call of this.#lostCalls.sort(byAge)) {
      const here = call.lost?.filter((send) => mayBeOf(send, line)) ?? [];
      if (here.length > 0 && session.isKnown) {
        lost.push(...here.map((send) => ({ call, send })));
      } else if (here.some((send) => hasSessionEnded(send, session, now))) {
        this.#fail(call, call.outcomeError('its client was away for too long'), now);
      } else {
        this.#isNowhere(call, here, now);
      }
    }
    this.#inquiry.begin(lost);
    this.#askNext(line, now);
  }

  /** These sends were at a broker that has died, or keeps nothing: the call is sent again, if it may be. */
  #isNowhere(call: Call, sends: readonly LostSend[], now: MonotonicMs): void {
    if (call.settings.once) this.#fail(call, call.outcomeError('its broker was lost'), now);
    else call.forgetLost(sends);
  }

  /** Calls with sends that were lost, whose broker was not asked for them yet. */
  get #lostCalls(): Call[] {
    return [...this.#waiting].filter(({ lost }) => lost !== null);
  }

  #askNext(line: Line, now: MonotonicMs): void {
    const asked = this.#inquiry.next(now);
    if (asked.length > 0) {
      this.#sink.resume(
        line.link,
        asked.map(({ send }) => [send.id, send.send]),
      );
    } else if (this.#inquiry.nextMs === Infinity) {
      if (this.#hasNewLost) this.#askOfLost(line, now);
      else this.#sendWaiting(line, now);
    }
  }

  resumed(link: number, states: readonly ResumeState[] | null, now: MonotonicMs): void {
    const line = this.#line;
    if (line?.link !== link || line.phase !== 'asking') return;
    // Nothing was asked for over this connection.
    if (!this.#inquiry.isOut) return;
    if (states === null) {
      // Asked again over another connection, after a pause: nothing is known of them.
      this.disconnected(link, now);
      return;
    }
    for (const [lost, state] of this.#inquiry.said(states, now)) {
      this.#becameOf(lost, state, line, now);
    }
    this.#askNext(line, now);
  }

  #becameOf(lost: Lost, state: ResumeState, line: Line, now: MonotonicMs): void {
    const { call, send } = lost;
    if (state === 'open') {
      this.#waiting.delete(call);
      call.resume(line.link, line.heard);
      line.out++;
      this.#sink.resumed();
      this.#waitForAnswer(line, call, now);
    } else if (state === 'unknown') {
      this.#neverArrived(call, send);
    } else {
      call.forgetLost([send]);
      this.#fail(call, call.outcomeError('the broker has neither the request nor its answer'), now);
    }
  }

  #neverArrived(call: Call, send: LostSend): void {
    this.#lastId = Math.min(this.#lastId, (send.id >>> 0) - 1);
    call.forgetLost([send]);
    call.sends--;
  }

  /** Tells the broker what nobody wants any more of what it had when the connection was lost. */
  #takeBackGivenUp(line: Line): void {
    if (line.session?.isKnown !== true || line.takesHeaders === null) return;
    for (const lost of this.#givenUp.splice(0)) {
      if (mayBeOf(lost, line)) this.#sink.cancel(line.link, lost.id, lost.send);
    }
  }

  disconnected(link: number, now: MonotonicMs): void {
    const retired = this.#retired.get(link);
    if (retired !== undefined) this.#close(retired, now);
    const line = this.#line;
    if (line?.link !== link) return;
    // A new link, not the next connection of the old one: that would send its buffered output
    // before the hello.
    this.#line = null;
    this.#inquiry.begin([]);
    this.#probeMs = Infinity;
    this.#failures++;
    this.#openAt = now + backoffMs(this.#options, this.#failures, this.#random);
    this.#dispatchHeld(now);
    this.#close(line, now);
  }

  unreachable(link: number, isKeyRefused: boolean, now: MonotonicMs): void {
    if (this.#line?.link !== link) return;
    if (isKeyRefused) {
      this.#keyRefusals++;
      this.#refusing.add(this.#line.endpoint);
    } else {
      this.#refusing.delete(this.#line.endpoint);
    }
    if (this.#isShutOut) {
      for (const call of [...this.#waiting]) this.#fail(call, call.keyError(), now);
    }
    this.#line.unreachable = true;
    this.#leaveUnreachable(now);
  }

  heard(link: number): boolean {
    const line = this.#lineOf(link);
    if (line === undefined) return false;
    line.heard++;
    if (line === this.#line) this.#probeMs = this.#askedMs = Infinity;
    return false;
  }

  learnt(link: number, broker: LearntBroker, now: MonotonicMs): void {
    const { takesHeaders, takesOptions, takesGroups, tellsWhy, pairHeartbeatMs, instance } = broker;
    const line = this.#lineOf(link);
    if (line === undefined) return;
    const isFirst = line.takesHeaders === null;
    line.takesHeaders = takesHeaders;
    line.takesOptions = takesOptions;
    line.takesGroups = takesGroups;
    line.tellsWhy = tellsWhy;
    // Behind a proxy its successor answers over the same connection.
    if (!isFirst && line.instance !== instance) {
      if (line === this.#line) this.#moveOn(line, now, 'silent');
      else this.#close(line, now);
      return;
    }
    line.instance = instance;
    const isAsking = isFirst && line.phase === 'asking';
    if (isAsking && line === this.#line) this.#askOfLost(line, now);
    if (isFirst && line === this.#line) this.#takeBackGivenUp(line);
    if (pairHeartbeatMs !== null) this.#heartbeatLearnt(line, pairHeartbeatMs, now);
    if (line === this.#line) this.#dispatchHeld(now);
  }

  #heartbeatLearnt(line: Line, pairHeartbeatMs: number, now: MonotonicMs): void {
    line.answersProbes = true;
    const isNews = pairHeartbeatMs !== this.#order.pairHeartbeatMs;
    this.#order.pairHeartbeatMs = pairHeartbeatMs;
    if (isNews) this.#renewDeadlines(now);
    if (line === this.#line && line.out > 0) this.#beginWatch(line, now);
  }

  /** What is out may be sent again too soon for a pair. */
  #renewDeadlines(now: MonotonicMs): void {
    for (const call of this.#calls()) {
      const line = this.#lineOf(call.link);
      if (call.state === 'sent' && line !== undefined) this.#waitForAnswer(line, call, now);
    }
  }

  progressed(call: Call, now: MonotonicMs): void {
    this.#failures = 0;
    this.#order.answered();
    // Parts of two answers are not mixed.
    this.#takeBack(call, call.answerOf);
    const line = this.#lineOf(call.link);
    if (line !== undefined) this.#beginWait(line, call, now);
  }

  answered(call: Call, now: MonotonicMs): void {
    // The reply was asked for, and is here before what the broker says of it.
    if (call.state === 'waiting') this.#sink.resumed();
    this.#failures = 0;
    this.#order.answered();
    this.#forget(call, now, call.answerOf);
  }

  refused(call: Call, send: number, refusal: BrokerRefusal, now: MonotonicMs): boolean {
    if (send !== call.attempt % ATTEMPT_MODULUS) return false;
    // Parts of an earlier send arrive: this one was taken back.
    if (call.hasParts && call.answerOf !== call.attempt) return true;
    // The reply was asked for, and its refusal is here before what the broker says of it.
    const lost =
      call.state === 'waiting' ? call.lost?.find((one) => one.send === call.attempt) : undefined;
    if (lost !== undefined) {
      this.#waiting.delete(call);
      call.forgetLost([lost]);
    }
    if (call.state === 'sent' || lost !== undefined) this.#refused(call, refusal, now);
    return true;
  }

  #refused(call: Call, refusal: BrokerRefusal, now: MonotonicMs): void {
    const line = this.#lineOf(call.link);
    this.#takeOff(call, now);
    if (!isTemporary(refusal) || call.hasBegun) {
      this.#fail(call, call.refusedError(refusal), now);
      return;
    }
    call.refusal = refusal;
    call.sends--;
    const isElsewhere =
      refusal.status === '503' && this.#leaveRefusing(line, isDraining(refusal), now);
    if (isElsewhere) this.#dispatch(call, now);
    else this.#rest(call, now);
  }

  /**
   * @param ends its broker is about to: asking the next is never of less use
   * @returns false if the same endpoint is to be asked again, after a pause
   */
  #leaveRefusing(line: Line | undefined, ends: boolean, now: MonotonicMs): boolean {
    if (this.#options.endpoints === 1) return false;
    // Left already.
    if (line === undefined || line !== this.#line) return true;
    if (!this.#order.refused(line.endpoint, now) && !ends) return false;
    this.#moveOn(line, now, 'refused');
    return true;
  }

  #rest(call: Call, now: MonotonicMs): void {
    call.state = 'resting';
    call.refusals++;
    const restMs = backoffMs(this.#options, call.refusals, this.#random);
    // Nodes of a pair may change roles within heartbeats.
    const mostMs = this.#order.pairHeartbeatMs > 0 ? this.#order.pairHeartbeatMs / 2 : Infinity;
    this.#wait(call, now, Math.min(restMs, mostMs, call.leftMs(now)));
  }

  cancel(call: Call, now: MonotonicMs): void {
    this.#forget(call, now);
  }

  /** Tells the brokers that nobody wants the answers to its sends any more, but for that to `kept`. */
  #takeBack(call: Call, kept = 0): void {
    for (const [link, send, id] of call.takeBack(kept)) {
      if (this.#lineOf(link) !== undefined) this.#sink.cancel(link, id, send);
    }
  }

  #forget(call: Call, now: MonotonicMs, kept = 0): void {
    if (call.state === 'settled') return;
    this.#takeBack(call, kept);
    this.#deadlines.clear(call);
    if (call.lost !== null && this.#givenUp.length < GIVEN_UP_MAX) {
      this.#givenUp.push(...call.lost.filter(({ send }) => send !== kept));
    }
    call.lost = null;
    if (call.state === 'waiting') {
      this.#waiting.delete(call);
      this.#held.delete(call);
    }
    this.#takeOff(call, now);
    call.state = 'settled';
  }

  tick(now: MonotonicMs): void {
    let call = this.#deadlines.takeDue(now);
    while (call !== undefined) {
      this.#due(call, now);
      call = this.#deadlines.takeDue(now);
    }
    if (this.#openAt <= now) this.#open(now);
    for (const each of [this.#line, ...this.#retired.values()]) {
      if (each !== null && each.watchMs <= now) this.#watch(each, now);
    }
    if (this.#line !== null && this.#giveUpMs() <= now) this.#moveOn(this.#line, now, 'silent');
    const line = this.#line;
    if (line !== null && this.#inquiry.nextMs <= now) this.#askNext(line, now);
    if (line !== null && this.#probeMs <= now) this.#probe(line, now);
  }

  #probe(line: Line, now: MonotonicMs): void {
    if (line === this.#line) {
      this.#probeMs = Infinity;
      this.#askedMs = Math.min(this.#askedMs, now);
    }
    this.#sink.probe(line.link);
  }

  nextMs(): MonotonicMs {
    const askMs = this.#line === null ? Infinity : this.#inquiry.nextMs;
    const watchMs = this.#line?.watchMs ?? Infinity;
    let lineMs = Math.min(this.#giveUpMs(), this.#probeMs, watchMs, askMs);
    if (this.#retired.size > 0) {
      for (const retired of this.#retired.values()) lineMs = Math.min(lineMs, retired.watchMs);
    }
    return Math.min(this.#deadlines.nextMs(), this.#openAt, lineMs);
  }

  /** The calls that have not settled, in order of arrival. */
  #calls(): Call[] {
    return this.#deadlines.all().sort(byAge);
  }

  #lineOf(link: number): Line | undefined {
    return this.#line?.link === link ? this.#line : this.#retired.get(link);
  }

  /** When the endpoint is given up because it has no connection; only if a request waits for it. */
  #giveUpMs(): MonotonicMs {
    const line = this.#line;
    if (line === null || line.connected || this.#waiting.size === 0) return Infinity;
    return this.#options.endpoints > 1 ? line.offlineMs + this.#options.connectMs : Infinity;
  }

  /** A node of a pair that says nothing may be about to: its peer may have to find it dead first. */
  get #pairSilenceMs(): number {
    return Math.ceil(this.#order.pairHeartbeatMs * PAIR_SILENCE_HEARTBEATS);
  }

  #resendMs({ settings }: Call): number {
    return Math.max(settings.resendMs, this.#pairSilenceMs);
  }

  #dispatch(call: Call, now: MonotonicMs): void {
    const isUsedUp = this.#lastId >= LAST_ID;
    if (this.#line?.connected === true && this.#line.phase === 'open' && !isUsedUp) {
      this.#send(this.#line, call, now);
      return;
    }
    call.state = 'waiting';
    this.#waiting.add(call);
    this.#wait(call, now, call.leftMs(now));
    if (isUsedUp) this.#beginSession(now);
  }

  /** All ids are used up: as soon as nothing is out, a new connection begins a new session. */
  #beginSession(now: MonotonicMs): void {
    const line = this.#line;
    // Before the last one ends, its broker has to say what it had.
    if (line === null || line.out > 0 || line.phase === 'asking') return;
    this.#lastId = 0;
    this.#highestId = 0;
    this.#sink.renewSession();
    for (const call of this.#waiting) this.#sink.renewId(call);
    this.#line = null;
    this.#openAt = now;
    this.#close(line, now);
  }

  #send(line: Line, call: Call, now: MonotonicMs): void {
    if (call.isSpecial && !call.isTakenBy(line)) {
      if (line.takesHeaders === null) this.#hold(line, call, now);
      else this.#fail(call, call.unsupportedError('does not'), now);
      return;
    }
    // The parts that have arrived are of no use with this send.
    if (call.hasParts) this.#takeBack(call);
    // The ids of a session only grow.
    if (call.id >>> 0 <= this.#lastId) this.#sink.renewId(call);
    this.#lastId = call.id >>> 0;
    this.#highestId = Math.max(this.#highestId, this.#lastId);
    call.sent(line.link, line.heard, line.takesHeaders === true);
    call.sentMs = Math.floor(now);
    line.out++;
    this.#beginWait(line, call, now);
    if (line.answersProbes) this.#beginWatch(line, now);
    this.#sink.send(line.link, call);
  }

  /** From now on the call waits for its answer, or for its next part. */
  #beginWait(line: Line, call: Call, now: MonotonicMs): void {
    call.heardAtSend = line.heard;
    this.#waitForAnswer(line, call, now);
    if (hasSession(line)) return;
    this.#beginQuiet(line, now);
    if (!line.answersProbes) return;
    this.#probeMs = Math.min(this.#probeMs, now + this.#resendMs(call) / 2);
  }

  #hold(line: Line, call: Call, now: MonotonicMs): void {
    call.state = 'waiting';
    call.heardAtSend = line.heard;
    this.#held.add(call);
    this.#wait(call, now, Math.min(this.#resendMs(call), call.leftMs(now)));
    this.#beginQuiet(line, now);
  }

  /** Sets when the call is due next. */
  #wait(call: Call, now: MonotonicMs, waitMs: number): void {
    call.whyMs = 0;
    this.#deadlines.set(call, now, waitMs);
  }

  /** A little before its time is over it is due, too: the broker is asked why there is no answer. */
  #waitForAnswer(line: Line, call: Call, now: MonotonicMs): void {
    // Whole: calls whose waits are equal share a queue of deadlines.
    const leftMs = Math.floor(call.leftMs(now));
    const resendMs = isSentOnce(call, line) ? Infinity : this.#resendMs(call);
    const waitMs = Math.min(resendMs, leftMs);
    const isLast = leftMs <= resendMs && !call.hasParts;
    const whyMs = line.tellsWhy !== false && isLast ? whyLeadMs(waitMs) : 0;
    this.#wait(call, now, waitMs - whyMs);
    call.whyMs = whyMs;
  }

  /** @returns false if the time of the call is over */
  #asksWhy(call: Call, now: MonotonicMs): boolean {
    const { whyMs, dueMs } = call;
    call.whyMs = 0;
    const leftMs = dueMs + whyMs - now;
    if (whyMs === 0 || leftMs < 1) return false;
    this.#deadlines.set(call, now, leftMs);
    const line = this.#lineOf(call.link) ?? this.#line;
    if (line?.connected === true && line.tellsWhy === true) this.#sink.askWhy(line.link, call);
    return true;
  }

  #beginQuiet(line: Line, now: MonotonicMs): void {
    if (line.heardAtQuiet === line.heard) return;
    line.heardAtQuiet = line.heard;
    line.quietMs = now;
  }

  /** Sends what was held, or lets it wait for the next connection. */
  #dispatchHeld(now: MonotonicMs): void {
    if (this.#held.size === 0) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const call of held) this.#dispatch(call, now);
  }

  /** Checks a broker with a session, and a node of a pair, if there is another one. */
  #beginWatch(line: Line, now: MonotonicMs): void {
    if (line.watchMs < Infinity) return;
    const isPair = this.#order.pairHeartbeatMs > 0 && this.#options.endpoints > 1;
    const isWatched = isPair || hasSession(line) || line.phase === 'asking';
    if (!isWatched) return;
    line.heardAtWatch = line.heard;
    line.asked = false;
    line.watchMs = now + this.#quietMs(line);
  }

  #quietMs(line: Line): number {
    const leastMs = hasSession(line) || line.phase === 'asking' ? QUIET_MS : 0;
    return Math.max(leastMs, this.#pairSilenceMs / 2);
  }

  #watch(line: Line, now: MonotonicMs): void {
    line.watchMs = Infinity;
    const isRetired = line !== this.#line;
    if (isRetired && !hasSession(line)) return;
    if (line.out === 0 && line.phase === 'open') return;
    const isUnknown = line.session === null || line.takesHeaders === null;
    if (line.phase === 'asking' && isUnknown && this.#mayHaveNoSession()) {
      // Whoever answers neither the hello nor `mmi.broker` is a broker without sessions.
      line.session ??= NO_SESSION;
      this.#sessionless.add(line.endpoint);
      for (const call of this.#lostCalls) this.#isNowhere(call, call.lost ?? [], now);
      this.#sendWaiting(line, now);
      return;
    }
    const isQuiet = line.heard === line.heardAtWatch;
    if (isQuiet && line.asked && isRetired) {
      this.#close(line, now);
      return;
    }
    if (isQuiet && line.asked) {
      // With a session it is asked for late answers, too, when it is heard of again.
      this.#moveOn(line, now, hasSession(line) || line.phase === 'asking' ? 'silent' : 'quiet');
      return;
    }
    line.heardAtWatch = line.heard;
    line.asked = isQuiet;
    if (isQuiet) this.#probe(line, now);
    line.watchMs = now + this.#quietMs(line);
  }

  /** Whether no broker has ever said that it kept what was lost. */
  #mayHaveNoSession(): boolean {
    return this.#lostCalls.every(({ lost }) => lost?.every(({ instance }) => instance === ''));
  }

  #due(call: Call, now: MonotonicMs): void {
    if (this.#asksWhy(call, now)) return;
    const line = this.#line;
    const wasSent = call.state === 'sent';
    const wasHeld = this.#held.delete(call);
    const isOut = wasHeld || (wasSent && line?.link === call.link);
    const over = call.leftMs(now) < 1;
    // Whether a broker with a session is silent shows when it is asked.
    const isUnheard =
      isOut && line !== null && !hasSession(line) && line.heard === call.heardAtSend;
    // The broker is asked first, even if the program was too busy to do so in time.
    const isSilent = isUnheard && (!line.answersProbes || this.#askedMs < now);
    const home = this.#lineOf(call.link);
    const mayBeSent = call.mayBeSent && !call.hasParts;
    if (!over && wasSent && !mayBeSent && !isSilent && home !== undefined) {
      // The answer, or the next part, may take its time: what has arrived would be lost with another send.
      this.#beginWait(home, call, now);
      return;
    }
    const fails = over || (wasSent && !call.mayBeSent);
    if (wasSent) call.outlast();
    // The line of this call may be closed now.
    if (fails && this.#retired.has(call.link)) this.#takeBack(call);
    this.#takeOff(call, now);
    // The time of a call may leave a broker less time to answer than `resendMs`.
    const isEarly = over && isSilent && now < line.quietMs + this.#resendMs(call);
    if (isSilent && !isEarly) this.#moveOn(line, now, 'silent');
    if (over && wasHeld && call.sends === 0) {
      this.#fail(call, call.unsupportedError('does not say'), now);
    } else if (fails) {
      this.#fail(call, this.#errorOf(call, now), now);
    } else {
      this.#dispatch(call, now);
    }
  }

  /** No endpoint admits this client's key. */
  get #isShutOut(): boolean {
    return this.#keyRefusals >= KEY_REFUSALS && this.#refusing.size === this.#options.endpoints;
  }

  /** Why no answer came in time. */
  #errorOf(call: Call, now: MonotonicMs): MajordomoError {
    const isKeyRefused = this.#refusing.size > 0 && call.attempt === 0;
    return isKeyRefused ? call.keyError() : call.timeoutError(now);
  }

  /** The call no longer waits for an answer on its link. */
  #takeOff(call: Call, now: MonotonicMs): void {
    const line = this.#lineOf(call.link);
    call.link = 0;
    if (line === undefined) return;
    line.out--;
    if (line.out > 0) return;
    if (this.#retired.has(line.link)) this.#close(line, now);
    else if (this.#lastId >= LAST_ID && this.#waiting.size > 0) this.#beginSession(now);
  }

  #fail(call: Call, error: MajordomoError, now: MonotonicMs): void {
    this.#forget(call, now);
    this.#sink.fail(call, error);
  }

  #open(now: MonotonicMs): void {
    this.#openAt = this.#askedMs = Infinity;
    this.#links++;
    this.#line = {
      link: this.#links,
      endpoint: this.#endpoint,
      connected: false,
      offlineMs: now,
      heard: 0,
      answersProbes: false,
      takesHeaders: null,
      takesOptions: false,
      takesGroups: false,
      tellsWhy: null,
      phase: 'open',
      session: null,
      instance: '',
      out: 0,
      unreachable: false,
      watchMs: Infinity,
      heardAtWatch: 0,
      asked: false,
      quietMs: -Infinity,
      heardAtQuiet: -1,
    };
    this.#sink.open(this.#links, this.#endpoint);
  }

  /** Leaves the current endpoint for the next, or dials the only one again. */
  #moveOn(line: Line, now: MonotonicMs, why: Leaving): void {
    this.#line = null;
    this.#inquiry.begin([]);
    this.#probeMs = Infinity;
    this.#endpoint = this.#order.after(line.endpoint);
    this.#openAt = this.#order.leave(line.endpoint, why, now);
    this.#dispatchHeld(now);
    if (line.out > 0 && (why === 'refused' || why === 'quiet')) {
      this.#retired.set(line.link, line);
      if (why === 'quiet') this.#sendElsewhere(line, now);
    } else {
      this.#close(line, now);
    }
    if (this.#endpoint !== line.endpoint) {
      this.#sink.switched(line.endpoint, this.#endpoint, why);
    }
    if (this.#openAt <= now) this.#open(now);
  }

  #leaveUnreachable(now: MonotonicMs): void {
    const line = this.#line;
    if (line?.unreachable !== true || this.#waiting.size === 0) return;
    if (this.#options.endpoints > 1) this.#moveOn(line, now, 'unreachable');
  }

  /** The requests of a line that was left that may be sent again. */
  #sendElsewhere(line: Line, now: MonotonicMs): void {
    for (const call of this.#calls()) {
      if (call.link !== line.link || !call.mayBeSent) continue;
      call.outlast();
      this.#takeOff(call, now);
      this.#dispatch(call, now);
    }
  }

  #close(line: Line, now: MonotonicMs): void {
    this.#retired.delete(line.link);
    this.#sink.close(line.link);
    this.#release(line, now);
  }

  /**
   * The requests of a line whose connection has ended go to the next line; their answers are lost.
   */
  #release(line: Line, now: MonotonicMs): void {
    if (line.out === 0) return;
    line.out = 0;
    for (const call of this.#calls()) {
      if (call.link !== line.link) continue;
      if (call.hasBegun) {
        call.link = 0;
        this.#fail(call, call.brokenError('the connection was lost'), now);
        continue;
      }
      if (isSentOnce(call, line) || this.#mayBeKept(call, line)) {
        call.lose(line.instance);
        this.#waiting.add(call);
        this.#wait(call, now, call.leftMs(now));
        continue;
      }
      call.link = 0;
      if (call.mayBeSent) {
        this.#dispatch(call, now);
      } else if (call.settings.once) {
        this.#fail(call, call.outcomeError('its broker was lost'), now);
      }
      // Otherwise its last send is lost, and its time runs on.
    }
    this.#askAgain(now);
  }

  /** Whether the broker of the line, which has said nothing of sessions, may have begun one, and keep the call for it. */
  #mayBeKept({ target }: Call, { session, connected, endpoint }: Line): boolean {
    return session === null && connected && !target.isOfBroker && !this.#sessionless.has(endpoint);
  }

  /** What was lost on a line that was left is asked for over the present one, or sent there. */
  #askAgain(now: MonotonicMs): void {
    const line = this.#line;
    if (line?.connected !== true) return;
    if (this.#lostCalls.length === 0) return;
    if (line.phase === 'asking') {
      this.#hasNewLost = true;
      return;
    }
    line.phase = 'asking';
    this.#askOfLost(line, now);
  }
}

/** Whether its broker keeps the call, wherever it waits; questions to the broker itself are asked again. */
function isSentOnce({ target }: Call, line: Line | undefined): boolean {
  return !target.isOfBroker && hasSession(line);
}

function hasSession(line: Line | undefined | null): boolean {
  return (line?.session?.resumeMs ?? 0) > 0;
}

/** Whether the broker of the line may be the one that had the send. */
function mayBeOf({ instance }: LostSend, line: Line): boolean {
  return instance === '' || instance === line.instance;
}

/**
 * Whether this broker may have had the send, and kept nothing of it for so long: its client was away, or was held up and
 * did not see that. A broker that got it later still has its session.
 */
function hasSessionEnded(
  { instance, sentMs }: LostSend,
  { resumeMs }: SessionState,
  now: MonotonicMs,
): boolean {
  return (instance !== '' || resumeMs > 0) && sentMs + resumeMs <= now;
}
