/** Messages between the processes of `majordomo bench`. */
import { codeOf, messageOf } from '../../../core/errors.js';
import type { CurveClientKeys } from '../../../sdk/dials.js';

/**
 * What is measured: replies of workers, also of those that another broker of the fleet has; receipts of
 * durable requests; or changes of the map.
 */
export const LOAD_KINDS = ['echo', 'fleet', 'durable', 'map'] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

/** How to load a broker; both processes get it. */
export interface LoadPlan {
  readonly kind: LoadKind;
  /** The endpoints for clients; those of the map, if that is measured. */
  readonly endpoints: readonly string[];
  readonly workerEndpoints: readonly string[];
  /** The SDK's option, or nothing. */
  readonly keys: { readonly curve?: CurveClientKeys };
  /** A unique name, so that only the bench's own workers answer. */
  readonly service: string;
  /** The number of workers, only of echo and fleet. */
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

/** The last second of the clients, for the progress line. */
interface LoadProgress {
  readonly kind: 'progress';
  readonly perSecond: number;
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
interface LoadReady {
  readonly kind: 'ready';
}

/** The process cannot continue. */
interface LoadFailed {
  readonly kind: 'failed';
  readonly code: string;
  readonly message: string;
}

export type FromPart = LoadProgress | LoadResult | LoadReady | LoadFailed;

/** The plan of this process. It comes as a message, because everybody on the machine can read arguments. */
export async function received(): Promise<LoadPlan> {
  return await new Promise((resolve) =>
    process.once('message', resolve as (plan: LoadPlan) => void),
  );
}

/** Sends a message to the command. */
export function send(message: FromPart): void {
  process.send?.(message);
}

export function sendFailure(error: unknown): void {
  send({ kind: 'failed', code: codeOf(error) ?? 'ERR_INTERNAL', message: messageOf(error) });
}
