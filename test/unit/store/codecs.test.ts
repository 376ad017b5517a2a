import fc from 'fast-check';

import { joinExtra } from '../../../src/core/numbered-fields.js';
import { packBatch, unpackBatch } from '../../../src/store/batch-codec.js';
import { RecordWriter, type StoreRecord, unpackRecords } from '../../../src/store/record-codec.js';
import { packFailure } from '../../../src/store/failure-codec.js';

import { type Change, FORMAT, type Owner } from '../../../src/store/store.js';
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

/** `npm run fuzz` goes on from here. */
const FUZZ_RUNS = 5000;

/** One packed frame. */
function packed(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
}

const CHANGES: readonly Change[] = [
  accept(1, { body: packed('x'), key: 'k' }),
  { ...accept(3, { body: packed('x'), key: 'k' }), keepsKeys: true },
  accept(2, { body: Buffer.alloc(0), service: Buffer.from([0xff]), priority: -100 }),
  attempt(1, 1),
  reply(1, { reply: packed('y') }),
  dead(2, { generation: 3 }),
  close(1),
  expire(2),
  retry(2, 4),
  sweep(NOON),
];

const attempts = [
  { worker: 'w', startedAt: NOON, endedAt: NOON + 1, reason: 'lost', failure: null, extra: null },
];
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
    extra: null,
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
    extra: null,
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
    extra: null,
  },
  { kind: 'tombstone', uuid: uuidOf(4), keyUntil: NOON, by: '', extra: null },
  {
    ...{ kind: 'key', service: Buffer.from('echo'), key: Buffer.from('k') },
    ...{ uuid: uuidOf(5), until: 0, owner: 'key:alice', extra: null },
  },
];

/** Two fields of a later version: a run of bytes and a number. */
const EXTRA = Buffer.concat([
  Buffer.from([101, 3, 0, 0, 0, 1, 2, 3, 102]),
  Buffer.from(new Float64Array([0.5]).buffer),
]);

const FAILURE = packFailure({ kind: 'error', code: 'E', text: 'no', detail: [Buffer.from('d')] });

const RARE_CHANGES: readonly Change[] = [
  accept(3, { body: packed('z'), key: 'k', owner: 'key:alice', isShared: true }),
  { ...accept(4, { body: packed('z') }), extra: EXTRA },
  { ...attempt(4, 1), attempt: { ...attempt(4, 1).attempt, failure: FAILURE, extra: EXTRA } },
  { ...reply(4, { reply: packed('') }), extra: EXTRA },
  close(3, NOON, 'key:bob'),
];

const RARE_RECORDS: readonly StoreRecord[] = [
  {
    kind: 'request',
    request: requestOf(6, { owner: 'key:alice', isShared: true, bodyBytes: 3 }),
    key: null,
    body: packed('x'),
    attemptsEver: 2,
    attempts: [
      { ...attempt(6, 1).attempt, extra: EXTRA },
      { ...attempt(6, 2).attempt, failure: FAILURE, extra: null },
    ],
    reply: null,
    death: null,
    extra: EXTRA,
  },
  { kind: 'tombstone', uuid: uuidOf(7), keyUntil: 0, by: 'key:bob', extra: EXTRA },
  {
    ...{ kind: 'key', service: Buffer.from('echo'), key: Buffer.from('k') },
    ...{ uuid: uuidOf(5), until: 9, owner: 'anonymous', extra: EXTRA },
  },
];

const ALL_CHANGES = [...CHANGES, ...RARE_CHANGES];
const ALL_RECORDS = [...RECORDS, ...RARE_RECORDS];
const BATCH = packBatch({ tombstones: 'known', changes: ALL_CHANGES });
const PACKED = packedRecords(ALL_RECORDS);

function packedRecords(records: readonly StoreRecord[]): Buffer {
  const writer = new RecordWriter();
  for (const record of records) writer.add(record);
  return writer.to.takeBuffer();
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
    expect(unpackBatch(BATCH)).toEqual({ tombstones: 'known', changes: ALL_CHANGES });
    const empty = { tombstones: 'none', changes: [] } as const;
    expect(unpackBatch(packBatch(empty))).toEqual(empty);
  });

  it('of another format, cut off anywhere or with more behind it is refused', () => {
    const other = Buffer.from(BATCH);
    other[0] = FORMAT + 1;
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
    ['an owner that is none', accept(1, { body: packed('x'), owner: 'key:' })],
    ['no owner', accept(1, { body: packed('x'), owner: '' as Owner })],
    ['a key of no bytes', { ...accept(1, { body: packed('x') }), key: Buffer.alloc(0) }],
  ])('with %s is refused', (_, change) => {
    expect(unpackBatch(packBatch({ tombstones: 'all', changes: [change] }))).toBeNull();
  });

  it('of any bytes is refused, or is whole changes', () => {
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
    expect(unpackRecords(PACKED)).toEqual(ALL_RECORDS);
    expect(unpackRecords(packedRecords([]))).toEqual([]);
  });

  it('of another format, or cut off within one, are refused', () => {
    const other = Buffer.from(PACKED);
    other[0] = FORMAT + 1;
    expect(unpackRecords(other)).toBeNull();
    const ends = ALL_RECORDS.map((_, at) => packedRecords(ALL_RECORDS.slice(0, at)).length);
    for (let end = 0; end < PACKED.length; end++) {
      if (ends.includes(end)) continue;
      expect({ end, records: unpackRecords(PACKED.subarray(0, end)) }).toEqual({
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
    [
      'a tombstone of no uuid',
      { kind: 'tombstone', uuid: Buffer.alloc(0), keyUntil: 0, by: '', extra: null },
    ],
  ])('with %s are refused', (_, record) => {
    expect(unpackRecords(packedRecords([record]))).toBeNull();
  });

  it('of any bytes are refused, or are whole records', () => {
    fc.assert(
      fc.property(damaged(PACKED), (bytes) => {
        const records = unpackRecords(bytes);
        if (records === null) return;
        expect(unpackRecords(packedRecords(records))).toEqual(records);
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

describe('fields of a later version', () => {
  const field = (tag: number, value: number): Buffer =>
    Buffer.from([tag * 2 + 1, 1, 0, 0, 0, value]);
  const fields = (...each: Buffer[]): Buffer => Buffer.concat(each);

  it('are joined: what only one side has is taken, of two the first one stays', () => {
    const ours = fields(field(40, 1), field(50, 1));
    const theirs = fields(field(40, 2), field(45, 2));
    expect(joinExtra(ours, theirs)).toEqual(fields(field(40, 1), field(45, 2), field(50, 1)));
    expect(joinExtra(theirs, ours)).toEqual(fields(field(40, 2), field(45, 2), field(50, 1)));
    expect(joinExtra(null, theirs)).toBe(theirs);
    expect(joinExtra(ours, null)).toBe(ours);
  });

  it('are the very ones that were there, if the other side adds nothing', () => {
    const ours = fields(field(40, 1), field(41, 1), field(41, 2));
    expect(joinExtra(ours, fields(field(41, 9)))).toBe(ours);
  });
});
