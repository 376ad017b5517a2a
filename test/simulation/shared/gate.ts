/** One thread of a process that may be paused: what happens to it meanwhile is done afterwards. */
export class Gate {
  #isShut = false;
  #waiting: (() => void)[] = [];

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Does it now, or when the gate opens. */
  pass(action: () => void): void {
    if (this.#isShut) this.#waiting.push(action);
    else action();
  }

  shut(): void {
    this.#isShut = true;
  }

  open(): void {
    this.#isShut = false;
    for (const action of this.#waiting.splice(0)) action();
  }

  /** Its process has ended. */
  clear(): void {
    this.#isShut = false;
    this.#waiting = [];
  }
}
