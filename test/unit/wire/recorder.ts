import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import type { Room } from '../../../src/core/packed.js';
import type { FrameWriter } from '../../../src/wire/outbound.js';

/** A message, and the peer that it was sent to. */
export interface Recorded {
  readonly peer: number;
  readonly frames: Frames;
}

/** Rooms begin at this offset, and as many bytes follow them. */
const ROOM_AT = 3;

/**
 * A `FrameWriter` that keeps what is written as messages. It reads packed frames on its own, after
 * 23/ZMTP §Framing, and copies at once, as a transport does.
 */
export class Recorder implements FrameWriter {
  readonly #messages: Recorded[] = [];
  /** A message whose room was reserved: it is complete before the next call. */
  #reserved: { readonly peer: number; readonly words: Words } | null = null;
  #open: { readonly peer: number; readonly frames: Frames } | null = null;

  get messages(): Recorded[] {
    this.#read();
    return this.#messages;
  }

  room(peer: number, bytes: number): Room {
    this.#read();
    if (this.#open !== null) throw new Error('room in the middle of a message');
    // What is not filled in is no valid frame.
    const words = new Words(Buffer.alloc(ROOM_AT + bytes + ROOM_AT, 0xff));
    this.#reserved = { peer, words };
    return { words, at: ROOM_AT };
  }

  #read(): void {
    const reserved = this.#reserved;
    if (reserved === null) return;
    this.#reserved = null;
    const { bytes } = reserved.words;
    const end = bytes.length - ROOM_AT;
    const around = Buffer.concat([bytes.subarray(0, ROOM_AT), bytes.subarray(end)]);
    if (!around.equals(Buffer.alloc(2 * ROOM_AT, 0xff))) throw new Error('written beside the room');
    this.writePacked(reserved.peer, bytes, ROOM_AT, end);
    if (this.#open !== null) throw new Error('not a whole message');
  }

  write(peer: number, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    this.#read();
    const message = this.#open ?? { peer, frames: new Frames() };
    if (message.peer !== peer) throw new Error('the frames of two messages are mixed');
    if (start < 0 || end < start || end > bytes.length) throw new Error('outside of its buffer');
    message.frames.push(Buffer.from(bytes.subarray(start, end)), 0, end - start);
    this.#open = more ? message : null;
    if (!more) this.#messages.push(message);
  }

  writePacked(peer: number, packed: Buffer, start: number, end: number): void {
    if (start >= end) throw new Error('an empty run of packed frames');
    let at = start;
    while (at < end) {
      const flags = packed.readUInt8(at);
      if ((flags & ~0x03) !== 0) throw new Error('flags that are not MORE or LONG');
      const long = (flags & 0x02) !== 0;
      const size = long ? Number(packed.readBigUInt64BE(at + 1)) : packed.readUInt8(at + 1);
      const body = at + (long ? 9 : 2);
      this.write(peer, packed, body, body + size, (flags & 0x01) !== 0);
      at = body + size;
    }
    if (at !== end) throw new Error('a packed frame ends outside of its run');
  }

  writeLasting(peer: number, bytes: Buffer, start: number, end: number, more: boolean): void {
    this.write(peer, bytes, start, end, more);
  }

  /** The one message that was written, complete and to this peer. */
  only(peer: number): Frames {
    const [first, ...others] = this.messages;
    if (this.#open !== null || first === undefined || others.length > 0) {
      throw new Error('not exactly one complete message');
    }
    if (first.peer !== peer) throw new Error('sent to another peer');
    return first.frames;
  }
}
