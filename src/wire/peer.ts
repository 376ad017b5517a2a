/**
 * The frames of a pair's link ↔ typed messages (docs/peer-protocol.md). One message is a head frame
 * and, for some kinds, one frame of opaque bytes. Total: whatever comes is a message, or `null`.
 *
 * The head: `MJP`, the version, the kind, the sender's incarnation and the number of the message on
 * this connection (D18), then the fields of the kind. Numbers are big-endian; 8 bytes hold integers
 * up to 2^53.
 */
import type { Frames } from '../core/frames.js';

export const PEER_VERSION = 1;
export const NONCE_BYTES = 16;
const STORE_ID_BYTES = 16;

const MAGIC = 'MJP';
const HEAD_BYTES = 21;
/** Of a name, and of a reason for people. */
const TEXT_BYTES_MAX = 1024;

export const PEER_STATES = ['waiting', 'passive', 'joining', 'active'] as const;
export const PEER_ROLES = ['primary', 'backup'] as const;
export const REPLICATIONS = ['off', 'async', 'sync', 'strict'] as const;

/** What a node holds of the other's store: every change up to there, and bodies. */
export interface PeerHolding {
  readonly storeId: Buffer;
  readonly upTo: number;
  readonly bodiesUpTo: number;
}

/** The first word of both: who is there. */
export interface Hello {
  readonly kind: 'hello';
  readonly pair: string;
  readonly role: (typeof PEER_ROLES)[number];
  readonly replication: (typeof REPLICATIONS)[number];
  readonly heartbeatIntervalMs: number;
  readonly node: string;
  /** `null`: it keeps nothing that could be replicated. */
  readonly storeId: Buffer | null;
  /** To be given back, so that each knows that the other one lives. */
  readonly nonce: Buffer;
}

export type PeerMessage =
  | Hello
  | { readonly kind: 'proof'; readonly nonce: Buffer }
  /** Why the sender wants nothing to do with the other. */
  | { readonly kind: 'refuse'; readonly reason: string }
  | {
      readonly kind: 'status';
      readonly state: (typeof PEER_STATES)[number];
      readonly epoch: number;
      readonly offers: boolean;
      readonly holds: PeerHolding | null;
    }
  | { readonly kind: 'join'; readonly epoch: number; readonly holds: PeerHolding | null }
  /** Some of what the receiver lacks; with the last one it has it all. */
  | {
      readonly kind: 'records';
      readonly epoch: number;
      readonly index: number;
      readonly isLast: boolean;
      /** What the receiver holds once it has them. */
      readonly holds: PeerHolding;
      readonly records: Buffer;
    }
  /** They are on the receiver's disk, as its transaction `number`. */
  | {
      readonly kind: 'taken';
      readonly epoch: number;
      readonly index: number;
      readonly number: number;
      readonly joined: number;
      readonly ranTwice: number;
    }
  /** The sender's transaction `number`. */
  | {
      readonly kind: 'update';
      readonly epoch: number;
      readonly number: number;
      /** The receiver's changes up to it are on the sender's disk. */
      readonly holdsUpTo: number;
      readonly batch: Buffer;
    }
  | {
      readonly kind: 'confirm';
      readonly epoch: number;
      readonly number: number;
      /** The receiver's own transaction that it became. */
      readonly became: number;
    }
  /** Is there nobody but me? */
  | { readonly kind: 'probe'; readonly epoch: number; readonly number: number }
  | { readonly kind: 'probed'; readonly epoch: number; readonly number: number };

export type PeerKind = PeerMessage['kind'];

const KINDS: readonly PeerKind[] = [
  'hello',
  'proof',
  'refuse',
  'status',
  'join',
  'records',
  'taken',
  'update',
  'confirm',
  'probe',
  'probed',
];

/** Who sent a message, and which one it was on its connection. */
export interface PeerStamp {
  readonly incarnation: number;
  readonly sequence: number;
}

export type ReadPeer =
  | { readonly stamp: PeerStamp; readonly message: PeerMessage }
  /** Whoever it is speaks another version. */
  | { readonly otherVersion: number }
  | null;

// ---------------------------------------------------------------- writing

class Head {
  readonly #bytes = Buffer.alloc(HEAD_BYTES + 2 * TEXT_BYTES_MAX + 256);
  #at = 0;

  start(kind: PeerKind, { incarnation, sequence }: PeerStamp): void {
    this.#at = this.#bytes.write(MAGIC, 0, 'latin1');
    this.byte(PEER_VERSION);
    this.byte(KINDS.indexOf(kind));
    this.number(incarnation);
    this.number(sequence);
  }

  byte(value: number): void {
    this.#at = this.#bytes.writeUInt8(value, this.#at);
  }

  number(value: number): void {
    this.#at = this.#bytes.writeBigUInt64BE(BigInt(value), this.#at);
  }

  bytes(value: Buffer): void {
    this.#at += value.copy(this.#bytes, this.#at);
  }

  text(value: string): void {
    const bytes = Buffer.from(value).subarray(0, TEXT_BYTES_MAX);
    this.#at = this.#bytes.writeUInt16BE(bytes.length, this.#at);
    this.bytes(bytes);
  }

  optionalId(id: Buffer | null): void {
    this.byte(id === null ? 0 : 1);
    if (id !== null) this.bytes(id);
  }

  holding(holds: PeerHolding | null): void {
    this.optionalId(holds?.storeId ?? null);
    if (holds === null) return;
    this.number(holds.upTo);
    this.number(holds.bodiesUpTo);
  }

  take(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }
}

const head = new Head();

