/** The scales of charts: their maximum, and the format of their numbers. */
import { compact, millis, perSecond, short } from './format.js';

interface Scale {
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

export interface Axis {
  readonly format: (value: number | null) => string;
  readonly scale: Scale;
  /** The chart shows at least this much, so that noise does not fill it. */
  readonly leastTop: number;
  /** Logarithmic if the values differ by 100 times: one slow request would flatten all others. */
  readonly mayBeLog?: boolean;
}

/** The axes of the three kinds of charts. */
export const RATES: Axis = { format: compact, scale: PER_SECOND, leastTop: 10 };
export const LATENCIES: Axis = { format: millis, scale: DURATION, leastTop: 1, mayBeLog: true };
export const COUNTS: Axis = { format: compact, scale: COUNT, leastTop: 10 };

const LOG_FROM = 100;

/** Where values are on a chart, from 0 at its bottom to 1 at its top, and the labels beside it. */
export interface Heights {
  readonly of: (value: number) => number;
  readonly labels: readonly (readonly [share: number, label: string])[];
}

/** @param isSmall the chart has two labels only */
export function heightsOf(
  { scale, leastTop, mayBeLog }: Axis,
  values: readonly number[],
  isSmall: boolean,
): Heights {
  const most = values.reduce((top, value) => Math.max(top, value), 0);
  const least = values.reduce((low, value) => (value > 0 ? Math.min(low, value) : low), most);
  if (mayBeLog === true && most >= LOG_FROM * least && least > 0) {
    return logHeights(scale, Math.floor(Math.log10(least)), Math.ceil(Math.log10(most)));
  }
  const top = scale.top(Math.max(leastTop, most));
  const shares = isSmall ? [0, 1] : [0, 0.5, 1];
  return {
    of: (value) => value / top,
    labels: shares.map((share) => [share, share === 0 ? '0' : scale.words(share * top)]),
  };
}

/** Each label is the same number of powers of ten above the one below it. */
function logHeights({ words }: Scale, from: number, to: number): Heights {
  const step = Math.ceil((to - from) / 4);
  const steps = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => at * step);
  return {
    of: (value) => Math.max(0, (Math.log10(value) - from) / (to - from)),
    labels: steps.map((above) => [above / (to - from), words(10 ** (from + above))]),
  };
}

const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360];

/** The labels below a chart: minutes before its right end. */
export function timesOf(
  windowMs: number,
  isSmall: boolean,
): readonly (readonly [share: number, label: string])[] {
  const minutes = windowMs / MINUTE;
  const whole = Math.floor(minutes);
  const fits = STEPS_MIN.find((step) => minutes / step <= 5) ?? 360;
  const step = isSmall ? Math.max(1, whole) : fits;
  const labels: (readonly [number, string])[] = [];
  for (let back = 0; back <= minutes; back += step) {
    const said = minutes > 600 ? `−${short(back / 60)} h` : `−${back} min`;
    labels.push([1 - back / minutes, back === 0 ? 'now' : said]);
  }
  return labels;
}
