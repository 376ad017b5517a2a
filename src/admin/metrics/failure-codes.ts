/**
 * How often the requests of each service failed, by code, since the start. It counts every failure,
 * where the log and the kept events have only some. Codes and texts are chosen by peers, so their
 * number and length are bounded.
 */
import { DROPPED_WORDS, EXPIRY_WORDS } from '../../core/failure-words.js';
import type { ServiceHistory } from '../api/node-answers.js';

type FailureCode = ServiceHistory['failures'][number];
type Ending = FailureCode['event'];

const SERVICES_MAX = 1000;
/** Codes of one service. What has another one is counted together, without a code. */
const CODES_MAX = 20;
const TEXT_MAX = 256;

/** Events that end a request, or an attempt of a stored one, without a reply. */
const ENDINGS: readonly Ending[] = [
  'request.failed',
  'request.expired',
  'request.abandoned',
  'request.outcome_unknown',
  'request.refused',
  'request.dropped',
];

/** Endings whose text has what a worker said. */
const SAID_BY_WORKERS: readonly Ending[] = [
  'request.failed',
  'request.abandoned',
  'request.outcome_unknown',
];

/** What the reason means of those that nobody answered. */
const WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({ ...EXPIRY_WORDS, ...DROPPED_WORDS }),
);

interface Counted {
  readonly event: Ending;
  readonly code: string | null;
  text: string | null;
  count: number;
  lastAt: number;
}

type OfWorker = ServiceHistory['failuresByWorker'][number];

interface CountedWorker {
  readonly worker: string;
  readonly workerName: string | null;
  count: number;
  lastAt: number;
}

export class FailureCodes {
  /** The codes by service, as shown; the one that failed last comes last. */
  readonly #services = new Map<string, Map<string, Counted>>();
  /** The workers that failed, by service; of each service the latest. */
  readonly #workers = new Map<string, Map<string, CountedWorker>>();

  /** @param wall milliseconds since 1970 */
  note(event: { readonly name: string }, wall: number): void {
    const ending = ENDINGS.find((each) => each === event.name);
    if (ending === undefined) return;
    const { service, code, reason, text } = event as Readonly<Record<string, unknown>>;
    if (typeof service !== 'string' || reason === 'left') return;
    const codes = this.#of(service);
    // The reason of a refusal is a code; that of an abandoned request is a text.
    const isRefusal = ending === 'request.refused';
    const named = textOf(isRefusal ? reason : code);
    const known = codes.get(keyOf(ending, named));
    const counted = known ?? this.#begin(codes, ending, named);
    counted.count++;
    counted.lastAt = wall;
    if (ending === 'request.failed') this.#noteWorker(service, event, wall);
    counted.text = textOf(text ?? (isRefusal ? undefined : (WORDS.get(String(reason)) ?? reason)));
  }

  /**
   * @param shown the name of the service, percent-escaped
   * @param isWhole with what workers said: for holders of a token
   */
  of(shown: string, isWhole: boolean): FailureCode[] {
    const found = [...(this.#services.get(shown)?.values() ?? [])];
    return found.map(({ event, code, text, count, lastAt }) => {
      const isShown = isWhole || !SAID_BY_WORKERS.includes(event);
      return {
        event,
        code: isShown ? code : null,
        text: isShown ? text : null,
        count,
        lastAt: new Date(lastAt).toISOString(),
      };
    });
  }

  /** Who failed, the latest last. @param shown the name of the service, percent-escaped */
  byWorker(shown: string): OfWorker[] {
    return Array.from(this.#workers.get(shown)?.values() ?? [], ({ lastAt, ...counted }) => ({
      ...counted,
      lastAt: new Date(lastAt).toISOString(),
    }));
  }

  #noteWorker(service: string, event: object, wall: number): void {
    const { worker, workerName } = event as Readonly<Record<string, unknown>>;
    if (typeof worker !== 'number') return;
    const workers = this.#workers.get(service) ?? new Map<string, CountedWorker>();
    const number = String(worker);
    const count = (workers.get(number)?.count ?? 0) + 1;
    workers.delete(number);
    workers.set(number, { worker: number, workerName: textOf(workerName), count, lastAt: wall });
    this.#workers.set(service, workers);
    const [oldest] = workers.keys();
    if (workers.size > CODES_MAX && oldest !== undefined) workers.delete(oldest);
  }

  #of(service: string): Map<string, Counted> {
    const codes = this.#services.get(service) ?? new Map<string, Counted>();
    this.#services.delete(service);
    this.#services.set(service, codes);
    const [oldest] = this.#services.keys();
    if (this.#services.size > SERVICES_MAX && oldest !== undefined) {
      this.#services.delete(oldest);
      this.#workers.delete(oldest);
    }
    return codes;
  }

  #begin(codes: Map<string, Counted>, event: Ending, named: string | null): Counted {
    const code = codes.size < CODES_MAX ? named : null;
    const key = keyOf(event, code);
    const counted = codes.get(key) ?? { event, code, text: null, count: 0, lastAt: 0 };
    codes.set(key, counted);
    return counted;
  }
}

function keyOf(event: Ending, code: string | null): string {
  return `${event} ${code ?? ''}`;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, TEXT_MAX) : null;
}
