/**
 * The latest events of this node, for new readers. Their number and bytes are bounded. If there are
 * too many, the event name with the most bytes loses its oldest event, so that a repeated event
 * does not push out the others.
 */

/** An event as readers get it. */
export interface RetainedEvent {
  /** Counted from the start of the process. */
  readonly number: number;
  readonly name: string;
  /** The text for readers with a token (`whole`) and without (`open`). They are often the same. */
  readonly whole: string;
  readonly open: string;
}

const RETAINED_MAX = 1000;
const RETAINED_BYTES_MAX = 256 * 1024;

interface OfName {
  events: RetainedEvent[];
  bytes: number;
}

export class EventHistory {
  readonly #byName = new Map<string, OfName>();
  #count = 0;
  #bytes = 0;

  add(event: RetainedEvent): void {
    let retained = this.#byName.get(event.name);
    if (retained === undefined) this.#byName.set(event.name, (retained = { events: [], bytes: 0 }));
    const size = sizeOf(event);
    retained.events.push(event);
    retained.bytes += size;
    this.#count++;
    this.#bytes += size;
    while (this.#count > RETAINED_MAX || this.#bytes > RETAINED_BYTES_MAX) this.#forgetOne();
  }

  /** The kept events with a higher number than `after`, in order. */
  after(after: number): readonly RetainedEvent[] {
    const found = [...this.#byName.values()].flatMap(({ events }) =>
      events.filter(({ number }) => number > after),
    );
    return found.sort((left, right) => left.number - right.number);
  }

  #forgetOne(): void {
    let most: OfName | null = null;
    for (const each of this.#byName.values()) {
      if (most === null || each.bytes > most.bytes) most = each;
    }
    const oldest = most?.events.shift();
    if (most === null || oldest === undefined) return;
    const size = sizeOf(oldest);
    most.bytes -= size;
    this.#count--;
    this.#bytes -= size;
    if (most.events.length === 0) this.#byName.delete(oldest.name);
  }
}

/** The bytes that a reader gets at most. */
function sizeOf({ whole }: RetainedEvent): number {
  return Buffer.byteLength(whole);
}
