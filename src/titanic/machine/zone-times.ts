/** Local times of a time zone: which instant a clock on the wall shows when. */
import { OldestFirst } from '../../core/oldest-first.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** No change of an offset is larger; changes are further apart. */
const REACH_MS = 26 * HOUR_MS;
/** Formatters are large, and people use few zones. */
const FORMATTERS_MAX = 64;

/**
 * Local times are written as if they were UTC: 02:30 on the 1st of May is `Date.UTC(…, 4, 1, 2, 30)`.
 * Both kinds are milliseconds since 1970.
 */
export interface ZoneTimes {
  /**
   * The latest local time that was shown up to then; in a doubled hour, its end. All local times up to
   * it have been shown, so a search for the next one begins there.
   */
  latestLocal(utc: number): number;
  /**
   * When a local time is shown: the first time if it is shown twice. If it is never shown, because
   * clocks are set forward over it: when that happens.
   */
  firstUtc(local: number): number;
}

const UTC: ZoneTimes = { latestLocal: (utc) => utc, firstUtc: (local) => local };

const formatters = new OldestFirst<string, Intl.DateTimeFormat>();

/** `null`: there is no such time zone. */
export function zoneTimes(timeZone: string): ZoneTimes | null {
  if (/^(etc\/)?(utc|gmt)$/i.test(timeZone)) return UTC;
  const formatter = formatterOf(timeZone);
  if (formatter === null) return null;
  return new Zone((utc) => offsetOf(formatter, utc));
}

function formatterOf(timeZone: string): Intl.DateTimeFormat | null {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  let formatter: Intl.DateTimeFormat;
  try {
    const numeric = 'numeric';
    formatter = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, calendar: 'iso8601', hourCycle: 'h23' },
      ...{ year: numeric, month: numeric, day: numeric },
      ...{ hour: numeric, minute: numeric, second: numeric },
    });
  } catch {
    return null;
  }
  if (formatters.size >= FORMATTERS_MAX) formatters.shift();
  formatters.set(timeZone, formatter);
  return formatter;
}

/** How far local time is ahead of UTC at an instant. */
function offsetOf(formatter: Intl.DateTimeFormat, utc: number): number {
  const shown = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
  for (const { type, value } of formatter.formatToParts(utc)) {
    if (Object.hasOwn(shown, type)) shown[type as keyof typeof shown] = Number(value);
  }
  const { year, month, day, hour, minute, second } = shown;
  const wholeSecond = Math.floor(utc / 1000) * 1000;
  return Date.UTC(year, month - 1, day, hour, minute, second) - wholeSecond;
}

class Zone implements ZoneTimes {
  readonly #offset: (utc: number) => number;

  constructor(offset: (utc: number) => number) {
    this.#offset = offset;
  }

  latestLocal(utc: number): number {
    const offset = this.#offset(utc);
    const local = utc + offset;
    const before = this.#offset(utc - REACH_MS);
    if (before <= offset) return local;
    // Clocks were set back lately.
    const at = this.#changeIn(utc - REACH_MS, utc);
    return Math.max(local, at + before - 1);
  }

  firstUtc(local: number): number {
    const before = this.#offset(local - DAY_MS);
    const after = this.#offset(local + DAY_MS);
    const early = local - Math.max(before, after);
    const late = local - Math.min(before, after);
    if (early + this.#offset(early) === local) return early;
    if (late + this.#offset(late) === local) return late;
    return this.#changeIn(early, late);
  }

  /** The first instant with the offset of `to`, to the second. */
  #changeIn(from: number, to: number): number {
    const offset = this.#offset(to);
    let before = Math.floor(from / 1000);
    let after = Math.ceil(to / 1000);
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.#offset(middle * 1000) === offset) after = middle;
      else before = middle;
    }
    return after * 1000;
  }
}
