/** Operators' commands, which take effect later than they are accepted. */
import type { Facts } from './facts.js';
import type { OrderRefusal } from './fsm.js';
import type { PairMachine } from './pair.js';

/** A command that was accepted and has no outcome yet. */
interface Pending {
  readonly isDone: (facts: Readonly<Facts>) => boolean;
  /** Why it can no longer succeed, or `null`. */
  readonly obstacle: (facts: Readonly<Facts>) => string | null;
  readonly end: (reason: string | null) => void;
}

export class Commands {
  readonly #machine: PairMachine;
  readonly #wake: () => void;
  #pending: Pending[] = [];

  /** @param wake a command was given: a turn is due */
  constructor(machine: PairMachine, wake: () => void) {
    this.#machine = machine;
    this.#wake = wake;
  }

  /** Resolves with the reason for a refusal, or `null` once this node is active. */
  promote(): Promise<string | null> {
    return this.#await(this.#machine.promote(), {
      isDone: ({ state }) => state === 'active',
      obstacle: ({ writing }) => (writing === null ? 'the peer came back' : null),
    });
  }

  /** Resolves with the reason for a refusal, or `null` once the peer is active. */
  switchover(): Promise<string | null> {
    // The peer becomes active only after it has this node's data; losing the peer ends the attempt.
    return this.#await(this.#machine.switchover(), {
      isDone: ({ state, peer, link }) => state !== 'active' && (!link || peer?.state === 'active'),
      obstacle: ({ state, handover }) =>
        state === 'active' && handover === 'none' ? 'the peer did not take over' : null,
    });
  }

  #await(refusal: OrderRefusal | null, command: Omit<Pending, 'end'>): Promise<string | null> {
    this.#wake();
    if (refusal !== null) return Promise.resolve(refusal);
    return new Promise((resolve) => {
      this.#pending.push({ ...command, end: resolve });
    });
  }

  /** Called in each turn: ends the commands whose outcome is known. */
  run(): void {
    if (this.#pending.length === 0) return;
    const { facts } = this.#machine;
    const open: Pending[] = [];
    for (const command of this.#pending) {
      const isDone = command.isDone(facts);
      const obstacle = isDone ? null : command.obstacle(facts);
      if (isDone || obstacle !== null) command.end(obstacle);
      else open.push(command);
    }
    this.#pending = open;
  }

  /** Ends what is pending: this node is stopping. */
  close(): void {
    for (const { end } of this.#pending) end('this node is stopping');
    this.#pending = [];
  }
}
