/**
 * The frames of a pair's link ↔ typed messages (docs/peer-protocol.md). A message is a head frame
 * and, for some kinds, one frame of opaque bytes. Any input is accepted: the result is a message,
 * or `null`.
 *
 * The head: `MJP`, the version, the kind, the sender's incarnation and the number of the message on
 * this connection (D18), then the fields of the kind. Each has its number and length, so that
 * fields of a later program are skipped. Numbers are big-endian, of 8 bytes; each has the bounds of
 * its kind (core/numbers.ts).
 */
import type { Frames } from '../core/frames.js';
import { isCount, isDuration, isSequence, isTransaction, isWhole } from '../core/numbers.js';
import {
  DIGEST_BYTES,
  NONCE_BYTES,
  PEER_ROLES,
  PEER_STATES,
  PEER_VERSION,
  type PeerHolding,
  type PeerKind,
  type PeerMessage,
  type PeerStamp,
  REPLICATIONS,
  STORE_ID_BYTES,
} from './peer.js';

const MAGIC = 'MJP';
/** Size of the head before the fields. */
const HEAD_BYTES = 21;
/** Maximum length of a name, and of a reason for display. */
const TEXT_BYTES_MAX = 1024;

// ---------------------------------------------------------------- values

class Writer {
  readonly #bytes = Buffer.alloc(HEAD_BYTES + 3 * TEXT_BYTES_MAX + 512);
  #at = 0;

  start(kind: PeerKind, version: number, { incarnation, sequence }: PeerStamp): void {
    this.#at = this.#bytes.write(MAGIC, 0, 'latin1');
    this.byte(version);
    this.byte(KINDS.indexOf(kind));
    this.number(incarnation);
    this.number(sequence);
  }

