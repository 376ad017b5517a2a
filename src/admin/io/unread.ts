/**
 * The answers that wait to be read. Responses with one body share its bytes, which count for one of those who still read
 * them. Each connection is given one piece after the other, because TLS copies what it is given.
 */
import type { ServerResponse } from 'node:http';

import { monotonicMs } from '../../core/clock.js';
import { type Holdings, type MemoryAccount, STALLED_MS } from '../../core/holdings.js';
import { type Answer, failure, LATER } from '../http/answer.js';

/** A smaller answer is part of what its connection costs. */
const KEPT_BYTES = 16_384;
/** What a connection is given at once. */
const PIECE_BYTES = 65_536;
/** There are few answers of this size or more at once; no file of the page is so large. */
const LARGE_BYTES = 262_144;
const LARGE_MAX = 16;
/** The part of `limits.memoryBytes` that large answers may take together; a single one may take more. */
const LARGE_SHARE = 1 / 4;

const TOO_MANY =
  'too many large answers wait to be read: read those that you asked for, or ask again later';
const MEMORY_FULL = 'there is no room for the answer: limits.memoryBytes is reached';

interface Kept {
  readonly bytes: number;
  /** For whom it counts: one of the readers. */
  account: MemoryAccount;
  /** With their identities. */
  readonly readers: Map<ServerResponse, string>;
  /** When one of them last took a piece: monotonic milliseconds. */
  takenAt: number;
}

/** What an identity has of the large answers. */
interface Share {
  readonly answers: number;
  readonly bytes: number;
}
const NO_SHARE: Share = { answers: 0, bytes: 0 };

export class Unread {
  readonly #holdings: Holdings;
  readonly #now: () => number;
  /** By their bodies, the oldest first. */
  readonly #kept = new Map<Uint8Array, Kept>();

  /** @param now monotonic milliseconds */
  constructor(holdings: Holdings, now: () => number = monotonicMs) {
    this.#holdings = holdings;
    this.#now = now;
  }

  /**
   * Keeps a body for a response until that has closed.
   * @param identity of the connection
   * @returns why there is no room for it; `null`: it is kept
   */
  keep(response: ServerResponse, body: string | Uint8Array, identity: string): string | null {
    if (typeof body === 'string' || body.length <= KEPT_BYTES || response.closed) return null;
    const kept = this.#kept.get(body) ?? this.#begin(body.length, identity);
    if (typeof kept === 'string') return kept;
    this.#kept.set(body, kept);
    kept.readers.set(response, identity);
    kept.account.add('http', PIECE_BYTES);
    response.once('close', () => {
      if (this.#kept.get(body) === kept) this.#left(body, kept, response);
    });
    return null;
  }

  /** Writes a body, one piece when its reader has taken the last. */
  write(response: ServerResponse, body: string | Uint8Array): void {
    if (typeof body === 'string') {
      response.end(body);
      return;
    }
    const kept = this.#kept.get(body);
    let at = 0;
    const next = (): void => {
      if (response.destroyed) return;
      if (kept !== undefined) kept.takenAt = this.#now();
      const piece = body.subarray(at, at + PIECE_BYTES);
      at += PIECE_BYTES;
      if (at >= body.length) response.end(piece);
      else {
        response.write(piece, (error) => {
          // Not at once: what is read as fast as it is written would keep all others waiting.
          if (error === undefined || error === null) setImmediate(next);
        });
      }
    };
    next();
  }

  #left(body: Uint8Array, kept: Kept, response: ServerResponse): void {
    kept.account.add('http', -PIECE_BYTES);
    kept.readers.delete(response);
    const identities = [...kept.readers.values()];
    const [first] = identities;
    if (first === undefined) this.#forget(body, kept);
    else if (!identities.includes(kept.account.identity)) {
      // Who has read it all does not answer for those who do not.
      const bytes = countedOf(kept);
      const { account } = kept;
      kept.account = this.#holdings.use(first);
      kept.account.add('http', bytes);
      account.add('http', -bytes);
      this.#holdings.release(account);
    }
  }

  #begin(bytes: number, identity: string): Kept | string {
    if (bytes >= LARGE_BYTES && !this.#makeRoom(bytes, identity)) return TOO_MANY;
    const account = this.#holdings.use(identity);
    if (!account.mayHold(bytes)) {
      this.#holdings.release(account);
      return MEMORY_FULL;
    }
    account.add('http', bytes);
    return { bytes, account, readers: new Map(), takenAt: this.#now() };
  }

  #forget(body: Uint8Array, kept: Kept): void {
    this.#kept.delete(body);
    kept.account.add('http', -countedOf(kept));
    this.#holdings.release(kept.account);
  }

  /**
   * Whether there is room for one more large answer, after an identity that has more than the one that asks has lost one.
   * No identity loses its only answer while that is being read. An answer that several read counts for each of them, and is
   * given up only if each may lose it.
   */
  #makeRoom(bytes: number, identity: string): boolean {
    for (;;) {
      const large = [...this.#kept].filter(([, kept]) => kept.bytes >= LARGE_BYTES);
      const isFull = large.length >= LARGE_MAX;
      const all = large.reduce((sum, [, kept]) => sum + kept.bytes, bytes);
      const hasRoom = all <= this.#holdings.limit * LARGE_SHARE || large.length === 0;
      if (hasRoom && !isFull) return true;
      const shares = new Map<string, Share>([[identity, { answers: 1, bytes }]]);
      for (const [, { readers, bytes: more }] of large) {
        for (const reader of new Set(readers.values())) {
          const { answers, bytes: others } = shares.get(reader) ?? NO_SHARE;
          shares.set(reader, { answers: answers + 1, bytes: others + more });
        }
      }
      const short = isFull ? 'answers' : 'bytes';
      const own = shares.get(identity) ?? NO_SHARE;
      const stalledSince = this.#now() - STALLED_MS;
      const [loser] = large
        .filter(([, { readers, takenAt }]) =>
          [...readers.values()].every((reader) => {
            const share = shares.get(reader) ?? NO_SHARE;
            const isOnlyAndRead = share.answers === 1 && takenAt > stalledSince;
            return share[short] > own[short] && !isOnlyAndRead;
          }),
        )
        .sort(([, one], [, other]) => one.takenAt - other.takenAt);
      if (loser === undefined) return false;
      const { readers } = loser[1];
      this.#forget(...loser);
      for (const reader of readers.keys()) reader.destroy();
    }
  }
}

/** The body, and the piece that each connection has. */
function countedOf({ bytes, readers }: Kept): number {
  return bytes + readers.size * PIECE_BYTES;
}

/** A body as it is kept: a small text stays one, and is written together with its head. */
export function keptBody(body: string | Uint8Array): string | Uint8Array {
  return typeof body === 'string' && body.length > KEPT_BYTES ? Buffer.from(body) : body;
}

/** What is answered instead of an answer for which there is no room. */
export function noRoomFor({ withoutRoom }: Answer, why: string = MEMORY_FULL): Answer {
  return withoutRoom ?? failure('ERR_HTTP_BUSY', why, LATER);
}

/** What has to be counted of an answer. */
export function countedBytes({ body, isCounted }: Answer): number {
  return isCounted === true || body.length <= KEPT_BYTES ? 0 : Buffer.byteLength(body);
}
