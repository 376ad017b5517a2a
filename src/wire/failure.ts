/**
 * What a worker reports about a request that it tried and could not answer: FAIL (D60), and what its
 * client gets of it, if it asked for that (D62). Any input is accepted: a malformed failure is read as a
 * failure that says so.
 */
import { isAscii, isUtf8 } from 'node:buffer';

import { Frames } from '../core/frames.js';

/**
 * `error`: it failed on this input. `final`: it would fail again, so a stored request is not tried
 * again. `retry`: another worker may be able to.
 */
export type FailureKind = 'error' | 'final' | 'retry';

export const FAILURE_KINDS: readonly FailureKind[] = ['error', 'final', 'retry'];

export interface Failure {
  readonly kind: FailureKind;
  /** 1 to 64 characters of `[A-Za-z0-9._-]`, the application's own. */
  readonly code: string;
  /** Text for people, at most 1 KiB of UTF-8. */
  readonly text: string;
  /** Opaque frames for programs, at most 64 KiB together. */
  readonly detail: readonly Buffer[];
}

export const FAILURE_TEXT_BYTES_MAX = 1024;
export const FAILURE_DETAIL_BYTES_MAX: number = 64 * 1024;
/** Maximum number of detail frames, because each costs more than its bytes. */
export const FAILURE_DETAIL_FRAMES_MAX = 64;
/** The prefix of codes reserved for brokers. */
const RESERVED_CODES = 'mdp.';
/** D60: how a malformed FAIL is counted. */
const INVALID_FAILURE = 'mdp.invalid-failure';
/** D100: what a worker answered was over the limits. */
const TOO_LARGE = 'mdp.too-large';
/** The code of a dead request for which no worker reported a failure (D63). */
export const NO_REPLY = 'mdp.no-reply';

/** The longest kind, and the longest code. */
const KIND_BYTES_MAX = 5;
const CODE_BYTES_MAX = 64;
const CODE = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether a worker may use this code. */
export function isWorkerCode(code: string): boolean {
  return isWellFormedCode(code) && !code.startsWith(RESERVED_CODES);
}

/** @param text names both sizes */
export function tooLargeFailure(text: string): Failure {
  return { kind: 'final', code: TOO_LARGE, text, detail: [] };
}

/** Whether it can be a worker's code, or one of a broker's own. */
export function isWellFormedCode(code: string): boolean {
  return CODE.test(code);
}

/** `CODE: TEXT`, as in refusals and dead requests; `CODE:` if there is no text. */
export function codedReason({ code, text }: Pick<Failure, 'code' | 'text'>): string {
  return text === '' ? `${code}:` : `${code}: ${text}`;
}

/**
 * Reads `kind, code, text, detail*`.
 * @param from index of the kind
 * @param isFromBroker another broker passes it on, perhaps with a code of its own
 * @returns a failure whose detail are views of the frames
 */
export function readFailure(frames: Frames, from: number, isFromBroker = false): Failure {
  if (frames.count < from + 3) return invalid('a FAIL is client, empty frame, kind, code, text');
  const kind = asciiOf(frames, from, KIND_BYTES_MAX) as FailureKind;
  if (!FAILURE_KINDS.includes(kind)) return invalid('the kind is not error, final or retry');
  const code = asciiOf(frames, from + 1, CODE_BYTES_MAX);
  if (!CODE.test(code)) return invalid('the code is not 1 to 64 characters of A-Z a-z 0-9 . _ -');
  if (!isFromBroker && code.startsWith(RESERVED_CODES)) {
    return invalid(`codes with ${RESERVED_CODES} are reserved`);
  }
  const detail: Buffer[] = [];
  if (frames.count - (from + 3) > FAILURE_DETAIL_FRAMES_MAX) {
    return invalid(`more than ${FAILURE_DETAIL_FRAMES_MAX} frames of detail`);
  }
  let bytes = 0;
  for (let index = from + 3; index < frames.count; index++) {
    bytes += frames.size(index);
    if (bytes > FAILURE_DETAIL_BYTES_MAX) return invalid('more than 64 KiB of detail');
    detail.push(frames.view(index));
  }
  return { kind, code, text: failureText(frames.view(from + 2)), detail };
}

function invalid(text: string): Failure {
  return { kind: 'error', code: INVALID_FAILURE, text, detail: [] };
}

/** @returns empty if it is longer, or not ASCII */
function asciiOf(frames: Frames, index: number, bytesMax: number): string {
  if (frames.size(index) > bytesMax) return '';
  return frames.buffer(index).toString('latin1', frames.start(index), frames.end(index));
}

/** Bytes as text of at most 1 KiB: invalid UTF-8 is replaced, and the rest is cut off. */
export function failureText(bytes: Uint8Array): string {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (given.length <= FAILURE_TEXT_BYTES_MAX && isAscii(given)) return given.toString('latin1');
  // A character that the cut would split is left out.
  const cut = given.subarray(0, characterEnd(given, FAILURE_TEXT_BYTES_MAX));
  const text = cut.toString('utf8');
  if (isUtf8(cut)) return text;
  // Each replacement is three bytes in place of one.
  const replaced = Buffer.from(text);
  return replaced.toString('utf8', 0, characterEnd(replaced, FAILURE_TEXT_BYTES_MAX));
}

/** The last position up to `most` bytes at which a character ends. */
function characterEnd(bytes: Buffer, most: number): number {
  if (bytes.length <= most) return bytes.length;
  let end = most;
  // At most three bytes continue a character.
  while (end > most - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return ((bytes[end] ?? 0) & 0xc0) === 0x80 ? most : end;
}

/** The frames that report a failure to a client: service, code, text, detail. */
export function failedFrames(service: Buffer, { code, text, detail }: Failure): Frames {
  return Frames.of(service, code, text, ...detail);
}

/** A failure as a client receives it. */
export interface ClientFailure {
  readonly service: Buffer;
  readonly code: string;
  readonly text: string;
  readonly detail: Buffer[];
}

/** Reads `service, code, text, detail*`, as sent to a client. @returns `null` if the frames are not a failure */
export function readClientFailure([
  service,
  code,
  text,
  ...detail
]: readonly Buffer[]): ClientFailure | null {
  if (service === undefined || code === undefined || text === undefined) return null;
  const shown = code.toString('latin1', 0, CODE_BYTES_MAX + 1);
  if (!CODE.test(shown)) return null;
  return { service, code: shown, text: failureText(text), detail };
}

/** D63: the status frame of a dead request, after `500`: `dead CODE: TEXT`. */
const DEAD = /^dead ([A-Za-z0-9._-]{1,64}):(?: (.*))?$/s;

/**
 * `dead CODE: TEXT`, from a reason that is `CODE: TEXT`; any other reason is the broker's own text.
 */
export function deadStatus(reason: string): string {
  const status = `dead ${reason}`;
  return DEAD.test(status) ? status : `dead ${NO_REPLY}: ${reason.replace(/^dead /, '')}`;
}

/** The failure in a dead request's status; `null` if it is another 500. */
export function readDeadStatus(text: string): Pick<Failure, 'code' | 'text'> | null {
  const match = DEAD.exec(text);
  return match === null ? null : { code: match[1] ?? '', text: match[2] ?? '' };
}
