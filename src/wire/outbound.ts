/**
 * What a broker sends: typed message → frames, written straight into a peer's output.
 * (7/MDP, 18/MDP; docs/protocol.md.)
 */
import type { Frames } from '../core/frames.js';
import {
  CLIENT_01,
  CLIENT_02,
  CLIENT_FINAL,
  CLIENT_PARTIAL,
  COMMAND_FRAMES,
  EMPTY,
  type MdpVersion,
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
}

/** How a reply finds its way: the envelope of its request, unchanged and in order (D1). */
export interface ReturnPath {
  version: MdpVersion;
  /** D2: the reply has the form of its request. */
  enveloped: boolean;
  /** The id frames of the envelope, packed, every one marked as followed by more. */
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
  workerHeader(out, peer, version);
  command(out, peer, WORKER_REQUEST, true);
  whole(out, peer, token, true);
  whole(out, peer, EMPTY, true);
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

/** A reply to a client: body frames from `from` on. A 0.1 client is only ever sent a whole one. */
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
    whole(out, peer, EMPTY, true);
  }
  whole(out, peer, path.version === 1 ? CLIENT_01 : CLIENT_02, true);
  if (path.version === 2) command(out, peer, final ? CLIENT_FINAL : CLIENT_PARTIAL, true);
  whole(out, peer, service, true);
  const last = frames.count - 1;
  for (let index = from; index <= last; index++) {
    out.write(peer, frames.buffer(index), frames.start(index), frames.end(index), index < last);
  }
}
