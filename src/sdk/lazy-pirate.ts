/**
 * The client over brokers that return the envelope (D1): all requests share one link.
 *
 * Lazy Pirate (docs/sdk.md), made asynchronous:
 * - A request that is silent for its time-out is sent again, over the same link if anything at all
 *   was heard there since it was sent; else the broker is taken for dead: the link is closed, one to
 *   the next endpoint opened, and everything unanswered sent there. So that a slow service on a
 *   quiet link is not taken for a dead broker, `mmi.broker` is asked after half the time-out, of
 *   brokers that have answered it before on that connection.
 * - A request is sent at most `1 + retries` times, refused sends not counted (nobody ran them), and
 *   settles within `(1 + retries) × timeoutMs`, a stream's parts excepted.
 * - 503: the next endpoint, after a pause. 429: again, after a pause. Other refusals are final.
 */
import type { MonotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import { type BackoffOptions, backoffMs, type Random } from './backoff.js';
import type { Call, Refusal } from './call.js';
import type { Courier, CourierSink } from './courier.js';
import { Deadlines } from './deadlines.js';

export interface LazyPirateOptions extends BackoffOptions {
  /** Number of endpoints. */
  readonly endpoints: number;
  /** How long an endpoint may be without a connection before the next is tried, in milliseconds. */
  readonly connectMs: number;
}

/** docs/sdk.md: a client's time-out towards a pair, in heartbeats of the pair. */
const PAIR_TIMEOUT_HEARTBEATS = 2.5;
/** docs/sdk.md: time away from the first endpoint, in heartbeats of the pair. */
const PAIR_RETURN_HEARTBEATS = 2;

/** One connection to one endpoint. */
interface Line {
  readonly link: number;
  readonly endpoint: number;
  connected: boolean;
  /** Since when there is no connection. */
  offlineMs: MonotonicMs;
  /** Messages that it has brought. */
  heard: number;
  /** Whether it may be asked for a sign of life: it has answered `mmi.broker` on this connection. */
  answersProbes: boolean;
  /** Calls out on it. */
  out: number;
}

export class LazyPirate implements Courier {
  readonly #options: LazyPirateOptions;
  readonly #sink: CourierSink;
  readonly #random: Random;
  readonly #calls = new Set<Call>();
  readonly #waiting = new Set<Call>();
  readonly #deadlines = new Deadlines<Call>();
  /** Where new requests go; null in the pause before the next endpoint. */
  #line: Line | null = null;
  /** Lines that refused: they bring the answers to what is still out on them, then close. */
  readonly #retired = new Map<number, Line>();
  #links = 0;
  #endpoint = 0;
  #openMs: MonotonicMs = Infinity;
  #probeMs: MonotonicMs = Infinity;
  #leftFirstMs: MonotonicMs = -Infinity;
  /** Moves in a row without an answer to any request. */
  #failures = 0;
  #pairHeartbeatMs = 0;

  constructor(options: LazyPirateOptions, sink: CourierSink, random: Random) {
    this.#options = options;
    this.#sink = sink;
    this.#random = random;
  }

  start(now: MonotonicMs): void {
    this.#open(now);
  }

  add(call: Call, now: MonotonicMs): void {
    call.startedMs = now;
    this.#calls.add(call);
    const line = this.#line;
    // Patience with an endpoint counts from when somebody needs it.
    if (line !== null && !line.connected && this.#waiting.size === 0) line.offlineMs = now;
    this.#dispatch(call, now);
  }

  connected(link: number, now: MonotonicMs): void {
    const line = this.#line;
    if (line?.link !== link) return;
    line.connected = true;
    this.#sink.greet(link);
    for (const call of this.#waiting) this.#send(line, call, now);
    this.#waiting.clear();
  }

  disconnected(link: number, now: MonotonicMs): void {
    const retired = this.#retired.get(link);
    if (retired !== undefined) this.#close(retired, now);
    const line = this.#line;
    if (line?.link !== link) return;
    // A new link, not the old one's next connection: its unsent output would come before the hello.
    this.#line = null;
    this.#probeMs = Infinity;
    this.#failures++;
    this.#openMs = now + backoffMs(this.#options, this.#failures, this.#random);
    this.#close(line, now);
  }

  heard(link: number): void {
    const line = this.#lineOf(link);
    if (line === undefined) return;
    line.heard++;
    if (line === this.#line) this.#probeMs = Infinity;
  }

  learnt(link: number, pairHeartbeatMs: number): void {
    const line = this.#lineOf(link);
    if (line === undefined) return;
    line.answersProbes = true;
    this.#pairHeartbeatMs = pairHeartbeatMs;
  }

  progressed(call: Call, now: MonotonicMs): void {
    this.#failures = 0;
    this.#deadlines.set(call, now, this.#timeoutMs(call));
  }

  answered(call: Call, now: MonotonicMs): void {
    this.#failures = 0;
    this.forget(call, now);
  }

  refused(call: Call, refusal: Refusal, now: MonotonicMs): void {
    if (call.state !== 'sent') return;
    const line = this.#lineOf(call.link);
    const again = refusal.status === '503' || refusal.status === '429';
    this.#takeOff(call, now);
    if (!again || (call.streams && call.hasParts)) {
      this.#fail(call, call.refusedError(refusal), now);
      return;
    }
    call.refusal = refusal;
    call.refusals++;
    call.sends--;
    if (refusal.status === '503' && this.#options.endpoints > 1) {
      if (line !== undefined && line === this.#line) this.#moveOn(line, now, true);
      this.#dispatch(call, now);
      return;
    }
    call.state = 'resting';
    const restMs = backoffMs(this.#options, call.refusals, this.#random);
    this.#deadlines.set(call, now, Math.min(restMs, this.#remainingMs(call, now)));
  }

  forget(call: Call, now: MonotonicMs): void {
    if (!this.#calls.delete(call)) return;
    this.#deadlines.clear(call);
    this.#waiting.delete(call);
    this.#takeOff(call, now);
    call.state = 'settled';
  }

  tick(now: MonotonicMs): void {
    let call = this.#deadlines.takeDue(now);
    while (call !== undefined) {
      this.#due(call, now);
      call = this.#deadlines.takeDue(now);
    }
    if (this.#openMs <= now) this.#open(now);
    const line = this.#line;
    if (line !== null && this.#giveUpMs() <= now) this.#moveOn(line, now, false);
    if (line !== null && this.#probeMs <= now) {
      this.#probeMs = Infinity;
      this.#sink.probe(line.link);
    }
  }

  nextMs(): MonotonicMs {
    return Math.min(this.#deadlines.nextMs(), this.#openMs, this.#giveUpMs(), this.#probeMs);
  }

  #lineOf(link: number): Line | undefined {
    return this.#line?.link === link ? this.#line : this.#retired.get(link);
  }

  /** When the endpoint is given up for want of a connection: only if somebody waits for it. */
  #giveUpMs(): MonotonicMs {
    const line = this.#line;
    if (line === null || line.connected || this.#waiting.size === 0) return Infinity;
    return this.#options.endpoints > 1 ? line.offlineMs + this.#options.connectMs : Infinity;
  }

  #timeoutMs(call: Call): number {
    const leastMs = Math.ceil(this.#pairHeartbeatMs * PAIR_TIMEOUT_HEARTBEATS);
    if (call.timeoutMs >= leastMs) return call.timeoutMs;
    this.#sink.raised(call.timeoutMs, leastMs);
    return leastMs;
  }

  #remainingMs(call: Call, now: MonotonicMs): number {
    return call.startedMs + this.#timeoutMs(call) * (1 + call.retries) - now;
  }

  #dispatch(call: Call, now: MonotonicMs): void {
    if (this.#line?.connected === true) {
      this.#send(this.#line, call, now);
      return;
    }
    call.state = 'waiting';
    this.#waiting.add(call);
    this.#deadlines.set(call, now, this.#remainingMs(call, now));
  }

  #send(line: Line, call: Call, now: MonotonicMs): void {
    call.sent(line.link, line.heard);
    line.out++;
    const timeoutMs = this.#timeoutMs(call);
    this.#deadlines.set(call, now, Math.min(timeoutMs, this.#remainingMs(call, now)));
    if (line.answersProbes) this.#probeMs = Math.min(this.#probeMs, now + timeoutMs / 2);
    this.#sink.send(line.link, call);
  }

  #due(call: Call, now: MonotonicMs): void {
    const line = this.#line;
    const wasSent = call.state === 'sent';
    if (wasSent && line?.link === call.link && line.heard === call.heardAtSend) {
      this.#takeOff(call, now);
      this.#moveOn(line, now, false);
    } else {
      this.#takeOff(call, now);
    }
    const over = this.#remainingMs(call, now) < 1;
    const broken = call.streams && call.hasParts;
    if (over || broken || (wasSent && !call.mayBeSent)) this.#fail(call, call.timeoutError(), now);
    else this.#dispatch(call, now);
  }

  /** The call no longer waits for an answer over its link. */
  #takeOff(call: Call, now: MonotonicMs): void {
    const line = this.#lineOf(call.link);
    call.link = 0;
    if (line === undefined) return;
    line.out--;
    if (line.out === 0 && this.#retired.has(line.link)) this.#close(line, now);
  }

  #fail(call: Call, error: MajordomoError, now: MonotonicMs): void {
    this.forget(call, now);
    this.#sink.fail(call, error);
  }

  #open(now: MonotonicMs): void {
    this.#openMs = Infinity;
    this.#links++;
    this.#line = {
      link: this.#links,
      endpoint: this.#endpoint,
      connected: false,
      offlineMs: now,
      heard: 0,
      answersProbes: false,
      out: 0,
    };
    this.#sink.open(this.#links, this.#endpoint);
  }

  /**
   * Leaves the present endpoint for the next, or dials the only one anew.
   * @param refused it lives, but serves nobody: what is out there may still be answered
   */
  #moveOn(line: Line, now: MonotonicMs, refused: boolean): void {
    this.#line = null;
    this.#probeMs = Infinity;
    this.#failures++;
    if (line.endpoint === 0) this.#leftFirstMs = now;
    this.#endpoint = (line.endpoint + 1) % this.#options.endpoints;
    // Silence was pause enough; a refusal comes at once, so that it needs one.
    this.#openMs = now + (refused ? backoffMs(this.#options, this.#failures, this.#random) : 0);
    if (this.#endpoint === 0 && this.#options.endpoints > 1) {
      const awayMs = this.#pairHeartbeatMs * PAIR_RETURN_HEARTBEATS;
      this.#openMs = Math.max(this.#openMs, this.#leftFirstMs + awayMs);
    }
    if (refused && line.out > 0) this.#retired.set(line.link, line);
    else this.#close(line, now);
    if (this.#openMs <= now) this.#open(now);
  }

  #close(line: Line, now: MonotonicMs): void {
    this.#retired.delete(line.link);
    this.#sink.close(line.link);
    this.#release(line, now);
  }

  /** What was out on a line whose connection has ended goes to the next; its answer is lost. */
  #release(line: Line, now: MonotonicMs): void {
    if (line.out === 0) return;
    line.out = 0;
    for (const call of this.#calls) {
      if (call.link !== line.link) continue;
      call.link = 0;
      if (call.streams && call.hasParts) {
        this.#fail(call, call.brokenError('the connection was lost'), now);
      } else if (call.mayBeSent) {
        this.#dispatch(call, now);
      }
      // Else its last send is lost, and its time runs out.
    }
  }
}
