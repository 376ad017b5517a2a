/**
 * Memory outside the JavaScript heap for many small runs of bytes: no object and no garbage
 * collection per run. Runs of one size class share pages, and a page is released when all its runs are free. A peer
 * could keep one run in each page of each class in turn: so runs are moved together when too much of all pages is
 * free. Runs above `SHARED_BYTES_MAX` get a page of their own.
 */
import { assert, present } from './assert.js';
import { copyWords, freeBytes, Words } from './bytes.js';
import { Piece, pieceBytes, pieceOf } from './piece.js';

/** A run of bytes: valid from `allocate` to `free`, wherever the run lies. */
export type ArenaHandle = number;

const PAGE_BYTES = 256 * 1024;
const SLOT_BYTES_MIN = 32;
const SHARED_BYTES_MAX = 16 * 1024;
const SLOT_BITS = 13;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
/** A place has 31 bits: those that do not number the slot number the page. */
const PAGES_MAX = 1 << (31 - SLOT_BITS);
/** Free bytes of shared pages that are always allowed: each class has some. More than a page of each class. */
const FREE_BYTES_MAX = 12 * 1024 * 1024;
/** More free bytes are allowed up to this share of those in use: the smaller it is, the more is moved. */
const FREE_SHARE = 1 / 8;
const HANDLES_MIN = 1024;
/** Where a list of freed slots, or of free handles, ends. */
const END = -1;
const NO_HANDLES = new Int32Array(0);

interface Page {
  readonly words: Words;
  /** Where its first run begins. */
  readonly from: number;
  readonly number: number;
  /** Index into the size classes, or -1 for a page with a single large run. */
  readonly sizeClass: number;
  readonly slotBytes: number;
  readonly slots: number;
  /** The handle of each slot; of a free one `freeMark(the next free one)`. Empty for a large run, which is not moved. */
  readonly handles: Int32Array;
  used: number;
  /** Slots from this one on were never used. */
  fresh: number;
  /** Head of the list of freed slots. */
  freed: number;
  /** Index in its class's list of pages with room, or -1. */
  roomIndex: number;
}

/** Stands for a free slot, or handle, and the next free one: below every handle and place. Its own inverse. */
function freeMark(next: number): number {
  return -2 - next;
}

/**
 * Each size is about a fifth larger than the one before, so at most a fifth of a slot is wasted.
 */
function sizeClasses(): number[] {
  const sizes: number[] = [];
  for (let size = SLOT_BYTES_MIN; size < SHARED_BYTES_MAX;) {
    sizes.push(size);
    size = Math.ceil((size * 1.2) / 16) * 16;
  }
  sizes.push(SHARED_BYTES_MAX);
  return sizes;
}

/** Where a run lies. */
interface Run {
  /** The bytes of the page in which it lies. */
  words: Words;
  /** Where it begins in these. */
  start: number;
}

/** Runs of bytes. */
export class Arena {
  readonly #sizes = sizeClasses();
  /** Size class for each multiple of 16 bytes. */
  readonly #classOf = new Uint8Array(SHARED_BYTES_MAX / 16 + 1);
  readonly #pages: (Page | null)[] = [];
  readonly #freePageNumbers: number[] = [];
  /** The pages that have a free slot, by size class. */
  readonly #withRoom: Page[][] = this.#sizes.map(() => []);
  readonly #pagesMax: number;
  /** The place of each handle, `page << SLOT_BITS | slot`; of a free one `freeMark(the next free one)`. */
  #places = new Int32Array(HANDLES_MIN);
  #freshHandle = 0;
  #freedHandle = END;
  #pageBytes = 0;
  /** Bytes of all free slots. */
  #free = 0;
  /** See `find`. */
  readonly #found: Run = { words: new Words(Buffer.alloc(0)), start: 0 };

