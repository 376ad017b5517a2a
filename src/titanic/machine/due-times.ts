/**
 * When a schedule is due: a cron line in a time zone (docs/durable.md). The line names local times.
 * One that daylight saving skips counts when the clocks have been set forward, together with all
 * others that are skipped; one that comes twice counts the first time.
 */
import { Cron } from 'croner';

import { messageOf } from '../../core/errors.js';
import { oneLine } from '../../core/escape.js';
import { type ZoneTimes, zoneTimes } from './zone-times.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
/** A line that does not come within this time never comes. */
const HORIZON_MS = 100 * 365 * 86_400 * SECOND_MS;
/** Each step back in the search for the latest due time is this many times the last one. */
const STEP_GROWTH = 8;

/** All in milliseconds since 1970. */
export interface DueTimes {
  /** The line names years, so that it may have come for the last time. */
  readonly hasYears: boolean;
  /** The first due time after that; `null`: there is none in the next hundred years. */
  next(after: number): number | null;
  /** The last due time up to `now`. @param due a due time up to `now` */
  latest(due: number, now: number): number;
}

/** What is wrong with a cron line or a time zone, with its name first. */
export interface DueFault {
  readonly fault: string;
}

const NICKNAMES = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/i;

export function readDueTimes(cron: string, timeZone: string): DueTimes | DueFault {
  const zone = zoneTimes(timeZone);
  if (zone === null) return { fault: 'timeZone: there is no such time zone' };
  const line = cron.trim();
  const fields = line.split(/\s+/).length;
  // The parser takes dates, too.
  if (!NICKNAMES.test(line) && (fields < 5 || fields > 7)) {
    return {
      fault: 'cron: it has 5 to 7 fields, or is @hourly, @daily, @weekly, @monthly, @yearly',
    };
  }
  try {
    return new LineTimes(new Cron(line, { paused: true, timezone: 'UTC' }), zone, fields === 7);
  } catch (error) {
    return { fault: `cron: ${causeOf(error)}` };
  }
}

/** The first due time after `now`, or why there is none. */
export function firstDue(times: DueTimes, now: number): number | DueFault {
  const due = times.next(now);
  if (due !== null) return due;
  const isPast = times.hasYears && times.next(0) !== null;
  return { fault: isPast ? 'cron: all its times are in the past' : 'cron: it never comes' };
}

class LineTimes implements DueTimes {
  readonly hasYears: boolean;
  /** It works on local times, which are written as UTC. */
  readonly #line: Cron;
  readonly #zone: ZoneTimes;

  constructor(line: Cron, zone: ZoneTimes, hasYears: boolean) {
    this.#line = line;
    this.#zone = zone;
    this.hasYears = hasYears;
  }

  next(after: number): number | null {
    let local = this.#zone.latestLocal(after);
    for (;;) {
      const next = this.#line.nextRun(new Date(local))?.getTime() ?? Infinity;
      if (next > after + HORIZON_MS) return null;
      const due = this.#zone.firstUtc(next);
      if (due > after) return due;
      local = next;
    }
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

function causeOf(error: unknown): string {
  return oneLine(
    messageOf(error)
      .replace(/^CronPattern: /, '')
      .replace(/ \('.*'\)/, ''),
  );
}
