/**
 * A client's half of 12/CHP: what it sends to a node of the map, and what it receives. Any input is
 * accepted.
 *
 * A number is an unsigned integer of 64 bits, `epoch × 2^40 + counter` (D48). It does not fit a
 * double, so it is kept as these two parts, which do: every 64-bit number has exactly one pair, and
 * pairs compare as the numbers do, epoch first.
 */
import type { Frames } from '../core/frames.js';
import type { RandomFill } from '../core/random.js';

export const ICANHAZ: Buffer = Buffer.from('ICANHAZ?');
export const KTHXBAI: Buffer = Buffer.from('KTHXBAI');
export const HUGZ: Buffer = Buffer.from('HUGZ');

/** A key has 1 to 255 bytes (D47). */
export const MAP_KEY_BYTES_MAX = 255;
export const UUID_BYTES = 16;
const UUID_TEXT_BYTES = 36;
export const PROPERTIES_BYTES_MAX = 4096;
/** The longest time to live of a key, in seconds (D51). */
export const TTL_S_MAX = 2_147_483_647;
/** The keys below it are the broker's (D55). */
export const BROKER_KEYS = '/mmi/';
export const NUMBER_BYTES = 8;
/** Frames of a record: key, number, uuid, properties, value. */
export const RECORD_FRAMES = 5;

/** Positions of the frames of a record. */
export const KEY = 0;
export const NUMBER = 1;
export const UUID = 2;
export const PROPERTIES = 3;
export const VALUE = 4;

const NOTHING: Buffer = Buffer.alloc(0);
const SLASH = 0x2f;
const NUL = 0;
const TWO_POW_32 = 0x1_0000_0000;
/** How the 24 bits of the epoch and the 8 high bits of the counter share a word. */
const HIGH_COUNTERS = 0x100;

/** The number of a record. */
export interface MapNumber {
  /** Which term of which node gave the number; below 2^24. */
  readonly epoch: number;
  /** The change within that term, below 2^40. */
  readonly counter: number;
}

/** Compares two numbers. Below 0 if `a` is the lower one, 0 if they are equal, else above 0. */
export function compareNumbers(a: MapNumber, b: MapNumber): number {
  return a.epoch === b.epoch ? a.counter - b.counter : a.epoch - b.epoch;
}

/** Writes a number in network order. */
export function writeNumber(target: Buffer, at: number, epoch: number, counter: number): void {
  const high = Math.floor(counter / TWO_POW_32);
  target.writeUInt32BE(epoch * HIGH_COUNTERS + high, at);
  target.writeUInt32BE(counter - high * TWO_POW_32, at + 4);
}

/** Reads a number in network order; any eight bytes are one. */
export function readNumber(bytes: Buffer, at: number): MapNumber {
  const word = bytes.readUInt32BE(at);
  const epoch = Math.floor(word / HIGH_COUNTERS);
  const high = word - epoch * HIGH_COUNTERS;
  return { epoch, counter: high * TWO_POW_32 + bytes.readUInt32BE(at + 4) };
}

// ---------------------------------------------------------------- what is valid

/** Why these bytes are no key; `null`: they are one. */
export function keyProblem(bytes: Uint8Array): string | null {
  const { length } = bytes;
  if (length === 0 || length > MAP_KEY_BYTES_MAX) return 'a key has 1 to 255 bytes';
  if (bytes.includes(NUL)) return 'a key has no NUL';
  const isReserved = [HUGZ, KTHXBAI, ICANHAZ].some((name) => name.equals(bytes));
  return isReserved ? 'the key is reserved' : null;
}

/** Why these bytes are no subtree; `null`: they are one. Empty: the whole map. */
export function subtreeProblem(bytes: Uint8Array): string | null {
  const { length } = bytes;
  if (length === 0) return null;
  if (length > MAP_KEY_BYTES_MAX) return 'a subtree has at most 255 bytes';
  const isEnclosed = bytes[0] === SLASH && bytes[length - 1] === SLASH;
  return isEnclosed ? null : 'a subtree begins and ends with /';
}

export const UUID_RULE = 'a uuid has 16 bytes, or 36 characters, or none';
const UUID_TEXT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The uuid of a record as Latin-1: 16 bytes, which programs in Java write as text (D113), or none.
 * @returns `null` if it is not valid
 */
export function uuidOf(frames: Frames): string | null {
  const size = frames.size(UUID);
  if (size !== UUID_TEXT_BYTES) {
    return size === 0 || size === UUID_BYTES ? frames.view(UUID).toString('latin1') : null;
  }
  const text = frames.view(UUID).toString('latin1');
  if (!UUID_TEXT.test(text)) return null;
  return Buffer.from(text.replaceAll('-', ''), 'hex').toString('latin1');
}

