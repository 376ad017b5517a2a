import type { Answer } from '../http/answer.js';
import type { ValidSecret } from '../http/guard.js';
import type { Begin, Connected, HeaderValues } from '../http/route.js';
import type { FedSocket, Repeater } from './parser-turns.js';
import { writeAnswer } from './raw-answer.js';
import type { RepeatedHead } from './repeated-head.js';
import { countedBytes, noRoomFor } from './unread.js';

/** What is known of a head that may be repeated. */
interface Repeatable {
  /** The secret of the token that the head brought. */
  readonly secret: ValidSecret;
  /** The server's `#admission` when the head was admitted: if it has another one now, the request is judged anew. */
  readonly admission: object;
  readonly begin: Begin;
}

/** What the server decides about requests with repeated heads, and is told of them. */
export interface RepeatsHost {
  /** @returns false: the request has to be taken apart, and is judged anew */
  readonly enters: (repeats: Repeats) => boolean;
  /** The request is answered, or its client has gone. */
  readonly left: (repeats: Repeats) => void;
  /** How long a connection may wait for its next request; `null`: it is closed after the answer. */
  readonly keepAliveMs: () => number | null;
  /** How long its reader may take nothing of an answer. */
  readonly idleMs: number;
  /** @returns the answer to an error that is a bug */
  readonly failed: (error: unknown) => Answer;
}

/**
 * The requests of one connection that have the head of one before them. They need no parser, and nothing is made
 * for one of them that the connection has already: they are answered one at a time.
 */
export class Repeats implements Connected, Repeater {
  readonly address: string | null;
  readonly head: RepeatedHead;
  readonly secret: ValidSecret;
  readonly admission: object;
  readonly fed: FedSocket;
  readonly #begin: Begin;
  readonly #host: RepeatsHost;
  /** A request waits for its answer. */
  #isWaiting = false;
  #hasEnded = false;
  /** The answer waits to be read. */
  #isSlow = false;
  #keepAliveMs: number | null = null;
  /** Bytes of the answer that are counted. */
  #held = 0;
  #sentAll: (() => void) | null = null;
  #closed: (() => void) | null = null;

  constructor(
    fed: FedSocket,
    head: RepeatedHead,
    { secret, admission, begin }: Repeatable,
    host: RepeatsHost,
  ) {
    this.fed = fed;
    this.address = fed.remoteAddress ?? null;
    this.head = head;
    this.secret = secret;
    this.admission = admission;
    this.#begin = begin;
    this.#host = host;
  }

  /** @returns false: nothing has happened, and the request has to be taken apart */
  begin(body: Buffer, values: HeaderValues): boolean {
    if (this.#hasEnded || !this.#host.enters(this)) return false;
    const answering = this.#begin(body, this, values);
    if (answering === null) {
      this.#leave();
      return false;
    }
    this.#isWaiting = true;
    answering.then(this.answer, this.#fail);
    return true;
  }

  onClosed(then: () => void): void {
    this.#closed = then;
  }

  readonly drop = (): void => {
    this.fed.destroy();
  };

  readonly answer = (given: Answer): void => {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const { fed } = this;
    this.#keepAliveMs = this.#host.keepAliveMs();
    const bytes = countedBytes(given);
    const answer = fed.hold(bytes) ? given : noRoomFor(given);
    this.#held = answer === given ? bytes : 0;
    this.#sentAll = given.sent ?? null;
    writeAnswer(fed, answer, this.#keepAliveMs, this.#sent);
    if (fed.raw.writableLength === 0) return;
    fed.setTimeout(this.#host.idleMs);
    this.#isSlow = true;
  };

  /**
   * The secret of these requests is no longer valid: one that waits is answered with `why`, and an answer that is being
   * sent is cut off.
   */
  withdraw(why: Answer): void {
    if (this.#isWaiting) this.answer(why);
    else if (this.fed.raw.writableLength > 0) this.fed.destroy();
  }

  readonly #fail = (error: unknown): void => this.answer(this.#host.failed(error));

  readonly #sent = (error?: Error | null): void => {
    if (error !== undefined && error !== null) {
      // The socket says so only later, and a request behind this one would begin.
      this.fed.destroy();
      return;
    }
    this.fed.hold(-this.#held);
    this.#sentAll?.();
    // As after a response of Node, which gives a client a second more than it tells it.
    if (this.#isSlow) this.fed.setTimeout((this.#keepAliveMs ?? 0) + 1000);
    this.#isSlow = false;
    this.#leave();
    this.fed.repeatAnswered();
  };

  /** The connection has ended: a waiting request is not answered, and no other begins. */
  end(): void {
    this.#hasEnded = true;
    this.#isWaiting = false;
    this.#leave();
  }

  #leave(): void {
    const closed = this.#closed;
    this.#closed = null;
    closed?.();
    this.#host.left(this);
  }
}
