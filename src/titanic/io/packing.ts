/**
 * Values in one run of bytes that changes hands between threads: cheaper than a structured clone of
 * thousands of objects. Both ends are this program, so there is no check beyond the bounds.
 */
import { copyBytes } from '../../core/bytes.js';

const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;

export class PackWriter {
  #buffer: Buffer;
  #view: DataView;
  #at = 0;

  /** @param bytes what is expected; it grows beyond */
  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
    this.#view = viewOf(this.#buffer);
  }

  get isEmpty(): boolean {
    return this.#at === 0;
  }

  byte(value: number): void {
    this.#room(1);
    this.#view.setUint8(this.#at++, value);
  }

  number(value: number): void {
    this.#room(NUMBER_BYTES);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += NUMBER_BYTES;
  }

  bytes(value: Uint8Array): void {
    this.#room(LENGTH_BYTES + value.length);
    this.#view.setUint32(this.#at, value.length, true);
    copyBytes(value, 0, value.length, this.#buffer, this.#at + LENGTH_BYTES);
    this.#at += LENGTH_BYTES + value.length;
  }

  /** Bytes that are given as hexadecimal digits. */
  hex(digits: string): void {
    const length = digits.length / 2;
    this.#room(LENGTH_BYTES + length);
    this.#view.setUint32(this.#at, length, true);
    this.#buffer.write(digits, this.#at + LENGTH_BYTES, 'hex');
    this.#at += LENGTH_BYTES + length;
  }

  text(value: string): void {
    this.bytes(Buffer.from(value));
  }

  /** Hands over what was written; the writer is of no use afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#buffer;
    return new Uint8Array(buffer as ArrayBuffer, 0, this.#at);
  }

  #room(bytes: number): void {
    const wanted = this.#at + bytes;
    if (wanted <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }
}

export class PackReader {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = viewOf(this.#buffer);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  byte(): number {
    return this.#view.getUint8(this.#at++);
  }

  number(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += NUMBER_BYTES;
    return value;
  }

  /** A view of what was read. */
  bytes(): Buffer {
    const start = this.#at + LENGTH_BYTES;
    this.#at = start + this.#view.getUint32(this.#at, true);
    return this.#buffer.subarray(start, this.#at);
  }

  text(): string {
    return this.bytes().toString();
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
