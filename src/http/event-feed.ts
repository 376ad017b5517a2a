/**
 * What happens on this node, for those who watch over HTTP (server-sent events): the events that the
 * log has. The last ones are kept for those who come later. However many happen and however many
 * watch, it costs the loop a bounded time.
 */
import type { NodeEvent } from './api/node-answers.js';
import { httpError } from './errors.js';
import { EventHistory, type KeptEvent } from './event-history.js';

/** Something that happened; all its fields are told, but for those of `WITHHELD`. */
export interface DomainEvent {
  /** `noun.participle`, as in the log. */
  readonly name: string;
}

/** As of its line in the log. */
export type Severity = NodeEvent['severity'];

/** Who it was: as in `/api/v1/acl/log`, for those alone who gave a token. */
const WITHHELD: ReadonlySet<string> = new Set(['key', 'address']);

const READERS_MAX = 32;
/** Of them without a token: who has one finds room. */
const STRANGERS_MAX = 24;
/** Events are told together, once in so many milliseconds. */
const PACE_MS = 100;
/** So many of them; how many more there were is told in their place. */
const AT_ONCE_MAX = 256;
/** Of them of one name: whoever provokes one thing again and again hides no other. */
const AT_ONCE_OF_ONE_MAX = 192;
/** Characters of each text; what is over them is cut. */
const TEXT_MAX = 1024;
/** A comment, by which a reader knows that the connection lives, and we that it reads. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** How soon a browser comes back, in milliseconds. */
const GREETING = 'retry: 2000\n: recent events of this node, then new ones as they happen\n\n';

/** Takes text to send; whether it can is its own matter. */
export type Write = (text: string) => void;

interface PendingEvent {
  readonly event: DomainEvent;
  readonly severity: Severity;
  readonly at: number;
}

export class EventFeed {
  /** Whoever reads, and whether without a token. */
  readonly #readers = new Map<Write, boolean>();
  readonly #wall: () => number;
  readonly #history = new EventHistory();
  /** Begins the ids of this process: those of another one say nothing of what a reader has of this. */
  readonly #process: string;
  #pending: PendingEvent[] = [];
  readonly #pendingByName = new Map<string, number>();
  #leftOut = 0;
  #total = 0;
  #pace: NodeJS.Timeout | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number) {
    this.#wall = wall;
    this.#process = wall().toString(36);
  }

  /** @param severityOf is asked for those alone that are told */
  emit<Event extends DomainEvent>(event: Event, severityOf: (event: Event) => Severity): void {
    const before = this.#pendingByName.get(event.name) ?? 0;
    if (this.#pending.length >= AT_ONCE_MAX || before >= AT_ONCE_OF_ONE_MAX) {
      this.#leftOut++;
      return;
    }
    this.#pendingByName.set(event.name, before + 1);
    this.#pending.push({ event, severity: severityOf(event), at: this.#wall() });
    // Nobody waits for it: it does not keep the process.
    this.#pace ??= setTimeout(this.#flush, PACE_MS).unref();
  }

  /**
   * @param isStranger who reads has given no token
   * @throws ERR_HTTP_BUSY if as many watch as may
   */
  checkRoom(isStranger: boolean): void {
    if (this.#readers.size >= READERS_MAX) {
      throw httpError('ERR_HTTP_BUSY', `the limit of ${READERS_MAX} readers of events is reached`);
    }
    const strangers = [...this.#readers.values()].filter((each) => each).length;
    if (!isStranger || strangers < STRANGERS_MAX) return;
    const text = `the limit of ${STRANGERS_MAX} readers of events without a token is reached; use a token`;
    throw httpError('ERR_HTTP_BUSY', text);
  }

  /**
   * Sends what is kept, and then what happens.
   * @param lastId the `id` of the last event that the reader has; `null`: it has none
   * @returns what ends it
   */
  subscribe(write: Write, isStranger: boolean, lastId: string | null): () => void {
    write(GREETING + this.#missing(isStranger, lastId));
    this.#readers.set(write, isStranger);
    this.#heartbeat ??= setInterval(this.#beat, HEARTBEAT_MS);
    return () => {
      this.#readers.delete(write);
      if (this.#readers.size > 0 || this.#heartbeat === null) return;
      clearInterval(this.#heartbeat);
      this.#heartbeat = null;
    };
  }

  #missing(isStranger: boolean, lastId: string | null): string {
    const [process, number] = (lastId ?? '').split('.', 2);
    const isOurs = process === this.#process && /^\d{1,15}$/.test(number ?? '');
    const from = isOurs ? Number(number) : 0;
    const kept = this.#history.after(from);
    const texts = kept.map((event) => textFor(event, isStranger));
    const forgotten = this.#total - from - kept.length;
    // Who was there before is told what it has missed for good.
    if (isOurs && forgotten > 0) texts.unshift(rendered(this.#leftOutEvent(forgotten), null).whole);
    return texts.join('');
  }

  readonly #beat = (): void => {
    for (const write of [...this.#readers.keys()]) write(HEARTBEAT);
  };

  readonly #flush = (): void => {
    this.#pace = null;
    const pending = this.#pending;
    if (this.#leftOut > 0) pending.push(this.#leftOutEvent(this.#leftOut));
    this.#pending = [];
    this.#pendingByName.clear();
    this.#leftOut = 0;
    const kept = pending.map((each): KeptEvent => {
      const number = ++this.#total;
      const { name } = each.event;
      return { number, name, ...rendered(each, `${this.#process}.${number}`) };
    });
    for (const event of kept) this.#history.add(event);
    for (const [write, isStranger] of [...this.#readers]) {
      write(kept.map((event) => textFor(event, isStranger)).join(''));
    }
  };

  #leftOutEvent(count: number): PendingEvent {
    const event: DomainEvent & { readonly count: number } = { name: 'events.left_out', count };
    return { event, severity: 'warn', at: this.#wall() };
  }
}

function textFor({ whole, open }: KeptEvent, isStranger: boolean): string {
  return isStranger ? open : whole;
}

/**
 * JSON has no line breaks, and names of events are ours: nothing can begin a line of its own.
 * @param id `null`: it is not kept, and counts for nothing
 */
function rendered(
  { event: { name, ...fields }, severity, at }: PendingEvent,
  id: string | null,
): Pick<KeptEvent, 'whole' | 'open'> {
  const time = new Date(at).toISOString();
  const data: NodeEvent = { time, event: name, severity, ...fields };
  const head = `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: `;
  const whole = `${head}${JSON.stringify(data, cut)}\n\n`;
  if (!Object.keys(fields).some((field) => WITHHELD.has(field))) return { whole, open: whole };
  const shown = Object.fromEntries(Object.entries(data).filter(([field]) => !WITHHELD.has(field)));
  return { whole, open: `${head}${JSON.stringify(shown, cut)}\n\n` };
}

function cut(_field: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && value.length > TEXT_MAX;
  return isLong ? `${value.slice(0, TEXT_MAX)}…` : value;
}
