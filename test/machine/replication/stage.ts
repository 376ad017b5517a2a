/** Replication between a scripted store and a scripted pair: what it asks of them, as lines. */
import {
  type Facts,
  factsAtStart,
  type Replication as Mode,
  type State,
} from '../../../src/bstar/facts.js';
import type { MapRecord } from '../../../src/store/map-record.js';
import { Replication } from '../../../src/replication/replication.js';
import type {
  Holding,
  ReadPlace,
  StoreCounts,
  Tombstones,
  Transaction,
} from '../../../src/store/store.js';
import type { PeerMessage } from '../../../src/wire/peer.js';

export const OWN: Buffer = Buffer.alloc(16, 1);
export const PEER: Buffer = Buffer.alloc(16, 2);
export const EPOCH = 2;
export const COUNTS: StoreCounts = {
  pending: 3,
  replied: 2,
  dead: 1,
  bytes: 4096,
  nextNumber: 9,
  owners: [],
  services: [],
};

export function holding(storeId: Buffer, upTo: number): Holding {
  return { storeId, upTo, bodiesUpTo: upTo };
}

const ignore = (): void => undefined;

/** What the store was given of the map. */
interface MapCommit {
  readonly tombstones: Tombstones;
  /** Tombstones of changes up to this transaction may go. */
  readonly peerHolds: number;
  readonly changes: readonly MapRecord[];
}

/** A node that leads (`active`) or follows (`passive`) in epoch 2, with its peer in sync. */
export class Stage {
  readonly calls: string[] = [];
  readonly places: ReadPlace[] = [];
  readonly counted: StoreCounts[] = [];
  readonly mapCommits: MapCommit[] = [];
  readonly sent: PeerMessage[] = [];
  /** Why what came of the peer was not stored, as it is logged. */
  readonly failures: string[] = [];
  /** The peer takes each batch. */
  isInSync: boolean;
  holdsBack = true;
  readonly replication: Replication;

  constructor(state: State, mode: Mode = 'sync') {
    this.isInSync = state === 'active';
    const facts = { ...factsAtStart({ epoch: EPOCH, wasActive: true }), state, joined: EPOCH };
    const recovered = {
      counts: COUNTS,
      storeId: OWN,
      firstTransaction: 100,
      holds: holding(PEER, 7),
      isNumbered: true,
    };
    this.replication = new Replication(mode, this.#store(), recovered, {
      emit: ({ name, ...fields }) => {
        if (name === 'ha.failed' && 'text' in fields) this.failures.push(fields.text);
      },
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
      settle: ignore,
    });
    this.#serve();
  }

  #store(): ConstructorParameters<typeof Replication>[1] {
    const { calls } = this;
    return {
      commit: ({ number }) => calls.push(`commit ${number}`),
      commitMap: ({ number, tombstones, peerHolds }: Transaction, changes) => {
        calls.push(`commit map ${number}`);
        this.mapCommits.push({ tombstones, peerHolds, changes });
      },
      merge: ({ number }) => calls.push(`merge ${number}`),
      read: (_read, place) => {
        this.places.push(place);
        calls.push('read');
      },
    };
  }

  #serve(): void {
    const { calls } = this;
    this.replication.serve({
      batchFailed: (number) => calls.push(`batch ${number} failed`),
      committed: (number) => calls.push(`batch ${number} committed`),
      confirmed: (number) => calls.push(`batch ${number} confirmed`),
      counted: (counts) => this.counted.push(counts),
      merged: ignore,
      probed: ignore,
      unconfirmed: ignore,
      unprobed: ignore,
    });
    this.replication.serveMap({
      committed: (number) => calls.push(`map batch ${number} committed`),
      batchFailed: (number, { kind }) => calls.push(`map batch ${number} failed: ${kind}`),
      released: (number, isDoubtful) =>
        calls.push(`map batch ${number} released${isDoubtful ? ', doubtful' : ''}`),
      numbersAbove: (epoch) => calls.push(`numbers above ${epoch}`),
      followed: (changes) => calls.push(`followed ${changes.map(({ key }) => key).join()}`),
    });
  }

  /** The peer has the batch of this number, and called it `became`. */
  confirm(number: number, became: number): void {
    this.replication.message({ kind: 'confirm', epoch: EPOCH, number, became });
  }

  /** What it has asked since the last call. */
  news(): string[] {
    return this.calls.splice(0);
  }
}
