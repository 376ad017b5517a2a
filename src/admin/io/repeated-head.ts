/**
 * Heads that are the same as one before them on their connection. A program with a connection that it keeps sends the
 * same head again and again, and only the length of the body differs. Such a head needs no parser: what was decided
 * for these bytes holds for them.
 */

/** The longest head that is kept: what a connection counts for (see `feed.ts`) has room for it. */
const HEAD_BYTES_MAX = 2048;
/** The most digits of a length: more is no body that has arrived with its head. */
const DIGITS_MAX = 5;
const LENGTH = /\r\ncontent-length:[ \t]*(\d{1,5})\r\n/i;
const ZERO = 48;

export class RepeatedHead {
  /** Where the body of the request begins that `endIn` has found. */
  bodyAt = 0;
  readonly #bytes: Buffer;
  /** Where the digits of the length begin and end. */
  readonly #digits: number;
  readonly #rest: number;

  private constructor(bytes: Buffer, digits: number, rest: number) {
    this.#bytes = bytes;
    this.#digits = digits;
    this.#rest = rest;
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
    return new RepeatedHead(Buffer.from(head), rest - length.length, rest);
  }

  /** @returns where the request ends that begins with this head; -1: it is another head, or not all of the request */
  endIn(bytes: Buffer): number {
    const head = this.#bytes;
    const digits = this.#digits;
    if (bytes.length < head.length - DIGITS_MAX) return -1;
    if (bytes.compare(head, 0, digits, 0, digits) !== 0) return -1;
    let at = digits;
    let length = 0;
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at)) {
      length = length * 10 + digit;
      if (at - digits >= DIGITS_MAX) return -1;
    }
    if (at === digits) return -1;
    this.bodyAt = at + head.length - this.#rest;
    const end = this.bodyAt + length;
    if (end > bytes.length) return -1;
    return bytes.compare(head, this.#rest, head.length, at, this.bodyAt) === 0 ? end : -1;
  }
}

/** -1: it is none. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
