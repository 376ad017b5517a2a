import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  isMapBatch,
  packChunk,
  packMapBatch,
  unpackChunk,
  unpackMapBatch,
} from '../../../src/store/chunk-codec.js';
import { packBatch } from '../../../src/store/batch-codec.js';
import type { Tombstones } from '../../../src/store/store.js';
import { anyMapRecord } from '../wire/map-records.js';

const records = fc.array(anyMapRecord, { maxLength: 3 });
const tombstones = fc.constantFrom<Tombstones>('none', 'known', 'all');
const bytes = fc.uint8Array({ maxLength: 80 }).map((list) => Buffer.from(list));
/** Of the first record in a batch. */
const RECORD_AT = 4;
const NOTHING = { epoch: 1, counter: 1, uuid: '', properties: '', ttlS: 0 };
/** Often with the first bytes of a chunk or a batch. */
const anyBytes = fc
  .tuple(fc.constantFrom([], [1], [1, 0, 0, 0], [1, 1, 1, 1]), bytes)
  .map(([head, rest]) => Buffer.concat([Buffer.from(head), rest]));

describe('a chunk of a store (D20)', () => {
  it("comes back as it was: Titanic's records as bytes, and the map's", () => {
    fc.assert(
      fc.property(bytes, records, (requests, map) => {
        expect(unpackChunk(packChunk({ requests, map }))).toEqual({ requests, map });
      }),
    );
  });

  it('of a later format is refused, as is a batch of one', () => {
    const chunk = packChunk({ requests: Buffer.alloc(0), map: [] });
    const batch = packMapBatch({ tombstones: 'all', changes: [] });
    expect([unpackChunk(chunk)?.map, isMapBatch(batch)]).toEqual([[], true]);
    for (const each of [chunk, batch]) each[0] = 2;
    expect([unpackChunk(chunk), isMapBatch(batch)]).toEqual([null, false]);
  });

  it('any bytes are taken apart or refused; what is taken can be packed again', () => {
    fc.assert(
      fc.property(anyBytes, (chunk) => {
        const parts = unpackChunk(chunk);
        if (parts === null) return;
        expect(unpackChunk(packChunk(parts))).toEqual(parts);
        expect(parts.requests.length).toBeLessThanOrEqual(chunk.length);
      }),
      { numRuns: 300 },
    );
  });

  it('a torn one is refused, or ends after whole records', () => {
    fc.assert(
      fc.property(bytes, records, fc.nat(), (requests, map, at) => {
        const packed = packChunk({ requests, map });
        const torn = unpackChunk(packed.subarray(0, 1 + (at % Math.max(1, packed.length - 1))));
        if (torn === null) return;
        expect(torn.requests).toEqual(requests);
        expect(torn.map).toEqual(map.slice(0, torn.map.length));
      }),
    );
  });
});

describe('a batch of the map (D53)', () => {
  it("comes back as it was, and is not one of Titanic's", () => {
    fc.assert(
      fc.property(tombstones, records, (leaves, changes) => {
        const batch = { tombstones: leaves, changes };
        const packed = packMapBatch(batch);
        expect(isMapBatch(packed)).toBe(true);
        expect(unpackMapBatch(packed)).toEqual(batch);
      }),
    );
    expect(isMapBatch(packBatch({ tombstones: 'all', changes: [] }))).toBe(false);
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
          const near = packMapBatch({ tombstones: leaves, changes: list });
          near[at % near.length] = byte;
          for (const batch of [any, near].filter(isMapBatch)) {
            const read = unpackMapBatch(batch);
            if (read !== null) expect(packMapBatch(read)).toEqual(batch);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ['a uuid of 32 bytes', 11, 32, 32],
    ['no key', 0, 0, 32],
    ['a length over the end', 17, 200, 0],
  ])('%s is refused', (_, at, byte, more) => {
    const changes = [{ ...NOTHING, key: '/a', value: 'v' }];
    const packed = packMapBatch({ tombstones: 'all', changes });
    packed[RECORD_AT + at] = byte;
    const bytesOfIt = Buffer.concat([packed, Buffer.alloc(32)]);
    expect(unpackMapBatch(bytesOfIt.subarray(0, packed.length + more))).toBeNull();
  });
});
