/** The events of a worker, and what it prints if nobody listens to those that report trouble. */
import type { Message } from '../message.js';

/** A service and a broker. */
export interface Registration {
  /** The name of the service. */
  readonly service: string;
  /** The endpoint of the broker, as given in the options. */
  readonly endpoint: string;
}

/**
 * Why a registration was lost. `connection`: the connection broke; `silent`: the broker sent nothing
 * for `heartbeatIntervalMs × heartbeatLiveness`; `dismissed`: the broker sent DISCONNECT, because it
 * does not know the worker, drains, gives it no right to the service, or has reached a limit or quota (its
 * log says which); `unreachable`: no broker has answered since the start; `key`: the broker does not admit the
 * CURVE key.
 */
export type RegistrationLoss = 'connection' | 'silent' | 'dismissed' | 'unreachable' | 'key';

/** The event `lost`. */
export interface LostRegistration extends Registration {
  /** What happened. */
  readonly reason: RegistrationLoss;
  /**
   * Just before, this process stood still for at least so many milliseconds, and sent no heartbeats: a handler
   * kept the event loop busy. Absent: it did not.
   */
  readonly stoodStillMs?: number;
}

/** The event `failed`. */
export interface FailedRequest {
  /** What the handler threw. */
  readonly error: unknown;
  /** The request that failed, as the handler got it. */
  readonly request: Message;
  /** The service whose handler it was. */
  readonly service: string;
}

/** The event `drained`. */
export interface Drained {
  /** How many requests were given back, or their answers not sent, because `graceMs` was over. */
  readonly abandoned: number;
}

/**
 * The events of `Worker.on`, and what their listeners get.
 *
 *     worker.on('failed', ({ service, error }) => console.error(service, error));
 */
export interface WorkerEvents {
  /** The broker has confirmed a registration: the first, or again after `lost`. */
  readonly registered: Registration;
  /**
   * A registration was lost, or did not come about within a second and two heartbeats, at least three
   * seconds; once, until it is `registered`, but once more if a broker then does not admit the key. The
   * worker goes on trying. If nobody listens: a process warning, `MDP_WORKER_LOST`.
   */
  readonly lost: LostRegistration;
  /**
   * A handler threw. If nobody listens: a process warning, `MDP_HANDLER_FAILED`, at most one per
   * second for each code, with the number of omitted ones.
   */
  readonly failed: FailedRequest;
  /** After `close()`: no request runs any longer, and no broker sends one. */
  readonly drained: Drained;
}

export const WORKER_EVENTS: readonly (keyof WorkerEvents)[] = [
  'registered',
  'lost',
  'failed',
  'drained',
];

const WHY: Readonly<Record<RegistrationLoss, string>> = {
  connection: 'the connection was lost',
  silent: 'the broker is silent',
  dismissed: 'the broker does not accept the worker (any longer), and its log says why',
  unreachable: 'no broker answers',
  key: 'the broker does not admit the key',
};

export function warnLost({ service, endpoint, reason, stoodStillMs }: LostRegistration): void {
  const why =
    stoodStillMs === undefined
      ? WHY[reason]
      : `your process stood still for ${stoodStillMs} ms, and sent no heartbeats (a handler must not keep the event loop busy)`;
  const text = `'${service}' is not registered at ${endpoint}: ${why}; trying again`;
  process.emitWarning(text, { code: 'MDP_WORKER_LOST' });
}
