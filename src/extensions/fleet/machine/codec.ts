/**
 * The packs of a fleet ↔ typed values (docs/fleet-protocol.md). Any input is accepted: the result is
 * a pack, or why it is none. Numbers are big-endian.
 *
 * The head: `MJF`, the version, the channel, 1 for a chunk or else 0, the digest of the fleet, the
 * ids of sender and receiver (8 bytes each), number and seen (6 bytes each). Then the entries: kind,
 * length (4 bytes), content; the table of their fields is in protocol.ts. A reader skips entries of kinds
 * that it does not know, and what follows the fields of PRESENCE: the next version may add both.
 *
 * Requests, PARTIALs and FINALs are nearly all entries. They are written and read field by field, in the
 * order of the table, because a loop over it takes longer; a test compares both with it.
 */
import type { Frames } from '../../../core/frames.js';
import { pack, packedBytes, PackedCursor, readPacked } from '../../../core/packed.js';
import { PackReader, PackWriter } from '../../../core/value-bytes.js';
import { FLAG, type Shape, struct } from '../../../core/shapes.js';
import type { Failure } from '../../../wire/failure.js';
import {
  CHANNEL,
  ENTRIES_MAX,
  FLEET_FIELDS,
  FLEET_ID_BYTES,
  FLEET_VERSION,
  type FleetChunk,
  type FleetContent,
  type FleetEntry,
  type FleetHead,
  type FleetOffer,
  type FleetReturnReason,
  isBody,
  isService,
  type PackFault,
  U32_MAX,
} from './protocol.js';
import { EMPTY, HEADERS_BYTES_MAX } from '../../../wire/mdp.js';

const MAGIC: Buffer = Buffer.from('MJF');
/** Size of a token, and of the number of a pack. */
const NUMBER_BYTES = 6;
export const FLEET_HEAD_BYTES: number = 6 + 3 * FLEET_ID_BYTES + 2 * NUMBER_BYTES;
/** Total and offset. */
const CHUNK_HEAD_BYTES = 8;
const ENTRY_HEAD_BYTES = 5;
/** Where the other fields of an entry begin. */
const AFTER_TOKEN: number = ENTRY_HEAD_BYTES + NUMBER_BYTES;
/** More than most entries take without their frames. */
const ENTRY_BYTES = 1024;

type Kind = FleetEntry['kind'];

const KINDS = Object.keys(FLEET_FIELDS) as readonly Kind[];
/** With the kind, which takes no bytes. */
const ENTRIES = KINDS.map((kind) => {
  const itself: Shape<Kind> = { put: () => undefined, take: () => kind };
  return struct<object>({ kind: itself, ...FLEET_FIELDS[kind] });
});

/** What a service can take at the sender. */
export type FleetCredit = Pick<FleetOffer, 'free' | 'total'>;

// ---------------------------------------------------------------- writing

const to = new PackWriter(ENTRY_BYTES);

function entry<Of extends Kind>(kind: Of, content: FleetContent<Of>): Buffer {
  to.clear();
  to.byte(KINDS.indexOf(kind));
  to.uint(0, 4);
  ENTRIES[KINDS.indexOf(kind)]?.put(to, content);
  to.lengthAt(1, 4);
  return to.copy();
}

/** An entry with `bytes` bytes of content, of which the token is written. */
function tokenEntry(kind: Kind, bytes: number, token: number): Buffer {
  const made = Buffer.allocUnsafe(ENTRY_HEAD_BYTES + bytes);
  made[0] = KINDS.indexOf(kind);
  made.writeUInt32BE(bytes, 1);
  made.writeUIntBE(token, ENTRY_HEAD_BYTES, NUMBER_BYTES);
  return made;
}

/** Sets the credit that a reply, failure or RETURN states. @returns the offset after it */
export function putCreditOf(target: Buffer, credit: FleetCredit): number {
  const at = target.writeUInt32BE(Math.min(credit.free, U32_MAX), AFTER_TOKEN);
  return target.writeUInt32BE(Math.min(credit.total, U32_MAX), at);
}

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
  const made = tokenEntry('request', NUMBER_BYTES + 6 + service.length + end - start, token);
  let at = made.writeUInt32BE(leftMs, AFTER_TOKEN);
  at = made.writeUInt8(isHeaded ? 1 : 0, at);
  at = made.writeUInt8(service.length, at);
  at += service.copy(made, at);
  packed.copy(made, at, start, end);
  return made;
}

/** @param part how many PARTIALs of the request came before */
export function partialEntry(token: number, part: number, packed: Buffer): Buffer {
  const made = tokenEntry('partial', NUMBER_BYTES + 4 + packed.length, token);
  packed.copy(made, made.writeUInt32BE(part, AFTER_TOKEN));
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
  const made = tokenEntry('final', NUMBER_BYTES + 12 + bytes, token);
  const at = made.writeUInt32BE(parts, putCreditOf(made, credit));
  pack(frames, from, frames.count, made, at, false);
  return made;
}

export function failEntry(
  token: number,
  credit: FleetCredit,
  { kind, code, text }: Failure,
  detail: Frames,
): Buffer {
  const packed = Buffer.allocUnsafe(packedBytes(detail, 0, detail.count));
  pack(detail, 0, detail.count, packed, 0, false);
  return entry('fail', { token, ...credit, failure: kind, code, text, detail: packed });
}

