/** Reads the options of clients, workers and streams: what they have in common, and their ranges. */
import { didYouMean } from '../core/nearest.js';
import { isWhole } from '../core/numbers.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../core/z85.js';
import { type Headers, headersFault } from '../wire/headers.js';
import { type MdpVersion, SERVICE_NAME_BYTES_MAX } from '../wire/mdp.js';
import { optionLike } from '../wire/submit-options.js';
import { checkSodium } from '../zmtp/curve/sodium.js';
import type { CurveClientKeys } from '../zmtp/link.js';
import type { Dial } from '../zmtp/link-port.js';
import { CLIENT_DEFAULTS } from './defaults.js';
import { dialOf, freelanceDial, type TransportName } from './dials.js';
import { endpointList } from './endpoints.js';
import { checkText, sdkError, wrong } from './errors.js';
import type { Patience, RequestSettings } from './request-options.js';

/** MDP version to speak: 7/MDP is `0.1`, 18/MDP is `0.2`. */
export type Protocol = '0.1' | '0.2';

/**
 * CURVE (25/ZMTP-CURVE): encrypts the connection, and accepts only the broker with this key.
 *
 *     connect('tcp://broker:5557', { curve: { serverKey, publicKey, secretKey } });
 */
export interface CurveOptions {
  /** The broker's public key: 40 characters of Z85, or 32 bytes. */
  readonly serverKey: string | Uint8Array;
  /** The public key of this program, in the form of `serverKey`. */
  readonly publicKey: string | Uint8Array;
  /** The secret key of this program, in the form of `serverKey`. */
  readonly secretKey: string | Uint8Array;
}

/** How a client uses several servers that know nothing of each other. */
export interface FreelanceSettings {
  /** `null`: none. */
  readonly hedgeMs: number | null;
  readonly pingIntervalMs: number;
}

export const DAY_MS = 86_400_000;

/** The bytes of a service name. @throws ERR_MDP_OPTION */
export function serviceName(service: unknown): Buffer {
  if (typeof service !== 'string') throw wrong('service', 'must be a string');
  checkText('service', service);
  const bytes = Buffer.from(service, 'utf8');
  if (bytes.length < 1 || bytes.length > SERVICE_NAME_BYTES_MAX) {
    throw wrong('service', `must have 1 to ${SERVICE_NAME_BYTES_MAX} bytes`);
  }
  return bytes;
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

  integer<None>(name: string, fallback: None, min: number, max: number): number | None {
    const value = this.take(name);
    if (value === undefined) return fallback;
    if (isWhole(value, min, max)) return value;
    throw wrong(name, `must be a whole number from ${min} to ${max}`);
  }

  /** How long the calls of a client wait, and how many may. */
  limits(): Patience & { readonly maxOutstanding: number } {
    const { maxOutstanding } = CLIENT_DEFAULTS;
    return {
      ...this.#patience({ ...CLIENT_DEFAULTS, deadlineMs: undefined }),
      maxOutstanding: this.integer('maxOutstanding', maxOutstanding, 1, 10_000_000),
    };
  }

  #patience({ timeoutMs, retries, deadlineMs }: Patience): Patience {
    return {
      timeoutMs: this.integer('timeoutMs', timeoutMs, 1, DAY_MS),
      retries: this.integer('retries', retries, 0, 1000),
      deadlineMs: this.integer('deadlineMs', deadlineMs, 1, DAY_MS),
    };
  }

  freelance(): FreelanceSettings {
    return {
      hedgeMs: this.given('hedgeMs') ? this.integer('hedgeMs', 0, 0, DAY_MS) : null,
      pingIntervalMs: this.integer('pingIntervalMs', CLIENT_DEFAULTS.pingIntervalMs, 10, DAY_MS),
    };
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

  /** The options of one request. @param options names that no header may look like */
  request(client: Patience, options: readonly string[] = []): RequestSettings {
    return { ...this.plainRequest(client), headers: this.#headers(options) };
  }

  /** Reads the options of one request, but no headers. */
  plainRequest(client: Patience): RequestSettings {
    return {
      ...this.#patience(client),
      signal: this.optional('signal', isSignal, 'an AbortSignal'),
      headers: undefined,
    };
  }

  /** A copy, which nobody changes. */
  #headers(options: readonly string[]): Headers | undefined {
    const given = this.take('headers');
    if (given === undefined) return undefined;
    for (const name of Object.keys(given ?? {})) {
      const option = optionLike(name, options);
      if (option === undefined) continue;
      throw wrong('headers', `have one that looks like the option ${option}: use the option`);
    }
    const fault = headersFault(given);
    if (fault === null) return { ...(given as Headers) };
    throw sdkError('ERR_MDP_OPTION', fault, { details: { option: 'headers' } });
  }

  /** A copy of the list; `null`: none. */
  interceptors(): readonly unknown[] | null {
    const given = this.take('interceptors');
    if (given === undefined) return null;
    if (!Array.isArray(given)) throw wrong('interceptors', 'must be a list of functions');
    const list: readonly unknown[] = given;
    const other = list.findIndex((each) => typeof each !== 'function');
    if (other >= 0) throw wrong(`interceptors[${other}]`, 'must be a function');
    return list.length === 0 ? null : [...list];
  }

  version(fallback: Protocol): MdpVersion {
    return this.oneOf('protocol', ['0.1', '0.2'], fallback) === '0.1' ? 1 : 2;
  }

  dial(fallback: TransportName): Dial {
    const transport = this.oneOf('transport', ['zmtp', 'libzmq'], fallback);
    return this.#dialOr((curve) => dialOf(transport, curve));
  }

  freelanceDial(): Dial {
    return this.#dialOr(freelanceDial);
  }

  /** The option `dial`, or that of an engine with the option `curve`. */
  #dialOr(dialWith: (curve: CurveClientKeys | undefined) => Dial): Dial {
    const dial = this.optional('dial', isDial, 'a function');
    const curve = this.curve();
    if (dial === undefined) return dialWith(curve);
    if (curve !== undefined) throw wrong('curve', 'cannot be combined with dial');
    return dial;
  }

  /** The keys of a program that connects. */
  curve(): CurveClientKeys | undefined {
    const value = this.take('curve');
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null) {
      throw wrong('curve', 'must be {serverKey, publicKey, secretKey}');
    }
    const { serverKey, publicKey, secretKey, ...others }: Readonly<Record<string, unknown>> = {
      ...value,
    };
    for (const name of Object.keys(others)) throw wrong(`curve.${name}`, 'is not an option');
    checkSodium();
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
    return endpointList(this.take('endpoints'));
  }

  end(): void {
    for (const name of Object.keys(this.#given)) {
      if (this.#known.has(name)) continue;
      const meant = didYouMean(name, [...this.#known]);
      throw wrong(name, `is not an option of ${this.#what}${meant}`);
    }
  }
}

/**
 * A copy of the key, because the caller may wipe its own.
 * @param name of the option, below `curve`
 */
export function curveKey(name: string, value: unknown): Buffer {
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

export function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
  );
}
