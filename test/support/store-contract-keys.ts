import { extraOf } from '../../src/store/fields.js';
import type { Change } from '../../src/store/store.js';
import { acceptWithWebhook, endWithWebhook } from './record-kinds.js';
import {
  accept,
  close,
  DAY_MS,
  dead,
  expire,
  known,
  NOON,
  reply,
  retry,
  sweep,
  uuidOf,
} from './store-changes.js';
import type { Subject } from './store-contract.js';

export function describeStoreKeys(subject: Subject, isShared: boolean): void {
  const done = { kind: 'done' };

  it('a key that its service has seen leads to the first request, and nothing is stored', async () => {
    const { user } = subject;
    expect(await user.commit(accept(1, { key: 'k' }))).toEqual([done]);
    expect(await user.commit(accept(2, { key: 'k' }))).toEqual([known(1)]);
    expect(await user.lookUp(uuidOf(2))).toMatchObject({ state: 'absent' });
    const { recovered, pending } = await subject.reopen();
    expect(pending).toHaveLength(1);
    // Numbers are never reused, not even those of batches that were not stored.
    if (!isShared) expect(recovered.counts.nextNumber).toBe(3);
    expect(await subject.user.commit(accept(3, { key: 'k' }))).toEqual([known(1)]);
  });

  it('the same within one batch', async () => {
    const { user } = subject;
    const results = await user.commit(
      accept(1, { key: 'k' }),
      accept(2, { key: 'k' }),
      close(1),
      accept(3, { key: 'k' }),
    );
    expect(results).toMatchObject([done, known(1), done, { kind: 'known', uuid: uuidOf(1) }]);
    expect(subject.user.told).toHaveLength(1);
  });

  // In a database, whoever stored it ends it.
  if (!isShared) {
    it('stores no webhook of a request that it does not store', async () => {
      await subject.user.commit(...acceptWithWebhook(1, 2, { key: 'k' }));
      const results = await subject.user.commit(
        ...acceptWithWebhook(3, 4, { key: 'k' }),
        ...acceptWithWebhook(5, 6, { key: 'other' }),
      );
      expect(results).toEqual([done, known(1), done, done]);
      const { pending, recovered } = await subject.reopen();
      expect(pending.map(({ uuid }) => uuid)).toEqual([2, 1, 6, 5].map(uuidOf));
      expect(recovered.counts).toMatchObject({ pending: 4 });
    });

    it('keeps the webhook of a request that has ended, also if both are told again', async () => {
      const both = acceptWithWebhook(1, 2, { key: 'k' });
      await subject.user.commit(...both);
      await subject.user.commit(...endWithWebhook(close(1), 2, 'cancelled'));
      await subject.user.commit(...both);
      const { pending } = await subject.reopen();
      expect(pending.map(({ uuid }) => uuid)).toEqual([uuidOf(2)]);
    });
  }

  it('says in which state the request is that it leads to (D112)', async () => {
    const { user } = subject;
    await user.commit(...[1, 2, 3, 4].map((n) => accept(n, { key: `k${n}` })));
    await user.commit(reply(2), dead(3), close(4));
    const again = (): Promise<readonly object[]> =>
      user.commit(...[1, 2, 3, 4].map((n) => accept(n + 10, { key: `k${n}` })));
    const all = [known(1), known(2, 'replied'), known(3, 'dead'), known(4, 'closed')];
    expect(await again()).toEqual(all);
    await user.commit(retry(3, 1));
    expect(await again()).toEqual([...all.slice(0, 2), known(3), known(4, 'closed')]);
  });

  it('leads to no other request than the one it was used for, also after that has ended (D112)', async () => {
    const another = { kind: 'another' };
    const [a, b] = ['a', 'b'].map((text) => extraOf(null, {}, Buffer.alloc(16, text)));
    const { user } = subject;
    await user.commit(accept(1, { key: 'k', extra: a }), accept(2, { key: 'old' }));
    const again = (n: number): Change[] => [
      accept(n, { key: 'k', extra: a }),
      accept(n + 1, { key: 'k', extra: b }),
      // One of a client or a broker that makes no digest, and one that was used before there were any.
      accept(n + 2, { key: 'k' }),
      accept(n + 3, { key: 'old', extra: b }),
    ];
    expect(await user.commit(...again(10))).toEqual([known(1), another, known(1), known(2)]);
    await subject.reopen();
    expect(await subject.user.commit(...again(20))).toEqual([
      ...[known(1), another, known(1), known(2)],
    ]);
    await subject.user.commit(close(1), expire(2));
    await subject.reopen();
    const ended = [known(1, 'closed'), another, known(1, 'closed'), known(2, 'closed')];
    expect(await subject.user.commit(...again(30))).toEqual(ended);
    // One that is used anew names what it is used for then.
    const late = { key: 'k', acceptedAt: NOON + 2 * DAY_MS };
    expect(
      await subject.user.commit(
        accept(41, { ...late, extra: b }),
        accept(42, { ...late, extra: a }),
        accept(43, { ...late, extra: b }),
      ),
    ).toEqual([done, another, known(41)]);
  });

  it('is of one service: another may use the same', async () => {
    const other = accept(2, { key: 'k', service: Buffer.from('other') });
    expect(await subject.user.commit(accept(1, { key: 'k' }), other)).toEqual([done, done]);
  });

  it('services and keys are bytes: what is no text is told apart', async () => {
    const bytes = (n: number, service: readonly number[], key: string) =>
      accept(n, { key, service: Buffer.from(service) });
    expect(
      await subject.user.commit(
        bytes(1, [0xff, 0x00], 'k'),
        bytes(2, [0xfe, 0x00], 'k'),
        bytes(3, [0xff, 0x00], 'K'),
        bytes(4, [0xff, 0x00], 'k'),
      ),
    ).toEqual([done, done, done, known(1)]);
    const { pending } = await subject.reopen();
    expect(pending[0]?.service).toEqual(Buffer.from([0xff, 0x00]));
  });

  it('is remembered for its time after the request was closed or expired', async () => {
    const { user } = subject;
    for (const [key, end] of Object.entries({ closed: close, expired: expire })) {
      const n = key === 'closed' ? 0 : 10;
      await user.commit(accept(n + 1, { key }), end(n + 1, NOON + DAY_MS));
      const before = accept(n + 2, { key, acceptedAt: NOON + DAY_MS - 1 });
      expect(await user.commit(before)).toEqual([known(n + 1, 'closed')]);
      const after = accept(n + 3, { key, acceptedAt: NOON + DAY_MS });
      expect(await user.commit(after, accept(n + 4, { key }))).toEqual([done, known(n + 3)]);
    }
  });

  it('counts after its time if the clock was set (D110)', async () => {
    const { user } = subject;
    await user.commit(accept(1, { key: 'k' }), close(1, NOON + DAY_MS));
    const later = accept(2, { key: 'k', acceptedAt: NOON + 2 * DAY_MS });
    expect(await user.commit({ ...later, keepsKeys: true })).toEqual([known(1, 'closed')]);
    expect(await user.commit(later)).toEqual([done]);
  });

  it('of a second request of a batch, after an end: what follows about that request is made after it', async () => {
    const first = [accept(1, { key: 'a' }), close(9), accept(2, { key: 'b' })];
    const results = await subject.user.commit(...first, dead(2));
    expect(results.map(({ kind }) => kind)).toEqual(['done', 'passed', 'done', 'done']);
    expect(await subject.user.lookUp(uuidOf(2))).toMatchObject({ state: 'dead' });
  });

  it('is remembered after its request was swept, and dropped by a later sweep', async () => {
    const { user } = subject;
    const over = { expiresAt: NOON + 10 };
    await user.commit(
      accept(1, { key: 'r' }),
      accept(2, { key: 'd' }),
      reply(1, over),
      dead(2, over),
    );
    const keyUntil = NOON + 100;
    await user.commit(sweep(NOON + 10, { keyUntil }));
    expect(await user.commit(accept(3, { key: 'r' }), accept(4, { key: 'd' }))).toEqual([
      known(1, 'closed'),
      known(2, 'closed'),
    ]);
    const swept = { kind: 'swept', replied: 0, dead: 0, more: false, services: [], gone: [] };
    expect(await user.commit(sweep(NOON + 99))).toEqual([swept]);
    expect(await user.commit(accept(5, { key: 'r' }))).toEqual([known(1, 'closed')]);
    expect(await user.commit(sweep(NOON + 100, { most: 1 }))).toEqual([{ ...swept, more: true }]);
    expect(await user.commit(sweep(NOON + 100, { most: 1 }))).toEqual([swept]);
    expect(await user.commit(accept(6, { key: 'r' }), accept(7, { key: 'd' }))).toEqual([
      done,
      done,
    ]);
  });

  it('made up for one submit it is forgotten when its request is closed, expired or swept (D16)', async () => {
    const { user } = subject;
    const swept = (): Change => sweep(NOON + 2 * DAY_MS);
    for (const [at, end] of [close, expire, swept].entries()) {
      const key = `once-${String(at).repeat(32)}`;
      const n = 10 * at;
      await user.commit(accept(n + 1, { key }), accept(n + 2, { key }), reply(n + 1));
      expect(await user.commit(accept(n + 3, { key }))).toEqual([known(n + 1, 'replied')]);
      await user.commit(end(n + 1));
      expect([at, await user.commit(accept(n + 4, { key }))]).toEqual([at, [done]]);
    }
  });

  it('one that only looks as if it was made up is one of a user: remembered', async () => {
    const { user } = subject;
    const keys = [`once-${'0F'.repeat(16)}`, `once-${'0'.repeat(31)}`, `Once-${'0'.repeat(32)}`];
    await user.commit(...keys.map((key, n) => accept(n + 1, { key })));
    await user.commit(...keys.map((_, n) => close(n + 1)));
    expect(await user.commit(...keys.map((key, n) => accept(n + 10, { key })))).toEqual(
      keys.map((_, n) => known(n + 1, 'closed')),
    );
  });

  it('an old request that ends does not take the key of a new one with it', async () => {
    const { user } = subject;
    await user.commit(accept(1, { key: 'k' }), close(1, NOON + 10));
    await user.commit(accept(2, { key: 'k', acceptedAt: NOON + 10 }), close(1, NOON + 20));
    await user.commit(sweep(NOON + DAY_MS));
    expect(await user.commit(accept(3, { key: 'k' }))).toEqual([known(2)]);
  });
}
