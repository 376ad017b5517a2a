import {
  COUNT_MAX,
  DURATION_MS_MAX,
  isCount,
  isDuration,
  isSequence,
  isTransaction,
  isWallTime,
  nextAfter,
  SEQUENCE_MAX,
  TRANSACTION_MAX,
  WALL_MS_MAX,
} from '../../../src/core/numbers.js';

const KINDS = [
  ['count', isCount, COUNT_MAX],
  ['sequence', isSequence, SEQUENCE_MAX],
  ['wall time', isWallTime, WALL_MS_MAX],
  ['duration', isDuration, DURATION_MS_MAX],
  ['transaction', isTransaction, TRANSACTION_MAX],
] as const;

describe.each(KINDS)('a %s (D104)', (_kind, isOne, most) => {
  it('is a whole number from 0 to its bound, and nothing else', () => {
    expect([0, 1, most].map(isOne)).toEqual([true, true, true]);
    const others = [-1, -0.5, 0.5, most + 1, 2 ** 53, Infinity, NaN, '1', 1n, null, undefined];
    expect(others.filter(isOne)).toEqual([]);
  });

  it('has exact successors', () => expect(Number.isSafeInteger(most + 2 ** 32)).toBe(true));
});

it('the bounds are those of D104', () => {
  expect([COUNT_MAX + 1, SEQUENCE_MAX + 1, DURATION_MS_MAX + 1]).toEqual([
    2 ** 48,
    2 ** 48,
    2 ** 40,
  ]);
  expect(new Date(WALL_MS_MAX).toISOString()).toBe('9999-12-31T23:59:59.999Z');
});

it('a number from elsewhere moves ours on, unless few would be left above it', () => {
  expect([nextAfter(5, 4), nextAfter(5, 5), nextAfter(5, 900)]).toEqual([5, 6, 901]);
  expect([nextAfter(5, SEQUENCE_MAX), nextAfter(5, 2 ** 47)]).toEqual([5, 5]);
});
