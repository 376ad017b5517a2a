/**
 * Keeps the process alive while a client has requests outstanding, and lets it end otherwise.
 *
 * A program that sends one request after another would let go and hold again each time. So the client
 * lets go a little later, by a timer that is set at most once in that time.
 */
const LET_GO_AFTER_MS = 20;

export class ProcessHold {
  readonly #isIdle: () => boolean;
  readonly #change: (isHeld: boolean) => void;
  #isHeld = false;
  #timer: NodeJS.Timeout | null = null;

  /** @param change called with the new state when it changes; at first nothing is held */
  constructor(isIdle: () => boolean, change: (isHeld: boolean) => void) {
    this.#isIdle = isIdle;
    this.#change = change;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** A request has begun. */
  hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#change(true);
  }

  /** No request is outstanding. */
  letGoSoon(): void {
    this.#timer ??= setTimeout(this.#look, LET_GO_AFTER_MS).unref();
  }

  readonly #look = (): void => {
    this.#timer = null;
    if (!this.#isHeld || !this.#isIdle()) return;
    this.#isHeld = false;
    this.#change(false);
  };
}
