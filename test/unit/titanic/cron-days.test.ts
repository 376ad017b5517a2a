/** The days of a cron line: those that the parser finds, without its search. */
import { Cron } from 'croner';

import { CronDays, type YearRange } from '../../../src/titanic/machine/schedules/cron-days.js';
import { readFields } from '../../../src/titanic/machine/schedules/cron-fields.js';
import { firstDue, readDueTimes } from '../../../src/titanic/machine/schedules/due-times.js';
import { SimRandom } from '../../simulation/world/random.js';

const DAY_MS = 86_400_000;

function dayOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / DAY_MS;
}

function daysOf(line: string, years: readonly YearRange[] | null = null): CronDays {
  const fields = readFields(['0', '0', '0', ...line.split(' ')]);
  if (typeof fields === 'string') throw new Error(fields);
  return new CronDays(fields, years);
}

/** The days up to another one. */
function found(line: string, from: string, until: string): number[] {
  const days = daysOf(line);
  const all: number[] = [];
  for (let at = days.from(dayOf(from)); at !== null; at = days.from(at + 1)) {
    if (at > dayOf(until)) break;
    all.push(at);
  }
  return all;
}

/** The same, as the parser finds them. */
function parsed(line: string, from: string, until: string): number[] {
  const cron = new Cron(`0 0 0 ${line}`, { paused: true, utcOffset: 0 });
  const all: number[] = [];
  let at = cron.nextRun(new Date(dayOf(from) * DAY_MS - 1000));
  for (; at !== null && at.getTime() <= dayOf(until) * DAY_MS; at = cron.nextRun(at)) {
    all.push(at.getTime() / DAY_MS);
  }
  return all;
}

const DAYS = ['*', '?', '*/7', '1-10/3', '31', '29,30', 'L', 'l,15', '*,L', '1,5-7,*/20', '28-31'];
const MONTHS = ['*', '2', 'feb', 'JAN,jul', '*/5', '4-6', '2-12/5', '6,9,11', 'Nov-Dec', '?'];
const WEEKDAYS = [
  ...['*', '?', '0', '7', 'MON', 'mon-fri', 'FRI-SUN', '5-7', '*/2', '1-5/2', '*/7', '1#1'],
  ...['FRI#5', '5L', 'sunL', '0#2,3#4', '1-5#2', 'MON-WEDL', '7#5', '1#1,1', '6#L', '2,FRI-SUN'],
];

describe('the days of a cron line', () => {
  it('are those that the parser finds, in lines of every kind', () => {
    const random = new SimRandom(1);
    const pick = (from: readonly string[]): string => random.pick(from as readonly [string]);
    for (let round = 0; round < 300; round++) {
      const line = [pick(DAYS), pick(MONTHS), pick(WEEKDAYS)].join(' ');
      const [from, until] = ['2027-12-30', '2029-03-02'];
      expect([line, found(line, from, until)]).toEqual([line, parsed(line, from, until)]);
    }
  });

  it('are right at the ends of months, leap years and centuries', () => {
    const next = (line: string, from: string): string | null => {
      const day = daysOf(line).from(dayOf(from));
      return day === null ? null : new Date(day * DAY_MS).toISOString().slice(0, 10);
    };
    expect(next('29 2 *', '2026-11-22')).toBe('2028-02-29');
    expect(next('29 2 *', '2028-02-29')).toBe('2028-02-29');
    expect(next('29 2 *', '2096-03-01')).toBe('2104-02-29');
    expect(next('L 2 *', '2100-02-01')).toBe('2100-02-28');
    expect(next('* 2 MON#5', '2026-11-22')).toBe('2044-02-29');
    expect(next('* 2 5L', '2026-11-22')).toBe('2027-02-26');
    expect(next('1 1 *', '1969-12-31')).toBe('1970-01-01');
    expect(next('31 12 THU', '1969-12-30')).toBe('1969-12-31');
  });

  it('are none where a month never has such a day', () => {
    for (const line of ['30 2 *', '31 4,6,9,11 *', '30,31 feb *', '31 2-6/2 ?']) {
      expect([line, daysOf(line).from(dayOf('2026-11-22'))]).toEqual([line, null]);
    }
    const fifth = daysOf('* 2 1#5', [[2027, 2030]]);
    expect(fifth.from(dayOf('2026-11-22'))).toBeNull();
  });
});

describe('a line that never comes', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** How often the parser looks at its calendar. */
  function work(cron: string, timeZone = 'UTC'): { looks: number; text: string } {
    const looks = jest.spyOn(Date, 'UTC');
    const times = readDueTimes(cron, timeZone);
    const due = 'fault' in times ? times : firstDue(times, Date.parse('2026-11-22T07:00:00Z'));
    const counted = looks.mock.calls.length;
    jest.restoreAllMocks();
    return { looks: counted, text: typeof due === 'number' ? 'comes' : due.fault };
  }

  it.each([
    '0 0 30 2 *',
    '0 0 31 4,6 *',
    '* * * 31 2,4,6,9,11 *',
    '0 0 0 * 2 MON#5 2027-2043',
    '0 0 0 30 2 * 1970-2199',
    '0 0 0 31 11 ? 2027-2199',
  ])('is refused without a search: %s', (cron) => {
    expect(work(cron)).toMatchObject({ text: 'cron: it never comes' });
    expect(work(cron).looks).toBeLessThan(20);
  });

  it.each([
    '0 0 29 2 *',
    '0 0 * 2 MON#5',
    '0 0 0 * 2 MON#5 2044',
    '0 0 0 31 12 * 2199',
    '0 0 0 29 2 * 2196',
    '59 59 23 31 12 *',
    '* * * * * *',
  ])('costs no more than one that comes, however late: %s', (cron) => {
    const { looks, text } = work(cron);
    expect(text).toBe('comes');
    expect(looks).toBeLessThan(40);
  });

  it('has no more years than can be read at once', () => {
    const many = Array<string>(25).fill('1970-2199').join();
    expect(work(`0 0 0 30 2 * ${many}`).text).toBe('cron: it never comes');
    for (const years of ['0000', '2030-2027', '2200', '2027-2200', '*/2', '27', '2027,']) {
      expect(work(`0 0 0 1 1 * ${years}`).text).toBe(
        'cron: years are numbers up to 2199, as in 2027 or 2027-2030',
      );
    }
  });
});
