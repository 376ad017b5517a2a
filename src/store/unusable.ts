/**
 * Which stored rows cannot be used (D104): what follows from their numbers, by arithmetic or when they
 * are shown, ends the broker. A damaged disk or another program left them. As conditions in SQL.
 */
import {
  COUNT_MAX,
  SEQUENCE_MAX,
  TRANSACTION_MAX,
  WALL_MS_MAX,
  WALL_US_MAX,
} from '../core/numbers.js';
import { REQUEST_ROWS } from './request.js';

const MOST = {
  count: COUNT_MAX,
  sequence: SEQUENCE_MAX,
  transaction: TRANSACTION_MAX,
  wallTime: WALL_MS_MAX,
  wallTimeUs: WALL_US_MAX,
} as const;

/** By kind: the columns that have numbers of it. */
type Columns = { readonly [Kind in keyof typeof MOST]?: readonly string[] };

/** The condition of a row with a number that is out of range; a column without a value is not. */
export function outOfRange(columns: Columns): string {
  return Object.entries(columns)
    .flatMap(([kind, names]) =>
      names.map((name) => `${name} NOT BETWEEN 0 AND ${MOST[kind as keyof typeof MOST]}`),
    )
    .join(' OR ');
}

/**
 * The condition for requests with values out of range, in both kinds of stores. The two have their own
 * columns and conditions for number and state, and one has no numbers for flags.
 */
export const REQUEST_OUT_OF_RANGE: string = [
  ...REQUEST_ROWS.filter(
    ({ as, kind }) => as === 'number' && !['place', 'state', 'flag'].includes(kind),
  ).map(({ column, min, max }) => `${column} NOT BETWEEN ${min} AND ${max}`),
  outOfRange({ count: ['attempts_ever'] }),
].join(' OR ');

/** The beginning of the names of the tables that have such rows. */
export const SET_ASIDE = 'set_aside_';

/** For people: how many rows of which tables. */
export function setAsideText(rows: readonly (readonly [table: string, count: number])[]): string {
  const parts = rows.map(([table, count]) => `${count} in ${table}`);
  return `rows that cannot be used were set aside: ${parts.join(', ')}`;
}
