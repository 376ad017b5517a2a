/**
 * Sends requests with headers, which only some brokers take (D67). What a broker takes is known when
 * it has answered `mmi.broker`, which is asked on each connection; until then such requests wait here.
 */
import { packedMetadata } from '../../wire/client-side.js';
import { DEADLINE_MS_MAX, EMPTY } from '../../wire/mdp.js';
import type { MajordomoError } from '../../core/errors.js';
import { sdkError } from '../errors.js';
import type { Call } from './call.js';

interface KnownLink {
  /** `null`: its broker has not answered yet. */
  takesHeaders: boolean | null;
  /** By call, the attempt that waits: a call that was sent again since waits elsewhere. */
  waiting: Map<Call, number>;
}

export interface HeadedSink {
  /** @param metadata deadline and headers, packed */
  send(link: number, call: Call, metadata: Buffer): void;
  /** The broker on this link does not take headers. */
  refuse(call: Call): void;
  /** How long the call may still wait for its answer, in milliseconds. */
  remainingMs(call: Call): number;
}

export class HeadedCalls {
  readonly #sink: HeadedSink;
  readonly #links = new Map<number, KnownLink>();
  readonly #sent = new WeakSet<Call>();

  constructor(sink: HeadedSink) {
    this.#sink = sink;
  }

  /** The broker on this link has said what it takes. */
  learnt(link: number, takesHeaders: boolean): void {
    const known = this.#use(link);
    known.takesHeaders = takesHeaders;
    const { waiting } = known;
    known.waiting = new Map();
    for (const [call, attempt] of waiting) {
      if (call.state === 'sent' && call.link === link && call.attempt === attempt) {
        this.#send(link, call, takesHeaders);
      }
    }
  }

  closed(link: number): void {
    this.#links.delete(link);
  }

  send(link: number, call: Call): void {
    const known = this.#use(link);
    if (known.takesHeaders === null) known.waiting.set(call, call.attempt);
    else this.#send(link, call, known.takesHeaders);
  }

  /** The error of a request whose time was over before it was known what a broker takes; else `error`. */
  errorOf(call: Call, error: MajordomoError): MajordomoError {
    if (error.code !== 'ERR_MDP_TIMEOUT' || this.#sent.has(call)) return error;
    return unsupportedError(call, 'does not say');
  }

  /** It has settled. */
  forget(call: Call): void {
    for (const { waiting } of this.#links.values()) waiting.delete(call);
  }

  #send(link: number, call: Call, takesHeaders: boolean): void {
    if (!takesHeaders) {
      this.#sink.refuse(call);
      return;
    }
    this.#sent.add(call);
    const leftMs = Math.min(Math.ceil(this.#sink.remainingMs(call)), DEADLINE_MS_MAX);
    // A stream may go on for longer than its first part may take.
    const deadlineMs = call.streams ? 0 : Math.max(1, leftMs);
    this.#sink.send(
      link,
      call,
      packedMetadata({ deadlineMs, headers: call.target.headers ?? EMPTY }),
    );
  }

  #use(link: number): KnownLink {
    let known = this.#links.get(link);
    if (known === undefined) {
      known = { takesHeaders: null, waiting: new Map() };
      this.#links.set(link, known);
    }
    return known;
  }
}

export function unsupportedError(
  { service }: Call,
  how: 'does not' | 'does not say',
): MajordomoError {
  const what =
    how === 'does not' ? 'does not support headers' : 'does not say whether it supports headers';
  const text = `the broker ${what}: the request to '${service}' was not sent`;
  return sdkError('ERR_MDP_UNSUPPORTED', text, { details: { service } });
}
