import { packBatch } from '../../../../src/store/batch-codec.js';
import { close } from '../../../support/store-changes.js';
import { EPOCH, FULL, holding, OWN, PEER, Stage } from './stage.js';

let stage: Stage;

beforeEach(() => {
  stage = new Stage('active');
});

describe("a batch of this node's", () => {
  it('that a node no longer leads with is not released any more', () => {
    stage.commit();
    stage.news();
    stage.replication.drop();
    stage.confirm(100, 8);
    stage.replication.release();
    stage.committed(100);
    expect(stage.news()).toEqual(['batch committed']);
  });
});

describe('what this node holds of its peer (D20)', () => {
  it('includes what the peer made of a batch only once it is on this disk, too', () => {
    stage.commit();
    stage.confirm(100, 8);
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
    stage.committed(100);
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
  });

  it('does not include a batch that was rolled back here: the peer has to send it', () => {
    stage.commit();
    stage.confirm(100, 8);
    stage.failed(100, FULL);
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
    expect(stage.calls.slice(-2)).toEqual(['reconnect', 'batch failed: full']);
  });

  it('is nothing after records without a body that is missing here: all of it is asked for', () => {
    stage = new Stage('passive');
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    stage.mergeFailed(100, { kind: 'malformed', message: 'no body' });
    expect(stage.replication.holds).toBeNull();
    expect(stage.calls).toEqual(['merge 100', 'store failed']);
  });

  it('is written once, if nothing else was committed since', () => {
    stage.commit();
    stage.confirm(100, 8);
    stage.committed(100);
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
    expect(stage.readings[0]?.place.upTo).toBe(99);
  });

  it('is everything if it holds another store, or a later state of this one', () => {
    stage.replication.read(holding(PEER, 50));
    stage.replication.read(holding(OWN, 100));
    expect(stage.readings.map(({ place }) => place.upTo)).toEqual([0, 0]);
  });

  it('is told by the last reading alone: an earlier one that fails is of no matter', () => {
    stage.replication.read(null);
    stage.replication.read(null);
    const [first, last] = stage.readings.map(({ completion }) => completion);
    stage.news();
    first?.failed(FULL);
    expect(stage.news()).toEqual([]);
    last?.failed(FULL);
    expect(stage.news()).toEqual(['store failed']);
  });
});

describe('a passive node', () => {
  beforeEach(() => {
    stage = new Stage('passive');
  });

  it('confirms records of the peer once they are in its store', () => {
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    expect(stage.news()).toEqual(['merge 100']);
    stage.merged(100);
    expect(stage.news()).toEqual(['send taken']);
    expect(stage.replication.holds).toEqual(holding(PEER, 9));
  });

  it('repeats the batches of the active node one by one, and confirms each', () => {
    const batch = packBatch({ tombstones: 'known', changes: [close(1)] });
    for (const number of [8, 9]) {
      stage.replication.message({ kind: 'update', epoch: EPOCH, number, holdsUpTo: 0, batch });
    }
    expect(stage.calls).toEqual(['commit 100']);
    stage.committed(100);
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
    expect(stage.calls).toEqual(['commit 100', 'send confirm', 'commit 101']);
  });

  it('takes no data of another epoch', () => {
    const batch = packBatch({ tombstones: 'known', changes: [] });
    stage.replication.message({ kind: 'update', epoch: EPOCH + 1, number: 8, holdsUpTo: 0, batch });
    expect(stage.calls).toEqual([]);
  });
});
