/**
 * The frames of a pair's link ↔ typed messages (docs/peer-protocol.md). A message is a head frame
 * and, for some kinds, one frame of opaque bytes. Any input is accepted: the result is a message,
 * or `null`.
 *
 * The head: `MJP`, the version, the kind, the sender's incarnation and the number of the message on
 * this connection (D18), then the fields of the kind. Each has its number and length, so that
 * fields of a later program are skipped. The table of the fields is in pair.ts.
 */
import { present } from '../core/assert.js';
import type { Frames } from '../core/frames.js';
import { PackReader, PackWriter } from '../core/value-bytes.js';
import type { Shape } from '../core/shapes.js';
import {
  PEER_FIELDS,
  PEER_STAMP,
  PEER_VERSION,
  type PeerKind,
  type PeerMessage,
  type PeerStamp,
  SECOND_FRAME,
} from './pair.js';

const MAGIC: Buffer = Buffer.from('MJP');
const LENGTH_BYTES = 2;
/** More than most heads take. */
const HEAD_BYTES = 4096;

interface Layout {
  /** The fields, by their numbers less one. */
  readonly fields: readonly { readonly name: string; readonly shape: Shape<unknown> }[];
  /** A bit for each field that must be there. */
  readonly required: number;
  /** The content of the second frame; `null`: there is none. */
  readonly second: string | null;
}

function layoutOf(kind: PeerKind): Layout {
  const all = Object.entries(PEER_FIELDS[kind]) as [string, Shape<unknown>][];
  const fields = all
    .filter(([, shape]) => shape !== SECOND_FRAME)
    .map(([name, shape]) => ({ name, shape }));
  const required = fields.reduce(
    (bits, { shape }, at) => (shape.isOptional === true ? bits : bits | (1 << at)),
    0,
  );
  return { fields, required, second: all.find(([, shape]) => shape === SECOND_FRAME)?.[0] ?? null };
}

const KINDS = Object.keys(PEER_FIELDS) as readonly PeerKind[];
const LAYOUTS = KINDS.map(layoutOf);

const head = new PackWriter(HEAD_BYTES);

/** The frames of a message. The second one, if any, is the caller's memory. */
export function writePeer(
  message: PeerMessage,
  stamp: PeerStamp,
  version: number = PEER_VERSION,
): readonly Buffer[] {
  const kind = KINDS.indexOf(message.kind);
  const { fields, second } = present(LAYOUTS[kind], 'a kind of message');
  const values: Readonly<Record<string, unknown>> = { ...message };
  head.clear();
  head.raw(MAGIC);
  head.byte(version);
  head.byte(kind);
  PEER_STAMP.put(head, stamp);
  let number = 0;
  for (const { name, shape } of fields) {
    number++;
    const value = values[name];
    if (value === null && shape.isOptional === true) continue;
    head.byte(number);
    const lengthAt = head.bytesWritten;
    head.uint(0, LENGTH_BYTES);
    shape.put(head, value);
    head.lengthAt(lengthAt, LENGTH_BYTES);
  }
  return second === null ? [head.copy()] : [head.copy(), values[second] as Buffer];
}

type ReadPeer =
  | {
      readonly version: number;
      readonly stamp: PeerStamp;
      /** The message; `null`: a kind that only later programs know. */
      readonly message: PeerMessage | null;
    }
  /** The sender uses a version that this program does not know. */
  | { readonly otherVersion: number }
  | null;

/**
 * Reads a message; `null` if it is not one. Bytes are copied.
 * @param highest version that the reader knows
 */
export function readPeer(frames: Frames, highest: number = PEER_VERSION): ReadPeer {
  if (frames.count < 1 || frames.count > 2) return null;
  const from = new PackReader(frames.view(0));
  const isMarked = from.raw(MAGIC.length).equals(MAGIC);
  if (!isMarked || from.isAtEnd) return null;
  const version = from.byte();
  if (version < 1 || version > highest) return { otherVersion: version };
  const place = from.byte();
  const stamp = PEER_STAMP.take(from);
  const kind = KINDS[place];
  const layout = LAYOUTS[place];
  if (kind === undefined || layout === undefined) {
    return from.isWhole ? { version, stamp, message: null } : null;
  }
  const values: Record<string, unknown> = { kind };
  takeFields(from, layout, values);
  if (!from.isWhole || (layout.second !== null) !== (frames.count === 2)) return null;
  if (layout.second !== null) values[layout.second] = frames.copy(1);
  // The type is derived from the table.
  const message: unknown = values;
  return { version, stamp, message: message as PeerMessage };
}

function takeFields(
  from: PackReader,
  { fields, required }: Layout,
  values: Record<string, unknown>,
): void {
  for (const { name, shape } of fields) if (shape.isOptional === true) values[name] = null;
  let found = 0;
  while (!from.isAtEnd) {
    const at = from.byte() - 1;
    const end = from.enter(from.uint(LENGTH_BYTES));
    const field = fields[at];
    if (field === undefined) {
      from.leave(end);
      continue;
    }
    const bit = 1 << at;
    values[field.name] = field.shape.take(from);
    if (!from.leave(end) || (found & bit) !== 0) from.refuse(null);
    found |= bit;
  }
  if ((found & required) !== required) from.refuse(null);
}
