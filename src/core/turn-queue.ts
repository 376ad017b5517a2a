/** Connections that wait for their turn: identities in turn, and the connections of each in turn. */

/** An entry of the queue. */
export interface Waiting {
  /** All connections of an identity share its turns. */
  readonly identity: string;
}

export class TurnQueue<T extends Waiting> {
  /** What waits, by identity, in the order in which identities are served. */
  readonly #waiting = new Map<string, T[]>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Adds one at the end of its identity's queue. */
  append(one: T): void {
    const { identity } = one;
    const queue = this.#waiting.get(identity);
    if (queue === undefined) this.#waiting.set(identity, [one]);
    else queue.push(one);
  }

  /** Removes and returns the next one; `undefined`: the queue is empty. */
  shift(): T | undefined {
    for (const [identity, queue] of this.#waiting) {
      const one = queue.shift();
      this.#waiting.delete(identity);
      if (queue.length > 0) this.#waiting.set(identity, queue);
      return one;
    }
    return undefined;
  }
}
