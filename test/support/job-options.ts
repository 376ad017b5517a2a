import type { JobOptionRow } from '../../src/wire/job-option-table.js';

/** Values that an option takes, at its bounds, and values that it does not take. */
export function valuesOf(row: JobOptionRow): {
  readonly good: readonly [unknown, ...unknown[]];
  readonly wrong: readonly unknown[];
} {
  if (row.type === 'flag') return { good: [true, false], wrong: [1, 'true', null] };
  const { min, max } = row;
  switch (row.type) {
    case 'whole':
      return { good: [max, min], wrong: [min - 1, max + 1, 0.5, String(max), null] };
    case 'text':
      return {
        good: ['ü'.repeat(max / 2), 'x'.repeat(min)],
        wrong: ['x'.repeat(max + 1), 'ü'.repeat(max), '\ud800', 7, null],
      };
    case 'url':
      return {
        good: [`https://hook.example/${'x'.repeat(max - 21)}`, 'x'.repeat(min)],
        wrong: ['x'.repeat(max + 1), '', 'https://ü.example/', 'https://a b', 7, null],
      };
    case 'pauses': {
      const pauses = (baseMs: number, maxMs: number): object => ({ baseMs, maxMs });
      return {
        good: [pauses(min, max), pauses(max, max)],
        wrong: [
          ...[null, max, { baseMs: min }, { ...pauses(min, max), factor: 3 }],
          ...[pauses(min - 1, max), pauses(min + 1, min), pauses(min, max + 1)],
        ],
      };
    }
  }
}
