import { present } from '../../src/core/assert.js';
import { unpackChunk } from '../../src/store/chunk-codec.js';
import type { OpenNodeStore } from '../../src/store/node-store.js';
import type { PartRecords, Ranked } from '../../src/store/ranked.js';
import { type Chunk, cursorFor, type ReadCursor, type Tombstones } from '../../src/store/store.js';
import { seededRandom } from './stage-random.js';
import { PART, RankedStoreUser } from './ranked-store-user.js';
import { eachWithStore, type StorePlace } from './store-subject.js';

const OPENING = 2 ** 32;
const ALL = { tombstones: 'all' } as const;

/** @param number `[epoch, counter]` */
function put(key: string, text: string | Buffer, number: readonly [number, number]): Ranked {
  const [epoch, counter] = number;
  const body = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  return { key, epoch, counter, isDeleted: false, body };
}

export function remove(key: string, number: readonly [number, number]): Ranked {
  return { ...put(key, 'gone', number), isDeleted: true };
}

/** Each as `KEY=BODY`, deletions as `KEY-`. */
function shown(records: readonly Ranked[]): string[] {
  return records.map(({ key, isDeleted, body }) => key + (isDeleted ? '-' : `=${body.toString()}`));
}

/** From everything after this transaction. */
function after(upTo: number): ReadCursor {
  return cursorFor({ upTo, bodiesUpTo: upTo });
}

async function chunksFrom(
  user: RankedStoreUser,
  from: ReadCursor,
  bytesMax?: number,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (let place: ReadCursor | null = from; place !== null;) {
    const chunk: Chunk = await user.read(place, bytesMax);
    chunks.push(chunk);
    place = chunk.next;
  }
  return chunks;
}

function partsIn(chunk: Chunk): readonly PartRecords[] {
  return present(unpackChunk(chunk.records), 'a chunk that the store made itself').parts;
}

const recordsIn = (chunk: Chunk, part = PART): readonly Ranked[] =>
  partsIn(chunk).find((each) => each.part === part)?.records ?? [];

