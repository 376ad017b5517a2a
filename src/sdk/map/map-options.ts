/** The options of a shared map, and the settings that are made of them. */
import type { CurveOptions } from '../curve.js';
import {
  keyProblem,
  MAP_KEY_BYTES_MAX,
  BROKER_KEYS,
  subtreeProblem,
} from '../../wire/chp-client.js';
import type { Body } from '../body.js';
import { checkedCodec, type Codec } from '../codec/codec.js';
import type { CurveClientKeys } from '../dials.js';
import { endpointList, type Endpoints } from '../endpoints.js';
import { checkText, sdkError, wrong } from '../errors.js';
import { curveKeys, readOptions } from '../option-reader.js';
import {
  MAP_DELETE_OPTIONS,
  MAP_SET_OPTIONS,
  SHARED_MAP_OPTIONS,
  type TableOf,
  type ValuesOf,
} from '../option-tables.js';

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

type Values = ValuesOf<typeof SHARED_MAP_OPTIONS>;

/** `SharedMapOptions` with defaults filled in. */
export interface SharedMapSettings extends Omit<
  Values,
  'endpoints' | 'subtree' | 'codec' | 'curve'
> {
  readonly endpoints: readonly string[];
  readonly subtree: Buffer;
  readonly codec: Codec | undefined;
  readonly curve: CurveClientKeys | null;
}

export interface ChangeSettings {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** The properties of the change; empty: no time to live. */
  readonly properties: Buffer;
}

const TCP = /^tcp:\/\/.+:(\d{1,5})$/;
/** Two more ports follow it. */
const PORT_MAX = 65_533;
const NO_PROPERTIES: Buffer = Buffer.alloc(0);

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function sharedMapSettings(given: unknown): SharedMapSettings {
  const table = SHARED_MAP_OPTIONS satisfies TableOf<SharedMapOptions>;
  const options = readOptions('SharedMap', table, given);
  if (options.endpoints === undefined) {
    throw wrong('endpoints', 'must be given, for example tcp://127.0.0.1:5570');
  }
  const endpoints = [...new Set(endpointList(options.endpoints))];
  for (const endpoint of endpoints) checkPorts(endpoint);
  return {
    ...options,
    endpoints,
    subtree: subtreeBytes(options.subtree),
    codec: checkedCodec(options.codec),
    curve: curveKeys(options.curve) ?? null,
  };
}

/** @throws ERR_MDP_OPTION */
export function changeSettings(
  what: 'set' | 'delete',
  given: unknown,
  map: SharedMapSettings,
): ChangeSettings {
  const { timeoutMs } = map;
  if (what === 'delete') {
    const table = MAP_DELETE_OPTIONS satisfies TableOf<MapDeleteOptions>;
    return { ...readOptions(what, table, given, { timeoutMs }), properties: NO_PROPERTIES };
  }
  const table = MAP_SET_OPTIONS satisfies TableOf<MapSetOptions>;
  const { ttlMs, ...settings } = readOptions(what, table, given, { timeoutMs });
  const ttl = ttlMs === undefined ? NO_PROPERTIES : Buffer.from(`ttl=${Math.ceil(ttlMs / 1000)}\n`);
  return { ...settings, properties: ttl };
}

/** The bytes of a key that may be changed. @throws ERR_MDP_OPTION */
export function keyBytes(key: unknown, subtree: Buffer): Buffer {
  if (typeof key !== 'string') throw wrong('key', 'must be a string');
  checkText('key', key);
  const bytes = Buffer.from(key, 'utf8');
  if (bytes.length < 1 || bytes.length > MAP_KEY_BYTES_MAX) {
    throw wrong('key', `must have 1 to ${MAP_KEY_BYTES_MAX} bytes`);
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

/** @throws ERR_MDP_ENDPOINT */
function checkPorts(endpoint: string): void {
  const port = Number(TCP.exec(endpoint)?.[1] ?? 0);
  if (port >= 1 && port <= PORT_MAX) return;
  const text = `endpoints: not an endpoint of a map: ${endpoint} (tcp://HOST:PORT, of which the next two ports are used, too)`;
  throw sdkError('ERR_MDP_ENDPOINT', text, { details: { option: 'endpoints', endpoint } });
}
