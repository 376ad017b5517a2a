/**
 * The session of a client (D116): the name under which it goes on when it comes back over another connection. The
 * broker knows what arrived of its requests without a history, because their ids only grow.
 */
import { copyBytes, ownCopy } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import { PackedCursor, readPacked } from '../../core/packed.js';
import type { Dialect } from '../../wire/dialect.js';
import type { Inbound } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import { packedReply, type ReturnPath } from '../../wire/outbound.js';
import type { Identity } from './identities.js';
import type { RecentAnswers } from './recent-answers.js';
import { UnsentAnswers } from './unsent-answers.js';

/** Memory of a session, besides its key and what is kept in it (measured). */
export const SESSION_BYTES = 208;
/** Maximum length of an id, as in `mmi.resume`: the highest of each session is kept. */
const ID_BYTES_MAX = 255;
/** The highest id is kept as a number if it is not longer. */
const NUMBER_BYTES_MAX = 6;
/** Bytes before those of an id in a packed envelope. */
const ID_HEAD_BYTES = 2;

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
  /** Answers that may be under way, or lost; `null`: there are none. */
  recent: RecentAnswers | null = null;
  /** Answers that it was not sent, because it was away, or may have lost; `null`: there are none. */
  unsent: UnsentAnswers | null = null;
  /**
   * The ids, one character per byte, of its requests that are held, because it is not decided yet whether they are
   * accepted; `null`: none ever was.
   */
  held: Set<string> | null = null;
  /** Whether nothing is kept for it any more. */
  hasEnded = false;
  /** The form of its hello. */
  dialect: Dialect;
  /** How long the ids are; 0: no request has arrived. */
  #idBytes = 0;
  /** The highest id that arrived: a number, if it is short. */
  #highest = -1;
  #highestBytes: Buffer = EMPTY;

  constructor(
    key: string,
    client: Owner,
    envelope: Buffer,
    envelopeFrames: number,
    dialect: Dialect,
  ) {
    this.dialect = dialect;
    this.key = key;
    this.client = client;
    this.envelope = envelope;
    this.envelopeFrames = envelopeFrames;
  }

  /** Whether it ever sent a request. */
  get hasRequests(): boolean {
    return this.#idBytes > 0;
  }

  /** Whether answers are kept that it may ask for. */
  get hasUnsent(): boolean {
    return this.unsent !== null;
  }

  /** The number of answers that it was never sent. */
  get neverSent(): number {
    return this.unsent?.neverSent ?? 0;
  }

  // ---------------------------------------------------------------- ids

  /** The frame of a request that has its id in this session: the one after the envelope of the hello; -1: none. */
  indexOfId({ envelopeFrames }: Pick<Inbound, 'envelopeFrames'>): number {
    return envelopeFrames === this.envelopeFrames + 1 ? this.envelopeFrames : -1;
  }

  /** Whether an answer is for a request with an id in this session. */
  owns({ envelope, envelopeStart, envelopeEnd }: ReturnPath): boolean {
    const idAt = envelopeStart + this.envelope.length + ID_HEAD_BYTES;
    const idBytes = this.#idBytes;
    return idAt + idBytes === envelopeEnd && envelope.bytes[idAt - 1] === idBytes;
  }

  /**
   * Takes note of the id `[start, end)` of a request that has arrived.
   * @returns false if it is too long, or not later than all before it: it, or one that came later, has arrived already
   */
  takes(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length === this.#idBytes && length <= NUMBER_BYTES_MAX) {
      const number = numberAt(bytes, start, end);
      if (number <= this.#highest) return false;
      this.#highest = number;
      return true;
    }
    const isFirst = this.#idBytes === 0;
    if (isFirst ? length > ID_BYTES_MAX : !this.#isLater(bytes, start, end)) return false;
    this.#idBytes = length;
    if (length <= NUMBER_BYTES_MAX) this.#highest = numberAt(bytes, start, end);
    else if (isFirst) this.#highestBytes = ownCopy(bytes.subarray(start, end));
    else copyBytes(bytes, start, end, this.#highestBytes, 0);
    return true;
  }

  /** Whether a request with this id has never arrived. */
  isUnknown(id: Buffer): boolean {
    return id.length !== this.#idBytes || this.#isLater(id, 0, id.length);
  }

  /** Whether the id `[start, end)` has the length of the others and is greater, byte by byte. */
  #isLater(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length !== this.#idBytes) return false;
    if (length <= NUMBER_BYTES_MAX) return numberAt(bytes, start, end) > this.#highest;
    return bytes.compare(this.#highestBytes, 0, length, start, end) > 0;
  }

  // ---------------------------------------------------------------- answers

  /** Keeps an answer for a client that is away. @returns false: there is no room for it */
  keepUnsent(path: ReturnPath, name: Buffer, frames: Frames, from: number): boolean {
    return this.owns(path) && this.#add(packedReply(path, name, frames, from), false);
  }

  #add(message: Buffer, wasSent: boolean): boolean {
    const unsent = this.unsent ?? new UnsentAnswers(this.client.identity.memory);
    if (!unsent.hasRoom(message.length)) return false;
    this.unsent = unsent;
    unsent.add(this.idOf(message), message, wasSent);
    return true;
  }

  /** The id of the request that an answer is for, one character per byte. @param message as it is sent */
  idOf(message: Buffer): string {
    const cursor = new PackedCursor();
    readPacked(message, this.envelope.length, cursor);
    return message.toString('latin1', cursor.start, cursor.end);
  }

  /** The connection is lost: what was sent lately may be, too. */
  lost(): void {
    for (const answer of this.recent?.all() ?? []) this.#add(ownCopy(answer), true);
    this.clearRecent();
  }

  forgetUnsent(id: string): void {
    this.unsent?.delete(id);
    if (this.unsent?.isEmpty === true) this.unsent = null;
  }

  clearRecent(): void {
    this.recent?.release();
    this.recent = null;
  }

  /** Drops what it was not sent, or may have lost. */
  clearUnsent(): void {
    this.unsent?.release();
    this.unsent = null;
  }
}

/** A short id, whose order is that of its bytes. */
function numberAt(bytes: Buffer, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at++) number = number * 256 + (bytes[at] ?? 0);
  return number;
}
