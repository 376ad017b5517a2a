/** The SDK's options: types, defaults, ranges. Every error names its option. */
import { hostname } from 'node:os';

import type { Dial } from '../transport/port.js';
import { CREDIT_MAX, type MdpVersion, SERVICE_NAME_BYTES_MAX } from '../wire/mdp.js';
import { NAME_CHARACTERS_MAX } from '../wire/ready-options.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../core/z85.js';
import type { CurveClientKeys } from '../transport/zmtp/link.js';
import { CLIENT_DEFAULTS, CLOSE_DEFAULTS, WORKER_DEFAULTS } from './defaults.js';
import { dialOf, type TransportName } from './dials.js';
import { sdkError } from './errors.js';

/** MDP version to speak: 7/MDP is `0.1`, 18/MDP is `0.2`. */
export type Protocol = '0.1' | '0.2';

/** CURVE (25/ZMTP-CURVE): encrypts the connection, and accepts only the broker with this key. */
export interface CurveOptions {
  /** The broker's public key: 40 characters of Z85, or 32 bytes. */
  readonly serverKey: string | Uint8Array;
  readonly publicKey: string | Uint8Array;
  readonly secretKey: string | Uint8Array;
}

export interface ClientOptions {
  /** Endpoints such as `tcp://127.0.0.1:5555`: one broker, or the nodes of a pair, in order. */
  readonly endpoints: readonly string[];
  /** How long to wait for a reply before sending again, in milliseconds. Default 2500. */
  readonly timeoutMs?: number;
  /** How many times a request may be sent again; 0: only after a refusal. Default 3. */
  readonly retries?: number;
  /** Maximum number of outstanding requests; more are ERR_MDP_LIMIT. Default 100000. */
  readonly maxOutstanding?: number;
  /**
   * What happens to a request, but not a stored one, if its service has no worker: it waits for a worker
   * as long as its time-outs allow, or fails at once with ERR_MDP_NO_WORKER. The broker still waits for a
   * worker that it has just lost. Brokers that do not support the option wait. Default `wait`.
   */
  readonly ifNoWorker?: 'wait' | 'fail';
  /** Maximum size of the unread parts of one reply, in bytes. Default 64 MiB. */
  readonly streamBufferBytes?: number;
  /** The MDP version. Default `0.2`. */
  readonly protocol?: Protocol;
  /** False for brokers that return no envelope: uses one connection per request. Default true. */
  readonly envelope?: boolean;
  /** Maximum number of connections with `envelope: false`; more requests wait. Default 64. */
  readonly maxLinks?: number;
  /** First and longest pause after a refusal, before jitter, in milliseconds. Defaults 100 and 2000. */
  readonly retryBaseMs?: number;
  readonly retryMaxMs?: number;
  /** Socket engine: `zmtp`, which needs no native module, or `libzmq`. Default `zmtp`. */
  readonly transport?: TransportName;
  /** Keys, if the broker's listener uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Opens connections, instead of `transport`. */
  readonly dial?: Dial;
}

export interface RequestOptions {
  /** Instead of the client's `timeoutMs`. */
  readonly timeoutMs?: number;
  /** Instead of the client's `retries`. */
  readonly retries?: number;
  /** Aborting it cancels the request: ERR_MDP_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export interface WorkerOptions {
  /** Endpoints of brokers; the worker registers at every one of them. */
  readonly endpoints: readonly string[];
  /** The service that the worker offers, 1 to 255 bytes. */
  readonly service: string;
  /**
   * Name of the worker in lists and logs, if the broker supports names: at most 64 characters; empty:
   * no name. Default: host name and process id, `HOST:PID`.
   */
  readonly name?: string;
  /** Maximum number of requests at the same time, from all endpoints together. Default 1. */
  readonly concurrency?: number;
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
  readonly retryMaxMs?: number;
  /**
   * Whether clients get the message of every error that a handler throws. False: they get the message of
   * a `ServiceError`, and only the code of other errors. Default true.
   */
  readonly exposeErrors?: boolean;
  /**
   * Called with each error that a handler throws. Default: a process warning, at most one per second for
   * each code, with the number of omitted ones.
   */
  readonly onError?: (error: unknown, request: { readonly service: string }) => void;
  /** Socket engine: `zmtp`, which needs no native module, or `libzmq`. Default `zmtp`. */
  readonly transport?: TransportName;
  /** Keys, if the broker's listener uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Opens connections, instead of `transport`. */
  readonly dial?: Dial;
}

export interface CloseOptions {
  /** How long running requests may take to finish, in milliseconds. Default 10000. */
  readonly graceMs?: number;
}

/** `ClientOptions` with defaults filled in. */
export interface ClientSettings {
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxOutstanding: number;
  readonly failsWithoutWorker: boolean;
  readonly streamBufferBytes: number;
  readonly version: MdpVersion;
  readonly envelope: boolean;
  readonly maxLinks: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly dial: Dial;
}

