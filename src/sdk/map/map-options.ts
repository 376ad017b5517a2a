/** The options of a shared map: types, defaults, ranges. */
import {
  keyProblem,
  KEY_BYTES_MAX,
  BROKER_KEYS,
  subtreeProblem,
  TTL_S_MAX,
} from '../../wire/chp-client.js';
import type { Body } from '../body.js';
import { checkedCodec, type Codec } from '../codec/codec.js';
import { MAP_DEFAULTS } from '../defaults.js';
import type { CurveClientKeys } from '../dials.js';
import type { Endpoints } from '../endpoints.js';
import { checkText, sdkError, wrong } from '../errors.js';
import { type CurveOptions, DAY_MS, isSignal, Options } from '../option-reader.js';

/** A value of a map without a codec: text (stored as UTF-8) or bytes; not empty. */
export type MapValue = Exclude<Body, readonly unknown[]>;

/**
 * Options of `SharedMap`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION, which names it in
 * `details.option`.
 *
 *     new SharedMap({ endpoints: ['tcp://a:5570', 'tcp://b:5570'], subtree: '/config/', codec: json() });
 *
 * @typeParam In what the codec makes values of
 * @typeParam Out what the codec reads from values
 */
export interface SharedMapOptions<In = MapValue, Out = Buffer> {
  /**
   * The endpoint of `map.listen`, or of both nodes of a pair: `'tcp://a:5570'`, several in one text, separated by
   * commas, or a list. The next two ports of each are used as well.
   */
  readonly endpoints: Endpoints;
  /** The keys to hold and to change: those that begin with it. It begins and ends with `/`. Default: all. */
  readonly subtree?: string;
  /** Reads and makes values; for instance `json()`. Default: bytes. */
  readonly codec?: Codec<In, Out>;
  /**
   * How long `set` and `delete` wait until a change is safe, in milliseconds. Above 10000 a change may be made a second
   * time, over a newer value: see `SharedMap.set`. Default 10000.
   */
  readonly timeoutMs?: number;
  /** Maximum number of changes that wait for that. Default 10000. */
  readonly maxOutstanding?: number;
  /**
   * How large the map may be, in bytes: keys, values, and 128 for each. A larger one is ERR_MAP_LIMIT. While a
   * snapshot arrives, the map before it is held as well. Default 256 MiB.
   */
  readonly maxBytes?: number;
  /** Keys, if `map.listen` uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Ends the map with ERR_MDP_ABORTED. Default: none. */
  readonly signal?: AbortSignal;
}

/**
 * Options of `SharedMap.delete`.
 *
 *     await map.delete('/config/limit', { timeoutMs: 2000 });
 */
export interface MapDeleteOptions {
  /** How long to wait until the change is safe, in milliseconds; see `SharedMapOptions`. Default: that of the map. */
  readonly timeoutMs?: number;
  /** Ends the wait with ERR_MDP_ABORTED; the change may have been made. */
  readonly signal?: AbortSignal;
}

/**
 * Options of `SharedMap.set`.
 *
 *     await map.set('/workers/eu-1', 'ready', { ttlMs: 10_000 });
 */
export interface MapSetOptions extends MapDeleteOptions {
  /**
   * How long the key lives, in milliseconds, rounded up to whole seconds: it is deleted unless it is set again
   * before. Longer by at most this after a failover or a restart. Default: for ever.
   */
  readonly ttlMs?: number;
}

/** `SharedMapOptions` with defaults filled in. */
export interface SharedMapSettings {
  readonly endpoints: readonly string[];
  readonly subtree: Buffer;
  readonly codec: Codec | undefined;
  readonly timeoutMs: number;
  readonly maxOutstanding: number;
  readonly maxBytes: number;
  readonly curve: CurveClientKeys | null;
  readonly signal: AbortSignal | null;
}

export interface ChangeSettings {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** The properties of the change; empty: no time to live. */
  readonly properties: Buffer;
}

