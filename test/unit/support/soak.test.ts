import { Checker } from '../../../bench/soak/checker.js';
import { verdictOf } from '../../../bench/soak/report.js';
import { HOUR_MS, OF_PROCESS, Series } from '../../../bench/soak/samples.js';

const NOW = Date.UTC(2026, 10, 28, 12);
const STAYS = { goneAt: Infinity };

let checker: Checker;

beforeEach(() => {
  checker = new Checker();
});

function found(): readonly string[] {
  checker.finish(NOW);
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
});

describe('what a soak says of growth', () => {
  const LIMIT = 1e6;

  /** Resident memory in ten times between two restarts, for two hours. @param noise of each, to both sides in turn */
  function grown(perHour: number, noise: number): Series {
    const series = new Series('workers', OF_PROCESS);
    for (let life = 0; life <= 10; life++) {
      const atMs = (life * HOUR_MS) / 5;
      const value = 50e6 + (perHour * atMs) / HOUR_MS + (life % 2 === 0 ? noise : -noise);
      series.add({ life, role: '', atMs, values: { resident: value, live: 2e7, descriptors: 9 } });
    }
    return series;
  }

  function said(series: Series): readonly [boolean, string] {
    const { isGood, text } = verdictOf({ wrongs: 0 }, [series], true);
    return [isGood, text.split('\n\n').slice(1).join()];
  }

  it('is that it stays within its limit only where the run could have seen more', () => {
    expect(said(grown(0, LIMIT / 10))).toEqual([true, '']);
    const [isGood, text] = said(grown(0, 20 * LIMIT));
    expect(isGood).toBe(true);
    expect(text).toMatch(
      /^- resident memory of workers: inconclusive, it would have seen 2\d\.\d\d MB an hour$/,
    );
  });

  it('is what surely grows, and what was not measured: these end it with 1', () => {
    expect(said(grown(3 * LIMIT, LIMIT / 10))).toEqual([
      false,
      '- **resident memory of workers: it grows too fast**',
    ]);
    const [isGood, text] = said(new Series('workers', OF_PROCESS));
    expect(isGood).toBe(false);
    expect(text.split('\n')).toHaveLength(OF_PROCESS.length);
  });
});
