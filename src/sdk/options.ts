/** The SDK's options: types, defaults, ranges. Every error names its option. */
import { didYouMean } from '../core/nearest.js';
import { isWhole } from '../core/numbers.js';
import type { Dial } from '../zmtp/link-port.js';
import { type Headers, headersFault } from '../wire/headers.js';
import { type MdpVersion, SERVICE_NAME_BYTES_MAX } from '../wire/mdp.js';
import { optionLike } from '../wire/submit-options.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../core/z85.js';
import { checkSodium } from '../zmtp/curve/sodium.js';
import type { CurveClientKeys } from '../zmtp/link.js';
import type { Body } from './body.js';
import { checkedCodec, type Codec } from './codec/codec.js';
import { checkedContract, type Contract, type NoServices } from './codec/contract.js';
import type { ClientInterceptor } from './client/client-interceptors.js';
import { CLIENT_DEFAULTS } from './defaults.js';
import { dialOf, freelanceDial, type TransportName } from './dials.js';
import { endpointList, type Endpoints } from './endpoints.js';
import { checkText, sdkError, wrong } from './errors.js';

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

/**
 * Options of `Client` and `connect`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION,
 * which names it in `details.option`.
 *
 *     new Client({ endpoints: ['tcp://a:5555', 'tcp://b:5555'], timeoutMs: 1000, retries: 5 });
 *
 * @typeParam In what the codec makes bodies of
 * @typeParam Out what the codec reads from replies
 * @typeParam Types the services of the contract
 */
export interface ClientOptions<In = Body, Out = Buffer, Types = NoServices> {
  /**
   * The broker, or the nodes of a pair, in order: `'tcp://127.0.0.1:5555'`, several in one text, separated by commas,
   * or a list. Default: the environment variable `MAJORDOMO_URL`.
   */
  readonly endpoints?: Endpoints | undefined;
  /**
   * The time of one attempt, in milliseconds: without an answer the request is sent again. The whole call
   * takes at most `(1 + retries) × timeoutMs`, and at most `deadlineMs`. Default 2500.
   */
  readonly timeoutMs?: number;
  /**
   * The most that a whole call takes, in milliseconds, with all its attempts and pauses; `timeoutMs` is the time of
   * one attempt. Of a stream, it is the time until its last part has come. Default: none.
   */
  readonly deadlineMs?: number | undefined;
  /** How many attempts there are after the first; 0: it is sent again only after a refusal. Default 3. */
  readonly retries?: number;
  /** Maximum number of outstanding requests; more are ERR_MDP_LIMIT. Default 100000. */
  readonly maxOutstanding?: number;
  /**
   * What happens to a request, but not a durable one, if its service has no worker: it waits for a worker
   * as long as its time-outs allow, or fails at once with ERR_MDP_NO_WORKER. The broker still waits for a
   * worker that it has just lost. Brokers that do not support the option wait. Default `wait`.
   */
  readonly ifNoWorker?: 'wait' | 'fail';
  /** Maximum size of the unread parts of one reply, in bytes; each frame counts as 100 more. Default 64 MiB. */
  readonly streamBufferBytes?: number;
  /** The MDP version. Default `0.2`. */
  readonly protocol?: Protocol;
  /** False for brokers that return no envelope: uses one connection per request. Default true. */
  readonly envelope?: boolean;
  /** Maximum number of connections with `envelope: false`; more requests wait. Default 64. */
  readonly maxLinks?: number;
  /**
   * First and longest pause after a refusal or a lost connection, in milliseconds. Each is shortened by up to half, at random.
   * Defaults 100 and 2000.
   */
  readonly retryBaseMs?: number;
  /** The longest such pause, in milliseconds: see `retryBaseMs`. */
  readonly retryMaxMs?: number;
  /**
   * `failover`: one broker at a time, the next when it fails. `freelance`: `endpoints` are several brokers
   * that know nothing of each other; the client is connected to all, and sends each request to the first
   * one that is alive. None may be named twice. Their services must be stateless, or idempotent; durable requests and schedules are
   * refused with ERR_MDP_USAGE. Default `failover`.
   */
  readonly strategy?: 'failover' | 'freelance';
  /**
   * With `strategy: 'freelance'`: a request without an answer for so long is sent to the next broker that is
   * alive, too, and so on; the first answer wins. In milliseconds; 0: to all at once. Choose what is a
   * slow answer, such as the 95th percentile. Default: not while the broker is alive and `timeoutMs` lasts.
   */
  readonly hedgeMs?: number;
  /**
   * With `strategy: 'freelance'`: a broker of which nothing was heard for so long is sent a PING, and after twice
   * the time it is taken for dead. In milliseconds. Default 1000.
   */
  readonly pingIntervalMs?: number;
  /**
   * Makes bodies of values, and reads `reply.value`; for instance `json()`. Requests to `mmi.*` and
   * `titanic.*` have bodies of text and bytes all the same. Default: bodies of text and bytes.
   */
  readonly codec?: Codec<In, Out>;
  /** The services that `call` knows, from `defineService`. */
  readonly contract?: Contract<Types>;
  /** Functions around each request, the first outermost: see `ClientInterceptor`. Default: none. */
  readonly interceptors?: readonly ClientInterceptor[];
  /** Socket engine: `zmtp`, which needs no native module, or `libzmq`. Default `zmtp`. */
  readonly transport?: TransportName;
  /** Keys, if the broker's listener uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Opens connections, instead of `transport`. */
  readonly dial?: Dial;
}

