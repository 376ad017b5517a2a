/**
 * What happens on this node, for those who watch over HTTP (server-sent events): the events that the
 * log has. However many happen and however many watch, it costs the loop a bounded time.
 */
import { httpError } from './errors.js';

/** Something that happened; all its fields are told. */
export interface DomainEvent {
  /** `noun.participle`, as in the log. */
  readonly name: string;
}

const READERS_MAX = 32;
/** Of them without a token: who has one finds room. */
const STRANGERS_MAX = 24;
/** Events are told together, once in so many milliseconds. */
const PACE_MS = 100;
/** So many of them; how many more there were is told in their place. */
const AT_ONCE_MAX = 256;
/** A comment, by which a reader knows that the connection lives, and we that it reads. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** How soon a browser comes back, in milliseconds. */
const GREETING = 'retry: 2000\n: the events of this node from now on\n\n';

/** Takes text to send; whether it can is its own matter. */
export type Write = (text: string) => void;

interface Noted {
  readonly event: DomainEvent;
  readonly at: number;
}

export class EventFeed {
  readonly #readers = new Set<Write>();
  readonly #strangers = new Set<Write>();
  readonly #wall: () => number;
  #noted: Noted[] = [];
  #leftOut = 0;
  #pace: NodeJS.Timeout | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  /** @param wall milliseconds since 1970 */
  constructor(wall: () => number) {
    this.#wall = wall;
  }

  emit(event: DomainEvent): void {
    if (this.#readers.size === 0) return;
    if (this.#noted.length >= AT_ONCE_MAX) {
      this.#leftOut++;
      return;
    }
    this.#noted.push({ event, at: this.#wall() });
    this.#pace ??= setTimeout(this.#tell, PACE_MS);
  }

  /**
   * @param isStranger who reads has given no token
   * @throws ERR_HTTP_BUSY if as many watch as may
   */
  checkRoom(isStranger: boolean): void {
    if (this.#readers.size >= READERS_MAX) {
      throw httpError('ERR_HTTP_BUSY', `${READERS_MAX} readers of events are there already`);
    }
    if (!isStranger || this.#strangers.size < STRANGERS_MAX) return;
    const text = `${STRANGERS_MAX} readers of events without a token are there already; give one`;
    throw httpError('ERR_HTTP_BUSY', text);
  }

  /** @returns what ends it */
  subscribe(write: Write, isStranger: boolean): () => void {
    write(GREETING);
    this.#readers.add(write);
    if (isStranger) this.#strangers.add(write);
    this.#heartbeat ??= setInterval(this.#beat, HEARTBEAT_MS);
    return () => {
      this.#readers.delete(write);
      this.#strangers.delete(write);
      if (this.#readers.size > 0) return;
      if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
      if (this.#pace !== null) clearTimeout(this.#pace);
      this.#heartbeat = null;
      this.#pace = null;
      this.#noted = [];
      this.#leftOut = 0;
    };
  }

  readonly #beat = (): void => {
    for (const write of [...this.#readers]) write(HEARTBEAT);
  };

  readonly #tell = (): void => {
    this.#pace = null;
    const texts = this.#noted.map(({ event, at }) => rendered(event, at));
    if (this.#leftOut > 0) {
      texts.push(rendered({ name: 'events.left_out', count: this.#leftOut }, this.#wall()));
    }
    this.#noted = [];
    this.#leftOut = 0;
    const text = texts.join('');
    for (const write of [...this.#readers]) write(text);
  };
}

/** JSON has no line breaks, and names of events are ours: nothing can begin a line of its own. */
function rendered(
  { name, ...fields }: DomainEvent & { readonly count?: number },
  at: number,
): string {
  const data = { time: new Date(at).toISOString(), event: name, ...fields };
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
