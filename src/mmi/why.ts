/** The words of `mmi.why`: what keeps a service from answering, as far as the broker knows. */
import { escapeName } from '../core/escape.js';
import { nearestName } from '../core/nearest.js';
import type { ServiceStatus } from '../wire/mmi-answers.js';

const PERIOD_MS = 1000;
/** Pairs of letters that are compared in a period, at most: a few milliseconds of work for all who ask. */
const LETTER_PAIRS_MAX = 200_000;
/** What a search counts at least: the names have to be listed for it. */
const SEARCH_PAIRS = 10_000;

/**
 * Names that were possibly meant. In an outage all clients of a service ask at once: one search answers them, and
 * once a period's work is done, there are no names until the next.
 */
export class NearNames {
  readonly #found = new Map<string, string>();
  #since = -Infinity;
  #pairsLeft = 0;

  /**
   * Says `; did you mean "echo"?`, or nothing.
   * @param scope of whoever asks: all of it may see the same names
   * @param served the names that it may see, listed only if they are needed
   */
  words(scope: string, wanted: Buffer, served: () => Iterable<Buffer>, now: number): string {
    if (now - this.#since >= PERIOD_MS) {
      this.#since = now;
      this.#pairsLeft = LETTER_PAIRS_MAX;
      this.#found.clear();
    }
    const name = escapeName(wanted);
    const key = `${scope} ${name}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    if (this.#pairsLeft <= 0) return '';
    const nearest = this.#search(name, served());
    const words = nearest === null ? '' : `; did you mean "${nearest}"?`;
    this.#found.set(key, words);
    return words;
  }

  #search(name: string, served: Iterable<Buffer>): string | null {
    const candidates: string[] = [];
    this.#pairsLeft -= SEARCH_PAIRS;
    for (const each of served) {
      const candidate = escapeName(each);
      this.#pairsLeft -= name.length * candidate.length;
      if (this.#pairsLeft <= 0) break;
      candidates.push(candidate);
    }
    return nearestName(name, candidates);
  }
}

/** What waits for the workers of a service, and what they are at. @param load `null`: it is not told */
export function loadWords(load: ServiceStatus | null): string[] {
  if (load === null) return [];
  const { workersWaiting, workersBusy, free, queued, inFlight, durable } = load;
  const workers = workersWaiting + workersBusy;
  const stored = durable === null ? 0 : durable.pending - (durable.delayed ?? 0);
  const waiting = [
    ...(queued > 0 ? [counted(queued, 'request')] : []),
    ...(stored > 0 ? [counted(stored, 'stored request')] : []),
  ].join(' and ');
  const isBusy = workersBusy > 0 && free === 0;
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
