/**
 * The packs of a fleet ↔ typed values (docs/fleet-protocol.md). Any input is accepted: the result is
 * a pack, or why it is none. Numbers are big-endian.
 *
 * The head: `MJF`, the version, the channel, 1 for a chunk or else 0, the digest of the fleet, the
 * ids of sender and receiver (8 bytes each), number and seen (6 bytes each). Then the entries: kind,
 * length (4 bytes), content. A reader skips entries of kinds that it does not know, and what follows the
 * fields of PRESENCE: the next version may add both.
 */
import type { Frames } from '../core/frames.js';
import { isPackedFrames, pack, packedBytes, PackedCursor, readPacked } from '../core/packed.js';
import { type Failure, FAILURE_KINDS, FAILURE_TEXT_BYTES_MAX, isCode } from './failure.js';
import {
  FLEET_ID_BYTES,
  FLEET_VERSION,
  type FleetChannel,
  type FleetChunk,
  type FleetEntry,
  type FleetHead,
  type FleetOffer,
  type FleetReturnReason,
  type PackFault,
} from './fleet.js';
import { EMPTY, HEADERS_BYTES_MAX, SERVICE_NAME_BYTES_MAX } from './mdp.js';

const MAGIC = 'MJF';
/** Where the fields of the head begin. */
const VERSION_AT = 3;
const CHANNEL_AT = 4;
const CHUNK_AT = 5;
const FLEET_AT = 6;
const SENDER_AT: number = FLEET_AT + FLEET_ID_BYTES;
const TO_AT: number = SENDER_AT + FLEET_ID_BYTES;
const NUMBER_AT: number = TO_AT + FLEET_ID_BYTES;
const NUMBER_BYTES = 6;
const SEEN_AT: number = NUMBER_AT + NUMBER_BYTES;
export const FLEET_HEAD_BYTES: number = SEEN_AT + NUMBER_BYTES;
/** Total and offset. */
const CHUNK_HEAD_BYTES = 8;
const ENTRY_HEAD_BYTES = 5;
/** Maximum length of the name of a node and of a version. */
const TEXT_BYTES_MAX = 255;
const U32_MAX = 0xffff_ffff;
/** Maximum number of entries in a pack, and of offers in an entry: more than fit in 64 KiB. */
const ENTRIES_MAX = 16_384;

const CHANNELS: readonly FleetChannel[] = ['direct', 'offer', 'want', 'presence', 'hint'];
const REASONS: readonly FleetReturnReason[] = ['busy', 'returned', 'lost'];
const KINDS: readonly FleetEntry['kind'][] = [
  'request',
  'partial',
  'final',
  'fail',
  'return',
  'held',
  'ask',
  'offer',
  'want',
  'presence',
  'hint',
];

// ---------------------------------------------------------------- writing

/** An entry with `bytes` bytes of content, whose head is written. */
function entry(kind: FleetEntry['kind'], bytes: number): Buffer {
  const made = Buffer.allocUnsafe(ENTRY_HEAD_BYTES + bytes);
  made[0] = KINDS.indexOf(kind);
  made.writeUInt32BE(bytes, 1);
  return made;
}

/** @returns the offset after it */
function putToken(target: Buffer, token: number): number {
  return target.writeUIntBE(token, ENTRY_HEAD_BYTES, NUMBER_BYTES);
}

function putCredit(target: Buffer, at: number, { free, total }: FleetCredit): number {
  return target.writeUInt32BE(total, target.writeUInt32BE(Math.min(free, U32_MAX), at));
}

/** What a service can take at the sender. */
export type FleetCredit = Pick<FleetOffer, 'free' | 'total'>;

/** @param packed packed frames in `[start, end)`, the headers first if `isHeaded` */
export function requestEntry(
  token: number,
  service: Buffer,
  leftMs: number,
  packed: Buffer,
  start: number,
  end: number,
  isHeaded: boolean,
): Buffer {
  const made = entry('request', NUMBER_BYTES + 6 + service.length + end - start);
  let at = putToken(made, token);
  at = made.writeUInt32BE(leftMs, at);
  at = made.writeUInt8(isHeaded ? 1 : 0, at);
  at = made.writeUInt8(service.length, at);
  at += service.copy(made, at);
  packed.copy(made, at, start, end);
  return made;
}

