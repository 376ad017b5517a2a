import { InvalidArgumentError } from 'commander';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const AGE_MS_MAX = 1e14;

/** Reads `90s`, `15m`, `2h`, `7d` or `500ms` as milliseconds, for an option. */
export function readAge(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? NaN);
  if (digits !== '' && ms <= AGE_MS_MAX) return ms;
  throw new InvalidArgumentError('Expected a number and a unit: 90s, 15m, 2h, 7d.');
}
