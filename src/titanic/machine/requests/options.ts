import type { StoredRequest } from '../../../store/store.js';
import type { SubmitOptions } from '../../../wire/tsp.js';

/** Configuration of Titanic (`titanic.*`): milliseconds, bytes, counts. */
export interface TitanicOptions {
  readonly maxAttempts: number;
  /**
   * Pause after the first attempt. It doubles after each attempt, up to the longest, with jitter.
   */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly replyTtlMs: number;
  readonly requestTtlMs: number;
  readonly keyTtlMs: number;
  /** Maximum number of stored requests with the broker at once, and of the bytes of their bodies: see `Places`. */
  readonly maxInFlight: number;
  readonly inFlightBytes: number;
  /** Maximum number of requests that are neither closed nor expired. */
  readonly maxOpen: number;
  /** Maximum size of the store. */
  readonly maxBytes: number;
}

/** What follows from the options of a submit and has a column. */
export type Chosen = Pick<
  StoredRequest,
  'priority' | 'acceptedAt' | 'notBefore' | 'expiresAt' | 'maxAttempts' | 'isShared'
>;

/** What it takes of the context. */
interface ChoosingContext {
  readonly wall: number;
  readonly livesFrom: number;
  readonly options: TitanicOptions;
}

export function chosenBy(
  { priority, delayMs, ttlMs, maxAttempts, shared }: SubmitOptions,
  { wall, livesFrom, options: usual }: ChoosingContext,
): Chosen {
  const notBefore = wall + (delayMs ?? 0);
  return {
    priority: priority ?? 0,
    acceptedAt: wall,
    notBefore,
    // D109: otherwise one whose delay is longer would never run.
    expiresAt: livesFrom + (delayMs ?? 0) + (ttlMs ?? usual.requestTtlMs),
    maxAttempts: maxAttempts ?? usual.maxAttempts,
    isShared: shared ?? false,
  };
}
