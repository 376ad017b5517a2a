/** Messages between the processes of `majordomo bench`. */
import { codeOf, messageOf } from '../../../core/errors.js';

/** What is measured: replies of workers, or Titanic's receipts. */
export type LoadKind = 'echo' | 'durable';

/** How to load a broker; both processes get it. */
export interface LoadPlan {
  readonly kind: LoadKind;
  readonly endpoints: readonly string[];
  /** A unique name, so that only the bench's own workers answer. */
  readonly service: string;
  /** None for receipts. */
  readonly workers: number;
  /** Credit of each worker. */
  readonly concurrency: number;
  readonly connections: number;
  /** Requests in flight, closed loop. */
  readonly outstanding: number;
  /** Requests a second, open loop; 0: closed loop. */
  readonly rate: number;
  /** Bytes of a request's body and of its reply. */
  readonly size: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** One second of the clients, for the progress line. */
export interface LoadProgress {
  readonly kind: 'progress';
  readonly repliesPerSecond: number;
  readonly outstanding: number;
}

export interface LoadResult {
  readonly kind: 'result';
  readonly requests: number;
  readonly failed: number;
  readonly seconds: number;
  /** Microseconds. */
  readonly latencyUs: Readonly<Record<'p50' | 'p99' | 'p99.9' | 'max', number>>;
  /** CPU seconds that the client process used in the measured time. */
  readonly cpuSeconds: number;
}

/** The workers are registered. */
export interface LoadReady {
  readonly kind: 'ready';
}

/** The process cannot continue. */
export interface LoadFailed {
  readonly kind: 'failed';
  readonly code: string;
  readonly message: string;
}

export type FromPart = LoadProgress | LoadResult | LoadReady | LoadFailed;

/** To the command. */
export function send(message: FromPart): void {
  process.send?.(message);
}

export function sendFailure(error: unknown): void {
  send({ kind: 'failed', code: codeOf(error) ?? 'ERR_INTERNAL', message: messageOf(error) });
}
