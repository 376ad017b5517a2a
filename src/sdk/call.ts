import type { MonotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import type { Timed } from './deadlines.js';
import { sdkError } from './errors.js';
import type { RequestSettings } from './options.js';

/** Gets the outcome of a request: one call of either `done` or `fail`. */
export interface CallOwner {
  /** A PARTIAL, in order. */
  part(call: Call, frames: Buffer[]): void;
  done(call: Call, frames: Buffer[]): void;
  fail(call: Call, error: MajordomoError): void;
}

/** A refusal, from `mmi.refused`. */
export interface BrokerRefusal {
  readonly status: string;
  readonly reason: string;
}

/**
 * The state of a request. *waiting*: for a connection; *sent*: for its answer; *resting*: for the
 * end of a pause after a refusal; *settled*: nothing more happens.
 */
export type CallState = 'waiting' | 'sent' | 'resting' | 'settled';

/** One request and all its sends. */
export class Call implements Timed {
  dueMs: MonotonicMs = Infinity;
  dueQueue = 0;

  readonly id: number;
  readonly service: string;
  readonly serviceName: Buffer;
  readonly body: readonly Uint8Array[];
  readonly owner: CallOwner;
  readonly timeoutMs: number;
  readonly retries: number;
  /** The user gets PARTIALs as they arrive, so the request is never sent again after the first. */
  readonly streams: boolean;
  startedMs: MonotonicMs = 0;

  state: CallState = 'waiting';
  /** Number of the link of its last send; 0 when that link is gone, or before the first send. */
  link = 0;
  /** Every send has a number, which comes back in the envelope. */
  attempt = 0;
  /** Sends that a worker may have got: those that were not refused. */
  sends = 0;
  /** How many messages the link had received when it was sent. */
  heardAtSend = 0;
  refusals = 0;
  refusal: BrokerRefusal | null = null;

  /** Takes the listener off the request's AbortSignal. */
  unlisten: (() => void) | null = null;

  /** A PARTIAL of `partsOf` has arrived; parts of different attempts are not mixed. */
  hasParts = false;
  partsOf = 0;
  /** Answers to earlier attempts are incomplete: their PARTIALs were dropped. */
  oldestAttempt = 0;

  constructor(
    id: number,
    service: string,
    serviceName: Buffer,
    body: readonly Uint8Array[],
    streams: boolean,
    settings: RequestSettings,
    owner: CallOwner,
  ) {
    this.id = id;
    this.service = service;
    this.serviceName = serviceName;
    this.body = body;
    this.streams = streams;
    this.timeoutMs = settings.timeoutMs;
    this.retries = settings.retries;
    this.owner = owner;
  }

  get mayBeSent(): boolean {
    return this.sends <= this.retries && !(this.streams && this.hasParts);
  }

  /** Called at each send. */
  sent(link: number, heard: number): void {
    this.state = 'sent';
    this.link = link;
    this.heardAtSend = heard;
    this.refusal = null;
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
    if (this.hasParts) return attempt === this.partsOf;
    if (!final) {
      this.hasParts = true;
      this.partsOf = attempt;
    }
    return true;
  }

  /** The error of a request whose time is over. */
  timeoutError(): MajordomoError {
    const { service, sends } = this;
    if (this.refusal !== null) return this.refusedError(this.refusal);
    if (this.streams && this.hasParts) return this.brokenError('no further part arrived in time');
    if (sends === 0 && this.attempt === 0) {
      const text = `no endpoint accepted a connection for the request to '${service}'`;
      return sdkError('ERR_MDP_UNREACHABLE', text, { details: { service, sends } });
    }
    const text = `no answer from '${service}' (sent ${sends} times)`;
    return sdkError('ERR_MDP_TIMEOUT', text, { details: { service, sends } });
  }

  /** The broker does not admit its client's key. */
  keyError(): MajordomoError {
    const { service } = this;
    const what = this.attempt === 0 ? 'was not sent' : 'was sent before and has no answer';
    const text = `the broker refuses the key of this client: the request to '${service}' ${what}`;
    return sdkError('ERR_MDP_KEY_REFUSED', text, { details: { service } });
  }

  refusedError(refusal: BrokerRefusal): MajordomoError {
    const { status, reason } = refusal;
    const details = { status, service: this.service, reason };
    if (status === '404') {
      return sdkError('ERR_MDP_NO_WORKER', `no worker serves '${this.service}'`, { details });
    }
    const text = `the broker refused the request to '${this.service}': ${status} ${reason}`;
    return sdkError(status === '403' ? 'ERR_MDP_FORBIDDEN' : 'ERR_MDP_REFUSED', text, {
      details,
    });
  }

  brokenError(why: string): MajordomoError {
    const text = `the stream of '${this.service}' broke off: ${why}`;
    return sdkError('ERR_MDP_STREAM_BROKEN', text, { details: { service: this.service } });
  }
}