  /** A field: its number, the length of what `put` writes, and the value itself. */
  numbered(number: number, put: () => void): void {
    this.byte(number);
    const at = this.#at;
    this.#at += 2;
    put();
    this.#bytes.writeUInt16BE(this.#at - at - 2, at);
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

/** Thrown and caught in this file; the exact error does not matter. */
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

  number(isOne: (value: number) => boolean): number {
    const value = Number(this.#bytes.readBigUInt64BE(this.#advance(8)));
    if (!isOne(value)) throw new Malformed();
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
    if (storeId === null) return null;
    return { storeId, upTo: this.number(isTransaction), bodiesUpTo: this.number(isTransaction) };
  }

  presentHolding(): PeerHolding {
    const holds = this.holding();
    if (holds === null) throw new Malformed();
    return holds;
  }

  /** The value of a numbered field. */
  numbered(): Reader {
    const length = this.#bytes.readUInt16BE(this.#advance(2));
    const at = this.#advance(length);
    return new Reader(this.#bytes.subarray(at, at + length), 0);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  end(): void {
    if (!this.isAtEnd) throw new Malformed();
  }

  #advance(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new Malformed();
    return at;
  }
}

/** How a value of a field is written and read. */
interface Form<Value> {
  readonly put: (to: Writer, value: Value) => void;
  readonly take: (from: Reader) => Value;
  /** It is left out, and read as `null`, if the sender has no value. */
  readonly isOptional?: true;
}

function oneOf<Value>(values: readonly Value[]): Form<Value> {
  return {
    put: (to, value) => {
      to.byte(values.indexOf(value));
    },
    take: (from) => from.of(values),
  };
}

function bytesOf(length: number): Form<Buffer> {
  return {
    put: (to, value) => {
      to.bytes(value);
    },
    take: (from) => from.bytes(length),
  };
}

function numberOf(isOne: (value: number) => boolean): Form<number> {
  return {
    put: (to, value) => {
      to.number(value);
    },
    take: (from) => from.number(isOne),
  };
}

const COUNT = numberOf(isCount);
const SEQUENCE = numberOf(isSequence);
/** One that is too high is refused with its reason (D79), before anything follows from it. */
const CLAIMED_EPOCH = numberOf((value) => isWhole(value, 0, Number.MAX_SAFE_INTEGER - 1));
const DURATION = numberOf(isDuration);
const TRANSACTION = numberOf(isTransaction);
const FLAG: Form<boolean> = {
  put: (to, value) => {
    to.byte(value ? 1 : 0);
  },
  take: (from) => from.flag(),
};
const TEXT: Form<string> = {
  put: (to, value) => {
    to.text(value);
  },
  take: (from) => from.text(),
};
const STORE_ID: Form<Buffer | null> = {
  put: (to, value) => {
    to.optionalId(value);
  },
  take: (from) => from.optionalId(),
};
const HOLDING: Form<PeerHolding | null> = {
  put: (to, value) => {
    to.holding(value);
  },
  take: (from) => from.holding(),
};
const PRESENT_HOLDING: Form<PeerHolding> = {
  put: HOLDING.put,
  take: (from) => from.presentHolding(),
};
const NONCE = bytesOf(NONCE_BYTES);

function optional<Value>({ put, take }: Form<Value>): Form<Value | null> {
  return {
    put: (to, value) => {
      if (value !== null) put(to, value);
    },
    take,
    isOptional: true,
  };
}

// ---------------------------------------------------------------- messages

type MessageOf<Kind extends PeerKind> = Extract<PeerMessage, { readonly kind: Kind }>;

/** The content of the second frame. */
type Blob = 'records' | 'batch';

/**
 * The fields of each kind. Their positions, counted from 1, are their numbers. So new fields are
 * added at the end, as optional ones, and none is ever removed.
 */
type Layout<Kind extends PeerKind> = {
  readonly [Name in Exclude<keyof MessageOf<Kind>, 'kind' | Blob>]: Form<MessageOf<Kind>[Name]>;
};

const LAYOUTS: { readonly [Kind in PeerKind]: Layout<Kind> } = {
  hello: {
    role: oneOf(PEER_ROLES),
    replication: oneOf(REPLICATIONS),
    heartbeatIntervalMs: DURATION,
    pair: TEXT,
    node: TEXT,
    storeId: STORE_ID,
    nonce: NONCE,
    epoch: CLAIMED_EPOCH,
    resumes: optional(NONCE),
    publicUrl: optional(TEXT),
  },
  proof: { nonce: NONCE },
  refuse: { reason: TEXT },
  status: {
    state: oneOf(PEER_STATES),
    offers: FLAG,
    epoch: CLAIMED_EPOCH,
    holds: HOLDING,
    keys: optional(bytesOf(DIGEST_BYTES)),
  },
  join: { epoch: SEQUENCE, holds: HOLDING },
  records: { epoch: SEQUENCE, index: SEQUENCE, isLast: FLAG, holds: PRESENT_HOLDING },
  taken: { epoch: SEQUENCE, index: SEQUENCE, number: TRANSACTION, joined: COUNT, ranTwice: COUNT },
  update: { epoch: SEQUENCE, number: TRANSACTION, holdsUpTo: TRANSACTION },
  confirm: { epoch: SEQUENCE, number: TRANSACTION, became: TRANSACTION },
  probe: { epoch: SEQUENCE, number: TRANSACTION },
  probed: { epoch: SEQUENCE, number: TRANSACTION },
};

/** Their positions are their numbers on the wire. */
const KINDS = Object.keys(LAYOUTS) as readonly PeerKind[];

type Named = readonly [name: string, form: Form<unknown>];

const FIELDS = KINDS.map((kind) => Object.entries(LAYOUTS[kind]) as readonly Named[]);

function fieldsOf(kind: PeerKind): readonly Named[] {
  return FIELDS[KINDS.indexOf(kind)] ?? [];
}

function blobOf(kind: PeerKind): Blob | null {
  if (kind === 'records') return 'records';
  return kind === 'update' ? 'batch' : null;
}

// ---------------------------------------------------------------- writing

const head = new Writer();

/** The frames of a message. The second one, if any, is the caller's memory. */
export function writePeer(
  message: PeerMessage,
  stamp: PeerStamp,
  version: number = PEER_VERSION,
): readonly Buffer[] {
  const values: Readonly<Record<string, unknown>> = { ...message };
  head.start(message.kind, version, stamp);
  for (const [index, [name, form]] of fieldsOf(message.kind).entries()) {
    const value = values[name];
    if (form.isOptional === true && value === null) continue;
    head.numbered(index + 1, () => {
      form.put(head, value);
    });
  }
  if (message.kind === 'records') return [head.take(), message.records];
  return message.kind === 'update' ? [head.take(), message.batch] : [head.take()];
}

// ---------------------------------------------------------------- reading

export type ReadPeer =
  | {
      readonly version: number;
      readonly stamp: PeerStamp;
      /** `null`: a kind that only later programs know. */
      readonly message: PeerMessage | null;
    }
  /** The sender uses a version that this program does not know. */
  | { readonly otherVersion: number }
  | null;

/**
 * Reads a message; `null` if it is not one. Opaque bytes are copied.
 * @param highest version that the reader knows
 */
export function readPeer(frames: Frames, highest: number = PEER_VERSION): ReadPeer {
  if (frames.count < 1 || frames.count > 2) return null;
  const bytes = frames.copy(0);
  if (bytes.length < 4 || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
  const version = bytes.readUInt8(MAGIC.length);
  if (version < 1 || version > highest) return { otherVersion: version };
  try {
    return readBody(version, new Reader(bytes, MAGIC.length + 1), frames);
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

function readBody(version: number, from: Reader, frames: Frames): ReadPeer {
  const place = from.byte();
  const kind = KINDS[place];
  const stamp = { incarnation: from.number(isSequence), sequence: from.number(isSequence) };
  if (kind === undefined) return { version, stamp, message: null };
  const values: Record<string, unknown> = { kind };
  readFields(kind, from, values);
  const blob = blobOf(kind);
  if ((blob !== null) !== (frames.count === 2)) return null;
  if (blob !== null) values[blob] = frames.copy(1);
  // The layouts are derived from the type.
  const message: unknown = values;
  return { version, stamp, message: message as PeerMessage };
}

function readFields(kind: PeerKind, from: Reader, values: Record<string, unknown>): void {
  const fields = fieldsOf(kind);
  for (const [name, { isOptional }] of fields) if (isOptional === true) values[name] = null;
  const found = new Set<number>();
  while (!from.isAtEnd) {
    const number = from.byte();
    const value = from.numbered();
    const known = fields[number - 1];
    if (known === undefined) continue;
    if (found.has(number)) throw new Malformed();
    found.add(number);
    const [name, form] = known;
    values[name] = form.take(value);
    value.end();
  }
  if (fields.some(([, { isOptional }], index) => isOptional !== true && !found.has(index + 1))) {
    throw new Malformed();
  }
}