const OUTSTANDING_MAX = 1_000_000;
const BYTES_MAX = 4_294_967_296;
const TCP = /^tcp:\/\/.+:(\d{1,5})$/;
/** Two more ports follow it. */
const PORT_MAX = 65_533;
const NO_PROPERTIES: Buffer = Buffer.alloc(0);

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function sharedMapSettings(given: unknown): SharedMapSettings {
  const options = new Options('SharedMap', given);
  if (!options.given('endpoints')) {
    throw wrong('endpoints', 'must be given, for example tcp://127.0.0.1:5570');
  }
  const settings: SharedMapSettings = {
    endpoints: [...new Set(options.endpoints())],
    subtree: subtreeBytes(options.take('subtree')),
    codec: checkedCodec(options.take('codec')),
    timeoutMs: options.integer('timeoutMs', MAP_DEFAULTS.timeoutMs, 1, DAY_MS),
    maxOutstanding: options.integer(
      'maxOutstanding',
      MAP_DEFAULTS.maxOutstanding,
      1,
      OUTSTANDING_MAX,
    ),
    maxBytes: options.integer('maxBytes', MAP_DEFAULTS.maxBytes, 1, BYTES_MAX),
    curve: options.curve() ?? null,
    signal: options.optional('signal', isSignal, 'an AbortSignal') ?? null,
  };
  options.end();
  for (const endpoint of settings.endpoints) checkPorts(endpoint);
  return settings;
}

/** @throws ERR_MDP_OPTION */
export function changeSettings(
  what: 'set' | 'delete',
  given: unknown,
  map: SharedMapSettings,
): ChangeSettings {
  const options = new Options(what, given);
  const settings: ChangeSettings = {
    timeoutMs: options.integer('timeoutMs', map.timeoutMs, 1, DAY_MS),
    signal: options.optional('signal', isSignal, 'an AbortSignal'),
    properties: what === 'set' ? ttlProperty(options) : NO_PROPERTIES,
  };
  options.end();
  return settings;
}

/** The bytes of a key that may be changed. @throws ERR_MDP_OPTION */
export function keyBytes(key: unknown, subtree: Buffer): Buffer {
  if (typeof key !== 'string') throw wrong('key', 'must be a string');
  checkText('key', key);
  const bytes = Buffer.from(key, 'utf8');
  if (bytes.length < 1 || bytes.length > KEY_BYTES_MAX) {
    throw wrong('key', `must have 1 to ${KEY_BYTES_MAX} bytes`);
  }
  const problem = keyProblem(bytes);
  if (problem !== null) throw wrong('key', `cannot be ${JSON.stringify(key)}: ${problem}`);
  if (!bytes.subarray(0, subtree.length).equals(subtree)) {
    throw wrong('key', `must begin with ${subtree.toString('utf8')}, the subtree of this map`);
  }
  if (key.startsWith(BROKER_KEYS)) {
    throw wrong('key', `cannot be below ${BROKER_KEYS}: those keys are the broker's`);
  }
  return bytes;
}

function subtreeBytes(given: unknown): Buffer {
  if (given === undefined) return NO_PROPERTIES;
  if (typeof given !== 'string') throw wrong('subtree', 'must be a string');
  checkText('subtree', given);
  const bytes = Buffer.from(given, 'utf8');
  const problem = subtreeProblem(bytes);
  if (problem === null) return bytes;
  throw wrong('subtree', `cannot be ${JSON.stringify(given)}: ${problem}`);
}

function ttlProperty(options: Options): Buffer {
  if (!options.given('ttlMs')) return NO_PROPERTIES;
  const ttlMs = options.integer('ttlMs', 0, 1, TTL_S_MAX * 1000);
  return Buffer.from(`ttl=${Math.ceil(ttlMs / 1000)}\n`);
}

/** @throws ERR_MDP_ENDPOINT */
function checkPorts(endpoint: string): void {
  const port = Number(TCP.exec(endpoint)?.[1] ?? 0);
  if (port >= 1 && port <= PORT_MAX) return;
  const text = `endpoints: not an endpoint of a map: ${endpoint} (tcp://HOST:PORT, of which the next two ports are used, too)`;
  throw sdkError('ERR_MDP_ENDPOINT', text, { details: { option: 'endpoints', endpoint } });
}