/** @param part how many PARTIALs of the request came before */
export function partialEntry(token: number, part: number, packed: Buffer): Buffer {
  const made = entry('partial', NUMBER_BYTES + 4 + packed.length);
  packed.copy(made, made.writeUInt32BE(part, putToken(made, token)));
  return made;
}

/**
 * The reply is the frames starting at `from`.
 * @param parts how many PARTIALs came before
 */
export function finalEntry(
  token: number,
  credit: FleetCredit,
  parts: number,
  frames: Frames,
  from: number,
): Buffer {
  const bytes = packedBytes(frames, from, frames.count);
  const made = entry('final', NUMBER_BYTES + 12 + bytes);
  const at = made.writeUInt32BE(parts, putCredit(made, putToken(made, token), credit));
  pack(frames, from, frames.count, made, at, false);
  return made;
}

export function failEntry(
  token: number,
  credit: FleetCredit,
  { kind, code, text }: Failure,
  detail: Frames,
): Buffer {
  const shown = Buffer.from(text);
  const bytes = packedBytes(detail, 0, detail.count);
  const made = entry('fail', NUMBER_BYTES + 8 + 4 + code.length + shown.length + bytes);
  let at = putCredit(made, putToken(made, token), credit);
  at = made.writeUInt8(FAILURE_KINDS.indexOf(kind), at);
  at = made.writeUInt8(code.length, at);
  at += made.write(code, at, 'latin1');
  at = made.writeUInt16BE(shown.length, at);
  at += shown.copy(made, at);
  pack(detail, 0, detail.count, made, at, false);
  return made;
}

export function returnEntry(
  token: number,
  reason: FleetReturnReason,
  credit: FleetCredit,
  text: string,
): Buffer {
  const shown = Buffer.from(text).subarray(0, TEXT_BYTES_MAX);
  const made = entry('return', NUMBER_BYTES + 9 + shown.length);
  const at = putCredit(made, putToken(made, token), credit);
  shown.copy(made, made.writeUInt8(REASONS.indexOf(reason), at));
  return made;
}

/** Sets the credit that a reply, failure or RETURN states. */
export function putCreditOf(target: Buffer, credit: FleetCredit): void {
  putCredit(target, ENTRY_HEAD_BYTES + NUMBER_BYTES, credit);
}

export function heldEntry(tokens: readonly number[]): Buffer {
  const made = entry('held', tokens.length * NUMBER_BYTES);
  let at = ENTRY_HEAD_BYTES;
  for (const token of tokens) at = made.writeUIntBE(token, at, NUMBER_BYTES);
  return made;
}

export function askEntry(): Buffer {
  return entry('ask', 0);
}

export function offerEntry(offers: readonly FleetOffer[]): Buffer {
  const bytes = offers.reduce((sum, { service }) => sum + 13 + service.length, 0);
  const made = entry('offer', bytes);
  let at = ENTRY_HEAD_BYTES;
  for (const offer of offers) {
    at = made.writeUInt8(offer.service.length, at);
    at += offer.service.copy(made, at);
    at = putCredit(made, at, offer);
    at = made.writeUInt32BE(Math.min(offer.bytes, U32_MAX), at);
  }
  return made;
}

export function wantEntry(service: Buffer): Buffer {
  const made = entry('want', service.length);
  service.copy(made, ENTRY_HEAD_BYTES);
  return made;
}

export function hintEntry(content: Buffer): Buffer {
  const made = entry('hint', content.length);
  content.copy(made, ENTRY_HEAD_BYTES);
  return made;
}

