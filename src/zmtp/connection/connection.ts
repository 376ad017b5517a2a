/**
 * A ZMTP connection as a pure machine: bytes in, events and bytes out, time as an argument. (23/ZMTP 3.0, 37/ZMTP
 * 3.1, 15/ZMTP 2.0.) It never throws because of a peer's bytes, however they are split.
 */
import { copyBytes, forgetWords, freeBytes, Words, wordsOf } from '../../core/bytes.js';
import { Frames } from '../../core/frames.js';
import { Piece, pieceOf } from '../../core/piece.js';
import { isLargeAlone, PackedCursor, readPacked, type Room } from '../../core/packed.js';
import { CHUNK_BYTES } from './chunks.js';
import { command, commandData, commandName, type Metadata, printable } from './commands.js';
import {
  greeting,
  GREETING_BYTES,
  GREETING_HEAD_BYTES,
  greetingFault,
  readGreeting,
} from './greeting.js';
import {
  type FrameCipher,
  type HandshakeFailure,
  type Mechanism,
  OpenedFrame,
} from './mechanism.js';
import { OutputQueue } from './output-queue.js';
import { type MessageLimits, SkippedMessage } from './skipped-message.js';
import { isVersion2, readGreeting2, restOfGreeting2 } from './version-2.js';

const FLAG_MORE = 0x01;
const FLAG_LONG = 0x02;
const FLAG_COMMAND = 0x04;
const SHORT_BYTES_MAX = 255;
const SHORT_HEAD_BYTES = 2;
const LONG_HEAD_BYTES = 9;
const TWO_POW_32 = 0x1_0000_0000;

/** Maximum size of a handshake command: it bounds what an unauthenticated peer can make us keep. */
const HANDSHAKE_COMMAND_BYTES_MAX = 4096;
const HANDSHAKE_COMMANDS_MAX = 4;
/** PINGs and other commands, answered or ignored, that are allowed per second. */
const COMMANDS_PER_SECOND_MAX = 200;
/** Name and time to live, before the context. */
const PING_HEAD_BYTES = 7;
const PING_TTL_AT = 5;
const PING_TTL_UNIT_MS = 100;
const PING_CONTEXT_BYTES_MAX = 16;
/** The byte before the topic in a message that subscribes (23/ZMTP). */
const SUBSCRIBE_BYTE: Buffer = Buffer.from([1]);
const CANCEL_BYTE: Buffer = Buffer.from([0]);
/** Carried bytes are not read again for less than this part of them, if more have arrived. */
const REREAD_SHARE = 64;
/** Maximum size of a command between messages. */
const COMMAND_BYTES_MAX = 1024;
/** Maximum size of all commands between the frames of one message. */
const COMMANDS_IN_MESSAGE_BYTES_MAX = 16 * 1024;
/** With more output waiting than this, no PONG is sent: the output itself is a sign of life. */
const PONG_OUTPUT_BYTES_MAX = 64 * 1024;
/** Bytes that CURVE adds to a frame, with room to spare. */
const SEALED_OVERHEAD_BYTES = 64;
/** A sealed frame up to this size is opened before it is counted or skipped: it may be a command. */
const SEALED_COMMAND_BYTES_MAX = COMMAND_BYTES_MAX + SEALED_OVERHEAD_BYTES;
/** More than one call can bring. (V8 stores it as a small integer, unlike Infinity.) */
const ITEMS_UNBOUNDED = 0x3fff_ffff;
/** The time limit is checked after this many messages. */
export const ITEMS_TIMED = 32;
/** Where reading takes turns, messages after this many bytes of answers wait. */
const ANSWERS_BYTES_MAX = 128 * 1024;
/** Overhead of a frame that is kept: where it is in the buffer of all of them. */
const PENDING_FRAME_BYTES = 32;
/** Messages are offered packed up to this size; handling a larger one costs mostly the copy. */
const OFFERED_BYTES_MAX = 16 * 1024;
/** A message that is handled packed has no more frames than this. */
const OFFERED_FRAMES_MAX = 6;
const NOT_SEALED = 'a frame that was not sealed by the peer, or came twice';
/** A carry buffer up to this size stays with its connection when it is empty. */
const CARRY_BYTES_RETAINED = 1024;
const CARRY_BYTES_MIN = 128;
/** Carried bytes above this size are in a piece. */
const PIECE_BYTES_MIN = CHUNK_BYTES[1];
/** The alignment of a large frame in bytes: whoever gets it as it is may view it as an array of numbers. */
const ALIGNMENT = 8;
/** A frame gets room in advance for so many times what is there of it. */
const ANNOUNCED_FACTOR = 16;
/** What a large frame lacks is read to where it belongs, unless it is less than this; and at most so much at once (D76). */
const READ_BYTES_MIN = 16 * 1024;
const READ_BYTES_MAX = 512 * 1024;

/** Why this side ended a connection; metrics use it as a label. */
export type FaultKind =
  'greeting' | 'mechanism' | HandshakeFailure | 'protocol' | 'too_large' | 'silent';

