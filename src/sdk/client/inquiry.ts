/**
 * What a broker is asked about sends whose connection was lost, and what it says of them: a question at a time, of as
 * many as one may name. While it has no room for answers that it keeps, it is asked again after a pause.
 */
import type { MonotonicMs } from '../../core/clock.js';
import { CANCEL_IDS_MAX, type ResumeState } from '../../wire/mmi.js';
import type { Call, LostSend } from './call.js';

/** How long the broker is left alone when it can say nothing of what it was asked. */
const PAUSE_MS = 50;

/** A send that is asked for, and its call. */
export interface Lost {
  readonly call: Call;
  readonly send: LostSend;
}

export class Inquiry {
  #asked: readonly Lost[] = [];
  #unasked: Lost[] = [];
  /** When the next question may be put; `Infinity`: there is no pause. */
  #askMs: MonotonicMs = Infinity;

  /** Begins anew: what was asked over the last connection is among these. */
  begin(lost: Lost[]): void {
    this.#asked = [];
    this.#unasked = lost;
    this.#askMs = Infinity;
  }

  /** When `next` is to be called because a pause is over. */
  get nextMs(): MonotonicMs {
    return this.#askMs;
  }

  /** Whether a question is out. */
  get isOut(): boolean {
    return this.#asked.length > 0;
  }

  /** What the next question names; empty: all was said, or there is a pause. */
  next(now: MonotonicMs): readonly Lost[] {
    if (this.#askMs < Infinity && now < this.#askMs) return [];
    this.#askMs = Infinity;
    // What was answered or given up meanwhile needs no question.
    this.#unasked = this.#unasked.filter(isLost);
    this.#asked = this.#unasked.splice(0, CANCEL_IDS_MAX);
    return this.#asked;
  }

  /** The answer to the question that is out, without what was answered or given up meanwhile. */
  said(states: readonly ResumeState[], now: MonotonicMs): [Lost, ResumeState][] {
    const asked = this.#asked;
    this.#asked = [];
    const said = asked.map((lost, at): [Lost, ResumeState] => [lost, states[at] ?? 'gone']);
    const kept = said.filter(([, state]) => state === 'kept').map(([lost]) => lost);
    this.#unasked.unshift(...kept);
    if (kept.length === asked.length) this.#askMs = now + PAUSE_MS;
    return said.filter(([lost, state]) => state !== 'kept' && isLost(lost));
  }
}

/** Whether the call still waits for what is said of the send. */
function isLost({ call, send }: Lost): boolean {
  return call.state === 'waiting' && call.lost?.includes(send) === true;
}
