/**
 * Writes log lines to a file descriptor without making the broker wait: a slow reader of a pipe, a
 * reader that has gone or a full disk costs lines, never time.
 */
import { write, writeSync } from 'node:fs';

import { monotonicMs } from '../../core/clock.js';
import { codeOf } from '../../core/errors.js';

/** The most output that waits for a slow reader; more is dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** The most bytes of one system call. */
const CHUNK_BYTES_MAX = 64 * 1024;
/** After how long a full pipe is tried again. */
const RETRY_MS = 20;

export class LogOutput {
  readonly #fd: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Whether another thread writes, or a full pipe is about to be tried again. */
  #isWriting = false;
  #isClosed = false;
  /** Whether nobody read in time: nothing is tried again then, since that would keep the process alive. */
  #isDropping = false;
  #onEmpty: (() => void) | null = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#isClosed || this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#isWriting) this.#writeNext();
  }

  /** Takes no more lines. Resolves when the others are written, or dropped after `patienceMs`. */
  async close(patienceMs: number): Promise<void> {
    this.#isClosed = true;
    if (!this.#isWriting) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#isDropping = true;
        // A chunk that another thread writes at this moment is dropped when that thread is back.
        this.#take();
        resolve();
      }, patienceMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /**
   * Takes no more lines and writes the others before it returns, or drops them after `patienceMs`.
   * Those that another thread writes at this moment may come later.
   */
  flush(patienceMs: number): void {
    this.#isClosed = true;
    const until = monotonicMs() + patienceMs;
    const bytes = this.#take();
    for (let at = 0; at < bytes.length;) {
      try {
        at += writeSync(this.#fd, bytes, at);
      } catch (error) {
        if (!isFull(error) || monotonicMs() >= until) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #take(): Buffer {
    this.#waitingBytes = 0;
    return Buffer.concat(this.#waiting.splice(0));
  }

  #writeNext(): void {
    const chunk = this.#nextChunk();
    this.#isWriting = chunk !== null;
    if (chunk === null) this.#onEmpty?.();
    else this.#write(chunk);
  }

  #nextChunk(): Buffer | null {
    let count = 0;
    let bytes = 0;
    for (const line of this.#waiting) {
      if (count > 0 && bytes + line.length > CHUNK_BYTES_MAX) break;
      bytes += line.length;
      count += 1;
    }
    if (count === 0) return null;
    this.#waitingBytes -= bytes;
    return Buffer.concat(this.#waiting.splice(0, count), bytes);
  }

  #write(chunk: Buffer): void {
    write(this.#fd, chunk, (error, written) => {
      if (isFull(error)) {
        this.#putBack(chunk);
        setTimeout(() => this.#writeNext(), RETRY_MS);
        return;
      }
      // Any other error costs this chunk: the disk may have room again for the next one.
      if (error === null && written < chunk.length) this.#putBack(chunk.subarray(written));
      this.#writeNext();
    });
  }

  #putBack(chunk: Buffer): void {
    if (this.#isDropping) return;
    this.#waiting.unshift(chunk);
    this.#waitingBytes += chunk.length;
  }
}

/** A pipe whose reader is slow. */
function isFull(error: unknown): boolean {
  return codeOf(error) === 'EAGAIN';
}
