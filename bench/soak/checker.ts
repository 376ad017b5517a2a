/**
 * What must be true of a long run, checked while it goes on. A request costs a few bits here: what is kept of each is
 * kept for minutes.
 */

/** Whose requests are numbered: those of the SDK's clients, and of programs over HTTP. */
export const KINDS = ['sdk', 'http'] as const;
export type Kind = (typeof KINDS)[number];

/** A process that executes requests. */
export interface Executor {
  /** When it was killed or stopped for good; `Infinity`: it was not. */
  goneAt: number;
}

interface Execution {
  readonly at: number;
  readonly by: Executor;
}

/** When the pair changed, or one of its nodes was away. */
interface Span {
  readonly from: number;
  to: number;
  /** Both nodes were active. */
  readonly isSplit: boolean;
}

type Happened = (from: number, to: number, what?: 'split') => boolean;

/** A second execution, of which is not known yet whether it is promised not to happen. */
interface Doubt {
  readonly name: string;
  readonly first: Execution;
  readonly again: Execution;
  /** When it was closed, if it was so before it ran again. */
  readonly closedAt: number | undefined;
}

/** Of this many requests is known who executed them and when they were closed: those of several minutes. */
const EXECUTIONS_MAX = 16_384;
/** What is closed runs no more; what a worker says just before is heard late. */
const CLOSED_MS = 5000;
/** Logs, which say that the pair has changed, are read later than that happens. */
const DOUBT_MS = 30_000;
/** A webhook comes later than its request, the longer the more of them were in the way. */
const LATE_MS = 300_000;
/** After that time nothing is asked about a change of the pair any more. */
const SPAN_MS = 2 * LATE_MS;
const SHOWN_MAX = 20;

export class Bits {
  #bytes = new Uint8Array(1024);
  count = 0;

