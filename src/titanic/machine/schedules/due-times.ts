/**
 * When a schedule is due: a cron line in a time zone (docs/durable.md). The line names local times.
 * One that daylight saving skips counts when the clocks have been set forward, together with all
 * others that are skipped; one that comes twice counts the first time. As in cron, that is not so for a line through
 * all hours: what is skipped does not count, and what comes twice counts twice.
 */
import { CronDays, type YearRange } from './cron-days.js';
import { type CronFields, readFields, timeFrom, timesPerHour } from './cron-fields.js';
import { type ZoneTimes, zoneTimes } from './zone-times.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How far one has to search in a line that names years. */
const YEAR_MAX = 2199;
/** Each step back in the search for the latest due time is this many times the last one. */
const STEP_GROWTH = 8;

/** All in milliseconds since 1970. */
export interface DueTimes {
  /** The line names years, so that it may have come for the last time. */
  readonly hasYears: boolean;
  /** How often it comes in its busiest hour. */
  readonly perHour: number;
  /** The first due time after that; `null`: there is none in the next hundred years. */
  next(after: number): number | null;
  /** The last due time up to `now`. @param due a due time up to `now` */
  latest(due: number, now: number): number;
}

/** What is wrong with a cron line or a time zone, with its name first. */
export interface DueFault {
  readonly fault: string;
}

const NICKNAMES: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);
const YEARS = /^\d{4}(-\d{4})?(,\d{4}(-\d{4})?)*$/;
/** Other programs know these: `W` is the nearest weekday, `+` joins days and weekdays. */
const UNSUPPORTED = /[w+]/i;

export function readDueTimes(cron: string, timeZone: string): DueTimes | DueFault {
  const zone = zoneTimes(timeZone);
  if (zone === null) return { fault: 'timeZone: there is no such time zone' };
  return readLine(cron.trim(), zone);
}

function readLine(line: string, zone: ZoneTimes): DueTimes | DueFault {
  const fields = (NICKNAMES.get(line.toLowerCase()) ?? line).split(/\s+/);
  if (fields.length < 5 || fields.length > 7) {
    return {
      fault: 'cron: it has 5 to 7 fields, or is @hourly, @daily, @weekly, @monthly, @yearly',
    };
  }
  const [days = '', , weekdays = '', years] = fields.slice(fields.length === 5 ? 2 : 3);
  if (UNSUPPORTED.test(days) || weekdays.includes('+')) {
    return { fault: 'cron: W and + are not supported' };
  }
  const named = years === undefined || years === '*' ? null : yearsOf(years);
  if (named?.length === 0) {
    return { fault: `cron: years are numbers up to ${YEAR_MAX}, as in 2027 or 2027-2030` };
  }
  const six = [...(fields.length === 5 ? ['0'] : []), ...fields].slice(0, 6);
  const read = readFields(six);
  return typeof read === 'string' ? { fault: `cron: ${read}` } : new LineTimes(read, named, zone);
}

/** The ranges in a field of years; empty: it is no list of years. */
function yearsOf(field: string): readonly YearRange[] {
  if (!YEARS.test(field)) return [];
  const ranges = field.split(',').map((item): YearRange => {
    const [from = '', to = from] = item.split('-');
    return [Number(from), Number(to)];
  });
  return ranges.every(([from, to]) => 1 <= from && from <= to && to <= YEAR_MAX) ? ranges : [];
}

/** The first due time after `now`, or why there is none. */
export function firstDue(times: DueTimes | DueFault, now: number): number | DueFault {
  if ('fault' in times) return times;
  const due = times.next(now);
  if (due !== null) return due;
  const isPast = times.hasYears && times.next(0) !== null;
  return { fault: isPast ? 'cron: all its times are in the past' : 'cron: it never comes' };
}

class LineTimes implements DueTimes {
  readonly hasYears: boolean;
  readonly perHour: number;
  readonly #days: CronDays;
  readonly #fields: CronFields;
  readonly #zone: ZoneTimes;

  /** @param years `null`: all */
  constructor(fields: CronFields, years: readonly YearRange[] | null, zone: ZoneTimes) {
    this.#days = new CronDays(fields, years);
    this.#fields = fields;
    this.#zone = zone;
    this.hasYears = years !== null;
    this.perHour = timesPerHour(fields);
  }

  next(after: number): number | null {
    return this.#fields.isThroughHours ? this.#nextShown(after) : this.#nextNamed(after);
  }

  /** Whenever a clock shows a local time of the line. */
  #nextShown(after: number): number | null {
    for (let from = after + 1; ;) {
      const { offset, until, isChange } = this.#zone.spellAt(from);
      const local = this.#nextLocal(from + offset - 1);
      if (local === null) return null;
      const due = local - offset;
      if (due < until) return due;
      // On the way to a far one, no clock shows another: at most the offset is another there.
      from = isChange ? until : Math.max(until, due - DAY_MS);
    }
  }

  #nextNamed(after: number): number | null {
    let local = this.#zone.latestLocal(after);
    for (;;) {
      const next = this.#nextLocal(local);
      if (next === null) return null;
      const due = this.#zone.firstUtc(next);
      if (due > after) return due;
      local = next;
    }
  }

  /** The first local time after this one. */
  #nextLocal(local: number): number | null {
    const today = Math.floor(local / DAY_MS);
    let day = this.#days.from(today);
    if (day === today) {
      const next = timeFrom(this.#fields, Math.floor(local) + 1 - today * DAY_MS);
      if (next !== null) return today * DAY_MS + next;
      day = this.#days.from(today + 1);
    }
    return day === null ? null : day * DAY_MS + (timeFrom(this.#fields, 0) ?? 0);
  }

  latest(due: number, now: number): number {
    if (this.#isLast(due, now)) return due;
    // Nothing is due between `last` and `now`; something is between `first` and `now`.
    let last = now;
    let first = now;
    for (let step = MINUTE_MS; this.#isLast(first, now); step *= STEP_GROWTH) {
      last = first;
      first = Math.max(due, now - step);
    }
    while (last - first > SECOND_MS) {
      const middle = Math.floor((first + last) / 2);
      if (this.#isLast(middle, now)) last = middle;
      else first = middle;
    }
    return this.next(first) ?? due;
  }

  /** Nothing is due after `time`, up to `now`. */
  #isLast(time: number, now: number): boolean {
    const next = this.next(time);
    return next === null || next > now;
  }
}
