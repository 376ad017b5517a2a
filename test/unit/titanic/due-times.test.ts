/** When a schedule is due: cron lines, time zones, daylight saving, and what was missed. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  type DueTimes,
  firstDue,
  readDueTimes,
} from '../../../src/titanic/machine/schedules/due-times.js';
import { zoneTimes } from '../../../src/titanic/machine/schedules/zone-times.js';

/** Bytes of the heap that something holds. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

function times(cron: string, timeZone = 'UTC'): DueTimes {
  const read = readDueTimes(cron, timeZone);
  if ('fault' in read) throw new Error(read.fault);
  return read;
}

function fault(cron: string, timeZone = 'UTC', now = '2026-11-22T07:00:00Z'): string {
  const read = readDueTimes(cron, timeZone);
  if ('fault' in read) return read.fault;
  const due = firstDue(read, Date.parse(now));
  return typeof due === 'number' ? '' : due.fault;
}

/** The due times after one moment, up to another. */
function due(cron: string, timeZone: string, after: string, until: string): string[] {
  const line = times(cron, timeZone);
  const found: string[] = [];
  for (let at = line.next(Date.parse(after)); at !== null; at = line.next(at)) {
    if (at > Date.parse(until)) break;
    found.push(new Date(at).toISOString().replace(/:00\.000Z$/, 'Z'));
  }
  return found;
}

function next(cron: string, after: string, timeZone = 'UTC'): string | null {
  const at = times(cron, timeZone).next(Date.parse(after));
  return at === null ? null : new Date(at).toISOString();
}

describe('a cron line', () => {
  it('has five fields, or six with seconds first, or seven with years last', () => {
    expect(next('30 2 * * *', '2026-11-22T07:00:00Z')).toBe('2026-11-23T02:30:00.000Z');
    expect(next('15 30 2 * * *', '2026-11-22T07:00:00Z')).toBe('2026-11-23T02:30:15.000Z');
    expect(next('0 0 0 1 1 * 2030', '2026-11-22T07:00:00Z')).toBe('2030-01-01T00:00:00.000Z');
  });

  it('may be a nickname, in any case', () => {
    const at = '2026-11-22T07:00:00Z';
    expect(next('@hourly', at)).toBe('2026-11-22T08:00:00.000Z');
    expect(next('@Daily', at)).toBe('2026-11-23T00:00:00.000Z');
    expect(next('@weekly', at)).toBe('2026-11-29T00:00:00.000Z');
    expect(next('@monthly', at)).toBe('2026-12-01T00:00:00.000Z');
    expect(next('@yearly', at)).toBe('2027-01-01T00:00:00.000Z');
  });

  it('takes names, lists, ranges, steps, the last day and the nth weekday', () => {
    const at = '2026-11-22T07:00:00Z';
    expect(next('0 9 * * MON-FRI', at)).toBe('2026-11-23T09:00:00.000Z');
    expect(next('*/20 9-10 * * *', '2026-11-22T09:40:00Z')).toBe('2026-11-22T10:00:00.000Z');
    expect(next('0 0 L * *', at)).toBe('2026-11-30T00:00:00.000Z');
    expect(next('0 0 * * MON#1', at)).toBe('2026-12-07T00:00:00.000Z');
    expect(next('0 0 29 2 *', at)).toBe('2028-02-29T00:00:00.000Z');
  });

  it('is due after a moment, never at it', () => {
    expect(next('0 7 * * *', '2026-11-22T07:00:00Z')).toBe('2026-11-23T07:00:00.000Z');
    expect(next('0 7 * * *', '2026-11-22T06:59:59.999Z')).toBe('2026-11-22T07:00:00.000Z');
  });

  it('that is none, never comes, or has come for the last time, is refused by its name', () => {
    expect(fault('60 * * * *')).toBe('cron: Invalid value for minute: 60');
    expect(fault('* * *')).toMatch(/^cron: it has 5 to 7 fields/);
    expect(fault('')).toMatch(/^cron: it has 5 to 7 fields/);
    expect(fault('2030-01-01T00:00:00')).toMatch(/^cron: it has 5 to 7 fields/);
    expect(fault('@reboot')).toMatch(/^cron: it has 5 to 7 fields/);
    expect(fault('a b c d e')).toMatch(/^cron: /);
    expect(fault('0 0 30 2 *')).toBe('cron: it never comes');
    expect(fault('0 0 0 30 2 * 2027-2199')).toBe('cron: it never comes');
    expect(fault('0 0 0 1 1 * 9999')).toMatch(/^cron: years are numbers up to 2199/);
    expect(fault('0 0 0 1 1 * */2')).toMatch(/^cron: years are numbers/);
    expect(fault('0 0 1W * *')).toBe('cron: W and + are not supported');
    expect(fault('0 0 1 * +0')).toBe('cron: W and + are not supported');
    expect(fault('0 0 0 1 1 * 2020')).toBe('cron: all its times are in the past');
  });

  it('needs a time zone that exists', () => {
    expect(fault('@daily', 'Europe/Atlantis')).toBe('timeZone: there is no such time zone');
    expect(fault('@daily', '')).toBe('timeZone: there is no such time zone');
    for (const zone of ['UTC', 'utc', 'Etc/UTC', 'Europe/Berlin', 'europe/berlin']) {
      expect(fault('@daily', zone)).toBe('');
    }
  });
});

