/** Cron lines for every few seconds, and when they are due, reckoned as simply as possible. */

const SECOND_MS = 1000;
const MINUTE_SECONDS = 60;

/** By cron line: the seconds of each minute. Time zones differ by whole minutes. */
const LINES: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ['* * * * * *', secondsOf(() => true)],
  ['*/2 * * * * *', secondsOf((second) => second % 2 === 0)],
  ['1-59/3 * * * * *', secondsOf((second) => second % 3 === 1)],
  ['*/5,7,8,9 * * * * *', secondsOf((second) => second % 5 === 0 || (second > 6 && second < 10))],
]);

export const CRONS = [...LINES.keys()] as [string, ...string[]];

function secondsOf(isIn: (second: number) => boolean): ReadonlySet<number> {
  return new Set(Array.from({ length: MINUTE_SECONDS }, (_, second) => second).filter(isIn));
}

export function isDue(cron: string, wall: number): boolean {
  const second = wall / SECOND_MS;
  return Number.isInteger(second) && LINES.get(cron)?.has(second % MINUTE_SECONDS) === true;
}

/** All due times after `from`, up to `until`. */
export function duesIn(cron: string, from: number, until: number): number[] {
  const dues: number[] = [];
  for (let at = Math.floor(from / SECOND_MS) + 1; at * SECOND_MS <= until; at++) {
    if (isDue(cron, at * SECOND_MS)) dues.push(at * SECOND_MS);
  }
  return dues;
}
