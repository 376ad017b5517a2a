/** Polls the state of the node once per second while the page is visible, and keeps the samples. */
import type { Overview } from '../admin/api/node-answers.js';
import { get, messageOf, statusOf, token } from './api.js';
import { askToken } from './dialogs.js';
import { type Sample, Samples } from './samples.js';

const EVERY_MS = 1000;
const RETRY_MS_MAX = 5000;
/** As many as the node keeps. */
const SAMPLES_MAX = 600;

/** The state of the connection to the node. */
export type Contact = 'first' | 'good' | 'lost' | 'locked';

export interface Watched {
  readonly overview: Overview | null;
  readonly samples: readonly Sample[];
  readonly contact: Contact;
  /** Time of the node's clock, which may differ from this machine's. Milliseconds since 1970. */
  readonly nowMs: number;
  /** When the connection was lost. Milliseconds since 1970. */
  readonly lostAt: number | null;
  readonly why: string;
}

type Listener = (watched: Watched) => void;

export class NodeWatch {
  readonly #listeners = new Set<Listener>();
  readonly #restarted: () => void;
  #overview: Overview | null = null;
  readonly #samples = new Samples(SAMPLES_MAX);
  #contact: Contact = 'first';
  #lostAt: number | null = null;
  #why = '';
  #failures = 0;
  #heardAt = 0;
  #isGivenUp = false;
  #timer: number | undefined;
  #isAsking = false;

  /** @param restarted called when the node was restarted */
  constructor(restarted: () => void) {
    this.#restarted = restarted;
    document.addEventListener('visibilitychange', () => {
      this.askNow();
    });
  }

  get now(): Watched {
    return {
      overview: this.#overview,
      samples: this.#samples.all,
      contact: this.#contact,
      nowMs: (this.#samples.all.at(-1)?.['at'] ?? Date.now()) + Date.now() - this.#heardAt,
      lostAt: this.#lostAt,
      why: this.#why,
    };
  }

  /** @returns a function that removes the listener */
  watch(listener: Listener): () => void {
    this.#listeners.add(listener);
    listener(this.now);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Asks at once, unless the page is hidden: a hidden page costs the node nothing. */
  askNow(): void {
    clearTimeout(this.#timer);
    if (document.hidden || this.#isAsking) return;
    this.#isGivenUp = false;
    this.#isAsking = true;
    void this.#ask().finally(() => {
      this.#isAsking = false;
      this.#notify();
      if (this.#isGivenUp) return;
      const retryMs = Math.min(RETRY_MS_MAX, EVERY_MS * this.#failures);
      this.#timer = setTimeout(
        () => {
          this.askNow();
        },
        Math.max(EVERY_MS, retryMs),
      );
    });
  }

  async #ask(): Promise<void> {
    try {
      this.#take(await get<Overview>(`/api/v1/overview?since=${this.#samples.next}`));
    } catch (error) {
      if (statusOf(error) === 401) {
        await this.#unlock();
        return;
      }
      this.#failures++;
      this.#lostAt ??= Date.now();
      this.#contact = 'lost';
      this.#why = messageOf(error);
    }
  }

  async #unlock(): Promise<void> {
    const wasWrong = token.get() !== null;
    token.forget();
    this.#contact = 'locked';
    this.#notify();
    const why = 'This node needs a token for reading.';
    // If the user cancels, a button of the banner asks again.
    this.#isGivenUp = !(await askToken(wasWrong ? 'Wrong token.' : why));
  }

  #take(overview: Overview): void {
    if (!this.#samples.take(overview)) {
      this.#overview = null;
      this.#failures = 0;
      this.#restarted();
      return;
    }
    this.#overview = overview;
    this.#settle();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener(this.now);
  }

  #settle(): void {
    this.#heardAt = Date.now();
    this.#failures = 0;
    this.#lostAt = null;
    this.#contact = 'good';
    this.#why = '';
  }
}
