/** MESSAGE of 25/ZMTP-CURVE: one sealed frame of a message or command. */
import { copyBytes, int32At, putInt32 } from '../../core/bytes.js';
import { Piece } from '../../core/piece.js';
import type { FrameCipher, OpenedFrame } from '../connection/mechanism.js';
import { type CurveCrypto, type Verification, wipe } from './crypto.js';
import {
  MESSAGE_BOX_AT,
  MESSAGE_NAME,
  MESSAGE_NONCE_AT,
  MESSAGE_OVERHEAD_BYTES,
  nonceOf,
} from './layout.js';

const FLAG_MORE = 0x01;
const FLAG_COMMAND = 0x04;
/** Flags inside the box; the flag for a command differs from the one outside. */
const SEALED_MORE = 0x01;
const SEALED_COMMAND = 0x02;

const NONCE_COUNTER_AT = 16;
const TWO_POW_32 = 0x1_0000_0000;

/** Plain text of one receive call; all connections share it, one after the other. */
const ARENA_BYTES = 256 * 1024;
let arena: Buffer | null = null;
let arenaUsed = 0;
/** What is too large for it, and for V8 to collect. */
const PIECE_BYTES_MIN = 64 * 1024;
const pieces: Piece[] = [];

/**
 * Which side seals: each direction has its own prefix, so that a frame cannot be sent back to its
 * sender.
 */
export type CurveSide = 'client' | 'server';

const PREFIX: Readonly<Record<CurveSide, string>> = {
  client: 'CurveZMQMESSAGEC',
  server: 'CurveZMQMESSAGES',
};

export class CurveCipher implements FrameCipher {
  readonly #crypto: CurveCrypto;
  readonly #ownKey: Buffer;
  readonly #peerKey: Buffer;
  readonly #ownNonce: Buffer;
  readonly #peerNonce: Buffer;
  /**
   * The counter of the last nonce sent, in two halves like the peer's: no counter may be used
   * twice.
   */
  #sentHigh = 0;
  #sentLow: number;
  /** The peer's last nonce, in two halves: it may be too large for a number. */
  #heardHigh: number;
  #heardLow: number;
  /** The frame that is verified as it arrives. */
  #checked: Verification | null = null;

  /**
   * @param key of the two short-term keys; erased at once, for the two frame keys made from it
   * @param sent the last counter that this side used
   * @param heard the eight bytes of the last counter that the peer used
   */
  constructor(crypto: CurveCrypto, side: CurveSide, key: Buffer, sent: number, heard: Buffer) {
    this.#crypto = crypto;
    this.#ownNonce = nonceOf(PREFIX[side]);
    this.#peerNonce = nonceOf(PREFIX[side === 'server' ? 'client' : 'server']);
    this.#ownKey = crypto.frameKey(key, this.#ownNonce);
    this.#peerKey = crypto.frameKey(key, this.#peerNonce);
    wipe(key);
    this.#sentLow = sent;
    this.#heardHigh = heard.readUInt32BE(0);
    this.#heardLow = heard.readUInt32BE(4);
  }

  sealedBytes(size: number): number {
    return size + MESSAGE_OVERHEAD_BYTES;
  }