  /** @param pagesMax default and upper limit: as many as a place can number */
  constructor(pagesMax: number = PAGES_MAX) {
    this.#pagesMax = Math.min(pagesMax, PAGES_MAX);
    let sizeClass = 0;
    for (let step = 0; step < this.#classOf.length; step++) {
      while ((this.#sizes[sizeClass] ?? 0) < step * 16) sizeClass++;
      this.#classOf[step] = sizeClass;
    }
  }

  /** Bytes of all pages, used or free. */
  get pageBytes(): number {
    return this.#pageBytes;
  }

  /** Bytes of free slots beyond those that every arena may have: nobody else can use them. */
  get excessBytes(): number {
    return Math.max(0, this.#free - FREE_BYTES_MAX);
  }

  /** False when all page numbers are in use: nothing may be allocated then. */
  get hasRoom(): boolean {
    return this.#freePageNumbers.length > 0 || this.#pages.length < this.#pagesMax;
  }

  /** Allocates `bytes` bytes with undefined content. */
  allocate(bytes: number): ArenaHandle {
    if (bytes > SHARED_BYTES_MAX) {
      return this.adopt(new Piece(bytes), 0);
    }
    const sizeClass = this.#classFor(bytes);
    const room = this.#roomOf(sizeClass);
    let page = room[room.length - 1];
    if (page === undefined) {
      const slotBytes = present(this.#sizes[sizeClass], 'size class');
      page = this.#newPage(sizeClass, slotBytes, Math.floor(PAGE_BYTES / slotBytes));
      page.roomIndex = 0;
      room.push(page);
    }
    const slot = this.#takeSlot(page, room);
    const handle = this.#handleOf((page.number << SLOT_BITS) | slot);
    page.handles[slot] = handle;
    return handle;
  }

  /** Makes a run of a large piece, from `start` on; `free` releases the piece. */
  adopt({ words }: Piece, start: number): ArenaHandle {
    return this.#handleOf(
      this.#newPage(-1, words.bytes.length, 1, words, start).number << SLOT_BITS,
    );
  }

  free(handle: ArenaHandle): void {
    const place = this.#placeOf(handle);
    const page = this.#pageAt(place);
    this.#places[handle] = freeMark(this.#freedHandle);
    this.#freedHandle = handle;
    page.used--;
    if (page.sizeClass < 0) {
      this.#release(page);
      return;
    }
    const slot = place & SLOT_MASK;
    page.handles[slot] = freeMark(page.freed);
    page.freed = slot;
    this.#free += page.slotBytes;
    const room = this.#roomOf(page.sizeClass);
    if (page.roomIndex < 0) {
      page.roomIndex = room.length;
      room.push(page);
    }
    // Each class keeps one empty page, so that a single run that comes and goes does not make and
    // free a page each time.
    if (page.used === 0 && room.length > 1) {
      this.#leaveRoom(page, room);
      this.#release(page);
    }
    if (this.#free > FREE_BYTES_MAX + (this.#pageBytes - this.#free) * FREE_SHARE) this.#compact();
  }

  /**
   * Frees a run and returns its first bytes: a copy, or the buffer itself if the run has its own
   * page.
   * @param bytes how many
   */
  take(handle: ArenaHandle, bytes: number): Buffer {
    const { words, start } = this.find(handle);
    const run = words.bytes.subarray(start, start + bytes);
    const isAlone = bytes > SHARED_BYTES_MAX;
    const taken = isAlone ? run : Buffer.from(run);
    // What is taken is V8's to collect.
    if (isAlone) pieceOf(words.bytes)?.hold();
    this.free(handle);
    return taken;
  }

  /** @returns where a run lies until the next `allocate`, `free` or `take`; the object is reused by the next call */
  find(handle: ArenaHandle): Readonly<Run> {
    const place = this.#placeOf(handle);
    const { words, slotBytes, from } = this.#pageAt(place);
    const found = this.#found;
    found.words = words;
    found.start = from + (place & SLOT_MASK) * slotBytes;
    return found;
  }

  /** Bytes that a run of `bytes` bytes takes: at least those. */
  sizeOf(bytes: number): number {
    if (bytes > SHARED_BYTES_MAX) return pieceBytes(bytes);
    return this.#sizes[this.#classFor(bytes)] ?? 0;
  }

  #classFor(bytes: number): number {
    return this.#classOf[(bytes + 15) >>> 4] ?? 0;
  }

  #placeOf(handle: ArenaHandle): number {
    const place = this.#places[handle] ?? -1;
    assert(place >= 0, 'arena: a live handle');
    return place;
  }

  #pageAt(place: number): Page {
    return present(this.#pages[place >> SLOT_BITS], 'arena: a page');
  }

  #roomOf(sizeClass: number): Page[] {
    return present(this.#withRoom[sizeClass], 'size class');
  }

  /** Gives a run at this place a handle. */
  #handleOf(place: number): ArenaHandle {
    let handle = this.#freedHandle;
    if (handle === END) {
      handle = this.#freshHandle++;
      if (handle === this.#places.length) {
        const places = new Int32Array(handle * 2);
        places.set(this.#places);
        this.#places = places;
      }
    } else {
      this.#freedHandle = freeMark(this.#places[handle] ?? END);
    }
    this.#places[handle] = place;
    return handle;
  }

  /** @param page the last one of `room`, the list of its class */
  #takeSlot(page: Page, room: Page[]): number {
    let slot = page.freed;
    if (slot === END) slot = page.fresh++;
    else page.freed = freeMark(page.handles[slot] ?? END);
    page.used++;
    this.#free -= page.slotBytes;
    if (page.used === page.slots) {
      room.pop();
      page.roomIndex = -1;
    }
    return slot;
  }

  #leaveRoom(page: Page, room: Page[]): void {
    const last = present(room.pop(), 'a page with room');
    if (last === page) return;
    room[page.roomIndex] = last;
    last.roomIndex = page.roomIndex;
  }

