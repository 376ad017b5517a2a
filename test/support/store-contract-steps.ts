import { present } from '../../src/core/assert.js';
import { numberOfKind } from '../../src/store/record-kind.js';
import type { Change, ChangeResult } from '../../src/store/store.js';
import {
  accept,
  advance,
  attempt,
  close,
  dead,
  DAY_MS,
  expire,
  NOON,
  reply,
  retry,
  sweep,
  uuidOf,
} from './store-changes.js';
import { acceptKind, KEPT_KINDS, LATER_KIND } from './record-kinds.js';
import type { Subject } from './store-contract.js';

/** How a request reaches each state in the table below. */
const HISTORIES = {
  absent: [],
  pending: [accept(1)],
  'pending, one attempt': [accept(1), attempt(1, 1)],
  replied: [accept(1), reply(1)],
  dead: [accept(1), dead(1)],
  'pending, retried': [accept(1), dead(1), retry(1)],
  'replied, retried': [accept(1), dead(1), retry(1), reply(1, { generation: 1 })],
  'dead, retried': [accept(1), dead(1), retry(1), dead(1, { generation: 1 })],
  closed: [accept(1), close(1)],
  expired: [accept(1), expire(1)],
} as const satisfies Record<string, readonly Change[]>;

/** By kind and generation. */
const CHANGES: readonly (readonly [step: string, change: Change])[] = [
  ...[0, 1, 2].flatMap((generation) => [
    [`accept.${generation}`, accept(1, { generation })] as const,
    [`attempt 1.${generation}`, attempt(1, 1, generation)] as const,
    [`advance 1.${generation}`, advance(1, 1, { generation })] as const,
    [`reply.${generation}`, reply(1, { generation })] as const,
    [`dead.${generation}`, dead(1, { generation })] as const,
  ]),
  ['attempt 2.0', attempt(1, 2)],
  ['close.0', close(1)],
  ['expire.0', expire(1)],
  ['retry.1', retry(1)],
  ['retry.2', retry(1, 2)],
];

/** For each state: of which generations a change is a step up; other changes are ignored. */
const STEPS = `
                        accept  attempt 1  attempt 2  advance 1  reply  dead  close  expire  retry
  absent                012     -          -          -          -      -     -      -       -
  pending               12      012        0          012        012    012   0      0       12
  pending, one attempt  12      12         0          12         012    012   0      0       12
  replied               12      12         -          12         12     12    0      0       12
  dead                  12      12         -          12         012    12    0      0       12
  pending, retried      2       12         -          12         12     12    0      0       2
  replied, retried      2       2          -          2          2      2     0      0       2
  dead, retried         2       2          -          2          12     2     0      0       2
  closed                012     -          -          -          -      -     -      -       -
  expired               012     -          -          -          -      -     -      -       -`;

/** Where a change that is a step up leads. */
const ENDS = { reply: 'replied', dead: 'dead', close: 'absent', expire: 'absent' } as const;

/** By state: its changes that are steps up, as `attempt 1.0`: of generation 0. */
function upsByState(): ReadonlyMap<string, ReadonlySet<string>> {
  const [columns = [], ...rows] = STEPS.trim()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
  return new Map(
    rows.map(([state = '', ...cells]) => [
      state,
      new Set(
        cells.flatMap((digits, at) =>
          Array.from(digits, (digit) => `${columns[at] ?? ''}.${digit}`),
        ),
      ),
    ]),
  );
}

