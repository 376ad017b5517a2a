/** Replication between a scripted store and a scripted pair: what it asks of them, as lines. */
import { noCounts } from '../../../../src/store/record-kind.js';
import {
  type Facts,
  factsAtStart,
  type ReplicationMode,
  type State,
} from '../../../../src/bstar/facts.js';
import type { PairEvent } from '../../../../src/bstar/pair-events.js';
import { present } from '../../../../src/core/assert.js';
import { Replication } from '../../../../src/bstar/replication/replication.js';
import type { NodeMerged } from '../../../../src/store/node-store.js';
import type { Ranked } from '../../../../src/store/ranked.js';
import type {
  ChangeResult,
  Chunk,
  Completion,
  Holding,
  MergeFailure,
  ReadCursor,
  StoreFailure,
  Tombstones,
  Transaction,
} from '../../../../src/store/store.js';
import type { BatchOutcome } from '../../../../src/titanic/machine/requests/replica.js';
import type { PeerMessage } from '../../../../src/wire/pair.js';
import { close } from '../../../support/store-changes.js';

export const OWN: Buffer = Buffer.alloc(16, 1);
export const PEER: Buffer = Buffer.alloc(16, 2);
export const EPOCH = 2;
export const FULL: StoreFailure = { kind: 'full', message: 'no room' };

const COUNTS = { ...noCounts(), bytes: 0, nextNumber: 1 };
const NOTHING: NodeMerged = {
  ...{ joined: 0, ranTwice: 0, opened: [], ended: [] },
  parts: [],
};

export function holding(storeId: Buffer, upTo: number): Holding {
  return { storeId, upTo, bodiesUpTo: upTo };
}

const ignore = (): void => undefined;

/** A part that an extension serves. */
export const PART = 1;

/** What the store was given of a part. */
interface PartCommit {
  readonly part: number;
  readonly tombstones: Tombstones;
  /** Tombstones of changes up to this transaction may go. */
  readonly peerHolds: number;
  readonly changes: readonly Ranked[];
}

/** A node that leads (`active`) or follows (`passive`) in epoch 2, with its peer in sync. */
export class Stage {
  readonly calls: string[] = [];
  /** Where reading begins, and who waits for what is there. */
  readonly readings: { readonly place: ReadCursor; readonly completion: Completion<Chunk> }[] = [];
  readonly partCommits: PartCommit[] = [];
  /** Parts that came from the peer, and that no extension serves. */
  readonly unserved: number[] = [];
  readonly sent: PeerMessage[] = [];
  /** Why what came of the peer was not stored, as it is logged. */
  readonly failures: string[] = [];
  /** The peer takes each batch. */
  isInSync: boolean;
  holdsBack = true;
  readonly replication: Replication;
  /** By the number of the transaction. */
  readonly #commits = new Map<number, Completion<readonly ChangeResult[]>>();
  readonly #merges = new Map<number, Completion<NodeMerged, MergeFailure>>();

