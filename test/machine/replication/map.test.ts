import { beforeEach, describe, expect, it } from '@jest/globals';

import { present } from '../../../src/core/assert.js';
import { type MapRecord, valueOf } from '../../../src/store/map-record.js';
import { packMapBatch, unpackMapBatch } from '../../../src/store/chunk-codec.js';
import { packBatch } from '../../../src/store/batch-codec.js';
import { close } from '../../support/store-changes.js';
import { COUNTS, EPOCH, holding, OWN, PEER, Stage } from './stage.js';

const FULL = { kind: 'full', message: 'no room' } as const;

function put(key: string, counter: number, value = 'x'): MapRecord {
  const bytes = valueOf(Buffer.from(value));
  return { key, epoch: EPOCH, counter, uuid: '', properties: '', value: bytes, ttlS: 0 };
}

let stage: Stage;

beforeEach(() => {
  stage = new Stage('active');
});

/** The map's batches that were sent to the peer. */
function shipped(): unknown[] {
  return stage.sent.flatMap((message) =>
    message.kind === 'update' ? [unpackMapBatch(message.batch)] : [],
  );
}

describe('a batch of the map', () => {
  it('is sent to the peer before it is given to the store, and waits for both (D14, D50)', () => {
    const changes = [put('/a', 1), put('/b', 2, '')];
    expect(stage.replication.map.commit(changes)).toEqual({ number: 100, awaitsPeer: true });
    stage.confirm(100, 8);
    stage.replication.committed(100, [], COUNTS);
    expect(stage.news()).toEqual([
      'send update',
      'commit map 100',
      'map batch 100 released',
      'map batch 100 committed',
    ]);
    expect(shipped()).toEqual([{ tombstones: 'known', changes }]);
    expect(stage.mapCommits).toEqual([{ tombstones: 'known', peerHolds: 0, changes }]);
  });

  it("shares its numbers with Titanic's batches, and each hears of its own", () => {
    const titanics = stage.replication.commit([close(1)]);
    const ofMap = stage.replication.map.commit([put('/a', 1)]);
    expect([titanics.number, ofMap.number]).toEqual([100, 101]);
    stage.news();
    stage.confirm(101, 9);
    stage.replication.committed(100, [], COUNTS);
    stage.replication.committed(101, [], COUNTS);
    expect(stage.news()).toEqual([
      'batch 100 confirmed',
      'map batch 101 released',
      'batch 100 committed',
      'map batch 101 committed',
    ]);
  });

  it('that is rolled back here may be at the peer: the nodes join again, and its changes return', () => {
    stage.replication.map.commit([put('/a', 1)]);
    stage.confirm(100, 8);
    stage.news();
    stage.replication.batchFailed(100, FULL);
    expect(stage.news()).toEqual(['reconnect', 'map batch 100 failed: full']);
    // The peer sends it back: this store does not hold it.
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
  });

  it('that is rolled back here waits for no confirmation any more', () => {
    stage.replication.map.commit([put('/a', 1)]);
    expect(stage.replication.isConfirmed).toBe(false);
    stage.replication.batchFailed(100, FULL);
    expect(stage.replication.isConfirmed).toBe(true);
  });

  it('leaves all tombstones, and waits for nobody, while the peer is away', () => {
    stage.isInSync = false;
    stage.holdsBack = false;
    const changes = [put('/a', 1, '')];
    expect(stage.replication.map.commit(changes)).toEqual({ number: 100, awaitsPeer: false });
    expect(stage.news()).toEqual(['commit map 100']);
    expect(stage.mapCommits).toEqual([{ tombstones: 'all', peerHolds: 0, changes }]);
  });

  it('whose peer is lost is released; under sync as safe, under strict as doubtful', () => {
    for (const [mode, released] of [
      ['sync', 'map batch 100 released'],
      ['strict', 'map batch 100 released, doubtful'],
    ] as const) {
      stage = new Stage('active', mode);
      stage.replication.map.commit([put('/a', 1)]);
      stage.isInSync = false;
      stage.replication.connectionEnded();
      stage.news();
      stage.replication.release();
      expect(stage.news()).toEqual([released]);
    }
  });
});

describe('whether the map may be changed', () => {
  it('strict refuses without a peer in sync, sync does not (D14)', () => {
    for (const [mode, refusal] of [
      ['sync', null],
      ['async', null],
      ['strict', 'the peer is not in sync, and titanic.replication is strict'],
    ] as const) {
      stage = new Stage('active', mode);
      expect(stage.replication.map.refusal).toBeNull();
      stage.isInSync = false;
      expect(stage.replication.map.refusal).toBe(refusal);
    }
  });

  it('async: a batch waits for no peer', () => {
    stage = new Stage('active', 'async');
    expect(stage.replication.map.commit([put('/a', 1)]).awaitsPeer).toBe(false);
    expect(stage.news()).toEqual(['send update', 'commit map 100']);
  });
});

