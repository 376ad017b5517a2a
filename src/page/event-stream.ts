/**
 * The node's events: those that it has kept, and then as they happen. Not by EventSource: that cannot
 * send the token.
 */
import type { NodeEvent } from '../http/api/node-answers.js';
import { authorization, messageOf, refusedBy, statusOf, token } from './api.js';

const RETRY_MS = 3000;
/** The node says something every 15 s; a connection that says nothing for longer is dead. */
const SILENCE_MS = 40_000;
/** As many as the node keeps. */
const KEPT_MAX = 1000;

/** `arrival` counts them: it tells two apart that say the same. No event has such a field. */
export interface ReceivedEvent extends NodeEvent {
  readonly arrival: number;
}

export class EventStream {
  readonly #listeners = new Set<() => void>();
  #events: ReceivedEvent[] = [];
  #isOpen = false;
  #why = '';
  #arrivals = 1;
  /** The node's name for the last one that came: it tells the later ones alone. */
  #lastId: string | null = null;
  /** By which they were asked for: what they have in them depends on it. */
  #token: string | null = null;
  #abort: AbortController | null = null;
  #timer: number | undefined;

  constructor() {
    document.addEventListener('visibilitychange', () => {
      // A hidden page takes no place among the readers, of which there is a limit.
      if (document.hidden) this.#abort?.abort();
      else this.open();
    });
  }

  /** The newest first. */
  get events(): readonly ReceivedEvent[] {
    return this.#events;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get why(): string {
    return this.#why;
  }

  /** @returns what ends it */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    listener();
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A token was entered or forgotten: they are all asked for again. */
  followToken(): void {
    if (token.get() === this.#token) return;
    if (this.#abort === null) this.open();
    else this.#abort.abort();
  }

  /** Reads until the page is hidden, and comes back by itself; does nothing while it reads. */
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

  /** @returns whether another try may go better: without the token none does */
  async #read(abort: AbortController): Promise<boolean> {
    try {
      await this.#follow(abort);
      return true;
    } catch (error) {
      // Most often the connection has ended, which the banner tells.
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
    this.#events.splice(KEPT_MAX);
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
