import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { ReconnectPauses } from '../../../src/extensions/postgres/reconnect-pauses.js';
import { fakeTimers } from '../../support/fake-timers.js';

const AWAY = new Error('away');

describe('the pauses before a store is connected to again', () => {
  fakeTimers();

  /** @param randoms the numbers that it draws, in a circle */
  function pauses(...randoms: number[]): ReconnectPauses {
    let drawn = 0;
    return new ReconnectPauses(PROCESS_CLOCK, () => randoms[drawn++ % randoms.length] ?? 0);
  }

  /** When it may be tried; `null`: not within ten minutes. */
  function waits(of: ReconnectPauses, isOver = (): boolean => false): { at: number | null } {
    const began = Date.now();
    const waited: { at: number | null } = { at: null };
    void of.over(isOver).then(() => {
      waited.at = Date.now() - began;
    });
    return waited;
  }

  /** Failures one after another, each after its pause; the last one has begun its pause. */
  async function fail(of: ReconnectPauses, times: number): Promise<void> {
    for (let failures = 0; failures < times; failures++) {
      if (failures > 0) await jest.advanceTimersByTimeAsync(600_000);
      of.failed(AWAY);
    }
  }

  it('are longer after each failure, up to a maximum', async () => {
    const all = pauses(1, 0);
    const waited: (number | null)[] = [];
    for (let failures = 0; failures < 16; failures++) {
      const wait = waits(all);
      await jest.advanceTimersByTimeAsync(600_000);
      waited.push(wait.at);
      all.failed(AWAY);
    }
    expect(waited.slice(0, 4)).toEqual([0, 20, 40, 80]);
    expect(waited.slice(-2)).toEqual([5_000, 5_000]);
  });

  it('grow once for all connections that fail in the same pause', async () => {
    const all = pauses(1, 0);
    for (let round = 0; round < 3; round++) {
      for (let connection = 0; connection < 8; connection++) all.failed(AWAY);
      const wait = waits(all);
      await jest.advanceTimersByTimeAsync(600_000);
      expect(wait.at).toBeLessThanOrEqual(20 * 2 ** round * 1.5);
    }
  });

  it('have a spread: those that lost their connections together do not return together', async () => {
    const spread = pauses(0.5, 0, 0.2, 0.9);
    await fail(spread, 12);
    const waiting = [waits(spread), waits(spread), waits(spread), waits(spread)];
    await jest.advanceTimersByTimeAsync(600_000);
    expect(new Set(waiting.map(({ at }) => at)).size).toBe(4);
  });

  it('begin anew for all that wait when one of them fails', async () => {
    const all = pauses(0.5);
    await fail(all, 6);
    const waiting = waits(all);
    await jest.advanceTimersByTimeAsync(480);
    all.failed(AWAY);
    await jest.advanceTimersByTimeAsync(700);
    expect(waiting.at).toBeNull();
    await jest.advanceTimersByTimeAsync(600_000);
    expect(waiting.at).toBeGreaterThan(1180);
  });

  it('end for all when one has connected, or when nobody waits any longer', async () => {
    const all = pauses(0.5);
    await fail(all, 12);
    let isClosed = false;
    const closed = waits(all, () => isClosed);
    const waiting = [waits(all), waits(all)];
    isClosed = true;
    all.wake();
    await jest.advanceTimersByTimeAsync(0);
    expect([closed.at, ...waiting.map(({ at }) => at)]).toEqual([0, null, null]);
    all.worked();
    await jest.advanceTimersByTimeAsync(0);
    expect(waiting.map(({ at }) => at)).toEqual([0, 0]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