export function presenceEntry(
  presence: Omit<Extract<FleetEntry, { kind: 'presence' }>, 'kind'>,
): Buffer {
  const node = Buffer.from(presence.node).subarray(0, TEXT_BYTES_MAX);
  const version = Buffer.from(presence.version).subarray(0, TEXT_BYTES_MAX);
  const made = entry('presence', 3 + FLEET_ID_BYTES + node.length + version.length);
  let at = made.writeUInt8(presence.isLeaving ? 1 : 0, ENTRY_HEAD_BYTES);
  at += presence.keys.copy(made, at, 0, FLEET_ID_BYTES);
  at = made.writeUInt8(node.length, at);
  at += node.copy(made, at);
  at = made.writeUInt8(version.length, at);
  version.copy(made, at);
  return made;
}

function putHead(target: Buffer, head: FleetHead, isChunk: boolean): void {
  target.write(MAGIC, 0, 'latin1');
  target[VERSION_AT] = FLEET_VERSION;
  target[CHANNEL_AT] = CHANNELS.indexOf(head.channel);
  target[CHUNK_AT] = isChunk ? 1 : 0;
  head.fleet.copy(target, FLEET_AT);
  head.sender.copy(target, SENDER_AT);
  head.to.copy(target, TO_AT);
  target.writeUIntBE(head.number, NUMBER_AT, NUMBER_BYTES);
  target.writeUIntBE(head.seen, SEEN_AT, NUMBER_BYTES);
}

/** @param bytes of all entries together */
export function encodePack(head: FleetHead, entries: readonly Buffer[], bytes: number): Buffer {
  const made = Buffer.allocUnsafe(FLEET_HEAD_BYTES + bytes);
  putHead(made, head, false);
  let at = FLEET_HEAD_BYTES;
  for (const each of entries) at += each.copy(made, at);
  return made;
}

/** How many bytes of entries fit in a chunk of `bytes` bytes. */
export function chunkRoom(bytes: number): number {
  return bytes - FLEET_HEAD_BYTES - CHUNK_HEAD_BYTES;
}

/** @param whole the entries of a pack, of which `[start, end)` are sent */
export function encodeChunk(head: FleetHead, whole: Buffer, start: number, end: number): Buffer {
  const made = Buffer.allocUnsafe(FLEET_HEAD_BYTES + CHUNK_HEAD_BYTES + end - start);
  putHead(made, head, true);
  let at = made.writeUInt32BE(whole.length, FLEET_HEAD_BYTES);
  at = made.writeUInt32BE(start, at);
  whole.copy(made, at, start, end);
  return made;
}

// ---------------------------------------------------------------- reading

/** A pack: its entries, or a part of them. */
export interface FleetPack extends FleetHead {
  /** `null`: the pack is whole. */
  readonly chunk: FleetChunk | null;
  /** The entries of a whole pack, for `readEntries`. */
  readonly entries: Buffer;
}

/** @param fleet the digest of the fleet that packs must be of */
export function readPack(bytes: Buffer, fleet: Buffer): FleetPack | PackFault {
  if (bytes.length < FLEET_HEAD_BYTES || bytes.toString('latin1', 0, VERSION_AT) !== MAGIC) {
    return 'garbage';
  }
  if (!isReadable(bytes.readUInt8(VERSION_AT))) return 'version';
  const channel = CHANNELS[bytes[CHANNEL_AT] ?? CHANNELS.length];
  const isChunk = bytes[CHUNK_AT] ?? 0;
  const number = bytes.readUIntBE(NUMBER_AT, NUMBER_BYTES);
  if (channel === undefined || isChunk > 1 || number === 0) return 'garbage';
  if (!bytes.subarray(FLEET_AT, SENDER_AT).equals(fleet)) return 'fleet';
  const head: FleetHead = {
    channel,
    fleet,
    sender: bytes.subarray(SENDER_AT, TO_AT),
    to: bytes.subarray(TO_AT, NUMBER_AT),
    number,
    seen: bytes.readUIntBE(SEEN_AT, NUMBER_BYTES),
  };
  if (isChunk === 0) return { ...head, chunk: null, entries: bytes.subarray(FLEET_HEAD_BYTES) };
  const body = FLEET_HEAD_BYTES + CHUNK_HEAD_BYTES;
  if (channel !== 'direct' || bytes.length <= body) return 'garbage';
  const total = bytes.readUInt32BE(FLEET_HEAD_BYTES);
  const offset = bytes.readUInt32BE(FLEET_HEAD_BYTES + 4);
  const part = bytes.subarray(body);
  if (offset + part.length > total) return 'garbage';
  return { ...head, chunk: { total, offset, bytes: part }, entries: EMPTY };
}

