import { present } from '../../../../src/core/assert.js';
import { packPartBatch, unpackPartBatch } from '../../../../src/store/chunk-codec.js';
import { packBatch } from '../../../../src/store/batch-codec.js';
import type { Ranked } from '../../../../src/store/ranked.js';
import { close } from '../../../support/store-changes.js';
import { EPOCH, FULL, holding, OWN, PART, PEER, Stage } from './stage.js';

/** @param text empty: a deletion */
function put(key: string, counter: number, text = 'x'): Ranked {
  return { key, epoch: EPOCH, counter, isDeleted: text === '', body: Buffer.from(text) };
}

let stage: Stage;

beforeEach(() => {
  stage = new Stage('active');
});

/** The batches of a part that were sent to the peer. */
function shipped(): unknown[] {
  return stage.sent.flatMap((message) =>
    message.kind === 'update' ? [unpackPartBatch(message.batch)] : [],
  );
}

describe('a batch of a part', () => {
  it('is sent to the peer before it is given to the store, and waits for both (D14, D50)', () => {
    const changes = [put('/a', 1), put('/b', 2, '')];
    expect(stage.commitPart(...changes)).toBe(true);
    stage.confirm(100, 8);
    stage.committed(100);
    expect(stage.news()).toEqual([
      'send update',
      'commit part 100',
      'part batch released',
      'part batch committed',
    ]);
    expect(shipped()).toEqual([{ part: PART, tombstones: 'known', changes }]);
    expect(stage.partCommits).toEqual([{ part: PART, tombstones: 'known', peerHolds: 0, changes }]);
  });

  it("shares its numbers with Titanic's batches, and each hears of its own", () => {
    stage.commit();
    stage.commitPart(put('/a', 1));
    expect(stage.news()).toEqual(['send update', 'commit 100', 'send update', 'commit part 101']);
    stage.confirm(101, 9);
    stage.committed(100);
    stage.committed(101);
    expect(stage.news()).toEqual([
      'batch released',
      'part batch released',
      'batch committed',
      'part batch committed',
    ]);
  });

  it('that is rolled back here may be at the peer: the nodes join again, and its changes return', () => {
    stage.commitPart(put('/a', 1));
    stage.confirm(100, 8);
    stage.news();
    stage.failed(100, FULL);
    expect(stage.news()).toEqual(['reconnect', 'part batch failed: full']);
    // The peer sends it back: this store does not hold it.
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
  });

  it('that is rolled back here waits for no confirmation any more', () => {
    stage.commitPart(put('/a', 1));
    expect(stage.replication.isConfirmed).toBe(false);
    stage.failed(100, FULL);
    expect(stage.replication.isConfirmed).toBe(true);
  });

  it('leaves all tombstones, and waits for nobody, while the peer is away', () => {
    stage.isInSync = false;
    stage.holdsBack = false;
    const changes = [put('/a', 1, '')];
    expect(stage.commitPart(...changes)).toBe(false);
    expect(stage.news()).toEqual(['commit part 100']);
    expect(stage.partCommits).toEqual([{ part: PART, tombstones: 'all', peerHolds: 0, changes }]);
  });

  it('whose peer is lost is released; under sync as safe, under strict as doubtful', () => {
    for (const [mode, released] of [
      ['sync', 'part batch released'],
      ['strict', 'part batch released, doubtful'],
    ] as const) {
      stage = new Stage('active', mode);
      stage.commitPart(put('/a', 1));
      stage.isInSync = false;
      stage.replication.connectionEnded();
      stage.news();
      stage.replication.release();
      expect(stage.news()).toEqual([released]);
    }
  });
});

describe('whether a part may be changed', () => {
  it('strict refuses without a peer in sync, sync does not (D14)', () => {
    for (const [mode, refusal] of [
      ['sync', null],
      ['async', null],
      ['strict', 'the peer is not in sync, and titanic.replication is strict'],
    ] as const) {
      stage = new Stage('active', mode);
      expect(stage.replication.partReplica(PART).refusal).toBeNull();
      stage.isInSync = false;
      expect(stage.replication.partReplica(PART).refusal).toBe(refusal);
    }
  });

  it('async: a batch waits for no peer', () => {
    stage = new Stage('active', 'async');
    expect(stage.commitPart(put('/a', 1))).toBe(false);
    expect(stage.news()).toEqual(['send update', 'commit part 100']);
  });
});

describe('what the peer lacks of a part', () => {
  it.each([
    ['of this store, below its next number: counts', holding(OWN, 99), 99],
    ['of another store: does not count', holding(PEER, 99), 0],
    ['of a later state of this file: does not count', holding(OWN, 100), 0],
    ['of nothing: does not count', null, 0],
  ])('what a joining peer holds %s: no conflict, and tombstones up to it go', (_, holds, upTo) => {
    stage.replication.peerJoined(holds);
    stage.commitPart(put('/a', 1));
    expect(stage.partCommits[0]?.peerHolds).toBe(upTo);
  });

  it('a confirmed batch counts as held: the tombstones up to it go with the next one (D54)', () => {
    stage.commitPart(put('/a', 1, ''));
    stage.committed(100);
    stage.confirm(100, 8);
    stage.commitPart(put('/b', 2));
    expect(stage.partCommits.map(({ peerHolds }) => peerHolds)).toEqual([0, 100]);
  });
});

