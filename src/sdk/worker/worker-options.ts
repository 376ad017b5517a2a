/** The options of a worker, and the settings that are made of them. */
import type { CurveOptions } from '../curve.js';
import type { Uninferred } from '../least-types.js';
import { hostname } from 'node:os';

import type { Dial } from '../../zmtp/link-port.js';
import type { MdpVersion } from '../../wire/mdp.js';
import { NAME_CHARACTERS_MAX } from '../../wire/ready-options.js';
import type { Body } from '../body.js';
import type { Codec } from '../codec/codec.js';
import type { Contract, ServiceTypes } from '../codec/contract.js';
import { dialOf, type TransportName, WORKER_LIMITS } from '../dials.js';
import { endpointList, type Endpoints } from '../endpoints.js';
import { checkText, wrong } from '../errors.js';
import { givenDialOr, type Protocol, readOptions, versionOf } from '../option-reader.js';
import { CLOSE_OPTIONS, type TableOf, type ValuesOf, WORKER_OPTIONS } from '../option-tables.js';
import type { Handler } from './handler.js';
import type { WorkerInterceptor } from './worker-interceptors.js';
import { type OfferedService, offeredServices } from './services.js';

/**
 * Options of `Worker`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION, which names it in
 * `details.option`.
 *
 *     new Worker({ service: 'resize', concurrency: 8 }, (request) => resized(request.frames));
 *
 * @typeParam In what the codec makes answers of
 * @typeParam Out what the codec reads from requests
 */
export interface WorkerOptions<In = Body, Out = Buffer> {
  /**
   * The brokers, at each of which the worker registers; in the form of `ClientOptions.endpoints`.
   * Default: the environment variable `MAJORDOMO_URL`.
   */
  readonly endpoints?: Endpoints | undefined;
  /** The service that the worker offers, 1 to 255 bytes; its handler is the second argument of `Worker`. */
  readonly service?: string;
  /**
   * Several services, instead of `service`: the handler of each by its name. They share everything but the
   * connections: MDP registers one service on a connection, so each has one to every endpoint.
   */
  readonly services?: Readonly<Record<string, Handler<Out, Uninferred<In>>>>;
  /**
   * Name of the worker in lists and logs, if the broker supports names: at most 64 characters; empty:
   * no name. Default: host name and process id, `HOST:PID`.
   */
  readonly name?: string;
  /**
   * Maximum number of requests at the same time, 1 to 10000, from all endpoints together. Several services
   * share it; `{ 'tax.rate': 4, … }` gives each its own, 1 where it is not named. Default 1.
   */
  readonly concurrency?: number | Readonly<Record<string, number>>;
  /** The MDP version. Default `0.2`. */
  readonly protocol?: Protocol;
  /** Time between heartbeats to the broker, in milliseconds. Default 2500. */
  readonly heartbeatIntervalMs?: number;
  /** Number of silent intervals after which the worker treats the broker as dead. Default 3. */
  readonly heartbeatLiveness?: number;
  /**
   * First and longest pause before registering again, before jitter, in milliseconds.
   * Defaults 100 and 5000.
   */
  readonly retryBaseMs?: number;
  /** The longest such pause, in milliseconds: see `retryBaseMs`. */
  readonly retryMaxMs?: number;
  /**
   * How long a handler may go on after its request was cancelled, and `request.signal` aborted, in
   * milliseconds. After that its place is given to another request. Default 10000.
   */
  readonly cancelGraceMs?: number;
  /**
   * Whether clients get the message of every error that a handler throws. False: they get the message of
   * a `ServiceError`, and only the code of other errors. Default true.
   */
  readonly exposeErrors?: boolean;
  /** Reads `request.value`, and makes bodies of answers; for instance `json()`. Default: text and bytes. */
  readonly codec?: Codec<In, Out>;
  /** Functions around the handlers, the first outermost: see `WorkerInterceptor`. Default: none. */
  readonly interceptors?: readonly WorkerInterceptor<Uninferred<Out>, Uninferred<In>>[];
  /** A contract, only with `services`: see `ContractWorkerOptions`. */
  readonly contract?: undefined;
  /** Socket engine: `zmtp`, which needs no native module, or `libzmq`. Default `zmtp`. */
  readonly transport?: TransportName;
  /** Keys, if the broker's listener uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Opens connections, instead of `transport`. */
  readonly dial?: Dial;
}

/** The handlers of a contract's services, with their types. */
export type HandlersOf<Types> = {
  readonly [Name in keyof Types]?: Types[Name] extends ServiceTypes
    ? Handler<Types[Name]['asked'], Types[Name]['answer'], Types[Name]['tell']>
    : never;
};

/**
 * Options of a worker for services of a contract: those of `WorkerOptions`, except `service` and `codec`.
 *
 *     new Worker({ contract, services: { 'tax.rate': ({ value }) => ({ rate: rateOf(value.country) }) } });
 */
export interface ContractWorkerOptions<Types> extends Omit<
  WorkerOptions,
  'service' | 'services' | 'codec' | 'contract' | 'interceptors'
> {
  /**
   * The contract, from `defineService`. Requests that its validators refuse do not reach the handler: the client gets
   * the `ServiceError` `invalid_argument`.
   */
  readonly contract: Contract<Types>;
  /** The handlers of some or all of its services. */
  readonly services: HandlersOf<Types>;
  /** Interceptors, as `WorkerOptions.interceptors`, for handlers of any type. */
  readonly interceptors?: readonly WorkerInterceptor<unknown, unknown>[];
}

/**
 * Options of `Worker.close`.
 *
 *     await worker.close({ graceMs: 30_000 });
 */
export interface CloseOptions {
  /** How long running requests may take to finish, in milliseconds. Default 10000. */
  readonly graceMs?: number;
}

type Values = ValuesOf<typeof WORKER_OPTIONS>;

/** `WorkerOptions` with defaults filled in. */
export interface WorkerSettings extends Omit<Values, 'endpoints' | 'services' | 'name' | 'dial'> {
  readonly endpoints: readonly string[];
  readonly services: readonly OfferedService[];
  /** `null`: none is sent. */
  readonly name: string | null;
  readonly version: MdpVersion;
  readonly dial: Dial;
}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function workerSettings(given: unknown, handler: unknown): WorkerSettings {
  const options = readOptions('Worker', WORKER_OPTIONS satisfies TableOf<WorkerOptions>, given);
  return {
    ...options,
    services: offeredServices(options, handler),
    endpoints: endpointList(options.endpoints),
    name: workerName(options.name),
    version: versionOf(options.protocol),
    dial: givenDialOr(options, (curve) => dialOf(options.transport, curve, WORKER_LIMITS)),
  };
}

/** @returns milliseconds @throws ERR_MDP_OPTION */
export function closeGraceMs(given: unknown): number {
  return readOptions('close', CLOSE_OPTIONS satisfies TableOf<CloseOptions>, given).graceMs;
}

/** @throws ERR_MDP_OPTION */
function workerName(given: unknown): string | null {
  if (given === undefined) return nameOfProcess();
  if (typeof given !== 'string') throw wrong('name', 'must be a string');
  checkText('name', given);
  if (Array.from(given).length > NAME_CHARACTERS_MAX) {
    throw wrong('name', `must have at most ${NAME_CHARACTERS_MAX} characters`);
  }
  return given === '' ? null : given;
}

/** Cuts the host name if necessary, never the process id. */
function nameOfProcess(): string {
  const suffix = `:${process.pid}`;
  return hostname().slice(0, NAME_CHARACTERS_MAX - suffix.length) + suffix;
}
