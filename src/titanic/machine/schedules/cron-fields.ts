/**
 * The six fields of a cron line that name a time: what may stand in them, which numbers that names, and
 * which times of the day.
 */

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const SECOND_MS = 1000;
const HOUR_SECONDS = 3600;
const SIXTY = 60;
/** Stands among the days of the month for the last one, `L`. */
export const LAST_DAY = 32;
/** Weeks of the month in which a weekday counts: every one, or the last one. Bit 0 is the first week. */
const EVERY_WEEK = 0b11111;
export const LAST_WEEK = 0b100000;

/** By number: not 0 if the field names it. Weekdays, from Sunday: the weeks of the month in which they count. */
type Numbers = Uint8Array;

type FieldName = 'second' | 'minute' | 'hour' | 'day' | 'month' | 'weekday';

export interface CronFields extends Readonly<Record<FieldName, Numbers>> {
  /** All days count, or all weekdays: the other field alone says which. */
  readonly isAnyDay: boolean;
  readonly isAnyWeekday: boolean;
  /** The field of the hour begins with `*`, as in `*` and in a step through all hours. */
  readonly isThroughHours: boolean;
}

interface Field {
  readonly name: FieldName;
  readonly least: number;
  readonly greatest: number;
  /** How many different numbers there are; steps are not larger. */
  readonly size: number;
  /** Names of the numbers from `least` on. */
  readonly names: readonly string[];
  /** The forms of an item of its list, but for `*`. */
  readonly form: RegExp;
}

function field(name: FieldName, least: number, greatest: number, names: string[] = []): Field {
  const number = String.raw`\d+${names.map((each) => `|${each}`).join('')}`;
  // 0 would be no step.
  const step = String.raw`/(?<STEP>0*[1-9]\d*)`;
  // What follows a weekday: the nth or the last one of the month.
  const nth = name === 'weekday' ? '(?<nth>#(?:0*[1-5]|L)|L)?' : '';
  const range = `(?<from>${number})(?:-(?<to>${number})(?:${step.replace('STEP', 'step')})?)?`;
  const form = new RegExp(`^(?:${range}|\\*${step.replace('STEP', 'every')})${nth}$`, 'i');
  // Sunday is 0 and 7.
  const size = name === 'weekday' ? WEEKDAYS.length : greatest - least + 1;
  return { name, least, greatest, size, names, form };
}

/** The fields in the order of a line with seconds. */
const FIELDS = [
  field('second', 0, 59),
  field('minute', 0, 59),
  field('hour', 0, 23),
  field('day', 1, 31),
  field('month', 1, 12, MONTHS),
  field('weekday', 0, 7, WEEKDAYS),
];

/** @param texts six fields @returns a text that says what is wrong, if something is */
export function readFields(texts: readonly string[]): CronFields | string {
  const read = {} as Record<FieldName, Numbers>;
  for (const [at, each] of FIELDS.entries()) {
    const numbers = new Uint8Array(SIXTY);
    for (const item of (texts[at] ?? '').replaceAll('?', '*').split(',')) {
      const fault = readItem(item, each, numbers);
      if (fault !== null) return fault;
    }
    read[each.name] = numbers;
  }
  const isAnyDay = /^(?:L,)*[*?](?:,L)*$/i.test(texts[3] ?? '');
  const isAnyWeekday = /^[*?]$/.test(texts[5] ?? '');
  const isThroughHours = /^[*?]/.test(texts[2] ?? '');
  return { ...read, isAnyDay, isAnyWeekday, isThroughHours };
}

/** @returns what is wrong with it; `null`: nothing, and `numbers` has what it names */
function readItem(item: string, of: Field, numbers: Numbers): string | null {
  const { name, least, greatest, size, form } = of;
  if (name === 'day' && item.toUpperCase() === 'L') {
    numbers[LAST_DAY] = 1;
    return null;
  }
  const groups = item === '*' ? {} : form.exec(item)?.groups;
  if (groups === undefined) {
    return `${name} is not *, a number, a range, a step, or a list of these`;
  }
  const { from, to, nth } = groups;
  const step = Number(groups['step'] ?? groups['every'] ?? 1);
  if (step > size) return `Invalid step for ${name}: ${step}`;
  const first = from === undefined ? least : numberOf(from, of, false);
  const alone = from === undefined ? least + size - 1 : first;
  const last = to === undefined ? alone : numberOf(to, of, true);
  if (first > last) return `a range of ${name} begins after its end`;
  for (let number = first; number <= last; number += step) {
    if (number < least || number > greatest) return `Invalid value for ${name}: ${number}`;
    const index = number % (least + size);
    numbers[index] = (numbers[index] ?? 0) | weeksOf(nth);
  }
  return null;
}

/** @param isEnd of a range, which may end with Sunday: that is 7 then */
function numberOf(text: string, { names, least }: Field, isEnd: boolean): number {
  const at = names.indexOf(text.toUpperCase());
  if (at < 0) return Number(text);
  return isEnd && names === WEEKDAYS && at === 0 ? WEEKDAYS.length : least + at;
}

function weeksOf(nth: string | undefined): number {
  if (nth === undefined) return EVERY_WEEK;
  return nth.toUpperCase().endsWith('L') ? LAST_WEEK : 1 << (Number(nth.slice(1)) - 1);
}

/** The first number that is not below `least`; -1: there is none. */
function from(numbers: Numbers, least: number): number {
  for (let number = least; number < numbers.length; number++) {
    if (numbers[number] !== 0) return number;
  }
  return -1;
}

/** How many there are in an hour that the line names. */
export function timesPerHour({ second, minute }: CronFields): number {
  const count = (numbers: Numbers): number => numbers.filter((named) => named !== 0).length;
  return count(second) * count(minute);
}

/** The first one that is not before `least`; `null`: there is none. Both in ms of the day. */
export function timeFrom(fields: CronFields, least: number): number | null {
  const whole = Math.ceil(least / SECOND_MS);
  const firstHour = Math.floor(whole / HOUR_SECONDS);
  const firstMinute = Math.floor(whole / SIXTY) % SIXTY;
  for (let hour = from(fields.hour, firstHour); hour >= 0; hour = from(fields.hour, hour + 1)) {
    const isFirst = hour === firstHour;
    let minute = from(fields.minute, isFirst ? firstMinute : 0);
    for (; minute >= 0; minute = from(fields.minute, minute + 1)) {
      const second = from(fields.second, isFirst && minute === firstMinute ? whole % SIXTY : 0);
      if (second >= 0) return (hour * HOUR_SECONDS + minute * SIXTY + second) * SECOND_MS;
    }
  }
  return null;
}
