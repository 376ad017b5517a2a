import { Checker } from '../../../bench/soak/checker.js';
import { sectionOf, verdictOf, withSection } from '../../../bench/soak/report.js';
import { HOUR_MS, lineOf, Series } from '../../../bench/soak/samples.js';
import { MetricsPage } from '../../support/metrics.js';

/** Begins when all schedules are due at once. */
const NOW = Date.UTC(2026, 10, 28, 12);
const STAYS = { goneAt: Infinity };

let checker: Checker;

beforeEach(() => {
  checker = new Checker();
});

function found(stoppedAt = NOW): readonly string[] {
  checker.finish(stoppedAt);
  expect(checker.wrongs).toBe(checker.shown.length);
  return checker.shown;
}

/** The whole life of a request. */
function live(number: number, at = NOW): void {
  checker.stored('sdk', number, true);
  checker.ran('sdk', number, STAYS, at);
  checker.told('sdk', number, 'replied');
  checker.done('sdk', number, at);
}

describe('what must be true of a soak', () => {
  it('is true of requests that ran once, were told of and have one result', () => {
    for (let number = 1; number <= 20_000; number++) live(number, NOW + number);
    expect(found()).toEqual([]);
    expect(checker.tallies.sdk.executions.size).toBeLessThan(20_000);
  });

  it('is not of an acknowledged request without a result, or of a result without an execution', () => {
    checker.stored('sdk', 1, false);
    checker.ran('sdk', 1, STAYS, NOW);
    checker.stored('http', 2, false);
    checker.done('http', 2, NOW);
    expect(found()).toEqual(['sdk 1 is lost', 'http 2 never ran']);
  });

  it('is not of a second receipt or result, or of a result that nobody was promised', () => {
    live(1);
    checker.stored('sdk', 1, false);
    checker.done('sdk', 1, NOW);
    checker.ran('sdk', 2, STAYS, NOW);
    checker.done('sdk', 2, NOW);
    expect(found()).toEqual([
      'sdk 1 was acknowledged as new twice',
      'sdk 1 had two results',
      'sdk 2 had a result, and was never acknowledged',
      'sdk 2 ran, and was never acknowledged',
    ]);
  });

  it('is not of an execution or a webhook that nobody has asked for', () => {
    checker.ran('http', 1, STAYS, NOW);
    checker.stored('http', 2, false);
    checker.ran('http', 2, STAYS, NOW);
    checker.done('http', 2, NOW);
    checker.told('http', 2, 'replied');
    checker.told('http', 3, 'replied');
    checker.came(7, 'u1', NOW);
    expect(found()).toEqual([
      'a webhook of an unknown schedule of 7 s',
      'http 1 ran, and was never acknowledged',
      'a webhook told of http 2, which has none',
      'a webhook told of http 3, which has none',
    ]);
  });

  it('is not of a webhook that never came, or told of another end', () => {
    live(1);
    live(2);
    checker.told('sdk', 2, 'dead');
    checker.stored('sdk', 3, true);
    checker.ran('sdk', 3, STAYS, NOW);
    checker.done('sdk', 3, NOW);
    expect(found()).toEqual(['sdk 2 was told to be dead', 'the webhook of sdk 3 is lost']);
    expect(checker.toldAgain).toBe(1);
  });

  it('is not of a second execution, unless a worker was killed or the pair changed meanwhile', () => {
    for (const number of [1, 2, 3]) {
      checker.stored('sdk', number, false);
      checker.ran('sdk', number, STAYS, NOW);
    }
    checker.ran('sdk', 1, STAYS, NOW + 1000);
    checker.stored('sdk', 5, false);
    checker.ran('sdk', 5, { goneAt: NOW + 500 }, NOW);
    checker.ran('sdk', 5, STAYS, NOW + 1000);
    checker.done('sdk', 5, NOW + 1000);
    checker.judge(NOW + 40_000);
    expect(checker.promised).toBe(1);
    checker.disturbed(NOW + 50_000)(NOW + 51_000);
    checker.ran('sdk', 2, STAYS, NOW + 50_500);
    checker.ran('sdk', 3, STAYS, NOW + 49_000);
    for (const number of [1, 2, 3]) checker.done('sdk', number, NOW + 51_000);
    expect(found()).toEqual([
      `sdk 1 ran twice, at ${NOW} and ${NOW + 1000}, and nothing had happened`,
      `sdk 3 ran twice, at ${NOW} and ${NOW + 49_000}, and nothing had happened`,
    ]);
    expect(checker.promised).toBe(2);
  });

  it('is not of an execution after the close, unless both nodes were active meanwhile', () => {
    for (const number of [1, 2, 3]) live(number);
    checker.ran('sdk', 1, STAYS, NOW + 3000);
    checker.disturbed(NOW + 2000)(NOW + 8000);
    checker.ran('sdk', 2, STAYS, NOW + 9000);
    checker.judge(NOW + 40_000);
    expect(checker.promised).toBe(1);
    checker.disturbed(NOW + 50_000, true)(NOW + 51_000);
    checker.ran('sdk', 3, STAYS, NOW + 52_000);
    expect(found()).toEqual([`sdk 2 ran at ${NOW + 9000}, and was closed at ${NOW}`]);
    expect(checker.promised).toBe(2);
  });

  it('is not of a due time with no request or with two, unless the pair changed', () => {
    checker.scheduled(2, NOW);
    for (const seconds of [2, 4, 6, 10, 16]) {
      checker.came(2, `u${seconds}`, NOW + 1000 * seconds + 3);
    }
    checker.came(2, 'u6', NOW + 6003);
    checker.came(2, 'second', NOW + 6004);
    checker.disturbed(NOW + 12_500)(NOW + 14_500);
    expect(found(NOW + 18_500)).toEqual([
      'the schedule of 2 s, due at 2026-11-28T12:00:06.000Z: two requests',
      'the schedule of 2 s, due at 2026-11-28T12:00:08.000Z: no request',
    ]);
    const [schedule] = checker.schedules.values();
    expect([schedule?.count, schedule?.skipped]).toEqual([5, 2]);
  });

  it('is true of due times that both nodes of a split have stored', () => {
    checker.scheduled(2, NOW);
    for (const uuid of ['a', 'b']) {
      for (const seconds of [2, 4]) checker.came(2, `${uuid}${seconds}`, NOW + 1000 * seconds + 3);
    }
    checker.disturbed(NOW + 1000, true)(NOW + 5000);
    expect(found(NOW + 6500)).toEqual([]);
  });

  it('takes a request that was stored late for that of the due time before it', () => {
    checker.scheduled(2, NOW);
    checker.came(2, 'late', NOW + 4000);
    checker.came(2, 'in time', NOW + 4001);
    expect(found(NOW + 6500)).toEqual([]);
  });
});

