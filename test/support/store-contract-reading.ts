import { accept, close, dead, NOON, reply, requestOf, sweep, uuidOf } from './store-changes.js';
import type { StoredRequest } from '../../src/store/store.js';
import { acceptKind } from './record-kinds.js';
import type { Subject } from './store-contract.js';

const LARGE_BYTES = 16 * 1024 * 1024;
const MANY = 5000;

export function describeStoreReading(subject: Subject, isShared: boolean): void {
  /** A store that does not number requests from 1 tells them in order, with its own numbers. */
  const seen = (request: Partial<StoredRequest> | undefined, at: number): object | undefined =>
    isShared ? { ...request, number: at + 1 } : request;

  it('tells every pending request in order of its number when it is opened, with all it was given', async () => {
    const webhook = { kind: 'webhook', partner: uuidOf(3) } as const;
    const requests = [
      requestOf(1, { priority: 100, notBefore: NOON + 5, generation: 4, attempts: 2 }),
      requestOf(3, { priority: -100, service: Buffer.from('a'), partner: uuidOf(7) }),
      requestOf(7, { ...webhook, maxAttempts: 1, expiresAt: NOON + 1, bodyBytes: 0 }),
      requestOf(2 ** 40, { acceptedAt: NOON - 1 }),
    ];
    await subject.user.commit(
      ...requests.map(({ number, ...request }) => ({
        ...accept(number, { ...request, uuid: uuidOf(number % 1000) }),
        body: Buffer.alloc(request.bodyBytes, 1),
      })),
    );
    const { pending, recovered } = await subject.reopen();
    const [first, third, seventh] = requests;
    const wanted = [first, third, seventh, { ...requests[3], uuid: uuidOf(2 ** 40 % 1000) }];
    expect(pending.map(seen)).toEqual(wanted.map(seen));
    if (!isShared) expect(recovered.counts.nextNumber).toBe(2 ** 40 + 1);
    expect(recovered.counts.pending).toBe(4);
  });

  it('has after it was opened again what was there before, in every state', async () => {
    await subject.user.commit(accept(1), accept(2), accept(3), reply(2), dead(3));
    const { pending, recovered } = await subject.reopen();
    expect(pending.map(seen)).toEqual([accept(1).request].map(seen));
    expect(recovered.counts).toMatchObject({ pending: 1, replied: 1, dead: 1 });
    const { user } = subject;
    expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'pending' });
    expect(await user.lookUp(uuidOf(2))).toMatchObject({
      state: 'replied',
      reply: Buffer.from('reply 2'),
    });
    expect(await user.lookUp(uuidOf(3))).toMatchObject({ state: 'dead', reason: 'dead 3' });
    expect(await user.lookUp(uuidOf(4))).toMatchObject({ state: 'absent' });
  });

  it('lists the limits of operators first, then all in order of their numbers, if it is not shared', async () => {
    const { user } = subject;
    const limits = [acceptKind('limit', 5), acceptKind('limit', 8)];
    // Many that have ended, of which some lie beyond the limits, are passed over.
    const ended = Array.from({ length: 40 }, (_, n) => accept(100 + n));
    const [first, ...others] = [accept(1), acceptKind('pause', 3), ...limits, accept(9)];
    await user.commit(first, ...others, ...ended);
    await user.commit(...ended.map((_, n) => reply(100 + n)));
    await subject.reopen();
    const { user: again } = subject;
    const listed = await again.list(0);
    expect(Array.isArray(listed)).toBe(true);
    const kinds = (listed as StoredRequest[]).map(({ kind }) => kind);
    const inOrder = ['request', 'pause', 'limit', 'limit', 'request'];
    expect(kinds).toEqual(isShared ? inOrder : ['limit', 'limit', ...inOrder]);
    const next = await again.list((listed as StoredRequest[]).at(-1)?.number ?? 0);
    expect(next).toEqual([]);
    expect(again.recovered.counts.limits).toBe(2);
    await again.commit(close(5), close(8));
    expect((await again.list(0)) as object[]).toHaveLength(3);
  });

  it('says when its newest request was accepted, whatever became of it (D110)', async () => {
    expect(subject.user.recovered.newestAt).toBe(0);
    const newest = accept(9, { acceptedAt: NOON + 9 });
    await subject.user.commit(accept(1), newest, accept(5), reply(9), close(5));
    expect((await subject.reopen()).recovered.newestAt).toBe(NOON + 9);
    await subject.user.commit(close(9));
    expect((await subject.reopen()).recovered.newestAt).toBe(NOON);
  });

  if (!isShared) {
    it('never gives a number again, also when everything was deleted', async () => {
      await subject.user.commit(accept(1), accept(9), close(9), close(1));
      const { recovered } = await subject.reopen();
      expect(recovered.counts.nextNumber).toBe(10);
      expect((await subject.reopen()).recovered.counts.nextNumber).toBe(10);
    });
  }

  it('loads bodies of pending requests only, in the order asked for', async () => {
    const { user } = subject;
    await user.commit(accept(1), accept(2), accept(3), accept(4), reply(2), close(3));
    const bodies = await user.load(uuidOf(4), uuidOf(3), uuidOf(1), uuidOf(2), uuidOf(1));
    const [first, fourth] = [Buffer.from('body 1'), Buffer.from('body 4')];
    expect(bodies).toEqual([fourth, null, first, null, first]);
    expect(await user.load()).toEqual([]);
  });

  it('answers reads between batches from what is committed by then', async () => {
    const { user } = subject;
    const [before, committed, after, body] = await Promise.all([
      user.lookUp(uuidOf(1)),
      user.commit(accept(1)),
      user.lookUp(uuidOf(1)),
      user.load(uuidOf(1)),
    ]);
    // A read that was requested before may see it, too: in a database it has a connection of its own.
    expect(['absent', ...(isShared ? ['pending'] : [])]).toContain(
      'state' in before && before.state,
    );
    expect([committed, after, body]).toEqual([
      [{ kind: 'done' }],
      { state: 'pending', owner: 'anonymous', isShared: false },
      [Buffer.from('body 1')],
    ]);
    const told = ['look 2', `transaction ${user.transaction}`, 'look 3', 'load 4'];
    if (isShared) expect([...user.told].sort()).toEqual([...told].sort());
    else expect(user.told).toEqual(told);
  });

  it('keeps bodies and replies of any size and content, also of none', async () => {
    const { user } = subject;
    const large = Buffer.alloc(LARGE_BYTES);
    for (let at = 0; at < large.length; at += 4096) large.writeUInt32LE(at, at);
    await user.commit(accept(1, { body: large }), accept(2, { body: Buffer.alloc(0) }));
    expect(await user.load(uuidOf(2))).toEqual([Buffer.alloc(0)]);
    const loaded = await user.load(uuidOf(1));
    expect('kind' in loaded ? loaded : loaded[0]?.equals(large)).toBe(true);
    await user.commit(reply(1, { reply: large }), reply(2, { reply: Buffer.alloc(0) }));
    await subject.reopen();
    const found = await subject.user.lookUp(uuidOf(1));
    expect('reply' in found && found.reply?.equals(large)).toBe(true);
    expect(await subject.user.lookUp(uuidOf(2))).toMatchObject({
      state: 'replied',
      reply: Buffer.alloc(0),
    });
  });

  it(`takes batches of ${MANY} changes, and an empty one`, async () => {
    const { user } = subject;
    const numbers = Array.from({ length: MANY }, (_, at) => at + 1);
    const results = await user.commit(...numbers.map((n) => accept(n)));
    expect(results.every(({ kind }) => kind === 'done')).toBe(true);
    const { pending } = await subject.reopen();
    expect(pending.map(({ uuid }) => uuid)).toEqual(numbers.map(uuidOf));
    const bodies = await subject.user.load(...numbers.map(uuidOf));
    expect(bodies).toEqual(numbers.map((n) => Buffer.from(`body ${n}`)));
    const replies = await subject.user.commit(...numbers.map((n) => reply(n, { expiresAt: NOON })));
    expect(replies).toHaveLength(MANY);
    expect(await subject.user.commit(sweep(NOON, { most: MANY }))).toEqual([
      {
        ...{ kind: 'swept', replied: MANY, dead: 0, more: false, gone: [] },
        services: [{ service: Buffer.from('echo'), count: MANY }],
      },
    ]);
    expect(await subject.user.commit()).toEqual([]);
  });

  it('says how much it takes, which shrinks when requests are closed', async () => {
    const { user } = subject;
    const size = async (): Promise<number> => {
      const outcome = await subject.user.tryCommit([]);
      return 'counts' in outcome ? outcome.counts.bytes : NaN;
    };
    const empty = await size();
    await user.commit(...[1, 2, 3].map((n) => accept(n, { body: Buffer.alloc(100_000, n) })));
    const full = await size();
    expect(full - empty).toBeGreaterThan(300_000);
    await user.commit(close(1), close(2), close(3));
    expect(await size()).toBeLessThan(empty + 50_000);
    const { recovered } = await subject.reopen();
    expect(recovered.counts.bytes).toBe(await size());
  });

  it('ends after what is under way when it is closed', async () => {
    const { user } = subject;
    const told = [user.commit(accept(1)), user.lookUp(uuidOf(1))];
    const reopened = await subject.reopen();
    await Promise.all(told);
    expect(reopened.pending).toHaveLength(1);
  });
}
