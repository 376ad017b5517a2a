/**
 * Reads the status of the answer to a webhook. Who answers is a stranger: of the answer only the head is read, and
 * bytes, pieces and interim answers are limited, because each of them takes time.
 */
const BYTES_MAX = 16_384;
/** A receiver may write field by field. */
const PIECES_MAX = 128;
/** Answers of status 1xx, such as 103 (Early Hints), before the one that counts. */
const INTERIM_MAX = 8;

const STATUS = /^HTTP\/1\.[01] (\d{3})[ \r]/;
const STATUS_CHARACTERS = 13;
const END = '\r\n\r\n';
const SWITCHING = 101;
/** Statuses whose receivers may say when to come again (RFC 9110 10.2.3, RFC 6585 4). */
const LATER = [429, 503];
const RETRY_AFTER = /\r\nretry-after:[ \t]*([^\r\n]*)/i;

export type Sent =
  // `retryAfter`: the field of an answer 429 or 503, if there is one.
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  | { readonly kind: 'failed'; readonly why: string };

/** How much of what a stranger sends is read. */
export class Allowance {
  readonly #bytesMax: number;
  readonly #piecesMax: number;
  #bytes = 0;
  #pieces = 0;

  constructor(bytesMax: number, piecesMax: number) {
    this.#bytesMax = bytesMax;
    this.#piecesMax = piecesMax;
  }

  /** @returns what may be read of a piece */
  take(piece: Buffer): Buffer {
    const part = piece.subarray(0, this.#bytesMax - this.#bytes);
    this.#bytes += part.length;
    this.#pieces++;
    return part;
  }

  /** What was used up without a status; `null`: nothing. */
  get spent(): string | null {
    if (this.#bytes >= this.#bytesMax) return `no status in the first ${this.#bytesMax} bytes`;
    if (this.#pieces >= this.#piecesMax) return `no status in the first ${this.#piecesMax} pieces`;
    return null;
  }
}

export class WebhookAnswer {
  readonly #allowance = new Allowance(BYTES_MAX, PIECES_MAX);
  /** What was read, from the head on that is not complete. */
  #text = '';
  #interim = 0;

  /** @returns what came of it; `null`: more has to be read */
  read(piece: Buffer): Sent | null {
    this.#text += this.#allowance.take(piece).toString('latin1');
    const sent = this.#next();
    const { spent } = this.#allowance;
    return sent ?? (spent === null ? null : failed(spent));
  }

  #next(): Sent | null {
    while (this.#text.length >= STATUS_CHARACTERS) {
      const status = Number(STATUS.exec(this.#text.slice(0, STATUS_CHARACTERS))?.[1] ?? -1);
      if (status < 0) return failed('the answer is not HTTP/1.1');
      const end = this.#text.indexOf(END);
      if (end < 0) return null;
      if (status < 100 || status > 199 || status === SWITCHING) {
        const after = LATER.includes(status) ? RETRY_AFTER.exec(this.#text.slice(0, end)) : null;
        return {
          kind: 'status',
          status,
          ...(after === null ? {} : { retryAfter: after[1] ?? '' }),
        };
      }
      if (++this.#interim > INTERIM_MAX) return failed(`more than ${INTERIM_MAX} interim answers`);
      this.#text = this.#text.slice(end + END.length);
    }
    return null;
  }
}

/** The pause that a field Retry-After asks for, in milliseconds; 0: none that can be read. @param wall milliseconds */
export function pauseAfter(retryAfter: string, wall: number): number {
  if (/^\d+ *$/.test(retryAfter)) return Number(retryAfter) * 1000;
  // A date begins with the name of a day. One of an old form names no zone: it is in GMT.
  const date = /GMT *$/.test(retryAfter) ? retryAfter : `${retryAfter} GMT`;
  const at = /^[A-Z]/i.test(date) ? Date.parse(date) : NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - wall);
}

function failed(why: string): Sent {
  return { kind: 'failed', why };
}
