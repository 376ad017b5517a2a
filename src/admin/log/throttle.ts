/**
 * Limits lines that a peer can provoke to one per second, or a longer time, for each kind (for some kinds:
 * each kind and identity), and counts those left out. The last one left out is written when that time is
 * over, so that every count appears. Lines about the same subject, such as `connected` and
 * `disconnected`, keep their order, so that the last one tells the present state.
 */
/** Writes the line. @param leftOut lines of its kind that were left out before it */
type Write = (leftOut: number) => void;

interface Kind {
  /** Kinds of the same subject are written in the order of their events; `null`: any. */
  readonly subject: string | null;
  /** Monotonic milliseconds until which the kind is silent. */
  until: number;
  /** Milliseconds for which the kind is silent, from the next line on. */
  silentMs: number;
  leftOut: number;
  last: Write | null;
  /** The position of `last` among the last lines of all kinds. */
  order: number;
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
  #order = 0;
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
   * @param subject what lines of this kind and of others tell the state of
   * @param silentMs for how long the kind is silent after a line
   */
  write(
    kind: string,
    write: Write,
    who: string | null,
    subject: string | null = null,
    silentMs = SILENT_MS,
  ): void {
    const now = this.#now();
    const known = this.#find(kind, who, subject, now);
    known.silentMs = silentMs;
    if (known.until > now || this.#hasEarlier(known)) {
      known.leftOut++;
      known.last = write;
      known.order = ++this.#order;
      return;
    }
    this.#say(known, now, write);
  }

  /** Whether another line about its subject has not been written yet. */
  #hasEarlier(kind: Kind): boolean {
    if (kind.subject === null) return false;
    for (const each of this.#kinds.values()) {
      if (each !== kind && each.subject === kind.subject && each.last !== null) return true;
    }
    return false;
  }

  /** Writes what was left out. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const [, kind] of this.#inOrder()) this.#sayLast(kind, Infinity);
    this.#kinds.clear();
    this.#last = null;
  }

  #find(kind: string, who: string | null, subject: string | null, now: number): Kind {
    const last = this.#last;
    if (last?.kind === kind && last.who === who) return last.found;
    const own = who === null ? kind : `${kind} of ${who}`;
    const found = this.#kinds.get(own) ?? this.#of(kind, own, subject, now);
    this.#last = { kind, who, found };
    return found;
  }

  /** The entry of one identity if there is room, else that of all others. */
  #of(kind: string, own: string, subject: string | null, now: number): Kind {
    if (own === kind) return this.#entryFor(kind, subject, now);
    let others = 0;
    for (const each of this.#kinds.keys()) if (each.includes(' of ')) others++;
    if (others < IDENTITIES_MAX) return this.#entryFor(own, subject, now);
    return this.#kinds.get(kind) ?? this.#entryFor(kind, subject, now);
  }

  #entryFor(name: string, subject: string | null, now: number): Kind {
    // There are few subjects.
    const key = this.#kinds.size < KINDS_MAX || subject !== null ? name : OTHERS;
    const made = { subject, until: now, silentMs: SILENT_MS, leftOut: 0, last: null, order: 0 };
    const kind = this.#kinds.get(key) ?? made;
    this.#kinds.set(key, kind);
    this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
    return kind;
  }

  #say(kind: Kind, now: number, write: Write): void {
    write(kind.leftOut);
    kind.until = now + kind.silentMs;
    kind.leftOut = 0;
    kind.last = null;
  }

  /** Sorts the kinds by the last line that each left out. */
  #inOrder(): [string, Kind][] {
    return [...this.#kinds].sort(([, a], [, b]) => a.order - b.order);
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
    /** Subjects with a line that is not due yet, which those after it wait for. */
    const waiting = new Set<string>();
    for (const [name, kind] of this.#inOrder()) {
      const { subject, last } = kind;
      if (kind.until > now || (subject !== null && waiting.has(subject))) {
        if (subject !== null && last !== null) waiting.add(subject);
        continue;
      }
      if (last === null) this.#kinds.delete(name);
      else this.#sayLast(kind, now);
    }
    if (this.#kinds.size > 0) this.#timer = setTimeout(this.#tick, SILENT_MS).unref();
  };
}