describe('a passive node', () => {
  beforeEach(() => {
    stage = new Stage('passive');
  });

  function update(number: number, batch: Buffer, holdsUpTo = 0): void {
    stage.replication.message({ kind: 'update', epoch: EPOCH, number, holdsUpTo, batch });
  }

  const batchOf = (...changes: Ranked[]): Buffer =>
    packPartBatch({ part: PART, tombstones: 'known', changes });

  it('tells the extension of a change once that is committed, and confirms it (D53)', () => {
    update(8, batchOf(put('/a', 1), put('/b', 2)), 40);
    expect(stage.news()).toEqual(['commit part 100']);
    const [commit] = stage.partCommits;
    expect(present(commit, 'a commit')).toMatchObject({ tombstones: 'known', peerHolds: 40 });
    stage.committed(100);
    expect(stage.news()).toEqual(['followed /a,/b', 'send confirm']);
    expect(stage.sent.at(-1)).toMatchObject({ kind: 'confirm', number: 8, became: 100 });
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
  });

  it('tells the extension what records of the peer changed, before it confirms them (D54)', () => {
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    const merged = { part: PART, changed: [put('/a', 1)], ineffective: [], conflicts: ['/b'] };
    stage.merged(100, { parts: [merged] });
    const told = ['merged /a, not , conflicts /b', 'send taken'];
    expect(stage.news()).toEqual(['merge 100', ...told]);
  });

  it('tells the extension of records of the peer that changed nothing (D121)', () => {
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    const merged = { part: PART, changed: [], ineffective: [put('/c', 1)], conflicts: [] };
    stage.merged(100, { parts: [merged] });
    expect(stage.news()).toEqual(['merge 100', 'merged , not /c, conflicts ', 'send taken']);
  });

  it("repeats the batches of a part and Titanic's one by one, in their order", () => {
    update(8, batchOf(put('/a', 1)));
    update(9, packBatch({ tombstones: 'known', changes: [close(1)] }));
    update(10, batchOf(put('/a', 2)));
    for (const number of [100, 101, 102]) stage.committed(number);
    expect(stage.news()).toEqual([
      ...['commit part 100', 'followed /a', 'send confirm'],
      ...['commit 101', 'send confirm'],
      ...['commit part 102', 'followed /a', 'send confirm'],
    ]);
  });

  it('a batch that was at the store when the connection ended is followed, not confirmed', () => {
    update(8, batchOf(put('/a', 1)));
    update(9, batchOf(put('/b', 2)));
    stage.replication.connectionEnded();
    stage.committed(100);
    expect(stage.news()).toEqual(['commit part 100', 'followed /a']);
  });

  it('a batch that its store could not take is not followed, nor confirmed', () => {
    update(8, batchOf(put('/a', 1)));
    stage.news();
    stage.failed(100, FULL);
    expect(stage.news()).toEqual(['store failed']);
    expect(stage.failures).toEqual(['no room']);
    // What comes after it belongs to the next connection.
    stage.replication.connectionEnded();
    update(9, packBatch({ tombstones: 'known', changes: [close(1)] }));
    stage.committed(101);
    expect(stage.news()).toEqual(['commit 101', 'send confirm']);
  });

  it('of a part that no extension serves: it is stored and confirmed, and said (D115)', () => {
    const part = 200;
    update(8, packPartBatch({ part, tombstones: 'known', changes: [put('k', 1)] }));
    stage.committed(100);
    expect(stage.news()).toEqual(['commit part 100', 'send confirm']);
    expect(stage.partCommits).toMatchObject([{ part, changes: [{ key: 'k' }] }]);
    const records = { index: 1, isLast: true, holds: holding(PEER, 9), records: Buffer.alloc(0) };
    stage.replication.message({ kind: 'records', epoch: EPOCH, ...records });
    stage.merged(101, {
      parts: [{ part, changed: [put('k', 2)], ineffective: [], conflicts: [] }],
    });
    expect(stage.news()).toEqual(['merge 101', 'send taken']);
    expect(stage.unserved).toEqual([part, part]);
    expect(stage.failures).toEqual([]);
  });

  it.each([
    ['no tombstones', Buffer.from([1, 1])],
    ['unknown tombstones', Buffer.concat([Buffer.from([1, 1, 3]), batchOf().subarray(3)])],
    ['a torn record', batchOf(put('/a', 1)).subarray(0, -1)],
    ['an epoch that no node led', batchOf({ ...put('/a', 1), epoch: EPOCH + 1 })],
  ])('malformed bytes of a batch (%s): nothing is stored, the nodes join again', (_, bytes) => {
    update(8, bytes);
    expect(stage.news()).toEqual(['store failed']);
    expect(stage.failures).toEqual(['malformed bytes']);
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
  });
});
