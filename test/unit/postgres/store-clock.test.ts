import { StoreClock } from '../../../src/extensions/postgres/store-clock.js';

/** How far it is ahead of the monotonic clock, to a tenth of a second. */
function aheadMs(clock: StoreClock): number {
  return Math.round((clock.wall() - clock.now()) / 100) * 100;
}

describe('the clock of a store in a database', () => {
  it('does not step because an answer was slow (D110)', () => {
    const clock = new StoreClock();
    clock.set(0, 1_000_000, 10);
    expect(aheadMs(clock)).toBe(1_000_000);
    // The server read its clock at some time within these seven seconds.
    clock.set(20_000, 1_027_000, 27_000);
    expect(aheadMs(clock)).toBe(1_000_000);
  });

  it('steps as far as the answer proves', () => {
    const clock = new StoreClock();
    clock.set(0, 1_000_000, 10);
    clock.set(20_000, 2_020_000, 20_300);
    expect(aheadMs(clock)).toBe(1_999_700);
    clock.set(40_000, 540_000, 40_300);
    expect(aheadMs(clock)).toBe(500_000);
  });
});
