/**
 * A registration of a worker at a broker: a machine without I/O (7/MDP, 18/MDP §Reconnect).
 *
 * - READY on every connection, and again after a DISCONNECT or a pause of our own making.
 * - A HEARTBEAT each interval while registered, also while busy; and for each of the broker's that
 *   comes sooner, for it wants them as often. A broker that is silent for `interval × liveness` is
 *   left for a new connection.
 * - The broker is asked what it knows, on the same connection, and READY waits for the answer, but not
 *   for long. If the answer comes later and READY could have asked for more, the session registers anew
 *   as soon as it is idle.
 * - MDP does not confirm a READY. A broker that answers is asked once more after it: its answer
 *   confirms the registration, as do a request and a heartbeat.
 * - A reply whose registration has ended goes out *late*: over the next connection, before READY, so that
 *   the broker does not give out the request again (D8). If there is a registration already, it goes over a
 *   connection of its own: a token that the broker does not know would cost it every other request.
 * - A session that drains makes that connection too, to send what it has, but does not register any more.
 *   It tells its broker that it wants no more requests (D117), gives back those that have not begun, and ends when
 *   the broker says that none is out at it: a DISCONNECT of its own would leave it unknown what is on its way.
 * - What it is given begins when the worker has a place, which it shares with its other registrations.
 */
