/**
 * The table of requests. A million may wait at once, so a request is not an object but a record of
 * `RECORD_INTS` integers in a page of many records (96 bytes; its only other memory is its bytes in
 * the arena). Lists of requests are linked through fields of the records.
 */
/** A request: the number of its record, reused after `free`. */
export type RequestId = number;

/** No request. */
export const NONE: RequestId = -1;

const RECORD_INTS = 24;
const PAGE_BITS = 12;
const PAGE_RECORDS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_RECORDS - 1;

/** Integer fields of a record. */
export const FLAGS = 0;
/** Client number, or -1 for a request that a part of this process submitted. */
export const CLIENT = 1;
export const SERVICE = 2;
/** While out: the worker's number, or the peer id of the broker that holds it. */
export const WORKER = 3;
export const DELIVERIES = 4;
/**
 * Bit `delivery % 32`: that delivery's worker was lost in silence, and its reply may still arrive
 * (D8).
 */
export const LOST = 5;
/** Bit `delivery % 32`: the worker was lost, and its reply would be incomplete. */
export const SPOILED = 6;
export const RANDOM_HIGH = 7;
export const RANDOM_LOW = 8;
/** Arena handle of envelope and body. */
export const BYTES = 9;
export const ENVELOPE_BYTES = 10;
export const BODY_BYTES = 11;
const QUEUE_NEXT = 12;
const CLIENT_NEXT = 14;
const TTL_NEXT = 16;
const BUSY_NEXT = 18;

const BESIDE_INTS = 3;
/** Beside the record, with GROUPED: the number of its group. */
export const GROUP = 0;
/** Beside the record, with TIMED: the number of its deadline's entry. */
export const DEADLINE = 1;
/** Beside the record, with UNSERVED: the number of its entry. */
export const UNSERVED_ENTRY = 2;

/** Fields that hold monotonic milliseconds, as indexes of doubles. */
export const ARRIVED_AT = 10;
/** The submitter's own number for a request that is STORED, which has no time to live here. */
export const REFERENCE: number = ARRIVED_AT;
export const DISPATCHED_AT = 11;

/** Bits of `FLAGS`. */
export const QUEUED: number = 1 << 0;
/** The request is at a worker. */
export const OUT: number = 1 << 1;
/** The request is at an internal service. */
export const INTERNAL: number = 1 << 2;
export const VERSION_02: number = 1 << 3;
export const ENVELOPED: number = 1 << 4;
/** The client sent `mmi.hello` and gets refusals (D11). */
export const UNDERSTANDS_REFUSALS: number = 1 << 5;
/** A PARTIAL of the current delivery was sent to the client: no second delivery (D6). */
export const STREAMED: number = 1 << 6;
/** PARTIALs are held for a 0.1 client (D10). */
export const HELD: number = 1 << 7;
/** Answered while still out at another worker, whose reply will be superfluous (D8). */
export const ANSWERED: number = 1 << 8;
/** The request was given up while still out at a worker. */
export const GIVEN_UP: number = 1 << 9;
/**
 * Submitted by a part of this process: see `lifecycle/stored-deliveries.ts`. If neither queued nor out, it
 * is between two deliveries.
 */
export const STORED: number = 1 << 10;
/** A worker failed on it, and the report is kept for its client: see `reported-failures.ts`. */
export const REPORTED: number = 1 << 11;
/** The headers frame is kept in front of the body (D67). */
export const HEADED: number = 1 << 12;
/** The client waits only until a deadline: see `deadlines.ts`. */
export const TIMED: number = 1 << 13;
/** The client is a plain one (`wire/dialect.ts`); with `VERSION_02`, one of MDP whose commands are digits. */
export const PLAIN: number = 1 << 14;
/** The client is a Freelance one; with `VERSION_02`, one of MDP that uses the commands of workers. */
export const FREELANCE: number = 1 << 15;
/** With `STORED`: a request of another broker, which waits for it. */
export const BRIDGED: number = 1 << 16;
/** With `UNDERSTANDS_REFUSALS`: the client also gets failures (D62). */
export const HEARS_FAILURES: number = 1 << 17;
/** With `INTERNAL`: the request only asks, and counts with `QUERY_BYTES`. */
export const QUERY: number = 1 << 18;
/** At most one worker may run it (D117). */
export const ONCE: number = 1 << 19;
/** The client does not want to wait, if it becomes certain that there is no worker (D65). */
export const UNSERVED: number = 1 << 20;
/** The request is of a group (D118). */
export const GROUPED: number = 1 << 21;
/** A stored request of a group that was at a worker before: those behind it in its group were not. */
export const RETURNED: number = 1 << 22;