/** Records and tombstones, in order of their keys. */
async function contentOf(user: RankedStoreUser): Promise<Ranked[]> {
  const chunks = await chunksFrom(user, after(0));
  return chunks.flatMap((chunk) => recordsIn(chunk)).sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** What every store behind `src/store/ranked.ts` and `src/store/node-store.ts` promises. */
export function describeRankedStoreContract(
  name: string,
  make: () => Promise<StorePlace<OpenNodeStore>>,
): void {
  describe(`${name} as a store of ranked records`, () => {
    const stores = eachWithStore(make, RankedStoreUser.open);
    let user: RankedStoreUser;

    const reopen = async (): Promise<void> => {
      user = await stores.reopen();
    };

    beforeEach(() => {
      ({ user } = stores);
    });

    it('is empty when it is new; its id stays, and no opening gives numbers again (D20)', async () => {
      expect(await user.list()).toEqual([]);
      const { storeId, firstTransaction, epochMax, parts } = user.recovered;
      expect(storeId).toHaveLength(16);
      expect(firstTransaction).toBe(OPENING + 1);
      expect([epochMax, parts]).toEqual([0, []]);
      await reopen();
      expect(user.recovered).toMatchObject({ storeId, firstTransaction: 2 * OPENING + 1 });
      expect((await stores.other()).recovered.storeId).not.toEqual(storeId);
    });

    it('keeps every byte of a record, in the order of the keys as bytes', async () => {
      const all = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
      const key = all.subarray(1, 256).toString('latin1');
      const whole = put(key, all, [2 ** 24 - 1, 2 ** 40 - 1]);
      const large = put('\xff', Buffer.alloc(100_000, all), [1, 2]);
      const zero = put('z', '\0', [0, 0]);
      await user.commit([large, zero, whole]);
      await reopen();
      expect(await user.list()).toEqual([whole, zero, large]);
      expect(user.recovered.epochMax).toBe(2 ** 24 - 1);
    });

    it('lists many records in pieces, each once', async () => {
      const records = Array.from({ length: 2500 }, (_, at) => put(`k${at}`, `${at}`, [1, at]));
      await user.commit(records);
      const listed = await user.list();
      expect(listed).toHaveLength(2500);
      expect(listed.map(({ key }) => key)).toEqual(records.map(({ key }) => key).sort());
    });

    it('the higher number wins, in a commit too: doing it again changes nothing (D54)', async () => {
      const changes = [put('a', '1', [1, 1]), put('a', '2', [1, 2]), put('b', '1', [2, 1])];
      await user.commit(changes);
      await user.commit([...changes, put('b', 'late', [1, 900]), remove('a', [1, 1])]);
      expect(await user.list()).toEqual([put('a', '2', [1, 2]), put('b', '1', [2, 1])]);
    });

    it.each<[Tombstones, readonly string[]]>([
      ['none', []],
      ['known', ['a']],
      ['all', ['a', 'b']],
    ])('a deletion leaves tombstones: %s (D17, D54)', async (tombstones, left) => {
      await user.commit([put('a', '1', [1, 1])]);
      await user.commit([remove('a', [1, 2]), remove('b', [1, 3])], { tombstones });
      expect(await user.list()).toEqual([]);
      const content = await contentOf(user);
      expect(content.map(({ key }) => key)).toEqual(left);
      expect(user.tombstones).toMatchObject({ count: left.length, keyBytes: left.length });
      await reopen();
      expect(user.tombstones).toMatchObject({ count: left.length, keyBytes: left.length });
      expect(await contentOf(user)).toEqual(content);
      await user.commit([put('a', 'old', [1, 1]), put('b', 'old', [1, 1])]);
      const kept = left.length === 0 ? ['a', 'b'] : left.length === 1 ? ['b'] : [];
      expect((await user.list()).map(({ key }) => key)).toEqual(kept);
      await user.commit([put('a', 'new', [1, 9])]);
      expect((await user.list()).map(({ key }) => key)).toContain('a');
      expect(user.tombstones.count).toBe(left.length === 2 ? 1 : 0);
    });

    it('drops tombstones that the other disk has, some at a time (D54)', async () => {
      const changes = Array.from({ length: 2500 }, (_, at) => remove(`k${at}`, [1, at]));
      await user.commit(changes, { tombstones: 'all' });
      const upTo = user.transaction;
      await user.commit([remove('later', [2, 1])], { tombstones: 'all' });
      await user.commit([], { peerHolds: upTo - 1 });
      expect(await contentOf(user)).toHaveLength(2501);
      await user.commit([], { peerHolds: upTo });
      const left = (await contentOf(user)).length;
      expect(left).toBeLessThan(2501);
      expect(left).toBeGreaterThan(1);
      await user.commit([]);
      await user.commit([]);
      expect((await contentOf(user)).map(({ key }) => key)).toEqual(['later']);
      expect(user.tombstones).toMatchObject({ count: 1, keyBytes: 'later'.length });
    });

    it('remembers what it holds of the other store, in the transaction that brought it (D20)', async () => {
      expect(user.recovered.holds).toBeNull();
      const holds = { storeId: Buffer.alloc(16, 7), upTo: OPENING + 5, bodiesUpTo: OPENING + 5 };
      await user.commit([put('a', '1', [1, 1])], { holds });
      await user.commit([put('b', '1', [1, 2])]);
      await reopen();
      expect(user.recovered.holds).toEqual(holds);
      const later = { ...holds, upTo: OPENING + 9 };
      await user.merge((await user.read(after(0))).records, { holds: later });
      await reopen();
      expect(user.recovered.holds).toEqual(later);
    });

    it('tells what changed after a transaction, as it is now, tombstones included (D20)', async () => {
      await user.commit(['a', 'b', 'c'].map((key, at) => put(key, '1', [1, at])));
      const first = user.transaction;
      await user.commit([put('b', '2', [1, 5])]);
      await user.commit([remove('c', [1, 6])], { tombstones: 'known' });
      const [chunk, ...more] = await chunksFrom(user, after(first));
      expect(more).toEqual([]);
      const { storeId } = user.recovered;
      expect(chunk?.holds).toMatchObject({ storeId, upTo: user.transaction });
      expect(chunk === undefined ? [] : shown(recordsIn(chunk))).toEqual(['b=2', 'c-']);
      const beyond = await user.read(after(user.transaction + 1000));
      expect(beyond).toMatchObject({ holds: { upTo: user.transaction }, next: null });
    });

    it('in chunks of any size: all of it, also if the link breaks after any of them', async () => {
      for (let at = 0; at < 60; at += 6) {
        const changes = Array.from({ length: 6 }, (_, n) => put(`k${at + n}`, 'v', [1, at + n]));
        await user.commit([...changes, remove(`k${at}`, [2, at])], { tombstones: 'all' });
      }
      const whole = await contentOf(user);
      for (const bytesMax of [20, 300, 700, 5000]) {
        const other = await stores.other();
        const chunks = await chunksFrom(user, after(0), bytesMax);
        expect(chunks.length > 1).toBe(bytesMax < 5000);
        for (const [at, chunk] of chunks.entries()) {
          const rest = at === 3 ? await chunksFrom(user, after(chunk.holds.upTo), bytesMax) : [];
          for (const each of [chunk, ...rest]) {
            await other.merge(each.records, { tombstones: 'all', holds: each.holds });
          }
          if (at === 3) break;
        }
        expect(await contentOf(other)).toEqual(whole);
      }
    });

    it('a chunk that requests have filled has one transaction of it: each goes a step forward (D20)', async () => {
      await user.commit([put('a', '1', [1, 1])]);
      const first = user.transaction;
      await user.commit([put('b', '1', [1, 2])]);
      const upTo = user.transaction;
      await user.commit([put('c', '1', [1, 3])]);
      const chunk = await user.read(after(first), 0);
      expect(recordsIn(chunk)).toMatchObject([{ key: 'b' }]);
      expect(chunk).toMatchObject({ holds: { upTo }, next: { upTo } });
    });

    it('ends with a chunk that is short: a large one is never the last', async () => {
      await user.commit([put('a', '1', [1, 1]), put('b', Buffer.alloc(500), [1, 2])]);
      const first = await user.read(after(0), 400);
      expect(recordsIn(first)).toHaveLength(2);
      const last = await user.read(present(first.next, 'more'), 400);
      expect(recordsIn(last)).toEqual([]);
      expect(last).toMatchObject({ holds: { upTo: user.transaction }, next: null });
    });

    it('a merge takes the higher number, tells what changed, and what both sides changed (D54)', async () => {
      const other = await stores.other();
      const shared = ['both', 'theirs', 'mine', 'equal'].map((key, at) => put(key, '0', [1, at]));
      await user.commit(shared);
      const known = user.transaction;
      await user.commit([
        put('both', 'u', [2, 1]),
        put('mine', 'u', [2, 2]),
        put('won', 'u', [4, 1]),
        put('ended', 'u', [4, 2]),
      ]);
      await user.commit([remove('ended', [4, 3])], { tombstones: 'all' });
      await other.commit(shared);
      const sent = other.transaction;
      await other.commit([put('both', 'o', [3, 1]), remove('theirs', [3, 2])], {
        tombstones: 'all',
      });
      await other.commit(
        [
          put('won', 'o', [3, 3]),
          put('new', 'o', [3, 4]),
          remove('gone', [3, 5]),
          put('ended', 'o', [3, 6]),
        ],
        {
          tombstones: 'all',
        },
      );
      const { records, holds } = await other.read(after(sent));
      expect(await user.merge(records, { tombstones: 'all', holds }, 2)).toMatchObject({
        kind: 'malformed',
      });
      const merged = await user.merge(records, { tombstones: 'all', holds, peerHolds: known }, 3);
      const { changed, ineffective, conflicts } = merged as Exclude<
        typeof merged,
        { kind: string }
      >;
      const byKey = (all: readonly Ranked[]) => [...all].sort((a, b) => (a.key < b.key ? -1 : 1));
      expect(shown(byKey(changed))).toEqual(['both=o', 'new=o', 'theirs-']);
      expect(shown(byKey(ineffective))).toEqual(['ended-', 'ended=o', 'gone-', 'won=o']);
      expect([...conflicts].sort()).toEqual(['both', 'ended', 'won']);
      expect(await user.merge(records, { tombstones: 'all', holds })).toMatchObject({
        changed: [],
      });
      const back = await user.read(after(0));
      const taken = { tombstones: 'all', peerHolds: other.transaction } as const;
      // What the other node has taken is no conflict there.
      expect(await other.merge(back.records, taken)).toMatchObject({ conflicts: [] });
      expect(await other.list()).toEqual(await user.list());
    });

    it('parts have keys, tombstones and numbers of their own, and go to the other store alike (D115)', async () => {
      const [other, unknown] = [await stores.other(), 255];
      await user.commit([put('a', '1', [1, 1]), put('b', '1', [1, 2])]);
      await user.commit([put('a', 'u', [1, 1]), remove('gone', [1, 9])], ALL, unknown);
      expect([shown(await user.list()), shown(await user.list(unknown))]).toEqual([
        ['a=1', 'b=1'],
        ['a=u'],
      ]);
      expect(user.tombstones.count).toBe(0);
      await reopen();
      expect(user.recovered.parts).toEqual([
        { part: PART, count: 0, keyBytes: 0 },
        { part: unknown, count: 1, keyBytes: 4 },
      ]);
      for (const chunk of await chunksFrom(user, after(0), 20)) {
        await other.merge(chunk.records, { ...ALL, holds: chunk.holds });
      }
      const chunks = await chunksFrom(other, after(0));
      expect(chunks.flatMap((chunk) => shown(recordsIn(chunk, unknown))).sort()).toEqual([
        'a=u',
        'gone-',
      ]);
      expect(shown(await other.list())).toEqual(['a=1', 'b=1']);
      await other.commit([], { peerHolds: other.transaction });
      await other.commit([remove('b', [2, 1])], { tombstones: 'none' });
      const left = await chunksFrom(other, after(0));
      expect(left.flatMap((chunk) => shown(recordsIn(chunk, unknown)))).toEqual(['a=u']);
      expect(shown(await other.list())).toEqual(['a=1']);
    });

    it('bytes that are no records change nothing', async () => {
      await user.commit([put('a', '1', [1, 1])]);
      const { records } = await user.read(after(0));
      const torn = records.subarray(0, records.length - 1);
      expect(await user.merge(torn)).toMatchObject({ kind: 'malformed' });
      expect(await user.list()).toHaveLength(1);
    });

    it('two that changed apart are equal after each has taken in the other’s, in any order (D54)', async () => {
      for (let seed = 1; seed <= 5; seed++) {
        const random = seededRandom(seed);
        const draw = (most: number): number => {
          const bytes = Buffer.alloc(4);
          random(bytes);
          return bytes.readUInt32BE(0) % most;
        };
        const sides = [await stores.other(), await stores.other()] as const;
        const joinInto = async (from: RankedStoreUser, to: RankedStoreUser): Promise<void> => {
          for (const chunk of await chunksFrom(from, after(0), 20 + draw(200))) {
            await to.merge(chunk.records, { tombstones: 'all', holds: chunk.holds });
          }
        };
        for (let round = 1; round <= 4; round++) {
          for (const [side, each] of sides.entries()) {
            const changes = Array.from({ length: draw(8) }, (_, at) => ({
              ...put(`k${draw(6)}`, `${side}`, [round * 2 + side, at]),
              isDeleted: draw(3) === 0,
            }));
            await each.commit(changes, { tombstones: 'all' });
          }
          const first = draw(2);
          await joinInto(first === 0 ? sides[0] : sides[1], first === 0 ? sides[1] : sides[0]);
          await joinInto(first === 0 ? sides[1] : sides[0], first === 0 ? sides[0] : sides[1]);
          expect(await contentOf(sides[0])).toEqual(await contentOf(sides[1]));
        }
      }
    });
  });
}
