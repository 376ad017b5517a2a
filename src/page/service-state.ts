/** The state of a service in one sentence, and what its history says of it. */
import type { Service } from '../admin/api/node-answers.js';
import { isLate, isUnserved, oldestOf, stuckOf, WEBHOOK_SERVICE } from '../core/service-needs.js';
import { count, millis, momentAt, percent, perSecond, plural, span } from './format.js';
import { type Sample, Samples } from './samples.js';
import { waitingWords } from './services.js';

interface ServiceState {
  readonly grade: 'good' | 'warn' | 'bad' | 'quiet';
  readonly title: string;
  readonly text: string;
}

const MINUTE_MS = 60_000;
/** The share of failures above which a service needs a person at once. */
const BAD_SHARE = 0.05;
/** A service has failed so often, and for so long, without a reply before it counts as failing always. */
const FAILURES_MIN = 3;
const FAILING_MS = 10_000;
/** Failures that are older tell nothing about the service now. */
const FAILED_MS_MAX = 300_000;
/** A queue counts as growing after so long, and by so much. */
const GROWING_MS = 16_000;
const WINDOW_MS = 60_000;
export const GROWN_MIN = 10;
const GROWN_FACTOR = 1.2;
/** Time between two samples of a service. */
const SAMPLE_MS = 4000;

/** The share of the last minute's requests, or attempts of stored ones, that failed. */
function failedShare(now: Service | undefined, samples: readonly Sample[]): number | null {
  const of = (...columns: readonly string[]): number =>
    columns.reduce((sum, column) => sum + Samples.sum(samples, column, MINUTE_MS), 0);
  const [failed, replied] = [of('failed', 'failedAttempts'), of('replied', 'completed')];
  if (failed + replied > 0) return failed / (failed + replied);
  // A service without samples has the rates of the last seconds.
  const { plain = null, durable = null } = now ?? {};
  const failures = (plain?.failuresPerSecond ?? 0) + (durable?.failedAttemptsPerSecond ?? 0);
  const ended = failures + (plain?.repliesPerSecond ?? 0) + (durable?.repliesPerSecond ?? 0);
  return ended === 0 ? null : failures / ended;
}

/** @param now `undefined`: the node has forgotten it, and only knows its failures */
export function stateOf(now: Service | undefined, samples: readonly Sample[]): ServiceState {
  const share = failedShare(now, samples);
  const { plain = null, durable = null } = now ?? {};
  const dead = durable?.dead ?? 0;
  const workers = (now?.workersWaiting ?? 0) + (now?.workersBusy ?? 0);
  const rest = [
    ...(dead > 0 ? [`${count(dead)} dead`] : []),
    ...(workers > 0
      ? [plural(workers, 'worker')]
      : now?.service === WEBHOOK_SERVICE
        ? []
        : ['no workers']),
  ];
  const told = (grade: ServiceState['grade'], title: string, what: string): ServiceState => ({
    grade,
    title,
    text: [what, ...rest].join('; '),
  });
  if (now?.paused === true) return told('warn', 'Paused', waitingWords(now));
  const stuck = now === undefined ? 0 : stuckOf(now);
  const oldest = now === undefined || stuck === 0 ? null : oldestOf(now);
  const waits = `${plural(stuck, 'request')} waiting${oldest === null ? '' : `, the oldest for ${span(oldest)}`}`;
  if (now !== undefined && isUnserved(now)) return told('bad', 'No worker', waits);
  if (share !== null && share > 0) {
    const grade = share > BAD_SHARE ? 'bad' : 'warn';
    const failing = `${percent(share)} of the last minute’s requests failed`;
    return told(grade, 'Failing', stuck > 0 ? `${failing}; all workers busy; ${waits}` : failing);
  }
  const always = failingIn(samples);
  if (always !== null) {
    const { failures, since } = always;
    const text = `all ${count(failures)} requests since ${momentAt(since)} failed`;
    return told('bad', 'Failing always', stuck > 0 ? `${text}; ${waits}` : text);
  }
  const isBad = dead > 0 || (now !== undefined && isLate(now));
  if (stuck > 0) return told(isBad ? 'warn' : 'good', 'All workers busy', waits);
  if (share === null) {
    return told(isBad ? 'warn' : 'quiet', 'Idle', 'no requests ended in the last minute');
  }
  const rate = (plain?.repliesPerSecond ?? 0) + (durable?.repliesPerSecond ?? 0);
  const { p99Ms = null, maxMs = null } = plain ?? {};
  const [slow, which] = p99Ms === null ? [maxMs, 'longest'] : [p99Ms, 'p99'];
  const latency = slow === null ? '' : `, ${which} ${millis(slow)}`;
  return told(isBad ? 'warn' : 'good', 'Serving', `${perSecond(rate)} replies${latency}`);
}

export interface Failing {
  readonly failures: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export interface Growing {
  readonly waiting: number;
  /** How many more these are than `ms` before. */
  readonly more: number;
  readonly ms: number;
}

/** The failures since the last reply, plain or durable; `null`: too few to say that all fail. */
export function failingIn(samples: readonly Sample[]): Failing | null {
  const sum = (sample: Sample, ...columns: readonly string[]): number =>
    columns.reduce((all, column) => all + (sample[column] ?? 0), 0);
  const replied = samples.findLastIndex((each) => sum(each, 'replied', 'completed') > 0);
  const after = samples.slice(replied + 1);
  const failures = after.reduce((all, sample, index) => {
    const before = after[index - 1]?.['at'] ?? (sample['at'] ?? 0) - SAMPLE_MS;
    const seconds = ((sample['at'] ?? 0) - before) / 1000;
    return all + sum(sample, 'failed', 'failedAttempts') * seconds;
  }, 0);
  const failed = after.filter((each) => sum(each, 'failed', 'failedAttempts') > 0);
  const [since, last] = [failed[0]?.['at'] ?? NaN, failed.at(-1)?.['at'] ?? NaN];
  const now = samples.at(-1)?.['at'] ?? NaN;
  // A rate is rounded.
  const rounded = Math.round(failures);
  const isSo = rounded >= FAILURES_MIN && now - since >= FAILING_MS && now - last < FAILED_MS_MAX;
  return isSo ? { failures: rounded, since } : null;
}

/** How a queue has grown in the last minute, or as long as there are samples; `null`: not all the time. */
export function growingIn(samples: readonly Sample[]): Growing | null {
  const now = samples.at(-1)?.['at'] ?? 0;
  const recent = samples.filter(({ at }) => (at ?? 0) >= now - WINDOW_MS);
  const sizes = recent.map(({ queued, open }) => (queued ?? 0) + (open ?? 0));
  const ms = now - (recent[0]?.['at'] ?? now);
  const third = Math.floor(sizes.length / 3);
  const mean = (from: number): number =>
    sizes.slice(from, from + third).reduce((sum, size) => sum + size, 0) / third;
  const [first, middle, last] = [mean(0), mean(third), mean(sizes.length - third)];
  const waiting = sizes.at(-1) ?? 0;
  const isRising = first < middle && middle < last && waiting === Math.max(...sizes);
  const isMuch = last - first >= GROWN_MIN && last >= first * GROWN_FACTOR;
  if (ms < GROWING_MS || !isRising || !isMuch) return null;
  return { waiting, more: waiting - (sizes[0] ?? 0), ms };
}