const NO_PAGE = new Int32Array(0);

/** Where a request's record begins in its page. */
export function recordAt(id: RequestId): number {
  return (id & PAGE_MASK) * RECORD_INTS;
}

export class RequestTable {
  #ints: Int32Array[] = [];
  #doubles: Float64Array[] = [];
  /** Fields that few requests have, beside the records: a record of 104 bytes costs every request up to a tenth more. */
  #beside: (Int32Array | undefined)[] = [];
  /** Records from this number on were never used. */
  #fresh = 0;
  #freed: RequestId = NONE;
  #count = 0;

  /** Requests in the table. */
  get count(): number {
    return this.#count;
  }

  /** Takes a record whose fields are 0 except for the links. */
  allocate(): RequestId {
    this.#count++;
    const reused = this.#freed;
    if (reused !== NONE) {
      this.#freed = this.get(reused, QUEUE_NEXT);
      this.#clear(reused);
      return reused;
    }
    const id = this.#fresh++;
    if (id >>> PAGE_BITS === this.#ints.length) {
      const bytes = new ArrayBuffer(PAGE_RECORDS * RECORD_INTS * 4);
      this.#ints.push(new Int32Array(bytes));
      this.#doubles.push(new Float64Array(bytes));
    }
    this.#clear(id);
    return id;
  }