export function describeStoreSteps(subject: Subject, isShared: boolean): void {
  const number = isShared ? { number: expect.any(Number) } : {};
  const standings = Object.entries<readonly Change[]>(HISTORIES);
  const upsOf = upsByState();

  it('in each state, certain changes are steps up, and all others are passed', async () => {
    const { user } = subject;
    for (const [standing, history] of standings) {
      const ups = present(upsOf.get(standing), standing);
      for (const [step, change] of CHANGES) {
        const told = (what: unknown): unknown => [standing, step, what];
        await user.commit(...history);
        const before = await user.lookUp(uuidOf(1));
        const [result] = await user.commit(change);
        const isUp = ups.has(step);
        expect(told(result?.kind)).toEqual(told(isUp ? expectedKind(change, standing) : 'passed'));
        const found = await user.lookUp(uuidOf(1));
        const state = change.kind in ENDS ? ENDS[change.kind as keyof typeof ENDS] : 'pending';
        const wanted = isUp ? expect.objectContaining({ state }) : before;
        expect(told(found)).toEqual(told(wanted));
        await user.commit(close(1));
      }
    }
  });

  it('in each state, within one batch and when it is applied twice, a change ends the same', async () => {
    const { user } = subject;
    for (const [standing, history] of standings) {
      for (const [step, change] of CHANGES) {
        const told = (what: unknown): unknown => [standing, step, what];
        const apart = [
          ...(history.length === 0 ? [] : await user.commit(...history)),
          ...(await user.commit(change)),
        ];
        const found = await user.lookUp(uuidOf(1));
        const body = await user.load(uuidOf(1));
        const [again] = await user.commit(change);
        expect(['passed', 'known']).toContain(again?.kind);
        expect(told(await user.lookUp(uuidOf(1)))).toEqual(told(found));
        await user.commit(close(1));
        const together = await user.commit(...history, change);
        expect(told(together.map(withoutNumber))).toEqual(told(apart.map(withoutNumber)));
        const counts = await countsOf(subject);
        await user.commit(...history, change);
        expect(told(await user.lookUp(uuidOf(1)))).toEqual(told(found));
        expect(told(await user.load(uuidOf(1)))).toEqual(told(body));
        expect(told(await countsOf(subject))).toEqual(told(counts));
        await user.commit(close(1));
      }
    }
  });

  it('counts requests by state through all steps', async () => {
    const expected: readonly [Change, readonly [pending: number, replied: number, dead: number]][] =
      [
        [accept(1), [1, 0, 0]],
        [accept(2), [2, 0, 0]],
        [accept(2), [2, 0, 0]],
        [accept(3), [3, 0, 0]],
        [attempt(1, 1), [3, 0, 0]],
        [reply(1), [2, 1, 0]],
        [dead(1), [2, 1, 0]],
        [dead(2), [1, 1, 1]],
        [retry(2), [2, 1, 0]],
        [dead(2, { generation: 1 }), [1, 1, 1]],
        [reply(2, { generation: 1 }), [1, 2, 0]],
        [close(2), [1, 1, 0]],
        [expire(3), [0, 1, 0]],
        [sweep(NOON + 8 * DAY_MS), [0, 0, 0]],
      ];
    for (const [change, [pending, replied, died]] of expected) {
      await subject.user.commit(change);
      const counts = { pending, replied, dead: died };
      expect([change.kind, await countsOf(subject)]).toEqual([change.kind, counts]);
    }
  });

  it('tells an operator who retries the request as it is then, and delivers it anew', async () => {
    const { user } = subject;
    await user.commit(accept(1), attempt(1, 1), attempt(1, 2), dead(1));
    expect(await user.load(uuidOf(1))).toEqual([null]);
    const [result] = await user.commit(retry(1));
    const { request } = accept(1);
    expect(result).toEqual({
      kind: 'reopened',
      request: {
        ...request,
        ...number,
        generation: 1,
        attempts: 0,
        notBefore: NOON + 8,
        expiresAt: NOON + 2 * DAY_MS,
      },
    });
    expect(await user.load(uuidOf(1))).toEqual([Buffer.from('body 1')]);
    const { pending } = await subject.reopen();
    expect(pending).toEqual([expect.objectContaining({ generation: 1, attempts: 0 })]);
  });

  it('keeps what became of a record last, without an entry in its history', async () => {
    const { user } = subject;
    const parts = { own: Buffer.from('own'), partner: uuidOf(2) };
    await user.commit(accept(1, { kind: 'schedule', ...parts }), advance(1, 1));
    const [known] = (await subject.reopen()).pending;
    const times = { notBefore: NOON + 1000, expiresAt: NOON + 7 * DAY_MS };
    expect(known).toMatchObject({ attempts: 1, ...times, outcome: 1, outcomeAt: NOON + 1 });
    expect(known).toMatchObject(parts);
    const later = { generation: 1, notBefore: NOON + 7, expiresAt: NOON + 9, outcome: 5 };
    const [result] = await subject.user.commit(advance(1, 0, later));
    const request = { ...known, ...later, attempts: 0, outcomeAt: NOON };
    expect(result).toEqual({ kind: 'reopened', request });
    expect((await subject.reopen()).pending).toEqual([request]);
  });

  it('remembers how often a request was tried, and until when it is to rest', async () => {
    await subject.user.commit(accept(1), attempt(1, 1));
    await subject.user.commit(...Array.from({ length: 30 }, (_, at) => attempt(1, at + 2)));
    const { pending } = await subject.reopen();
    const { request } = accept(1);
    expect(pending).toEqual([{ ...request, ...number, attempts: 31, notBefore: NOON + 31_000 }]);
  });

  it('sweeps what is over, the oldest first, so many at once, and says if there is more', async () => {
    const { user } = subject;
    await user.commit(
      ...[1, 2, 3, 4, 5].map((n) => accept(n)),
      reply(3, { expiresAt: NOON + 10 }),
      dead(2, { expiresAt: NOON + 20 }),
      reply(1, { expiresAt: NOON + 30 }),
      reply(4, { expiresAt: NOON + 40 }),
    );
    const swept = { kind: 'swept', replied: 0, dead: 0, more: false, services: [], gone: [] };
    const service = Buffer.from('echo');
    const one = { ...swept, replied: 1, services: [{ service, count: 1 }] };
    expect(await user.commit(sweep(NOON + 9))).toEqual([swept]);
    expect(await user.commit(sweep(NOON + 30, { most: 2 }))).toEqual([
      { ...one, dead: 1, more: true, services: [{ service, count: 2 }] },
    ]);
    expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'replied' });
    expect(await user.commit(sweep(NOON + 30, { most: 2 }))).toEqual([one]);
    // A pending one ends with `expire`: the machine that has it must be told.
    const last = isShared ? { ...one, services: [{ service, count: 2 }] } : one;
    expect(await user.commit(sweep(NOON + 9 * DAY_MS))).toEqual([last]);
    const state = isShared ? 'absent' : 'pending';
    expect(await user.lookUp(uuidOf(5))).toMatchObject({ state });
  });

  it('sweeps a pending record that is not sent to workers, unless only a later version knows it', async () => {
    const { user } = subject;
    const kept = KEPT_KINDS.map((kind, at) => acceptKind(kind, at + 1));
    const over = Math.max(...kept.map(({ request }) => request.expiresAt));
    await user.commit(...kept, acceptKind(LATER_KIND, 9, { expiresAt: NOON + 10 }));
    // Only requests and webhooks are told, for the metrics of their services.
    const none = { kind: 'swept', replied: 0, dead: 0, more: false, services: [], gone: [] };
    expect(await user.commit(sweep(NOON + 10))).toEqual([none]);
    expect(await user.lookUp(uuidOf(1))).toMatchObject({ state: 'pending' });
    const uuids = kept.map(({ request }) => request.uuid);
    expect(await user.commit(sweep(over))).toEqual([{ ...none, gone: isShared ? [] : uuids }]);
    for (const { request } of kept) {
      expect(await user.lookUp(request.uuid)).toMatchObject({ state: 'absent' });
    }
    expect(await user.lookUp(uuidOf(9))).toMatchObject({ state: 'pending' });
    // The other node of a pair may be of that version: both stores drop the same.
    if (isShared) return;
    const ofLater = { ...sweep(over), kinds: 2 ** numberOfKind(LATER_KIND) };
    expect(await user.commit(ofLater)).toEqual([{ ...none, gone: [uuidOf(9)] }]);
  });
}

/** Each acceptance has its own number. */
function withoutNumber(result: ChangeResult): object {
  return result.kind === 'reopened' ? { ...result.request, number: 0 } : result;
}

function expectedKind(change: Change, standing: string): ChangeResult['kind'] {
  const generation = standing.endsWith('retried') ? 1 : 0;
  const isRaised = change.kind === 'advance' && change.generation > generation;
  return change.kind === 'retry' || isRaised ? 'reopened' : 'done';
}

async function countsOf(subject: Subject): Promise<object> {
  const outcome = await subject.user.tryCommit([]);
  if (!('counts' in outcome)) throw new Error(outcome.failure.message);
  const { pending, replied, dead: died } = outcome.counts;
  return { pending, replied, dead: died };
}
