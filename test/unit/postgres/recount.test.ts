import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { Recount } from '../../../src/extensions/postgres/recount.js';
import { fakeTimers } from '../../support/fake-timers.js';

const TIMEOUT_MS = 3000;

/** A store that is counted: how long each count may take, and what becomes of it. */
class Counted {
  readonly limits: number[] = [];
  readonly recount: Recount;
  #end: { done(tookMs: number): void; failed(): void } | null = null;

  constructor(tookMs: number) {
    this.recount = new Recount(PROCESS_CLOCK, this.#count.bind(this), tookMs, TIMEOUT_MS);
  }

  async #count(limitMs: number): Promise<number> {
    this.limits.push(limitMs);
    return await new Promise((resolve, reject) => {
      this.#end = {
        done: resolve,
        failed: () => reject(new Error('away')),
      };
    });
  }

  async done(tookMs: number): Promise<void> {
    this.#end?.done(tookMs);
    await jest.advanceTimersByTimeAsync(0);
  }

  async failed(): Promise<void> {
    this.#end?.failed();
    await jest.advanceTimersByTimeAsync(0);
  }
}

describe('the counts of a store that other brokers change, too', () => {
  fakeTimers();

  it('wait for the time that the database needs, not for its connection', async () => {
    const counted = new Counted(10);
    counted.recount.accompanied(1);
    await jest.advanceTimersByTimeAsync(2000);
    await jest.advanceTimersByTimeAsync(60_000);
    await counted.done(10);
    await jest.advanceTimersByTimeAsync(2000);
    expect(counted.limits).toHaveLength(2);
    // Counting takes one part in a hundred of the time of the database.
    await counted.done(100);
    await jest.advanceTimersByTimeAsync(9999);
    expect(counted.limits).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(1);
    expect(counted.limits).toHaveLength(3);
    counted.recount.close();
  });

  it('are given up after ten times what they took before, and taken again after two seconds', async () => {
    const counted = new Counted(1000);
    counted.recount.miscounted();
    await jest.advanceTimersByTimeAsync(100);
    await counted.failed();
    await jest.advanceTimersByTimeAsync(2000);
    expect(counted.limits).toEqual([10_000, 20_000]);
    await counted.done(1);
    counted.recount.miscounted();
    await jest.advanceTimersByTimeAsync(2000);
    expect(counted.limits.at(-1)).toBe(TIMEOUT_MS);
    counted.recount.close();
  });
});