  free(id: RequestId): void {
    this.set(id, FLAGS, 0);
    this.set(id, QUEUE_NEXT, this.#freed);
    this.#freed = id;
    if (--this.#count === 0) {
      // When nothing is held, the pages of a burst can be released at no cost.
      this.#ints.length = 1;
      this.#doubles.length = 1;
      this.#beside.length = 1;
      this.#fresh = 0;
      this.#freed = NONE;
    }
  }

  /** True if a request with this number exists. */
  has(id: number): boolean {
    return id >= 0 && id < this.#fresh && this.get(id, FLAGS) !== 0;
  }

  /** The page of a request's record, which begins at `recordAt`; for access to several fields. */
  page(id: RequestId): Int32Array {
    return this.#ints[id >>> PAGE_BITS] ?? NO_PAGE;
  }

  /** Every request with this flag. The caller may free those already yielded. */
  *all(flag: number): IterableIterator<RequestId> {
    for (let id = 0; id < this.#fresh; id++) if (this.is(id, flag)) yield id;
  }

  get(id: RequestId, field: number): number {
    const page = this.#ints[id >>> PAGE_BITS];
    return page?.[(id & PAGE_MASK) * RECORD_INTS + field] ?? 0;
  }

  set(id: RequestId, field: number, value: number): void {
    const page = this.#ints[id >>> PAGE_BITS];
    if (page !== undefined) page[(id & PAGE_MASK) * RECORD_INTS + field] = value;
  }

  getTime(id: RequestId, field: number): number {
    const page = this.#doubles[id >>> PAGE_BITS];
    return page?.[(id & PAGE_MASK) * (RECORD_INTS / 2) + field] ?? 0;
  }

  setTime(id: RequestId, field: number, value: number): void {
    const page = this.#doubles[id >>> PAGE_BITS];
    if (page !== undefined) page[(id & PAGE_MASK) * (RECORD_INTS / 2) + field] = value;
  }

  /** A field beside the record, such as `GROUP`; it has a value only with its flag. */
  beside(id: RequestId, field: number): number {
    return this.#beside[id >>> PAGE_BITS]?.[(id & PAGE_MASK) * BESIDE_INTS + field] ?? NONE;
  }

  setBeside(id: RequestId, field: number, value: number): void {
    const page = (this.#beside[id >>> PAGE_BITS] ??= new Int32Array(PAGE_RECORDS * BESIDE_INTS));
    page[(id & PAGE_MASK) * BESIDE_INTS + field] = value;
  }

  is(id: RequestId, flag: number): boolean {
    return (this.get(id, FLAGS) & flag) !== 0;
  }

  raise(id: RequestId, flag: number): void {
    this.set(id, FLAGS, this.get(id, FLAGS) | flag);
  }

  lower(id: RequestId, flag: number): void {
    this.set(id, FLAGS, this.get(id, FLAGS) & ~flag);
  }

  #clear(id: RequestId): void {
    const page = this.#ints[id >>> PAGE_BITS];
    if (page === undefined) return;
    const at = (id & PAGE_MASK) * RECORD_INTS;
    // Field by field: calling `fill` costs more than these few writes.
    for (let field = 0; field < QUEUE_NEXT; field++) page[at + field] = 0;
    page[at + QUEUE_NEXT] = NOT_LISTED;
    page[at + CLIENT_NEXT] = NOT_LISTED;
    page[at + TTL_NEXT] = NOT_LISTED;
    page[at + BUSY_NEXT] = NOT_LISTED;
  }
}

const NOT_LISTED = -2;

/**
 * A list of requests, linked through one pair of fields. A request is in at most one list per pair.
 */
export class RequestList {
  head: RequestId = NONE;
  tail: RequestId = NONE;
  count = 0;
  readonly #table: RequestTable;
  readonly #next: number;

  /** @param next the first field of its links; absent: as of `queue` */
  protected constructor(table: RequestTable, next: number = QUEUE_NEXT) {
    this.#table = table;
    this.#next = next;
  }

  /** Waiting for a worker of one service, or out at one worker. */
  static queue(table: RequestTable): RequestList {
    return new RequestList(table, QUEUE_NEXT);
  }

  /** All requests of one client. */
  static ofClient(table: RequestTable): RequestList {
    return new RequestList(table, CLIENT_NEXT);
  }

  /** All requests with a time to live, in order of arrival: the head is due first. */
  static byArrival(table: RequestTable): RequestList {
    return new RequestList(table, TTL_NEXT);
  }

  /** All requests that are out, in order of dispatch. */
  static byDispatch(table: RequestTable): RequestList {
    return new RequestList(table, BUSY_NEXT);
  }

  has(id: RequestId): boolean {
    return this.#table.get(id, this.#next) !== NOT_LISTED;
  }

  next(id: RequestId): RequestId {
    return this.#table.get(id, this.#next);
  }

  pushBack(id: RequestId): void {
    const table = this.#table;
    const page = table.page(id);
    const at = recordAt(id) + this.#next;
    page[at] = NONE;
    page[at + 1] = this.tail;
    if (this.tail === NONE) this.head = id;
    else table.page(this.tail)[recordAt(this.tail) + this.#next] = id;
    this.tail = id;
    this.count++;
  }

  pushFront(id: RequestId): void {
    const table = this.#table;
    const page = table.page(id);
    const at = recordAt(id) + this.#next;
    page[at] = this.head;
    page[at + 1] = NONE;
    if (this.head === NONE) this.tail = id;
    else table.page(this.head)[recordAt(this.head) + this.#next + 1] = id;
    this.head = id;
    this.count++;
  }

  /** @param behind in this list; NONE: it is the first one */
  insertBehind(id: RequestId, behind: RequestId): void {
    if (behind === NONE) this.pushFront(id);
    else if (behind === this.tail) this.pushBack(id);
    else {
      const table = this.#table;
      const next = this.next(behind);
      table.set(id, this.#next, next);
      table.set(id, this.#next + 1, behind);
      table.set(behind, this.#next, id);
      table.set(next, this.#next + 1, id);
      this.count++;
    }
  }

  remove(id: RequestId): void {
    const table = this.#table;
    const page = table.page(id);
    const at = recordAt(id) + this.#next;
    const next = page[at] ?? NONE;
    const previous = page[at + 1] ?? NONE;
    if (previous === NONE) this.head = next;
    else table.page(previous)[recordAt(previous) + this.#next] = next;
    if (next === NONE) this.tail = previous;
    else table.page(next)[recordAt(next) + this.#next + 1] = previous;
    page[at] = NOT_LISTED;
    this.count--;
  }
}
