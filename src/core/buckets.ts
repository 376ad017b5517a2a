/**
 * Finds numbered records by a hash. Each bucket has a list of records. The numbers are small, as memory is kept for
 * all below the largest one.
 */
const PAGE_BITS = 10;
const PAGE_SIZE = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_SIZE - 1;
const BUCKETS_MIN = 16;
/** Words of a record: its hash, and the next record of its bucket. */
const LINK_WORDS = 2;

/** No record: the end of a list. */
export const NO_RECORD = -1;

/**
 * There are about as many buckets as records, up to twice as many. They are split and joined one at a time, in order
 * (linear hashing): no record that comes or goes takes longer than others, however many there are.
 */
export class Buckets {
  /** The first record of each bucket, by pages: one array of all would be copied when it grows. */
  readonly #firsts: Int32Array[] = [newPage()];
  /** The words of each record, by pages. They lie together: a bucket is searched and split without its records. */
  readonly #links: Int32Array[] = [];
  #size = BUCKETS_MIN;
  /** Below twice the size. */
  #mask = BUCKETS_MIN - 1;
  #count = 0;

  /** Records that are here. */
  get count(): number {
    return this.#count;
  }

  /** The first record of the bucket of this hash, or `NO_RECORD`. Others are there, too: see `hashOf`. */
  first(hash: number): number {
    return this.#first(this.#bucketOf(hash));
  }

  /** The next record of its bucket, or `NO_RECORD`. */
  next(record: number): number {
    return this.#links[record >>> PAGE_BITS]?.[(record & PAGE_MASK) * LINK_WORDS + 1] ?? NO_RECORD;
  }

  /** The hash of a record that is here. */
  hashOf(record: number): number {
    return this.#links[record >>> PAGE_BITS]?.[(record & PAGE_MASK) * LINK_WORDS] ?? 0;
  }

  /**
   * Adds a record that is not here.
   * @param hash 32 bits, whose lowest ones choose the bucket
   */
  add(record: number, hash: number): void {
    const number = record >>> PAGE_BITS;
    while (this.#links.length <= number) this.#links.push(new Int32Array(PAGE_SIZE * LINK_WORDS));
    const page = this.#links[number];
    if (page !== undefined) page[(record & PAGE_MASK) * LINK_WORDS] = hash;
    this.#count++;
    if (this.#count > this.#size) this.#split();
    this.#link(record);
  }

  /** Removes a record that is here. */
  remove(record: number): void {
    const bucket = this.#bucketOf(this.hashOf(record));
    const next = this.next(record);
    let before = this.#first(bucket);
    if (before === record) {
      this.#setFirst(bucket, next);
    } else {
      for (let at = this.next(before); at !== record; at = this.next(at)) before = at;
      this.#setNext(before, next);
    }
    this.#count--;
    // (Two at most.)
    while (this.#size > BUCKETS_MIN && this.#count * 2 < this.#size) this.#join();
    if (this.#count === 0) this.#links.length = 1;
  }

  /** Buckets beyond the last one are not split off yet. */
  #bucketOf(hash: number): number {
    const bucket = hash & this.#mask;
    return bucket < this.#size ? bucket : bucket & (this.#mask >>> 1);
  }

  /** Adds a bucket, with the records of another one that belong there. */
  #split(): void {
    const added = this.#size++;
    if (added > this.#mask) this.#mask = this.#mask * 2 + 1;
    if ((added & PAGE_MASK) === 0) this.#firsts.push(newPage());
    this.#linkAgain(added & (this.#mask >>> 1));
  }

  /** Takes the last bucket away. */
  #join(): void {
    const last = --this.#size;
    if (last === (this.#mask >>> 1) + 1) this.#mask >>>= 1;
    this.#linkAgain(last);
    if ((last & PAGE_MASK) === 0) this.#firsts.pop();
  }

  #linkAgain(bucket: number): void {
    let record = this.#first(bucket);
    this.#setFirst(bucket, NO_RECORD);
    while (record !== NO_RECORD) {
      const next = this.next(record);
      this.#link(record);
      record = next;
    }
  }

  #link(record: number): void {
    const bucket = this.#bucketOf(this.hashOf(record));
    this.#setNext(record, this.#first(bucket));
    this.#setFirst(bucket, record);
  }

  #first(bucket: number): number {
    return this.#firsts[bucket >>> PAGE_BITS]?.[bucket & PAGE_MASK] ?? NO_RECORD;
  }

  #setFirst(bucket: number, record: number): void {
    const page = this.#firsts[bucket >>> PAGE_BITS];
    if (page !== undefined) page[bucket & PAGE_MASK] = record;
  }

  #setNext(record: number, next: number): void {
    const page = this.#links[record >>> PAGE_BITS];
    if (page !== undefined) page[(record & PAGE_MASK) * LINK_WORDS + 1] = next;
  }
}

function newPage(): Int32Array {
  return new Int32Array(PAGE_SIZE).fill(NO_RECORD);
}
