import { present } from '../../src/core/assert.js';
import {
  type Change,
  type Closer,
  keyBytes,
  type Owner,
  cursorFor,
} from '../../src/store/store.js';
import { onceKey } from '../../src/wire/tsp.js';
import { extraOf } from '../../src/store/fields.js';
import {
  accept,
  attempt,
  close,
  DAY_MS,
  dead,
  known,
  NOON,
  reply,
  retry,
  sweep,
  uuidOf,
} from './store-changes.js';
import type { Subject } from './store-contract.js';
import { chunksFrom, contentOf, mergeInto, packed, StorePair } from './store-pair.js';

const ALICE = 'key:alice';
const BOB = 'key:bob';
const body = packed('body');
const UNTIL = NOON + DAY_MS;
const done = { kind: 'done' };
/** Two fields of a later version: unknown fields are kept. */
const EXTRA = Buffer.from([101, 1, 0, 0, 0, 7, 121, 1, 0, 0, 0, 8]);

function owned(n: number, owner: Owner, more: Parameters<typeof accept>[1] = {}): Change {
  return accept(n, { body, owner, ...more });
}

export function describeStoreOwners(subject: Subject): void {
  it('are stored with their requests, and found', async () => {
    const { user } = subject;
    await user.commit(owned(1, ALICE), owned(2, 'anonymous', { isShared: true }), owned(3, BOB));
    await user.commit(reply(2, { reply: packed('x') }), dead(3));
    const { pending } = await subject.reopen();
    expect(pending).toMatchObject([{ owner: ALICE, isShared: false }]);
    expect(await subject.user.lookUp(uuidOf(1))).toEqual({
      ...{ state: 'pending', owner: ALICE, isShared: false },
    });
    expect(await subject.user.lookUp(uuidOf(2))).toMatchObject({
      ...{ state: 'replied', owner: 'anonymous', isShared: true },
    });
    expect(await subject.user.lookUp(uuidOf(3))).toMatchObject({
      ...{ state: 'dead', owner: BOB, isShared: false },
    });
  });

  it("what is somebody's is closed by whom it may be closed", async () => {
    const { user } = subject;
    const table: readonly (readonly [Owner, by: Closer, isShared: boolean, kind: string])[] = [
      [ALICE, ALICE, false, 'done'],
      [ALICE, BOB, false, 'denied'],
      [ALICE, 'anonymous', false, 'denied'],
      [ALICE, BOB, true, 'done'],
      [ALICE, '', false, 'done'],
      ['anonymous', BOB, false, 'done'],
    ];
    for (const [at, [owner, by, isShared, kind]] of table.entries()) {
      const n = at + 1;
      await user.commit(owned(n, owner, { isShared }), reply(n, { reply: packed('x') }));
      const [result] = await user.commit(close(n, UNTIL, by));
      const { state } = (await user.lookUp(uuidOf(n))) as { state: string };
      const wanted = kind === 'done' ? 'absent' : 'replied';
      expect([owner, by, isShared, result?.kind, state]).toEqual([
        ...[owner, by, isShared, kind, wanted],
      ]);
    }
  });

  it('a key is of its owner: another one who guesses it has a request of his own (D70)', async () => {
    const { user } = subject;
    const key = 'k';
    const all = [owned(1, ALICE, { key }), owned(2, BOB, { key }), owned(3, 'anonymous', { key })];
    expect(await user.commit(...all)).toEqual([done, done, done]);
    await user.commit(close(1, UNTIL, ALICE), close(2, UNTIL, BOB));
    await subject.reopen();
    const again = [
      owned(4, ALICE, { key }),
      owned(5, BOB, { key }),
      owned(6, 'anonymous', { key }),
    ];
    expect(await subject.user.commit(...again)).toEqual([
      ...[known(1, 'closed'), known(2, 'closed'), known(3)],
    ]);
  });

  it('what each has is counted, with every change, and is known when the store is opened', async () => {
    const { user } = subject;
    const counts = async (): Promise<readonly unknown[]> => {
      const { recovered } = await subject.reopen();
      return [...recovered.counts.owners]
        .filter(({ stored }) => stored > 0)
        .map(({ owner, stored, bytes }) => `${owner} ${stored} ${bytes}`)
        .sort();
    };
    await user.commit(owned(1, ALICE), owned(2, ALICE), owned(3, 'anonymous'), owned(4, BOB));
    const size = body.length;
    expect(await counts()).toEqual([
      `anonymous 1 ${size}`,
      `${ALICE} 2 ${2 * size}`,
      `${BOB} 1 ${size}`,
    ]);
    await subject.user.commit(reply(1, { reply: packed('a reply') }), attempt(2, 1), dead(2));
    await subject.user.commit(close(3), owned(5, BOB), close(4));
    expect(await counts()).toEqual([`${ALICE} 2 ${2 * size + 9}`, `${BOB} 1 ${size}`]);
    const outcome = await subject.user.tryCommit([close(1)]);
    const told = 'counts' in outcome ? outcome.counts.owners : [];
    expect(told).toContainEqual({ owner: ALICE, stored: 1, bytes: size });
    await subject.user.commit(close(2), close(5));
    expect(await counts()).toEqual([]);
  });

  it('a key counts for its owner until it is forgotten, longer than its request (D103)', async () => {
    const { user } = subject;
    const ofAlice = async (): Promise<unknown> => {
      const { recovered } = await subject.reopen();
      return recovered.counts.owners.find(({ owner }) => owner === ALICE);
    };
    const size = keyBytes(Buffer.from('echo'), Buffer.from('k1'));
    expect(size).toBeGreaterThan(100);
    const once = onceKey(Buffer.alloc(16, 1));
    await user.commit(owned(1, ALICE, { key: 'k1' }), owned(2, ALICE, { key: 'k2' }));
    await user.commit(owned(3, ALICE, { key: once }), owned(4, ALICE, { key: 'k1' }));
    const stored = { owner: ALICE, stored: 3, bytes: 3 * body.length + 2 * size };
    expect(await ofAlice()).toEqual(stored);
    const told = async (...changes: Change[]): Promise<unknown> => {
      const outcome = await subject.user.tryCommit(changes);
      return 'counts' in outcome ? outcome.counts.owners.at(-1) : outcome;
    };
    const kept = { owner: ALICE, stored: 0, bytes: 2 * size };
    expect(await told(close(1), close(2), close(3))).toEqual(kept);
    expect(await ofAlice()).toEqual(kept);
    // A key whose time is over, but that is still there, is taken again.
    const again = owned(5, ALICE, { key: 'k1', acceptedAt: UNTIL });
    const one = { owner: ALICE, stored: 1, bytes: body.length + 2 * size };
    expect(await told(again)).toEqual(one);
    expect(await ofAlice()).toEqual(one);
    const rest = { owner: ALICE, stored: 1, bytes: body.length + size };
    expect(await told(sweep(UNTIL))).toEqual(rest);
    expect(await ofAlice()).toEqual(rest);
    await subject.user.commit(close(5, UNTIL));
    const none = { owner: ALICE, stored: 0, bytes: 0 };
    expect(await told(sweep(UNTIL))).toEqual(none);
    expect(await ofAlice()).toBeUndefined();
  });

  it('a reply larger than was asked for is only measured', async () => {
    const { user } = subject;
    await user.commit(owned(1, ALICE), reply(1, { reply: packed('12345') }));
    const large = { state: 'replied', reply: null, replyBytes: 7, owner: ALICE };
    expect(await user.lookUp(uuidOf(1), 6)).toMatchObject(large);
    expect(await user.lookUp(uuidOf(1), 7)).toMatchObject({ reply: packed('12345') });
  });
}

