/**
 * What a broker sends: typed message → frames, written straight into a peer's output.
 * (7/MDP, 18/MDP; docs/protocol.md.)
 */
import { copyBytes, copyWords, Words, wordsOf } from '../core/bytes.js';
import { Frames } from '../core/frames.js';
import {
  isLargeAlone,
  pack,
  putFrameHead,
  packedBytes,
  packedStart,
  type Room,
  unpack,
} from '../core/packed.js';
import {
  BARE,
  byDialect,
  type Dialect,
  isMdp,
  MDP_FORMS,
  type MdpDialect,
  plainHead,
  WORKER_NUMBERS,
  workerHead,
  WORDS,
} from './dialect.js';
import {
  CLIENT_01,
  CLIENT_02,
  CLIENT_FINAL,
  CLIENT_PARTIAL,
  COMMAND_FRAMES,
  DEADLINE_MS_MAX,
  EMPTY,
  GROUP_BYTES_MAX,
  SERVICE_NAME_BYTES_MAX,
  WORKER_01_DISCONNECT,
  WORKER_01_HEARTBEAT,
  WORKER_02_DISCONNECT,
  WORKER_02_FINAL,
  WORKER_02_HEARTBEAT,
  WORKER_02_PARTIAL,
  WORKER_CANCEL,
  WORKER_REQUEST,
  WORKER_REQUEST_WITH_GROUP,
  WORKER_REQUEST_WITH_HEADERS,
  WORKER_RUNS,
} from './mdp.js';
import { PIRATE_HEARTBEAT, PIRATE_HEARTBEAT_WORD } from './pirate.js';

/** The sending half of the transport port, as far as the codec needs it. */
export interface FrameWriter {
  /**
   * Reserves room for a whole message of `bytes` bytes in the layout of `core/packed`, which the
   * caller then fills. `null`: the message has to be written by the methods below, frame by frame.
   */
  room(peer: number, bytes: number): Room | null;
  write(peer: number, bytes: Uint8Array, start: number, end: number, more: boolean): void;
  writePacked(peer: number, packed: Buffer, start: number, end: number, more: boolean): void;
  writeLasting(peer: number, bytes: Buffer, start: number, end: number, more: boolean): void;
}

/** The return path of a reply: the envelope of its request, unchanged and in order (D1). */
export interface ReturnPath {
  dialect: Dialect;
  /** D2: the reply has the same form as its request. */
  enveloped: boolean;
  /** The id frames of the envelope, packed, each marked as followed by more. */
  envelope: Words;
  envelopeStart: number;
  envelopeEnd: number;
}

const NUMBER_BYTES = 2 + String(DEADLINE_MS_MAX).length;
/**
 * Room, with their heads, for the name of a service, or for a token (which is shorter), an empty frame, a group, a
 * deadline and another empty frame.
 */
const ROOM_BYTES = 2 + SERVICE_NAME_BYTES_MAX + 2 + 2 + GROUP_BYTES_MAX + NUMBER_BYTES + 2;

/** Larger messages are written in parts: they would leave much of a chunk of output unused. */
const WHOLE_BYTES_MAX = 8192;

// The frames before a body are laid out packed, once for each form, and only the variable parts are
// filled in: one write instead of four to six, which took a sixth of the broker's time.

/** The frames that are the same in every message of a form, packed; the variable frames follow. */
class Head {
  readonly words: Words;
  /** Where the variable frames begin. */
  readonly fixedBytes: number;
  /** The frame that was filled in last, and where it ends: usually it is the next one, too. */
  #filled: Uint8Array | null = null;
  /** The number that was filled in last, and where. */
  #number = -1;
  #numberAt = -1;
  #end = 0;

  constructor(...fixed: readonly Buffer[]) {
    const frames = Frames.of(...fixed);
    this.fixedBytes = packedBytes(frames, 0, frames.count);
    this.words = new Words(Buffer.alloc(this.fixedBytes + ROOM_BYTES));
    pack(frames, 0, frames.count, this.words.bytes, 0, true);
  }

