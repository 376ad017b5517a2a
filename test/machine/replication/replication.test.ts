import { beforeEach, describe, expect, it } from '@jest/globals';

import { packBatch } from '../../../src/store/batch-codec.js';
import { close } from '../../support/store-changes.js';
import { COUNTS, EPOCH, holding, OWN, PEER, Stage } from './stage.js';

let stage: Stage;

beforeEach(() => {
  stage = new Stage('active');
});

describe("a batch of this node's", () => {
  it('is sent to the peer before it is given to the store, and waits for both (D14)', () => {
    expect(stage.replication.commit([close(1)])).toEqual({ number: 100, awaitsPeer: true });
    stage.confirm(100, 8);
    stage.replication.committed(100, [], COUNTS);
    expect(stage.calls).toEqual([
      'send update',
      'commit 100',
      'batch 100 confirmed',
      'batch 100 committed',
    ]);
  });
});

describe('the counts of the store', () => {
  it('reach Titanic after its own batches, too: a store that had failed has skipped a number', () => {
    const { number } = stage.replication.commit([close(1)]);
    const counts = { ...COUNTS, nextNumber: 12 };
    stage.replication.committed(number, [], counts);
    expect(stage.counted).toEqual([counts]);
  });
});

describe('what this node holds of its peer (D20)', () => {
  it('includes what the peer made of a batch only once it is on this disk, too', () => {
    const { number } = stage.replication.commit([close(1)]);
    stage.confirm(number, 8);
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
    stage.replication.committed(number, [], COUNTS);
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
  });

  it('does not include a batch that was rolled back here: the peer has to send it', () => {
    const { number } = stage.replication.commit([close(1)]);
    stage.confirm(number, 8);
    stage.replication.batchFailed(number, { kind: 'full', message: 'no room' });
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
    expect(stage.calls.slice(-2)).toEqual(['reconnect', `batch ${number} failed`]);
  });

  it('is nothing after records without a body that is missing here: all of it is asked for', () => {
    stage = new Stage('passive');
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    stage.replication.mergeFailed(100, { kind: 'malformed', message: 'no body' });
    expect(stage.replication.holds).toBeNull();
    expect(stage.calls).toEqual(['merge 100', 'store failed']);
  });

  it('is written once, if nothing else was committed since', () => {
    const { number } = stage.replication.commit([close(1)]);
    stage.confirm(number, 8);
    stage.replication.committed(number, [], COUNTS);
    stage.replication.writeHoldings();
    stage.replication.writeHoldings();
    expect(stage.calls.filter((call) => call.startsWith('commit'))).toEqual([
      'commit 100',
      'commit 101',
    ]);
  });
});

describe('what the peer lacks (D20)', () => {
  it('is what is above that which it holds', () => {
    stage.replication.read(holding(OWN, 99));
    expect(stage.places[0]?.upTo).toBe(99);
  });

  it('is everything if it holds another store, or a later state of this one', () => {
    stage.replication.read(holding(PEER, 50));
    stage.replication.read(holding(OWN, 100));
    expect(stage.places.map(({ upTo }) => upTo)).toEqual([0, 0]);
  });
});

describe('a passive node', () => {
  beforeEach(() => {
    stage = new Stage('passive');
  });

  it('reports what is in its store as the peer changes it', () => {
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    const merged = { joined: 0, ranTwice: 0, opened: [], ended: [] };
    const counts = { ...COUNTS, pending: 4 };
    stage.replication.merged(100, merged, counts);
    expect(stage.counted).toEqual([counts]);
    expect(stage.calls).toEqual(['merge 100', 'send taken']);
  });

  it('repeats the batches of the active node one by one, and confirms each', () => {
    const batch = packBatch({ tombstones: 'known', changes: [close(1)] });
    for (const number of [8, 9]) {
      stage.replication.message({ kind: 'update', epoch: EPOCH, number, holdsUpTo: 0, batch });
    }
    expect(stage.calls).toEqual(['commit 100']);
    stage.replication.committed(100, [], COUNTS);
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
    expect(stage.calls).toEqual(['commit 100', 'send confirm', 'commit 101']);
  });

  it('takes no data of another epoch', () => {
    const batch = packBatch({ tombstones: 'known', changes: [] });
    stage.replication.message({ kind: 'update', epoch: EPOCH + 1, number: 8, holdsUpTo: 0, batch });
    expect(stage.calls).toEqual([]);
  });
});
