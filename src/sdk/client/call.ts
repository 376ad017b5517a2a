import type { MonotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import { DRAINING_WORD } from '../../core/failure-words.js';
import { bodyBytes, type BodyFrames } from '../body.js';
import type { DueQueue, Timed } from './deadlines.js';
import { ATTEMPT_MODULUS } from './correlation.js';
import { sdkError, type SdkErrorCode } from '../errors.js';
import type { Message } from '../message.js';
import type { CallSettings } from '../request-options.js';

/** Gets the outcome of a request: one call of either `done` or `fail`. */
export interface CallOwner {
  /** A PARTIAL, in order. */
  part(call: Call, part: Message): void;
  done(call: Call, reply: Message): void;
  fail(call: Call, error: MajordomoError): void;
}

/** Where requests go: made once, shared by the calls for one service. */
export interface Target {
  readonly service: string;
  /** The bytes of `service`. */
  readonly name: Buffer;
  /**
   * The frames before the body, or before deadline and headers, packed; each send writes its
   * correlation into them.
   */
  readonly head: Buffer;
  /** The headers as sent, of the one request that this target is for; `null`: none. */
  readonly headers: Buffer | null;
  /** A service of the broker itself, which may be asked any number of times. */
  readonly isOfBroker: boolean;
}

/** The parts of a streamed reply that `request` joins. */
interface JoinedParts {
  /** The attempt that they answer. */
  readonly attempt: number;
  readonly frames: Buffer[];
  bytes: number;
}

/** A send of a request: the link, the number of the send, and the id under which it went out. */
type Sent = readonly [link: number, send: number, id: number];

/** A send whose connection was lost before its answer came: it may run, or its answer may be kept. */
export interface LostSend {
  readonly id: number;
  readonly send: number;
  /** Which broker had it; empty: it had not said so, and may keep no session. */
  readonly instance: string;
  readonly sentMs: MonotonicMs;
}
const NONE: readonly Sent[] = [];

/** What a broker takes before the body; `takesHeaders` is `null` as long as it has not said so. */
interface Taking {
  readonly takesHeaders: boolean | null;
  readonly takesOptions: boolean;
  readonly takesGroups: boolean;
}

/** A refusal, from `mmi.refused`. */
export interface BrokerRefusal {
  readonly status: string;
  readonly reason: string;
  /** The most bytes that the broker accepts, if the request is larger and was not sent. */
  readonly bytesMax?: number;
  /** A worker may have it, and may fail unheard: it is not sent again. */
  readonly isFinal?: true;
}

/** Whether the request may be sent again after it. */
export function isTemporary({ status, isFinal }: BrokerRefusal): boolean {
  return isFinal !== true && (status === '503' || status === '429');
}

/** Whether the broker is about to end, and takes no request any more. */
export function isDraining({ status, reason }: BrokerRefusal): boolean {
  return status === '503' && reason.startsWith(DRAINING_WORD);
}

/**
 * The state of a request. *waiting*: for a connection; *sent*: for its answer; *resting*: for the
 * end of a pause after a refusal; *settled*: nothing more happens.
 */
type CallState = 'waiting' | 'sent' | 'resting' | 'settled';

/**
 * A request and all its sends.
 *
 * With many requests outstanding, the garbage collector's time goes into what each of them keeps
 * alive, so that is one object: times are whole milliseconds, which need no memory of their own,
 * and what few requests need is made on demand.
 */
export class Call implements Timed<Call> {
  dueMs: MonotonicMs = 0;
  lookMs: MonotonicMs = 0;
  dueQueue: DueQueue<Call> | null = null;
  dueBefore: Call | null = null;
  dueAfter: Call | null = null;

  /** The id of its last send; the table of calls knows those before. */
  id: number;
  readonly target: Target;
  readonly body: BodyFrames;
  readonly owner: CallOwner;
  readonly settings: CallSettings;
  /** The user gets PARTIALs as they arrive, so the request is never sent again after the first. */
  readonly streams: boolean;
  /** Rounded up. */
  startedAt: MonotonicMs = 0;

  state: CallState = 'waiting';
  /** When it was sent last, in whole milliseconds, rounded down. */
  sentMs: MonotonicMs = 0;
  /** Number of the link of its last send; 0 when that link is gone, or before the first send. */
  link = 0;
  /** Every send has a number, which comes back in the envelope. */
  attempt = 0;
  /** Sends that may still be answered: those before the last, and the last itself once it `isListed`. */
  earlier: Sent[] | null = null;
  isListed = false;
  /** Ids of sends before the last that had others. */
  earlierIds: number[] | null = null;
  /** Sends that are to be asked for when a connection is there again. */
  lost: LostSend[] | null = null;
  /** Sends that a worker may have got: those that were not refused. */
  sends = 0;
  /** How many messages the link had received when it was sent, or when its last part came. */
  heardAtSend = 0;
  /** Whether its last send said how much of its time is left. */
  saidTime = false;
  /** How long before the end of its last send the broker is asked why there is no answer; 0: never, or it was. */
  whyMs = 0;
  refusals = 0;
  refusal: BrokerRefusal | null = null;
  /** What a time-out says if the broker that has its last send has refused a hello since. */
  deafness = '';

  /** Takes the listener off the request's AbortSignal. */
  unlisten: (() => void) | null = null;

  /** A PARTIAL of `answerOf` has arrived; parts of different attempts are not mixed. */
  hasParts = false;
  /** The attempt whose answer arrives, or has arrived. */
  answerOf = 0;
  /** Answers to earlier attempts are incomplete: their PARTIALs were dropped. */
  oldestAttempt = 0;
  joined: JoinedParts | null = null;
  /** Settle the promise of a request; a stream settles its own. */
  readonly resolve: (reply: Message) => void;
  readonly reject: (error: MajordomoError) => void;

  constructor(
    id: number,
    target: Target,
    body: BodyFrames,
    streams: boolean,
    settings: CallSettings,
    owner: CallOwner,
    resolve: (reply: Message) => void = ignore,
    reject: (error: MajordomoError) => void = ignore,
  ) {
    this.id = id;
    this.target = target;
    this.body = body;
    this.streams = streams;
    this.settings = settings;
    this.owner = owner;
    this.resolve = resolve;
    this.reject = reject;
  }

  get service(): string {
    return this.target.service;
  }

  /** Whether the user has parts of the answer, so that the call cannot begin anew. */
  get hasBegun(): boolean {
    return this.streams && this.hasParts;
  }

  get mayBeSent(): boolean {
    const { once, resendMs } = this.settings;
    return !this.hasBegun && (this.sends === 0 || (!once && resendMs < Infinity));
  }

  /** Whether not every broker can take it: it has headers or a group, or is to run once. */
  get isSpecial(): boolean {
    return this.target.headers !== null || this.hasOptions;
  }

  /** Whether options and group stand before deadline and headers. */
  get hasOptions(): boolean {
    return this.settings.once || this.settings.group !== undefined;
  }

  /** What a broker must support that is to take it, if it `isSpecial`. */
  get #needed(): 'group' | 'once' | 'headers' {
    if (this.settings.group !== undefined) return 'group';
    return this.settings.once ? 'once' : 'headers';
  }

  /** Whether a broker is known to take it, if it `isSpecial`. */
  isTakenBy({ takesHeaders, takesOptions, takesGroups }: Taking): boolean {
    return { group: takesGroups, once: takesOptions, headers: takesHeaders === true }[this.#needed];
  }

  /** What is left of its time, in milliseconds; `Infinity`: it has no end. */
  leftMs(now: MonotonicMs): number {
    return this.startedAt + this.settings.timeoutMs - now;
  }

  /** The time of the last send is over; it may still be answered. */
  outlast(): void {
    if (this.link === 0 || this.isListed) return;
    this.isListed = true;
    const earlier = (this.earlier ??= []);
    // The number of an older one is now that of another.
    if (earlier.push([this.link, this.attempt, this.id]) > ATTEMPT_MODULUS) earlier.shift();
  }

  /** Gives each send that a worker may have in vain, once: all but `kept`. */
  takeBack(kept: number): readonly Sent[] {
    // Most have one send, and that is answered.
    if (this.earlier === null && this.attempt === kept) return NONE;
    this.outlast();
    const sends = this.earlier ?? [];
    this.earlier = sends.filter(([, send]) => send === kept);
    return sends.filter(([, send]) => send !== kept);
  }

  /** The connection that the last send went over, to a broker with sessions, is gone. */
  lose(instance: string): void {
    const { id, attempt: send, sentMs } = this;
    (this.lost ??= []).push({ id, send, instance, sentMs });
    this.link = 0;
    this.state = 'waiting';
  }

  /** These sends are nowhere. */
  forgetLost(sends: readonly LostSend[]): void {
    const others = this.lost?.filter((lost) => !sends.includes(lost)) ?? [];
    this.lost = others.length === 0 ? null : others;
  }

  /** The broker still has a send that was lost: its answer comes over this link. */
  resume(link: number, heard: number): void {
    this.state = 'sent';
    this.isListed = false;
    this.link = link;
    this.heardAtSend = heard;
    this.lost = null;
  }

  /** Called at each send. @param takesHeaders whether its broker reads what stands before the body */
  sent(link: number, heard: number, takesHeaders: boolean): void {
    const { saysTime, timeoutMs } = this.settings;
    const mayBeSaid = takesHeaders && !this.target.isOfBroker && timeoutMs < Infinity;
    this.saidTime = mayBeSaid && (saysTime || this.isSpecial);
    this.state = 'sent';
    this.isListed = false;
    this.link = link;
    this.heardAtSend = heard;
    this.refusal = null;
    this.deafness = '';
    this.attempt++;
    this.sends++;
    if (!this.hasParts) return;
    this.hasParts = false;
    this.oldestAttempt = this.attempt;
  }

  /**
   * True if an answer to `attempt` (modulo `modulus`) can be used; records whose parts these are.
   */
  accepts(attemptModulo: number, modulus: number, final: boolean): boolean {
    const attempt =
      this.attempt - ((((this.attempt - attemptModulo) % modulus) + modulus) % modulus);
    if (attempt < Math.max(1, this.oldestAttempt)) return false;
    if (this.hasParts) return attempt === this.answerOf;
    this.hasParts = !final;
    this.answerOf = attempt;
    return true;
  }

  /** The error of a request that is given up. @param isOver its time is over; else its broker is silent */
  timeoutError(now: MonotonicMs, isOver: boolean = this.leftMs(now) < 1): MajordomoError {
    const { service, sends } = this;
    if (this.refusal !== null) return this.refusedError(this.refusal);
    if (this.hasBegun && !isOver) return this.brokenError('the broker is silent');
    if (this.settings.once && sends > 0) {
      return this.outcomeError(isOver ? 'no reply in time' : 'the broker is silent');
    }
    if (sends === 0 && this.attempt === 0) {
      const text = `no endpoint accepted a connection for ${shownRequest(service)}`;
      return sdkError('ERR_MDP_UNREACHABLE', text, { details: { service, sends } });
    }
    return this.#lateError(this.deafness, isOver);
  }

  #lateError(why: string, isOver = true): MajordomoError {
    const { service, sends } = this;
    const { timeoutMs } = this.settings;
    const whose = service === '' ? 'a server' : `'${service}'`;
    const times = sends === 1 ? 'once' : `${sends} times`;
    const limit = isOver && timeoutMs < Infinity ? `timeoutMs ${timeoutMs}; ` : '';
    const text = `no reply from ${whose} in time (${limit}sent ${times})${why}`;
    return sdkError('ERR_MDP_TIMEOUT', text, { details: { service, sends } });
  }

  /** The error of a request that the broker does not support, or has not confirmed in time. */
  unsupportedError(how: 'does not' | 'does not say'): MajordomoError {
    const { service } = this;
    const needed = this.#needed;
    const what =
      how === 'does not'
        ? `does not support ${needed}`
        : `does not say whether it supports ${needed}`;
    const text = `the broker ${what}: the request to '${service}' was not sent`;
    return sdkError('ERR_MDP_UNSUPPORTED', text, { details: { service } });
  }

  /** The broker does not admit its client's key. */
  keyError(): MajordomoError {
    if (this.settings.once && this.sends > 0) {
      return this.outcomeError('the broker refuses the key of this client');
    }
    const { service } = this;
    const what = this.attempt === 0 ? 'was not sent' : 'was sent before and has no answer';
    const text = `the broker refuses the key of this client: ${shownRequest(service)} ${what}`;
    return sdkError('ERR_MDP_KEY_REFUSED', text, { details: { service } });
  }

  refusedError(refusal: BrokerRefusal): MajordomoError {
    const { status, reason, bytesMax } = refusal;
    if (bytesMax !== undefined) return this.#tooLargeError(bytesMax);
    const details = { status, service: this.service, reason };
    // The broker had been told when that would be.
    if (status === '408' && this.saidTime) {
      return this.#lateError(`: ${this.settings.once ? 'no worker had it: ' : ''}${reason}`);
    }
    if (status === '520') return this.outcomeError(reason.replace(/^outcome unknown: /, ''));
    if (status === '404') {
      return sdkError('ERR_MDP_NO_WORKER', `no worker serves '${this.service}'`, { details });
    }
    const known = this.settings.once ? '; it did not run' : '';
    const text = `the broker refused the request to '${this.service}': ${status} ${reason}${known}`;
    return sdkError(REFUSED_CODES[status] ?? 'ERR_MDP_REFUSED', text, { details });
  }

  /** The bytes of body and headers, without what is small in any request; a broker counts all. */
  get bytes(): number {
    return bodyBytes(this.body) + (this.target.headers?.length ?? 0);
  }

  #tooLargeError(bytesMax: number): MajordomoError {
    const { service, bytes } = this;
    const text = `${shownRequest(service)} has ${bytes} bytes, the broker accepts at most ${bytesMax}: it was not sent`;
    return sdkError('ERR_MDP_TOO_LARGE', text, { details: { service, bytes, bytesMax } });
  }

  /** The broker had it, and cannot say any more what became of it. */
  outcomeError(why: string): MajordomoError {
    const { service, sends } = this;
    const text = `the outcome of ${shownRequest(service)} is unknown: ${why}`;
    return sdkError('ERR_MDP_OUTCOME_UNKNOWN', text, { details: { service, sends } });
  }

  brokenError(why: string): MajordomoError {
    const text = `the stream of '${this.service}' broke off: ${why}`;
    return sdkError('ERR_MDP_STREAM_BROKEN', text, { details: { service: this.service } });
  }
}

const REFUSED_CODES: Readonly<Record<string, SdkErrorCode>> = {
  403: 'ERR_MDP_FORBIDDEN',
  413: 'ERR_MDP_TOO_LARGE',
};

/** Servers of 10/FLP have one service each, without a name. */
function shownRequest(service: string): string {
  return service === '' ? 'the request' : `the request to '${service}'`;
}

function ignore(): void {
  // A stream has no promise for the whole reply.
}

/** Orders calls by their ids, which go from the largest number to the smallest. */
export function byAge(a: Call, b: Call): number {
  return (a.id - b.id) | 0;
}
