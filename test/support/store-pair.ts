/** Two stores that exchange their content like the nodes of a pair, without the nodes. */
import { present } from '../../src/core/assert.js';
import { unpackChunk } from '../../src/store/chunk-codec.js';
import { type StoreRecord, unpackRecords } from '../../src/store/record-codec.js';
import {
  type Change,
  type ChangeResult,
  type Chunk,
  type Holding,
  type Merged,
  cursorFor,
  type ReadCursor,
} from '../../src/store/store.js';
import type { StoreUser } from './store-user.js';

/** Packed frames: one frame. */
export function packed(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
}

/** All chunks of a store from a place on, each with at most this many requests. */
export async function chunksFrom(
  user: StoreUser,
  from: ReadCursor,
  requestsMax = 1000,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (let place: ReadCursor | null = from; place !== null;) {
    const chunk: Chunk = await user.read(place, requestsMax);
    chunks.push(chunk);
    place = chunk.next;
  }
  return chunks;
}

export function recordsIn(chunk: Chunk): readonly StoreRecord[] {
  const { requests } = present(unpackChunk(chunk.records), 'a chunk that the store made itself');
  return present(unpackRecords(requests), 'records that the store made itself');
}

/** The content of a store without its request numbers, in a canonical order. */
export async function contentOf(user: StoreUser): Promise<readonly StoreRecord[]> {
  const chunks = await chunksFrom(user, cursorFor(null));
  const records = chunks
    .flatMap(recordsIn)
    .map((record) =>
      record.kind === 'request' ? { ...record, request: { ...record.request, number: 0 } } : record,
    );
  const nameOf = (record: StoreRecord): string => {
    switch (record.kind) {
      case 'request':
        return `request ${record.request.uuid.toString('hex')}`;
      case 'tombstone':
        return `tombstone ${record.uuid.toString('hex')} ${record.by}`;
      case 'key':
        return `key ${record.uuid.toString('hex')}${record.key.toString('hex')}`;
    }
  };
  return records.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export async function mergeInto(
  user: StoreUser,
  chunk: Chunk,
  isFromActive: boolean,
): Promise<Merged> {
  const merged = await user.merge(chunk.records, isFromActive, {
    tombstones: 'all',
    holds: chunk.holds,
  });
  if ('kind' in merged) throw new Error(merged.message);
  return merged;
}

interface Node {
  readonly user: StoreUser;
  /** What it holds of the other one. */
  holds: Holding | null;
  /** Its own transactions up to this one are at the other node. */
  confirmed: number;
}

export class StorePair {
  readonly nodes: readonly [Node, Node];
  isInSync = false;
  /** In sync: which of them is active. */
  #active = 0;

  constructor(a: StoreUser, b: StoreUser) {
    this.nodes = [
      { user: a, holds: null, confirmed: 0 },
      { user: b, holds: null, confirmed: 0 },
    ];
  }

  node(place: number): Node {
    return present(this.nodes[place], 'one of two');
  }

  /** Commits on one of them while they are disconnected. */
  async apart(place: number, changes: readonly Change[]): Promise<void> {
    this.isInSync = false;
    await this.node(place).user.commitSo({ tombstones: 'all' }, ...changes);
  }

  /**
   * One becomes active: it merges the other's content, then the other merges its own.
   * @param chunksMax the link breaks after this many
   * @returns true if they are in sync
   */
  async join(active: number, requestsMax: number, chunksMax = Infinity): Promise<boolean> {
    let left = chunksMax;
    this.isInSync = false;
    for (const [from, to] of [
      [1 - active, active],
      [active, 1 - active],
    ] as const) {
      const [sender, receiver] = [this.node(from), this.node(to)];
      for (let place: ReadCursor | null = cursorFor(receiver.holds); place !== null;) {
        if (left-- <= 0) return false;
        const chunk: Chunk = await sender.user.read(place, requestsMax);
        await mergeInto(receiver.user, chunk, from === active);
        receiver.holds = chunk.holds;
        place = chunk.next;
      }
    }
    this.isInSync = true;
    this.#active = active;
    return true;
  }

  /**
   * In sync: the active one commits, then the other commits the same. Returns the results of both.
   */
  async stream(
    changes: readonly Change[],
  ): Promise<readonly [readonly ChangeResult[], readonly ChangeResult[]]> {
    const [active, passive] = [this.node(this.#active), this.node(1 - this.#active)];
    const results = await active.user.commitSo(
      { tombstones: 'known', holds: active.holds, peerHolds: active.confirmed },
      ...changes,
    );
    const upTo = active.user.transaction;
    const { storeId } = active.user.recovered;
    passive.holds = { storeId, upTo, bodiesUpTo: upTo };
    const theirs = await passive.user.commitSo(
      { tombstones: 'known', holds: passive.holds, peerHolds: passive.user.transaction },
      ...changes,
    );
    const { transaction, recovered } = passive.user;
    active.holds = { storeId: recovered.storeId, upTo: transaction, bodiesUpTo: transaction };
    active.confirmed = upTo;
    return [results, theirs];
  }
}
