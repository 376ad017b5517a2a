/**
 * Values in one run of bytes that is passed between threads (cheaper than a structured clone of
 * thousands of objects) or between the nodes of a pair. Numbers are doubles, lengths 32 bits, both
 * little-endian. Reading never fails: missing values read as 0 or empty, and `isWhole` is false
 * then.
 */
import { copyBytes } from './bytes.js';
import { isWhole } from './numbers.js';

const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;

export class PackWriter {
  #buffer: Buffer;
  #view: DataView;
  #at = 0;

  /** @param bytes the expected size; the buffer grows beyond it */
  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
    this.#view = viewOf(this.#buffer);
  }

  get isEmpty(): boolean {
    return this.#at === 0;
  }

  get bytesWritten(): number {
    return this.#at;
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

  /** Bytes without their length. */
  raw(value: Uint8Array): void {
    this.#room(value.length);
    copyBytes(value, 0, value.length, this.#buffer, this.#at);
    this.#at += value.length;
  }

  /** Bytes given as hexadecimal digits. */
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

  /** Returns what was written. The writer cannot be used afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#buffer;
    return new Uint8Array(buffer as ArrayBuffer, 0, this.#at);
  }

  /** Like `take`. */
  takeBuffer(): Buffer {
    return this.#buffer.subarray(0, this.#at);
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
  #isTorn = false;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = viewOf(this.#buffer);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  /** Everything that was read was there. */
  get isWhole(): boolean {
    return !this.#isTorn;
  }

  byte(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }

  number(): number {
    const at = this.#take(NUMBER_BYTES);
    // Adding 0 turns -0 into 0, so that there is only one zero.
    return at < 0 ? 0 : this.#view.getFloat64(at, true) + 0;
  }

  /** The number of items that follow, each of at least one byte. */
  count(): number {
    const count = this.number();
    if (isWhole(count, 0, this.#buffer.length - this.#at)) return count;
    this.#isTorn = true;
    return 0;
  }

  /** A view of what was read. */
  bytes(): Buffer {
    const head = this.#take(LENGTH_BYTES);
    const length = head < 0 ? 0 : this.#view.getUint32(head, true);
    const start = this.#take(length);
    return start < 0 ? NOTHING : this.#buffer.subarray(start, start + length);
  }

  text(): string {
    return this.bytes().toString();
  }

  /** No writer writes what was read: it is marked as not whole, and reads as `instead`. */
  refuse<Value>(instead: Value): Value {
    this.#isTorn = true;
    return instead;
  }

  /** Where the next bytes are, or -1 if there are too few. */
  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#buffer.length - at) {
      this.#isTorn = true;
      this.#at = this.#buffer.length;
      return -1;
    }
    this.#at = at + bytes;
    return at;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
