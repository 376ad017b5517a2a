/**
 * PARTIALs held back for 0.1 clients (D10) and stored requests, which take only whole replies, and until they can be
 * sent to another broker.
 */
import { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { pack, packedBytes, packedMessages, unpack } from '../../core/packed.js';
import { EMPTY } from '../../wire/mdp.js';
import { isPackedProgress, isProgress } from '../../wire/progress.js';
import { HELD, type RequestId, type RequestTable } from './request-table.js';

/** The PARTIALs of one request, packed one after the other: the first `bytes` of a growing buffer. */
interface PartialsOfRequest {
  buffer: Buffer;
  bytes: number;
  /** How many of these bytes are of progress, which is no part of the reply. */
  progressBytes: number;
  progressFrames: number;
  /** Parts of the reply, and their frames. */
  count: number;
  frames: number;
  /** The identity that sent them, and so is charged for them. */
  readonly memory: MemoryAccount;
}

/** Memory of an entry besides the bytes of its buffer; most of it is that of any buffer (measured). */
const ENTRY_BYTES = 1024;

export class HeldPartials {
  /** Memory of all of them. */
  bytes = 0;
  readonly #table: RequestTable;
  readonly #byRequest = new Map<RequestId, PartialsOfRequest>();

  constructor(table: RequestTable) {
    this.#table = table;
  }

  of(id: RequestId): PartialsOfRequest | null {
    return this.#table.is(id, HELD) ? (this.#byRequest.get(id) ?? null) : null;
  }

  /** See `DeliveryPort.parts`. */
  packedOf(id: RequestId): Buffer | null {
    const held = this.of(id);
    // Bytes that are there do not change: those of later PARTIALs are added behind, or elsewhere.
    return held === null ? null : held.buffer.subarray(0, held.bytes);
  }

  /** @param memory of the worker that sent it */
  add(id: RequestId, frames: Frames, from: number, memory: MemoryAccount): void {
    const bytes = packedBytes(frames, from, frames.count);
    const none = {
      buffer: EMPTY,
      bytes: 0,
      progressBytes: 0,
      progressFrames: 0,
      count: 0,
      frames: 0,
      memory,
    };
    const before = this.of(id);
    const held: PartialsOfRequest = before ?? none;
    if (before === null) this.#count(held, ENTRY_BYTES);
    if (held.bytes + bytes > held.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(held.bytes + bytes, held.buffer.length * 2));
      held.buffer.copy(grown, 0, 0, held.bytes);
      this.#count(held, grown.length - held.buffer.length);
      held.buffer = grown;
    }
    pack(frames, from, frames.count, held.buffer, held.bytes, false);
    held.bytes += bytes;
    if (isProgress(frames, from)) {
      held.progressBytes += bytes;
      held.progressFrames += frames.count - from;
    } else {
      held.count++;
      held.frames += frames.count - from;
    }
    this.#byRequest.set(id, held);
    this.#table.raise(id, HELD);
  }

  /** Counts the memory that PARTIALs take, which is more than their bytes: a buffer that grows has spare room. */
  #count({ memory }: PartialsOfRequest, change: number): void {
    memory.add('requests', change);
    this.bytes += change;
  }

  /**
   * The frames of all PARTIALs held for the request but those of progress, then those of `frames`; `null` if none
   * are held.
   */
  joined(id: RequestId, frames: Frames, from: number): Frames | null {
    const held = this.of(id);
    if (held === null || held.frames === 0) return null;
    const joined = new Frames();
    for (const partial of packedMessages(held.buffer, held.bytes)) {
      if (isPackedProgress(held.buffer, partial)) continue;
      unpack(held.buffer, partial.from, partial.to, joined);
    }
    for (let index = from; index < frames.count; index++) {
      joined.push(frames.buffer(index), frames.start(index), frames.end(index));
    }
    return joined;
  }

  drop(id: RequestId): void {
    const held = this.of(id);
    if (held === null) return;
    this.#count(held, -ENTRY_BYTES - held.buffer.length);
    this.#byRequest.delete(id);
    this.#table.lower(id, HELD);
  }
}
