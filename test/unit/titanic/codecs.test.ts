import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { packBatch, unpackBatch } from '../../../src/titanic/batch-codec.js';
import {
  RecordWriter,
  type StoreRecord,
  unpackRecords,
} from '../../../src/titanic/record-codec.js';
import type { Change } from '../../../src/titanic/store.js';
import {
  accept,
  attempt,
  close,
  dead,
  expire,
  NOON,
  reply,
  requestOf,
  retry,
  sweep,
  uuidOf,
} from '../../support/store-changes.js';

const FUZZ_RUNS = 20_000;

/** One packed frame. */
function packed(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
}

const CHANGES: readonly Change[] = [
  accept(1, { body: packed('x'), key: 'k' }),
  accept(2, { body: Buffer.alloc(0), service: Buffer.from([0xff]), priority: -100 }),
  attempt(1, 1),
  reply(1, { reply: packed('y') }),
  dead(2, { generation: 3 }),
  close(1),
  expire(2),
  retry(2, 4),
  sweep(NOON),
];

const attempts = [{ worker: 'w', startedAt: NOON, endedAt: NOON + 1, reason: 'lost' }];
const RECORDS: readonly StoreRecord[] = [
  {
    kind: 'request',
    request: requestOf(1, { bodyBytes: 3 }),
    key: Buffer.from('k'),
    body: packed('x'),
    attemptsEver: 1,
    attempts,
    reply: null,
    death: null,
  },
  {
    kind: 'request',
    request: requestOf(2, { state: 'replied' }),
    key: null,
    body: null,
    attemptsEver: 0,
    attempts: [],
    reply: { reply: packed('yes'), worker: '7', at: NOON },
    death: null,
  },
  {
    kind: 'request',
    request: requestOf(3, { state: 'dead' }),
    key: null,
    body: null,
    attemptsEver: 0,
    attempts: [],
    reply: null,
    death: { reason: 'dead', at: NOON },
  },
  { kind: 'tombstone', uuid: uuidOf(4), keyUntil: NOON },
  { kind: 'key', service: Buffer.from('echo'), key: Buffer.from('k'), uuid: uuidOf(5), until: 0 },
];

const BATCH = packBatch({ tombstones: 'known', changes: CHANGES });
const CHUNK = chunkOf(RECORDS);

function chunkOf(records: readonly StoreRecord[]): Buffer {
  const writer = new RecordWriter();
  for (const record of records) writer.add(record);
  return writer.take();
}

/** Good bytes with some of them otherwise, cut off or doubled, or any bytes at all. */
function damaged(good: Buffer): fc.Arbitrary<Buffer> {
  const place = fc.nat(good.length - 1);
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    place.map((end) => good.subarray(0, end)),
    fc.tuple(place, place).map(([a, b]) => Buffer.concat([good.subarray(0, a), good.subarray(b)])),
    fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 }).map((edits) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of edits) bytes[at] = value;
      return bytes;
    }),
  );
}

describe('a batch on the wire', () => {
  it('is what was packed, changes of every kind', () => {
    expect(unpackBatch(BATCH)).toEqual({ tombstones: 'known', changes: CHANGES });
    const empty = { tombstones: 'none', changes: [] } as const;
    expect(unpackBatch(packBatch(empty))).toEqual(empty);
  });

  it('of another version, cut off anywhere or with more behind it is refused', () => {
    const other = Buffer.from(BATCH);
    other[0] = 2;
    expect(unpackBatch(other)).toBeNull();
    expect(unpackBatch(Buffer.concat([BATCH, Buffer.alloc(1)]))).toBeNull();
    for (let end = 0; end < BATCH.length; end++) {
      expect(unpackBatch(BATCH.subarray(0, end))).toBeNull();
    }
  });

  it.each<[string, Change]>([
    ['a uuid that is none', { ...close(1), uuid: Buffer.alloc(15) }],
    ['no service', accept(1, { body: packed('x'), service: Buffer.alloc(0) })],
    ['a body of another size', { ...accept(1, { body: packed('x') }), body: packed('xy') }],
    ['a body that is no frames', accept(1, { body: Buffer.from('body') })],
    ['a reply whose last frame says that more follow', reply(1, { reply: Buffer.from([1, 0]) })],
    ['a time that is none', { ...close(1), at: NaN }],
    ['half a generation', retry(1, 0.5)],
    ['a priority beyond', accept(1, { body: packed('x'), priority: 101 })],
    ['a key of no bytes', { ...accept(1, { body: packed('x') }), key: Buffer.alloc(0) }],
  ])('with %s is refused', (_, change) => {
    expect(unpackBatch(packBatch({ tombstones: 'all', changes: [change] }))).toBeNull();
  });

  it('of any bytes is refused, or is whole changes: never an error', () => {
    fc.assert(
      fc.property(damaged(BATCH), (bytes) => {
        const batch = unpackBatch(bytes);
        if (batch !== null) expect(unpackBatch(packBatch(batch))).toEqual(batch);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

describe('records', () => {
  it('are what was packed, of every kind', () => {
    expect(unpackRecords(CHUNK)).toEqual(RECORDS);
    expect(unpackRecords(chunkOf([]))).toEqual([]);
  });

  it('of another version, or cut off within one, are refused', () => {
    const other = Buffer.from(CHUNK);
    other[0] = 2;
    expect(unpackRecords(other)).toBeNull();
    const ends = RECORDS.map((_, at) => chunkOf(RECORDS.slice(0, at)).length);
    for (let end = 0; end < CHUNK.length; end++) {
      if (ends.includes(end)) continue;
      expect({ end, records: unpackRecords(CHUNK.subarray(0, end)) }).toEqual({
        end,
        records: null,
      });
    }
  });

  it.each<[string, StoreRecord]>([
    ['a number that is none', requestWith({ request: requestOf(1, { number: 0 }) })],
    ['a body of another size', requestWith({ body: packed('xyz') })],
    ['a body that is no frames', requestWith({ body: Buffer.from('xyz') })],
    ['fewer attempts than were counted', requestWith({ attemptsEver: 2 })],
    ['a tombstone of no uuid', { kind: 'tombstone', uuid: Buffer.alloc(0), keyUntil: 0 }],
  ])('with %s are refused', (_, record) => {
    expect(unpackRecords(chunkOf([record]))).toBeNull();
  });

  it('of any bytes are refused, or are whole records: never an error', () => {
    fc.assert(
      fc.property(damaged(CHUNK), (bytes) => {
        const records = unpackRecords(bytes);
        if (records === null) return;
        expect(unpackRecords(chunkOf(records))).toEqual(records);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

function requestWith(more: Partial<StoreRecord & { kind: 'request' }>): StoreRecord {
  const [first] = RECORDS;
  if (first?.kind !== 'request') throw new Error('the first is a request');
  return { ...first, ...more };
}
