/** Times as people give them: an age, or a time in ISO 8601. */
import { WALL_MS_MAX } from './numbers.js';

/** A time, or an age: before now. In milliseconds. */
export type Moment = { readonly at: number } | { readonly agoMs: number };

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const AGE_MS_MAX = 1e14;
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** `90s`, `15m`, `2h`, `7d` or `500ms` in milliseconds; `null`: it is something else. */
function ageIn(text: string): number | null {
  const [, digits = '', unit = ''] = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? NaN);
  return digits !== '' && ms <= AGE_MS_MAX ? ms : null;
}

/** An age, a time with its zone (`2026-11-26T17:00Z`), or a day in UTC; `null`: it is something else. */
export function momentIn(text: string): Moment | null {
  const agoMs = ageIn(text);
  if (agoMs !== null) return { agoMs };
  const at = TIME.test(text) ? Date.parse(text) : NaN;
  return at >= 0 && at <= WALL_MS_MAX ? { at } : null;
}
