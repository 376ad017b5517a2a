/**
 * Streams the events of this node over HTTP (server-sent events). They are the events of the log.
 * The feed keeps the latest ones for new readers. The time that it takes from the event loop is
 * bounded, however many events and readers there are.
 */
import { FairHistory } from '../../core/fair-history.js';
import { type EventTable, type Level, type NamedEvent, textOf } from '../../core/event-table.js';
import type { NodeEvent } from '../api/node-answers.js';
import { httpError } from './errors.js';

const READERS_MAX = 32;
/** Readers without a token. The rest of the places are for readers with one. */
const STRANGERS_MAX = 24;
/** Events are sent in batches, one per interval. */
const PACE_MS = 100;
/** Events in a batch. One `events.left_out` with their number replaces the rest. */
const AT_ONCE_MAX = 256;
/** Events of one name in a batch, and of one service among them, so that repeated ones do not crowd out the others. */
const AT_ONCE_OF_NAME_MAX = 192;
const AT_ONCE_OF_SERVICE_MAX = 64;
/** The latest events that are kept for new readers. */
const RETAINED_MAX = 1000;
const RETAINED_BYTES_MAX = 256 * 1024;
/** Characters of a text field. Longer texts are cut. */
const TEXT_MAX = 1024;
/** How often a comment is sent. It shows the reader a live connection, and us a live reader. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** `retry` is how soon a browser reconnects, in milliseconds. */
/** In a sentence, in place of what only readers with a token get. */
const WITHHELD = '…';
const GREETING = 'retry: 2000\n: recent events of this node, then new ones as they happen\n\n';

/** Sends text to one reader. It handles a slow or lost connection itself. */
type Write = (text: string) => void;

/** An event as readers get it. */
interface RetainedEvent {
  /** Counted from the start of the process. */
  readonly number: number;
  readonly event: NamedEvent;
  /** The text for readers with a token (`whole`) and without (`open`). They are often the same. */
  readonly whole: string;
  readonly open: string;
}

interface PendingEvent {
  readonly event: NamedEvent;
  readonly severity: Level;
  readonly at: number;
}

/** Waiting events of one name: their number, and that of each service. */
interface PendingOf {
  count: number;
  readonly byService: Map<string, number>;
}

export class EventFeed {
  /** The readers; true: the reader gave no token. */
  readonly #readers = new Map<Write, boolean>();
  readonly #wall: () => number;
  readonly #history = new FairHistory<RetainedEvent>({
    itemsMax: RETAINED_MAX,
    bytesMax: RETAINED_BYTES_MAX,
    groupOf: ({ event }) => event.name,
    memberOf: ({ event }) => serviceOf(event),
    bytesOf: ({ whole }) => Buffer.byteLength(whole),
  });
  /** Prefix of this process's event ids: an id of another process says nothing about our events. */
  readonly #process: string;
  #pending: PendingEvent[] = [];
  /** Waiting events by name. */
  readonly #pendingOf = new Map<string, PendingOf>();
  #leftOut = 0;
  #total = 0;
  #pace: NodeJS.Timeout | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  readonly #table: EventTable;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number, table: EventTable) {
    this.#wall = wall;
    this.#table = table;
    this.#process = wall().toString(36);
  }

  /** @param levelOf called only for events that are not left out */
  emit<Event extends NamedEvent>(event: Event, levelOf: (event: Event) => Level): void {
    let ofName = this.#pendingOf.get(event.name);
    if (ofName === undefined) {
      this.#pendingOf.set(event.name, (ofName = { count: 0, byService: new Map() }));
    }
    const service = serviceOf(event);
    const ofService = ofName.byService.get(service) ?? 0;
    if (
      this.#pending.length >= AT_ONCE_MAX ||
      ofName.count >= AT_ONCE_OF_NAME_MAX ||
      ofService >= AT_ONCE_OF_SERVICE_MAX
    ) {
      this.#leftOut++;
      return;
    }
    ofName.count++;
    ofName.byService.set(service, ofService + 1);
    this.#pending.push({ event, severity: levelOf(event), at: this.#wall() });
    // The timer must not keep the process alive.
    this.#pace ??= setTimeout(this.#flush, PACE_MS).unref();
  }

  /**
   * @param isStranger the reader gave no token
   * @throws ERR_HTTP_BUSY if there are too many readers
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
   * Sends the kept events, then new ones as they happen.
   * @param lastId the `id` of the last event that the reader has; `null`: it has none
   * @returns a function that ends the subscription
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
    const retained = this.#history.all().filter(({ number }) => number > from);
    const texts = retained.map((event) => textFor(event, isStranger));
    const forgotten = this.#total - from - retained.length;
    // A reader that reconnects learns how many events it missed for good.
    if (isOurs && forgotten > 0) {
      texts.unshift(rendered(this.#leftOutEvent(forgotten), null, this.#table).whole);
    }
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
    this.#pendingOf.clear();
    this.#leftOut = 0;
    const retained = pending.map((each): RetainedEvent => {
      const number = ++this.#total;
      return {
        number,
        event: each.event,
        ...rendered(each, `${this.#process}.${number}`, this.#table),
      };
    });
    for (const event of retained) this.#history.add(event);
    for (const [write, isStranger] of [...this.#readers]) {
      write(retained.map((event) => textFor(event, isStranger)).join(''));
    }
  };

  #leftOutEvent(count: number): PendingEvent {
    const event: NamedEvent & { readonly count: number } = { name: 'events.left_out', count };
    return { event, severity: 'warn', at: this.#wall() };
  }
}

/** The service that an event is about; empty: it is about none. */
function serviceOf(event: NamedEvent): string {
  return 'service' in event && typeof event.service === 'string' ? event.service : '';
}

function textFor({ whole, open }: RetainedEvent, isStranger: boolean): string {
  return isStranger ? open : whole;
}

/**
 * JSON has no line breaks and event names are ours, so no text of a peer can start a new line.
 * @param id `null`: the event is not kept and not counted
 * @param table says which fields only readers with a token get
 */
function rendered(
  { event: { name, ...fields }, severity, at }: PendingEvent,
  id: string | null,
  table: EventTable,
): Pick<RetainedEvent, 'whole' | 'open'> {
  const time = new Date(at).toISOString();
  const kind = table[name];
  const said = (seen: object): string | undefined =>
    kind === undefined ? undefined : textOf(kind, { name, ...seen });
  const data: NodeEvent = { time, event: name, severity, sentence: said(fields), ...fields };
  const head = `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: `;
  const whole = `${head}${JSON.stringify(data, cut)}\n\n`;
  const kinds = kind?.fields ?? {};
  // A field that its table does not have is withheld, too.
  const isHidden = (field: string): boolean =>
    kinds[field] === undefined || kinds[field].author !== undefined;
  const hidden = new Set(Object.keys(fields).filter(isHidden));
  if (hidden.size === 0) return { whole, open: whole };
  const given = Object.entries(data).filter(([field]) => !hidden.has(field));
  // What is withheld is not in the sentence either.
  const seen = Object.entries(fields).map(([field, value]) => [
    field,
    hidden.has(field) && value !== null ? WITHHELD : value,
  ]);
  const shown = {
    ...Object.fromEntries(given),
    sentence: said(Object.fromEntries(seen) as object),
  };
  return { whole, open: `${head}${JSON.stringify(shown, cut)}\n\n` };
}

function cut(_field: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && value.length > TEXT_MAX;
  return isLong ? `${value.slice(0, TEXT_MAX)}…` : value;
}