import type { MonotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import { pack, packedBytes, PackedCursor, readPacked } from '../../core/packed.js';
import type { Failure } from '../../wire/failure.js';
import { type BackoffOptions, backoffMs, type Random } from '../backoff.js';
import { bodyBytes, type BodyFrames } from '../body.js';
import { NO_WORKER_OFFERS, type WorkerOffers } from '../broker-facts.js';
import { NOT_BEGUN } from '../../wire/mdp.js';
import { sdkError } from '../errors.js';
import { fittingFailure } from './failure-of.js';
import { ServiceError } from '../service-error.js';
import type { ConcurrencyLimiter, SlotTaker } from './concurrency-limiter.js';
import type { ReceivedRequest } from '../message.js';
import { Slab } from '../slab.js';

export interface SessionOptions extends BackoffOptions {
  readonly heartbeatIntervalMs: number;
  readonly heartbeatLiveness: number;
  /** Requests at once. More than 1: ask for credit, and register only if it is offered. */
  readonly credit: number;
  /** Whether the session has a name or a contract to send. */
  readonly hasOptions: boolean;
  /** Whether the broker is asked at all. */
  readonly asks: boolean;
}

/**
 * The longest wait for an answer that only options need, until one failed to come: a broker without MMI
 * must not miss its worker for long. In milliseconds.
 */
const OPTIONS_PATIENCE_MS = 1000;
/** While requests run, it ticks at least so often, to notice that its process stands still. In milliseconds. */
const STEP_MS = 250;
/** A loss follows from a pause of its process for so long, at least. In milliseconds. */
const CAUSE_MS = 1000;
/**
 * The most output that waits for the broker, in bytes, when a part is added. Answers are not counted: each is of a
 * request that keeps its place until the broker has the answer.
 */
const PARTS_BYTES_MAX = 256 * 1024 * 1024;
/** While more output waits, streams do, too, in bytes: enough to keep a connection busy. */
const BUSY_BYTES = 4 * 1024 * 1024;
/** How long the broker may take to let a worker go that wants no more requests, in milliseconds. */
const LEAVE_MS = 1000;
const TOKEN_AND_EMPTY = 2;
const CANCELLED = 'cancelled';
/** Why requests go back that no handler was called for. */
const UNWANTED = `${NOT_BEGUN}: cancelled`;
const CLOSING = `${NOT_BEGUN}: the worker closes`;
const cursor = new PackedCursor();

const slab = new Slab();

/** A request that this worker got. */
export class Task {
  readonly request: ReceivedRequest;
  /** `[start, end)` are the broker's token and the empty frame after it, packed, for the answer. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** The registration that it belongs to. */
  registration = 0;
  /** Whether the handler has begun and has not ended. */
  isRunning = false;
  /** PARTIALs were sent, so the answer can no longer be sent as a whole. */
  streamed = false;
  /** A broker was told that it runs, which has not given it out: see `EarlierRuns`. */
  isEarlier = false;

  /** @param at index of the token in `frames`, which are copied */
  constructor(frames: Frames, at: number, request: ReceivedRequest) {
    const bytes = packedBytes(frames, at, at + TOKEN_AND_EMPTY);
    this.request = request;
    this.start = slab.reserve(bytes);
    this.end = this.start + bytes;
    this.bytes = slab.bytes;
    pack(frames, at, at + TOKEN_AND_EMPTY, this.bytes, this.start, true);
  }

  /** The broker's token. */
  get token(): Buffer {
    readPacked(this.bytes, this.start, cursor);
    return this.bytes.subarray(cursor.start, cursor.end);
  }
}

/** What READY asks for. */
export type Asked = Pick<WorkerOffers, 'headers' | 'cancel' | 'group'>;

/** Effects, carried out in order. */
export interface SessionSink {
  open(): void;
  close(): void;
  /** Ask `mmi.broker`; the answer comes back as `offers`. */
  ask(): void;
  /** Ask it once more, so that the answer confirms the READY before it. */
  askAgain(): void;
  /** @param asks what the broker knows of what a worker may ask for */
  ready(credit: number | null, tellsName: boolean, asks: Asked): void;
  heartbeat(): void;
  disconnect(): void;
  /** Tell the broker what runs of earlier registrations of this session, and what it was told before of others. */
  tellRuns(): void;
  /** Say that no more requests are wanted. */
  leave(): void;
  /** Give it to the handler. */
  begin(task: Task): void;
  /** Output that waits for the broker to read it. */
  waitingBytes(): number;
  /** Calls `then` when the session is no longer busy, or the connection is gone. */
  awaitRoom(then: () => void): void;
  partial(task: Task, body: BodyFrames): void;
  final(task: Task, body: BodyFrames): void;
  /** Send the whole answer, over a connection of its own. */
  late(task: Task, body: BodyFrames): void;
  /** Send FAIL. */
  fail(task: Task, failure: Failure): void;
  /** Send RETURN. */
  giveBack(task: Task, reason: string): void;
  /** Tells whether the broker offers the credit, as soon as that is known. */
  learnt(offersCredit: boolean): void;
  /** The broker has confirmed the registration. */
  confirmed(): void;
  /**
   * The registration, confirmed or not, has ended; a new one will follow.
   * @param stoodStillMs how long this process stood still just before; 0: it did not
   */
  lost(reason: SessionLoss, stoodStillMs: number): void;
  /** The session has ended. */
  ended(): void;
}

/**
 * *away*: no link, in the pause before the next; *dialling*; *asking* for credit; *resting*: connected,
 * READY follows after a pause; *full*: connected, READY follows when handlers of an earlier
 * registration have ended, unless the session drains.
 */
type SessionState = 'away' | 'dialling' | 'asking' | 'resting' | 'full' | 'registered' | 'ended';

/**
 * Why a registration ended. `reregister`: the worker ended it, to give a request back to a broker without
 * RETURN or to ask for more credit, and registers again.
 */
export type SessionLoss = 'connection' | 'silent' | 'dismissed' | 'reregister';

export class WorkerSession implements SlotTaker {
  readonly #options: SessionOptions;
  readonly #sink: SessionSink;
  readonly #limiter: ConcurrencyLimiter;
  readonly #random: Random;
  #state: SessionState = 'away';
  /** When the present state's pause or question ends; `Infinity` if it has none. */
  #untilMs: MonotonicMs = Infinity;
  #beatMs: MonotonicMs = Infinity;
  /** The current interval brought our HEARTBEAT since the broker's last one. */
  #beatSinceHeard = false;
  #heardMs: MonotonicMs = 0;
  #tickMs: MonotonicMs = 0;
  /** When the session wanted the next tick, at the last one. */
  #tickDueMs: MonotonicMs = Infinity;
  /** When this process was last seen to have stood still, and for how long at least. */
  #stood = { atMs: -Infinity, ms: 0 };
  #failures = 0;
  #registration = 0;
  /** The extensions of the broker on this connection, as far as it was asked. */
  #offers: WorkerOffers = NO_WORKER_OFFERS;
  /** The last question got no answer in time. */
  #missedAnswer = false;
  /** Whether the worker registers again on this connection, because it knows more now: at most once. */
  #reregister: 'no' | 'wanted' | 'done' = 'no';
  /** Questions and answers on this connection. */
  #asked = 0;
  #answered = 0;
  /** The number of the question whose answer confirms this registration; 0: none was asked. */
  #confirmedBy = 0;
  #isConfirmed = false;
  /** The last registration was ended by this session itself, and no new one has begun. */
  #isBetween = false;
  /** The credit that this registration declared. */
  #declared: number | null = null;
  #closing = false;
  /** This registration has said that it wants no more requests. */
  #isLeaving = false;
  /** Until when the broker may let it go. */
  #leaveMs: MonotonicMs = Infinity;
  /** Number of requests that have begun, of any registration. */
  #running = 0;
  /** Requests of the broker that have not begun, because all slots are taken. */
  #held: Task[] = [];
  /** Answers of ended registrations, for the next connection. */
  #late: (readonly [task: Task, body: BodyFrames])[] = [];

  constructor(
    options: SessionOptions,
    sink: SessionSink,
    limiter: ConcurrencyLimiter,
    random: Random,
  ) {
    this.#options = options;
    this.#sink = sink;
    this.#limiter = limiter;
    this.#random = random;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Whether the session drains, or has ended. */
  get closing(): boolean {
    return this.#closing || this.#state === 'ended';
  }

  /** Number of answers that wait for the next connection. */
  get unsent(): number {
    return this.#late.length;
  }

  start(): void {
    this.#open();
  }

  connected(now: MonotonicMs): void {
    if (this.#state === 'ended') return;
    this.#heardMs = now;
    for (const [task, body] of this.#late.splice(0)) this.#sink.final(task, body);
    const { asks, credit, heartbeatIntervalMs } = this.#options;
    if (this.#closing) {
      this.#state = 'full';
      if (asks && this.#running > 0 && this.#asked === 0) this.#ask();
      this.#endIfDone(now);
      return;
    }
    const isForOptionsAlone = credit === 1;
    if (asks) this.#ask();
    if (!asks || (isForOptionsAlone && this.#missedAnswer)) {
      this.#register(now, NO_WORKER_OFFERS);
      return;
    }
    this.#state = 'asking';
    const patienceMs = isForOptionsAlone ? OPTIONS_PATIENCE_MS : Infinity;
    this.#untilMs = now + Math.min(heartbeatIntervalMs, patienceMs);
  }

  /**
   * The connection is lost. A new link follows, because the old one would first send its buffered
   * output.
   */
  disconnected(now: MonotonicMs): void {
    if (this.#state !== 'ended' && this.#state !== 'away') this.#leave(now, 'connection');
  }

  /** The broker's answer about its extensions has arrived. */
  offers(offers: WorkerOffers, now: MonotonicMs): void {
    this.#heardMs = now;
    this.#missedAnswer = false;
    this.#answered++;
    if (this.#state === 'asking') {
      this.#learn(offers, now);
      return;
    }
    const { fail, leave, messageBytesMax } = offers;
    this.#offers = { ...this.#offers, fail, leave, messageBytesMax };
    // A worker that closes does not register, but what it runs counts.
    if (this.#closing && this.#state === 'full' && offers.group) this.#sink.tellRuns();
    if (this.#state !== 'registered') return;
    const isLess = this.#declared === null && this.#creditFor(offers) !== null;
    if (isLess && this.#reregister === 'no') this.#reregister = 'wanted';
    if (this.#reregisters(now) || this.#isConfirmed) return;
    if (this.#confirmedBy === 0) this.#askAgain();
    else if (this.#answered >= this.#confirmedBy) this.#confirm();
  }

  heartbeat(now: MonotonicMs): void {
    this.#heardMs = now;
    if (this.#state !== 'registered') return;
    this.#failures = 0;
    if (!this.#isConfirmed) this.#confirm();
    // 18/MDP §Heartbeating: both sides have the same interval. The broker's shorter one shows here.
    if (this.#beatSinceHeard) this.#beatSinceHeard = false;
    else this.#beat(now);
  }

  /** DISCONNECT from the broker: it has forgotten us. */
  dismissed(now: MonotonicMs): void {
    this.#heardMs = now;
    if (this.#state === 'registered') this.#rest(now, 'dismissed');
  }

  request(task: Task, now: MonotonicMs): void {
    this.#heardMs = now;
    // The request crossed our DISCONNECT: the broker has taken it back.
    if (this.#state !== 'registered') return;
    this.#failures = 0;
    if (!this.#isConfirmed) this.#confirm();
    if (this.#isLeaving) {
      // The request crossed what we said.
      this.#sink.giveBack(task, CLOSING);
      return;
    }
    // More than the broker may send: one at a time in 18/MDP, the credit in D23.
    if (this.#held.length >= this.#credit) return;
    task.registration = this.#registration;
    if (this.#held.length === 0 && this.#takesSlot()) this.#begin(task);
    else this.#held.push(task);
  }

  /** The largest message that the broker accepts. */
  get messageBytesMax(): number {
    return this.#offers.messageBytesMax;
  }

  /** Why the broker would not take an answer, or a part of one, of this size; `null`: it would. */
  tooLargeError(body: BodyFrames): Error | null {
    const { messageBytesMax } = this.#offers;
    const bytes = bodyBytes(body);
    if (bytes <= messageBytesMax) return null;
    const text = `the reply has ${bytes} bytes, the broker accepts at most ${messageBytesMax}`;
    const details = { bytes, bytesMax: messageBytesMax };
    return new ServiceError('too-large', text, { retry: false, details });
  }

  /** Why this part of an answer cannot be sent, which ends the request; `null`: it can. */
  partError(body: BodyFrames): Error | null {
    const error = this.tooLargeError(body);
    if (error !== null || this.#hasRoom) return error;
    const text = `the broker has left more than ${PARTS_BYTES_MAX} bytes of output unread`;
    return sdkError('ERR_MDP_LIMIT', text);
  }

  get #hasRoom(): boolean {
    return this.#sink.waitingBytes() <= PARTS_BYTES_MAX;
  }

  get isBusy(): boolean {
    return this.#sink.waitingBytes() > BUSY_BYTES;
  }

  awaitRoom(then: () => void): void {
    this.#sink.awaitRoom(then);
  }

  /** Sends a part of the answer. @returns false if it can no longer be sent */
  partial(task: Task, body: BodyFrames): boolean {
    task.streamed = true;
    if (!task.isRunning || !this.isPresent(task)) return false;
    this.#sink.partial(task, body);
    return true;
  }

  /** Sends what tells of its progress, if it still has the request and there is room. */
  progress(task: Task, body: BodyFrames): void {
    if (task.isRunning && this.isPresent(task) && this.#hasRoom) this.#sink.partial(task, body);
  }

  /** The handler has answered. */
  finished(task: Task, body: BodyFrames, now: MonotonicMs): void {
    if (!this.#ends(task)) return;
    if (this.#state !== 'ended') {
      if (this.isPresent(task)) this.#sink.final(task, body);
      else if (!task.streamed) this.#answerLate(task, body, now);
    }
    this.#over(now);
  }

  #answerLate(task: Task, body: BodyFrames, now: MonotonicMs): void {
    if (this.#state === 'away' || this.#state === 'dialling') {
      this.#late.push([task, body]);
    } else if (this.#state === 'full' && (this.#closing || this.#options.asks)) {
      this.#sink.final(task, body);
      // The broker answers with a DISCONNECT, which must not meet a registration: READY follows the next answer.
      this.connected(now);
    } else {
      this.#sink.late(task, body);
    }
  }

  /**
   * The handler has thrown: reports the failure to the broker. A broker that does not support
   * failures gets the request back, because a made-up body would count as an answer.
   */
  failed(task: Task, failure: Failure, now: MonotonicMs): void {
    if (!this.#ends(task)) return;
    if (this.isPresent(task)) {
      if (this.#offers.fail) {
        this.#sink.fail(task, fittingFailure(failure, this.#offers.messageBytesMax));
      } else {
        this.#giveBack(task, 'the handler failed', now);
      }
    }
    this.#over(now);
  }

  /**
   * The handler has ended without an answer, or was given up: its request goes back. Without a reason nobody wants
   * the answer.
   */
  returned(task: Task, now: MonotonicMs, reason: string = CANCELLED): void {
    if (!this.#ends(task)) return;
    if (this.isPresent(task)) this.#giveBack(task, reason, now);
    this.#over(now);
  }

  #giveBack(task: Task, reason: string, now: MonotonicMs): void {
    if (this.#declared !== null) {
      this.#sink.giveBack(task, reason);
    } else {
      this.#sink.disconnect();
      this.#rest(now, 'reregister');
    }
  }

  /**
   * Nobody wants the answer of a request: one that has not begun goes back.
   * @param token the broker's
   * @returns false if it is none of those
   */
  cancelHeld(token: Buffer, now: MonotonicMs): boolean {
    this.#heardMs = now;
    const at = this.#held.findIndex((each) => each.token.equals(token));
    const [task] = at < 0 ? [] : this.#held.splice(at, 1);
    if (task === undefined) return false;
    this.#sink.giveBack(task, UNWANTED);
    return true;
  }

  slotIsFree(): void {
    this.#beginHeld();
  }

  /**
   * Drains: what has begun may end, and answers may wait for the next connection. What has not begun goes back. A
   * broker that goes on sending would send it straight back until `maxDeliveries` abandons it: the DISCONNECT at the
   * end gives it back, once.
   */
  close(now: MonotonicMs): void {
    if (this.#state === 'ended') return;
    this.#closing = true;
    this.#declineHeld();
    this.#endIfDone(now);
  }

  /** The broker knows how a worker leaves. */
  get #mayLeave(): boolean {
    return this.#state === 'registered' && this.#declared !== null && this.#offers.leave;
  }

  /**
   * Says that it leaves, and then of what is held that it has not begun: another worker may run it, whatever it is.
   * In another order the broker would send it back to this one.
   */
  #declineHeld(): void {
    if (!this.#mayLeave) return;
    if (!this.#isLeaving) this.#sink.leave();
    this.#isLeaving = true;
    for (const task of this.#held.splice(0)) this.#sink.giveBack(task, CLOSING);
  }

  /** Ends without the answers of what runs: the DISCONNECT gives it back. If nothing runs, it is about to end. */
  abort(): void {
    if (this.#state !== 'ended' && this.#leaveMs === Infinity) this.#end();
  }

  tick(now: MonotonicMs): void {
    if (this.#state === 'ended') return;
    // Our own pause is not the broker's silence: what it sent may still be unread.
    if (this.stoodStill(now)) {
      this.#heardMs = now;
      if (this.#leaveMs <= now) this.#leaveMs = now + LEAVE_MS;
    }
    this.#doDue(now);
    this.#tickMs = now;
    this.#tickDueMs = this.nextMs();
  }

  #doDue(now: MonotonicMs): void {
    if (this.#state === 'registered') {
      if (this.#silentMs() <= now) {
        this.#leave(now, 'silent');
        return;
      }
      if (this.#leaveMs <= now) {
        this.#end();
        return;
      }
      if (this.#beatMs <= now) {
        this.#beat(now);
        this.#beatSinceHeard = true;
      }
      return;
    }
    if (this.#untilMs > now) return;
    this.#untilMs = Infinity;
    if (this.#state === 'away') this.#open();
    else if (this.#state === 'asking') this.#missAnswer(now);
    else if (this.#state === 'resting') this.connected(now);
  }

  /** Whether only one request runs: with the first one, the next tick becomes earlier. */
  get runsOne(): boolean {
    return this.#running === 1;
  }

  nextMs(): MonotonicMs {
    if (this.#state !== 'registered') return this.#untilMs;
    const stepMs = this.#running > 0 ? this.#tickMs + STEP_MS : Infinity;
    return Math.min(this.#beatMs, this.#silentMs(), this.#leaveMs, stepMs);
  }

  get #credit(): number {
    return this.#declared ?? 1;
  }

  #silentMs(): MonotonicMs {
    return this.#heardMs + this.#options.heartbeatIntervalMs * this.#options.heartbeatLiveness;
  }

  /** Whether the broker has the request out at this registration. */
  isPresent(task: Task): boolean {
    return this.#state === 'registered' && task.registration === this.#registration;
  }

  #open(): void {
    this.#state = 'dialling';
    this.#untilMs = Infinity;
    this.#reregister = 'no';
    this.#asked = 0;
    this.#answered = 0;
    this.#sink.open();
  }

  #ask(): void {
    this.#asked++;
    this.#sink.ask();
  }

  #askAgain(): void {
    this.#asked++;
    this.#confirmedBy = this.#asked;
    this.#sink.askAgain();
  }

  #confirm(): void {
    this.#isConfirmed = true;
    this.#sink.confirmed();
  }

  #missAnswer(now: MonotonicMs): void {
    this.#missedAnswer = true;
    this.#learn(NO_WORKER_OFFERS, now);
  }

  #learn(offers: WorkerOffers, now: MonotonicMs): void {
    if (this.#options.credit > 1) this.#sink.learnt(offers.credit);
    this.#register(now, offers);
  }

  #register(now: MonotonicMs, offers: WorkerOffers): void {
    const tellsName = this.#options.hasOptions && offers.options;
    const { headers, cancel, group } = offers;
    this.#untilMs = Infinity;
    this.#offers = offers;
    this.#declared = this.#creditFor(offers);
    // Handlers of an earlier registration still run, so their slots are not free.
    if (this.#closing || this.#running >= this.#credit) {
      this.#state = 'full';
      if (group) this.#sink.tellRuns();
      return;
    }
    this.#registration++;
    this.#held = [];
    this.#state = 'registered';
    this.#isBetween = false;
    this.#heardMs = now;
    this.#beatSinceHeard = false;
    this.#sink.ready(this.#declared, tellsName, { headers, cancel, group });
    if (group) this.#sink.tellRuns();
    this.#beatMs = now + this.#options.heartbeatIntervalMs;
    this.#tickDueMs = this.#beatMs;
    this.#confirmedBy = 0;
    this.#isConfirmed = false;
    if (this.#answered > 0) this.#askAgain();
  }

  /** What READY states to this broker. (D67: a worker with options always states its credit.) */
  #creditFor(offers: WorkerOffers): number | null {
    const { credit, hasOptions } = this.#options;
    const tellsName = hasOptions && offers.options;
    const asks = offers.headers || offers.cancel || offers.group;
    const states = credit > 1 || tellsName || asks;
    return offers.credit && states ? credit : null;
  }

  /** The broker takes no second READY, so it ends the registration first, if nothing is lost by that. */
  #reregisters(now: MonotonicMs): boolean {
    if (this.#reregister !== 'wanted' || this.#state !== 'registered') return false;
    if (this.#running > 0 || this.#held.length > 0) return false;
    this.#reregister = 'done';
    this.#sink.disconnect();
    this.#rest(now, 'reregister');
    return true;
  }

  #beat(now: MonotonicMs): void {
    this.#sink.heartbeat();
    this.#beatMs = now + this.#options.heartbeatIntervalMs;
  }

  #leave(now: MonotonicMs, reason: SessionLoss): void {
    this.#sink.close();
    this.#failures++;
    this.#registrationLost(
      now,
      'away',
      reason,
      now + backoffMs(this.#options, this.#failures, this.#random),
    );
  }

  /** Ends the registration, which is over by the broker's will or ours; a new one follows after a pause. */
  #rest(now: MonotonicMs, reason: SessionLoss): void {
    this.#failures++;
    this.#registrationLost(
      now,
      'resting',
      reason,
      now + backoffMs(this.#options, this.#failures, this.#random),
    );
  }

  /** Requests that have not begun no longer belong to this worker. */
  #registrationLost(
    now: MonotonicMs,
    next: SessionState,
    reason: SessionLoss,
    untilMs: MonotonicMs,
  ): void {
    if (this.#state === 'registered' || this.#isBetween) {
      this.#sink.lost(reason, this.#stoodStillMs(now));
    }
    this.#isBetween = reason === 'reregister';
    this.#state = next;
    this.#untilMs = untilMs;
    this.#held = [];
    if (this.#closing) this.#endIfDone(now);
  }

  /**
   * Whether this process has just stood still: its broker may have closed the connection, and that was not read yet.
   */
  stoodStill(now: MonotonicMs): boolean {
    const lateMs = now - this.#tickDueMs;
    if (lateMs <= 0 || lateMs <= Math.min(STEP_MS, this.#options.heartbeatIntervalMs)) return false;
    this.#stood = { atMs: now, ms: lateMs };
    return true;
  }

  /** A broker closes the connection of a worker that stood still, or dismisses it when it hears from it again. */
  #stoodStillMs(now: MonotonicMs): number {
    this.stoodStill(now);
    const { atMs, ms } = this.#stood;
    return now - atMs <= Math.max(CAUSE_MS, ms) ? Math.floor(ms) : 0;
  }

  #beginHeld(): void {
    while (this.#held.length > 0 && this.#takesSlot()) {
      const task = this.#held.shift();
      if (task !== undefined) this.#begin(task);
    }
  }

  /** @returns false if none may begin: `slotIsFree` follows if all slots are taken */
  #takesSlot(): boolean {
    return !this.#closing && this.#running < this.#credit && this.#limiter.take(this);
  }

  #begin(task: Task): void {
    task.isRunning = true;
    this.#running++;
    this.#sink.begin(task);
  }

  /** @returns false if it has ended before */
  #ends(task: Task): boolean {
    if (!task.isRunning) return false;
    task.isRunning = false;
    this.#running--;
    return true;
  }

  /** A request that had begun has ended. */
  #over(now: MonotonicMs): void {
    // Others may have waited longer.
    this.#limiter.free();
    if (this.#state === 'ended') return;
    if (this.#closing) {
      this.#endIfDone(now);
      return;
    }
    if (this.#state === 'full') this.#register(now, this.#offers);
    else if (!this.#reregisters(now)) this.#beginHeld();
  }

  /** Ends a session that drains, when nothing runs and no answer waits. */
  #endIfDone(now: MonotonicMs): void {
    if (this.#running > 0 || this.#late.length > 0) return;
    if (this.#isLeaving && this.#state === 'registered') this.#leaveMs = now + LEAVE_MS;
    else this.#end();
  }

  #end(): void {
    const registered = this.#state === 'registered';
    if (this.#held.length > 0) this.#declineHeld();
    this.#state = 'ended';
    this.#untilMs = Infinity;
    this.#held = [];
    if (registered) this.#sink.disconnect();
    this.#sink.close();
    this.#sink.ended();
  }
}
