/** The scales of charts: their maximum, and the format of their numbers. */
import { compact, millis, perSecond, short } from './format.js';

export interface Scale {
  /** A round maximum that is at least `value`. Its half is round, too. */
  readonly top: (value: number) => number;
  readonly words: (value: number) => string;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Maxima above half a second. Smaller ones are decimal. */
const LONG_TOPS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 5, 10].map((hours) => hours * HOUR),
];

/** 1, 2 or 5 times a power of ten. */
function decimalTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

function durationTop(value: number): number {
  if (value <= SECOND / 2) return decimalTop(value);
  return LONG_TOPS.find((top) => top >= value) ?? HOUR * decimalTop(value / HOUR);
}

/** 0.5 ms, 2.5 s, 15 min, 100 h: a single unit, to be short. */
function duration(value: number): string {
  if (value < SECOND) return `${short(value)} ms`;
  if (value < MINUTE) return `${short(value / SECOND)} s`;
  return value < HOUR ? `${short(value / MINUTE)} min` : `${compact(value / HOUR)} h`;
}

const COUNT: Scale = { top: decimalTop, words: compact };
const PER_SECOND: Scale = { top: decimalTop, words: perSecond };
const DURATION: Scale = { top: durationTop, words: duration };

interface Axis {
  readonly format: (value: number | null) => string;
  readonly scale: Scale;
  /** The chart shows at least this much, so that noise does not fill it. */
  readonly leastTop: number;
}

/** The axes of the three kinds of charts. */
export const RATES: Axis = { format: compact, scale: PER_SECOND, leastTop: 10 };
export const LATENCIES: Axis = { format: millis, scale: DURATION, leastTop: 1 };
/** The latency of a node or of a service. */
export const LATENCY = {
  title: 'Latency',
  series: [
    { column: 'p99Ms', label: 'p99', style: 'amber' },
    { column: 'p50Ms', label: 'p50', style: 'green', isArea: true },
  ],
  ...LATENCIES,
} as const;
export const COUNTS: Axis = { format: compact, scale: COUNT, leastTop: 10 };
