/**
 * Heads that are the same as one before them on their connection. A program with a connection that it keeps sends the
 * same head again and again, and only the length of the body differs. Such a head needs no parser: what was decided
 * for these bytes holds for them.
 */

import { timingSafeEqual } from 'node:crypto';

/** The longest head that is kept: what a connection counts for (see `parser-turns.ts`) has room for it. */
const HEAD_BYTES_MAX = 2048;
/** The most digits of a length: more is no body that has arrived with its head. */
const DIGITS_MAX = 5;
const LENGTH = /\r\ncontent-length:[ \t]*(\d{1,5})\r\n/i;
const ZERO = 48;

export class RepeatedHead {
  /** Where the body of the request begins that `endIn` has found. */
  bodyAt = 0;
  /** What stands before the digits of the length, and what behind them. */
  readonly #before: Buffer;
  readonly #behind: Buffer;

  private constructor(before: Buffer, behind: Buffer) {
    this.#before = before;
    this.#behind = behind;
  }

  /**
   * @param head as it came, of a request that was taken apart and admitted
   * @param contentLength that was found in it
   * @returns `null`: it is too long to be kept, or the length of its body is not one plain number
   */
  static of(head: Buffer, contentLength: string): RepeatedHead | null {
    if (head.length > HEAD_BYTES_MAX) return null;
    const found = LENGTH.exec(head.toString('latin1'));
    const [line = '', length = ''] = found ?? [];
    if (found === null || length !== contentLength) return null;
    const rest = found.index + line.length - 2;
    const bytes = Buffer.from(head);
    return new RepeatedHead(bytes.subarray(0, rest - length.length), bytes.subarray(rest));
  }

  /**
   * Takes the same time for all heads of the same length: a proxy may send those of several programs, with their
   * tokens, over one connection.
   * @returns where the request ends that begins with this head; -1: it is another head, or not all of the request
   */
  endIn(bytes: Buffer): number {
    const digits = this.#before.length;
    let at = digits;
    let length = 0;
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at)) {
      length = length * 10 + digit;
      if (at - digits >= DIGITS_MAX) return -1;
    }
    this.bodyAt = at + this.#behind.length;
    const end = this.bodyAt + length;
    if (at === digits || end > bytes.length) return -1;
    const isBefore = timingSafeEqual(bytes.subarray(0, digits), this.#before);
    const isBehind = timingSafeEqual(bytes.subarray(at, this.bodyAt), this.#behind);
    return isBefore && isBehind ? end : -1;
  }
}

/** -1: it is none. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