/**
 * Options of one request.
 *
 *     await client.request('echo', 'hello', { timeoutMs: 500, retries: 0, signal: controller.signal });
 */
export interface RequestOptions {
  /**
   * Instead of the client's `timeoutMs`, in milliseconds: the time of one attempt. The whole call takes at most
   * `(1 + retries) × timeoutMs`, and at most `deadlineMs`.
   */
  readonly timeoutMs?: number;
  /**
   * Instead of the client's `deadlineMs`, in milliseconds: the most that the whole call takes, with all its attempts
   * and pauses; `timeoutMs` is the time of one attempt. When it is over: ERR_MDP_TIMEOUT, or the reason why no
   * broker took the request. Of a stream, it is the time until its last part has come. With `headers`, the worker
   * learns of it.
   */
  readonly deadlineMs?: number | undefined;
  /** Instead of the client's `retries`. */
  readonly retries?: number;
  /** Aborting it cancels the request: ERR_MDP_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Metadata beside the body, such as a trace context: `request.headers` in the handler. At most 64, with
   * names of 1 to 64 characters of `a-z`, `0-9` and `-`, and 8 KiB as JSON. A request with headers, also with
   * `{}`, tells the worker how long this client waits. The client sends it only to a broker that supports
   * headers; otherwise it fails with ERR_MDP_UNSUPPORTED. Default: none.
   */
  readonly headers?: Headers | undefined;
}

/** How a client uses several servers that know nothing of each other. */
export interface FreelanceSettings {
  /** `null`: none. */
  readonly hedgeMs: number | null;
  readonly pingIntervalMs: number;
}

/** How long a call waits. */
export interface Patience {
  readonly timeoutMs: number;
  readonly retries: number;
  /** `undefined`: none. */
  readonly deadlineMs: number | undefined;
}

/** `ClientOptions` with defaults filled in. */
export interface ClientSettings extends Patience {
  readonly endpoints: readonly string[];
  readonly maxOutstanding: number;
  readonly failsWithoutWorker: boolean;
  readonly streamBufferBytes: number;
  readonly version: MdpVersion;
  readonly envelope: boolean;
  readonly maxLinks: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  /** `null`: the strategy is `failover`. */
  readonly freelance: FreelanceSettings | null;
  readonly codec: Codec | undefined;
  readonly contract: Contract<unknown> | undefined;
  /** `null`: none. */
  readonly interceptors: readonly ClientInterceptor[] | null;
  readonly dial: Dial;
}

export const DAY_MS = 86_400_000;
const MIB = 1_048_576;

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function clientSettings(given: unknown): ClientSettings {
  const options = new Options('Client', endpointsOrOptions(given));
  const settings: ClientSettings = {
    endpoints: options.endpoints(),
    ...options.limits(),
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
    freelance: freelanceOf(options),
    codec: checkedCodec(options.take('codec')),
    contract: checkedContract(options.take('contract')),
    interceptors: options.interceptors() as readonly ClientInterceptor[] | null,
    dial: options.dial(CLIENT_DEFAULTS.transport),
  };
  if (settings.failsWithoutWorker && !settings.envelope) {
    throw wrong(
      'ifNoWorker',
      "cannot be 'fail' with envelope: false: such brokers do not report it",
    );
  }
  if (settings.freelance !== null && !settings.envelope) {
    throw wrong('strategy', "cannot be 'freelance' with envelope: false");
  }
  if (settings.freelance !== null) checkDistinct(settings.endpoints);
  options.end();
  return settings;
}

/**
 * Options of `FreelanceClient`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION.
 *
 *     new FreelanceClient({ endpoints: ['tcp://a:5555', 'tcp://b:5555'], hedgeMs: 50 });
 *
 * @typeParam In what the codec makes bodies of
 * @typeParam Out what the codec reads from replies
 */
