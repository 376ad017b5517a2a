import { beforeEach, describe, expect, it } from '@jest/globals';

import { PairStore } from '../../../src/daemon/pair-store.js';
import type { Holding, ReadPlace, StoreCounts } from '../../../src/titanic/store/store.js';
import { close } from '../../support/store-changes.js';

const OWN = Buffer.alloc(16, 1);
const PEER = Buffer.alloc(16, 2);
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

/** What the pair store asks of the others, as lines. */
let told: string[];
let places: ReadPlace[];
let counted: StoreCounts[];
let store: PairStore;

beforeEach(() => {
  told = [];
  places = [];
  counted = [];
  const machine = {
    isInSync: true,
    facts: { state: 'passive' as const },
    holds: null,
    begin: () => true,
    chunk: ignore,
    probe: () => null,
    stored: ignore,
    rolledBack: (number: number) => told.push(`rolled back ${number}`),
    readFailed: () => told.push('read failed'),
    storeFailed: () => told.push('store failed'),
  };
  const titanic = {
    counted: (counts: StoreCounts) => counted.push(counts),
    activate: ignore,
    deactivate: ignore,
    confirmed: ignore,
    unconfirmed: ignore,
    merged: ignore,
    probed: ignore,
    unprobed: ignore,
  };
  const disk = {
    commit: ignore,
    merge: ignore,
    read: (_: number, place: ReadPlace) => places.push(place),
  };
  const recovered = {
    counts: COUNTS,
    storeId: OWN,
    firstTransaction: 100,
    holds: holding(PEER, 7),
    isNumbered: true,
  };
  store = new PairStore(disk, recovered, false, { emit: () => undefined });
  store.attach(machine, titanic);
});

/** Titanic gives the store a transaction, which goes to the peer, too. Returns its number. */
function ship(): number {
  const transaction = store.begin();
  store.shipped(transaction, [close(1)]);
  return transaction.number;
}

describe('what this node holds of its peer (D20)', () => {
  it('includes what the peer made of a batch only once it is on this disk, too', () => {
    const number = ship();
    store.peerBecame(8, number);
    expect(store.holds).toEqual(holding(PEER, 7));
    store.committed(number, COUNTS);
    expect(store.holds).toEqual(holding(PEER, 8));
  });

  it('does not include a batch that was rolled back here, and the peer has to tell it', () => {
    const number = ship();
    store.peerBecame(8, number);
    store.batchFailed(number, { kind: 'full', message: 'no room' });
    expect(store.holds).toEqual(holding(PEER, 7));
    expect(told).toEqual([`rolled back ${number}`]);
  });

  it('is nothing after records without a body that is missing here: all of it is asked for', () => {
    store.merge(Buffer.alloc(0), holding(PEER, 9), false);
    store.mergeFailed(100, { kind: 'malformed', message: 'no body' });
    expect(store.holds).toBeNull();
    expect(told).toEqual(['store failed']);
  });
});

describe('what the peer lacks (D20)', () => {
  it('is what is above that which it holds', () => {
    store.read(holding(OWN, 99));
    expect(places[0]?.upTo).toBe(99);
  });

  it('is everything if it holds another store, or a later state of this one', () => {
    store.read(holding(PEER, 50));
    store.read(holding(OWN, 100));
    expect(places.map(({ upTo }) => upTo)).toEqual([0, 0]);
  });
});

describe('a passive node', () => {
  it('tells what is in its store as the peer changes it', () => {
    store.merge(Buffer.alloc(0), holding(PEER, 9), true);
    const merged = { joined: 0, ranTwice: 0, opened: [], ended: [] };
    const counts = { ...COUNTS, pending: 4 };
    store.merged(100, merged, counts);
    expect(counted).toEqual([counts]);
  });
});
