/** Pauses between attempts that the client of a stored request chose (D81). */
import { StageReplica } from '../../support/stage-replica.js';
import { StageDisk } from '../../support/stage-store.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

/** Far above and below the pauses of the stage's broker: 1000 to 8000. */
const SLOW = { baseMs: 100_000, maxMs: 300_000 };
const QUICK = { baseMs: 10, maxMs: 20 };

/** A delivery fails; returns how long the request waits for the next, which it gives back. */
function pauseAfterFailure(s: TitanicStage): number {
  s.worker('failing').ready('echo').disconnect();
  const failedAt = s.now;
  const w = s.worker('next').ready('echo').heartbeatsEvery(500);
  while (w.inbox().length === 0) {
    if (s.now > failedAt + 1_000_000) throw new Error('it is not sent again');
    s.after(failedAt === s.now ? 1 : 5);
  }
  const pauseMs = s.now - failedAt;
  w.fallsSilent().final('done').disconnect();
  return pauseMs;
}

function expectWithin(pauseMs: number, wholeMs: number): void {
  expect(pauseMs).toBeGreaterThanOrEqual(wholeMs / 2);
  expect(pauseMs).toBeLessThanOrEqual(wholeMs + 10);
}

describe('backoff', () => {
  it("of one request is used instead of the broker's, which others keep", () => {
    const s = titanicStage({ titanic: { requestTtlMs: 10_000_000 } });
    for (const [backoff, wholeMs] of [
      [SLOW, 100_000],
      [undefined, 1000],
      [QUICK, 10],
    ] as const) {
      s.submits('echo', 'hi', { backoff });
      expectWithin(pauseAfterFailure(s), wholeMs);
    }
  });

  it('doubles up to its longest pause', () => {
    const s = titanicStage({ titanic: { requestTtlMs: 10_000_000, maxAttempts: 10 } });
    s.submits('echo', 'hi', { backoff: SLOW });
    for (const wholeMs of [100_000, 200_000, 300_000, 300_000]) {
      s.worker('failing').ready('echo').disconnect();
      const [row] = s.store.disk.rows;
      expectWithin((row?.request.notBefore ?? 0) - s.wall, wholeMs);
      s.after(wholeMs + 1);
    }
  });

  it('outlives a crash', () => {
    const s = titanicStage({ titanic: { requestTtlMs: 10_000_000 } });
    s.submits('echo', 'hi', { backoff: SLOW });
    expectWithin(pauseAfterFailure(s.crashes()), 100_000);
  });

  it('comes with a request that is taken over from the other node', () => {
    const other = new StageDisk();
    titanicStage({ disk: other, seed: 77 }).submits('echo', 'hi', { backoff: QUICK });
    const s = titanicStage({ replica: new StageReplica() }).merges(other);
    expectWithin(pauseAfterFailure(s), 10);
  });

  it('is sent to the peer with the request', () => {
    const replica = new StageReplica();
    const s = titanicStage({ replica });
    s.submits('echo', 'hi', { backoff: QUICK });
    const accepted = replica.shippings
      .flatMap(({ changes }) => changes)
      .find(({ kind }) => kind === 'accept');
    // Field 31: eight bytes, two numbers of 32 bits.
    expect(accepted?.extra).toEqual(Buffer.from([63, 8, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0]));
  });

  it('is that of the first request of a key, which no other one may use (D112)', () => {
    const s = titanicStage();
    const first = s.submits('echo', 'hi', { key: 'k', backoff: QUICK });
    const slow = JSON.stringify({ key: 'k', backoff: SLOW });
    expect(s.asks('submit', slow, 'echo', 'hi')).toMatch(/^409 /);
    expect(s.submits('echo', 'hi', { key: 'k', backoff: QUICK })).toBe(first);
    expectWithin(pauseAfterFailure(s), 10);
  });
});
