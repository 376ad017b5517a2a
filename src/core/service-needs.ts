/**
 * Which services need a person, and in which order lists show them: for the page and for commands. Fields that an
 * older node does not tell are absent.
 */

type Figure = number | null | undefined;

/** What of a service the order depends on, as lists tell it. */
export interface ServiceLoad {
  readonly service: string;
  readonly workersWaiting: number;
  readonly workersBusy: number;
  readonly queued: number;
  readonly oldestQueuedMs?: Figure;
  readonly failedMsAgo?: Figure;
  readonly plain: {
    readonly failuresPerSecond?: Figure;
    readonly repliesPerSecond?: Figure;
  } | null;
  readonly durable: {
    readonly pending?: Figure;
    readonly delayed?: Figure;
    readonly dead?: Figure;
    readonly oldestMs?: Figure;
    readonly failedAttemptsPerSecond?: Figure;
    readonly repliesPerSecond?: Figure;
  } | null;
}

/** The service of webhooks, which the broker sends itself. */
export const WEBHOOK_SERVICE = 'titanic.webhook';

/** A service that failed, and answers nothing, is listed first for so long. */
const FAILED_MS = 60_000;
/** Requests that have waited for longer than this may need a person. */
const LONG_MS = 10_000;

/** The requests that a worker could take, plain or stored and due, if none takes them; else 0. */
export function stuckOf(service: ServiceLoad): number {
  if (service.service === WEBHOOK_SERVICE) return 0;
  return service.workersWaiting === 0 ? waitingOf(service) : 0;
}

/** The requests that wait for a worker, plain or stored and due. */
export function waitingOf({ queued, durable }: Pick<ServiceLoad, 'queued' | 'durable'>): number {
  return queued + Math.max(0, (durable?.pending ?? 0) - (durable?.delayed ?? 0));
}

/** True if requests wait, and the service has no worker. */
export function isUnserved(service: ServiceLoad): boolean {
  return service.workersBusy === 0 && stuckOf(service) > 0;
}

/** True if requests have waited for long, and all workers are busy. */
export function isLate(service: ServiceLoad): boolean {
  return service.workersBusy > 0 && stuckOf(service) > 0 && (oldestOf(service) ?? 0) > LONG_MS;
}

/** Failures of plain requests, and failed attempts of stored ones, per second; `null`: not measured. */
export function failuresOf({ plain, durable }: ServiceLoad): number | null {
  if (plain === null && durable === null) return null;
  return (plain?.failuresPerSecond ?? 0) + (durable?.failedAttemptsPerSecond ?? 0);
}

/** Replies to plain and stored requests, per second; `null`: not measured. */
export function repliesOf({ plain, durable }: ServiceLoad): number | null {
  if (plain === null && durable === null) return null;
  return (plain?.repliesPerSecond ?? 0) + (durable?.repliesPerSecond ?? 0);
}

/** True if it fails, or failed in the last minute and answers nothing: one that answers again would hide others. */
function isFailing(service: ServiceLoad): boolean {
  const failedLately = (service.failedMsAgo ?? Infinity) < FAILED_MS;
  return (failuresOf(service) ?? 0) > 0 || (failedLately && (repliesOf(service) ?? 0) === 0);
}

/** True if it fails and answers nothing. */
export function answersNothing(service: ServiceLoad): boolean {
  return isFailing(service) && repliesOf(service) === 0;
}

/** How long the oldest request has waited, plain or stored; `null`: none waits. */
export function oldestOf({ oldestQueuedMs = null, durable }: ServiceLoad): number | null {
  const stored = durable?.oldestMs ?? null;
  return oldestQueuedMs === null ? stored : Math.max(oldestQueuedMs, stored ?? 0);
}

/** Failing ones first, then those with dead, unserved and old requests, then the fastest, then the most loaded, then by name. */
export function byNeed<Service extends ServiceLoad>(services: readonly Service[]): Service[] {
  const keyed = services.map((service) => {
    const failures = failuresOf(service) ?? 0;
    const replies = repliesOf(service) ?? 0;
    const oldest = oldestOf(service) ?? 0;
    const needs = [
      Number(isFailing(service)),
      failures,
      service.durable?.dead ?? 0,
      Number(isUnserved(service)),
      oldest > LONG_MS ? oldest : 0,
      replies,
      service.queued,
      service.workersBusy,
    ];
    return { service, needs };
  });
  keyed.sort((left, right) => {
    const at = left.needs.findIndex((need, index) => need !== right.needs[index]);
    if (at < 0) return left.service.service < right.service.service ? -1 : 1;
    return (right.needs[at] ?? 0) - (left.needs[at] ?? 0);
  });
  return keyed.map(({ service }) => service);
}
