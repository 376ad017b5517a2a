import { Checker } from '../../../bench/soak/checker.js';
import { sectionOf, withSection } from '../../../bench/soak/report.js';
import { Series, slope } from '../../../bench/soak/samples.js';

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
  checker.done('sdk', number);
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
    checker.done('http', 2);
    expect(found()).toEqual(['sdk 1 is lost', 'http 2 never ran']);
  });

  it('is not of a second receipt or result, or of a result that nobody was promised', () => {
    live(1);
    checker.stored('sdk', 1, false);
    checker.done('sdk', 1);
    checker.ran('sdk', 2, STAYS, NOW);
    checker.done('sdk', 2);
    expect(found()).toEqual([
      'sdk 1 was acknowledged as new twice',
      'sdk 1 had two results',
      'sdk 2 had a result, and was never acknowledged',
    ]);
  });

  it('is not of a webhook that never came, or told of another end', () => {
    live(1);
    live(2);
    checker.told('sdk', 2, 'dead');
    checker.stored('sdk', 3, true);
    checker.ran('sdk', 3, STAYS, NOW);
    checker.done('sdk', 3);
    expect(found()).toEqual(['sdk 2 was told to be dead', 'the webhook of sdk 3 is lost']);
    expect(checker.toldAgain).toBe(1);
  });

  it('is not of a second execution, unless a worker was killed or the pair changed meanwhile', () => {
    for (const number of [1, 2, 3]) live(number);
    checker.ran('sdk', 1, STAYS, NOW + 1000);
    live(4);
    checker.stored('sdk', 5, false);
    checker.ran('sdk', 5, { goneAt: NOW + 500 }, NOW);
    checker.ran('sdk', 5, STAYS, NOW + 1000);
    checker.done('sdk', 5);
    checker.judge(NOW + 40_000);
    expect(checker.promised).toBe(1);
    checker.disturbed(NOW + 50_000)(NOW + 51_000);
    checker.ran('sdk', 2, STAYS, NOW + 50_500);
    checker.ran('sdk', 3, STAYS, NOW + 49_000);
    expect(found()).toEqual([
      `sdk 1 ran twice, at ${NOW} and ${NOW + 1000}, and nothing had happened`,
      `sdk 3 ran twice, at ${NOW} and ${NOW + 49_000}, and nothing had happened`,
    ]);
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
  it('is the slope of the medians between two restarts, without those before the first', () => {
    const series = new Series('B');
    const hour = 3_600_000;
    for (const [life, values] of [[9e9], [10e6, 500e6, 11e6], [12e6], [13e6]].entries()) {
      for (const resident of values) series.add(life, life * hour, { resident });
    }
    const [growth, ...others] = series.growths;
    expect(growth).toMatchObject({ name: 'resident', first: 11e6, last: 13e6 });
    expect(growth?.perHour).toBeCloseTo(1e6);
    expect(others).toEqual([]);
  });

  it('is that of the line with the least squares', () => {
    const points = [3, 1, 2].map((at) => ({ at, value: 5 - 2 * at }));
    expect(slope(points)).toBeCloseTo(-2);
    expect(slope([{ at: 1, value: 1 }])).toBe(0);
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