describe('what the peer lacks of the map', () => {
  it.each([
    ['of this store, below its next number: counts', holding(OWN, 99), 99],
    ['of another store: does not count', holding(PEER, 99), 0],
    ['of a later state of this file: does not count', holding(OWN, 100), 0],
    ['of nothing: does not count', null, 0],
  ])('what a joining peer holds %s: no conflict, and tombstones up to it go', (_, holds, upTo) => {
    stage.replication.peerJoined(holds);
    stage.replication.map.commit([put('/a', 1)]);
    expect(stage.mapCommits[0]?.peerHolds).toBe(upTo);
  });

  it('a confirmed batch counts as held: the tombstones up to it go with the next one (D54)', () => {
    stage.replication.map.commit([put('/a', 1, '')]);
    stage.replication.committed(100, [], COUNTS);
    stage.confirm(100, 8);
    stage.replication.map.commit([put('/b', 2)]);
    expect(stage.mapCommits.map(({ peerHolds }) => peerHolds)).toEqual([0, 100]);
  });
});

describe('a passive node', () => {
  beforeEach(() => {
    stage = new Stage('passive');
  });

  function update(number: number, batch: Buffer, holdsUpTo = 0): void {
    stage.replication.message({ kind: 'update', epoch: EPOCH, number, holdsUpTo, batch });
  }

  const batchOf = (...changes: MapRecord[]): Buffer =>
    packMapBatch({ tombstones: 'known', changes });

  it('tells its map of a change once that is committed, and confirms it (D53)', () => {
    update(8, batchOf(put('/a', 1), put('/b', 2)), 40);
    expect(stage.news()).toEqual(['commit map 100']);
    const [commit] = stage.mapCommits;
    expect(present(commit, 'a commit')).toMatchObject({ tombstones: 'known', peerHolds: 40 });
    stage.replication.committed(100, [], COUNTS);
    expect(stage.news()).toEqual(['followed /a,/b', 'send confirm']);
    expect(stage.sent.at(-1)).toMatchObject({ kind: 'confirm', number: 8, became: 100 });
    expect(stage.replication.holds).toEqual(holding(PEER, 8));
  });

  it("repeats the map's batches and Titanic's one by one, in their order", () => {
    update(8, batchOf(put('/a', 1)));
    update(9, packBatch({ tombstones: 'known', changes: [close(1)] }));
    update(10, batchOf(put('/a', 2)));
    for (const number of [100, 101, 102]) stage.replication.committed(number, [], COUNTS);
    expect(stage.news()).toEqual([
      ...['commit map 100', 'followed /a', 'send confirm'],
      ...['commit 101', 'send confirm'],
      ...['commit map 102', 'followed /a', 'send confirm'],
    ]);
  });

  it('a batch that was at the store when the connection ended is followed, not confirmed', () => {
    update(8, batchOf(put('/a', 1)));
    update(9, batchOf(put('/b', 2)));
    stage.replication.connectionEnded();
    stage.replication.committed(100, [], COUNTS);
    expect(stage.news()).toEqual(['commit map 100', 'followed /a']);
  });

  it('a batch that its store could not take is not followed, nor confirmed', () => {
    update(8, batchOf(put('/a', 1)));
    stage.news();
    stage.replication.batchFailed(100, FULL);
    expect(stage.news()).toEqual(['store failed']);
    expect(stage.failures).toEqual(['no room']);
    // What comes after it belongs to the next connection.
    stage.replication.connectionEnded();
    update(9, packBatch({ tombstones: 'known', changes: [close(1)] }));
    stage.replication.committed(101, [], COUNTS);
    expect(stage.news()).toEqual(['commit 101', 'send confirm']);
  });

  it.each([
    ['no tombstones', Buffer.from([1, 1])],
    ['unknown tombstones', Buffer.concat([Buffer.from([1, 1, 3]), batchOf().subarray(3)])],
    ['no records', Buffer.from([1, 1, 1])],
    ['a torn record', batchOf(put('/a', 1)).subarray(0, -1)],
    ['an epoch that no node led', batchOf({ ...put('/a', 1), epoch: EPOCH + 1 })],
  ])('malformed bytes of a batch (%s): nothing is stored, the nodes join again', (_, bytes) => {
    update(8, bytes);
    expect(stage.news()).toEqual(['store failed']);
    expect(stage.failures).toEqual(['malformed bytes']);
    expect(stage.replication.holds).toEqual(holding(PEER, 7));
  });
});