describe('a line that was read', () => {
  it('takes little memory, and none once its schedule is gone', () => {
    const lines = (year: number): DueTimes[] =>
      Array.from({ length: 500 }, (_, n) => times(`${n % 60} ${n % 59} 3 * * * ${year}`));
    lines(2030);
    const before = usedBytes();
    const kept = lines(2031);
    expect((usedBytes() - before) / kept.length).toBeLessThan(3000);
    kept.length = 0;
    expect((usedBytes() - before) / 500).toBeLessThan(300);
  });
});

describe('daylight saving', () => {
  it('that skips a local time makes it due once, when clocks have been set forward', () => {
    // Berlin: 02:00 becomes 03:00 at 01:00 UTC on the 28th of March 2027.
    expect(
      due('30 2 * * *', 'Europe/Berlin', '2027-03-26T12:00:00Z', '2027-03-29T12:00:00Z'),
    ).toEqual(['2027-03-27T01:30Z', '2027-03-28T01:00Z', '2027-03-29T00:30Z']);
    // New York: 02:00 becomes 03:00 at 07:00 UTC on the 14th of March 2027.
    expect(
      due('15 2 * * *', 'America/New_York', '2027-03-13T12:00:00Z', '2027-03-15T12:00:00Z'),
    ).toEqual(['2027-03-14T07:00Z', '2027-03-15T06:15Z']);
    // Lord Howe: 02:00 becomes 02:30 at 15:30 UTC on the 3rd of October 2026.
    expect(
      due('10 2 * * *', 'Australia/Lord_Howe', '2026-10-02T00:00:00Z', '2026-10-05T00:00:00Z'),
    ).toEqual(['2026-10-02T15:40Z', '2026-10-03T15:30Z', '2026-10-04T15:10Z']);
  });

  it('that skips several local times makes them due once, together with the first after them', () => {
    expect(
      due('*/20 0-23 * * *', 'Europe/Berlin', '2027-03-28T00:20:00Z', '2027-03-28T01:40:00Z'),
    ).toEqual(['2027-03-28T00:40Z', '2027-03-28T01:00Z', '2027-03-28T01:20Z', '2027-03-28T01:40Z']);
    expect(
      due('10,50 2 * * *', 'Europe/Berlin', '2027-03-27T12:00:00Z', '2027-03-29T00:30:00Z'),
    ).toEqual(['2027-03-28T01:00Z', '2027-03-29T00:10Z']);
  });

  it('that doubles a local time makes it due once, the first time', () => {
    // Berlin: 03:00 becomes 02:00 at 01:00 UTC on the 25th of October 2026.
    expect(
      due('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z'),
    ).toEqual(['2026-10-25T00:30Z', '2026-10-26T01:30Z']);
    // New York: 02:00 becomes 01:00 at 06:00 UTC on the 1st of November 2026.
    expect(
      due('0 1 * * *', 'America/New_York', '2026-10-31T12:00:00Z', '2026-11-02T12:00:00Z'),
    ).toEqual(['2026-11-01T05:00Z', '2026-11-02T06:00Z']);
    // Lord Howe: 02:00 becomes 01:30 at 15:00 UTC on the 3rd of April 2027.
    expect(
      due('40 1 * * *', 'Australia/Lord_Howe', '2027-04-02T00:00:00Z', '2027-04-05T00:00:00Z'),
    ).toEqual(['2027-04-02T14:40Z', '2027-04-03T14:40Z', '2027-04-04T15:10Z']);
  });

  it('that doubles an hour of a line that names its hours makes each local time due once', () => {
    expect(
      due('*/30 0-23 * * *', 'Europe/Berlin', '2026-10-24T23:30:00Z', '2026-10-25T02:30:00Z'),
    ).toEqual(['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T02:00Z', '2026-10-25T02:30Z']);
  });

  it.each([
    ['*/30 * * * *', 1800, 'Europe/Berlin'],
    ['@hourly', 3600, 'America/New_York'],
    ['7 * * * *', 3600, 'Europe/Berlin'],
    ['15 */1 * * *', 3600, 'Europe/Berlin'],
    ['10 0,30 * * * *', 1800, 'Australia/Lord_Howe'],
    ['0 */10 ? * * ?', 600, 'Africa/Casablanca'],
  ])('does not change the time between two of %j: %i s, in a whole year', (cron, seconds, zone) => {
    const line = times(cron, zone);
    const gaps = new Set<number>();
    let at = line.next(Date.parse('2026-01-02T12:00:00Z')) ?? 0;
    for (let next = line.next(at); next !== null && next < at + 365 * 86_400_000;) {
      gaps.add((next - at) / 1000);
      if (next > Date.parse('2027-01-02T12:00:00Z')) break;
      at = next;
      next = line.next(at);
    }
    expect([...gaps]).toEqual([seconds]);
  });

  it('skips and doubles the times of a line for each second hour, as clocks show them', () => {
    expect(
      due('0 */2 * * *', 'Europe/Berlin', '2027-03-27T22:00:00Z', '2027-03-28T04:00:00Z'),
    ).toEqual(['2027-03-27T23:00Z', '2027-03-28T02:00Z', '2027-03-28T04:00Z']);
    expect(
      due('0 */2 * * *', 'Europe/Berlin', '2026-10-24T21:00:00Z', '2026-10-25T03:00:00Z'),
    ).toEqual(['2026-10-24T22:00Z', '2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T03:00Z']);
  });

  it('doubles the last hour of a day for a line of that day alone', () => {
    // Santiago: 24:00 of the 4th of April 2026 becomes 23:00.
    const line = due(
      '30 */23 4 4 *',
      'America/Santiago',
      '2026-04-04T12:00:00Z',
      '2027-04-01T00:00:00Z',
    );
    expect(line).toEqual(['2026-04-05T02:30Z', '2026-04-05T03:30Z']);
  });

  it('leaves one due time a day for every minute of the day, in a whole year', () => {
    for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) {
      for (const cron of ['30 2 * * *', '0 3 * * *', '59 1 * * *', '0 2 * * *', '45 1 * * *']) {
        const found = due(cron, zone, '2026-01-02T12:00:00Z', '2027-01-02T12:00:00Z');
        expect([zone, cron, found.length]).toEqual([zone, cron, 365]);
      }
    }
  });

  it('and a day that a country left out make its times due when the next one begins', () => {
    // Samoa went from the 29th to the 31st of December 2011.
    expect(
      due('0 12 * * *', 'Pacific/Apia', '2011-12-29T00:00:00Z', '2011-12-31T23:00:00Z'),
    ).toEqual(['2011-12-29T22:00Z', '2011-12-30T10:00Z', '2011-12-30T22:00Z', '2011-12-31T22:00Z']);
  });
});