/** `WorkerOptions` with defaults filled in. */
export interface WorkerSettings {
  readonly endpoints: readonly string[];
  readonly service: string;
  readonly serviceName: Buffer;
  /** `null`: none is sent. */
  readonly name: string | null;
  readonly concurrency: number;
  readonly version: MdpVersion;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatLiveness: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly exposeErrors: boolean;
  readonly onError: WorkerOptions['onError'];
  readonly dial: Dial;
}

export const DAY_MS = 86_400_000;
const MIB = 1_048_576;
const ENDPOINTS_MAX = 64;
const ENDPOINT = /^(tcp:\/\/.+:\d{1,5}|(ipc|inproc):\/\/.+)$/;

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function clientSettings(given: unknown): ClientSettings {
  const options = new Options('Client', given);
  const settings: ClientSettings = {
    endpoints: options.endpoints(),
    timeoutMs: options.integer('timeoutMs', CLIENT_DEFAULTS.timeoutMs, 1, DAY_MS),
    retries: options.integer('retries', CLIENT_DEFAULTS.retries, 0, 1000),
    maxOutstanding: options.integer(
      'maxOutstanding',
      CLIENT_DEFAULTS.maxOutstanding,
      1,
      10_000_000,
    ),
    failsWithoutWorker:
      options.oneOf('ifNoWorker', ['wait', 'fail'], CLIENT_DEFAULTS.ifNoWorker) === 'fail',
    streamBufferBytes: options.integer(
      'streamBufferBytes',
      CLIENT_DEFAULTS.streamBufferBytes,
      1,
      4096 * MIB,
    ),
    version: options.version(CLIENT_DEFAULTS.protocol),
    envelope: options.boolean('envelope', CLIENT_DEFAULTS.envelope),
    maxLinks: options.integer('maxLinks', CLIENT_DEFAULTS.maxLinks, 1, 10_000),
    retryBaseMs: options.integer('retryBaseMs', CLIENT_DEFAULTS.retryBaseMs, 1, DAY_MS),
    retryMaxMs: options.integer('retryMaxMs', CLIENT_DEFAULTS.retryMaxMs, 1, DAY_MS),
    dial: options.dial(CLIENT_DEFAULTS.transport),
  };
  if (settings.failsWithoutWorker && !settings.envelope) {
    throw wrong(
      'ifNoWorker',
      "cannot be 'fail' with envelope: false: such brokers do not report it",
    );
  }
  options.end();
  return settings;
}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function workerSettings(given: unknown): WorkerSettings {
  const options = new Options('Worker', given);
  const service = serviceName(options.take('service'));
  const settings: WorkerSettings = {
    endpoints: options.endpoints(),
    service: service.toString('utf8'),
    serviceName: service,
    name: workerName(options.take('name')),
    concurrency: options.integer('concurrency', WORKER_DEFAULTS.concurrency, 1, CREDIT_MAX),
    version: options.version(WORKER_DEFAULTS.protocol),
    heartbeatIntervalMs: options.integer(
      'heartbeatIntervalMs',
      WORKER_DEFAULTS.heartbeatIntervalMs,
      10,
      DAY_MS,
    ),
    heartbeatLiveness: options.integer(
      'heartbeatLiveness',
      WORKER_DEFAULTS.heartbeatLiveness,
      1,
      1000,
    ),
    retryBaseMs: options.integer('retryBaseMs', WORKER_DEFAULTS.retryBaseMs, 1, DAY_MS),
    retryMaxMs: options.integer('retryMaxMs', WORKER_DEFAULTS.retryMaxMs, 1, DAY_MS),
    exposeErrors: options.boolean('exposeErrors', WORKER_DEFAULTS.exposeErrors),
    onError: options.optional('onError', isErrorHook, 'a function'),
    dial: options.dial(WORKER_DEFAULTS.transport),
  };
  options.end();
  return settings;
}