describe('how much a process grows', () => {
  /** In each life some samples of each role, more of the one or of the other in turn; a passive node has less. */
  function grown(lives: number, resident: (life: number) => number): Series {
    const series = new Series('B');
    for (let life = 0; life < lives; life++) {
      for (const [half, role] of ['active', 'passive'].entries()) {
        for (let sample = 0; sample < ((life + half) % 2 === 0 ? 3 : 5); sample++) {
          const atMs = ((life + half / 2) * HOUR_MS) / 6;
          const own = resident(life) - half * 20e6 + (sample === 2 ? 500e6 : 0);
          series.add({ life, role, atMs, values: { resident: own, descriptors: 20, store: 1e6 } });
        }
      }
    }
    return series;
  }

  it('is the slope of the medians of each time between two restarts, of the same role', () => {
    const [growth] = grown(6, (life) => 1e8 + life * 1e6).growths;
    expect(growth).toMatchObject({ name: 'resident', first: 101e6, last: 105e6 });
    expect(growth?.perHour).toBeCloseTo(6e6);
    expect(growth?.error).toBeCloseTo(0);
  });

  it('leaves out what comes before the first restart, and of a long run the first half hour of memory', () => {
    const resident = (life: number): number => (life < 3 ? life * 50e6 : 2e8);
    const series = grown(12, resident);
    expect(series.growth('resident')?.perHour).toBeGreaterThan(1e7);
    series.isLong = true;
    expect(series.growth('resident')?.perHour).toBeCloseTo(0);
    expect(series.growth('descriptors')?.perHour).toBeCloseTo(0);
    expect(grown(1, resident).growths).toEqual([]);
  });

  it('is wrong only if it is surely above the limit, and in a long run if it was not measured', () => {
    const steady = (series: Series): Series => {
      for (let life = 1; life < 6; life++) {
        series.add({ life, role: 'active', atMs: life * HOUR_MS, values: { held: 0 } });
      }
      return series;
    };
    const noise = (life: number): number => 1e8 + (life % 2) * 4e6 + life * 2e5;
    const noisy = steady(grown(6, noise));
    expect(noisy.growth('resident')?.perHour).toBeGreaterThan(1e6);
    expect(verdictOf(checker, noisy, true).isGood).toBe(true);
    const growing = steady(grown(6, (life) => noise(life) + life * 5e6));
    expect(verdictOf(checker, growing, true)).toEqual({
      isGood: false,
      text: 'Nothing was lost, nothing was done twice beyond what is promised; **growth of node B: resident memory too fast**.',
    });
    expect(verdictOf(checker, growing, false).isGood).toBe(true);
    expect(verdictOf(checker, new Series('B'), true).text).toContain(
      'resident memory not measured for long enough, open descriptors not measured for long enough',
    );
  });

  it('is known of metrics that are 0, and not of those that are missing', () => {
    const series = new Series('B');
    const take = (...lines: string[]): void => series.take(1, 0, new MetricsPage(lines.join('\n')));
    take('majordomo_ha_state{state="joining"} 1');
    expect([...series.missing]).toEqual([]);
    const role = 'majordomo_ha_state{state="passive"} 1';
    take(role, 'process_resident_memory_bytes 5', 'majordomo_titanic_store_bytes 0');
    expect([...series.missing]).toEqual(['process_open_fds', 'memory_held_bytes']);
  });

  it('is that of the line with the least squares, in which each role has its own height', () => {
    const points = [3, 1, 2].map((at) => ({ at, value: 5 - 2 * at }));
    const higher = points.map(({ at, value }) => ({ at, value: value + 100 }));
    expect(lineOf([points])).toEqual({ slope: -2, error: 0 });
    expect(lineOf([points, higher])).toEqual({ slope: -2, error: 0 });
    const scattered = [0, 0, 3].map((value, at) => ({ at, value }));
    expect(lineOf([scattered])?.slope).toBeCloseTo(1.5);
    expect(lineOf([scattered])?.error).toBeCloseTo(Math.sqrt(0.75));
    expect(lineOf([points.slice(1)])).toBeNull();
    expect(lineOf([])).toBeNull();
  });
});

describe('the section of a document', () => {
  it('is put in the place of the one that is there, or at the end', () => {
    const section = (text: string): string =>
      `<!-- Written by \`npm run soak -- --hours N --write\`: run that instead of editing this. -->\n${text}\n<!-- The end of what that wrote. -->`;
    const without = '# Performance\n';
    const first = withSection(without, section('first'));
    expect(first).toBe(`${without}\n${section('first')}\n`);
    expect(withSection(first, section('$& second'))).toBe(`${without}\n${section('$& second')}\n`);
    expect(withSection(without, sectionOf(first))).toBe(first);
    expect(withSection(without, sectionOf(without))).toBe(without);
  });
});
