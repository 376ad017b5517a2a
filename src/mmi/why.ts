/** The words of `mmi.why`: what keeps a service from answering, as far as the broker knows. */
import { escapeName } from '../core/escape.js';
import { nearestName } from '../core/nearest.js';
import type { ServiceStatus } from '../wire/mmi-answers.js';

/** Pairs of letters that are compared for one answer, at most: about two milliseconds of work. */
const LETTER_PAIRS_MAX = 200_000;

/** `; did you mean "echo"?`, or nothing. */
export function nearWords(wanted: Buffer, served: Iterable<Buffer>): string {
  const name = escapeName(wanted);
  const known: string[] = [];
  let pairs = 0;
  for (const each of served) {
    const candidate = escapeName(each);
    pairs += name.length * candidate.length;
    if (pairs > LETTER_PAIRS_MAX) break;
    known.push(candidate);
  }
  const nearest = nearestName(name, known);
  return nearest === null ? '' : `; did you mean "${nearest}"?`;
}

/** What waits for the workers of a service, and what they are at. @param load `null`: it is not told */
export function loadWords(load: ServiceStatus | null): string[] {
  if (load === null) return [];
  const { workersWaiting, workersBusy, queued, inFlight, durable } = load;
  const workers = workersWaiting + workersBusy;
  const stored = durable === null ? 0 : durable.pending - (durable.delayed ?? 0);
  const waiting = [
    ...(queued > 0 ? [counted(queued, 'request')] : []),
    ...(stored > 0 ? [counted(stored, 'stored request')] : []),
  ].join(' and ');
  const isBusy = workersBusy > 0 && workersWaiting === 0;
  const busy = workers === 1 ? 'its only worker is busy' : `all its ${workers} workers are busy`;
  if (waiting !== '') {
    const verb = queued + stored === 1 ? 'waits' : 'wait';
    return [...(isBusy ? [busy] : []), `${waiting} ${verb}`];
  }
  if (inFlight === 0) return [];
  const whose = workers === 1 ? 'its only worker has' : `its ${workers} workers have`;
  return [`${whose} ${counted(inFlight, 'request')}, and none waits`];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
