import { beforeEach, describe, expect, it } from '@jest/globals';

import type { State } from '../../../src/bstar/facts.js';
import { factsAtStart } from '../../../src/bstar/facts.js';
import { Replication } from '../../../src/replication/replication.js';
import { packBatch } from '../../../src/titanic/store/batch-codec.js';
import {
  FORMAT,
  type Holding,
  type ReadPlace,
  type StoreCounts,
} from '../../../src/titanic/store/store.js';
import { close } from '../../support/store-changes.js';

const OWN = Buffer.alloc(16, 1);
const PEER = Buffer.alloc(16, 2);
const EPOCH = 2;
const COUNTS: StoreCounts = {
  pending: 3,
  replied: 2,
  dead: 1,
  bytes: 4096,
  nextNumber: 9,
  owners: [],
  services: [],
};

function holding(storeId: Buffer, upTo: number): Holding {
  return { storeId, upTo, bodiesUpTo: upTo };
}

const ignore = (): void => undefined;

/** What replication asks of the others, as lines. */
let calls: string[];
let places: ReadPlace[];
let counted: StoreCounts[];
let replication: Replication;

/** A node that leads (`active`) or follows (`passive`) in epoch 2, with its peer in sync. */
function node(state: State): Replication {
  const facts = { ...factsAtStart({ epoch: EPOCH, wasActive: true }), state, joined: EPOCH };
  const recovered = {
    counts: COUNTS,
    storeId: OWN,
    firstTransaction: 100,
    holds: holding(PEER, 7),
    isNumbered: true,
  };
  const store = {
    commit: ({ number }: { number: number }) => calls.push(`commit ${number}`),
    commitMap: ({ number }: { number: number }) => calls.push(`commit map ${number}`),
    merge: ({ number }: { number: number }) => calls.push(`merge ${number}`),
    read: (_: number, place: ReadPlace) => places.push(place),
  };
  const made = new Replication('sync', store, recovered, { emit: ignore });
  made.attach({
    state: {
      facts: { ...facts, link: true, progress: 'in sync' },
      isInSync: state === 'active',
      holdsBack: true,
      follows: () => state === 'passive',
      merged: ignore,
      shipped: ignore,
      confirmed: ignore,
      fellBehind: ignore,
    },
    send: ({ kind }) => calls.push(`send ${kind}`),
    stored: ignore,
    storeFailed: () => calls.push('store failed'),
    reconnect: () => calls.push('reconnect'),
    settle: ignore,
  });
  made.serve({
    batchFailed: (number) => calls.push(`batch ${number} failed`),
    committed: (number) => calls.push(`batch ${number} committed`),
    confirmed: (number) => calls.push(`batch ${number} confirmed`),
    counted: (counts) => counted.push(counts),
    merged: ignore,
    probed: ignore,
    unconfirmed: ignore,
    unprobed: ignore,
  });
  return made;
}

beforeEach(() => {
  calls = [];
  places = [];
  counted = [];
  replication = node('active');
});

function confirm(number: number, became: number): void {
  replication.message({ kind: 'confirm', epoch: EPOCH, number, became });
}

describe("a batch of this node's", () => {
  it('is sent to the peer before it is given to the store, and waits for both (D14)', () => {
    expect(replication.commit([close(1)])).toEqual({ number: 100, awaitsPeer: true });
    confirm(100, 8);
    replication.committed(100, [], COUNTS);
    expect(calls).toEqual([
      'send update',
      'commit 100',
      'batch 100 confirmed',
      'batch 100 committed',
    ]);
  });
});

describe('the counts of the store', () => {
  it('reach Titanic after its own batches, too: a store that had failed has skipped a number', () => {
    const { number } = replication.commit([close(1)]);
    const counts = { ...COUNTS, nextNumber: 12 };
    replication.committed(number, [], counts);
    expect(counted).toEqual([counts]);
  });
});

describe('what this node holds of its peer (D20)', () => {
  it('includes what the peer made of a batch only once it is on this disk, too', () => {
    const { number } = replication.commit([close(1)]);
    confirm(number, 8);
    expect(replication.holds).toEqual(holding(PEER, 7));
    replication.committed(number, [], COUNTS);
    expect(replication.holds).toEqual(holding(PEER, 8));
  });

  it('does not include a batch that was rolled back here: the peer has to send it', () => {
    const { number } = replication.commit([close(1)]);
    confirm(number, 8);
    replication.batchFailed(number, { kind: 'full', message: 'no room' });
    expect(replication.holds).toEqual(holding(PEER, 7));
    expect(calls.slice(-2)).toEqual(['reconnect', `batch ${number} failed`]);
  });

  it('is nothing after records without a body that is missing here: all of it is asked for', () => {
    replication = node('passive');
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    replication.message({ kind: 'records', epoch: EPOCH, ...records });
    replication.mergeFailed(100, { kind: 'malformed', message: 'no body' });
    expect(replication.holds).toBeNull();
    expect(calls).toEqual(['merge 100', 'store failed']);
  });

  it('is written once, if nothing else was committed since', () => {
    const { number } = replication.commit([close(1)]);
    confirm(number, 8);
    replication.committed(number, [], COUNTS);
    replication.writeHoldings();
    replication.writeHoldings();
    expect(calls.filter((call) => call.startsWith('commit'))).toEqual(['commit 100', 'commit 101']);
  });
});

describe('what the peer lacks (D20)', () => {
  it('is what is above that which it holds', () => {
    replication.read(holding(OWN, 99));
    expect(places[0]?.upTo).toBe(99);
  });

  it('is everything if it holds another store, or a later state of this one', () => {
    replication.read(holding(PEER, 50));
    replication.read(holding(OWN, 100));
    expect(places.map(({ upTo }) => upTo)).toEqual([0, 0]);
  });
});

describe('a passive node', () => {
  beforeEach(() => {
    replication = node('passive');
  });

  it('reports what is in its store as the peer changes it', () => {
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    replication.message({ kind: 'records', epoch: EPOCH, ...records });
    const merged = { joined: 0, ranTwice: 0, opened: [], ended: [] };
    const counts = { ...COUNTS, pending: 4 };
    replication.merged(100, merged, counts);
    expect(counted).toEqual([counts]);
    expect(calls).toEqual(['merge 100', 'send taken']);
  });

  it('repeats the batches of the active node one by one, and confirms each', () => {
    const batch = packBatch({ tombstones: 'known', changes: [close(1)] }, FORMAT);
    for (const number of [8, 9]) {
      replication.message({ kind: 'update', epoch: EPOCH, number, holdsUpTo: 0, batch });
    }
    expect(calls).toEqual(['commit 100']);
    replication.committed(100, [], COUNTS);
    expect(replication.holds).toEqual(holding(PEER, 8));
    expect(calls).toEqual(['commit 100', 'send confirm', 'commit 101']);
  });

  it('takes no data of another epoch', () => {
    const batch = packBatch({ tombstones: 'known', changes: [] }, FORMAT);
    replication.message({ kind: 'update', epoch: EPOCH + 1, number: 8, holdsUpTo: 0, batch });
    expect(calls).toEqual([]);
  });
});