export interface FreelanceClientOptions<In = Body, Out = Buffer> {
  /**
   * The servers, in order of preference, each once: text, several in one text, separated by commas, or a list. Default:
   * the environment variable `MAJORDOMO_URL`.
   */
  readonly endpoints?: Endpoints | undefined;
  /**
   * A request without an answer for so long is sent to the next server that is alive, too, and so on; the
   * first answer wins. In milliseconds; 0: to all at once. Default: not while the server is alive and
   * `timeoutMs` lasts.
   */
  readonly hedgeMs?: number;
  /**
   * A server of which nothing was heard for so long is sent a PING, and after twice the time it is taken for
   * dead. In milliseconds. Default 1000.
   */
  readonly pingIntervalMs?: number;
  /**
   * The time of one attempt, in milliseconds; the whole call takes at most `(1 + retries) × timeoutMs`, and at most
   * `deadlineMs`. Default 2500.
   */
  readonly timeoutMs?: number;
  /** The most that a whole call takes, in milliseconds; `timeoutMs` is the time of one attempt. Default: none. */
  readonly deadlineMs?: number | undefined;
  /** How many times a request may be sent again to servers that were asked before. Default 3. */
  readonly retries?: number;
  /** Maximum number of outstanding requests; more are ERR_MDP_LIMIT. Default 100000. */
  readonly maxOutstanding?: number;
  /** Makes bodies of values, and reads `reply.value`. Default: bodies of text and bytes. */
  readonly codec?: Codec<In, Out>;
  /** Keys, if the servers use CURVE: all have the same public key. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Opens connections, instead of this package's engine. */
  readonly dial?: Dial;
}

/** `FreelanceClientOptions` with defaults filled in. */
export interface FreelanceClientSettings extends Patience {
  readonly endpoints: readonly string[];
  readonly freelance: FreelanceSettings;
  readonly maxOutstanding: number;
  readonly codec: Codec | undefined;
  readonly dial: Dial;
}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function freelanceClientSettings(given: unknown): FreelanceClientSettings {
  const options = new Options('FreelanceClient', endpointsOrOptions(given));
  const settings = {
    endpoints: options.endpoints(),
    freelance: options.freelance(),
    ...options.limits(),
    codec: checkedCodec(options.take('codec')),
    dial: options.freelanceDial(),
  };
  checkDistinct(settings.endpoints);
  options.end();
  return settings;
}

/** Checks that no endpoint is named twice: it would be asked twice. @throws ERR_MDP_OPTION */
function checkDistinct(endpoints: readonly string[]): void {
  const twice = endpoints.find((endpoint, index) => endpoints.indexOf(endpoint) !== index);
  if (twice === undefined) return;
  throw wrong('endpoints', `must be different brokers or servers: ${twice} is named twice`);
}

/** What a client's only argument is: endpoints alone, or options. */
function endpointsOrOptions(given: unknown): unknown {
  return typeof given === 'string' || Array.isArray(given) ? { endpoints: given } : given;
}

function freelanceOf(options: Options): FreelanceSettings | null {
  const { strategy } = CLIENT_DEFAULTS;
  if (options.oneOf('strategy', ['failover', 'freelance'], strategy) === 'freelance') {
    return options.freelance();
  }
  for (const name of ['hedgeMs', 'pingIntervalMs']) {
    if (options.given(name)) throw wrong(name, "needs strategy: 'freelance'");
  }
  return null;
}

/** `RequestOptions`, with the client's values as defaults. */
export interface RequestSettings extends Patience {
  readonly signal: AbortSignal | undefined;
  /** Checked. */
  readonly headers: Headers | undefined;
}

/** @throws ERR_MDP_OPTION */
export function requestSettings(given: unknown, client: ClientSettings): RequestSettings {
  const options = new Options('request', given);
  const settings = options.request(client);
  if (settings.headers !== undefined && (client.version === 1 || !client.envelope)) {
    throw wrong('headers', "needs protocol '0.2' and envelope: true");
  }
  options.end();
  return settings;
}

/** Reads the options of a request of a client without headers. @throws ERR_MDP_OPTION */
export function freelanceRequestSettings(
  given: unknown,
  client: FreelanceClientSettings,
): RequestSettings {
  const options = new Options('request', given);
  const settings = options.plainRequest(client);
  options.end();
  return settings;
}

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
  limits(): Patience & Pick<ClientSettings, 'maxOutstanding'> {
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
  request(client: ClientSettings, options: readonly string[] = []): RequestSettings {
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
