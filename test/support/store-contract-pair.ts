import { COUNT_MAX, SEQUENCE_MAX, WALL_MS_MAX } from '../../src/core/numbers.js';
import { packChunk } from '../../src/store/chunk-codec.js';
import { extraOf } from '../../src/store/fields.js';
import { RecordWriter, type StoreRecord } from '../../src/store/record-codec.js';
import {
  type Holding,
  cursorFor,
  type StoredRequest,
  type Tombstones,
} from '../../src/store/store.js';
import {
  accept,
  attempt,
  close,
  dead,
  expire,
  known,
  NOON,
  reply,
  requestOf,
  retry,
  sweep,
  uuidOf,
} from './store-changes.js';
import { scheduleKey } from '../../src/wire/tsp.js';
import type { Change } from '../../src/store/store.js';
import type { Subject } from './store-contract.js';
import { chunksFrom, contentOf, mergeInto, packed, recordsIn, StorePair } from './store-pair.js';

const OPENING = 2 ** 32;
const body = packed('body');
const EMPTY_HOLDING: Holding = { storeId: Buffer.alloc(16), upTo: 0, bodiesUpTo: 0 };

export function describeStorePair(subject: Subject): void {
  it('has an id that stays, and numbers of transactions that no opening gives again (D20)', async () => {
    const { storeId, firstTransaction } = subject.user.recovered;
    expect(storeId).toHaveLength(16);
    expect(firstTransaction).toBe(OPENING + 1);
    const { recovered } = await subject.reopen();
    expect(recovered).toMatchObject({ storeId, firstTransaction: 2 * OPENING + 1 });
    const other = await subject.other();
    expect(other.recovered.storeId).not.toEqual(storeId);
  });

  it('remembers what it holds of the other store, in the transaction that brought it (D20)', async () => {
    const { user } = subject;
    expect(user.recovered.holds).toBeNull();
    const storeId = Buffer.alloc(16, 7);
    const holds = { storeId, upTo: OPENING + 5, bodiesUpTo: 3 };
    await user.commitSo({ holds }, accept(1, { body }));
    await user.commit(accept(2, { body }));
    expect((await subject.reopen()).recovered.holds).toEqual(holds);
    const later = { ...holds, upTo: OPENING + 9 };
    await subject.user.merge((await subject.user.read(cursorFor(null))).records, true, {
      holds: later,
    });
    expect((await subject.reopen()).recovered.holds).toEqual(later);
  });

  it.each<[Tombstones, string, readonly number[], string]>([
    ['none', 'standalone', [], 'passed'],
    ['known', 'in sync', [1, 2, 3], 'passed'],
    ['all', 'not in sync', [1, 2, 3, 9], 'done'],
  ])('leaves tombstones: %s, %s (D17)', async (tombstones, _, left, unknown) => {
    const { user } = subject;
    await user.commit(accept(1), accept(2), accept(3), reply(3, { expiresAt: NOON }));
    const ends = await user.commitSo(
      { tombstones },
      close(1),
      expire(2),
      sweep(NOON),
      close(9),
      close(9),
    );
    expect(ends.map(({ kind }) => kind)).toEqual(['done', 'done', 'swept', unknown, 'passed']);
    const content = await contentOf(user);
    expect(content).toEqual(left.map((n) => expect.objectContaining({ uuid: uuidOf(n) })));
    await subject.reopen();
    expect(await contentOf(subject.user)).toEqual(content);
    const again = await subject.user.commit(...left.map((n) => accept(n)));
    expect(again.every(({ kind }) => kind === 'passed')).toBe(true);
  });

  it('drops tombstones that the other disk has, some at a time, and counts them until then', async () => {
    const { user } = subject;
    const numbers = Array.from({ length: 2500 }, (_, at) => at + 1);
    await user.commitSo({ tombstones: 'all' }, ...numbers.map((n) => close(n)));
    const upTo = user.transaction;
    await user.commitSo({ tombstones: 'all' }, close(9999));
    const full = await bytesOf(subject);
    await user.commitSo({ peerHolds: upTo - 1 });
    expect(await contentOf(user)).toHaveLength(2501);
    await user.commitSo({ peerHolds: upTo });
    expect(await contentOf(user)).toHaveLength(1501);
    await user.commit();
    await user.commit();
    const [left] = await contentOf(user);
    expect(left).toMatchObject({ kind: 'tombstone', uuid: uuidOf(9999) });
    expect(await bytesOf(subject)).toBeLessThan(full);
    // Only the tombstones of the other store prevent closed requests from returning.
    expect(await user.commit(accept(1))).toEqual([{ kind: 'done' }]);
  });

  it('tells what changed after a transaction, each request once, as it is now', async () => {
    const { user } = subject;
    await user.commit(accept(1, { body }), accept(2, { body }), accept(3, { body }));
    const first = user.transaction;
    await user.commit(reply(2, { reply: packed('x') }), attempt(3, 1));
    await user.commitSo({ tombstones: 'known' }, close(1));
    const upTo = { upTo: first, bodiesUpTo: first };
    const [chunk, ...more] = await chunksFrom(user, cursorFor(upTo));
    expect(more).toEqual([]);
    expect(chunk?.holds).toEqual({
      storeId: user.recovered.storeId,
      upTo: user.transaction,
      bodiesUpTo: user.transaction,
    });
    const records = chunk === undefined ? [] : recordsIn(chunk);
    expect(records).toMatchObject([
      { kind: 'request', request: { uuid: uuidOf(2), state: 'replied' }, body: null },
      { kind: 'request', request: { uuid: uuidOf(3), attempts: 1 }, body: null, attemptsEver: 1 },
      { kind: 'tombstone', uuid: uuidOf(1) },
    ]);
    const whole = await chunksFrom(user, cursorFor(null));
    expect(whole.flatMap(recordsIn)).toMatchObject([{ body }, { body }, { kind: 'tombstone' }]);
    // A body that the receiver lacks is sent with the request, whenever that last changed.
    const bodies = await chunksFrom(user, cursorFor({ upTo: first, bodiesUpTo: first - 1 }));
    expect(bodies.flatMap(recordsIn)).toMatchObject([{ body }, { body }, { kind: 'tombstone' }]);
  });

  it('in chunks of any size: all of it, and no chunk says that it goes further than it does', async () => {
    const { user } = subject;
    for (let first = 1; first < 60; first += 6) {
      const numbers = Array.from({ length: 6 }, (_, at) => first + at);
      await user.commit(...numbers.map((n) => accept(n, { body, key: `key ${n}` })));
      await user.commitSo({ tombstones: 'known' }, close(first), attempt(first + 1, 1));
    }
    for (const requestsMax of [1, 4, 7, 50]) {
      const other = await subject.other();
      const chunks = await chunksFrom(user, cursorFor(null), requestsMax);
      for (const [at, chunk] of chunks.entries()) {
        // The link breaks after each chunk: the next chunks continue from what is held.
        if (at === 3) {
          const rest = await chunksFrom(user, cursorFor(chunk.holds), requestsMax);
          for (const each of rest) await mergeInto(other, each, true);
        }
        await mergeInto(other, chunk, true);
      }
      expect(await contentOf(other)).toEqual(await contentOf(user));
    }
  });

  it('ends with a chunk that is short: one with a large request is never the last', async () => {
    const { user } = subject;
    const large = packed('x'.repeat(200));
    await user.commit(accept(1, { body }), accept(2, { body: large }));
    const first = await user.read(cursorFor(null), 100, 200);
    expect(recordsIn(first)).toHaveLength(2);
    expect(first.next).not.toBeNull();
    const last = await user.read(first.next ?? cursorFor(null), 100, 200);
    expect(recordsIn(last)).toEqual([]);
    expect(last).toMatchObject({ holds: { upTo: user.transaction }, next: null });
    const other = await subject.other();
    for (const chunk of [first, last]) await mergeInto(other, chunk, true);
    expect(await contentOf(other)).toEqual(await contentOf(user));
  });

  it('tells no more than it has, if it is asked for what is above that', async () => {
    const { user } = subject;
    await user.commit(accept(1, { body }));
    const upTo = user.transaction + 1000;
    const chunk = await user.read(cursorFor({ upTo, bodiesUpTo: upTo }));
    expect(chunk).toMatchObject({ holds: { upTo: user.transaction }, next: null });
    expect(recordsIn(chunk)).toEqual([]);
  });

  it('what was merged is there after it was opened again, in the order of acceptance', async () => {
    const { user } = subject;
    const other = await subject.other();
    await other.commit(accept(1, { body }), accept(2, { body }), accept(5, { body }));
    await user.commit(accept(3, { number: 1, body }), accept(4, { number: 2, body }));
    const merged = await mergeInto(user, await other.read(cursorFor(null)), false);
    expect(merged).toMatchObject({ joined: 3, ranTwice: 0, ended: [] });
    expect(merged.opened).toHaveLength(3);
    const { pending } = await subject.reopen();
    // Its own two, the one whose number was free, then the others.
    expect(pending.map(({ uuid }) => uuid)).toEqual([3, 4, 5, 1, 2].map(uuidOf));
    expect(pending.map(({ number }) => number)).toEqual([1, 2, 5, 6, 7]);
    expect(pending).toEqual(expect.arrayContaining([...merged.opened]));
    expect(await subject.user.load(uuidOf(1))).toEqual([body]);
  });

  it('tells what became pending by a merge, and what no longer is', async () => {
    const { user } = subject;
    const other = await subject.other();
    const all = [1, 2, 3, 4, 5].map((n) => accept(n, { body }));
    await user.commit(...all, dead(4));
    await other.commit(...all, dead(4));
    await user.commit(reply(5, { reply: packed('ours') }));
    await other.commitSo(
      { tombstones: 'all' },
      reply(1, { reply: packed('x') }),
      close(2),
      retry(4),
      attempt(3, 1),
    );
    const chunk = await other.read(cursorFor(null));
    const merged = await mergeInto(user, chunk, false);
    expect(merged).toMatchObject({ joined: 4, ranTwice: 0 });
    expect(merged.opened).toEqual([
      expect.objectContaining({ uuid: uuidOf(3), attempts: 1 }),
      expect.objectContaining({ uuid: uuidOf(4), generation: 1, state: 'pending' }),
    ]);
    expect(merged.ended).toEqual([uuidOf(2), uuidOf(1)]);
    const again = await mergeInto(user, chunk, false);
    expect(again).toMatchObject({ joined: 0, ranTwice: 0, opened: [], ended: [] });
    expect(await user.lookUp(uuidOf(5))).toMatchObject({ state: 'replied' });
  });

  it('a request with another number on each side keeps both, also when it was retried on one', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [accept(1, { body }), accept(2, { body }), dead(1), dead(2)]);
    // The number of request 1 here is that of request 2 there.
    await pair.apart(1, [accept(2, { body }), dead(2), accept(1, { body }), dead(1)]);
    await pair.apart(1, [retry(1), reply(1, { generation: 1, reply: packed('of 1') })]);
    await pair.join(1, 100);
    await pair.join(0, 100);
    for (const each of [user, other]) {
      expect(await each.lookUp(uuidOf(1))).toMatchObject({ reply: packed('of 1') });
      expect(await each.lookUp(uuidOf(2))).toMatchObject({ state: 'dead' });
    }
    expect((await subject.reopen()).recovered.counts).toMatchObject({ replied: 1, dead: 1 });
  });

  it('two different replies: that of the active side is kept, on both, and counted (D17)', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [accept(1, { body }), accept(2, { body })]);
    await pair.join(0, 100);
    await pair.apart(0, [reply(1, { reply: packed('ours') }), dead(2)]);
    await pair.apart(1, [
      reply(1, { reply: packed('theirs') }),
      reply(2, { reply: packed('yes') }),
    ]);
    const merged = await mergeInto(user, await other.read(cursorFor(null)), false);
    expect(merged).toMatchObject({ joined: 1, ranTwice: 1 });
    await pair.join(0, 100);
    for (const each of [user, other]) {
      expect(await each.lookUp(uuidOf(1))).toMatchObject({
        state: 'replied',
        reply: packed('ours'),
      });
      // A reply takes precedence over a death.
      expect(await each.lookUp(uuidOf(2))).toMatchObject({
        state: 'replied',
        reply: packed('yes'),
      });
    }
  });

  it('one key on both sides: both requests stay, the key leads to that of the active side (D17)', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [accept(1, { body, key: 'k' })]);
    await pair.apart(1, [accept(2, { body, key: 'k' }), accept(3, { body, key: 'l' })]);
    await pair.join(0, 100);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    for (const each of [user, other]) {
      expect(await each.lookUp(uuidOf(1))).toMatchObject({ state: 'pending' });
      expect(await each.lookUp(uuidOf(2))).toMatchObject({ state: 'pending' });
    }
    const both = [known(1), known(3)];
    const changes = [accept(7, { key: 'k' }), accept(8, { key: 'l' })];
    expect(await pair.stream(changes)).toEqual([both, both]);
    // The end on the other store does not remove the key.
    await pair.stream([close(2), close(3)]);
    expect(await pair.stream([accept(9, { key: 'k' })])).toEqual([[known(1)], [known(1)]]);
  });

  it('the request of a due time that both stored ends on the side that yields, with its webhook (D80)', async () => {
    const { user } = subject;
    const other = await subject.other();
    const key = scheduleKey('daily', '2027-01-15').toString('latin1');
    const twin = (n: number): readonly Change[] => [
      { ...accept(n, { partner: uuidOf(n + 1), body }), key: Buffer.from(key, 'latin1') },
      accept(n + 1, { kind: 'webhook', partner: uuidOf(n), body }),
    ];
    const pair = new StorePair(user, other);
    await pair.apart(0, twin(1));
    // There, the webhook has the lower number.
    await pair.apart(1, [...twin(3)].reverse());
    await pair.join(0, 100);
    for (const each of [user, other]) {
      const kept = (await contentOf(each)).filter(({ kind }) => kind === 'request');
      const uuids = kept.map((record) => 'request' in record && record.request.uuid);
      expect(uuids).toEqual([uuidOf(1), uuidOf(2)]);
    }
  });

  it('a key names the same request on both stores, however it came there, and when it has ended (D112)', async () => {
    const another = { kind: 'another' };
    const [a, b] = ['a', 'b'].map((text) => extraOf(null, {}, Buffer.alloc(16, text)));
    for (const how of [
      'streamed',
      'merged',
      'closed, then merged',
      'merged, closed apart',
    ] as const) {
      const stores = [await subject.other(), await subject.other()] as const;
      const pair = new StorePair(...stores);
      const first = accept(1, { body, key: 'k', extra: a });
      if (how === 'streamed') await pair.join(0, 100);
      if (how === 'streamed') await pair.stream([first]);
      else await pair.apart(0, [first]);
      if (how === 'closed, then merged') await pair.apart(0, [close(1)]);
      await pair.join(1, 100);
      if (how === 'merged, closed apart') {
        await pair.apart(1, [close(1)]);
        await pair.join(0, 100);
      }
      const state = how.includes('closed') ? 'closed' : 'pending';
      const again = [2, 3].map((n, at) => accept(n, { body, key: 'k', extra: [a, b][at] }));
      const results = [known(1, state), another];
      expect([how, ...(await pair.stream(again))]).toEqual([how, results, results]);
      await pair.stream([close(1)]);
      const ended = [known(1, 'closed'), another];
      expect([how, ...(await pair.stream(again))]).toEqual([how, ended, ended]);
      expect(await contentOf(stores[1])).toEqual(await contentOf(stores[0]));
    }
  });

  it('a key that two used for different requests names the one that it leads to (D112)', async () => {
    const [a, b] = ['a', 'b'].map((text) => extraOf(null, {}, Buffer.alloc(16, text)));
    for (const [mine, theirs] of [[a, b] as const, [null, b] as const]) {
      const pair = new StorePair(await subject.other(), await subject.other());
      await pair.apart(0, [accept(1, { body, key: 'k', extra: mine })]);
      await pair.apart(1, [accept(2, { body, key: 'k', extra: theirs })]);
      await pair.join(0, 100);
      const again = [3, 4].map((n, at) => accept(n, { body, key: 'k', extra: [a, b][at] }));
      const results = [known(1), mine === null ? known(1) : { kind: 'another' }];
      expect(await pair.stream(again)).toEqual([results, results]);
    }
  });

  it('what was kept against another is told again, after an exchange that broke off (D17)', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [
      accept(1, { body }),
      accept(2, { body }),
      accept(3, { body, key: 'old' }),
    ]);
    await pair.join(0, 100);
    await pair.apart(0, [
      reply(1, { reply: packed('ours') }),
      accept(4, { body, key: 'k' }),
      close(3),
    ]);
    await pair.apart(1, [reply(1, { reply: packed('other') }), accept(5, { body, key: 'k' })]);
    // The other store is to be active and has merged all of ours; then the link breaks.
    expect(await pair.join(1, 100, 1)).toBe(false);
    await pair.join(0, 100);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    expect(await other.lookUp(uuidOf(1))).toMatchObject({
      state: 'replied',
      reply: packed('ours'),
    });
    expect(await pair.stream([accept(9, { key: 'k' })])).toEqual([[known(4)], [known(4)]]);
  });

  it('a tombstone beats everything of its request, in either order (D17)', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(
      0,
      [1, 2].map((n) => accept(n, { body, key: `k${n}` })),
    );
    await pair.join(0, 100);
    await pair.apart(0, [close(1)]);
    await pair.apart(1, [close(2), reply(1, { reply: packed('late') })]);
    const before = await chunksFrom(other, cursorFor(null));
    await pair.join(1, 100);
    for (const chunk of before) await mergeInto(user, chunk, false);
    for (const each of [user, other]) {
      // Remembered as closed: this is known, whatever the other store has.
      expect(await each.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [''] });
      expect(await each.lookUp(uuidOf(2))).toEqual({ state: 'closed', by: [''] });
    }
    expect(await contentOf(other)).toEqual(await contentOf(user));
    const both = [known(1, 'closed'), known(2, 'closed')];
    const changes = [accept(7, { key: 'k1' }), accept(8, { key: 'k2' })];
    expect(await pair.stream(changes)).toEqual([both, both]);
  });

  it('the last attempts of both sides join, as often as one side had them', async () => {
    const { user } = subject;
    const pair = new StorePair(user, await subject.other());
    await pair.apart(0, [accept(1, { body })]);
    await pair.join(0, 100);
    const both = [attempt(1, 1), attempt(1, 2)];
    await pair.apart(0, [...both, ...[3, 5, 7].map((n) => attempt(1, n))]);
    await pair.apart(1, [...both, ...[4, 6].map((n) => attempt(1, n))]);
    await pair.join(1, 100);
    const [record] = await contentOf(user);
    expect(record).toMatchObject({ attemptsEver: 7, request: { attempts: 7 } });
    const attempts = record?.kind === 'request' ? record.attempts : [];
    expect(attempts.map(({ worker }) => worker).join()).toBe('w1,w2,w3,w4,w5,w6,w7');
  });

  it('does not forget keys while the pair is not in sync: the other may have them', async () => {
    const { user } = subject;
    await user.commitSo({ tombstones: 'all' }, accept(1, { key: 'k' }), close(1, NOON + 10));
    await user.commitSo({ tombstones: 'all' }, sweep(NOON + 20));
    const keys = async (): Promise<number> =>
      (await contentOf(user)).filter(({ kind }) => kind === 'key').length;
    expect(await keys()).toBe(1);
    await user.commitSo({ tombstones: 'known' }, sweep(NOON + 20));
    expect(await keys()).toBe(0);
  });

  it.each<[string, Partial<StoredRequest>]>([
    ['a number of 2^53', { number: 2 ** 53 }],
    ['a number of 2^48', { number: SEQUENCE_MAX + 1 }],
    ['a due time of 9e15 ms', { notBefore: 9e15 }],
    ['a due time in the year 10000', { notBefore: WALL_MS_MAX + 1 }],
    ['a generation of 2^48', { generation: COUNT_MAX + 1 }],
    ['half an attempt', { attempts: 0.5 }],
  ])('refuses a record with %s, and goes on (D104)', async (_what, more) => {
    const refused = await subject.user.merge(chunkOf(recordOf(1, more)), true);
    expect(refused).toMatchObject({ kind: 'malformed' });
    expect(await subject.user.commit(accept(1))).toEqual([{ kind: 'done' }]);
  });

  it('takes the last number of all from a record, and still has numbers of its own (D104)', async () => {
    const last = { number: SEQUENCE_MAX, notBefore: WALL_MS_MAX };
    const merged = await subject.user.merge(chunkOf(recordOf(1, last)), true);
    expect(merged).toMatchObject({ joined: 1 });
    for (const n of [2, 3]) {
      const user = n === 3 ? await subject.reopen() : subject.user;
      expect(await user.commit(accept(n, { body, number: SEQUENCE_MAX }))).toEqual([
        { kind: 'done' },
      ]);
    }
    const numbers = (await subject.reopen()).pending.map(({ number }) => number);
    expect(numbers.filter((number) => number < 10_000)).toHaveLength(2);
    expect(new Set(numbers).size).toBe(3);
  });

  it('refuses what is no record, and a request without the body that it lacks: nothing of it is kept', async () => {
    const { user } = subject;
    const other = await subject.other();
    await other.commit(accept(1, { body }));
    const upTo = other.transaction;
    await other.commit(attempt(1, 1), accept(2, { body }));
    const { records } = await other.read(cursorFor({ upTo, bodiesUpTo: upTo }));
    const holds = { ...EMPTY_HOLDING, upTo: 7 };
    for (const bytes of [records, Buffer.alloc(0), Buffer.from([9]), records.subarray(0, -1)]) {
      const refused = await user.merge(bytes, true, { holds });
      expect(refused).toMatchObject({ kind: 'malformed' });
    }
    expect(await contentOf(user)).toEqual([]);
    expect((await subject.reopen()).recovered.holds).toBeNull();
    expect(await subject.user.commit(accept(1))).toEqual([{ kind: 'done' }]);
  });
}

/** A chunk as a store would send it. */
function chunkOf(...records: readonly StoreRecord[]): Buffer {
  const writer = new RecordWriter();
  for (const record of records) writer.add(record);
  return packChunk({ requests: writer.to.takeBuffer(), parts: [] });
}

function recordOf(n: number, more: Partial<StoredRequest>): StoreRecord {
  return {
    kind: 'request',
    request: requestOf(n, { bodyBytes: body.length, ...more }),
    ...{ key: null, body, attemptsEver: 0, attempts: [], reply: null, death: null, extra: null },
  };
}

async function bytesOf({ user }: Subject): Promise<number> {
  const outcome = await user.tryCommit([]);
  return 'counts' in outcome ? outcome.counts.bytes : NaN;
}
