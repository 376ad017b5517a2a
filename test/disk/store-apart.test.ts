import { accept, close, dead, NOON, sweep, uuidOf } from '../support/store-changes.js';
import { RankedStoreUser } from '../support/ranked-store-user.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { type Change, cursorFor } from '../../src/store/store.js';
import { storeDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, StorePair } from '../support/store-pair.js';
import type { StoreUser } from '../support/store-user.js';

const STANDALONE = { isNewStore: false, isPaired: false, news: () => undefined };

const directory = storeDirectory();
let its: string;

beforeEach(() => {
  its = directory.apart('its');
});

/** The stores of a pair in sync, with requests 1 to 3: this one, and that of its peer. Both are closed. */
async function pairOfThree(): Promise<void> {
  const [a, b] = [await directory.open(), await directory.open(its)];
  const pair = new StorePair(a, b);
  const content = [1, 2, 3].map((n) => accept(n, { body: packed('x') }));
  await pair.apart(0, content);
  expect(await pair.join(0, 10)).toBe(true);
  await a.close();
  await b.close();
}

/** This store serves without its peer. */
async function alone(...changes: readonly Change[]): Promise<void> {
  const user = await directory.open(directory.file, false, false);
  await user.commit(...changes);
  await user.close();
}

async function takeIn(to: StoreUser, from: StoreUser, isFromActive: boolean): Promise<void> {
  for (const chunk of await chunksFrom(from, cursorFor(to.recovered.holds))) {
    await mergeInto(to, chunk, isFromActive);
  }
}

/** The requests of both stores after they have joined again, the peer being active. */
async function joined(): Promise<readonly string[]> {
  const [a, b] = [await directory.open(), await directory.open(its)];
  await takeIn(b, a, false);
  await takeIn(a, b, true);
  const [ours, theirs] = [await requestsIn(a), await requestsIn(b)];
  expect(ours).toEqual(theirs);
  return theirs;
}

async function requestsIn(user: StoreUser): Promise<readonly string[]> {
  return (await contentOf(user)).flatMap((each) =>
    each.kind === 'request' ? [each.request.uuid.toString('hex')] : [],
  );
}

function named(...numbers: readonly number[]): readonly string[] {
  return numbers.map((n) => uuidOf(n).toString('hex')).sort();
}

describe('a store of a pair that serves without its peer for a while (D17)', () => {
  it('keeps a mark of what it closes, over all its openings: no join brings that back', async () => {
    await pairOfThree();
    await alone(close(1));
    await alone(close(2));
    expect(await joined()).toEqual(named(3));
  });

  it('and of what a sweep ends', async () => {
    await pairOfThree();
    await alone(dead(1, { expiresAt: NOON }), sweep(NOON));
    expect(await joined()).toEqual(named(2, 3));
  });

  it('but of nothing that the peer cannot have, whichever start it came after', async () => {
    await pairOfThree();
    await alone(accept(4), accept(5), close(4));
    await alone(close(5), accept(6, { body: packed('x') }));
    const user = await directory.open();
    expect((await contentOf(user)).filter(({ kind }) => kind === 'tombstone')).toEqual([]);
    await user.close();
    expect(await joined()).toEqual(named(1, 2, 3, 6));
  });

  it('which begins anew each time: what came in a pair between may be at the peer', async () => {
    await pairOfThree();
    await alone();
    const [a, b] = [await directory.open(), await directory.open(its)];
    await a.commitSo({ tombstones: 'all' }, accept(4, { body: packed('x') }));
    await takeIn(b, a, true);
    await a.close();
    await b.close();
    await alone(close(4));
    expect(await joined()).toEqual(named(1, 2, 3));
  });

  it('a store that was never in a pair keeps none', async () => {
    await alone(accept(1));
    await alone(close(1));
    expect(await contentOf(await directory.open())).toEqual([]);
  });

  it('deleted keys of an extension stay deleted, and new ones leave nothing', async () => {
    await pairOfThree();
    const record = { epoch: 1, isDeleted: false, body: Buffer.from('x') };
    const paired = await RankedStoreUser.open(openSqliteStore(directory.file));
    await paired.commit([{ ...record, key: 'old', counter: 1 }]);
    await paired.close();
    const first = await RankedStoreUser.open(openSqliteStore(directory.file, STANDALONE));
    await first.commit([
      { ...record, key: 'old', counter: 3 },
      { ...record, key: 'new', counter: 4 },
      { ...record, key: 'newer', counter: 5 },
      { ...record, key: 'newer', counter: 6, isDeleted: true },
    ]);
    await first.close();
    const user = await RankedStoreUser.open(openSqliteStore(directory.file, STANDALONE));
    await user.commit([
      { ...record, key: 'old', counter: 7, isDeleted: true },
      { ...record, key: 'new', counter: 8, isDeleted: true },
    ]);
    await user.close();
    expect(user.tombstones).toMatchObject({ count: 1, keyBytes: 3 });
  });
});
