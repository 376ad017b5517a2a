/** Commands, of which those with the same key are carried out one after the other. */

/** Commands that wait for one of the same key, and for those of all keys. */
const KEY_COMMANDS_MAX = 100;
const COMMANDS_MAX = 10_000;

/** Takes the answer to a command, once; without frames there is none. */
export type Decided = (...answer: readonly Buffer[]) => void;

export interface Command {
  run(decided: Decided): void;
  /** Called once, also if it is not run. */
  readonly answer: Decided;
}

export class CommandQueues {
  readonly #full: () => Buffer;
  /** By key: those after the one that is being carried out. */
  readonly #busy = new Map<string, Command[]>();
  /** How many `#busy` contains. */
  #queued = 0;

  /** @param full makes the answer to a command when too many wait */
  constructor(full: () => Buffer) {
    this.#full = full;
  }

  add(key: string, command: Command): void {
    const queue = this.#busy.get(key);
    if (queue === undefined) {
      this.#busy.set(key, []);
      this.#carryOut(key, command);
    } else if (queue.length >= KEY_COMMANDS_MAX || this.#queued >= COMMANDS_MAX) {
      command.answer(this.#full());
    } else {
      queue.push(command);
      this.#queued++;
    }
  }

  /**
   * Carries out a command, and those that wait for it. It is a loop, because each of them may be
   * decided at once.
   */
  #carryOut(key: string, first: Command): void {
    for (let command: Command | null = first; command !== null;) {
      if (!this.#isDecidedAtOnce(key, command)) return;
      command = this.#nextOf(key);
    }
  }

  /** Runs a command. @returns whether it is decided; otherwise the next one follows when it is */
  #isDecidedAtOnce(key: string, command: Command): boolean {
    let isDecided = false;
    let isRunning = true;
    command.run((...answer) => {
      command.answer(...answer);
      isDecided = true;
      if (isRunning) return;
      const next = this.#nextOf(key);
      if (next !== null) this.#carryOut(key, next);
    });
    isRunning = false;
    return isDecided;
  }

  #nextOf(key: string): Command | null {
    const next = this.#busy.get(key)?.shift();
    if (next === undefined) {
      this.#busy.delete(key);
      return null;
    }
    this.#queued--;
    return next;
  }
}