export interface ConnectionEvents {
  /** Messages may flow. `key`: the name of the peer's key, if it has authenticated. */
  ready(metadata: Metadata, key: string | null): void;
  /**
   * See `TransportEvents.packed` and `LinkEvents.packed`; messages of a sealed connection are not
   * offered.
   */
  packed?(words: Words, from: number, end: number): number;
  /** A whole message arrived; the frames are valid until this returns. */
  message(frames: Frames): void;
  /** The end of a message over the limits: see `TransportEvents.oversized`. */
  oversized?(head: Frames, reason: string): void;
  /** A SUBSCRIBE, or a CANCEL; the topic is valid until this returns. See `takesSubscriptions`. */
  subscription?(topic: Buffer, isOn: boolean): void;
  /** The connection is over: close it after writing its output. Nothing more is read. */
  failed(kind: FaultKind, reason: string): void;
}

export interface ConnectionOptions extends MessageLimits {
  readonly mechanism: Mechanism;
  /**
   * Sends only the head of the greeting until the peer's version and mechanism are known, so that it
   * can speak ZMTP 2.0 and report a mismatch; `version`: until its version is known.
   */
  readonly waitsForGreeting: boolean | 'version';
  /** A costly step of the handshake waits for `grant`; by default it is taken at once. */
  readonly waitsForGrant?: boolean;
  /** Messages over the limits are skipped and reported; by default they end the connection. */
  readonly skipsOversized?: boolean;
  /**
   * SUBSCRIBE and CANCEL (37/ZMTP) are reported, however many there are in a second. By default they
   * are ignored, like other unknown commands.
   */
  readonly takesSubscriptions?: boolean;
}

/** *held*: what comes after the handshake waits; *skipping*: in a message over the limits. */
type Phase = 'greeting' | 'handshake' | 'held' | 'traffic' | 'skipping' | 'failed';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** Shared by all connections: it is used up before anything else is opened. */
const openedFrame = new OpenedFrame();
const cursor = new PackedCursor();
/** What `Connection.room` returns: the same object for all connections. */
const room = { words: new Words(NO_BYTES), at: 0 };

export class Connection {
  readonly output: OutputQueue = new OutputQueue();
  /** When the peer was last heard, in monotonic milliseconds. */
  lastHeardAt: number;
  /** The peer understands PING, and the other commands of ZMTP 3.1. */
  canPing = false;
  /** The longest silence that the peer announced with its last PING; 0: none announced. */
  ttlMs = 0;
  /** The peer has said which version it speaks. */
  hasVersion = false;
  /** The peer speaks ZMTP 2.0, and this side may; it may have heard of that too late. */
  isVersion2 = false;
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  #phase: Phase = 'greeting';
  #greetingSent = 0;
  #handshakeCommands = 0;
  #cipher: FrameCipher | null = null;
  /** Bytes of an incomplete message, greeting or command. */
  #carry: Buffer = NO_BYTES;
  #carried = 0;
  /** Where the next bytes are read to, within `#carry`. */
  #lent: Buffer | null = null;
  /** Minimum number of further bytes needed to make progress with the carried bytes. */
  #missing = 1;
  /** Where the bytes of the frame begin that is incomplete, within its message. */
  #frameAt = 0;
  /** Commands inside the incomplete message have been handled up to this offset. */
  #commandsUntil = 0;
  /** Messages, commands and greetings that this call may still handle. */
  #itemsLeft = 0;
  /** Whether this call has used up its time; `null`: no limit. */
  #isSpent: (() => boolean) | null = null;
  /** The limit of this call on output. */
  #outputUntil = Infinity;
  #hasRest = false;
  /** Within a call that handles input: its receiver may be using what is carried. */
  #isHandling = false;
  /** The next step of the handshake may be taken, even if it is costly. */
  #isGranted: boolean;
  #awaitsGrant = false;
  readonly #frames: Frames;
  /** Longer messages are not offered. */
  readonly #offeredBytesMax: number;
  /** Frames of an incomplete sealed message, from earlier segments. */
  #pending: Frames | null = null;
  /** The message over the limits that is arriving; its head is `#pending`. */
  #skipped: SkippedMessage | null = null;
  #isMidMessage = false;
  #pendingFrames = 0;
  #pendingBytes = 0;
  /** Memory of the buffer in which the frames of `#pending` are. */
  #pendingRoom = 0;
  #commandsSince = 0;
  #commands = 0;

  constructor(options: ConnectionOptions, events: ConnectionEvents, frames: Frames, now: number) {
    this.#options = options;
    this.#events = events;
    this.#frames = frames;
    const isOffering = events.packed !== undefined && options.framesMax >= OFFERED_FRAMES_MAX;
    this.#offeredBytesMax = isOffering ? Math.min(options.messageBytesMax, OFFERED_BYTES_MAX) : 0;
    this.lastHeardAt = now;
    this.#isGranted = options.waitsForGrant !== true;
    const isWaiting = options.waitsForGreeting !== false;
    this.#sendGreeting(isWaiting ? GREETING_HEAD_BYTES : GREETING_BYTES);
  }

  get isReady(): boolean {
    return this.#phase === 'traffic' || this.#phase === 'skipping';
  }

  get isFailed(): boolean {
    return this.#phase === 'failed';
  }