  /** Fills in a frame whose bytes never change. Returns where it ends. */
  fill(frame: Uint8Array): number {
    if (frame === this.#filled) return this.#end;
    const { length } = frame;
    const at = putFrameHead(this.words.bytes, this.fixedBytes, length, true);
    copyBytes(frame, 0, length, this.words.bytes, at);
    this.#filled = frame;
    this.#end = at + length;
    return this.#end;
  }

  /** Fills in a token and the empty frame that follows it. Returns where they end. */
  fillToken(token: Words): number {
    const { length } = token.bytes;
    const at = putFrameHead(this.words.bytes, this.fixedBytes, length, true);
    copyWords(token, 0, length, this.words, at);
    return putFrameHead(this.words.bytes, at + length, 0, true);
  }

  /** Fills in a group after the token. Returns where it ends. */
  fillGroup(from: number, group: Uint8Array): number {
    const { length } = group;
    const at = putFrameHead(this.words.bytes, from, length, true);
    copyBytes(group, 0, length, this.words.bytes, at);
    this.#numberAt = -1;
    return at + length;
  }

  /** Fills in a number after the token, empty if it is 0. Returns where it ends. */
  fillNumber(from: number, number: number): number {
    // Many are the same as the one before, and all tokens of a broker have one length.
    if (number === this.#number && from === this.#numberAt) return this.#end;
    const text = number === 0 ? '' : String(number);
    const at = putFrameHead(this.words.bytes, from, text.length, true);
    this.#number = number;
    this.#numberAt = from;
    this.#end = at + this.words.bytes.write(text, at, 'latin1');
    return this.#end;
  }
}

/** `fixed…, token, empty` */
const REQUEST_HEADS = byDialect((dialect) => new Head(...workerHead(dialect, WORKER_REQUEST)));

/** `fixed…, token, empty, deadline` */
const REQUEST_WITH_HEADERS_HEADS = byDialect(
  (dialect) => new Head(...workerHead(dialect, WORKER_REQUEST_WITH_HEADERS)),
);

/** `fixed…, token, empty, group, deadline` */
const REQUEST_WITH_GROUP_HEADS = byDialect(
  (dialect) => new Head(...workerHead(dialect, WORKER_REQUEST_WITH_GROUP)),
);

/** What stands between the envelope and the name of the service, or the body where none is named. */
interface ReplyHeads {
  readonly final: Head;
  readonly partial: Head;
}

function replyHeads(dialect: Dialect, delimiter: readonly Buffer[]): ReplyHeads {
  const heads = (
    codes: readonly (Buffer | undefined)[],
    final: number,
    partial: number,
  ): ReplyHeads => ({
    final: new Head(...delimiter, CLIENT_02, codes[final] ?? EMPTY),
    partial: new Head(...delimiter, CLIENT_02, codes[partial] ?? EMPTY),
  });
  if (dialect === WORKER_NUMBERS) return heads(COMMAND_FRAMES, WORKER_02_FINAL, WORKER_02_PARTIAL);
  if (isMdp(dialect) && MDP_FORMS[dialect].version === 2) {
    return heads(MDP_FORMS[dialect].commands, CLIENT_FINAL, CLIENT_PARTIAL);
  }
  const header = isMdp(dialect) ? [...delimiter, CLIENT_01] : plainHead(dialect);
  const whole = new Head(...header);
  return { final: whole, partial: whole };
}

const ENVELOPED_HEADS = byDialect((dialect) => replyHeads(dialect, [EMPTY]));
const UNENVELOPED_HEADS = byDialect((dialect) => replyHeads(dialect, []));

/** The commands of workers without a token; empty where there is none. */
function signals(
  command01: number,
  command02: number,
): Readonly<Record<Dialect, readonly Buffer[]>> {
  return byDialect((dialect) => {
    if (!isMdp(dialect)) return [];
    return workerHead(dialect, MDP_FORMS[dialect].version === 1 ? command01 : command02);
  });
}

/** The whole message. */
const HEARTBEATS: Readonly<Record<Dialect, readonly Buffer[]>> = {
  ...signals(WORKER_01_HEARTBEAT, WORKER_02_HEARTBEAT),
  [BARE]: [PIRATE_HEARTBEAT],
  [WORDS]: [PIRATE_HEARTBEAT_WORD],
};
const DISCONNECTS = signals(WORKER_01_DISCONNECT, WORKER_02_DISCONNECT);
/** The whole message: what do you run that you did not get in this registration? (D118) */
const RUNS_QUESTIONS = signals(WORKER_RUNS, WORKER_RUNS);
/** Frames that precede the token of CANCEL. */
const CANCELS = signals(WORKER_CANCEL, WORKER_CANCEL);

function writeFrames(out: FrameWriter | null, peer: number, frames: readonly Buffer[]): void {
  const last = frames.length - 1;
  frames.forEach((frame, index) => out?.write(peer, frame, 0, frame.length, index < last));
}

/** A head, which ends at `headEnd`, and the packed frames that follow it. */
function writeRequest(
  out: FrameWriter,
  peer: number,
  head: Words,
  headEnd: number,
  rest: Words,
  restStart: number,
  restEnd: number,
): void {
  const bytes = headEnd + restEnd - restStart;
  const room = bytes > WHOLE_BYTES_MAX ? null : out.room(peer, bytes);
  if (room === null) {
    out.writePacked(peer, head.bytes, 0, headEnd, true);
    out.writePacked(peer, rest.bytes, restStart, restEnd, false);
    return;
  }
  copyWords(head, 0, headEnd, room.words, room.at);
  copyWords(rest, restStart, restEnd, room.words, room.at + headEnd);
}

const NO_WORDS = new Words(EMPTY);

/** A message as it was sent: the bytes `[start, end)`, which may change after the next one. */
export interface SentMessage {
  readonly words: Words;
  readonly start: number;
  readonly end: number;
}

/** Writes what a broker sends into the output of peers, a function for each kind of message. */
export class MessageWriter {
  #out: FrameWriter | null;
  readonly #sent = { words: NO_WORDS, start: 0, end: 0 };

  /** @param out `null`: what is sent before `attach` is discarded */
  constructor(out: FrameWriter | null = null) {
    this.#out = out;
  }

  attach(out: FrameWriter): void {
    this.#out = out;
  }

  /** REQUEST to a worker; the body is packed. */
  request(
    peer: number,
    dialect: Dialect,
    token: Words,
    body: Words,
    bodyStart: number,
    bodyEnd: number,
  ): void {
    const out = this.#out;
    if (out === null) return;
    const head = REQUEST_HEADS[dialect];
    writeRequest(out, peer, head.words, head.fillToken(token), body, bodyStart, bodyEnd);
  }

  /**
   * REQUEST with headers to a worker that asked for them (D67).
   * @param leftMs what is left of its deadline; 0: it has none
   * @param rest the headers frame and the body, packed
   */
  requestWithHeaders(
    peer: number,
    dialect: MdpDialect,
    token: Words,
    leftMs: number,
    rest: Words,
    restStart: number,
    restEnd: number,
  ): void {
    const out = this.#out;
    if (out === null) return;
    const head = REQUEST_WITH_HEADERS_HEADS[dialect];
    const headEnd = head.fillNumber(head.fillToken(token), leftMs);
    writeRequest(out, peer, head.words, headEnd, rest, restStart, restEnd);
  }

  /**
   * REQUEST with a group to a worker that asked for it (D118).
   * @param leftMs what is left of its deadline; 0: it has none
   * @param hasHeaders whether `rest` begins with the headers frame
   * @param rest the headers frame, if any, and the body, packed
   */
  requestWithGroup(
    peer: number,
    dialect: MdpDialect,
    token: Words,
    group: Uint8Array,
    leftMs: number,
    hasHeaders: boolean,
    rest: Words,
    restStart: number,
    restEnd: number,
  ): void {
    const out = this.#out;
    if (out === null) return;
    const head = REQUEST_WITH_GROUP_HEADS[dialect];
    const groupEnd = head.fillGroup(head.fillToken(token), group);
    const numberEnd = head.fillNumber(groupEnd, leftMs);
    const headEnd = hasHeaders ? numberEnd : putFrameHead(head.words.bytes, numberEnd, 0, true);
    writeRequest(out, peer, head.words, headEnd, rest, restStart, restEnd);
  }

  /** CANCEL to a worker: `token, empty`, as of its REQUEST (D106). */
  cancel(peer: number, dialect: Dialect, token: Words): void {
    const head = CANCELS[dialect];
    if (head.length > 0) writeFrames(this.#out, peer, [...head, token.bytes, EMPTY]);
  }

  /** HEARTBEAT to a worker, if its kind knows it. */
  heartbeat(peer: number, dialect: Dialect): void {
    writeFrames(this.#out, peer, HEARTBEATS[dialect]);
  }

  /** Asks a worker what it runs that others gave it (D118). */
  askRuns(peer: number, dialect: Dialect): void {
    writeFrames(this.#out, peer, RUNS_QUESTIONS[dialect]);
  }

  /** DISCONNECT to a worker, if its kind knows it. */
  disconnect(peer: number, dialect: Dialect): void {
    writeFrames(this.#out, peer, DISCONNECTS[dialect]);
  }

  /**
   * A reply to a client: the body is the frames starting at `from`. A 0.1 client only gets whole
   * replies.
   * @returns the message as it was sent, if that was done in one piece
   */
  reply(
    peer: number,
    path: ReturnPath,
    final: boolean,
    service: Uint8Array,
    frames: Frames,
    from: number,
  ): SentMessage | null {
    const out = this.#out;
    if (out === null) return null;
    const head = replyHead(path, final);
    const headEnd = headEndOf(path, head, service);
    const bytes = frames.isPacked ? wholeBytes(path, headEnd, frames, from) : Infinity;
    const room = bytes > WHOLE_BYTES_MAX ? null : out.room(peer, bytes);
    if (room !== null) {
      const sent = this.#sent;
      sent.words = room.words;
      sent.start = room.at;
      sent.end = room.at + bytes;
      putWhole(path, head.words, headEnd, frames, from, room.words, room.at);
      return sent;
    }
    if (path.enveloped && path.envelopeEnd > path.envelopeStart) {
      out.writePacked(peer, path.envelope.bytes, path.envelopeStart, path.envelopeEnd, true);
    }
    if (headEnd > 0) out.writePacked(peer, head.words.bytes, 0, headEnd, true);
    if (frames.isLasting && hasLargeAlone(frames, from)) {
      writeLasting(out, peer, frames, from);
      return null;
    }
    if (frames.isPacked) {
      const start = packedStart(frames, from);
      out.writePacked(peer, frames.buffer(from), start, frames.end(frames.count - 1), false);
      return null;
    }
    const last = frames.count - 1;
    for (let index = from; index <= last; index++) {
      out.write(peer, frames.buffer(index), frames.start(index), frames.end(index), index < last);
    }
    return null;
  }

  /** A message that is packed already. Frames that may be held by reference never change. */
  whole(peer: number, { words, start, end }: SentMessage): void {
    const out = this.#out;
    if (out === null) return;
    const room = end - start > WHOLE_BYTES_MAX ? null : out.room(peer, end - start);
    if (room === null) {
      const frames = new Frames();
      unpack(words.bytes, start, end, frames);
      writeLasting(out, peer, frames, 0);
      return;
    }
    copyWords(words, start, end, room.words, room.at);
  }
}

function replyHead({ dialect, enveloped }: ReturnPath, final: boolean): Head {
  const heads = (enveloped ? ENVELOPED_HEADS : UNENVELOPED_HEADS)[dialect];
  return final ? heads.final : heads.partial;
}

function headEndOf({ dialect }: ReturnPath, head: Head, service: Uint8Array): number {
  return isMdp(dialect) ? head.fill(service) : head.fixedBytes;
}

function envelopeBytes({ enveloped, envelopeStart, envelopeEnd }: ReturnPath): number {
  return enveloped ? envelopeEnd - envelopeStart : 0;
}

function wholeBytes(path: ReturnPath, headEnd: number, frames: Frames, from: number): number {
  return envelopeBytes(path) + headEnd + packedBytes(frames, from, frames.count);
}

function putWhole(
  path: ReturnPath,
  head: Words,
  headEnd: number,
  frames: Frames,
  from: number,
  to: Words,
  at: number,
): void {
  const { envelope, envelopeStart } = path;
  const headAt = at + envelopeBytes(path);
  const bodyAt = headAt + headEnd;
  copyWords(envelope, envelopeStart, envelopeStart + headAt - at, to, at);
  copyWords(head, 0, headEnd, to, headAt);
  if (!frames.isPacked) {
    pack(frames, from, frames.count, to.bytes, bodyAt, false);
    return;
  }
  const bodyStart = packedStart(frames, from);
  const bodyEnd = frames.end(frames.count - 1);
  copyWords(wordsOf(frames.buffer(from)), bodyStart, bodyEnd, to, bodyAt);
}

/** A final reply, packed. */
export function packedReply(
  path: ReturnPath,
  service: Uint8Array,
  frames: Frames,
  from: number,
): Buffer {
  const head = replyHead(path, true);
  const headEnd = headEndOf(path, head, service);
  const packed = Buffer.allocUnsafeSlow(wholeBytes(path, headEnd, frames, from));
  putWhole(path, head.words, headEnd, frames, from, new Words(packed), 0);
  return packed;
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
