/**
 * Limits lines that a peer can provoke to one per second for each kind (for some kinds: each kind
 * and identity), and counts those left out. The last one left out is written when its second is
 * over, so that every count appears.
 */
/** Writes the line. @param leftOut lines of its kind that were left out before it */
type Write = (leftOut: number) => void;

interface Kind {
  /** Monotonic milliseconds until which the kind is silent. */
  until: number;
  leftOut: number;
  last: Write | null;
}

const SILENT_MS = 1000;
/** Kinds counted separately; the rest share one. */
const KINDS_MAX = 256;
const OTHERS = '(others)';
/** Identities counted separately, over all kinds. */
const IDENTITIES_MAX = 20;

export class Throttle {
  readonly #kinds = new Map<string, Kind>();
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;
  /** The last one used: tens of thousands of events in a row are usually of one kind. */
  #last: { readonly kind: string; readonly who: string | null; readonly found: Kind } | null = null;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * @param write writes the line when called, which may be later; of the lines left out only the
   * last is ever written
   * @param who the identity, for kinds that are limited for each of up to `IDENTITIES_MAX`
   * identities
   */
  write(kind: string, write: Write, who: string | null): void {
    const now = this.#now();
    const known = this.#find(kind, who, now);
    if (known.until > now) {
      known.leftOut++;
      known.last = write;
      return;
    }
    this.#say(known, now, write);
  }

  /** Writes what was left out. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const kind of this.#kinds.values()) this.#sayLast(kind, Infinity);
    this.#kinds.clear();
    this.#last = null;
  }

  #find(kind: string, who: string | null, now: number): Kind {
    const last = this.#last;
    if (last?.kind === kind && last.who === who) return last.found;
    const own = who === null ? kind : `${kind} of ${who}`;
    const found = this.#kinds.get(own) ?? this.#of(kind, own, now);
    this.#last = { kind, who, found };
    return found;
  }

  /** The entry of one identity if there is room, else that of all others. */
  #of(kind: string, own: string, now: number): Kind {
    if (own === kind) return this.#add(kind, now);
    let others = 0;
    for (const each of this.#kinds.keys()) if (each.includes(' of ')) others++;
    if (others < IDENTITIES_MAX) return this.#add(own, now);
    return this.#kinds.get(kind) ?? this.#add(kind, now);
  }

  #add(name: string, now: number): Kind {
    const key = this.#kinds.size < KINDS_MAX ? name : OTHERS;
    const kind = this.#kinds.get(key) ?? { until: now, leftOut: 0, last: null };
    this.#kinds.set(key, kind);
    this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
    return kind;
  }

  #say(kind: Kind, now: number, write: Write): void {
    write(kind.leftOut);
    kind.until = now + SILENT_MS;
    kind.leftOut = 0;
    kind.last = null;
  }

  /** The line to write is one of those left out, so the count is one less. */
  #sayLast(kind: Kind, now: number): void {
    const { last } = kind;
    if (last === null) return;
    kind.leftOut--;
    this.#say(kind, now, last);
  }

  readonly #tick = (): void => {
    this.#timer = null;
    this.#last = null;
    const now = this.#now();
    for (const [name, kind] of this.#kinds) {
      if (kind.until > now) continue;
      if (kind.last === null) this.#kinds.delete(name);
      else this.#sayLast(kind, now);
    }
    if (this.#kinds.size > 0) this.#timer = setTimeout(this.#tick, SILENT_MS).unref();
  };
}
