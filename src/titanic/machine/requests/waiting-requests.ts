/**
 * Requests that wait for their batch, in an arena. Many may wait for a store that cannot keep up.
 * As objects they would take several times the memory, and the garbage collector would copy them
 * again and again. Each becomes objects when its batch is sent to the store.
 */
import { present } from '../../../core/assert.js';
import { Arena, type ArenaHandle } from '../../../core/arena.js';
import { copyBytes } from '../../../core/bytes.js';
import type { Frames } from '../../../core/frames.js';
import type { MemoryAccount } from '../../../core/holdings.js';
import { pack } from '../../../core/packed.js';
import type { Owner } from '../../../store/store.js';
import type { TspRequest } from '../../../wire/tsp.js';
import type { Chosen } from './options.js';

/** The number of a waiting request, from `add` to `take`. */
export type WaitingNumber = ArenaHandle;

/** Who sent it. */
export interface Sender {
  /** The party whose turn it takes. */
  readonly party: string;
  readonly owner: Owner;
  readonly memory: MemoryAccount;
}

export interface WaitingRequest extends Chosen, Sender {
  /** The broker's number of the request that is to be answered. */
  readonly id: number;
  readonly service: Buffer;
  /** At most 255 bytes. */
  readonly key: Buffer | null;
  /** Packed. */
  readonly body: Buffer;
  /** See `Change`; `null`: it has none. */
  readonly extra: Buffer | null;
  /** See `StoredRequest`. */
  readonly own: Buffer;
  /** True if the answer is to say whether the request existed before. */
  readonly saysExisted: boolean;
}

/** Doubles. */
const ID = 0;
const ACCEPTED_AT = 8;
const NOT_BEFORE = 16;
const EXPIRES_AT = 24;
/** 32 bits. */
const SENDER = 32;
const BODY_BYTES = 36;
const MAX_ATTEMPTS = 40;
/** Bytes. */
const PRIORITY = 44;
const FLAGS = 45;
const SERVICE_BYTES = 46;
/** 0: it has none. */
const KEY_BYTES = 47;
/** 16 bits; 0: it has none. */
const EXTRA_BYTES = 48;
const OWN_BYTES = 50;
const BYTES = 52;

/** Bits of the field FLAGS. */
const SHARED = 1;
const SAYS_EXISTED = 2;

interface KnownSender {
  readonly number: number;
  readonly sender: Sender;
  /** How many requests of this sender wait. */
  waiting: number;
}

export class WaitingRequests {
  readonly #arena = new Arena();
  readonly #byAccount = new Map<MemoryAccount, KnownSender>();
  readonly #senders: (KnownSender | null)[] = [];
  readonly #freeNumbers: number[] = [];

  /**
   * @param id the broker's number of the request that is to be answered
   * @param read its service and its body in `frames`; it includes all frames after the first one
   * @param bodyBytes size of the body when packed
   * @param extra less than 64 KiB
   * @param own what the request has of its own
   */
  add(
    id: number,
    sender: Sender,
    facts: Chosen,
    frames: Frames,
    { service, body, options: { key, existed } }: TspRequest,
    bodyBytes: number,
    extra: Buffer | null,
    own: Buffer,
  ): WaitingNumber {
    const keyBytes = key === null ? 0 : key.length;
    const serviceBytes = frames.size(service);
    const extraBytes = extra === null ? 0 : extra.length;
    const bytes = BYTES + serviceBytes + keyBytes + extraBytes + own.length + bodyBytes;
    const number = this.#arena.allocate(bytes);
    const { words, start } = this.#arena.find(number);
    const to = words.bytes;
    to.writeDoubleLE(id, start + ID);
    to.writeDoubleLE(facts.acceptedAt, start + ACCEPTED_AT);
    to.writeDoubleLE(facts.notBefore, start + NOT_BEFORE);
    to.writeDoubleLE(facts.expiresAt, start + EXPIRES_AT);
    to.writeInt32LE(this.#use(sender), start + SENDER);
    to.writeUInt32LE(bodyBytes, start + BODY_BYTES);
    to.writeInt32LE(facts.maxAttempts, start + MAX_ATTEMPTS);
    to.writeInt8(facts.priority, start + PRIORITY);
    const flags = (facts.isShared ? SHARED : 0) | (existed === true ? SAYS_EXISTED : 0);
    to.writeUInt8(flags, start + FLAGS);
    to.writeUInt8(serviceBytes, start + SERVICE_BYTES);
    to.writeUInt8(keyBytes, start + KEY_BYTES);
    to.writeUInt16LE(extraBytes, start + EXTRA_BYTES);
    to.writeUInt16LE(own.length, start + OWN_BYTES);
    let at = start + BYTES;
    copyBytes(frames.buffer(service), frames.start(service), frames.end(service), to, at);
    at += serviceBytes;
    if (key !== null) copyBytes(key, 0, keyBytes, to, at);
    at += keyBytes;
    if (extra !== null) copyBytes(extra, 0, extraBytes, to, at);
    at += extraBytes;
    copyBytes(own, 0, own.length, to, at);
    pack(frames, body, frames.count, to, at + own.length, false);
    return number;
  }

  /** Takes one out. */
  take(number: WaitingNumber): WaitingRequest {
    const { words, start } = this.#arena.find(number);
    const from = words.bytes;
    const serviceBytes = from.readUInt8(start + SERVICE_BYTES);
    const keyBytes = from.readUInt8(start + KEY_BYTES);
    const bodyBytes = from.readUInt32LE(start + BODY_BYTES);
    const key = BYTES + serviceBytes;
    const extra = key + keyBytes;
    const own = extra + from.readUInt16LE(start + EXTRA_BYTES);
    const body = own + from.readUInt16LE(start + OWN_BYTES);
    const flags = from.readUInt8(start + FLAGS);
    const { party, owner, memory } = this.#release(from.readInt32LE(start + SENDER));
    const run = this.#arena.take(number, body + bodyBytes);
    // Field by field: spreading an object with doubles costs several microseconds.
    return {
      id: run.readDoubleLE(ID),
      acceptedAt: run.readDoubleLE(ACCEPTED_AT),
      notBefore: run.readDoubleLE(NOT_BEFORE),
      expiresAt: run.readDoubleLE(EXPIRES_AT),
      maxAttempts: run.readInt32LE(MAX_ATTEMPTS),
      priority: run.readInt8(PRIORITY),
      isShared: (flags & SHARED) !== 0,
      saysExisted: (flags & SAYS_EXISTED) !== 0,
      party,
      owner,
      memory,
      service: run.subarray(BYTES, key),
      key: keyBytes === 0 ? null : run.subarray(key, extra),
      extra: extra === own ? null : run.subarray(extra, own),
      own: run.subarray(own, body),
      body: run.subarray(body),
    };
  }

  #use(sender: Sender): number {
    const { party, owner, memory } = sender;
    let known = this.#byAccount.get(memory);
    if (known?.sender.owner !== owner || known.sender.party !== party) {
      const number = this.#freeNumbers.pop() ?? this.#senders.length;
      known = { number, sender: { party, owner, memory }, waiting: 0 };
      this.#senders[number] = known;
      this.#byAccount.set(memory, known);
    }
    known.waiting++;
    return known.number;
  }

  #release(number: number): Sender {
    const known = present(this.#senders[number], 'a request that waits has a sender');
    const { sender } = known;
    if (--known.waiting > 0) return sender;
    this.#senders[number] = null;
    this.#freeNumbers.push(number);
    if (this.#byAccount.get(sender.memory) === known) this.#byAccount.delete(sender.memory);
    return sender;
  }
}