/** `RequestOptions`, with the client's values as defaults. */
export interface RequestSettings {
  readonly timeoutMs: number;
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws ERR_MDP_OPTION */
export function requestSettings(given: unknown, client: ClientSettings): RequestSettings {
  const options = new Options('request', given);
  const settings = options.request(client);
  options.end();
  return settings;
}

/** @returns milliseconds @throws ERR_MDP_OPTION */
export function closeGraceMs(given: unknown): number {
  const options = new Options('close', given);
  const graceMs = options.integer('graceMs', CLOSE_DEFAULTS.graceMs, 0, DAY_MS);
  options.end();
  return graceMs;
}

/** The bytes of a service name. @throws ERR_MDP_OPTION */
export function serviceName(service: unknown): Buffer {
  if (typeof service !== 'string') throw wrong('service', 'must be a string');
  const bytes = Buffer.from(service, 'utf8');
  if (bytes.length < 1 || bytes.length > SERVICE_NAME_BYTES_MAX) {
    throw wrong('service', `must have 1 to ${SERVICE_NAME_BYTES_MAX} bytes`);
  }
  return bytes;
}

/** @throws ERR_MDP_OPTION */
function workerName(given: unknown): string | null {
  if (given === undefined) return nameOfProcess();
  if (typeof given !== 'string') throw wrong('name', 'must be a string');
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

/** ERR_MDP_OPTION. */
export function wrong(option: string, what: string): Error {
  return sdkError('ERR_MDP_OPTION', `${option} ${what}`, { details: { option } });
}

/** Reads the options of an object one by one; `end` rejects unknown ones. */
export class Options {
  readonly #what: string;
  readonly #given: Readonly<Record<string, unknown>>;
  readonly #known = new Set<string>();

  constructor(what: string, given: unknown) {
    if (given !== undefined && (typeof given !== 'object' || given === null)) {
      throw wrong(`options of ${what}`, 'must be an object');
    }
    this.#what = what;
    this.#given = { ...given };
  }

  take(name: string): unknown {
    this.#known.add(name);
    return this.#given[name];
  }

  /** True if the option was given. */
  given(name: string): boolean {
    return this.take(name) !== undefined;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = this.take(name);
    if (value === undefined) return fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw wrong(name, `must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.take(name);
    if (value === undefined) return fallback;
    if (typeof value !== 'boolean') throw wrong(name, 'must be true or false');
    return value;
  }

  oneOf<T extends string>(name: string, values: readonly T[], fallback: T): T {
    const value = this.take(name);
    if (value === undefined) return fallback;
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    throw wrong(name, `must be ${values.map((one) => `'${one}'`).join(' or ')}`);
  }

  /** `timeoutMs`, `retries` and `signal` of one request. */
  request(client: ClientSettings): RequestSettings {
    return {
      timeoutMs: this.integer('timeoutMs', client.timeoutMs, 1, DAY_MS),
      retries: this.integer('retries', client.retries, 0, 1000),
      signal: this.optional('signal', isSignal, 'an AbortSignal'),
    };
  }

  version(fallback: Protocol): MdpVersion {
    return this.oneOf('protocol', ['0.1', '0.2'], fallback) === '0.1' ? 1 : 2;
  }

  dial(fallback: TransportName): Dial {
    const transport = this.oneOf('transport', ['zmtp', 'libzmq'], fallback);
    const dial = this.optional('dial', isDial, 'a function');
    const curve = this.#curve();
    if (dial !== undefined) {
      if (curve !== undefined) throw wrong('curve', 'cannot be combined with dial');
      return dial;
    }
    return dialOf(transport, curve);
  }

  #curve(): CurveClientKeys | undefined {
    const value = this.take('curve');
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null) {
      throw wrong('curve', 'must be {serverKey, publicKey, secretKey}');
    }
    const { serverKey, publicKey, secretKey, ...others }: Readonly<Record<string, unknown>> = {
      ...value,
    };
    for (const name of Object.keys(others)) throw wrong(`curve.${name}`, 'is not an option');
    return {
      serverKey: curveKey('serverKey', serverKey),
      publicKey: curveKey('publicKey', publicKey),
      secretKey: curveKey('secretKey', secretKey),
    };
  }

  /** @param must what the value must be, in words */
  optional<T>(name: string, is: (value: unknown) => value is T, must: string): T | undefined {
    const value = this.take(name);
    if (value === undefined || is(value)) return value;
    throw wrong(name, `must be ${must}`);
  }

  endpoints(): readonly string[] {
    const value = this.take('endpoints');
    if (!Array.isArray(value) || value.length === 0 || value.length > ENDPOINTS_MAX) {
      throw wrong('endpoints', `must be an array of 1 to ${ENDPOINTS_MAX} strings`);
    }
    const list: readonly unknown[] = value;
    return list.map((endpoint) => {
      if (typeof endpoint !== 'string') throw wrong('endpoints', 'must be an array of strings');
      if (ENDPOINT.test(endpoint)) return endpoint;
      throw sdkError(
        'ERR_MDP_ENDPOINT',
        `not an endpoint: ${endpoint} (tcp://HOST:PORT, ipc://…)`,
        {
          details: { endpoint },
        },
      );
    });
  }

  end(): void {
    for (const name of Object.keys(this.#given)) {
      if (!this.#known.has(name)) throw wrong(name, `is not an option of ${this.#what}`);
    }
  }
}

/** A copy of the key, because the caller may wipe its own. */
function curveKey(name: string, value: unknown): Buffer {
  if (typeof value === 'string') {
    const key = decodeCurveKey(value);
    if (key !== null) return key;
  } else if (value instanceof Uint8Array && value.length === CURVE_KEY_BYTES) {
    return Buffer.from(value);
  }
  throw wrong(`curve.${name}`, `must be a key: 40 characters of Z85, or ${CURVE_KEY_BYTES} bytes`);
}

function isDial(value: unknown): value is Dial {
  return typeof value === 'function';
}

function isErrorHook(value: unknown): value is NonNullable<WorkerOptions['onError']> {
  return typeof value === 'function';
}

export function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
  );
}
