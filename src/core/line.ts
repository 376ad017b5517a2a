/** Connections that wait for their turn: identities in turn, and the connections of each in turn. */

/** An entry of the line. */
export interface Waiting {
  /** All connections of an identity share its turns. */
  readonly identity: string;
}

export class Line<T extends Waiting> {
  /** What waits, by identity, in the order in which identities are served. */
  readonly #waiting = new Map<string, T[]>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Adds one at the end of its identity's queue. */
  append(one: T): void {
    const { identity } = one;
    const line = this.#waiting.get(identity);
    if (line === undefined) this.#waiting.set(identity, [one]);
    else line.push(one);
  }

  /** Removes and returns the next one; `undefined`: the line is empty. */
  shift(): T | undefined {
    for (const [identity, line] of this.#waiting) {
      const one = line.shift();
      this.#waiting.delete(identity);
      if (line.length > 0) this.#waiting.set(identity, line);
      return one;
    }
    return undefined;
  }
}
