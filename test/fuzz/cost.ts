/**
 * Looks for inputs whose cost grows faster than they do: it repeats an input four times as often, and
 * again, and compares the work. Work is counted in blocks that ran, so nothing depends on the machine;
 * what native code does is not among them, so the time is looked at, too: only where it is long, and
 * only if the ratio is that of a square each of several times.
 */
import type { Coverage } from './coverage.js';
import type { Target } from './target.js';

const FACTOR = 4;
/** Repetitions at the first step; then four times, sixteen times as many. */
const TIMES = 8;
/** A linear cost has 4, a square 16; n·log n, and rehashing tables, are well below. */
const RATIO_MAX = 9;
/** Less work tells nothing about its growth. */
const WORK_MIN = 4000;
const TIME_MIN_MS = 40;
const TRIES = 6;

function repeated(target: Target, input: Buffer, times: number): Buffer {
  if (target.repeat !== undefined) return target.repeat(input, times);
  return Buffer.concat(Array.from({ length: times }, () => input));
}

/** @returns what is wrong, or `null` */
export function quadratic(target: Target, input: Buffer, coverage: Coverage): string | null {
  const inputs = [TIMES, TIMES * FACTOR, TIMES * FACTOR ** 2].map((times) =>
    repeated(target, input, times),
  );
  const works = inputs.map((each) => {
    coverage.clear();
    target.run(each);
    return coverage.work();
  });
  const [first = 0, second = 0, third = 0] = works;
  if (third > WORK_MIN && third / second > RATIO_MAX && second / first > FACTOR / 2) {
    return `its work grows faster than it: ${works.join(', ')} blocks for ${sizes(inputs)} bytes`;
  }
  return slow(target, inputs);
}

function slow(target: Target, inputs: readonly Buffer[]): string | null {
  const [, second, third] = inputs;
  if (second === undefined || third === undefined) return null;
  let times = '';
  for (let n = 0; n < TRIES; n++) {
    const long = millis(target, third);
    if (long < TIME_MIN_MS) return null;
    const short = Math.min(millis(target, second), millis(target, second));
    if (long / short <= RATIO_MAX) return null;
    times = `${short.toFixed(1)} and ${long.toFixed(1)} ms`;
  }
  return `its time grows faster than it: ${times} for ${sizes([second, third])} bytes`;
}

/** Of the processor: what else runs on the machine does not count. */
function millis(target: Target, input: Buffer): number {
  const began = process.cpuUsage();
  target.run(input);
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

function sizes(inputs: readonly Buffer[]): string {
  return inputs.map(({ length }) => length).join(', ');
}
