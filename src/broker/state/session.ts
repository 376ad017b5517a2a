/**
 * The session of a client (D116): the name under which it goes on when it comes back over another connection. The
 * broker knows what arrived of its requests without a history, because their ids only grow.
 */
import { copyBytes, ownCopy } from '../../core/bytes.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Identity } from './identities.js';
import {
  type Answer,
  idOfAnswer,
  keptAnswer,
  RecentAnswers,
  sentOnce,
  wasSent,
} from './recent-answers.js';

/** Memory of a session, besides its key and what is kept in it (measured: 800 to 940 bytes, with a short key). */
export const SESSION_BYTES = 1024;
/** What an answer takes that is kept for a client that is away, besides its bytes. */
const ANSWER_BYTES = 160;
/** Maximum length of an id, as in `mmi.resume`: the highest of each session is kept. */
const ID_BYTES_MAX = 255;
/** A client from which something was read so long after an answer was sent has received that. */
const RECEIVED_MS = 500;

/** @typeParam Owner the client: a parameter, because clients have sessions */
export class SessionOf<Owner extends { readonly identity: Identity }> {
  /** Owner, envelope and secret name: one client object anywhere. */
  readonly key: string;
  /** Whom its requests are of. */
  readonly client: Owner;
  /** The packed envelope that precedes the id of each of its requests; empty, unless there is a proxy. */
  readonly envelope: Buffer;
  /** How many frames `envelope` has. */
  readonly envelopeFrames: number;
  /** Answers that may be under way, or lost. */
  readonly recent: RecentAnswers;
  /** Requests of it that are held, because it is not decided yet whether they are accepted. */
  held = 0;
  /** Whether nothing is kept for it any more. */
  hasEnded = false;
  /** The highest id that arrived. */
  #highest: Buffer | null = null;
  /** Answers that it was not sent, because it was away, or may have lost, by the ids of their requests. */
  readonly #unsent = new Map<string, Buffer>();
  #unsentBytes = 0;
  #neverSent = 0;

  constructor(key: string, client: Owner, envelope: Buffer, envelopeFrames: number) {
    this.key = key;
    this.client = client;
    this.envelope = envelope;
    this.envelopeFrames = envelopeFrames;
    this.recent = new RecentAnswers(client.identity.memory);
  }

  /** Whether it ever sent a request. */
  get hasRequests(): boolean {
    return this.#highest !== null;
  }

  /** Whether answers are kept that it may ask for. */
  get hasUnsent(): boolean {
    return this.#unsent.size > 0;
  }

  /** The number of answers that it was never sent. */
  get neverSent(): number {
    return this.#neverSent;
  }

  /** The frame of a request that has its id in this session: the one after the envelope of the hello; -1: none. */
  indexOfId({ envelopeFrames }: Pick<Inbound, 'envelopeFrames'>): number {
    return envelopeFrames === this.envelopeFrames + 1 ? this.envelopeFrames : -1;
  }

  /**
   * Takes note of the id `[start, end)` of a request that has arrived.
   * @returns false if it is too long, or not later than all before it: it, or one that came later, has arrived already
   */
  takes(bytes: Buffer, start: number, end: number): boolean {
    const highest = this.#highest;
    if (highest === null) {
      if (end - start > ID_BYTES_MAX) return false;
      this.#highest = ownCopy(bytes.subarray(start, end));
      return true;
    }
    if (!isLater(bytes, start, end, highest)) return false;
    copyBytes(bytes, start, end, highest, 0);
    return true;
  }

  /** Whether a request with this id has never arrived. */
  isUnknown(id: Buffer): boolean {
    const highest = this.#highest;
    if (highest?.length !== id.length) return true;
    return isLater(id, 0, id.length, highest);
  }

  /** Something arrived from the client, over its present connection. */
  heard(now: number): void {
    if (this.recent.count > 0) this.recent.dropOlder(RECEIVED_MS, now);
  }

  /** Keeps an answer for a client that is away. @returns false: there is no room for it */
  keepUnsent(answer: Answer): boolean {
    if (!this.#add(keptAnswer(answer))) return false;
    this.#neverSent++;
    return true;
  }

  #add(kept: Buffer): boolean {
    const bytes = kept.length + ANSWER_BYTES;
    const { memory } = this.client.identity;
    if (!memory.mayHold(bytes)) return false;
    const id = idOfAnswer(kept);
    this.forgetUnsent(id);
    memory.add('requests', bytes);
    this.#unsentBytes += bytes;
    this.#unsent.set(id, kept);
    return true;
  }

  /** The connection is lost: what was sent lately may be, too. */
  lost(): void {
    for (const answer of this.recent.all()) this.#add(sentOnce(answer));
    this.recent.clear();
  }

  /** The answer that is kept for a request. @param id one character per byte */
  unsentFor(id: string): Buffer | undefined {
    return this.#unsent.get(id);
  }

  forgetUnsent(id: string): void {
    const kept = this.#unsent.get(id);
    if (kept === undefined) return;
    this.#unsent.delete(id);
    if (!wasSent(kept)) this.#neverSent--;
    const bytes = kept.length + ANSWER_BYTES;
    this.#unsentBytes -= bytes;
    this.client.identity.memory.add('requests', -bytes);
  }

  /** Drops all that is kept. */
  clear(): void {
    this.recent.clear();
    this.clearUnsent();
  }

  /** Drops what it was not sent, or may have lost. */
  clearUnsent(): void {
    this.#unsent.clear();
    this.client.identity.memory.add('requests', -this.#unsentBytes);
    this.#unsentBytes = 0;
    this.#neverSent = 0;
  }
}

/** Whether the id `[start, end)` has the length of `other` and is greater, byte by byte. */
function isLater(bytes: Buffer, start: number, end: number, other: Buffer): boolean {
  const { length } = other;
  if (end - start !== length) return false;
  for (let at = 0; at < length; at++) {
    const difference = (bytes[start + at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