function isReadable(version: number): boolean {
  return version > 0 && Math.abs(version - FLEET_VERSION) <= 1;
}

/** @returns `null`: they are not entries, or more than `most` */
export function readEntries(bytes: Buffer, most: number = ENTRIES_MAX): FleetEntry[] | null {
  const found: FleetEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + ENTRY_HEAD_BYTES > bytes.length) return null;
    const end = at + ENTRY_HEAD_BYTES + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) return null;
    const kind = KINDS[bytes[at] ?? KINDS.length];
    if (found.length === most) return null;
    if (kind !== undefined) {
      const read = readEntry(kind, bytes, at + ENTRY_HEAD_BYTES, end);
      if (read === null) return null;
      found.push(read);
    }
    at = end;
  }
  return found;
}

/** Without a view of its own for a request and a reply: they are nearly all. */
function readEntry(
  kind: FleetEntry['kind'],
  pack: Buffer,
  from: number,
  end: number,
): FleetEntry | null {
  if (kind === 'request') return readRequest(pack, from, end);
  if (kind === 'final') return readFinal(pack, from, end);
  const bytes = pack.subarray(from, end);
  switch (kind) {
    case 'partial':
    case 'fail':
    case 'return':
      return readAnswer(kind, bytes);
    case 'held':
      return readHeld(bytes);
    case 'ask':
      return { kind };
    case 'offer':
      return readOffers(bytes);
    case 'want':
      return isName(bytes) ? { kind, service: bytes } : null;
    case 'presence':
      return readPresence(bytes);
    case 'hint':
      return { kind, content: bytes };
  }
}

function isName({ length }: Buffer): boolean {
  return length > 0 && length <= SERVICE_NAME_BYTES_MAX;
}

const DEADLINE_AT = NUMBER_BYTES;
const HEADED_AT: number = DEADLINE_AT + 4;
const NAME_AT: number = HEADED_AT + 2;

function readRequest(bytes: Buffer, from: number, end: number): FleetEntry | null {
  if (end - from < NAME_AT) return null;
  const token = bytes.readUIntBE(from, NUMBER_BYTES);
  const leftMs = bytes.readUInt32BE(from + DEADLINE_AT);
  const headed = bytes[from + HEADED_AT] ?? 0;
  const nameAt = from + NAME_AT;
  const packedAt = nameAt + (bytes[nameAt - 1] ?? 0);
  if (headed > 1 || packedAt > end) return null;
  const service = bytes.subarray(nameAt, packedAt);
  const packed = bytes.subarray(packedAt, end);
  if (!isName(service)) return null;
  if (packed.length === 0 || !isPackedFrames(packed)) return null;
  if (headed === 0) {
    return { kind: 'request', token, service, leftMs, headers: null, body: packed };
  }
  const cursor = new PackedCursor();
  readPacked(packed, 0, cursor);
  const headers = packed.subarray(cursor.start, cursor.end);
  const body = packed.subarray(cursor.end);
  if (headers.length > HEADERS_BYTES_MAX || body.length === 0) return null;
  return { kind: 'request', token, service, leftMs, headers, body };
}

const FREE_AT = NUMBER_BYTES;
const TOTAL_AT: number = FREE_AT + 4;
const AFTER_CREDIT: number = TOTAL_AT + 4;
const PART_BYTES = 4;

function readFinal(bytes: Buffer, from: number, end: number): FleetEntry | null {
  const bodyAt = from + AFTER_CREDIT + PART_BYTES;
  if (end <= bodyAt) return null;
  const token = bytes.readUIntBE(from, NUMBER_BYTES);
  const free = bytes.readUInt32BE(from + FREE_AT);
  const total = bytes.readUInt32BE(from + TOTAL_AT);
  const parts = bytes.readUInt32BE(from + AFTER_CREDIT);
  const body = bytes.subarray(bodyAt, end);
  return isPackedFrames(body) ? { kind: 'final', token, free, total, parts, body } : null;
}

