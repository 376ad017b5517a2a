/** Looks at which a server that said nothing since the last one is asked for a sign of life. */
const ASKED_AFTER = 2;
/** Looks in a row without a word after which it is taken for dead: it was asked before. */
const DEAD_AFTER = 4;

/**
 * Whether a server is alive: something was heard of it lately. Its owner looks twice per interval; looks
 * are counted, not timed, because a program that was busy has not read the answers that wait for it.
 */
export class Liveness {
  #isAlive = false;
  #heard = false;
  /** Looks in a row at which nothing had been heard. */
  #quiet = 0;

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** A connection is up. @param isAlive that is a sign of life */
  begin(isAlive: boolean): void {
    this.#isAlive = isAlive;
    this.#heard = isAlive;
    this.#quiet = 0;
  }

  end(): void {
    this.#isAlive = false;
  }

  /** @returns whether it was taken for dead, and is alive again */
  heard(): boolean {
    this.#heard = true;
    if (this.#isAlive) return false;
    this.#isAlive = true;
    return true;
  }

  /** @returns whether it was alive, and is taken for dead from now on */
  look(): boolean {
    this.#quiet = this.#heard ? 0 : this.#quiet + 1;
    this.#heard = false;
    if (!this.#isAlive || this.#quiet < DEAD_AFTER) return false;
    this.#isAlive = false;
    return true;
  }

  /** Whether the server is to be asked for a sign of life, since the last look. */
  get isAsked(): boolean {
    return this.#quiet > 0 && this.#quiet % ASKED_AFTER === 0;
  }
}