  /** Memory of the incomplete data held. */
  get carriedBytes(): number {
    return this.#carry.length + this.#pendingRoom + this.#pendingFrames * PENDING_FRAME_BYTES;
  }

  /** Bytes are held that have not been looked at: `proceed` handles them. */
  get hasRest(): boolean {
    return this.#hasRest;
  }

  /** The next step of the handshake is costly, and waits for `grant`. */
  get awaitsGrant(): boolean {
    return this.#awaitsGrant;
  }

  /** After `hold`: what it sends is kept, and not looked at. */
  get isHeld(): boolean {
    return this.#phase === 'held';
  }

  /** The handshake, a message or a command has begun and is incomplete. */
  get isInterrupted(): boolean {
    if (this.isHeld) return false;
    return this.#carried > 0 || this.#pending !== null || this.#phase === 'handshake';
  }

  // ---------------------------------------------------------------- output

  /**
   * Reserves room for a whole message of `bytes` bytes, laid out as packed frames. `null`: its
   * frames have to be sealed one by one.
   */
  room(bytes: number): Room | null {
    if (this.#cipher !== null) return null;
    const at = this.output.reserve(bytes);
    room.words = this.output.chunk;
    room.at = at;
    return room;
  }

  /** The next frame of a message: the bytes `[start, end)`. Only when ready. */
  write(bytes: Uint8Array, start: number, end: number, more: boolean): void {
    this.#frame(more ? FLAG_MORE : 0, bytes, start, end);
  }

  /** Writes a frame of bytes that never change: large ones are sent without a copy, unless they are sealed. */
  writeLasting(bytes: Buffer, start: number, end: number, more: boolean): void {
    const size = end - start;
    if (this.#cipher !== null || bytes.length <= CHUNK_BYTES[1] || !isLargeAlone(bytes, size)) {
      this.write(bytes, start, end, more);
      return;
    }
    const at = this.output.reserve(LONG_HEAD_BYTES);
    writeLongHead(this.output.chunk.bytes, at, more ? FLAG_MORE : 0, size);
    this.output.share(bytes, start, end, pieceOf(bytes) ?? null);
  }

  /**
   * Packed frames have the layout of plain ZMTP frames, so without a cipher this is one copy, or none if they are in a
   * piece, which never changes.
   */
  writePacked(packed: Buffer, start: number, end: number): void {
    if (this.#cipher === null) {
      const isLarge = packed.length > CHUNK_BYTES[1] && isLargeAlone(packed, end - start);
      const piece = isLarge ? (pieceOf(packed) ?? null) : null;
      if (piece === null) this.output.append(packed, start, end);
      else this.output.share(packed, start, end, piece);
      return;
    }
    for (let at = start; at < end; at = cursor.end) {
      readPacked(packed, at, cursor);
      this.#frame(cursor.more ? FLAG_MORE : 0, packed, cursor.start, cursor.end);
    }
  }

  /** Sends a PING, if the peer supports it (37/ZMTP §Connection Heartbeating). */
  ping(): void {
    if (!this.canPing || !this.isReady) return;
    this.#command(command('PING', Buffer.from([0, 0])));
  }

  /**
   * Subscribes to a topic, or cancels that, in the form that the peer understands: as a command from
   * ZMTP 3.1 on, else as a message. Only when ready.
   */
  subscribe(topic: Buffer, isOn: boolean): void {
    if (this.canPing) {
      this.#command(command(isOn ? 'SUBSCRIBE' : 'CANCEL', topic));
      return;
    }
    const message = Buffer.concat([isOn ? SUBSCRIBE_BYTE : CANCEL_BYTE, topic]);
    this.write(message, 0, message.length, false);
  }

  /** The peer's greeting is late: sends the rest of ours, which the peer may be waiting for. */
  showGreeting(): void {
    this.#sendGreeting(GREETING_BYTES);
  }

  /** The peer was silent for too long (37/ZMTP §Connection Heartbeating). */
  expire(reason: string): void {
    this.#fail('silent', reason);
  }

  /** Within `ready`: messages wait until `release`. The caller stops reading. */
  hold(): void {
    this.#phase = 'held';
  }

  /** Then `proceed` handles what waits. */
  release(): void {
    if (this.isHeld) this.#phase = 'traffic';
  }

  /** Closes the connection on this side: nothing more is read. */
  close(): void {
    this.#phase = 'failed';
    this.#forget();
  }

  #sendGreeting(until: number): void {
    if (this.#greetingSent >= until) return;
    const { name, asServer } = this.#options.mechanism;
    this.output.append(greeting(name, asServer), this.#greetingSent, until);
    this.#greetingSent = until;
  }

  #command(body: Buffer): void {
    this.#frame(FLAG_COMMAND, body, 0, body.length);
  }

  #frame(flags: number, bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    const size = end - start;
    const cipher = this.#cipher;
    // The keys were erased.
    if (cipher !== null && this.#phase === 'failed') return;
    const sealed = cipher === null ? size : cipher.sealedBytes(size);
    const head = sealed > SHORT_BYTES_MAX ? LONG_HEAD_BYTES : SHORT_HEAD_BYTES;
    let at = output.reserve(head + sealed);
    const chunk = output.chunk.bytes;
    // A sealed frame does not show its flags outside (25/ZMTP-CURVE §MESSAGE).
    const shown = cipher === null ? flags : 0;
    if (head === LONG_HEAD_BYTES) {
      writeLongHead(chunk, at, shown, sealed);
    } else {
      chunk[at] = shown;
      chunk[at + 1] = sealed;
    }
    at += head;
    if (cipher === null) copyBytes(bytes, start, end, chunk, at);
    else cipher.seal(flags, bytes, start, end, chunk, at);
  }

  // ---------------------------------------------------------------- input

  /**
   * Handles the first `size` bytes of `chunk`. The chunk is not kept after the call: incomplete
   * data is copied, and so are bytes after the first `itemsMax` messages and commands, or after
   * `isSpent`.
   * @returns how many messages and commands were handled
   */
  receive(
    chunk: Buffer,
    now: number,
    size: number = chunk.length,
    itemsMax: number = ITEMS_UNBOUNDED,
    isSpent: (() => boolean) | null = null,
  ): number {
    if (this.#phase === 'failed') {
      this.#lent = null;
      return 0;
    }
    this.lastHeardAt = now;
    if (this.#awaitsGrant) {
      this.#fail('handshake', 'it sent more before it got an answer');
      return 0;
    }
    return this.#handle(chunk, size, now, itemsMax, isSpent);
  }

  /**
   * Where the bytes of a large frame that arrive next are to be read to, and to be given to `receive` then; `null`:
   * anywhere. Only once between two calls of `receive`.
   */
  lend(): Buffer | null {
    const from = this.#carried;
    const until = Math.min(this.#carry.length, from + Math.min(this.#missing, READ_BYTES_MAX));
    if (from === 0 || this.#hasRest || until - from < READ_BYTES_MIN) return null;
    this.#lent = this.#carry.subarray(from, until);
    return this.#lent;
  }

  /** Continues with bytes that earlier calls left unread. Returns the same as `receive`. */
  proceed(now: number, itemsMax: number, isSpent: (() => boolean) | null = null): number {
    return this.#hasRest ? this.#handle(NO_BYTES, 0, now, itemsMax, isSpent) : 0;
  }

  /** Allows the costly step that waits. */
  grant(now: number): void {
    if (!this.#awaitsGrant) return;
    this.#awaitsGrant = false;
    this.#isGranted = true;
    this.#hasRest = true;
    this.#handle(NO_BYTES, 0, now, ITEMS_UNBOUNDED, null);
  }

  #handle(
    chunk: Buffer,
    size: number,
    now: number,
    itemsMax: number,
    isSpent: (() => boolean) | null,
  ): number {
    this.#itemsLeft = itemsMax;
    this.#isSpent = isSpent;
    this.#outputUntil = isSpent === null ? Infinity : this.output.bytes + ANSWERS_BYTES_MAX;
    const carriedMuch = this.#carry.length > CARRY_BYTES_RETAINED;
    this.#isHandling = true;
    this.#receive(chunk, size, now);
    this.#isHandling = false;
    this.#tidy(carriedMuch);
    return itemsMax - this.#itemsLeft;
  }

  #tidy(carriedMuch: boolean): void {
    if (this.#isMidMessage) this.#keepOpened();
    // The views must not keep the carried bytes in memory.
    if (carriedMuch || this.#carry.length > CARRY_BYTES_RETAINED) {
      this.#frames.clear();
      this.#frames.buffers.fill(NO_BYTES);
      forgetWords();
    }
  }

  #receive(chunk: Buffer, size: number, now: number): void {
    let at = 0;
    if (this.#hasRest) {
      if (size > 0) this.#keep(chunk, 0, size, 0);
      at = size;
      this.#consumeCarried(now);
      if (this.isFailed) return;
    }
    // About the missing bytes are copied to the carried ones; the rest is read in place.
    while (this.#carried > 0 && at < size) {
      const until = Math.min(at + this.#carriedAtOnce(), size);
      this.#missing -= until - at;
      this.#keep(chunk, at, until, this.#missing);
      at = until;
      if (this.#missing > 0) return;
      this.#consumeCarried(now);
      if (this.isFailed) return;
      if (!this.#hasRest) continue;
      if (at < size) this.#keep(chunk, at, size, 0);
      return;
    }
    if (at >= size) return;
    at = this.#consume(chunk, at, size, now);
    if (at < size && !this.isFailed) this.#keep(chunk, at, size, this.#hasRest ? 0 : this.#missing);
  }

  /**
   * An incomplete message is read again from its beginning. One of many small frames would be read
   * again for each of them, so more is kept than its next frame lacks.
   */
  #carriedAtOnce(): number {
    const isRereadCostly = this.#carried > this.#missing * REREAD_SHARE;
    return isRereadCostly ? Math.max(this.#missing, this.#carried >> 2) : this.#missing;
  }

  #consumeCarried(now: number): void {
    const carry = this.#carry;
    const used = this.#consume(carry, 0, this.#carried, now);
    if (this.isFailed) return;
    this.#carried -= used;
    if (this.#carried === 0 && carry.length > CARRY_BYTES_RETAINED) this.#dropCarry();
    else if (used > 0) carry.copyWithin(0, used, used + this.#carried);
  }

  /** A large carry buffer does not stay when its content was handled; whoever got a piece with a message may hold it. */
  #dropCarry(): void {
    const carry = this.#carry;
    this.#carry = NO_BYTES;
    // What is being read to it, or handled, is left to V8.
    if (this.#lent !== null) return;
    const piece = pieceOf(carry);
    if (piece !== undefined) piece.release();
    else if (carry.length > CARRY_BYTES_RETAINED) freeBytes(carry);
  }

  /** @param missing what a frame that has begun lacks after this */
  #keep(chunk: Buffer, start: number, end: number, missing: number): void {
    const needed = this.#carried + end - start;
    if (needed > this.#carry.length) this.#growCarry(needed, missing);
    if (chunk === this.#lent) this.#lent = null;
    else copyBytes(chunk, start, end, this.#carry, this.#carried);
    this.#carried = needed;
  }

  #growCarry(needed: number, missing: number): void {
    const before = this.#carry;
    const bytes = this.#grownBytes(needed, missing);
    this.#carry =
      bytes > PIECE_BYTES_MIN
        ? new Piece(bytes, -this.#frameAt & (ALIGNMENT - 1)).words.bytes
        : Buffer.allocUnsafeSlow(bytes);
    before.copy(this.#carry, 0, 0, this.#carried);
    // (It holds the beginning of a message that is incomplete, so none was given away with it.)
    const piece = pieceOf(before);
    if (piece !== undefined) piece.release();
    else if (before.length >= CARRY_BYTES_RETAINED) freeBytes(before);
  }

  /**
   * A frame gets room for all of it, if that is not much more than what is there. For small frames, twice as much as
   * before, or half as much again if it is large.
   */
  #grownBytes(needed: number, missing: number): number {
    const carried = this.#carried;
    if (missing > needed / 16) {
      return Math.max(CARRY_BYTES_MIN, Math.min(needed + missing, needed * ANNOUNCED_FACTOR));
    }
    const grown = carried + (carried < PIECE_BYTES_MIN ? carried : carried >> 1);
    return Math.max(CARRY_BYTES_MIN, needed, grown);
  }

  /** Handles all that is complete in `[from, end)`. Returns the offset of what is not. */
  #consume(bytes: Buffer, from: number, end: number, now: number): number {
    let at = from;
    let handled = 0;
    this.#hasRest = false;
    for (;;) {
      if (
        this.#itemsLeft === 0 ||
        this.output.bytes >= this.#outputUntil ||
        (handled >= ITEMS_TIMED && this.#isSpent?.() === true)
      ) {
        this.#hasRest = at < end;
        return at;
      }
      let next: number;
      if (this.#phase === 'traffic') {
        next =
          this.#cipher === null
            ? this.#offer(bytes, at, end) || this.#readMessage(bytes, at, end, now)
            : this.#readSealed(bytes, at, end, now, this.#cipher);
      } else if (this.#phase === 'handshake') {
        next = this.#readHandshake(bytes, at, end);
      } else if (this.#skipped !== null) {
        next = this.#skip(bytes, at, end, now, this.#skipped);
      } else if (this.#phase === 'held') {
        this.#hasRest = at < end;
        return at;
      } else {
        next = this.#readGreeting(bytes, at, end);
      }
      if (next < 0 || this.isFailed) return at;
      this.#itemsLeft--;
      handled = handled >= ITEMS_TIMED ? 1 : handled + 1;
      at = next;
    }
  }

  // Each of the readers below returns the offset after what it read, or -1 if that is incomplete.

  #readGreeting(bytes: Buffer, from: number, end: number): number {
    const fault = greetingFault(bytes.subarray(from, end));
    if (fault !== null) return this.#fail('greeting', fault);
    this.hasVersion = end - from >= GREETING_HEAD_BYTES;
    if (isVersion2(bytes.subarray(from, end))) return this.#readGreeting2(bytes, from, end);
    if (this.hasVersion && this.#options.waitsForGreeting === 'version') {
      this.#sendGreeting(GREETING_BYTES);
    }
    if (end - from < GREETING_BYTES) return this.#lack(1);
    const read = readGreeting(bytes.subarray(from, from + GREETING_BYTES));
    const { mechanism } = this.#options;
    this.#sendGreeting(GREETING_BYTES);
    if (read.mechanism !== mechanism.name) {
      const theirs = printable(read.mechanism);
      return this.#fail('mechanism', `the peer uses ${theirs}, this side ${mechanism.name}`);
    }
    // (libzmq's servers do not set their as-server bit.)
    if (read.asServer && mechanism.asServer) {
      return this.#fail('mechanism', 'both sides are CURVE servers');
    }
    this.canPing = read.minor >= 1;
    this.#phase = 'handshake';
    const first = mechanism.begin();
    if (first !== null) this.#command(first);
    return from + GREETING_BYTES;
  }

  /** Type and identity are the whole handshake of ZMTP 2.0, and the peer waits for ours. */
  #readGreeting2(bytes: Buffer, from: number, end: number): number {
    const { plain, name } = this.#options.mechanism;
    if (plain === null) {
      return this.#fail('mechanism', `the peer speaks ZMTP 2.0, which has no ${name}`);
    }
    if (!this.isVersion2) {
      this.isVersion2 = true;
      if (this.#greetingSent > GREETING_HEAD_BYTES) {
        return this.#fail('greeting', 'the peer speaks ZMTP 2.0, and said so too late');
      }
      const rest = restOfGreeting2(plain.socketType, plain.identity);
      this.output.append(rest, 0, rest.length);
      this.#greetingSent = GREETING_BYTES;
    }
    const read = readGreeting2(bytes.subarray(from, end), plain.socketType);
    if (read === null) return this.#lack(1);
    if (typeof read === 'string') return this.#fail('handshake', read);
    this.#phase = 'traffic';
    this.#events.ready(read.metadata, null);
    return from + read.bytes;
  }

  #readHandshake(bytes: Buffer, at: number, end: number): number {
    if (at >= end) return this.#lack(1);
    const flags = bytes[at] ?? 0;
    if ((flags & ~FLAG_LONG) !== FLAG_COMMAND) {
      return this.#fail('handshake', 'no command in the handshake');
    }
    const start = at + headBytes(flags);
    if (start > end) return this.#lack(start - end);
    const size = frameSize(bytes, at, flags);
    if (size > HANDSHAKE_COMMAND_BYTES_MAX) {
      return this.#fail('handshake', 'a handshake command is too large');
    }
    const next = start + size;
    if (next > end) return this.#lack(next - end);
    if (++this.#handshakeCommands > HANDSHAKE_COMMANDS_MAX) {
      return this.#fail('handshake', 'too many commands in the handshake');
    }
    const { mechanism } = this.#options;
    const body = bytes.subarray(start, next);
    if (!this.#isGranted && mechanism.isCostly(body)) {
      if (next < end) return this.#fail('handshake', 'it sent more before it got an answer');
      this.#awaitsGrant = true;
      this.#handshakeCommands--;
      return this.#lack(1);
    }
    const step = mechanism.step(body);
    if (step.send !== null) this.#command(step.send);
    if (step.kind === 'failed') return this.#fail(step.failure, step.reason);
    if (step.kind === 'ready') {
      this.#phase = 'traffic';
      this.#cipher = mechanism.cipher();
      this.#events.ready(step.metadata, step.key);
    }
    return next;
  }

  /** @returns where the last message ends that was handled without taking it apart, or 0 */
  #offer(bytes: Buffer, from: number, end: number): number {
    const most = this.#offeredBytesMax;
    if (most === 0) return 0;
    const until = end - from > most ? from + most : end;
    return this.#events.packed?.(wordsOf(bytes), from, until) ?? 0;
  }

  /** Reads plain frames in place up to the end of a message, or one command. */
  #readMessage(bytes: Buffer, from: number, end: number, now: number): number {
    const frames = this.#frames;
    const { messageBytesMax, framesMax } = this.#options;
    frames.clear();
    let total = 0;
    let commandBytes = 0;
    let isPacked = true;
    for (let at = from; at < end;) {
      const flags = bytes[at] ?? 0;
      const isCommand = (flags & ~(FLAG_MORE | FLAG_LONG)) !== 0;
      if (isCommand && ((flags & ~FLAG_LONG) !== FLAG_COMMAND || this.isVersion2)) {
        return this.#fail('protocol', 'unknown frame flags');
      }
      const start = at + headBytes(flags);
      if (start > end) return this.#lack(start - end);
      const size = frameSize(bytes, at, flags);
      const next = start + size;
      if (isCommand) {
        isPacked = false;
        const fault = commandFault(size, (commandBytes += size));
        if (fault !== null) return this.#fail('protocol', fault);
        if (next > end) return this.#lack(next - end);
        // libzmq may send a PING between two frames of a message. An incomplete message is parsed
        // again later, its commands are not handled again.
        if (next - from > this.#commandsUntil) {
          this.#handleCommand(bytes.subarray(start, next), now);
          if (at === from || this.isFailed) return next;
          this.#commandsUntil = next - from;
        }
        at = next;
        continue;
      }
      // A long head where a short one would do is valid, but not our packed layout.
      if ((flags & FLAG_LONG) !== 0 && size <= SHORT_BYTES_MAX) isPacked = false;
      total += size;
      if (total > messageBytesMax || frames.count === framesMax) {
        return this.#beginSkipping(frames) === null ? -1 : at;
      }
      if (next > end) {
        this.#frameAt = start - from;
        return this.#lack(next - end);
      }
      frames.push(bytes, start, next);
      if ((flags & FLAG_MORE) === 0) {
        this.#commandsUntil = 0;
        frames.isPacked = isPacked;
        // (Nothing follows it, which would be moved to the beginning.)
        frames.isLasting = next === end && bytes === this.#carry && bytes.length > PIECE_BYTES_MIN;
        this.#events.message(frames);
        return next;
      }
      at = next;
    }
    return this.#lack(1);
  }

  /**
   * Reads one sealed frame. It can be opened only once, so its plain text is kept until the last
   * frame.
   */
  #readSealed(bytes: Buffer, at: number, end: number, now: number, cipher: FrameCipher): number {
    if (at >= end) return this.#lack(1);
    const flags = bytes[at] ?? 0;
    const start = at + headBytes(flags);
    if (start > end) return this.#lack(start - end);
    // libzmq sets no flag on MESSAGE, neither COMMAND nor MORE; others set COMMAND.
    if ((flags & ~(FLAG_LONG | FLAG_COMMAND)) !== 0) {
      return this.#fail('protocol', 'unknown frame flags');
    }
    const size = frameSize(bytes, at, flags);
    const { messageBytesMax, framesMax } = this.#options;
    const frames = this.#pending ?? this.#frames;
    if (!this.#isMidMessage) frames.clear();
    // (A small one may be a command, which does not count.)
    const isSmall = size <= SEALED_COMMAND_BYTES_MAX;
    if (!isSmall && this.#pendingBytes + size > messageBytesMax + SEALED_OVERHEAD_BYTES) {
      return this.#beginSkipping(frames) === null ? -1 : at;
    }
    const next = start + size;
    if (next > end) return this.#lack(next - end);
    const opened = openedFrame;
    if (!this.#isMidMessage) cipher.recycle();
    if (!cipher.open(bytes, start, next, opened)) {
      return this.#fail('protocol', NOT_SEALED);
    }
    // (Also valid between two frames of a message.)
    if (opened.command) {
      this.#handleCommand(opened.buffer.subarray(opened.start, opened.end), now);
      return next;
    }
    const bytesOpened = opened.end - opened.start;
    if (frames.count === framesMax || this.#pendingBytes + bytesOpened > messageBytesMax) {
      const skipped = this.#beginSkipping(frames);
      if (skipped === null) return -1;
      skipped.begin(bytesOpened, opened.more, 0);
      return this.#endFrame(skipped, next);
    }
    frames.push(opened.buffer, opened.start, opened.end);
    this.#pendingBytes += bytesOpened;
    this.#isMidMessage = opened.more;
    if (opened.more) return next;
    this.#endPending();
    this.#events.message(frames);
    return next;
  }

  // ---------------------------------------------------------------- messages over the limits

  /**
   * The next frame of the message is over the limits, and the rest is skipped.
   * @returns `null`: the connection is over
   */
  #beginSkipping(frames: Frames): SkippedMessage | null {
    if (this.#options.skipsOversized !== true) {
      this.#fail('too_large', 'a message over the limits');
      return null;
    }
    const skipped = new SkippedMessage(frames, this.#options);
    this.#phase = 'skipping';
    this.#skipped = skipped;
    this.#commandsUntil = 0;
    this.#isMidMessage = false;
    this.#pending = skipped.head;
    this.#pendingFrames = skipped.head.count;
    this.#pendingRoom = skipped.headBytes;
    return skipped;
  }

  /** Reads the head of a frame, or what has arrived of its body. */
  #skip(bytes: Buffer, at: number, end: number, now: number, skipped: SkippedMessage): number {
    if (at >= end) return this.#lack(1);
    const cipher = this.#cipher;
    if (skipped.left > 0) {
      const next = Math.min(end, at + skipped.left);
      cipher?.check(bytes, at, next);
      skipped.left -= next - at;
      return this.#endFrame(skipped, next);
    }
    const flags = bytes[at] ?? 0;
    const start = at + headBytes(flags);
    if (start > end) return this.#lack(start - end);
    const size = frameSize(bytes, at, flags);
    const isCommand = (flags & FLAG_COMMAND) !== 0;
    if ((flags & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND)) !== 0 || (isCommand && this.isVersion2)) {
      return this.#fail('protocol', 'unknown frame flags');
    }
    if (cipher !== null) return this.#skipSealed(bytes, start, end, size, now, skipped, cipher);
    if (isCommand) {
      const fault = commandFault(size, 0);
      if (fault !== null) return this.#fail('protocol', fault);
      const next = start + size;
      if (next > end) return this.#lack(next - end);
      this.#handleCommand(bytes.subarray(start, next), now);
      return next;
    }
    skipped.begin(size, (flags & FLAG_MORE) !== 0);
    return this.#endFrame(skipped, start);
  }

  /** Only the whole frame shows whether the peer sealed it, and whether another one follows. */
  #skipSealed(
    bytes: Buffer,
    start: number,
    end: number,
    size: number,
    now: number,
    skipped: SkippedMessage,
    cipher: FrameCipher,
  ): number {
    const isSmall = size <= SEALED_COMMAND_BYTES_MAX;
    const overhead = cipher.sealedBytes(0);
    const next = start + (isSmall ? size : overhead);
    if (next > end) return this.#lack(next - end);
    if (!isSmall) {
      if (!cipher.beginCheck(bytes, start)) return this.#fail('protocol', NOT_SEALED);
      skipped.begin(size - overhead, true);
      return this.#endFrame(skipped, next);
    }
    cipher.recycle();
    if (!cipher.open(bytes, start, next, openedFrame)) return this.#fail('protocol', NOT_SEALED);
    const { buffer, start: from, end: until, command, more } = openedFrame;
    if (command) {
      this.#handleCommand(buffer.subarray(from, until), now);
      return next;
    }
    skipped.begin(until - from, more, 0);
    return this.#endFrame(skipped, next);
  }

  /** If its frame has arrived, and is the last one, the message is reported. */
  #endFrame(skipped: SkippedMessage, next: number): number {
    if (skipped.isEndless) {
      return this.#fail('too_large', `${skipped.reason}: too long to be skipped`);
    }
    if (skipped.left > 0) return next;
    if (this.#cipher?.isChecking === true) {
      if (!this.#cipher.endCheck(openedFrame)) return this.#fail('protocol', NOT_SEALED);
      if (openedFrame.command) return this.#fail('protocol', 'a command is too large');
      skipped.more = openedFrame.more;
    }
    if (skipped.more) return next;
    this.#phase = 'traffic';
    this.#endSkipping();
    this.#events.oversized?.(skipped.head, skipped.reason);
    return next;
  }

  #endSkipping(): void {
    this.#skipped = null;
    this.#endPending();
  }

