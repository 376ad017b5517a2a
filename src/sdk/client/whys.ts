/**
 * What brokers say of why requests have no answer (`mmi.why`). A client asks shortly before the time of a request is
 * over. Requests for one service share a question, and a client has few: however many time out together.
 */
import type { MonotonicMs } from '../../core/clock.js';

/** How long before the end of a wait its broker is asked: a tenth of the wait, at most so long. */
const LEAD_MS_MAX = 500;
/** How long an answer is shared by requests that would ask the same, and how long it is used at all. */
const SHARED_MS = 1000;
const KEPT_MS = 2000;
const ASKED_MAX = 16;
/** Numbers of questions: the last byte of a correlation. */
const NUMBERS = 255;

/** How long before the end of a wait of `waitMs` its broker is asked why; 0: the wait is too short. */
export function whyLeadMs(waitMs: number): number {
  return waitMs === Infinity ? 0 : Math.min(LEAD_MS_MAX, Math.floor(waitMs / 10));
}

interface Question {
  readonly number: number;
  readonly link: number;
  readonly service: string;
  readonly atMs: MonotonicMs;
  answer: string;
}

export class Whys {
  /** The oldest first. */
  #asked: Question[] = [];
  #count = 0;

  /** @returns the number with which a question is to be sent; `null`: it is not to be sent */
  ask(link: number, service: string, now: MonotonicMs): number | null {
    this.#asked = this.#asked.filter(({ atMs }) => now - atMs < KEPT_MS);
    const isAsked = this.#asked.some(
      (each) => each.service === service && each.link === link && now - each.atMs < SHARED_MS,
    );
    if (isAsked || this.#asked.length === ASKED_MAX) return null;
    const number = (this.#count++ % NUMBERS) + 1;
    this.#asked.push({ number, link, service, atMs: now, answer: '' });
    return number;
  }

  answered(number: number, answer: string): void {
    const question = this.#asked.find((each) => each.number === number);
    if (question !== undefined) question.answer = answer;
  }

  /** The last answer about a service, after a colon; empty: there is none. */
  of(service: string, now: MonotonicMs): string {
    const said = this.#asked.findLast((each) => each.service === service && each.answer !== '');
    return said === undefined || now - said.atMs >= KEPT_MS ? '' : `: ${said.answer}`;
  }
}
