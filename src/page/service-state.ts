/** The state of a service in one sentence. */
import type { Service } from '../admin/api/node-answers.js';
import { isLate, isUnserved, oldestOf, stuckOf } from '../core/service-needs.js';
import { count, millis, percent, perSecond, plural, span } from './format.js';
import { type Sample, Samples } from './samples.js';

interface ServiceState {
  readonly grade: 'good' | 'warn' | 'bad' | 'quiet';
  readonly title: string;
  readonly text: string;
}

const MINUTE_MS = 60_000;
/** More than this share of failures needs a person at once. */
const BAD_SHARE = 0.05;

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
    workers === 0 ? 'no workers' : plural(workers, 'worker'),
  ];
  const told = (grade: ServiceState['grade'], title: string, what: string): ServiceState => ({
    grade,
    title,
    text: [what, ...rest].join('; '),
  });
  const waiting = (now?.queued ?? 0) + (durable?.pending ?? 0);
  if (now?.paused === true) return told('warn', 'Paused', `${plural(waiting, 'request')} waiting`);
  const stuck = now === undefined ? 0 : stuckOf(now);
  const oldest = now === undefined || stuck === 0 ? null : oldestOf(now);
  const waits = `${plural(stuck, 'request')} waiting${oldest === null ? '' : `, the oldest for ${span(oldest)}`}`;
  if (now !== undefined && isUnserved(now)) return told('bad', 'No worker', waits);
  if (share !== null && share > 0) {
    const grade = share > BAD_SHARE ? 'bad' : 'warn';
    const failing = `${percent(share)} of the last minute’s requests failed`;
    return told(grade, 'Failing', stuck > 0 ? `${failing}; all workers busy; ${waits}` : failing);
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
