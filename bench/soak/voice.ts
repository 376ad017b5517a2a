/** What a process of the load is told when it starts, and what it says while it runs. */
import type { Kind } from './checker.js';

/** Where everything is: the one argument of each process, as JSON. */
export interface Stand {
  readonly endpoints: readonly string[];
  readonly maps: readonly string[];
  readonly https: readonly string[];
  readonly token: string;
  /** Where webhooks go. */
  readonly hooks: string;
  /** It comes for a few seconds, and is killed. */
  readonly isGuest: boolean;
}

/** The durable requests with a webhook: every fifth. */
export const isHooked = (number: number): boolean => number % 5 === 0;

/** What a process says: numbers of durable requests, and counts since the last time. */
export interface News {
  readonly kind: Kind;
  readonly stored?: readonly number[];
  readonly done?: readonly number[];
  readonly ran?: number;
  readonly counts?: Readonly<Record<string, number>>;
  readonly wrong?: readonly string[];
  /** The longest time without any reply to a plain request. */
  readonly silenceMs?: number;
}

const SAY_MS = 200;

export function standOf(): Stand {
  return JSON.parse(process.argv[2] ?? '{}') as Stand;
}

export class Voice {
  #stored: number[] = [];
  #done: number[] = [];
  #wrong: string[] = [];
  #counts: Record<string, number> = {};
  /** Silence begins with a reply: a process that has had none says nothing of it. */
  #answeredAt = Infinity;
  #silenceMs = 0;
  #isOver = false;
  readonly #kind: Kind;

  /** @param kind of the durable requests that it sends */
  constructor(kind: Kind = 'sdk') {
    this.#kind = kind;
    setInterval(() => this.#flush(), SAY_MS).unref();
    process.on('message', (message) => {
      if (message === 'stop') this.#isOver = true;
    });
    // It has nobody to work for any more.
    process.once('disconnect', () => process.exit());
  }

  /** True once it is to end: what has begun goes on to its end. */
  get isOver(): boolean {
    return this.#isOver;
  }

  stored(number: number): void {
    this.#stored.push(number);
  }

  done(number: number): void {
    this.#done.push(number);
  }

  /** At once, because it may be killed in the next moment. */
  ran(kind: Kind, number: number): void {
    process.send?.({ kind, ran: number } satisfies News);
  }

  count(name: string, more = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + more;
  }

  wrong(text: string): void {
    this.#wrong.push(text);
  }

  /** A plain request has its reply. */
  answered(): void {
    this.#listen();
    this.#answeredAt = performance.now();
  }

  #listen(): void {
    this.#silenceMs = Math.max(this.#silenceMs, performance.now() - this.#answeredAt);
  }

  /** Says the rest, and ends the process. */
  async end(): Promise<void> {
    await new Promise((resolve) => process.send?.(this.#news(), resolve));
    process.exit();
  }

  #flush(): void {
    process.send?.(this.#news());
  }

  #news(): News {
    // One that goes on counts, too.
    this.#listen();
    const silenceMs = this.#silenceMs;
    const [stored, done] = [this.#stored.splice(0), this.#done.splice(0)];
    const counts = this.#counts;
    this.#silenceMs = 0;
    this.#counts = {};
    return { kind: this.#kind, stored, done, counts, wrong: this.#wrong.splice(0), silenceMs };
  }
}
