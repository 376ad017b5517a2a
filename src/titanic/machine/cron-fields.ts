/** What may stand in the fields of a cron line. */
import {
  MONTH_NAMES,
  monthNumbers,
  numbersOf,
  WEEKDAY_NAMES,
  weekdayNumbers,
} from './cron-days.js';

interface Field {
  readonly name: string;
  readonly least: number;
  readonly greatest: number;
  /** How many different numbers there are; steps are not larger. */
  readonly size: number;
  /** The forms of an item of its list, but for `*`. */
  readonly form: RegExp;
  /** An item with numbers in place of names. */
  readonly numbers: (item: string) => string;
}

/** A number that follows `/`; 0 would be no step. */
const STEP = String.raw`/0*[1-9]\d*`;
/** What follows a weekday: the nth or the last one of the month. */
const NTH = '(?:#(?:0*[1-5]|L)|L)?';

/** In the order of a line with seconds. */
const FIELDS: readonly Field[] = [
  numeric('second', 0, 59),
  numeric('minute', 0, 59),
  numeric('hour', 0, 23),
  numeric('day', 1, 31),
  { ...numeric('month', 1, 12), form: formOf(MONTH_NAMES.source), numbers: monthNumbers },
  {
    name: 'weekday',
    least: 0,
    // Sunday is 0 and 7.
    greatest: 7,
    size: 7,
    form: formOf(WEEKDAY_NAMES.source, NTH),
    numbers: weekdayNumbers,
  },
];

function numeric(name: string, least: number, greatest: number): Field {
  const size = greatest - least + 1;
  return { name, least, greatest, size, form: formOf(), numbers: (item) => item };
}

/** @param names of numbers */
function formOf(names = String.raw`\d+`, nth = ''): RegExp {
  const number = String.raw`(?:\d+|${names})`;
  return new RegExp(`^(?:${number}(?:-${number}(?:${STEP})?)?|\\*${STEP})${nth}$`, 'i');
}

/** What is wrong with the six fields of a line; `null`: nothing. */
export function faultOf(fields: readonly string[]): string | null {
  for (const [at, field] of FIELDS.entries()) {
    for (const item of (fields[at] ?? '').replaceAll('?', '*').split(',')) {
      const fault = itemFault(item, field);
      if (fault !== null) return fault;
    }
  }
  return null;
}

function itemFault(item: string, field: Field): string | null {
  const { name, least, greatest, size, form } = field;
  if (item === '*' || (name === 'day' && item.toUpperCase() === 'L')) return null;
  if (!form.test(item)) return `${name} is not *, a number, a range, a step, or a list of these`;
  const [every = ''] = field.numbers(item).split(/[#L]/);
  const [numbers = '', step = '1'] = every.split('/');
  if (Number(step) > size) return `Invalid step for ${name}: ${step}`;
  let isEmpty = true;
  for (const number of numbersOf(`${numbers}/${step}`, least, size)) {
    if (number < least || number > greatest) return `Invalid value for ${name}: ${number}`;
    isEmpty = false;
  }
  return isEmpty ? `a range of ${name} begins after its end` : null;
}