/**
 * A uuid with a number (D121), of version 8 (RFC 9562): the number, these bytes (version, variant, and what tells them
 * from 16 random bytes, which other programs send), and what names the writer.
 */
const MARK = '\x8c\x12\x80';
const MARK_AT = 6;
const WRITER_AT = 9;

/** Gives the changes of a new writer their uuids, of which each compares as higher than those before. */
export function numberedUuids(random: RandomFill): () => Buffer {
  const uuid = Buffer.allocUnsafe(UUID_BYTES);
  random(uuid);
  uuid.write(MARK, MARK_AT, 'latin1');
  let last = 0;
  return () => {
    uuid.writeUIntBE(++last, 0, MARK_AT);
    return Buffer.from(uuid);
  };
}

/** The writer that a uuid names, as Latin-1; empty: it has no number, and names none. */
export function writerOf(uuid: string): string {
  return uuid.startsWith(MARK, MARK_AT) ? uuid.slice(WRITER_AT) : '';
}

/** Whether both are changes of one writer, and the first came before the other one, or is the same. */
export function isUpTo(uuid: string, other: string): boolean {
  return uuid <= other && writerOf(uuid) !== '' && writerOf(uuid) === writerOf(other);
}

/** The property that gives a record's time to live, in whole seconds (D51). */
const TTL = 'ttl=';
const DECIMAL = /^\d{1,10}$/;

/**
 * Reads properties: lines `name=value\n`, as Latin-1.
 * @returns the time to live in seconds, 0 for none; or why they are not valid
 */
export function readProperties(text: string): number | string {
  if (text === '') return 0;
  if (text.length > PROPERTIES_BYTES_MAX) return 'properties have at most 4096 bytes';
  if (!text.endsWith('\n')) return 'a property ends with a newline';
  let ttlS = -1;
  for (const line of text.slice(0, -1).split('\n')) {
    if (!line.includes('=')) return 'a property is name=value';
    if (!line.startsWith(TTL)) continue;
    const value = line.slice(TTL.length);
    const seconds = DECIMAL.test(value) ? Number(value) : Infinity;
    if (seconds > TTL_S_MAX) return 'ttl is a number of seconds from 0 to 2147483647';
    // The Guide's programs take the first one, too.
    if (ttlS < 0) ttlS = seconds;
  }
  return Math.max(ttlS, 0);
}

// ---------------------------------------------------------------- client to node

/** The frames of ICANHAZ. @param subtree empty: the whole map */
export function icanhaz(subtree: Buffer): Buffer[] {
  return [ICANHAZ, subtree];
}

/**
 * The frames of KVSET.
 * @param uuid 16 bytes, with which the change is published; or empty
 * @param value empty: the key is deleted
 */
export function kvset(key: Buffer, uuid: Buffer, properties: Buffer, value: Buffer): Buffer[] {
  return [key, NOTHING, uuid, properties, value];
}

// ---------------------------------------------------------------- node to client

/** A message as a client reads it; the frames of a record are at KEY, UUID, PROPERTIES, VALUE. */
type MapMessage =
  | { readonly kind: 'record' | 'end'; readonly number: MapNumber }
  | { readonly kind: 'hugz' }
  | { readonly kind: 'malformed'; readonly reason: string };

/**
 * Reads one message of a snapshot: `record` (KVSYNC), then `end` (KTHXBAI). Of a record only key,
 * number and value count; servers of the Guide fill the other frames, too (D58).
 */
export function readSnapshot(frames: Frames): MapMessage {
  const isEnd = frames.count > 0 && frames.equals(KEY, KTHXBAI);
  return readRecord(frames, isEnd ? 'end' : 'record');
}

/** Reads one published message: `record` (KVPUB; an empty value: the key is gone), or `hugz`. */
export function readPublished(frames: Frames): MapMessage {
  if (frames.count > 0 && frames.equals(KEY, HUGZ)) return { kind: 'hugz' };
  return readRecord(frames, 'record');
}

function readRecord(frames: Frames, kind: 'record' | 'end'): MapMessage {
  if (frames.count !== RECORD_FRAMES) return malformed('a record has five frames');
  if (frames.size(NUMBER) !== NUMBER_BYTES) return malformed('a number has 8 bytes');
  const problem = kind === 'record' ? keyProblem(frames.view(KEY)) : null;
  if (problem !== null) return malformed(problem);
  if (uuidOf(frames) === null) return malformed(UUID_RULE);
  return { kind, number: readNumber(frames.buffer(NUMBER), frames.start(NUMBER)) };
}

function malformed(reason: string): MapMessage {
  return { kind: 'malformed', reason };
}