  #endPending(): void {
    this.#pending = null;
    this.#pendingFrames = 0;
    this.#pendingBytes = 0;
    this.#pendingRoom = 0;
  }

  // ---------------------------------------------------------------- sealed frames, commands

  /**
   * The rest of a sealed message comes later: moves its frames out of the room that all connections
   * share.
   */
  #keepOpened(): void {
    const opened = this.#frames;
    const pending = this.#pending ?? new Frames();
    if (this.#pending === null) {
      for (let index = 0; index < opened.count; index++) {
        pending.push(opened.buffer(index), opened.start(index), opened.end(index));
      }
      this.#pending = pending;
    }
    if (pending.count === this.#pendingFrames) return;
    this.#pendingRoom = pending.own(this.#pendingFrames);
    this.#pendingFrames = pending.count;
  }

  #handleCommand(body: Buffer, now: number): void {
    const name = commandName(body);
    const isOn = name === 'SUBSCRIBE';
    if (this.#options.takesSubscriptions === true && (isOn || name === 'CANCEL')) {
      this.#events.subscription?.(commandData(body), isOn);
      return;
    }
    // A flood of small commands would be expensive.
    if (now - this.#commandsSince >= 1000) {
      this.#commandsSince = now;
      this.#commands = 0;
    }
    if (++this.#commands > COMMANDS_PER_SECOND_MAX) {
      this.#fail('protocol', 'too many commands in a second');
      return;
    }
    if (name === 'PING') {
      const context = body.subarray(PING_HEAD_BYTES);
      if (body.length < PING_HEAD_BYTES || context.length > PING_CONTEXT_BYTES_MAX) {
        this.#fail('protocol', 'a malformed PING');
        return;
      }
      this.ttlMs = body.readUInt16BE(PING_TTL_AT) * PING_TTL_UNIT_MS;
      // Output stays bounded even if a peer sends PINGs and never reads.
      if (this.output.bytes <= PONG_OUTPUT_BYTES_MAX) this.#command(command('PONG', context));
    } else if (name === 'ERROR') {
      this.#fail('protocol', 'the peer sent an ERROR');
    } else if (name === '') {
      this.#fail('protocol', 'a command without a name');
    }
    // A PONG is only a sign of life; commands of later versions are ignored.
  }

  #lack(bytes: number): -1 {
    this.#missing = bytes;
    return -1;
  }

  #fail(kind: FaultKind, reason: string): -1 {
    if (this.#phase === 'failed') return -1;
    this.#phase = 'failed';
    this.#forget();
    this.#events.failed(kind, reason);
    return -1;
  }

  #forget(): void {
    if (this.#isHandling) this.#carry = NO_BYTES;
    else this.#dropCarry();
    this.#carried = 0;
    this.#hasRest = false;
    this.#awaitsGrant = false;
    this.#endSkipping();
    this.#isMidMessage = false;
    this.#cipher?.close();
    this.#options.mechanism.close();
  }
}

/** @param all total bytes of this and the other commands in the same message */
function commandFault(size: number, all: number): string | null {
  if (size > COMMAND_BYTES_MAX) return 'a command is too large';
  return all > COMMANDS_IN_MESSAGE_BYTES_MAX ? 'too many commands inside of a message' : null;
}

function headBytes(flags: number): number {
  return (flags & FLAG_LONG) === 0 ? SHORT_HEAD_BYTES : LONG_HEAD_BYTES;
}

function writeLongHead(chunk: Buffer, at: number, flags: number, size: number): void {
  chunk[at] = flags | FLAG_LONG;
  chunk.writeUInt32BE(Math.floor(size / TWO_POW_32), at + 1);
  chunk.writeUInt32BE(size % TWO_POW_32, at + 5);
}

/** The size of the frame with a complete head at `at`. */
function frameSize(bytes: Buffer, at: number, flags: number): number {
  if ((flags & FLAG_LONG) === 0) return bytes[at + 1] ?? 0;
  return bytes.readUInt32BE(at + 1) * TWO_POW_32 + bytes.readUInt32BE(at + 5);
}
