/**
 * Options of clients, what they do, and the settings that are made of them. Every error names its option. A
 * function `checked…` returns what it was given, if that is right; one `check…` only throws; all others make
 * a setting of an option.
 */
import type { MdpVersion } from '../wire/mdp.js';
import type { Dial } from '../zmtp/link-port.js';
import type { CurveOptions } from './curve.js';
import type { Body } from './body.js';
import type { ClientInterceptor } from './client/client-interceptors.js';
import { checkedCodec, type Codec } from './codec/codec.js';
import { checkedContract, type Contract, type NoServices } from './codec/contract.js';
import { dialOf, freelanceDial, type TransportName } from './dials.js';
import { endpointList, type Endpoints } from './endpoints.js';
import { wrong } from './errors.js';
import { givenDialOr, headersOf, type Protocol, readOptions, versionOf } from './option-reader.js';
import {
  CLIENT_OPTIONS,
  FREELANCE_CLIENT_OPTIONS,
  PLAIN_REQUEST_OPTIONS,
  REQUEST_OPTIONS,
  type TableOf,
  type ValuesOf,
} from './option-tables.js';
import type { RequestOptions, RequestSettings } from './request-options.js';

/**
 * Options of `Client` and `connect`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION,
 * which names it in `details.option`.
 *
 *     new Client({ endpoints: ['tcp://a:5555', 'tcp://b:5555'], timeoutMs: 5000 });
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
   * How long a whole call may take, in milliseconds; of a stream, until its last part has come. `Infinity`: until
   * there is an answer. If it is given, broker and worker are told of it. Default 10000.
   */
  readonly timeoutMs?: number;
  /**
   * Other brokers: after how many milliseconds without an answer a request is sent again to a broker that has no
   * session of this client, such as one of another kind, of 0.1.0, or with `transport: libzmq`; and a question to
   * the broker itself. One that was not heard of since is taken for dead. Default 2500.
   */
  readonly resendMs?: number;
  /** Maximum number of outstanding requests; more are ERR_MDP_LIMIT. Default 100000. */
  readonly maxOutstanding?: number;
  /**
   * What happens to a request, but not a durable one, if its service has no worker: it waits for a worker
   * as long as its `timeoutMs` allows, or fails at once with ERR_MDP_NO_WORKER. The broker still waits for a
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
   * slow answer, such as the 95th percentile. Default: not while the broker is alive and `resendMs` lasts.
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

/** The options that are made into something else, in the settings of every client. */
interface Made {
  readonly endpoints: readonly string[];
  readonly codec: Codec | undefined;
  readonly dial: Dial;
}
type FreelanceValues = ValuesOf<typeof FREELANCE_CLIENT_OPTIONS>;
type ClientValues = ValuesOf<typeof CLIENT_OPTIONS>;

/** `ClientOptions` with defaults filled in. */
export interface ClientSettings
  extends Made, Omit<ClientValues, keyof Made | 'contract' | 'interceptors'> {
  readonly version: MdpVersion;
  /** Whether the time of each call was named. */
  readonly saysTime: boolean;
  readonly contract: Contract<unknown> | undefined;
  /** `null`: none. */
  readonly interceptors: readonly ClientInterceptor[] | null;
}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function clientSettings(given: unknown): ClientSettings {
  const table = CLIENT_OPTIONS satisfies TableOf<ClientOptions>;
  const options = readOptions('Client', table, endpointsOrOptions(given));
  const { ifNoWorker, strategy, envelope, interceptors } = options;
  const settings = {
    ...options,
    endpoints: endpointList(options.endpoints),
    version: versionOf(options.protocol),
    saysTime: namesTime(given),
    codec: checkedCodec(options.codec),
    contract: checkedContract(options.contract),
    interceptors:
      interceptors === undefined || interceptors.length === 0 ? null : [...interceptors],
    dial: givenDialOr(options, (curve) => dialOf(options.transport, curve)),
  };
  if (ifNoWorker === 'fail' && !envelope) {
    const what = "cannot be 'fail' with envelope: false: such brokers do not report it";
    throw wrong('ifNoWorker', what);
  }
  if (strategy === 'freelance') {
    if (!envelope) throw wrong('strategy', "cannot be 'freelance' with envelope: false");
    checkDistinct(settings.endpoints);
    return settings;
  }
  for (const name of ['hedgeMs', 'pingIntervalMs'] as const) {
    if ((given as ClientOptions | undefined)?.[name] === undefined) continue;
    throw wrong(name, "needs strategy: 'freelance'");
  }
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
   * `resendMs` lasts.
   */
  readonly hedgeMs?: number;
  /**
   * A server of which nothing was heard for so long is sent a PING, and after twice the time it is taken for
   * dead. In milliseconds. Default 1000.
   */
  readonly pingIntervalMs?: number;
  /** How long a whole call may take, in milliseconds. `Infinity`: until there is an answer. Default 10000. */
  readonly timeoutMs?: number;
  /** After how many milliseconds without an answer further servers are asked, in the same order. Default 2500. */
  readonly resendMs?: number;
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
export interface FreelanceClientSettings extends Made, Omit<FreelanceValues, keyof Made> {}

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function freelanceClientSettings(given: unknown): FreelanceClientSettings {
  const table = FREELANCE_CLIENT_OPTIONS satisfies TableOf<FreelanceClientOptions>;
  const options = readOptions('FreelanceClient', table, endpointsOrOptions(given));
  const endpoints = endpointList(options.endpoints);
  checkDistinct(endpoints);
  const codec = checkedCodec(options.codec);
  return { ...options, endpoints, codec, dial: givenDialOr(options, freelanceDial) };
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

/** @throws ERR_MDP_OPTION */
export function requestSettings(given: unknown, client: ClientSettings): RequestSettings {
  const table = REQUEST_OPTIONS satisfies TableOf<RequestOptions>;
  const options = readOptions('request', table, given, client);
  const headers = headersOf(options.headers);
  const { resendMs } = client;
  if (client.version === 1 || !client.envelope) {
    const { once, group } = options;
    const special = { headers, once: once || undefined, group };
    for (const [name, value] of Object.entries(special)) {
      if (value !== undefined) throw wrong(name, "needs protocol '0.2' and envelope: true");
    }
  }
  if (options.once && client.hedgeMs !== null) {
    throw wrong('once', 'cannot be combined with hedgeMs, which asks several brokers');
  }
  return { ...options, headers, resendMs, saysTime: client.saysTime || namesTime(given) };
}

/** @param given options of a client, or of a call */
export function namesTime(given: unknown): boolean {
  const { timeoutMs } = (given ?? {}) as RequestOptions;
  return timeoutMs !== undefined;
}

/** Reads the options of a request of a client without headers. @throws ERR_MDP_OPTION */
export function freelanceRequestSettings(
  given: unknown,
  client: FreelanceClientSettings,
): RequestSettings {
  const options = readOptions('request', PLAIN_REQUEST_OPTIONS, given, client);
  const { resendMs } = client;
  return { ...options, headers: undefined, resendMs, saysTime: false, once: false };
}
