/** What every store promises to an operator who lists requests, looks at one, and reads bodies. */
import { present } from '../../src/core/assert.js';
import { keptIn } from '../../src/store/fields.js';
import type { OwnedKey } from '../../src/store/queries.js';
import type { ClosableQueries } from '../../src/store/thread/thread-queries.js';
import { describeBodies } from './queries-contract-bodies.js';
import { describeFilters, describeGroups } from './queries-contract-filters.js';
import { type Given, numbersOf, QueriesUser } from './queries-user.js';
import {
  accept,
  attempt,
  close,
  dead,
  NOON,
  reply,
  requestOf,
  retry,
  uuidOf,
} from './store-changes.js';
import type { StorePlace } from './store-subject.js';
import { type OpenStore, StoreUser } from './store-user.js';

/** The place of a store, and what reads it beside the store's own thread. */
export interface QueriesPlace extends StorePlace<OpenStore> {
  openQueries(): ClosableQueries;
}

/** A store that is new for each test, and its operator. */
export interface QueriesSubject {
  readonly user: StoreUser;
  readonly queries: QueriesUser;
}

function eachWithQueries(make: () => Promise<QueriesPlace>): QueriesSubject {
  let place: QueriesPlace | null = null;
  let user: StoreUser | null = null;
  let queries: QueriesUser | null = null;

  beforeEach(async () => {
    place = await make();
    user = await StoreUser.open(place.open);
    queries = new QueriesUser(place.openQueries());
  });
  afterEach(async () => {
    await queries?.close();
    await user?.close();
    await place?.remove();
    [place, user, queries] = [null, null, null];
  });

  return {
    get user() {
      return present(user, 'an open store');
    },
    get queries() {
      return present(queries, 'its queries');
    },
  };
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

/**
 * What every query port behind `src/store/queries.ts` promises.
 * @param isShared it numbers requests by a clock of its own, not as the broker does
 */
export function describeQueriesContract(
  name: string,
  make: () => Promise<QueriesPlace>,
  { isShared }: { readonly isShared: boolean },
): void {
  describe(`${name}, for an operator`, () => {
    const subject = eachWithQueries(make);
    const number = isShared ? { number: expect.any(Number) } : {};
    describe('a list of stored requests', () => describeLists(subject, number));
    describe('a filter', () => describeFilters(subject));
    describe('groups of stored requests', () => describeGroups(subject));
    describe('the history of a stored request', () => describeHistory(subject, number));
    describe('bodies of a stored request', () => describeBodies(subject));
    it('has the keys of requests, also of closed ones, by service and owner', async () => {
      const kept = accept(1, { key: '"order-17"' });
      const { service, owner } = kept.request;
      await subject.user.commit(kept, accept(2, { key: 'closed' }), close(2));
      const key = (text: string): OwnedKey => ({ service, key: Buffer.from(text), owner });
      const others = [
        { ...key('"order-17"'), service: Buffer.from('other') },
        { ...key('"order-17"'), owner: 'key:other' as const },
      ];
      const asked = [key('"order-17"'), key('closed'), key('order-17'), ...others];
      expect(await subject.queries.hasKeys(asked)).toEqual([true, true, false, false, false]);
      expect(await subject.queries.hasKeys([])).toEqual([]);
    });
    describe('the thread that reads', () => {
      it('refuses queries beyond its queue limit, and answers the others', async () => {
        const answers = await Promise.allSettled(upTo(70).map(() => subject.queries.page()));
        const refused = answers.filter(({ status }) => status === 'rejected');
        expect(refused).toHaveLength(6);
        expect(refused[0]).toMatchObject({
          reason: { message: expect.stringContaining('too many') },
        });
        expect(await subject.queries.page()).toEqual({ requests: [], next: null, scanned: 0 });
      });
    });
  });
}

function describeLists(subject: QueriesSubject, number: object): void {
  const page: QueriesUser['page'] = (query) => subject.queries.page(query);
  const pages: QueriesUser['pages'] = (query) => subject.queries.pages(query);

  it('has every field of each request, newest first', async () => {
    expect(await page()).toEqual({ requests: [], next: null, scanned: 0 });
    await subject.user.commit(accept(1), accept(2, { priority: -5 }), accept(3), dead(1), reply(3));
    const { requests, next } = await page();
    expect(requests).toEqual([
      {
        ...requestOf(3, { state: 'replied', expiresAt: requests[0]?.expiresAt ?? 0 }),
        ...number,
        ...{ reason: null, reasonAt: null },
      },
      { ...requestOf(2, { priority: -5 }), ...number, reason: null, reasonAt: null },
      {
        ...requestOf(1, { state: 'dead', expiresAt: requests[2]?.expiresAt ?? 0 }),
        ...number,
        ...{ reason: 'dead 1', reasonAt: NOON + 6 },
      },
    ]);
    expect(next).toBeNull();
  });

  it('says why the last attempt failed, or why it is dead, in 256 characters', async () => {
    await subject.user.commit(...[1, 2, 3, 4].map((n) => accept(n)));
    const long = attempt(1, 2);
    await subject.user.commit(attempt(1, 1), ...[2, 3].map((n) => attempt(n, 1)));
    const text = '\u20ac'.repeat(1000);
    await subject.user.commit(
      { ...long, attempt: { ...long.attempt, reason: text } },
      dead(2),
      reply(3),
    );
    const reasons = async (query: Given): Promise<unknown[]> =>
      (await page(query)).requests.map(({ reason }) => reason);
    expect(await reasons({})).toEqual([null, null, 'dead 2', '\u20ac'.repeat(256)]);
    expect(await reasons({ state: 'dead' })).toEqual(['dead 2']);
    expect(await reasons({ only: uuidOf(2) })).toEqual(['dead 2']);
    await subject.user.commit(retry(2));
    expect(await reasons({ only: uuidOf(2) })).toEqual(['retried by alice']);
    expect((await subject.queries.history(1))?.attempts.at(-1)?.reason).toBe(text);
  });

  it('comes in pages without gaps, even when requests are added and removed between them', async () => {
    await subject.user.commit(...upTo(10).map((n) => accept(n)));
    expect(await pages({ limit: 4 })).toEqual([
      [10, 9, 8, 7],
      [6, 5, 4, 3],
      [2, 1],
    ]);
    expect(await pages({ limit: 5 })).toEqual([
      [10, 9, 8, 7, 6],
      [5, 4, 3, 2, 1],
    ]);
    const first = await page({ limit: 4 });
    await subject.user.commit(close(7), close(6), accept(11));
    expect(numbersOf(await page({ limit: 4, after: first.next }))).toEqual([5, 4, 3, 2]);
  });

  it('is filtered by state, service (bytes), age, and all of them together', async () => {
    const hostile = Buffer.from([0xff, 0x00, 0x27]);
    await subject.user.commit(
      ...upTo(12).map((n) => accept(n, n % 2 === 0 ? {} : { service: hostile })),
      ...[1, 2, 3, 4].map((n) => dead(n)),
      ...[5, 6, 7, 8].map((n) => reply(n)),
    );
    expect(await pages({ state: 'dead', limit: 3 })).toEqual([[4, 3, 2], [1]]);
    expect(await pages({ state: 'replied', limit: 3 })).toEqual([[8, 7, 6], [5]]);
    expect(await pages({ state: 'pending' })).toEqual([[12, 11, 10, 9]]);
    expect(await pages({ service: hostile })).toEqual([[11, 9, 7, 5, 3, 1]]);
    expect(await pages({ service: hostile, state: 'dead' })).toEqual([[3, 1]]);
    expect(await pages({ service: Buffer.from([0xff]) })).toEqual([[]]);
    // The time in the tests' uuids is noon and as many milliseconds as their number.
    expect(await pages({ acceptedBefore: NOON + 4 })).toEqual([[3, 2, 1]]);
    expect(await pages({ acceptedBefore: NOON + 4, state: 'dead', limit: 2 })).toEqual([
      [3, 2],
      [1],
    ]);
    expect(await pages({ acceptedBefore: -1 })).toEqual([[]]);
    expect(await pages({ acceptedBefore: 2 ** 52, limit: 12 })).toHaveLength(1);
  });

  it('lists only certain requests, or all but those, with a cursor for the next page', async () => {
    await subject.user.commit(
      ...upTo(9).map((n) => accept(n)),
      dead(3),
      accept(20, { service: Buffer.from('x') }),
    );
    const given = Buffer.concat([7, 2, 3, 9, 5, 30, 20].map(uuidOf));
    // Each of those given is a slice: on a busy machine a page may end after any of them.
    const two = await pages({ only: given, state: 'pending', limit: 2 });
    expect(two.flat()).toEqual([20, 9, 7, 5, 2]);
    expect(Math.max(...two.map(({ length }) => length))).toBeLessThanOrEqual(2);
    expect((await pages({ only: given, service: Buffer.from('x') })).flat()).toEqual([20]);
    expect(await pages({ except: given, state: 'pending', limit: 2 })).toEqual([
      [8, 6],
      [4, 1],
    ]);
    expect(await pages({ only: Buffer.alloc(0) })).toEqual([[]]);
  });

  it('misses nothing where one slice ends and the next begins', async () => {
    const edge = { service: Buffer.from('edge') };
    // A slice has 2000 rows.
    const wanted = [2501, 2500, 501, 500];
    await subject.user.commit(...upTo(4500).map((n) => accept(n, wanted.includes(n) ? edge : {})));
    await subject.user.commit(...upTo(4500).map((n) => dead(n)));
    // The time of a page is bounded, too: on a busy machine it ends early, between two slices.
    expect((await pages(edge)).flat()).toEqual(wanted);
    expect((await pages({ ...edge, state: 'dead' })).flat()).toEqual(wanted);
    const two = await pages({ ...edge, state: 'dead', limit: 2 });
    expect(two.flat()).toEqual(wanted);
    expect(Math.max(...two.map(({ length }) => length))).toBeLessThanOrEqual(2);
  });
}

function describeHistory(subject: QueriesSubject, number: object): void {
  const history: QueriesUser['history'] = (n) => subject.queries.history(n);

  it('says that it is unknown, or has all that is stored but body, reply and key', async () => {
    expect(await history(1)).toBeNull();
    await subject.user.commit(accept(1, { key: 'order-17' }), attempt(1, 1));
    const { extra: _extra, ...told } = attempt(1, 1).attempt;
    expect(await history(1)).toEqual({
      request: {
        ...requestOf(1, { attempts: 1, notBefore: NOON + 1000 }),
        ...number,
        ...{ reason: 'lost', reasonAt: attempt(1, 1).attempt.endedAt },
      },
      hasKey: true,
      ...keptIn(null),
      attemptsEver: 1,
      attempts: [told],
      reply: null,
      death: null,
    });
    await subject.user.commit(dead(1));
    expect(await history(1)).toMatchObject({
      request: { state: 'dead' },
      death: { reason: 'dead 1', at: NOON + 6 },
    });
    await subject.user.commit(retry(1), reply(1, { generation: 1, reply: Buffer.alloc(70_000) }));
    expect(await history(1)).toMatchObject({
      request: { state: 'replied', generation: 1, attempts: 0 },
      attemptsEver: 2,
      attempts: [told, { worker: '', reason: 'retried by alice', endedAt: NOON + 8 }],
      reply: { bytes: 70_000, worker: '7', at: NOON + 5 },
      death: null,
    });
    await subject.user.commit(close(1));
    expect(await history(1)).toBeNull();
  });

  it('has the last 20 attempts, oldest first, and their total number', async () => {
    await subject.user.commit(accept(1), ...upTo(25).map((n) => attempt(1, n)));
    const told = await history(1);
    expect(told).toMatchObject({ attemptsEver: 25, hasKey: false });
    expect(told?.attempts.map(({ worker }) => worker)).toEqual(upTo(20).map((n) => `w${n + 5}`));
  });
}