function readAnswer(kind: 'partial' | 'fail' | 'return', bytes: Buffer): FleetEntry | null {
  const least = kind === 'partial' ? NUMBER_BYTES + PART_BYTES : AFTER_CREDIT;
  if (bytes.length < least) return null;
  const token = bytes.readUIntBE(0, NUMBER_BYTES);
  if (kind === 'partial') {
    const part = bytes.readUInt32BE(NUMBER_BYTES);
    const body = bytes.subarray(NUMBER_BYTES + PART_BYTES);
    return body.length > 0 && isPackedFrames(body) ? { kind, token, part, body } : null;
  }
  const free = bytes.readUInt32BE(FREE_AT);
  const total = bytes.readUInt32BE(TOTAL_AT);
  const rest = bytes.subarray(AFTER_CREDIT);
  if (kind === 'fail') return readFail(token, { free, total }, rest);
  const reason = REASONS[rest[0] ?? REASONS.length];
  if (reason === undefined || rest.length > 1 + TEXT_BYTES_MAX) return null;
  return { kind, token, reason, free, total, text: rest.toString('utf8', 1) };
}

function readFail(token: number, { free, total }: FleetCredit, bytes: Buffer): FleetEntry | null {
  const failure = FAILURE_KINDS[bytes[0] ?? FAILURE_KINDS.length];
  const textAt = 2 + (bytes[1] ?? 0);
  if (failure === undefined || textAt + 2 > bytes.length) return null;
  const code = bytes.toString('latin1', 2, textAt);
  const detailAt = textAt + 2 + bytes.readUInt16BE(textAt);
  if (detailAt > bytes.length || !isCode(code)) return null;
  if (detailAt - textAt - 2 > FAILURE_TEXT_BYTES_MAX) return null;
  const text = bytes.toString('utf8', textAt + 2, detailAt);
  const detail = bytes.subarray(detailAt);
  if (!isPackedFrames(detail)) return null;
  return { kind: 'fail', token, free, total, failure, code, text, detail };
}

function readHeld(bytes: Buffer): FleetEntry | null {
  if (bytes.length % NUMBER_BYTES !== 0) return null;
  const tokens: number[] = [];
  for (let at = 0; at < bytes.length; at += NUMBER_BYTES) {
    tokens.push(bytes.readUIntBE(at, NUMBER_BYTES));
  }
  return { kind: 'held', tokens };
}

function readOffers(bytes: Buffer): FleetEntry | null {
  const offers: FleetOffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const nameEnd = at + 1 + (bytes[at] ?? 0);
    if (nameEnd + 12 > bytes.length || offers.length === ENTRIES_MAX) return null;
    const service = bytes.subarray(at + 1, nameEnd);
    if (!isName(service)) return null;
    const free = bytes.readUInt32BE(nameEnd);
    const total = bytes.readUInt32BE(nameEnd + 4);
    offers.push({ service, free, total, bytes: bytes.readUInt32BE(nameEnd + 8) });
    at = nameEnd + 12;
  }
  return { kind: 'offer', offers };
}

function readPresence(bytes: Buffer): FleetEntry | null {
  const nodeAt = 2 + FLEET_ID_BYTES;
  if (bytes.length < nodeAt + 1) return null;
  const leaving = bytes[0] ?? 0;
  const keys = bytes.subarray(1, 1 + FLEET_ID_BYTES);
  const versionAt = nodeAt + (bytes[nodeAt - 1] ?? 0) + 1;
  if (leaving > 1 || versionAt > bytes.length) return null;
  const end = versionAt + (bytes[versionAt - 1] ?? 0);
  if (end > bytes.length) return null;
  const node = bytes.toString('utf8', nodeAt, versionAt - 1);
  const version = bytes.toString('utf8', versionAt, end);
  return { kind: 'presence', node, version, keys, isLeaving: leaving === 1 };
}
