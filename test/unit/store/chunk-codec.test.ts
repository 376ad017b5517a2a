import fc from 'fast-check';

import { PackWriter } from '../../../src/core/value-bytes.js';
import { struct } from '../../../src/core/shapes.js';
import {
  isPartBatch,
  packChunk,
  packPartBatch,
  unpackChunk,
  unpackPartBatch,
} from '../../../src/store/chunk-codec.js';
import { packBatch } from '../../../src/store/batch-codec.js';
import { PART_MAX, type Ranked } from '../../../src/store/ranked.js';
import { packRanked, RANKED_FIELDS, unpackRanked } from '../../../src/store/ranked-codec.js';
import type { Tombstones } from '../../../src/store/store.js';
import { itemsBelow, page } from '../docs/page.js';

const bytes = fc.uint8Array({ maxLength: 80 }).map((list) => Buffer.from(list));
const ranked: fc.Arbitrary<Ranked> = fc.record({
  key: fc
    .uint8Array({ minLength: 1, maxLength: 255 })
    .map((list) => Buffer.from(list).toString('latin1')),
  epoch: fc.nat({ max: 2 ** 24 - 1 }),
  counter: fc.maxSafeNat().map((value) => value % 2 ** 40),
  isDeleted: fc.boolean(),
  body: bytes,
});
const records = fc.array(ranked, { maxLength: 3 });
const part = fc.integer({ min: 1, max: PART_MAX });
/** Of numbers that no extension has, too. */
const parts = fc
  .uniqueArray(fc.tuple(part, fc.array(ranked, { minLength: 1, maxLength: 3 })), {
    maxLength: 3,
    selector: ([number]) => number,
  })
  .map((list) =>
    list.sort(([a], [b]) => a - b).map(([number, found]) => ({ part: number, records: found })),
  );
const tombstones = fc.constantFrom<Tombstones>('none', 'known', 'all');
/** Of the first record in a batch. */
const RECORD_AT = 3;
/** Often with the first bytes of a chunk or a batch. */
const anyBytes = fc
  .tuple(fc.constantFrom([], [1], [1, 0, 0, 0], [1, 1, 1, 1], [1, 200, 1, 1]), bytes)
  .map(([head, rest]) => Buffer.concat([Buffer.from(head), rest]));

describe('ranked records as bytes', () => {
  it('have the fields that docs/peer-protocol.md says', () => {
    const items = Object.entries(RANKED_FIELDS).map(([name, { as = '' }]) => `${name}: ${as}`);
    const heading = '### The fields of a ranked record';
    expect(itemsBelow(page('peer-protocol.md'), heading)).toEqual(items);
  });

  it('come back as they were, and are the fields of the table in their order', () => {
    fc.assert(
      fc.property(records, (list) => {
        expect(unpackRanked(packRanked(list))).toEqual(list);
        const inOrder = new PackWriter(1);
        for (const each of list) struct(RANKED_FIELDS).put(inOrder, each);
        expect(packRanked(list)).toEqual(inOrder.copy());
      }),
    );
  });

  it('any bytes are accepted or refused, and torn ones are refused', () => {
    fc.assert(
      fc.property(
        fc.array(ranked, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.nat(255),
        (list, at, byte) => {
          const packed = packRanked(list);
          const place = at % packed.length;
          const torn = unpackRanked(packed.subarray(0, place));
          expect(torn === null || torn.length < list.length).toBe(true);
          packed[place] = byte;
          const other = unpackRanked(packed);
          if (other !== null) expect(packRanked(other)).toEqual(packed);
        },
      ),
    );
  });
});

describe('a chunk of a store (D20)', () => {
  it("comes back as it was: Titanic's records as bytes, and those of any part (D115)", () => {
    fc.assert(
      fc.property(bytes, parts, (requests, list) => {
        const chunk = { requests, parts: list };
        expect(unpackChunk(packChunk(chunk))).toEqual(chunk);
      }),
    );
  });

  it('of a later format is refused, as is a batch of one', () => {
    const chunk = packChunk({ requests: Buffer.alloc(0), parts: [] });
    const batch = packPartBatch({ part: 1, tombstones: 'all', changes: [] });
    expect([unpackChunk(chunk)?.parts, isPartBatch(batch)]).toEqual([[], true]);
    for (const each of [chunk, batch]) each[0] = 2;
    expect([unpackChunk(chunk), isPartBatch(batch)]).toEqual([null, false]);
  });

  it('any bytes are taken apart or refused; what is taken was packed so', () => {
    fc.assert(
      fc.property(
        anyBytes,
        bytes,
        parts,
        fc.nat(),
        fc.nat(255),
        (any, requests, list, at, byte) => {
          const near = packChunk({ requests, parts: list });
          near[at % near.length] = byte;
          for (const chunk of [any, near]) {
            const found = unpackChunk(chunk);
            if (found !== null) expect(packChunk(found)).toEqual(chunk);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('a torn one is refused, or ends after whole parts', () => {
    fc.assert(
      fc.property(bytes, parts, fc.nat(), (requests, list, at) => {
        const packed = packChunk({ requests, parts: list });
        const torn = unpackChunk(packed.subarray(0, 1 + (at % Math.max(1, packed.length - 1))));
        if (torn === null) return;
        expect(torn.requests).toEqual(requests);
        expect(torn.parts).toEqual(list.slice(0, torn.parts.length));
      }),
    );
  });

  it('a record above the epoch that is known is refused, in any part', () => {
    const record = { key: 'k', epoch: 3, counter: 1, isDeleted: false, body: Buffer.from('b') };
    const requests = Buffer.alloc(0);
    const chunk = packChunk({ requests, parts: [{ part: 200, records: [record] }] });
    expect([unpackChunk(chunk, 2), unpackChunk(chunk, 3)?.parts.length]).toEqual([null, 1]);
  });
});

describe('a batch of a part (D53)', () => {
  it("comes back as it was, of any part, and is not one of Titanic's (D115)", () => {
    fc.assert(
      fc.property(part, tombstones, records, (number, leaves, changes) => {
        const batch = { part: number, tombstones: leaves, changes };
        const packed = packPartBatch(batch);
        expect(isPartBatch(packed)).toBe(true);
        expect(unpackPartBatch(packed)).toEqual(batch);
      }),
    );
    expect(isPartBatch(packBatch({ tombstones: 'all', changes: [] }))).toBe(false);
  });

  it('any bytes are taken apart or refused; what is taken was packed so', () => {
    fc.assert(
      fc.property(
        anyBytes,
        tombstones,
        records,
        fc.nat(),
        fc.nat(255),
        (any, leaves, list, at, byte) => {
          const near = packPartBatch({ part: 1, tombstones: leaves, changes: list });
          near[at % near.length] = byte;
          for (const batch of [any, near].filter(isPartBatch)) {
            const read = unpackPartBatch(batch);
            if (read !== null) expect(packPartBatch(read)).toEqual(batch);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ['no key', 0, 0, 32],
    ['neither deleted nor not', 11, 2, 0],
    ['a length over the end', 15, 200, 0],
  ])('%s is refused', (_, at, byte, more) => {
    const record = { key: '/a', epoch: 1, counter: 1, isDeleted: false, body: Buffer.from('v') };
    const packed = packPartBatch({ part: 1, tombstones: 'all', changes: [record] });
    expect(unpackPartBatch(packed)).not.toBeNull();
    packed[RECORD_AT + at] = byte;
    expect(unpackPartBatch(Buffer.concat([packed, Buffer.alloc(more)]))).toBeNull();
  });
});
