/**
 * What a broker sends: typed message → frames, written straight into a peer's output.
 * (7/MDP, 18/MDP; docs/protocol.md.)
 */
import { copyBytes } from '../core/bytes.js';
import { Frames } from '../core/frames.js';
import { isLargeAlone, pack, packHead, packedBytes, packedStart } from '../core/packed.js';
import {
  CLIENT_01,
  CLIENT_02,
  CLIENT_FINAL,
  CLIENT_PARTIAL,
  COMMAND_FRAMES,
  EMPTY,
  type MdpVersion,
  SERVICE_NAME_BYTES_MAX,
  WORKER_01,
  WORKER_01_DISCONNECT,
  WORKER_01_HEARTBEAT,
  WORKER_02,
  WORKER_02_DISCONNECT,
  WORKER_02_HEARTBEAT,
  WORKER_REQUEST,
} from './mdp.js';

/** The sending half of the transport port, as far as the codec needs it. */
export interface FrameWriter {
  write(peer: number, bytes: Uint8Array, start: number, end: number, more: boolean): void;
  writePacked(peer: number, packed: Buffer, start: number, end: number, more: boolean): void;
  writeLasting(peer: number, bytes: Buffer, start: number, end: number, more: boolean): void;
}

/** The return path of a reply: the envelope of its request, unchanged and in order (D1). */
export interface ReturnPath {
  version: MdpVersion;
  /** D2: the reply has the same form as its request. */
  enveloped: boolean;
  /** The id frames of the envelope, packed, each marked as followed by more. */
  envelope: Buffer;
  envelopeStart: number;
  envelopeEnd: number;
}

function whole(out: FrameWriter, peer: number, frame: Uint8Array, more: boolean): void {
  out.write(peer, frame, 0, frame.length, more);
}

function command(out: FrameWriter, peer: number, code: number, more: boolean): void {
  out.write(peer, COMMAND_FRAMES[code] ?? EMPTY, 0, 1, more);
}

function workerHeader(out: FrameWriter, peer: number, version: MdpVersion): void {
  if (version === 1) whole(out, peer, EMPTY, true);
  whole(out, peer, version === 1 ? WORKER_01 : WORKER_02, true);
}

/**
 * Room for the name of a service, or a token (which is shorter), and an empty frame, with their
 * heads.
 */
const ROOM_BYTES = 2 + SERVICE_NAME_BYTES_MAX + 2;

// The frames before a body are laid out packed, once for each form, and only the variable parts are
// filled in: one write instead of four to six, which took a sixth of the broker's time.

/** The frames that are the same in every message of a form, packed; the variable frames follow. */
class Head {
  readonly buffer: Buffer;
  /** Where the variable frames begin. */
  readonly fixedBytes: number;

  constructor(...fixed: readonly Buffer[]) {
    const frames = Frames.of(...fixed);
    this.fixedBytes = packedBytes(frames, 0, frames.count);
    this.buffer = Buffer.alloc(this.fixedBytes + ROOM_BYTES);
    pack(frames, 0, frames.count, this.buffer, 0, true);
  }

  /** Fills in a frame. Returns where it ends. */
  fill(frame: Uint8Array): number {
    const { length } = frame;
    const at = packHead(this.buffer, this.fixedBytes, length, true);
    copyBytes(frame, 0, length, this.buffer, at);
    return at + length;
  }
}

/** `fixed…, token, empty` */
const REQUEST_HEADS: Readonly<Record<MdpVersion, Head>> = {
  1: new Head(EMPTY, WORKER_01, commandFrame(WORKER_REQUEST)),
  2: new Head(WORKER_02, commandFrame(WORKER_REQUEST)),
};

/** `fixed…, service` */
interface ReplyHeads {
  readonly whole: Head;
  readonly final: Head;
  readonly partial: Head;
}

function replyHeads(...delimiter: readonly Buffer[]): ReplyHeads {
  return {
    whole: new Head(...delimiter, CLIENT_01),
    final: new Head(...delimiter, CLIENT_02, commandFrame(CLIENT_FINAL)),
    partial: new Head(...delimiter, CLIENT_02, commandFrame(CLIENT_PARTIAL)),
  };
}

const ENVELOPED_HEADS = replyHeads(EMPTY);
const BARE_HEADS = replyHeads();

function commandFrame(code: number): Buffer {
  return COMMAND_FRAMES[code] ?? EMPTY;
}

/** REQUEST to a worker; the body is packed. */
export function writeWorkerRequest(
  out: FrameWriter,
  peer: number,
  version: MdpVersion,
  token: Uint8Array,
  body: Buffer,
  bodyStart: number,
  bodyEnd: number,
): void {
  const head = REQUEST_HEADS[version];
  const end = packHead(head.buffer, head.fill(token), 0, true);
  out.writePacked(peer, head.buffer, 0, end, true);
  out.writePacked(peer, body, bodyStart, bodyEnd, false);
}

export function writeWorkerHeartbeat(out: FrameWriter, peer: number, version: MdpVersion): void {
  workerHeader(out, peer, version);
  command(out, peer, version === 1 ? WORKER_01_HEARTBEAT : WORKER_02_HEARTBEAT, false);
}

export function writeWorkerDisconnect(out: FrameWriter, peer: number, version: MdpVersion): void {
  workerHeader(out, peer, version);
  command(out, peer, version === 1 ? WORKER_01_DISCONNECT : WORKER_02_DISCONNECT, false);
}

/**
 * A reply to a client: the body is the frames starting at `from`. A 0.1 client only gets whole
 * replies.
 */
export function writeClientReply(
  out: FrameWriter,
  peer: number,
  path: ReturnPath,
  final: boolean,
  service: Uint8Array,
  frames: Frames,
  from: number,
): void {
  if (path.enveloped) {
    if (path.envelopeEnd > path.envelopeStart) {
      out.writePacked(peer, path.envelope, path.envelopeStart, path.envelopeEnd, true);
    }
  }
  const heads = path.enveloped ? ENVELOPED_HEADS : BARE_HEADS;
  const head = path.version === 1 ? heads.whole : final ? heads.final : heads.partial;
  out.writePacked(peer, head.buffer, 0, head.fill(service), true);
  if (frames.isLasting && hasLargeAlone(frames, from)) {
    writeLasting(out, peer, frames, from);
    return;
  }
  if (frames.isPacked) {
    const start = packedStart(frames, from);
    out.writePacked(peer, frames.buffer(from), start, frames.end(frames.count - 1), false);
    return;
  }
  const last = frames.count - 1;
  for (let index = from; index <= last; index++) {
    out.write(peer, frames.buffer(index), frames.start(index), frames.end(index), index < last);
  }
}

function hasLargeAlone(frames: Frames, from: number): boolean {
  for (let index = from; index < frames.count; index++) {
    if (isLargeAlone(frames.buffer(index), frames.size(index))) return true;
  }
  return false;
}

function writeLasting(out: FrameWriter, peer: number, frames: Frames, from: number): void {
  const last = frames.count - 1;
  for (let index = from; index <= last; index++) {
    const buffer = frames.buffer(index);
    out.writeLasting(peer, buffer, frames.start(index), frames.end(index), index < last);
  }
}