  constructor(state: State, mode: ReplicationMode = 'sync') {
    this.isInSync = state === 'active';
    const facts = { ...factsAtStart({ epoch: EPOCH, wasActive: true }), state, joined: EPOCH };
    const recovered = {
      counts: { ...COUNTS, owners: [], services: [] },
      newestAt: 0,
      storeId: OWN,
      firstTransaction: 100,
      holds: holding(PEER, 7),
      isNumbered: true,
    };
    const events = {
      emit: ({ name, ...fields }: PairEvent): void => {
        if (name === 'ha.failed' && 'text' in fields) this.failures.push(fields.text);
      },
    };
    this.replication = new Replication(mode, this.#store(), recovered, events, (part) => {
      this.unserved.push(part);
    });
    const inSync = (): boolean => this.isInSync;
    const holdsBack = (): boolean => this.holdsBack;
    this.replication.attach({
      state: {
        get facts(): Facts {
          const isLive = state === 'passive' || inSync();
          return { ...facts, link: true, progress: isLive ? 'in sync' : 'none' };
        },
        get isInSync() {
          return inSync();
        },
        get holdsBack() {
          return holdsBack();
        },
        follows: () => state === 'passive',
        merged: ignore,
        shipped: ignore,
        confirmed: ignore,
        fellBehind: ignore,
      },
      send: (message) => {
        this.sent.push(message);
        this.calls.push(`send ${message.kind}`);
      },
      stored: ignore,
      storeFailed: () => this.calls.push('store failed'),
      reconnect: () => this.calls.push('reconnect'),
      applyState: ignore,
    });
    this.#serve();
  }

  #store(): ConstructorParameters<typeof Replication>[1] {
    const { calls } = this;
    return {
      commit: ({ number }, _changes, completion) => {
        calls.push(`commit ${number}`);
        this.#commits.set(number, completion);
      },
      commitRanked: ({ number, tombstones, peerHolds }: Transaction, part, changes, completion) => {
        calls.push(`commit part ${number}`);
        this.partCommits.push({ part, tombstones, peerHolds, changes });
        this.#commits.set(number, completion);
      },
      merge: ({ number }, _records, _isFromActive, completion) => {
        calls.push(`merge ${number}`);
        this.#merges.set(number, completion);
      },
      read: (place, _requestsMax, _bytesMax, completion) => {
        calls.push('read');
        this.readings.push({ place, completion });
      },
    };
  }

  #serve(): void {
    const { calls } = this;
    this.replication.serve({ merged: ignore, probed: ignore, unprobed: ignore });
    this.replication.parts.set(PART, {
      numbersAbove: (epoch) => calls.push(`numbers above ${epoch}`),
      followed: (changes) => calls.push(`followed ${changes.map(({ key }) => key).join()}`),
      merged: ({ changed, ineffective, conflicts }) => {
        const [won, lost] = [changed, ineffective].map((all) => all.map(({ key }) => key).join());
        calls.push(`merged ${won ?? ''}, not ${lost ?? ''}, conflicts ${conflicts.join()}`);
      },
    });
  }

  // ---------------------------------------------------------------- this node's changes

  /** Titanic commits something. Returns whether it awaits the peer. */
  commit(): boolean {
    return this.replication.commit([close(1)], this.#outcome('batch'));
  }

  commitPart(...changes: Ranked[]): boolean {
    const replica = this.replication.partReplica(PART);
    return replica.commit(changes, this.#outcome('part batch'));
  }

  #outcome(what: string): BatchOutcome<unknown> {
    return {
      done: () => this.calls.push(`${what} committed`),
      failed: ({ kind }) => this.calls.push(`${what} failed: ${kind}`),
      released: (isDoubtful) =>
        this.calls.push(`${what} released${isDoubtful ? ', doubtful' : ''}`),
    };
  }

  // ---------------------------------------------------------------- the store

  committed(transaction: number): void {
    this.#taken(this.#commits, transaction).done([]);
  }

  failed(transaction: number, failure: StoreFailure): void {
    this.#taken(this.#commits, transaction).failed(failure);
  }

  merged(transaction: number, merged: Partial<NodeMerged> = {}): void {
    this.#taken(this.#merges, transaction).done({ ...NOTHING, ...merged });
  }

  mergeFailed(transaction: number, failure: MergeFailure): void {
    this.#taken(this.#merges, transaction).failed(failure);
  }

  #taken<Of>(completions: Map<number, Of>, transaction: number): Of {
    const completion = present(completions.get(transaction), `transaction ${transaction}`);
    completions.delete(transaction);
    return completion;
  }

  // ---------------------------------------------------------------- the peer

  /** The peer has the batch of this number, and called it `became`. */
  confirm(number: number, became: number): void {
    this.replication.message({ kind: 'confirm', epoch: EPOCH, number, became });
  }

  /** What it has asked since the last call. */
  news(): string[] {
    return this.calls.splice(0);
  }
}
