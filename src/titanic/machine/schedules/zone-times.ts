/** Local times of a time zone: which instant a clock on the wall shows when. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** No change of an offset is larger; changes are further apart. */
const REACH_MS = 26 * HOUR_MS;
/** The offsets of so many minutes are remembered for each zone. */
const MINUTES_MAX = 1024;

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
  spellAt(utc: number): Spell;
}

/** The offset of local time from an instant on. */
interface Spell {
  readonly offset: number;
  /** Before then it does not change. */
  readonly until: number;
  /** Whether it changes then. */
  readonly isChange: boolean;
}

const UTC = withOffset(0);

/** An offset as the name of a zone. */
const FIXED = /^[+-]([01]\d|2[0-3])(:?[0-5]\d)?$/;

/**
 * By name in lower case, and by the name of the zone that it is another name of. There are some 600
 * names, so this has an end, whatever clients write: formatters are large, and garbage of them is
 * collected late.
 */
const zones = new Map<string, ZoneTimes>();

/** `null`: there is no such time zone. */
export function zoneTimes(timeZone: string): ZoneTimes | null {
  if (/^(etc\/)?(utc|gmt)$/i.test(timeZone)) return UTC;
  if (FIXED.test(timeZone)) return fixed(timeZone);
  // (The lower case of some other characters is a letter of ASCII, too.)
  if (!/^[!-~]+$/.test(timeZone)) return null;
  const name = timeZone.toLowerCase();
  const known = zones.get(name);
  if (known !== undefined) return known;
  const formatter = formatterOf(timeZone);
  if (formatter === null) return null;
  const canonical = formatter.resolvedOptions().timeZone.toLowerCase();
  const zone = zones.get(canonical) ?? new Zone((utc) => offsetOf(formatter, utc));
  zones.set(canonical, zone).set(name, zone);
  return zone;
}

function fixed(timeZone: string): ZoneTimes {
  const hours = Number(timeZone.slice(1, 3));
  const minutes = Number(timeZone.slice(3).replace(':', ''));
  const sign = timeZone.startsWith('-') ? -1 : 1;
  const offset = sign * (hours * HOUR_MS + minutes * MINUTE_MS);
  return withOffset(offset);
}

function withOffset(offset: number): ZoneTimes {
  const spell = { offset, until: Infinity, isChange: false };
  return {
    latestLocal: (utc) => utc + offset,
    firstUtc: (local) => local - offset,
    spellAt: () => spell,
  };
}

function formatterOf(timeZone: string): Intl.DateTimeFormat | null {
  const numeric = 'numeric';
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
    });
  } catch {
    return null;
  }
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
  readonly #offsetAt: (utc: number) => number;
  /** By the start of the minute: schedules of a second ask for the same ones again and again. */
  readonly #offsets = new Map<number, number>();

  constructor(offsetAt: (utc: number) => number) {
    this.#offsetAt = offsetAt;
  }

  /** (Since 1972 all offsets have changed at whole minutes.) */
  #offset(utc: number): number {
    const minute = Math.floor(utc / MINUTE_MS) * MINUTE_MS;
    let offset = this.#offsets.get(minute);
    if (offset !== undefined) return offset;
    offset = this.#offsetAt(minute);
    if (this.#offsets.size >= MINUTES_MAX) this.#offsets.clear();
    this.#offsets.set(minute, offset);
    return offset;
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

  spellAt(utc: number): Spell {
    const offset = this.#offset(utc);
    const until = utc + REACH_MS;
    if (this.#offset(until) === offset) return { offset, until, isChange: false };
    return { offset, until: this.#changeIn(utc, until), isChange: true };
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

  /** The first instant with the offset of `to`, to the minute. */
  #changeIn(from: number, to: number): number {
    const offset = this.#offset(to);
    let before = Math.floor(from / MINUTE_MS);
    let after = Math.floor(to / MINUTE_MS);
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.#offset(middle * MINUTE_MS) === offset) after = middle;
      else before = middle;
    }
    return after * MINUTE_MS;
  }
}
