/**
 * The days that a cron line names. Anybody may send a line that never comes, so the search makes at most
 * a step for each month.
 */

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
export const MONTH_NAMES = /JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC/g;
export const WEEKDAY_NAMES = /SUN|MON|TUE|WED|THU|FRI|SAT/g;
const MONTH_LIST = MONTH_NAMES.source.split('|');
const WEEKDAY_LIST = WEEKDAY_NAMES.source.split('|');
/** Of a weekday: in every week of the month; in the last one. Bit 0 is the first week. */
const EVERY_WEEK = 0b11111;
const LAST_WEEK = 0b100000;

/** First and last year. */
export type YearRange = readonly [from: number, to: number];

/** Fields of a line, which have no fault (`faultOf`). */
export interface DayFields {
  readonly days: string;
  readonly months: string;
  readonly weekdays: string;
  /** `null`: every year. */
  readonly years: readonly YearRange[] | null;
}

export class CronDays {
  /** Bit 0 is the first day of the month, and the first month. */
  readonly #days: number;
  readonly #months: number;
  readonly #hasLastDay: boolean;
  readonly #isAnyDay: boolean;
  /** By weekday, from Sunday: the weeks in which it counts. `null`: every day. */
  readonly #weeks: readonly number[] | null;
  readonly #years: readonly YearRange[] | null;
  /** The days of a month of that length that begins on that weekday; `-1`: not known yet. */
  readonly #ofMonth = new Int32Array((DAYS_MAX - DAYS_MIN + 1) * WEEKDAYS).fill(-1);

  constructor({ days, months, weekdays, years }: DayFields) {
    const items = days.replaceAll('?', '*').toUpperCase().split(',');
    const numbers = items.filter((item) => item !== 'L');
    this.#hasLastDay = numbers.length < items.length;
    this.#isAnyDay = numbers.join() === '*';
    this.#days = bitsOf(numbers, 1, DAYS_MAX);
    this.#months = bitsOf(monthNumbers(months).split(','), 1, MONTHS);
    this.#weeks = weeksOf(weekdayNumbers(weekdays));
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
      const months = this.#hasYear(year) ? this.#months : 0;
      for (; month < MONTHS; month++) {
        const length = lengthOf(year, month);
        const days = (months & (1 << month)) === 0 ? 0 : this.#daysOf(length, first);
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
    const lastDay = this.#hasLastDay ? 1 << (length - 1) : 0;
    const byDay = (this.#days | lastDay) & (2 ** length - 1);
    if (this.#weeks === null) return byDay;
    let byWeekday = 0;
    for (let day = 0; day < length; day++) {
      const weeks = this.#weeks[(weekday + day) % WEEKDAYS] ?? 0;
      const isLast = day + WEEKDAYS >= length;
      const week = (1 << Math.floor(day / WEEKDAYS)) | (isLast ? LAST_WEEK : 0);
      if ((weeks & week) !== 0) byWeekday |= 1 << day;
    }
    return this.#isAnyDay ? byDay & byWeekday : byDay | byWeekday;
  }
}

function lengthOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === FEBRUARY && isLeap ? 29 : (MONTH_DAYS[month] ?? 0);
}

/** The field of months with numbers in place of names. */
export function monthNumbers(field: string): string {
  const named = field.replaceAll('?', '*').toUpperCase();
  return named.replace(MONTH_NAMES, (name) => String(MONTH_LIST.indexOf(name) + 1));
}

/** The field of weekdays with numbers in place of names. */
export function weekdayNumbers(field: string): string {
  const named = field.replaceAll('?', '*').toUpperCase();
  // A range may end with Sunday, which is 7 then.
  return named
    .replaceAll('-SUN', '-7')
    .replace(WEEKDAY_NAMES, (name) => String(WEEKDAY_LIST.indexOf(name)));
}

/** @param least the number that bit 0 stands for */
function bitsOf(items: readonly string[], least: number, size: number): number {
  let bits = 0;
  for (const item of items) {
    for (const number of numbersOf(item, least, size)) bits |= 1 << (number - least);
  }
  return bits;
}

/** All numbers of `*`, a number, a range, or one of these with a step. */
export function* numbersOf(item: string, least: number, size: number): Iterable<number> {
  const [range = '', step = '1'] = item.split('/');
  const [from = '', to = from] = range.split('-');
  const first = range === '*' ? least : Number(from);
  const last = range === '*' ? least + size - 1 : Number(to);
  for (let number = first; number <= last; number += Number(step)) yield number;
}

function weeksOf(field: string): readonly number[] | null {
  if (field === '*') return null;
  const weeks = Array<number>(WEEKDAYS).fill(0);
  for (const item of field.split(',')) {
    const [numbers = ''] = /^[^#L]*/.exec(item) ?? [];
    const nth = item.slice(numbers.length).replace(/^#/, '');
    const bits = nth === '' ? EVERY_WEEK : nth === 'L' ? LAST_WEEK : 1 << (Number(nth) - 1);
    for (const number of numbersOf(numbers, 0, WEEKDAYS)) {
      const weekday = number % WEEKDAYS;
      weeks[weekday] = (weeks[weekday] ?? 0) | bits;
    }
  }
  return weeks;
}
