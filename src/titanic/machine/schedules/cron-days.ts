/**
 * The days that a cron line names. Anybody may send a line that never comes, so the search makes at most
 * a step for each month.
 */
import { type CronFields, LAST_DAY, LAST_WEEK } from './cron-fields.js';

const DAY_MS = 86_400_000;
/** A line that does not come within so many years never comes. */
const HORIZON_YEARS = 100;
const MONTHS = 12;
const WEEKDAYS = 7;
const DAYS_MIN = 28;
const DAYS_MAX = 31;
/** The 1st of January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const FEBRUARY = 1;

/** First and last year. */
export type YearRange = readonly [from: number, to: number];

export class CronDays {
  readonly #fields: CronFields;
  /** First and last ones; `null`: every year. */
  readonly #years: readonly YearRange[] | null;
  /** The days of a month of that length that begins on that weekday; `-1`: not known yet. */
  readonly #ofMonth = new Int32Array((DAYS_MAX - DAYS_MIN + 1) * WEEKDAYS).fill(-1);

  constructor(fields: CronFields, years: readonly YearRange[] | null) {
    this.#fields = fields;
    this.#years = years;
  }

  /**
   * The first of its days that is not before this one; `null`: there is none in the next hundred
   * years. Both are days since 1970.
   */
  from(day: number): number | null {
    const date = new Date(day * DAY_MS);
    let year = date.getUTCFullYear();
    let month = date.getUTCMonth();
    /** Days of the month that are over. */
    let over = date.getUTCDate() - 1;
    let first = day - over;
    for (const last = this.#lastYear(year); year <= last; year++) {
      const isYear = this.#hasYear(year);
      for (; month < MONTHS; month++) {
        const length = lengthOf(year, month);
        const isNamed = isYear && this.#fields.month[month + 1] !== 0;
        const days = isNamed ? this.#daysOf(length, first) : 0;
        const left = (days >> over) << over;
        if (left !== 0) return first + 31 - Math.clz32(left & -left);
        first += length;
        over = 0;
      }
      month = 0;
    }
    return null;
  }

  #lastYear(year: number): number {
    if (this.#years === null) return year + HORIZON_YEARS;
    return Math.max(...this.#years.map(([, to]) => to));
  }

  #hasYear(year: number): boolean {
    return this.#years?.some(([from, to]) => from <= year && year <= to) ?? true;
  }

  /** @param first day of the month */
  #daysOf(length: number, first: number): number {
    const weekday = (((first + FIRST_WEEKDAY) % WEEKDAYS) + WEEKDAYS) % WEEKDAYS;
    const at = (length - DAYS_MIN) * WEEKDAYS + weekday;
    const known = this.#ofMonth[at] ?? -1;
    if (known >= 0) return known;
    const days = this.#monthOf(length, weekday);
    this.#ofMonth[at] = days;
    return days;
  }

  /** If both kinds of days are given, either makes the day. */
  #monthOf(length: number, weekday: number): number {
    const { isAnyDay, isAnyWeekday, ...fields } = this.#fields;
    let named = 0;
    for (let day = 0; day < length; day++) {
      const isLastDay = day === length - 1 && fields.day[LAST_DAY] !== 0;
      const isDay = isLastDay || fields.day[day + 1] !== 0;
      const isLast = day + WEEKDAYS >= length;
      const week = (1 << Math.floor(day / WEEKDAYS)) | (isLast ? LAST_WEEK : 0);
      const isWeekday = ((fields.weekday[(weekday + day) % WEEKDAYS] ?? 0) & week) !== 0;
      const isEither = !isAnyDay && !isAnyWeekday && (isDay || isWeekday);
      if (isEither || (isDay && isWeekday)) named |= 1 << day;
    }
    return named;
  }
}

function lengthOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === FEBRUARY && isLeap ? 29 : (MONTH_DAYS[month] ?? 0);
}