describe('the latest local time that was shown', () => {
  it('is the end of a doubled hour while the hour is shown again', () => {
    const berlin = zoneTimes('Europe/Berlin');
    const latest = (utc: string): string =>
      new Date(berlin?.latestLocal(Date.parse(utc)) ?? 0).toISOString();
    expect(latest('2026-10-25T00:59:59.999Z')).toBe('2026-10-25T02:59:59.999Z');
    expect(latest('2026-10-25T01:30:00Z')).toBe('2026-10-25T02:59:59.999Z');
    expect(latest('2026-10-25T02:00:00Z')).toBe('2026-10-25T03:00:00.000Z');
    expect(latest('2027-03-28T01:00:00Z')).toBe('2027-03-28T03:00:00.000Z');
  });
});

describe('what was missed', () => {
  const latest = (cron: string, from: string, now: string, timeZone = 'UTC'): string =>
    new Date(times(cron, timeZone).latest(Date.parse(from), Date.parse(now))).toISOString();

  it('is made up by its last due time', () => {
    expect(latest('0 * * * *', '2026-11-22T07:00:00Z', '2026-11-22T07:00:00Z')).toBe(
      '2026-11-22T07:00:00.000Z',
    );
    expect(latest('0 * * * *', '2026-11-22T07:00:00Z', '2026-11-22T07:59:59Z')).toBe(
      '2026-11-22T07:00:00.000Z',
    );
    expect(latest('0 * * * *', '2026-11-01T07:00:00Z', '2026-11-22T12:34:56Z')).toBe(
      '2026-11-22T12:00:00.000Z',
    );
    expect(latest('* * * * * *', '2024-11-01T07:00:00Z', '2026-11-22T12:34:56.789Z')).toBe(
      '2026-11-22T12:34:56.000Z',
    );
    expect(latest('* * * 1 *', '2026-01-01T00:00:00Z', '2026-11-22T12:34:56.789Z')).toBe(
      '2026-01-31T23:59:00.000Z',
    );
    expect(latest('0 0 0 1 1 * 2026', '2026-01-01T00:00:00Z', '2026-11-22T00:00:00Z')).toBe(
      '2026-01-01T00:00:00.000Z',
    );
  });

  it('is found in any line, as by going through all its due times', () => {
    const lines = ['*/7 3 * * *', '0 0 1 * *', '@hourly', '0 12 * * MON', '5,55 1-3 * * *'];
    for (const [at, cron] of lines.entries()) {
      const line = times(cron, 'Europe/Berlin');
      const from = line.next(Date.parse('2026-09-30T00:00:00Z')) ?? 0;
      for (let day = 3; day < 60; day += 7) {
        const now = from + day * 86_400_000 + at * 1_234_567;
        let last = from;
        for (let each = line.next(last); each !== null && each <= now; each = line.next(each)) {
          last = each;
        }
        expect(line.latest(from, now)).toBe(last);
      }
    }
  });
});

describe('how often a line comes', () => {
  it.each([
    ['* * * * * *', 3600],
    ['0 * * * *', 1],
    ['*/5 * * * *', 12],
    ['0,30 1-10/3 * * * *', 8],
    ['@daily', 1],
  ])('%s: %i times in its busiest hour', (line, perHour) => {
    expect(times(line).perHour).toBe(perHour);
  });
});

describe('a name of a time zone', () => {
  it('is the same however it is written; an offset is one, too', () => {
    const after = '2026-01-01T00:00:00Z';
    for (const zone of ['Europe/Berlin', 'EUROPE/berlin', '+01:00', '+01', '+0100']) {
      expect([zone, next('0 12 * * *', after, zone)]).toEqual([zone, '2026-01-01T11:00:00.000Z']);
    }
    expect(next('0 12 * * *', after, '-05:30')).toBe('2026-01-01T17:30:00.000Z');
  });

  it('does not exist if only its lower case does', () => {
    // The Kelvin sign, whose lower case is a k.
    for (const zone of ['Asia/\u212aarachi', '+24:00', '+1', 'Europe/Nowhere']) {
      expect([zone, fault('0 12 * * *', zone)]).toEqual([
        zone,
        'timeZone: there is no such time zone',
      ]);
    }
  });
});
