/// <reference lib="es2024.sharedmemory" />
/**
 * Records from one thread to another, through shared memory. One thread writes, one reads. A record is a kind, a
 * peer, and bytes; consecutive messages of a peer that are published together are one record.
 */
import { copyWords, Words } from '../../src/core/bytes.js';

const HEAD = 0;
/** The three are on cache lines of their own. */
const TAIL = 16;
const PARKED = 32;
const CONTROL_BYTES = 256;
/** A divisor of 2^32, so that positions may wrap. */
const RING_BYTES = 1 << 22;
/** Reading by words may go beyond a record. */
const SLACK_BYTES = 64;
const RECORD_HEAD_BYTES = 12;
const SKIP = -1;
const FULL_MS_MAX = 10_000;

const KINDS = ['messages', 'connected', 'disconnected', 'outputFull', 'drained'] as const;
export type Kind = (typeof KINDS)[number];
const MESSAGES = KINDS.indexOf('messages');

export type Take = (kind: Kind, peer: number, words: Words, from: number, end: number) => void;

const aligned = (bytes: number): number => (bytes + 3) & ~3;

export function ringMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES + SLACK_BYTES);
}

class Ring {
  readonly control: Int32Array;
  readonly words: Words;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.words = new Words(Buffer.from(memory, CONTROL_BYTES, RING_BYTES + SLACK_BYTES));
  }
}

export class RingWriter {
  readonly words: Words;
  readonly #control: Int32Array;
  readonly #wake: (() => void) | null;
  #head = 0;
  #published = 0;
  #tail = 0;
  /** The record that may grow: of which peer, where it begins, and its size. */
  #peer = -1;
  #start = 0;
  #size = 0;

  /** @param wake wakes a reader that has parked; `null`: it waits for the memory itself */
  constructor(memory: SharedArrayBuffer, wake: (() => void) | null) {
    const { control, words } = new Ring(memory);
    this.#control = control;
    this.words = words;
    this.#wake = wake;
  }

  /** @returns where the messages of `peer`, `bytes` bytes, are to be put */
  messages(peer: number, bytes: number): number {
    if (peer === this.#peer) {
      const end = this.#start + RECORD_HEAD_BYTES + this.#size;
      const more = aligned(this.#size + bytes) - aligned(this.#size);
      if (end + more <= RING_BYTES && this.#hasRoom(more)) {
        this.#size += bytes;
        this.words.view.setInt32(this.#start, this.#size, true);
        this.#head = (this.#head + more) | 0;
        return end;
      }
    }
    const at = this.#record(MESSAGES, peer, bytes);
    this.#peer = peer;
    this.#start = at - RECORD_HEAD_BYTES;
    this.#size = bytes;
    return at;
  }

  put(peer: number, from: Words, start: number, end: number): void {
    const at = this.messages(peer, end - start);
    copyWords(from, start, end, this.words, at);
  }

  event(kind: Kind, peer: number, text = ''): void {
    this.#peer = -1;
    const bytes = Buffer.from(text);
    this.words.bytes.set(bytes, this.#record(KINDS.indexOf(kind), peer, bytes.length));
  }

  /** Makes what was written visible to the reader. */
  publish(): void {
    if (this.#head === this.#published) return;
    this.#published = this.#head;
    this.#peer = -1;
    Atomics.store(this.#control, HEAD, this.#head);
    if (Atomics.compareExchange(this.#control, PARKED, 1, 0) === 0) return;
    if (this.#wake === null) Atomics.notify(this.#control, HEAD);
    else this.#wake();
  }

  #record(kind: number, peer: number, bytes: number): number {
    const size = RECORD_HEAD_BYTES + aligned(bytes);
    let at = this.#head & (RING_BYTES - 1);
    const toEnd = RING_BYTES - at;
    this.#waitForRoom(size > toEnd ? toEnd + size : size);
    const { view } = this.words;
    if (size > toEnd) {
      view.setInt32(at, SKIP, true);
      this.#head = (this.#head + toEnd) | 0;
      at = 0;
    }
    view.setInt32(at, bytes, true);
    view.setInt32(at + 4, kind, true);
    view.setInt32(at + 8, peer, true);
    this.#head = (this.#head + size) | 0;
    return at + RECORD_HEAD_BYTES;
  }

  #hasRoom(bytes: number): boolean {
    if (RING_BYTES - ((this.#head - this.#tail) | 0) >= bytes) return true;
    this.#tail = Atomics.load(this.#control, TAIL);
    return RING_BYTES - ((this.#head - this.#tail) | 0) >= bytes;
  }

  /** A broker must not wait so: here the loads fit into the ring. */
  #waitForRoom(bytes: number): void {
    const until = Date.now() + FULL_MS_MAX;
    while (!this.#hasRoom(bytes)) {
      this.publish();
      if (Date.now() > until) throw new Error('the other thread does not read its ring');
    }
  }
}

export class RingReader {
  readonly #control: Int32Array;
  readonly #words: Words;
  readonly #waits: boolean;
  #tail = 0;

  /** @param waits whether it waits for the memory itself; otherwise the writer wakes it */
  constructor(memory: SharedArrayBuffer, waits: boolean) {
    const { control, words } = new Ring(memory);
    this.#control = control;
    this.#words = words;
    this.#waits = waits;
  }

  /** Passes on all records. @returns whether there were any */
  read(take: Take): boolean {
    const head = Atomics.load(this.#control, HEAD);
    if (head === this.#tail) return false;
    const { view } = this.#words;
    while (this.#tail !== head) {
      const at = this.#tail & (RING_BYTES - 1);
      const size = view.getInt32(at, true);
      if (size === SKIP) {
        this.#tail = (this.#tail + RING_BYTES - at) | 0;
        continue;
      }
      const kind = KINDS[view.getInt32(at + 4, true)] ?? 'messages';
      const from = at + RECORD_HEAD_BYTES;
      take(kind, view.getInt32(at + 8, true), this.#words, from, from + size);
      this.#tail = (this.#tail + RECORD_HEAD_BYTES + aligned(size)) | 0;
    }
    Atomics.store(this.#control, TAIL, this.#tail);
    return true;
  }

  /**
   * Parks until there is more; then `wake` is called, unless the writer's own wakes.
   * @returns false if there is more already
   */
  park(wake: () => void): boolean {
    Atomics.store(this.#control, PARKED, 1);
    if (Atomics.load(this.#control, HEAD) === this.#tail) {
      if (!this.#waits) return true;
      const waiting = Atomics.waitAsync(this.#control, HEAD, this.#tail);
      if (waiting.async) {
        void waiting.value.then(wake);
        return true;
      }
    }
    Atomics.store(this.#control, PARKED, 0);
    return false;
  }
}
