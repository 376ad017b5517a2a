import { terminalSafeJson } from '../../core/escape.js';
import { HTTP_ERRORS, type HttpErrorCode } from './errors.js';

export type Headers = Readonly<Record<string, string>>;

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers: Headers;
  /** Set in the answer to a POST that only asked: there is no event of it. */
  readonly changesNothing?: true;
  /** What a command for many requests meant, in words, and how many it changed. */
  readonly did?: {
    readonly service: string | null;
    readonly filter: string;
    readonly count: number;
  };
  /** Set if whoever made it counts its memory until it is sent. */
  readonly isCounted?: true;
  /** Called once nobody looks at the body any more, but perhaps never. */
  readonly sent?: () => void;
  /** What is answered if there is no room for this; default: that it may be asked for again later. */
  readonly withoutRoom?: Answer;
}

export type WriteText = (text: string, sent?: () => void) => void;

/** An answer that continues until the reader or the server ends it. */
export interface Stream {
  readonly type: string;
  readonly headers: Headers;
  /**
   * @param write sends text; `sent` is called when it has left
   * @param end ends the answer when all has left, or `now`, whatever has not left
   * @returns a function that is called when the reader is gone
   */
  readonly open: (write: WriteText, end: (how?: 'now') => void) => () => void;
  /** As `Answer.isCounted`. */
  readonly isCounted?: true;
  /** Ends the answer because the reader's right to it has ended; default: it ends without a word. */
  readonly withdrawn?: (why: Answer) => void;
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** The headers of every answer. The answer's own headers override them. */
export const COMMON_HEADERS: Headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** The answer may be another one a moment later. */
export const LATER: Headers = { 'retry-after': '1' };

/** Errors that may be gone a moment later. */
const PASSING: readonly HttpErrorCode[] = [
  'ERR_HTTP_LIMIT',
  'ERR_HTTP_NOT_READY',
  'ERR_HTTP_STORE',
];

/** Says when to try again, after such an error. */
export function laterAfter(code: HttpErrorCode): Headers {
  return PASSING.includes(code) ? LATER : {};
}

export function json(value: unknown, status = 200, headers: Headers = {}): Answer {
  return { status, type: JSON_TYPE, body: `${terminalSafeJson(value)}\n`, headers };
}

export function text(body: string | Uint8Array, type: string, headers: Headers = {}): Answer {
  return { status: 200, type, body, headers };
}

/** @param more fields besides `error` */
export function failure(
  code: HttpErrorCode,
  message: string,
  headers: Headers = {},
  more: Readonly<Record<string, unknown>> = {},
): Answer {
  return json({ ...more, error: { code, message } }, HTTP_ERRORS[code][0], headers);
}
