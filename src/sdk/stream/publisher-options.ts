/** The options of a publisher, and the settings that are made of them. */
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import { encodeZ85 } from '../../core/z85.js';
import { type Endpoints, endpointList } from '../endpoints.js';
import { wrong } from '../errors.js';
import { curveKey, curveOptions, readOptions } from '../option-reader.js';
import { PUBLISHER_OPTIONS, type TableOf } from '../option-tables.js';

/**
 * Options of `Publisher`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION, which names it in
 * `details.option`.
 *
 *     new Publisher({ listen: 'tcp://127.0.0.1:5560', outputBytes: 8_388_608 });
 */
export interface PublisherOptions {
  /**
   * Where to listen: one endpoint, or several. `tcp://127.0.0.1:0` is a free port of this machine,
   * `tcp://*:5560` that port on all its addresses.
   */
  readonly listen: Endpoints;
  /** Encrypts everything, and admits subscribers by their keys. Default: none, no encryption. */
  readonly curve?: PublisherCurveOptions;
  /**
   * What may wait for one subscriber, in bytes. A subscriber that does not read, and so reaches it, is closed. So is
   * every subscriber that gets a message which is larger than this alone: keep messages well below. Default 64 MiB.
   */
  readonly outputBytes?: number;
  /** Maximum number of connections at each endpoint; seven eighths of them from one address. Default 10000. */
  readonly maxConnections?: number;
}

/**
 * CURVE of a publisher (25/ZMTP-CURVE).
 *
 *     new Publisher({ listen: 'tcp://*:5560', curve: { secretKey, allow: [subscriberKey] } });
 */
export interface PublisherCurveOptions {
  /** The publisher's secret key: 40 characters of Z85, or 32 bytes. */
  readonly secretKey: string | Uint8Array;
  /** Public keys of the subscribers that may connect; `any`: all who know the publisher's public key. */
  readonly allow: readonly (string | Uint8Array)[] | 'any';
}

/** `PublisherOptions` with defaults filled in. */
export interface PublisherSettings {
  readonly endpoints: readonly string[];
  readonly curve: ListenerCurve | null;
  readonly outputBytesMax: number;
  readonly connectionsMax: number;
}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function publisherSettings(given: unknown): PublisherSettings {
  const table = PUBLISHER_OPTIONS satisfies TableOf<PublisherOptions>;
  const { listen, curve, outputBytes, maxConnections } = readOptions('Publisher', table, given);
  if (listen === undefined) {
    throw wrong('listen', 'must be given, for example tcp://127.0.0.1:5560');
  }
  return {
    endpoints: endpointList(listen, 'listen'),
    curve: listenerCurve(curve),
    outputBytesMax: outputBytes,
    connectionsMax: maxConnections,
  };
}

/** @throws ERR_MDP_OPTION */
function listenerCurve(given: unknown): ListenerCurve | null {
  if (given === undefined) return null;
  const { secretKey, allow } = curveOptions(given, ['secretKey', 'allow']);
  const secretKeys = [curveKey('secretKey', secretKey)];
  const admitted = admittedKeys(allow);
  return {
    secretKeys,
    authorise: (publicKey) => {
      const name = encodeZ85(publicKey);
      const isAllowed = admitted?.has(name) !== false;
      return isAllowed ? { kind: 'allowed', name } : { kind: 'refused' };
    },
  };
}

/** The admitted keys in Z85; `null`: all are admitted. */
function admittedKeys(allow: unknown): ReadonlySet<string> | null {
  if (allow === 'any') return null;
  if (!Array.isArray(allow)) throw wrong('curve.allow', "must be 'any' or a list of public keys");
  return new Set(allow.map((key: unknown, at) => encodeZ85(curveKey(`allow[${at}]`, key))));
}
