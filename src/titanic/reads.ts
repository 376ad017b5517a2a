/**
 * Look-ups in the store, for those who ask for stored requests. Who asks for the same uuid meanwhile
 * shares the look-up. Small replies come with it; a large one is only measured, and read when there is
 * room for it: for so many bytes at a time in all, and of one identity after the other (D75, D76).
 */
import { FairQueue } from './fair-queue.js';
import type { RequestUuid } from './store.js';
import type { Asking } from './waiters.js';

/** A reply of so many bytes comes with the look-up. */
export const SMALL_BYTES = 4096;
/** Look-ups under way at once. */
const LOOKS_MAX = 4096;
/** Bytes of large replies that are being read at once; one of any size always may. */
const LARGE_BYTES_MAX = 16 * 1024 * 1024;
/** After a look-up that failed. */
const LOOK_AGAIN_MS = 1000;

/** A look-up, and who is to be told what it finds. */
interface Look {
  readonly uuid: RequestUuid;
  readonly key: string;
  /** Bytes of the reply that it reads; 0: of a small one, or only how large it is. */
  readonly bytes: number;
  readonly asked: Asking[];
}

export class Reads {
  readonly #askStore: (look: number, uuid: RequestUuid, replyBytesMax: number) => void;
  readonly #looks = new Map<number, Look>();
  /** Those that wait or are under way, by uuid, which others may join. */
  readonly #small = new Map<string, Look>();
  readonly #large = new Map<string, Look>();
  readonly #waiting = new FairQueue<Look>();
  readonly #waitingLarge = new FairQueue<Look>();
  #largeBytes = 0;
  #last = 0;
  /** Those that failed, and when they are tried again. */
  #again: Look[] = [];
  #againAt = Infinity;

  constructor(askStore: (look: number, uuid: RequestUuid, replyBytesMax: number) => void) {
    this.#askStore = askStore;
  }

  /** When `run` is next wanted although nothing comes; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#againAt;
  }

  /** What the store knows of it. */
  ask(asking: Asking): void {
    this.#join(this.#small, this.#waiting, asking, 0);
  }

  /** Its reply, which has so many bytes. */
  askLarge(asking: Asking, bytes: number): void {
    this.#join(this.#large, this.#waitingLarge, asking, bytes);
  }

  #join(known: Map<string, Look>, queue: FairQueue<Look>, asking: Asking, bytes: number): void {
    const { uuid, asker } = asking;
    const key = uuid.toString('latin1');
    const same = known.get(key);
    if (same !== undefined) {
      same.asked.push(asking);
      return;
    }
    const look = { uuid, key, bytes, asked: [asking] };
    known.set(key, look);
    queue.push(asker.identity, look, bytes);
    this.#start();
  }

  #start(): void {
    while (this.#waiting.size > 0 && this.#looks.size < LOOKS_MAX) {
      this.#begin(this.#waiting.shift(), SMALL_BYTES);
    }
    while (this.#waitingLarge.size > 0) {
      const bytes = this.#largeBytes + this.#waitingLarge.nextBytes;
      if (this.#largeBytes > 0 && bytes > LARGE_BYTES_MAX) return;
      this.#largeBytes = bytes;
      this.#begin(this.#waitingLarge.shift(), Infinity);
    }
  }

  #begin(look: Look | undefined, replyBytesMax: number): void {
    if (look === undefined) return;
    this.#looks.set(++this.#last, look);
    this.#askStore(this.#last, look.uuid, replyBytesMax);
  }

  /** @returns who is to be told; none if nobody asked */
  found(number: number): readonly Asking[] {
    const look = this.#end(number);
    if (look === null) return [];
    this.#forget(look);
    this.#start();
    return look.asked;
  }

  /** Nothing is known of it at present: neither that it is unknown nor that it is still pending. */
  failed(number: number, now: number): void {
    const look = this.#end(number);
    if (look === null) return;
    if (this.#again.length === 0) this.#againAt = now + LOOK_AGAIN_MS;
    this.#again.push(look);
    this.#start();
  }

  #end(number: number): Look | null {
    const look = this.#looks.get(number);
    if (look === undefined) return null;
    this.#looks.delete(number);
    this.#largeBytes -= look.bytes;
    return look;
  }

  /** What it found is of now, and is told later: nobody joins it any more. */
  seal(number: number): void {
    const look = this.#looks.get(number);
    if (look !== undefined) this.#forget(look);
  }

  #forget(look: Look): void {
    const known = look.bytes === 0 ? this.#small : this.#large;
    if (known.get(look.key) === look) known.delete(look.key);
  }

  /** Tries those again that failed. */
  run(now: number): void {
    if (this.#againAt > now) return;
    const again = this.#again;
    this.#again = [];
    this.#againAt = Infinity;
    for (const look of again) {
      const identity = look.asked[0]?.asker.identity ?? '';
      (look.bytes === 0 ? this.#waiting : this.#waitingLarge).push(identity, look, look.bytes);
    }
    this.#start();
  }
}