  has(at: number): boolean {
    return ((this.#bytes[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  /** @returns false if it was set before */
  set(at: number): boolean {
    if (this.has(at)) return false;
    const byte = at >> 3;
    if (byte >= this.#bytes.length) {
      const grown = new Uint8Array(2 * byte);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[byte] = (this.#bytes[byte] ?? 0) | (1 << (at & 7));
    this.count++;
    return true;
  }

  /** Those that are set here and not there. */
  *without(there: Bits): Generator<number> {
    for (let at = 0; at < 8 * this.#bytes.length; at++) {
      if (this.has(at) && !there.has(at)) yield at;
    }
  }
}

/** The durable requests of one kind, which are numbered from 1 on. */
export class Tally {
  /** Acknowledged. */
  readonly stored: Bits = new Bits();
  /** Their results were fetched, and they were closed. */
  readonly done: Bits = new Bits();
  readonly ran: Bits = new Bits();
  /** Acknowledged with a webhook, and told by one. */
  readonly hooked: Bits = new Bits();
  readonly told: Bits = new Bits();
  /** The last execution of each. */
  readonly executions = new Map<number, Execution>();
  /** When they were done. */
  readonly doneAt = new Map<number, number>();
}

/** Sets an entry of a map of the latest ones. */
function keep<Value>(map: Map<number, Value>, number: number, value: Value): void {
  map.delete(number);
  map.set(number, value);
  if (map.size > EXECUTIONS_MAX) map.delete(map.keys().next().value ?? 0);
}

/** The due times of a schedule, numbered by their seconds since 1970, divided by its interval. */
class DueTimes {
  readonly seconds: number;
  readonly #from: number;
  /** The request of each due time, while something may still come for it. */
  readonly #uuids = new Map<number, string>();
  #judged: number;
  count = 0;
  /** Passed over, as is promised of a failover. */
  skipped = 0;
  /** Those for which there is a second request, which both nodes of a split may store. */
  #twice: number[] = [];

  constructor(seconds: number, from: number) {
    this.seconds = seconds;
    this.#from = Math.floor(from / 1000 / seconds) + 1;
    this.#judged = this.#from;
  }

  take(uuid: string, acceptedAt: number): void {
    const at = Math.floor(acceptedAt / 1000 / this.seconds);
    if (at < this.#from) return;
    // One that was stored late may come in the place of the next one.
    for (const place of [at, at - 1]) {
      const known = this.#uuids.get(place);
      if (known === uuid) return;
      if (known !== undefined) continue;
      this.#uuids.set(place, uuid);
      this.count++;
      return;
    }
    this.#twice.push(at);
  }

  /** Looks at due times up to a moment. @returns what is wrong, and no reason for that has happened */
  judge(until: number, hasHappened: Happened): string[] {
    const wrong: string[] = [];
    const note = (at: number, what: string): void => {
      const time = new Date(this.#dueMs(at)).toISOString();
      wrong.push(`the schedule of ${this.seconds} s, due at ${time}: ${what}`);
    };
    this.#twice = this.#twice.filter((at) => {
      const due = this.#dueMs(at);
      if (due > until) return true;
      if (!hasHappened(due, due + 1000 * this.seconds, 'split')) note(at, 'two requests');
      return false;
    });
    for (; this.#dueMs(this.#judged + 1) <= until; this.#judged++) {
      this.#uuids.delete(this.#judged - Math.ceil(LATE_MS / 1000 / this.seconds));
      if (this.#uuids.has(this.#judged)) continue;
      const due = this.#dueMs(this.#judged);
      if (hasHappened(due, due + 1000 * this.seconds)) this.skipped++;
      else note(this.#judged, 'no request');
    }
    return wrong;
  }

  #dueMs(at: number): number {
    return 1000 * this.seconds * at;
  }
}

export class Checker {
  readonly tallies: Readonly<Record<Kind, Tally>> = { sdk: new Tally(), http: new Tally() };
  readonly schedules = new Map<number, DueTimes>();
  /** What processes count: requests, errors by their code. */
  readonly counts = new Map<string, number>();
  /** What is wrong: how much, and the first of it. */
  wrongs = 0;
  readonly shown: string[] = [];
  /** Executions beyond the first, which nobody promises not to happen. */
  promised = 0;
  /** Webhooks that came again. */
  toldAgain = 0;
  #doubts: Doubt[] = [];
  #spans: Span[] = [];

  wrong(text: string): void {
    this.wrongs++;
    if (this.shown.length < SHOWN_MAX) this.shown.push(text);
  }

  count(name: string, more = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + more);
  }

  /**
   * The pair changes, or a node is away: then requests at workers may run again, and due times may be passed over.
   * @param isSplit both nodes are active, and what is due may be stored at both
   * @returns to be called when that is over
   */
  disturbed(from: number, isSplit = false): (to: number) => void {
    const span: Span = { from, to: Infinity, isSplit };
    this.#spans.push(span);
    return (to) => {
      span.to = to;
    };
  }

  stored(kind: Kind, number: number, isHooked: boolean): void {
    const { stored, hooked } = this.tallies[kind];
    if (!stored.set(number)) this.wrong(`${kind} ${number} was acknowledged as new twice`);
    if (isHooked) hooked.set(number);
  }

  done(kind: Kind, number: number, at: number): void {
    const { stored, done, doneAt } = this.tallies[kind];
    if (!stored.has(number)) {
      this.wrong(`${kind} ${number} had a result, and was never acknowledged`);
    }
    if (done.set(number)) keep(doneAt, number, at);
    else this.wrong(`${kind} ${number} had two results`);
  }

  ran(kind: Kind, number: number, by: Executor, at: number): void {
    const { ran, executions, doneAt } = this.tallies[kind];
    const first = executions.get(number);
    const again: Execution = { at, by };
    keep(executions, number, again);
    if (ran.set(number)) return;
    const closedAt = doneAt.get(number);
    if (first === undefined) this.wrong(`${kind} ${number} ran again minutes later`);
    else this.#doubts.push({ name: `${kind} ${number}`, first, again, closedAt });
  }

  /** A webhook told how a request ended. */
  told(kind: Kind, number: number, outcome: string): void {
    if (!this.tallies[kind].told.set(number)) this.toldAgain++;
    // Its client closes it once it has the result, perhaps before a broker that is killed has told of that.
    if (outcome !== 'replied' && outcome !== 'ended') {
      this.wrong(`${kind} ${number} was told to be ${outcome}`);
    }
  }

  scheduled(seconds: number, now: number): void {
    this.schedules.set(seconds, new DueTimes(seconds, now));
  }

  /** A webhook told of a request of a schedule. */
  came(seconds: number, uuid: string, acceptedAt: number): void {
    const schedule = this.schedules.get(seconds);
    if (schedule === undefined) this.wrong(`a webhook of an unknown schedule of ${seconds} s`);
    else schedule.take(uuid, acceptedAt);
  }

  /** Decides about what lies back long enough. */
  judge(now: number): void {
    this.#judge(now - DOUBT_MS, now - LATE_MS);
    this.#spans = this.#spans.filter(({ to }) => to > now - SPAN_MS);
  }

  /** Decides about everything. @param stoppedAt when schedules were ended */
  finish(stoppedAt: number): void {
    this.#judge(Infinity, stoppedAt);
    for (const kind of KINDS) {
      const { stored, done, ran, hooked, told } = this.tallies[kind];
      for (const number of stored.without(done)) this.wrong(`${kind} ${number} is lost`);
      for (const number of done.without(ran)) this.wrong(`${kind} ${number} never ran`);
      for (const number of ran.without(stored)) {
        this.wrong(`${kind} ${number} ran, and was never acknowledged`);
      }
      for (const number of hooked.without(told)) {
        this.wrong(`the webhook of ${kind} ${number} is lost`);
      }
      for (const number of told.without(hooked)) {
        this.wrong(`a webhook told of ${kind} ${number}, which has none`);
      }
    }
  }

  #judge(doubtsUntil: number, dueUntil: number): void {
    const hasHappened: Happened = (from, to, what) =>
      this.#spans.some(
        (span) => span.from <= to && span.to >= from && (what === undefined || span.isSplit),
      );
    this.#doubts = this.#doubts.filter(({ name, first, again, closedAt = Infinity }) => {
      if (again.at > doubtsUntil) return true;
      if (again.at > closedAt + CLOSED_MS) {
        if (hasHappened(closedAt, again.at, 'split')) this.promised++;
        else this.wrong(`${name} ran at ${again.at}, and was closed at ${closedAt}`);
      } else if (first.by.goneAt <= again.at || hasHappened(first.at, again.at)) this.promised++;
      else {
        this.wrong(`${name} ran twice, at ${first.at} and ${again.at}, and nothing had happened`);
      }
      return false;
    });
    for (const schedule of this.schedules.values()) {
      for (const text of schedule.judge(dueUntil, hasHappened)) this.wrong(text);
    }
  }
}
