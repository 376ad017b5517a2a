/**
 * Memory outside the JavaScript heap for many small runs of bytes: no object and no garbage
 * collection per run. Runs of one size class share pages; a page is released when all its runs are
 * free. Runs above `SHARED_BYTES_MAX` get a page of their own.
 */
import { assert, present } from './assert.js';
import { freeBytes, Words } from './bytes.js';

/** A run of bytes: valid from `allocate` to `free`. */
export type ArenaHandle = number;

const PAGE_BYTES = 256 * 1024;
const SLOT_BYTES_MIN = 32;
const SHARED_BYTES_MAX = 16 * 1024;
const SLOT_BITS = 13;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
/** A handle has 32 bits: those that do not number the slot number the page. */
const PAGES_MAX = 1 << (32 - SLOT_BITS);
const NO_SLOT = -1;

interface Page {
  readonly words: Words;
  readonly number: number;
  /** Index into the size classes, or -1 for a page with a single large run. */
  readonly sizeClass: number;
  readonly slotBytes: number;
  readonly slots: number;
  used: number;
  /** Slots from this one on were never used. */
  fresh: number;
  /** Head of the list of freed slots; each holds the number of the next in its first bytes. */
  freed: number;
  /** Index in its class's list of pages with room, or -1. */
  roomIndex: number;
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

export class Arena {
  readonly #sizes = sizeClasses();
  /** Size class for each multiple of 16 bytes. */
  readonly #classOf = new Uint8Array(SHARED_BYTES_MAX / 16 + 1);
  readonly #pages: (Page | null)[] = [];
  readonly #freePageNumbers: number[] = [];
  /** The pages that have a free slot, by size class. */
  readonly #withRoom: Page[][] = this.#sizes.map(() => []);
  readonly #pagesMax: number;
  #pageBytes = 0;

  /** @param pagesMax default and upper limit: as many as a handle can number */
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

  /** False when all page numbers are in use: nothing may be allocated then. */
  get hasRoom(): boolean {
    return this.#freePageNumbers.length > 0 || this.#pages.length < this.#pagesMax;
  }

  /** Allocates `bytes` bytes with undefined content. */
  allocate(bytes: number): ArenaHandle {
    if (bytes > SHARED_BYTES_MAX) return this.#newPage(-1, bytes, 1).number << SLOT_BITS;
    const sizeClass = this.#classOf[(bytes + 15) >>> 4] ?? 0;
    const room = present(this.#withRoom[sizeClass], 'size class');
    let page = room[room.length - 1];
    if (page === undefined) {
      const slotBytes = present(this.#sizes[sizeClass], 'size class');
      page = this.#newPage(sizeClass, slotBytes, Math.floor(PAGE_BYTES / slotBytes));
      page.roomIndex = 0;
      room.push(page);
    }
    let slot = page.freed;
    if (slot === NO_SLOT) slot = page.fresh++;
    else page.freed = page.words.view.getInt32(slot * page.slotBytes);
    page.used++;
    if (page.used === page.slots) {
      room.pop();
      page.roomIndex = -1;
    }
    return (page.number << SLOT_BITS) | slot;
  }

  free(handle: ArenaHandle): void {
    const page = this.#page(handle);
    page.used--;
    assert(page.used >= 0, 'arena: freed once');
    if (page.sizeClass < 0) {
      this.#release(page);
      return;
    }
    const slot = handle & SLOT_MASK;
    page.words.view.setInt32(slot * page.slotBytes, page.freed);
    page.freed = slot;
    const room = present(this.#withRoom[page.sizeClass], 'size class');
    if (page.roomIndex < 0) {
      page.roomIndex = room.length;
      room.push(page);
    }
    // Each class keeps one empty page, so that a single run that comes and goes does not make and
    // free a page each time.
    if (page.used === 0 && room.length > 1) {
      const last = present(room.pop(), 'a page with room');
      if (last !== page) {
        room[page.roomIndex] = last;
        last.roomIndex = page.roomIndex;
      }
      this.#release(page);
    }
  }

  /**
   * Frees a run and returns its first bytes: a copy, or the buffer itself if the run has its own
   * page.
   * @param bytes how many
   */
  take(handle: ArenaHandle, bytes: number): Buffer {
    const {
      words: { bytes: buffer },
      sizeClass,
    } = this.#page(handle);
    const start = this.offset(handle);
    const run = buffer.subarray(start, start + bytes);
    const taken = sizeClass < 0 ? run : Buffer.from(run);
    this.free(handle);
    return taken;
  }

  /** The buffer that contains a run; the run begins at `offset`. */
  buffer(handle: ArenaHandle): Buffer {
    return this.#page(handle).words.bytes;
  }

  /** The words of the buffer that contains a run: see `buffer`. */
  words(handle: ArenaHandle): Words {
    return this.#page(handle).words;
  }

  offset(handle: ArenaHandle): number {
    return (handle & SLOT_MASK) * this.#page(handle).slotBytes;
  }

  #page(handle: ArenaHandle): Page {
    return present(this.#pages[handle >>> SLOT_BITS], 'arena: a live handle');
  }

  #newPage(sizeClass: number, slotBytes: number, slots: number): Page {
    assert(this.hasRoom, 'arena: a page can be numbered');
    const number = this.#freePageNumbers.pop() ?? this.#pages.length;
    const page: Page = {
      words: new Words(Buffer.allocUnsafeSlow(slotBytes * slots)),
      number,
      sizeClass,
      slotBytes,
      slots,
      used: sizeClass < 0 ? 1 : 0,
      fresh: 0,
      freed: NO_SLOT,
      roomIndex: -1,
    };
    this.#pages[number] = page;
    this.#pageBytes += page.words.bytes.length;
    return page;
  }

  #release(page: Page): void {
    this.#pages[page.number] = null;
    this.#freePageNumbers.push(page.number);
    this.#pageBytes -= page.words.bytes.length;
    // (A run with a page of its own may be used further: see `take`, and `Output.writeLasting`.)
    if (page.sizeClass >= 0) freeBytes(page.words.bytes);
  }
}