export function returnEntry(
  token: number,
  reason: FleetReturnReason,
  credit: FleetCredit,
  text: string,
): Buffer {
  return entry('return', { token, ...credit, reason, text });
}

export function cancelEntry(token: number): Buffer {
  return entry('cancel', { token });
}

export function heldEntry(tokens: readonly number[]): Buffer {
  return entry('held', { tokens });
}

export function askEntry(): Buffer {
  return entry('ask', {});
}

export function offerEntry(offers: readonly FleetOffer[]): Buffer {
  return entry('offer', { offers });
}

export function wantEntry(service: Buffer): Buffer {
  return entry('want', { service });
}

export function hintEntry(content: Buffer): Buffer {
  return entry('hint', { content });
}

export function presenceEntry(presence: FleetContent<'presence'>): Buffer {
  return entry('presence', presence);
}

function putHead(target: Buffer, head: FleetHead, isChunk: boolean): void {
  to.clear();
  to.raw(MAGIC);
  to.byte(FLEET_VERSION);
  CHANNEL.put(to, head.channel);
  to.byte(isChunk ? 1 : 0);
  to.raw(head.fleet);
  to.raw(head.sender);
  to.raw(head.to);
  to.uint(head.number, NUMBER_BYTES);
  to.uint(head.seen, NUMBER_BYTES);
  to.copyTo(target);
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
interface FleetPack extends FleetHead {
  /** `null`: the pack is whole. */
  readonly chunk: FleetChunk | null;
  /** The entries of a whole pack, for `readEntries`. */
  readonly entries: Buffer;
}

/** @param fleet the digest of the fleet that packs must be of */
export function readPack(bytes: Buffer, fleet: Buffer): FleetPack | PackFault {
  const from = new PackReader(bytes);
  const isMarked = from.raw(MAGIC.length).equals(MAGIC);
  if (!isMarked || bytes.length < FLEET_HEAD_BYTES) return 'garbage';
  if (!isReadable(from.byte())) return 'version';
  const channel = CHANNEL.take(from);
  const isChunk = FLAG.take(from);
  const isOurs = from.raw(FLEET_ID_BYTES).equals(fleet);
  const head: FleetHead = {
    channel,
    fleet,
    sender: from.raw(FLEET_ID_BYTES),
    to: from.raw(FLEET_ID_BYTES),
    number: from.uint(NUMBER_BYTES),
    seen: from.uint(NUMBER_BYTES),
  };
  if (!from.isWhole || head.number === 0) return 'garbage';
  if (!isOurs) return 'fleet';
  if (!isChunk) return { ...head, chunk: null, entries: from.rest() };
  const chunk = { total: from.uint(4), offset: from.uint(4), bytes: from.rest() };
  const { length } = chunk.bytes;
  const isPart = length > 0 && chunk.offset + length <= chunk.total;
  return channel === 'direct' && isPart ? { ...head, chunk, entries: EMPTY } : 'garbage';
}

function isReadable(version: number): boolean {
  return version > 0 && Math.abs(version - FLEET_VERSION) <= 1;
}

/** @returns `null`: they are not entries, or more than `most` */
export function readEntries(bytes: Buffer, most: number = ENTRIES_MAX): FleetEntry[] | null {
  const from = new PackReader(bytes);
  const found: FleetEntry[] = [];
  while (!from.isAtEnd) {
    const at = from.byte();
    const end = from.enter(from.uint(ENTRY_HEAD_BYTES - 1));
    if (found.length === most) return null;
    const kind = KINDS[at];
    if (kind !== undefined) found.push(readEntry(kind, from));
    if (!from.isWhole) return null;
    from.leave(end);
  }
  return found;
}

function readEntry(kind: Kind, from: PackReader): FleetEntry {
  switch (kind) {
    case 'request':
      return readRequest(from);
    case 'partial': {
      const token = from.uint(NUMBER_BYTES);
      const part = from.uint(4);
      return { kind, token, part, body: readBody(from) };
    }
    case 'final': {
      const token = from.uint(NUMBER_BYTES);
      const free = from.uint(4);
      const total = from.uint(4);
      const parts = from.uint(4);
      return { kind, token, free, total, parts, body: readBody(from) };
    }
    default:
      return ENTRIES[KINDS.indexOf(kind)]?.take(from) as FleetEntry;
  }
}

function readBody(from: PackReader): Buffer {
  const body = from.rest();
  return isBody(body) ? body : from.refuse(body);
}

function readRequest(from: PackReader): FleetEntry {
  const kind = 'request';
  const token = from.uint(NUMBER_BYTES);
  const leftMs = from.uint(4);
  const isHeaded = FLAG.take(from);
  const service = from.raw(from.byte());
  const packed = readBody(from);
  if (!isService(service)) from.refuse(null);
  if (!isHeaded || !from.isWhole) {
    return { kind, token, service, leftMs, headers: null, body: packed };
  }
  const cursor = new PackedCursor();
  readPacked(packed, 0, cursor);
  const headers = packed.subarray(cursor.start, cursor.end);
  const body = packed.subarray(cursor.end);
  if (headers.length > HEADERS_BYTES_MAX || body.length === 0) from.refuse(null);
  return { kind, token, service, leftMs, headers, body };
}
