/** Small integers packed into bytes, in the order of the calls. */
export class Bits {
  readonly bytes: Uint8Array;
  #at = 0;
  /** Bits that are not in `bytes` yet, or were taken out of it and not asked for. */
  #held = 0;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  rewind(): void {
    this.#at = 0;
    this.#held = 0;
    this.#count = 0;
  }

  /** Bytes used since `rewind`. */
  get length(): number {
    return this.#at;
  }

  put(value: number, width: number): void {
    if (value < 0 || value >= 1 << width) throw new Error(`${value} in ${width} bits`);
    this.#held |= value << this.#count;
    this.#count += width;
    while (this.#count >= 8) {
      this.bytes[this.#at++] = this.#held & 0xff;
      this.#held >>= 8;
      this.#count -= 8;
    }
  }

  take(width: number): number {
    while (this.#count < width) {
      this.#held |= (this.bytes[this.#at++] ?? 0) << this.#count;
      this.#count += 8;
    }
    const value = this.#held & ((1 << width) - 1);
    this.#held >>= width;
    this.#count -= width;
    return value;
  }

  /** The rest of the last byte is zero, so that equal states are equal bytes. */
  finish(): void {
    if (this.#count > 0) this.put(0, 8 - this.#count);
  }
}
