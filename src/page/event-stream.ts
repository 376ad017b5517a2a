/**
 * Reads the events of the node: first those that it has kept, then new ones as they happen. It does
 * not use EventSource, which cannot send the token.
 */
import type { NodeEvent } from '../admin/api/node-answers.js';
import { authorization, messageOf, refusedBy, statusOf, token } from './api.js';

const RETRY_MS = 3000;
/** The node sends something every 15 s; a connection that is silent for this long is dead. */
const SILENCE_MS = 40_000;
/** As many as the node keeps. */
const RETAINED_MAX = 1000;

/** `arrival` numbers the events, to distinguish equal ones. No event has such a field itself. */
export interface ReceivedEvent extends NodeEvent {
  readonly arrival: number;
}

export class EventStream {
  readonly #listeners = new Set<() => void>();
  #events: ReceivedEvent[] = [];
  #isOpen = false;
  #why = '';
  #arrivals = 1;
  /** Id of the last received event. On reconnecting, the node sends only later ones. */
  #lastId: string | null = null;
  /** The token of the last connection. The fields of the events depend on it. */
  #token: string | null = null;
  #abort: AbortController | null = null;
  #timer: number | undefined;

  constructor() {
    document.addEventListener('visibilitychange', () => {
      // The number of readers is limited, so a hidden page disconnects.
      if (document.hidden) this.#abort?.abort();
      else this.open();
    });
  }

  /** Newest first. */
  get events(): readonly ReceivedEvent[] {
    return this.#events;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get why(): string {
    return this.#why;
  }

  /** @returns a function that removes the listener */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    listener();
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** If the token was entered or forgotten, reconnects and requests all events again. */
  followToken(): void {
    if (token.get() === this.#token) return;
    if (this.#abort === null) this.open();
    else this.#abort.abort();
  }

  /** Reads until the page is hidden, and reconnects by itself. Does nothing while connected. */
  open(): void {
    if (this.#abort !== null || document.hidden) return;
    const abort = new AbortController();
    this.#abort = abort;
    clearTimeout(this.#timer);
    void this.#read(abort).then((isWorthwhile) => {
      this.#abort = null;
      this.#set(false);
      if (!isWorthwhile) return;
      const delayMs = token.get() === this.#token ? RETRY_MS : 0;
      this.#timer = setTimeout(() => {
        this.open();
      }, delayMs);
    });
  }

  /** @returns whether to try again: without the token it is pointless */
  async #read(abort: AbortController): Promise<boolean> {
    try {
      await this.#follow(abort);
      return true;
    } catch (error) {
      // Usually the connection was lost, and the banner shows that.
      this.#why = statusOf(error) === 0 ? '' : messageOf(error);
      return statusOf(error) !== 401;
    }
  }

  async #follow(abort: AbortController): Promise<void> {
    const given = token.get();
    if (given !== this.#token) this.#lastId = null;
    this.#token = given;
    const last = this.#lastId;
    const response = await fetch('/api/v1/events', {
      headers: { ...authorization(), ...(last === null ? {} : { 'last-event-id': last }) },
      signal: abort.signal,
      cache: 'no-store',
      credentials: 'omit',
    });
    if (!response.ok || response.body === null) {
      throw refusedBy(response.status, await response.json());
    }
    if (last === null) this.#events = [];
    this.#set(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const silence = setTimeout(() => {
        abort.abort();
      }, SILENCE_MS);
      const { done, value } = await reader.read().finally(() => {
        clearTimeout(silence);
      });
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      this.#take(blocks);
    }
  }

  #take(blocks: readonly string[]): void {
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name: string): string | undefined =>
        lines.find((each) => each.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      if (data === undefined) continue;
      this.#lastId = field('id') ?? this.#lastId;
      const event = JSON.parse(data) as NodeEvent;
      this.#events.unshift({ ...event, arrival: this.#arrivals++ });
    }
    this.#events.splice(RETAINED_MAX);
    this.#notify();
  }

  #set(isOpen: boolean): void {
    this.#isOpen = isOpen;
    if (isOpen) this.#why = '';
    this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