  /**
   * Moves the runs of the emptiest page of the class that has most free bytes to its other pages: all classes together
   * have so many that these are more than a page.
   */
  #compact(): void {
    let room: Page[] = [];
    let most = 0;
    for (const pages of this.#withRoom) {
      let bytes = 0;
      for (const { slots, used, slotBytes } of pages) bytes += (slots - used) * slotBytes;
      if (bytes > most) [room, most] = [pages, bytes];
    }
    const emptiest = room.reduce((least, page) => (page.used < least.used ? page : least));
    this.#leaveRoom(emptiest, room);
    const { handles, words, slotBytes, fresh } = emptiest;
    for (let slot = 0; slot < fresh; slot++) {
      const handle = handles[slot] ?? END;
      if (handle < 0) continue;
      const page = present(room[room.length - 1], 'room for what is moved');
      const to = this.#takeSlot(page, room);
      copyWords(words, slot * slotBytes, (slot + 1) * slotBytes, page.words, to * slotBytes);
      page.handles[to] = handle;
      this.#places[handle] = (page.number << SLOT_BITS) | to;
      this.#free += slotBytes;
    }
    this.#release(emptiest);
  }

  // Shared pages are all of one size, so that the allocator of the process uses freed ones again as they are.
  #newPage(
    sizeClass: number,
    slotBytes: number,
    slots: number,
    words: Words = new Words(Buffer.allocUnsafeSlow(PAGE_BYTES)),
    from = 0,
  ): Page {
    assert(this.hasRoom, 'arena: a page can be numbered');
    const number = this.#freePageNumbers.pop() ?? this.#pages.length;
    const isShared = sizeClass >= 0;
    const page: Page = {
      words,
      from,
      number,
      sizeClass,
      slotBytes,
      slots,
      handles: isShared ? new Int32Array(slots) : NO_HANDLES,
      used: isShared ? 0 : 1,
      fresh: 0,
      freed: END,
      roomIndex: -1,
    };
    this.#pages[number] = page;
    this.#pageBytes += page.words.bytes.length;
    if (isShared) this.#free += slots * slotBytes;
    return page;
  }

  #release({ words: { bytes }, number, sizeClass, slots, slotBytes }: Page): void {
    this.#pages[number] = null;
    this.#freePageNumbers.push(number);
    this.#pageBytes -= bytes.length;
    if (sizeClass < 0) {
      pieceOf(bytes)?.release();
      return;
    }
    this.#free -= slots * slotBytes;
    freeBytes(bytes);
  }
}
