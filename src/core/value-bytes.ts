/**
 * Values in one run of bytes that is passed between threads (cheaper than a structured clone of
 * thousands of objects), between the nodes of a pair, or between brokers. `number` is a double,
 * lengths of `bytes` have 32 bits, both little-endian; `uint` is an unsigned integer, big-endian. Reading
 * never fails: missing values read as 0 or empty, and `isWhole` is false then.
 */
import { assert } from './assert.js';
import { copyBytes, int32At } from './bytes.js';
import { isWhole } from './numbers.js';

const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;
const TWO_POW_32 = 0x1_0000_0000;

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

  /** Memory of what was written. */
  get roomBytes(): number {
    return this.#buffer.length;
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

  /** @param bytes that it takes: 1 to 6, or 8 */
  uint(value: number, bytes: number): void {
    this.#room(bytes);
    putUint(this.#view, this.#at, value, bytes);
    this.#at += bytes;
  }

  /** Writes into the `bytes` bytes at `at` how many follow them. */
  lengthAt(at: number, bytes: number): void {
    putUint(this.#view, at, this.#at - at - bytes, bytes);
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
    // Most columns of bytes are empty, and a call of the encoder costs as much as one of 16 bytes.
    if (length > 0) this.#buffer.write(digits, this.#at + LENGTH_BYTES, 'hex');
    this.#at += LENGTH_BYTES + length;
  }

  text(value: string): void {
    // A character of a string is at most three bytes.
    this.#room(LENGTH_BYTES + 3 * value.length);
    const length = this.#buffer.write(value, this.#at + LENGTH_BYTES);
    this.#view.setUint32(this.#at, length, true);
    this.#at += LENGTH_BYTES + length;
  }

  /** Text that has a character for each byte, without its length. */
  latin1(value: string): void {
    this.#room(value.length);
    this.#at += this.#buffer.write(value, this.#at, 'latin1');
  }

  /** Begins anew, with the same memory. */
  clear(): void {
    this.#at = 0;
  }

  /** A copy of what was written. */
  copy(): Buffer {
    const made = Buffer.allocUnsafe(this.#at);
    this.copyTo(made);
    return made;
  }

  /** Copies what was written to the beginning of `target`. */
  copyTo(target: Buffer): void {
    copyBytes(this.#buffer, 0, this.#at, target, 0);
  }

  /** Returns what was written. The writer cannot be used afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#buffer;
    return new Uint8Array(buffer as ArrayBuffer, 0, this.#at);
  }

  /** Returns what was written, like `take`, as a `Buffer`. */
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
  /** Made when it is needed. */
  #view: DataView | null = null;
  #at = 0;
  #end: number;
  #isTorn = false;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  /** Whether everything that was read was there. */
  get isWhole(): boolean {
    return !this.#isTorn;
  }

  byte(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#buffer[at] ?? 0);
  }

  number(): number {
    const at = this.#take(NUMBER_BYTES);
    // Adding 0 turns -0 into 0, so that there is only one zero.
    return at < 0 ? 0 : (this.#view ??= viewOf(this.#buffer)).getFloat64(at, true) + 0;
  }

  /** @param bytes that it takes: 1 to 6, or 8 */
  uint(bytes: number): number {
    const at = this.#take(bytes);
    if (at < 0) return 0;
    if (bytes === 4) return int32At(this.#buffer, at) >>> 0;
    const last = this.#at - 4;
    if (last < at) return this.#buffer.readUIntBE(at, bytes);
    let high = 0;
    for (let next = at; next < last; next++) high = high * 256 + (this.#buffer[next] ?? 0);
    return high * TWO_POW_32 + (int32At(this.#buffer, last) >>> 0);
  }

  /**
   * The number of items that follow, each of at least one byte.
   * @param bytes of an unsigned integer; 0: it is a double
   */
  count(bytes = 0): number {
    const count = bytes === 0 ? this.number() : this.uint(bytes);
    if (isWhole(count, 0, this.#end - this.#at)) return count;
    this.#isTorn = true;
    return 0;
  }

  /** A view of what was read. */
  bytes(): Buffer {
    const head = this.#take(LENGTH_BYTES);
    const length = head < 0 ? 0 : (this.#view ??= viewOf(this.#buffer)).getUint32(head, true);
    return this.raw(length);
  }

  text(): string {
    const head = this.#take(LENGTH_BYTES);
    const length = head < 0 ? 0 : (this.#view ??= viewOf(this.#buffer)).getUint32(head, true);
    const start = this.#take(length);
    return start < 0 ? '' : this.#buffer.toString('utf8', start, start + length);
  }

  /** A view of so many bytes. */
  raw(bytes: number): Buffer {
    const start = this.#take(bytes);
    return start < 0 || bytes === 0 ? NOTHING : this.#buffer.subarray(start, start + bytes);
  }

  /** A view of all bytes up to the end. */
  rest(): Buffer {
    const start = this.#at;
    this.#at = this.#end;
    return this.#buffer.subarray(start, this.#end);
  }

  /**
   * Reads only the next `bytes` bytes, until `leave`.
   * @returns the end before, for `leave`
   */
  enter(bytes: number): number {
    const end = this.#end;
    const start = this.#take(bytes);
    this.#end = this.#at;
    if (start >= 0) this.#at = start;
    return end;
  }

  /**
   * Goes on after the bytes that were entered.
   * @returns whether they were all read
   */
  leave(end: number): boolean {
    const { isAtEnd } = this;
    this.#at = this.#end;
    this.#end = end;
    return isAtEnd;
  }

  /** No writer writes what was read: it is marked as not whole, and reads as `instead`. */
  refuse<Value>(instead: Value): Value {
    this.#isTorn = true;
    return instead;
  }

  /** Where the next bytes are, or -1 if there are too few. */
  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#end - at) {
      this.#isTorn = true;
      this.#at = this.#end;
      return -1;
    }
    this.#at = at + bytes;
    return at;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

/** The lowest number that does not fit, by the number of bytes. */
const ABOVE = Float64Array.from({ length: 9 }, (_, bytes) => 2 ** (8 * bytes));

function putUint(view: DataView, at: number, value: number, bytes: number): void {
  assert(value >= 0 && value < (ABOVE[bytes] ?? 0), 'a number that fits its bytes');
  let end = at + bytes;
  let left = value;
  if (bytes >= 4) {
    end -= 4;
    view.setUint32(end, value);
    left = Math.floor(value / TWO_POW_32);
  }
  for (; end > at; left /= 256) view.setUint8(--end, left);
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
