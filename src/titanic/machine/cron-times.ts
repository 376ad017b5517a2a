/** The times of the day that a cron line names. */
import type { CronFields, Numbers } from './cron-fields.js';

const SECOND_MS = 1000;
const HOUR_SECONDS = 3600;
const MINUTE_SECONDS = 60;
const SIXTY = 60;

/** The first number that is not below `least`; -1: there is none. */
function from(numbers: Numbers, least: number): number {
  for (let number = least; number < numbers.length; number++) {
    if (numbers[number] !== 0) return number;
  }
  return -1;
}

function countOf(numbers: Numbers): number {
  return numbers.reduce((count, named) => count + Math.min(named, 1), 0);
}

export class CronTimes {
  readonly #seconds: Numbers;
  readonly #minutes: Numbers;
  readonly #hours: Numbers;

  constructor({ seconds, minutes, hours }: CronFields) {
    this.#seconds = seconds;
    this.#minutes = minutes;
    this.#hours = hours;
  }

  /** How many there are in an hour that the line names. */
  get perHour(): number {
    return countOf(this.#seconds) * countOf(this.#minutes);
  }

  /** The first one that is not before `least`; `null`: there is none. Both in ms of the day. */
  from(least: number): number | null {
    const whole = Math.ceil(least / SECOND_MS);
    const firstHour = Math.floor(whole / HOUR_SECONDS);
    const firstMinute = Math.floor(whole / MINUTE_SECONDS) % SIXTY;
    let hour = from(this.#hours, firstHour);
    for (; hour >= 0; hour = from(this.#hours, hour + 1)) {
      const isFirst = hour === firstHour;
      let minute = from(this.#minutes, isFirst ? firstMinute : 0);
      for (; minute >= 0; minute = from(this.#minutes, minute + 1)) {
        const isFirstMinute = isFirst && minute === firstMinute;
        const second = from(this.#seconds, isFirstMinute ? whole % MINUTE_SECONDS : 0);
        if (second >= 0) return timeOf(hour, minute, second);
      }
    }
    return null;
  }
}

function timeOf(hour: number, minute: number, second: number): number {
  return (hour * HOUR_SECONDS + minute * MINUTE_SECONDS + second) * SECOND_MS;
}
