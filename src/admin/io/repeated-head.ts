/**
 * Heads that are the same as one before them on their connection. A program with a connection that it keeps sends the
 * same head again and again: only the length of the body differs, and a few values that name this request or its trace.
 * Such a head needs no parser: what was decided for these bytes holds for them.
 */

import { timingSafeEqual } from 'node:crypto';

import { ownCopy } from '../../core/bytes.js';
import type { ValidSecret } from '../http/guard.js';
import type { Begin, HeaderValues } from '../http/route.js';

/** The longest head that is kept: what a connection counts for (see `parser-turns.ts`) has room for it. */
const HEAD_BYTES_MAX = 2048;
/** The most digits of a length: more is no body that has arrived with its head. */
const DIGITS_MAX = 5;
const LENGTH = 'content-length';
const NO_VALUES: HeaderValues = {};
/**
 * The longest value that may differ. A value is visible ASCII, so the parser takes any other one as well; and no head
 * is refused for such a value of this length, whatever the field means (see `Guard.userOf`).
 */
const VALUE_BYTES_MAX = 128;
const FIELD = new RegExp(`\r\n([^\r\n:]+):[ \t]*([!-~]{1,${VALUE_BYTES_MAX}})(?=\r\n)`, 'g');
const [ZERO, NINE, FIRST_VISIBLE, LAST_VISIBLE] = [48, 57, 33, 126];

/** What is known of a head that may be repeated. */
export interface Repeatable {
  /** The secret of the token that the head brought. */
  readonly secret: ValidSecret;
  /** The server's `#admission` when the head was admitted: if it has another one now, the request is judged anew. */
  readonly admission: object;
  readonly begin: Begin;
  /** See `Incoming.repeats`. */
  readonly mayDiffer: (name: string) => boolean;
}

/** A field whose value may differ. */
interface Field {
  readonly name: string;
  /** What stands between the value of the field before it and its own. */
  readonly before: Buffer;
  /** Where its value stands in the request that `endIn` has found. */
  from: number;
  to: number;
}

export class RepeatedHead {
  /** Where the body of the request begins that `endIn` has found. */
  bodyAt = 0;
  readonly #fields: readonly Field[];
  /** What stands behind the last value that may differ. */
  readonly #behind: Buffer;

  private constructor(fields: readonly Field[], behind: Buffer) {
    this.#fields = fields;
    this.#behind = behind;
  }

  /**
   * @param head as it came, of a request that was taken apart and admitted
   * @param found the values that were found in it
   * @param mayDiffer whether the value of a field may be another one, beside that of the length
   * @returns `null`: it is too long to be kept, or the length of its body is not one plain number
   */
  static of(
    head: Buffer,
    found: HeaderValues,
    mayDiffer: (name: string) => boolean,
  ): RepeatedHead | null {
    if (head.length > HEAD_BYTES_MAX) return null;
    const bytes = ownCopy(head);
    const fields: Field[] = [];
    let at = 0;
    for (const { index, 0: line, 1: given = '', 2: value = '' } of head
      .toString('latin1')
      .matchAll(FIELD)) {
      const name = given.toLowerCase();
      const isAlone = found[name]?.length === 1 && found[name][0] === value;
      if (!isAlone || (name !== LENGTH && !mayDiffer(name))) continue;
      const to = index + line.length;
      const from = to - value.length;
      fields.push({ name, before: bytes.subarray(at, from), from, to });
      at = to;
    }
    const hasLength = fields.some(({ name }) => name === LENGTH);
    return hasLength ? new RepeatedHead(fields, bytes.subarray(at)) : null;
  }

  /**
   * Takes the same time for all heads whose values that may differ are as long: a proxy may send those of several
   * programs, with their tokens, over one connection.
   * @returns where the request ends that begins with this head; -1: it is another head, or not all of the request
   */
  endIn(bytes: Buffer): number {
    let at = 0;
    let length = -1;
    let isSame = true;
    for (const field of this.#fields) {
      field.from = at + field.before.length;
      if (field.from >= bytes.length) return -1;
      isSame = isAt(bytes, at, field.before) && isSame;
      at = valueEnd(bytes, field.from);
      field.to = at;
      if (at === field.from) isSame = false;
      if (field.name === LENGTH) length = numberIn(bytes, field.from, at);
    }
    this.bodyAt = at + this.#behind.length;
    const end = this.bodyAt + length;
    if (length < 0 || this.bodyAt > HEAD_BYTES_MAX || end > bytes.length) return -1;
    return isAt(bytes, at, this.#behind) && isSame ? end : -1;
  }

  /** The values that may differ, but for the length, as they are in the request that `endIn` has found. */
  valuesIn(bytes: Buffer): HeaderValues {
    if (this.#fields.length === 1) return NO_VALUES;
    const values: Record<string, readonly string[]> = {};
    for (const { name, from, to } of this.#fields) {
      if (name !== LENGTH) values[name] = [bytes.toString('latin1', from, to)];
    }
    return values;
  }
}

/** @param from and as many bytes as `expected` has are there */
function isAt(bytes: Buffer, from: number, expected: Buffer): boolean {
  return timingSafeEqual(bytes.subarray(from, from + expected.length), expected);
}

/** The end of the visible characters from there on: of as many as a value may have. */
function valueEnd(bytes: Buffer, from: number): number {
  const most = Math.min(bytes.length, from + VALUE_BYTES_MAX);
  let at = from;
  for (; at < most; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < FIRST_VISIBLE || byte > LAST_VISIBLE) break;
  }
  return at;
}

/** -1: it is no plain number, or has too many digits. */
function numberIn(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > DIGITS_MAX) return -1;
  let number = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < ZERO || byte > NINE) return -1;
    number = number * 10 + byte - ZERO;
  }
  return number;
}
