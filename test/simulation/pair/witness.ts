/**
 * What an answer guarantees: what both disks confirmed stays visible to everybody for ever; what a
 * node showed while it was alone, from the next merge on (D14, D17, D21).
 */
import type { ReplicationMode } from '../../../src/bstar/facts.js';
import type { Delivered } from '../model/intent.js';

/** The state of the node when it answered. */
export interface Mark {
  readonly isInSync: boolean;
  readonly isPromoted: boolean;
  /** Merges until then. */
  readonly merges: number;
}

export class Witness {
  readonly #replication: ReplicationMode;
  readonly #marks = new WeakMap<Delivered, Mark>();
  merges = 0;

  constructor(replication: ReplicationMode) {
    this.#replication = replication;
  }

  /** A node sends this answer. */
  sent(frames: Delivered, isInSync: boolean, isPromoted: boolean): void {
    this.#marks.set(frames, { isInSync, isPromoted, merges: this.merges });
  }

  markOf(frames: Delivered): Mark {
    const mark = this.#marks.get(frames);
    return mark ?? { isInSync: true, isPromoted: false, merges: this.merges };
  }

  /** No answer may contradict it, nor report something else for the same step. */
  isFixed(mark: Mark | null): boolean {
    if (mark === null || mark.isPromoted) return mark === null;
    return this.#replication !== 'async' && mark.isInSync;
  }

  /**
   * A close that was answered counts: `strict` answers none that is not on both disks.
   * @param later the mark of an answer that came after it
   */
  isKept(mark: Mark | null, later: Mark): boolean {
    return this.#replication === 'strict' || this.isSafe(mark, later);
  }

  /**
   * The later answer may not contradict it, although what ran on both sides may have ended in two
   * ways. An answer that was on its way while the nodes merged was given before.
   */
  isSafe(mark: Mark | null, later: Mark): boolean {
    return this.isFixed(mark) || (mark !== null && mark.merges < later.merges);
  }
}

/** For a node without a peer: everything that it reports is final. */
export const CERTAIN: Pick<Witness, 'markOf' | 'isFixed' | 'isSafe' | 'isKept' | 'merges'> = {
  merges: 0,
  markOf: () => ({ isInSync: true, isPromoted: false, merges: 0 }),
  isFixed: () => true,
  isSafe: () => true,
  isKept: () => true,
};