/** The frames of a message. The second one, where there is one, is the caller's memory. */
export function writePeer(message: PeerMessage, stamp: PeerStamp): readonly Buffer[] {
  head.start(message.kind, stamp);
  switch (message.kind) {
    case 'hello':
      head.byte(PEER_ROLES.indexOf(message.role));
      head.byte(REPLICATIONS.indexOf(message.replication));
      head.number(message.heartbeatIntervalMs);
      head.text(message.pair);
      head.text(message.node);
      head.optionalId(message.storeId);
      head.bytes(message.nonce);
      break;
    case 'proof':
      head.bytes(message.nonce);
      break;
    case 'refuse':
      head.text(message.reason);
      break;
    case 'status':
      head.byte(PEER_STATES.indexOf(message.state));
      head.byte(message.offers ? 1 : 0);
      head.number(message.epoch);
      head.holding(message.holds);
      break;
    case 'join':
      head.number(message.epoch);
      head.holding(message.holds);
      break;
    case 'records':
      head.number(message.epoch);
      head.number(message.index);
      head.byte(message.isLast ? 1 : 0);
      head.holding(message.holds);
      return [head.take(), message.records];
    case 'taken':
      head.number(message.epoch);
      head.number(message.index);
      head.number(message.number);
      head.number(message.joined);
      head.number(message.ranTwice);
      break;
    case 'update':
      head.number(message.epoch);
      head.number(message.number);
      head.number(message.holdsUpTo);
      return [head.take(), message.batch];
    case 'confirm':
      head.number(message.epoch);
      head.number(message.number);
      head.number(message.became);
      break;
    case 'probe':
    case 'probed':
      head.number(message.epoch);
      head.number(message.number);
  }
  return [head.take()];
}

// ---------------------------------------------------------------- reading

/** What is wrong with it is of no interest: it is thrown and caught here. */
class Malformed extends Error {}

class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  flag(): boolean {
    const value = this.byte();
    if (value > 1) throw new Malformed();
    return value === 1;
  }

  number(): number {
    const value = Number(this.#bytes.readBigUInt64BE(this.#advance(8)));
    if (!Number.isSafeInteger(value)) throw new Malformed();
    return value;
  }

  bytes(length: number): Buffer {
    const at = this.#advance(length);
    return Buffer.from(this.#bytes.subarray(at, at + length));
  }

  text(): string {
    const length = this.#bytes.readUInt16BE(this.#advance(2));
    if (length > TEXT_BYTES_MAX) throw new Malformed();
    return this.bytes(length).toString();
  }

  of<T>(values: readonly T[]): T {
    const value = values[this.byte()];
    if (value === undefined) throw new Malformed();
    return value;
  }

  optionalId(): Buffer | null {
    return this.flag() ? this.bytes(STORE_ID_BYTES) : null;
  }

  holding(): PeerHolding | null {
    const storeId = this.optionalId();
    return storeId === null ? null : { storeId, upTo: this.number(), bodiesUpTo: this.number() };
  }

  presentHolding(): PeerHolding {
    const holds = this.holding();
    if (holds === null) throw new Malformed();
    return holds;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Malformed();
  }

  #advance(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new Malformed();
    return at;
  }
}

/** Reads a message; `null` for what is none. Opaque bytes are copied. */
export function readPeer(frames: Frames): ReadPeer {
  if (frames.count < 1 || frames.count > 2) return null;
  const bytes = frames.copy(0);
  if (bytes.length < 4 || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
  const version = bytes.readUInt8(MAGIC.length);
  if (version !== PEER_VERSION) return { otherVersion: version };
  const reader = new Reader(bytes, MAGIC.length + 1);
  try {
    const kind = reader.of(KINDS);
    const stamp = { incarnation: reader.number(), sequence: reader.number() };
    const blob = frames.count === 2 ? frames.copy(1) : null;
    const message = readMessage(kind, reader, blob);
    reader.end();
    const wantsBlob = kind === 'records' || kind === 'update';
    return wantsBlob === (blob !== null) ? { stamp, message } : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

function readMessage(kind: PeerKind, from: Reader, blob: Buffer | null): PeerMessage {
  switch (kind) {
    case 'hello': {
      const role = from.of(PEER_ROLES);
      const replication = from.of(REPLICATIONS);
      const heartbeatIntervalMs = from.number();
      const pair = from.text();
      const node = from.text();
      const storeId = from.optionalId();
      const nonce = from.bytes(NONCE_BYTES);
      return { kind, role, replication, heartbeatIntervalMs, pair, node, storeId, nonce };
    }
    case 'proof':
      return { kind, nonce: from.bytes(NONCE_BYTES) };
    case 'refuse':
      return { kind, reason: from.text() };
    case 'status': {
      const state = from.of(PEER_STATES);
      const offers = from.flag();
      return { kind, state, offers, epoch: from.number(), holds: from.holding() };
    }
    case 'join':
      return { kind, epoch: from.number(), holds: from.holding() };
    case 'records': {
      const epoch = from.number();
      const index = from.number();
      const isLast = from.flag();
      const holds = from.presentHolding();
      return { kind, epoch, index, isLast, holds, records: blob ?? NO_BYTES };
    }
    case 'taken': {
      const epoch = from.number();
      const index = from.number();
      const number = from.number();
      const joined = from.number();
      return { kind, epoch, index, number, joined, ranTwice: from.number() };
    }
    case 'update': {
      const epoch = from.number();
      const number = from.number();
      return { kind, epoch, number, holdsUpTo: from.number(), batch: blob ?? NO_BYTES };
    }
    case 'confirm': {
      const epoch = from.number();
      const number = from.number();
      return { kind, epoch, number, became: from.number() };
    }
    case 'probe':
    case 'probed':
      return { kind, epoch: from.number(), number: from.number() };
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0);
