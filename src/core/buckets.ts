/**
 * Finds numbered records by a hash. Each bucket has a list of records, and each record knows the next one of its
 * bucket.
 */
const PAGE_BITS = 10;
const PAGE_BUCKETS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_BUCKETS - 1;
const BUCKETS_MIN = 16;

/** No record: the end of a list. */
export const NO_RECORD = -1;

/** The records, which are numbered from 0 on. */
export interface Chained {
  /** 32 bits, whose lowest ones choose the bucket. The same as long as the record is here. */
  hashOf(record: number): number;
  nextInBucket(record: number): number;
  linkInBucket(record: number, next: number): void;
}

/**
 * There are about as many buckets as records, up to twice as many. They are split and joined one at a time, in order
 * (linear hashing): no record that comes or goes takes longer than others, however many there are.
 */
export class Buckets {
  readonly #records: Chained;
  /** The first record of each bucket, by pages: one array of all would be copied when it grows. */
  readonly #pages: Int32Array[] = [newPage()];
  #size = BUCKETS_MIN;
  /** Below twice the size. */
  #mask = BUCKETS_MIN - 1;
  #count = 0;

  constructor(records: Chained) {
    this.#records = records;
  }

  /** Records that are here. */
  get count(): number {
    return this.#count;
  }

  /** The first record of the bucket of this hash, or `NO_RECORD`. */
  first(hash: number): number {
    return this.#first(this.#bucketOf(hash));
  }

  add(record: number): void {
    this.#count++;
    if (this.#count > this.#size) this.#split();
    this.#link(record);
  }

  /** Removes a record that is here. */
  remove(record: number): void {
    const records = this.#records;
    const bucket = this.#bucketOf(records.hashOf(record));
    const next = records.nextInBucket(record);
    let before = this.#first(bucket);
    if (before === record) {
      this.#setFirst(bucket, next);
    } else {
      for (let at = records.nextInBucket(before); at !== record; at = records.nextInBucket(at)) {
        before = at;
      }
      records.linkInBucket(before, next);
    }
    this.#count--;
    // (Two at most.)
    while (this.#size > BUCKETS_MIN && this.#count * 2 < this.#size) this.#join();
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
    if ((added & PAGE_MASK) === 0) this.#pages.push(newPage());
    this.#linkAgain(added & (this.#mask >>> 1));
  }

  /** Takes the last bucket away. */
  #join(): void {
    const last = --this.#size;
    if (last === (this.#mask >>> 1) + 1) this.#mask >>>= 1;
    this.#linkAgain(last);
    if ((last & PAGE_MASK) === 0) this.#pages.pop();
  }

  #linkAgain(bucket: number): void {
    let record = this.#first(bucket);
    this.#setFirst(bucket, NO_RECORD);
    while (record !== NO_RECORD) {
      const next = this.#records.nextInBucket(record);
      this.#link(record);
      record = next;
    }
  }

  #link(record: number): void {
    const bucket = this.#bucketOf(this.#records.hashOf(record));
    this.#records.linkInBucket(record, this.#first(bucket));
    this.#setFirst(bucket, record);
  }

  #first(bucket: number): number {
    return this.#pages[bucket >>> PAGE_BITS]?.[bucket & PAGE_MASK] ?? NO_RECORD;
  }

  #setFirst(bucket: number, record: number): void {
    const page = this.#pages[bucket >>> PAGE_BITS];
    if (page !== undefined) page[bucket & PAGE_MASK] = record;
  }
}

function newPage(): Int32Array {
  return new Int32Array(PAGE_BUCKETS).fill(NO_RECORD);
}