export function describeOwnersOfPair(subject: Subject): void {
  it('travel with records and batches, so that both have the same', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [owned(1, ALICE, { isShared: true, key: 'k' }), owned(2, 'anonymous')]);
    await pair.apart(1, [owned(3, BOB, { key: 'k' })]);
    await pair.join(0, 100);
    await pair.stream([owned(4, ALICE, { key: 'l' })]);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    for (const each of [user, other]) {
      expect(await each.lookUp(uuidOf(1))).toMatchObject({ owner: ALICE, isShared: true });
      expect(await each.lookUp(uuidOf(3))).toMatchObject({ owner: BOB, isShared: false });
    }
    const again = [owned(8, ALICE, { key: 'k' }), owned(9, BOB, { key: 'k' })];
    const both = [known(1), known(3)];
    expect(await pair.stream(again)).toEqual([both, both]);
  });

  it('a stranger who closes a uuid where it is unknown ends nothing of another', async () => {
    for (const active of [0, 1] as const) {
      const knows = await subject.other();
      const other = await subject.other();
      const pair = new StorePair(knows, other);
      await pair.apart(0, [owned(1, ALICE), owned(2, ALICE), owned(3, 'anonymous')]);
      await pair.apart(1, [close(1, UNTIL, BOB), close(2, UNTIL, ALICE), close(3, UNTIL, BOB)]);
      await pair.join(active, 100);
      expect(await contentOf(other)).toEqual(await contentOf(knows));
      for (const each of [knows, other]) {
        expect(await each.lookUp(uuidOf(1))).toMatchObject({ state: 'pending', owner: ALICE });
        expect(await each.lookUp(uuidOf(2))).toEqual({ state: 'closed', by: [''] });
        expect(await each.lookUp(uuidOf(3))).toEqual({ state: 'closed', by: [''] });
      }
    }
  });

  it('two who closed it where it was unknown, each on a side: closed for both, on both', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [close(1, UNTIL, BOB), close(2, UNTIL, BOB)]);
    await pair.apart(1, [close(1, UNTIL + 1, ALICE), close(2, UNTIL, BOB)]);
    expect(await other.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [ALICE] });
    await pair.join(0, 100);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    expect(await user.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [ALICE, BOB] });
    expect(await user.lookUp(uuidOf(2))).toEqual({ state: 'closed', by: [BOB] });
  });

  it('a stranger who closed it first does not stand for its owner', async () => {
    for (const active of [0, 1] as const) {
      const knows = await subject.other();
      const other = await subject.other();
      const pair = new StorePair(knows, other);
      await pair.apart(0, [owned(1, ALICE), owned(2, ALICE)]);
      await pair.apart(1, [
        close(1, UNTIL, BOB),
        close(2, UNTIL, BOB),
        close(2, UNTIL, 'anonymous'),
      ]);
      await pair.apart(1, [close(1, UNTIL, ALICE), close(1, UNTIL, BOB)]);
      expect(await other.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [ALICE, BOB] });
      expect(await other.lookUp(uuidOf(2))).toEqual({ state: 'closed', by: ['anonymous', BOB] });
      await pair.join(active, 100);
      expect(await contentOf(other)).toEqual(await contentOf(knows));
      for (const each of [knows, other]) {
        expect(await each.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [''] });
        expect(await each.lookUp(uuidOf(2))).toMatchObject({ state: 'pending', owner: ALICE });
      }
    }
  });

  it('a tombstone of what was there stands for those of others', async () => {
    const { user } = subject;
    const other = await subject.other();
    const pair = new StorePair(user, other);
    await pair.apart(0, [close(1, UNTIL, BOB), close(1, UNTIL, ALICE), close(2, UNTIL, BOB)]);
    await pair.apart(1, [close(1, UNTIL + 1, ''), close(1, UNTIL, ALICE), close(2, UNTIL, '')]);
    await pair.join(0, 100);
    expect(await contentOf(other)).toEqual(await contentOf(user));
    for (const each of [user, other]) {
      expect(await each.lookUp(uuidOf(1))).toEqual({ state: 'closed', by: [''] });
      expect(await each.lookUp(uuidOf(2))).toEqual({ state: 'closed', by: [''] });
    }
  });

  it("a client's headers and pauses are kept, told on, merged, loaded and counted (D67, D81)", async () => {
    const { user } = subject;
    const other = await subject.other();
    const headers = Buffer.from('{"tenant":"a"}');
    const backoff = { baseMs: 250, maxMs: 86_400_000 };
    const extra = present(extraOf(headers, { backoff }), 'fields');
    await user.commit({ ...owned(1, ALICE), extra }, owned(2, ALICE));
    const loaded = [
      { body, headers, backoff },
      { body, headers: null, backoff: null },
    ];
    expect(await user.loadWhole(uuidOf(1), uuidOf(2))).toEqual(loaded);
    const bytes = 2 * body.length + extra.length;
    expect((await subject.reopen()).recovered.counts.owners).toEqual([
      { owner: ALICE, stored: 2, bytes },
    ]);
    for (const chunk of await chunksFrom(subject.user, cursorFor(null))) {
      await mergeInto(other, chunk, true);
    }
    expect(await other.loadWhole(uuidOf(1), uuidOf(2))).toEqual(loaded);
    // A field of a later version joins them; a close takes both away.
    await subject.user.commit({ ...reply(1, { reply: packed('x') }), extra: EXTRA });
    await subject.user.commit(retry(1));
    expect(await subject.user.loadWhole(uuidOf(1))).toMatchObject([{ headers, backoff }]);
    await subject.user.commit(close(1), close(2));
    expect((await subject.reopen()).recovered.counts.owners).toEqual([]);
  });

  it('what a later version says beside is kept, told on, and joined', async () => {
    const { user } = subject;
    const other = await subject.other();
    const third = await subject.other();
    const tried = attempt(1, 1);
    await user.commit(
      { ...owned(1, ALICE), extra: EXTRA.subarray(0, 6) },
      { ...tried, attempt: { ...tried.attempt, extra: EXTRA } },
      { ...reply(1, { reply: packed('x') }), extra: EXTRA.subarray(6) },
      owned(2, BOB),
    );
    const [record] = await contentOf(user);
    expect(record).toMatchObject({ extra: EXTRA, attempts: [{ extra: EXTRA }] });
    for (const chunk of await chunksFrom(user, cursorFor(null))) {
      await mergeInto(other, chunk, true);
    }
    await subject.reopen();
    expect(await contentOf(other)).toEqual(await contentOf(subject.user));
    // A store that knows the request but not these fields learns them, and keeps them in later
    // merges.
    await third.commit(owned(1, ALICE), attempt(1, 1), reply(1, { reply: packed('x') }));
    const bare = await third.read(cursorFor(null));
    for (const chunk of await chunksFrom(other, cursorFor(null))) {
      await mergeInto(third, chunk, false);
    }
    await mergeInto(other, bare, true);
    expect(await contentOf(third)).toEqual(await contentOf(other));
    expect((await contentOf(third))[0]).toMatchObject({
      extra: EXTRA,
      attempts: [{ extra: EXTRA }],
    });
  });
}
