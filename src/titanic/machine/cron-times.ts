/** The times of the day that a cron line names. */
import { numbersOf } from './cron-days.js';

const SECOND_MS = 1000;
const HOUR_SECONDS = 3600;
const MINUTE_SECONDS = 60;
const HOURS = 24;
const SIXTY = 60;
const WORD_BITS = 32;

/** Fields of a line, which have no fault (`faultOf`). */
export interface TimeFields {
  readonly seconds: string;
  readonly minutes: string;
  readonly hours: string;
}

/** Some of the numbers from 0 to 59. */
class Numbers {
  #low = 0;
  #high = 0;

  /** @param size the numbers of the field are below it */
  constructor(field: string, size: number) {
    for (const item of field.replaceAll('?', '*').split(',')) {
      for (const number of numbersOf(item, 0, size)) this.#add(number);
    }
  }

  #add(number: number): void {
    if (number < WORD_BITS) this.#low |= 1 << number;
    else this.#high |= 1 << (number - WORD_BITS);
  }

  #has(number: number): boolean {
    const bits = number < WORD_BITS ? this.#low >>> number : this.#high >>> (number - WORD_BITS);
    return (bits & 1) !== 0;
  }

  /** The first one that is not below `least`; -1: there is none. */
  from(least: number): number {
    for (let number = least; number < SIXTY; number++) {
      if (this.#has(number)) return number;
    }
    return -1;
  }

  get count(): number {
    let count = 0;
    for (let number = this.from(0); number >= 0; number = this.from(number + 1)) count++;
    return count;
  }
}

export class CronTimes {
  readonly #seconds: Numbers;
  readonly #minutes: Numbers;
  readonly #hours: Numbers;

  constructor({ seconds, minutes, hours }: TimeFields) {
    this.#seconds = new Numbers(seconds, SIXTY);
    this.#minutes = new Numbers(minutes, SIXTY);
    this.#hours = new Numbers(hours, HOURS);
  }

  /** How many there are in an hour that the line names. */
  get perHour(): number {
    return this.#seconds.count * this.#minutes.count;
  }

  /** The first one that is not before `least`; `null`: there is none. Both in ms of the day. */
  from(least: number): number | null {
    const whole = Math.ceil(least / SECOND_MS);
    const firstHour = Math.floor(whole / HOUR_SECONDS);
    const firstMinute = Math.floor(whole / MINUTE_SECONDS) % SIXTY;
    for (let hour = this.#hours.from(firstHour); hour >= 0; hour = this.#hours.from(hour + 1)) {
      const isFirst = hour === firstHour;
      let minute = this.#minutes.from(isFirst ? firstMinute : 0);
      for (; minute >= 0; minute = this.#minutes.from(minute + 1)) {
        const isFirstMinute = isFirst && minute === firstMinute;
        const second = this.#seconds.from(isFirstMinute ? whole % MINUTE_SECONDS : 0);
        if (second >= 0) return timeOf(hour, minute, second);
      }
    }
    return null;
  }
}

function timeOf(hour: number, minute: number, second: number): number {
  return (hour * HOUR_SECONDS + minute * MINUTE_SECONDS + second) * SECOND_MS;
}
