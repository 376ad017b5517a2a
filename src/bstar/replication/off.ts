/** A pair that replicates nothing: each join is complete at once. */
import { isLed } from '../facts.js';
import type { Pair, Replicator } from '../ports.js';

export class NoReplication implements Replicator {
  readonly storeId: null = null;
  readonly holds: null = null;
  readonly isConfirmed = true;
  readonly isSending = false;
  readonly oldest: number = Infinity;
  readonly dueAt: number = Infinity;
  #pair: Pair | null = null;

  attach(pair: Pair): void {
    this.#pair = pair;
  }

  peerJoined(): void {
    this.#pair?.state.merged();
  }

  start(epoch: number): void {
    const state = this.#pair?.state;
    if (state === undefined || !isLed(state.facts, epoch)) return;
    state.shipped();
    state.confirmed();
  }

  setTime(): void {}
  run(): void {}
  connectionEnded(): void {}
  peerHolds(): void {}
  message(): void {}
  release(): void {}
  drop(): void {}
}