  seal(
    flags: number,
    source: Uint8Array,
    start: number,
    end: number,
    target: Buffer,
    offset: number,
  ): void {
    const crypto = this.#crypto;
    if (++this.#sentLow === TWO_POW_32) {
      this.#sentLow = 0;
      this.#sentHigh++;
    }
    const nonce = this.#ownNonce;
    putInt32(nonce, NONCE_COUNTER_AT, this.#sentHigh);
    putInt32(nonce, NONCE_COUNTER_AT + 4, this.#sentLow);
    copyBytes(MESSAGE_NAME, 0, MESSAGE_NONCE_AT, target, offset);
    copyBytes(nonce, NONCE_COUNTER_AT, nonce.length, target, offset + MESSAGE_NONCE_AT);
    const size = end - start + 1;
    const room = crypto.room(size);
    const { memory } = crypto;
    memory[room] =
      ((flags & FLAG_MORE) === 0 ? 0 : SEALED_MORE) |
      ((flags & FLAG_COMMAND) === 0 ? 0 : SEALED_COMMAND);
    copyBytes(source, start, end, memory, room + 1);
    crypto.seal(size, nonce, this.#ownKey, target, offset + MESSAGE_BOX_AT);
  }

  open(body: Buffer, start: number, end: number, opened: OpenedFrame): boolean {
    const size = end - start - MESSAGE_OVERHEAD_BYTES;
    if (size < 0 || !this.#isNext(body, start)) return false;
    const crypto = this.#crypto;
    const plain = crypto.open(body, start + MESSAGE_BOX_AT, end, this.#peerNonce, this.#peerKey);
    if (plain < 0) return false;
    const { memory } = crypto;
    setFlags(opened, memory[plain] ?? 0);
    keep(memory, plain + 1, plain + 1 + size, opened);
    return true;
  }

  get isChecking(): boolean {
    return this.#checked !== null;
  }

  beginCheck(body: Buffer, start: number): boolean {
    if (!this.#isNext(body, start)) return false;
    const at = start + MESSAGE_BOX_AT;
    this.#checked = this.#crypto.verify(body, at, this.#peerNonce, this.#peerKey);
    return true;
  }

  check(bytes: Buffer, start: number, end: number): void {
    this.#checked?.add(bytes, start, end);
  }

  endCheck(opened: OpenedFrame): boolean {
    const checked = this.#checked;
    this.#checked = null;
    if (checked?.isGenuine() !== true) return false;
    setFlags(opened, checked.first);
    return true;
  }

  /** Whether it can be the peer's next frame. If it was not sealed by the peer, the connection ends. */
  #isNext(body: Buffer, start: number): boolean {
    if (!isMessage(body, start)) return false;
    const high = int32At(body, start + MESSAGE_NONCE_AT) >>> 0;
    const low = int32At(body, start + MESSAGE_NONCE_AT + 4) >>> 0;
    // 26/CurveZMQ §Replay: strictly increasing.
    if (high < this.#heardHigh || (high === this.#heardHigh && low <= this.#heardLow)) return false;
    const nonce = this.#peerNonce;
    copyBytes(body, start + MESSAGE_NONCE_AT, start + MESSAGE_BOX_AT, nonce, NONCE_COUNTER_AT);
    this.#heardHigh = high;
    this.#heardLow = low;
    return true;
  }

  recycle(): void {
    arenaUsed = 0;
    while (pieces.length > 0) pieces.pop()?.release();
  }

  close(): void {
    wipe(this.#ownKey, this.#peerKey);
  }
}

function isMessage(body: Buffer, start: number): boolean {
  for (let at = 0; at < MESSAGE_NONCE_AT; at++) {
    if (body[start + at] !== MESSAGE_NAME[at]) return false;
  }
  return true;
}

function setFlags(opened: OpenedFrame, flags: number): void {
  opened.more = (flags & SEALED_MORE) !== 0;
  opened.command = (flags & SEALED_COMMAND) !== 0;
}

function pieceFor(size: number): Buffer {
  const piece = new Piece(size);
  pieces.push(piece);
  return piece.words.bytes;
}

/** Copies plain text into the arena, where it stays until the arena is reused. */
function keep(memory: Buffer, start: number, end: number, opened: OpenedFrame): void {
  const size = end - start;
  let at = arenaUsed;
  let into = (arena ??= Buffer.allocUnsafeSlow(ARENA_BYTES));
  if (at + size > ARENA_BYTES) {
    into = size > PIECE_BYTES_MIN ? pieceFor(size) : Buffer.allocUnsafeSlow(size);
    at = 0;
  } else {
    arenaUsed = at + size;
  }
  copyBytes(memory, start, end, into, at);
  opened.buffer = into;
  opened.start = at;
  opened.end = at + size;
}
