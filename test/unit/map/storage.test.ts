import fc from 'fast-check';

import { PackWriter } from '../../../src/core/value-bytes.js';
import { struct } from '../../../src/core/shapes.js';
import {
  bytesOf,
  isSameContent,
  type MapRecord,
} from '../../../src/extensions/map/machine/record.js';
import type { MapMerged } from '../../../src/extensions/map/machine/replica.js';
import {
  BODY_FIELDS,
  mapStorage,
  rankedOf,
  recordIn,
} from '../../../src/extensions/map/storage.js';
import type { Ranked, RankedOutcome, StoredPart } from '../../../src/store/ranked.js';
import { itemsBelow, page } from '../docs/page.js';
import { anyMapRecord } from './map-records.js';

const record: MapRecord = {
  ...{ key: '/a', epoch: 1, counter: 2, uuid: 'u'.repeat(16), properties: 'ttl=5\n' },
  ...{ value: 'v', ttlS: 5 },
};

function withBody(body: Buffer, more: Partial<Ranked> = {}): Ranked {
  return { ...rankedOf(record), body, ...more };
}

describe('the body of a record of the map', () => {
  it('has the fields that docs/peer-protocol.md says', () => {
    const items = Object.entries(BODY_FIELDS).map(([name, { as = '' }]) => `${name}: ${as}`);
    const heading = '### The fields of a record of the map';
    expect(itemsBelow(page('peer-protocol.md'), heading)).toEqual(items);
  });

  it('comes back as it was, and counts the same', () => {
    fc.assert(
      fc.property(anyMapRecord, (each) => {
        const ranked = rankedOf(each);
        expect(ranked.isDeleted).toBe(each.value.length === 0);
        const inOrder = new PackWriter(1);
        struct(BODY_FIELDS).put(inOrder, each);
        expect(ranked.body.subarray(1)).toEqual(inOrder.copy());
        const again = recordIn(ranked);
        expect(again).toEqual(each);
        const same = again !== null && isSameContent(again, each);
        expect(same && bytesOf(again) === bytesOf(each)).toBe(true);
      }),
    );
  });

  it('is a copy: the message may be overwritten', () => {
    const ranked = rankedOf({ ...record, value: Buffer.alloc(600, 'v') });
    const read = recordIn(ranked);
    ranked.body.fill(0);
    expect(read?.value).toEqual(Buffer.alloc(600, 'v'));
  });

  const { body } = rankedOf(record);
  const changed = (at: number, byte: number): Buffer => {
    const copy = Buffer.from(body);
    copy[at] = byte;
    return copy;
  };
  it.each<[string, Ranked]>([
    ['no bytes', withBody(Buffer.alloc(0))],
    ['a later format', withBody(changed(0, 2))],
    ['a uuid of 15 bytes', withBody(changed(1, 15))],
    ['properties over the end', withBody(changed(18, 15))],
    ['properties that are none', withBody(changed(20, 10))],
    ['a deletion with a value', withBody(body, { isDeleted: true })],
    ['a record without a value', withBody(body.subarray(0, -1))],
    ['a key with a NUL', withBody(body, { key: 'a\0' })],
    ['a key that is a command', withBody(body, { key: 'HUGZ' })],
  ])('%s: the map has no such record', (_, ranked) => {
    expect(recordIn(withBody(body))).toEqual(record);
    expect(recordIn(ranked)).toBeNull();
  });
});

describe('the part of the map', () => {
  const later = (key: string): Ranked => withBody(Buffer.from([2]), { key });
  const stored = [later('/1'), later('/2'), rankedOf({ ...record, key: '/3' }), later('/4')];
  let unreadable: string[] = [];
  let served: StoredPart | null = null;
  const told: (readonly MapRecord[] | MapMerged | number)[] = [];

  function storage(listed: number): ReturnType<typeof mapStorage> {
    unreadable = [];
    return mapStorage(
      {
        replica: { refusal: null, commit: () => false },
        list: (after, completion) => {
          completion.done(stored.filter(({ key }) => key > after).slice(0, listed));
        },
        epochMax: 1,
        tombstones: { part: 1, count: 2, keyBytes: 10 },
        serve: (part) => {
          served = part;
        },
      },
      (key) => unreadable.push(key),
    );
  }

  function allOf({ store }: ReturnType<typeof mapStorage>): string[] {
    const keys: string[] = [];
    const reading = { isDone: false };
    while (!reading.isDone) {
      store.listMap(keys.at(-1) ?? '', {
        done: (records) => {
          reading.isDone = records.length === 0;
          keys.push(...records.map(({ key }) => key));
        },
        failed: ({ message }) => {
          throw new Error(message);
        },
      });
    }
    return keys;
  }

  it.each([1, 2, 10])(
    'lists what it can read, %d at a time: a page that it cannot is not the end (D115)',
    (listed) => {
      expect(allOf(storage(listed))).toEqual(['/3']);
      expect([...new Set(unreadable)].sort()).toEqual(['/1', '/2', '/4']);
    },
  );

  it('what the peer sends and it cannot read takes its key away, and is said once (D115)', () => {
    storage(1).serve({
      tombstoneBytesChanged: (bytes) => told.push(bytes),
      followed: (changes) => told.push(changes),
      merged: (merged) => told.push(merged),
      numbersAbove: (epoch) => told.push(epoch),
    });
    const good = rankedOf(record);
    served?.followed([good, later('/1'), withBody(good.body, { key: 'a\0' })]);
    const ineffective = [good, later('/3')];
    served?.merged({ part: 1, changed: [later('/2')], ineffective, conflicts: ['/2'] });
    served?.tombstones({ part: 1, count: 1, keyBytes: 3 });
    const gone = { epoch: 1, counter: 2, uuid: '', properties: '', value: '', ttlS: 0 };
    expect(told).toEqual([
      10 + 2 * 128,
      [record, { key: '/1', ...gone }],
      { changed: [{ key: '/2', ...gone }], ineffective: [record], conflicts: ['/2'] },
      3 + 128,
    ]);
    expect(unreadable).toEqual(['/1', 'a\0', '/2']);
  });

  it('commits records with their bodies', () => {
    const commits: (readonly Ranked[])[] = [];
    const outcome = {} as RankedOutcome;
    const { replica } = mapStorage(
      {
        replica: {
          refusal: 'no peer',
          commit: (changes) => {
            commits.push(changes);
            return true;
          },
        },
        list: () => undefined,
        ...{ epochMax: 0, tombstones: { part: 1, count: 0, keyBytes: 0 }, serve: () => undefined },
      },
      () => undefined,
    );
    expect([replica.commit([record], outcome), replica.refusal]).toEqual([true, 'no peer']);
    expect(commits).toEqual([[rankedOf(record)]]);
  });
});
