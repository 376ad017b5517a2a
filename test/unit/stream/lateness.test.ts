import fc from 'fast-check';

import { Lateness } from '../../../src/stream/lateness.js';

const MINUTE = 60_000;

describe('lateness (D44)', () => {
  it('is what exceeds the smallest difference of the clocks, which need not agree', () => {
    for (const apart of [-1e12, 0, 1e12]) {
      const lateness = new Lateness();
      lateness.arrived(1000, 1000 + apart);
      expect(lateness.of(1000, 1000 + apart)).toBe(0);
      lateness.arrived(2500, 2000 + apart);
      expect(lateness.of(2500, 2000 + apart)).toBe(500);
      expect(lateness.of(2900, 2000 + apart)).toBe(900);
    }
  });

  it('is not negative where the network was never so fast', () => {
    const lateness = new Lateness();
    lateness.arrived(1000, 0);
    lateness.arrived(1000, 900);
    expect(lateness.of(1000, 900)).toBe(0);
    expect(lateness.of(1000, 0)).toBe(900);
  });

  it('forgets a difference after ten minutes, and no earlier', () => {
    const lateness = new Lateness();
    lateness.arrived(0, 0);
    for (let now = MINUTE; now <= 10 * MINUTE; now += MINUTE) {
      lateness.arrived(now, now - 300);
      expect(lateness.of(now, now - 300)).toBe(300);
    }
    const now = 10 * MINUTE + 11_000;
    lateness.arrived(now, now - 300);
    expect(lateness.of(now, now - 300)).toBe(0);
  });

  it('begins anew after a silence of ten minutes', () => {
    const lateness = new Lateness();
    lateness.arrived(0, 0);
    lateness.arrived(1000 * MINUTE, 0);
    expect(lateness.of(1000 * MINUTE, 0)).toBe(0);
  });

  it('is the same as with every difference kept, to ten seconds of the window', () => {
    const message = fc.record({
      after: fc.integer({ min: 0, max: 90_000 }),
      delay: fc.integer({ min: 0, max: 5000 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 200 }), (messages) => {
        const lateness = new Lateness();
        const seen: { now: number; delay: number }[] = [];
        let now = 0;
        for (const { after, delay } of messages) {
          now += after;
          seen.push({ now, delay });
          lateness.arrived(now, now - delay);
          const least = (sinceMs: number): number =>
            Math.min(...seen.filter((one) => one.now >= now - sinceMs).map((one) => one.delay));
          const late = lateness.of(now, now - delay);
          expect(late).toBeGreaterThanOrEqual(delay - least(10 * MINUTE));
          expect(late).toBeLessThanOrEqual(delay - least(10 * MINUTE + 10_000));
        }
      }),
    );
  });
});
