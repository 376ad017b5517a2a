/**
 * The client, `majordomo-sdk/client`: sends requests to any MDP/0.1 or 0.2 broker, or to a pair.
 * How it handles silent, refusing and lost brokers: see `client/lazy-pirate.ts` and `docs/sdk.md`.
 */
import { monotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import type { Frames } from '../core/frames.js';
import type { Dial, Link } from '../transport/port.js';
import {
  clientRequest,
  clientRequestHead,
  clientRequestWithHeadersHead,
  type ClientReply,
  packedMetadata,
  readClientReply,
} from '../wire/client-side.js';
import { encodeHeaders, type Headers } from '../wire/headers.js';
import { DEADLINE_MS_MAX, EMPTY } from '../wire/mdp.js';
import { readClientFailure } from '../wire/failure.js';
import { helloFrame, MMI_BROKER, MMI_FAILED, MMI_HELLO, MMI_REFUSED } from '../wire/mmi.js';
import { CLIENT_EVENTS, type ClientEvents } from './client/client-events.js';
import { BareLinks } from './client/bare-links.js';
import {
  type OutgoingRequest,
  resultThrough,
  streamThrough,
} from './client/client-interceptors.js';
import { int32At } from '../core/bytes.js';
import { type Body, type BodyFrames, bodyFrames } from './body.js';
import { type Offers, offersOf, pairHeartbeatMs } from './broker-facts.js';
import { type Decode, type Encode, encoderOf, replyDecoderOf } from './codec/codec.js';
import type { NoServices, ServiceTypes } from './codec/contract.js';
import { Call, type CallOwner, type Target } from './client/call.js';
import { CallTable } from './client/call-table.js';
import {
  ATTEMPT_MODULUS,
  correlation,
  CORRELATION_BYTES,
  HEAD_CORRELATION_AT,
  PROBE_ID,
  putCorrelation,
} from './client/correlation.js';
import type { DeliveryStrategy, DeliverySink } from './client/delivery-strategy.js';
import type { Endpoints } from './endpoints.js';
import { sdkError, wrong } from './errors.js';
import { Listeners } from './events.js';
import type { Job } from './jobs/job.js';
import type { EnqueueOptions, ScheduleOptions, SubmitOptions } from './jobs/job-options.js';
import { type Asker, Jobs } from './jobs/jobs.js';
import { type Schedule, Schedules } from './jobs/schedules.js';
import { LazyPirate } from './client/lazy-pirate.js';
import { endpointError, writeBody, writeHead, writeMessage } from './links.js';
import { joined, type Message, ReceivedMessage, type StreamPart } from './message.js';
import {
  type ClientOptions,
  type ClientSettings,
  clientSettings,
  type RequestOptions,
  type RequestSettings,
  requestSettings,
  serviceName,
} from './options.js';
import { ProcessHold } from './client/process-hold.js';
import { PendingReplies } from './client/pending-replies.js';
import { ReplyStream } from './client/reply-stream.js';
import { serviceError } from './service-error.js';
import { Ticker } from './ticker.js';

export { codeOf } from '../core/errors.js';
export type { Dial, Link, LinkEvents } from '../transport/port.js';
export type { Headers } from '../wire/headers.js';
export type { Body } from './body.js';
export { type Codec, json } from './codec/codec.js';
export {
  type Contract,
  type ContractOptions,
  defineService,
  type NoServices,
  type SchemaIssue,
  type SchemaResult,
  type ServiceSchemas,
  type ServiceTypes,
  type StandardSchema,
} from './codec/contract.js';
export type { ClientInterceptor, Outcome, OutgoingRequest } from './client/client-interceptors.js';
export type {
  ClientEvents,
  Connected,
  Leaving,
  Refused,
  Switched,
} from './client/client-events.js';
export type { Endpoints } from './endpoints.js';
export { MajordomoError, SDK_ERRORS, type SdkErrorCode } from './errors.js';
export type { Job, JobState } from './jobs/job.js';
export {
  type ErrorOf,
  isMajordomoError,
  ServiceError,
  type ServiceErrorOptions,
} from './service-error.js';
export type { Backoff } from '../wire/tsp.js';
export type {
  EnqueueOptions,
  ProgressOptions,
  ResultOptions,
  ScheduleOptions,
  SubmitOptions,
} from './jobs/job-options.js';
export type { Schedule } from './jobs/schedules.js';
export type { ProgressPart } from './message.js';
export type { ClientOptions, CurveOptions, Protocol, RequestOptions } from './options.js';

export type { TransportName } from './dials.js';
export type { Message, StreamPart } from './message.js';

/** The reply to a request. */
export type Reply<Value = Buffer> = Message<Value>;
/** One part of a streamed reply. */
export type Part<Value = Buffer> = StreamPart<Value>;

type AskOf<Type> = Type extends ServiceTypes ? Type['ask'] : never;
type AnsweredOf<Type> = Type extends ServiceTypes ? Type['answered'] : never;

/** Counters of a client, since it was created. */
export interface ClientCounters {
  /** Messages that were not valid replies. */
  malformed: number;
  /** Replies that arrived too late, or twice. */
  late: number;
  /** How often requests were sent again. */
  resends: number;
  /** Connections opened after the first; also those to another endpoint. */
  reopened: number;
}

/** How long an endpoint may have no connection before the next is used, if there is one. */
const CONNECT_MS = 1000;
const HELLO = Buffer.from(MMI_HELLO);
const BROKER = Buffer.from(MMI_BROKER);
const REFUSED = Buffer.from(MMI_REFUSED);
const FAILED = Buffer.from(MMI_FAILED);
/** Services whose targets are kept. */
const TARGETS_MAX = 256;

/**
 * Returns a client of the broker, or pair of brokers, at `endpoints`; without them, of those that the
 * environment variable `MAJORDOMO_URL` names. It does not wait for the connection: requests do.
 *
 *     await using client = connect('tcp://127.0.0.1:5555', { timeoutMs: 1000 });
 *     console.log((await client.request('echo', 'hello')).text());
 *
 * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
 */
export function connect<In = Body, Out = Buffer, Types = NoServices>(
  endpoints?: Endpoints,
  options?: Omit<ClientOptions<In, Out, Types>, 'endpoints'>,
): Client<In, Out, Types> {
  const given: unknown = options;
  if (given === undefined) return new Client(endpoints);
  if (typeof given !== 'object' || given === null) throw wrong('options', 'must be an object');
  if ('endpoints' in given) throw wrong('endpoints', 'is the first argument of connect');
  return new Client(endpoints === undefined ? given : { ...given, endpoints });
}

/**
 * Sends requests to services, over one connection to one broker at a time.
 *
 * A client keeps the process alive only while requests, streams, `job.result()` or `job.progress()` are
 * outstanding.
 *
 *     const client = new Client({ endpoints: ['tcp://a:5555', 'tcp://b:5555'] });
 *     const reply = await client.request('echo', 'hello');
 *     await client.close();
 *
 * @typeParam In what the codec makes bodies of
 * @typeParam Out what the codec reads from replies
 * @typeParam Types the services of the contract
 */
export class Client<In = Body, Out = Buffer, Types = NoServices> {
  /** What has happened since the client was created; the client changes them. */
  readonly counters: ClientCounters = { malformed: 0, late: 0, resends: 0, reopened: 0 };
  readonly #settings: ClientSettings;
  readonly #dial: Dial;
  /** The name that it sends to each broker. */
  readonly #hello: Buffer;
  readonly #defaults: RequestSettings;
  readonly #strategy: DeliveryStrategy;
  /** With `envelope: false`, the same object: it knows which call a link carries. */
  readonly #bare: BareLinks | null;
  readonly #links = new Map<number, Link>();
  readonly #endpointOf = new Map<number, string>();
  readonly #calls = new CallTable();
  /** Make bodies and values; `null`: no codec. */
  readonly #encode: Encode | null;
  readonly #decode: Decode | null;
  readonly #replies: PendingReplies;
  readonly #closing = new Set<Promise<void>>();
  readonly #ticker: Ticker;
  readonly #hold: ProcessHold = new ProcessHold(
    () => this.#calls.size === 0,
    (isHeld) => {
      this.#setRef(isHeld);
    },
  );
  readonly #jobs: Jobs;
  readonly #schedules: Schedules;
  readonly #listeners = new Listeners<ClientEvents>(CLIENT_EVENTS);
  /** The last link that was connected, and is. */
  #connectedLink = 0;
  #endpoint: string | null = null;
  /** The broker's extensions; `null`: unknown yet. */
  #offers: Offers | null = null;
  /** The last link that was opened. */
  #lastLink = 0;
  /** The last link when a broker had not answered `mmi.broker` in time; 0: each has. */
  #silentLink = 0;
  readonly #targets = new Map<string, Target>();
  #closed = false;
  #warned = false;

  /**
   * Connects to the first endpoint at once, in the background: requests wait for the connection.
   *
   *     const client = new Client('tcp://127.0.0.1:5555');
   *
   * @param options endpoints alone, or options; without either, `MAJORDOMO_URL` names the endpoints
   * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
   */
  constructor(options?: Endpoints | ClientOptions<In, Out, Types>) {
    const settings = clientSettings(options);
    this.#settings = settings;
    this.#dial = settings.dial;
    this.#hello = helloFrame({
      refusesToWait: settings.failsWithoutWorker,
      hearsFailures: true,
    });
    this.#defaults = requestSettings(undefined, settings);
    const sink = this.#sink();
    const machine = { ...settings, endpoints: settings.endpoints.length, connectMs: CONNECT_MS };
    this.#bare = settings.envelope ? null : new BareLinks(machine, sink);
    this.#strategy = this.#bare ?? new LazyPirate(machine, sink, Math.random);
    const { codec } = settings;
    this.#encode = codec === undefined ? null : encoderOf(codec);
    this.#decode = codec === undefined ? null : replyDecoderOf(codec);
    this.#replies = new PendingReplies(settings.streamBufferBytes, this.#decode, (call) => {
      this.#overflow(call);
    });
    this.#ticker = new Ticker((now) => {
      this.#strategy.tick(now);
      return this.#strategy.nextMs();
    });
    this.#ticker.setRef(false);
    const asker = this.#asker();
    this.#jobs = new Jobs(asker);
    this.#schedules = new Schedules(asker);
    this.#strategy.start(monotonicMs());
  }

  /** The endpoint that the client is connected to; `null`: none at this moment. */
  get endpoint(): string | null {
    return this.#endpoint;
  }

  /**
   * Calls `listener` at each such event, in order; adding it twice changes nothing. For the events see
   * `ClientEvents`. Listening does not keep the process alive.
   *
   *     client.on('switched', ({ from, to, reason }) => log.info({ from, to, reason }));
   *
   * @throws ERR_MDP_OPTION if there is no such event
   */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: (event: ClientEvents[Name]) => void,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof ClientEvents>(
    event: Name,
    listener: (event: ClientEvents[Name]) => void,
  ): this {
    this.#listeners.delete(event, listener);
    return this;
  }

  /** The number of requests that wait for an answer. */
  get outstanding(): number {
    return this.#calls.size;
  }

  /**
   * Sends a request to `service` and waits for its reply. The bytes of `body` are not copied: do not
   * change them until the promise settles. If the service streams, the reply has the frames of all parts.
   *
   * Rejects with a `ServiceError` (ERR_SERVICE_FAILED) if the service reports a failure, and with
   * ERR_MDP_TIMEOUT, ERR_MDP_UNREACHABLE, ERR_MDP_REFUSED, ERR_MDP_NO_WORKER, ERR_MDP_KEY_REFUSED, ERR_MDP_ABORTED,
   * ERR_MDP_CLOSED, ERR_MDP_LIMIT, ERR_MDP_UNSUPPORTED, ERR_MDP_OPTION, ERR_MDP_BODY or ERR_MDP_CODEC.
   *
   *     const reply = await client.request('echo', 'hello', { timeoutMs: 500 });
   *     console.log(reply.text());
   */
  request(service: string, body: In, options?: RequestOptions): Promise<Reply<Out>> {
    const { interceptors } = this.#settings;
    if (interceptors === null) return this.#request(service, body, options);
    const request: OutgoingRequest = { kind: 'request', service, body, options: options ?? {} };
    return resultThrough(interceptors, request, (given) =>
      this.#request(given.service, given.body, given.options),
    ) as Promise<Reply<Out>>;
  }

  #request(
    service: string,
    body: unknown,
    options: RequestOptions | undefined,
  ): Promise<Reply<Out>> {
    const promise = new Promise<Reply<Out>>(takeSettlers);
    const { reject } = settlers;
    const resolve = settlers.resolve as (reply: Message) => void;
    // They would keep the promise, and its reply, in memory.
    takeSettlers(ignore, ignore);
    try {
      const settings = options === undefined ? this.#defaults : this.#requestSettings(options);
      const target = this.#targetOf(service, settings.headers);
      this.#ask(target, this.#bodyOf(service, body), settings, resolve, reject);
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /**
   * Sends a request to a service of the option `contract`, and returns the value of its reply.
   *
   *     const { rate } = await client.call('tax.rate', { country: 'DE' });
   *
   * Rejects as `request` does; before it sends anything, with a `ServiceError` `invalid_argument` if the
   * contract's validator refuses the request, and afterwards with `invalid_reply` if it refuses the reply.
   * `details.issues` says what is wrong. ERR_MDP_CODEC: a codec or validator failed.
   */
  async call<Name extends keyof Types & string>(
    service: Name,
    request: AskOf<Types[Name]>,
    options?: RequestOptions,
  ): Promise<AnsweredOf<Types[Name]>> {
    const { contract, interceptors } = this.#settings;
    if (contract === undefined) throw wrong('contract', 'must be given to the client for call()');
    const { encodeRequest, decodeReply } = contract.service(service);
    const outgoing: OutgoingRequest = {
      kind: 'request',
      service,
      body: request,
      options: options ?? {},
    };
    const reply = await resultThrough(interceptors ?? [], outgoing, (given) =>
      this.#requestFrames(given.service, encodeRequest(given.body), given.options),
    );
    return decodeReply(joined((reply as Reply).frames)) as AnsweredOf<Types[Name]>;
  }

  /**
   * Stores a request with Titanic, which keeps the reply until it is closed or `titanic.replyTtlMs`
   * (7 days) has passed. Resolves when the request is on disk.
   * The client may send it again, but it is stored once: without `idempotencyKey` the client uses a
   * random one. To a broker without `titanic.submit` the client sends it only once.
   *
   * Rejects as `request` does, and with ERR_TITANIC_REFUSED or ERR_TITANIC_UNSUPPORTED.
   *
   *     const job = await client.enqueue('render', scene, { idempotencyKey: 'order-17' });
   *     const reply = await job.result({ timeoutMs: 60_000 });
   */
  enqueue(service: string, body: In, options?: EnqueueOptions): Promise<Job<Out>> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'enqueue', service, body, options: options ?? {} };
    return resultThrough(interceptors ?? [], request, (given) =>
      this.#jobs.submit(given.service, given.body, given.options),
    ) as Promise<Job<Out>>;
  }

  /** The same as `enqueue`, under the name of the service that it asks: `titanic.submit`. */
  submit(service: string, body: In, options?: SubmitOptions): Promise<Job<Out>> {
    return this.enqueue(service, body, options);
  }

  /**
   * Makes the broker store a request for `service` whenever a cron line says so, and resolves when the
   * schedule is on disk. The name is yours alone; a schedule of that name is replaced, and if all is
   * equal nothing changes. Each request has a key of name and due time, so it is stored once; it runs
   * at least once. After an absence of the broker, the last missed due time is made up.
   *
   *     await client.schedule('nightly', 'report', '', { cron: '30 2 * * *', timeZone: 'Europe/Berlin' });
   *
   * Rejects as `request` does; ERR_TITANIC_REFUSED: its text names the option, as with a line that never
   * comes or a time zone that does not exist; ERR_TITANIC_UNSUPPORTED: the broker has no schedules.
   */
  schedule(name: string, service: string, body: In, options: ScheduleOptions): Promise<Schedule> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'schedule', name, service, body, options };
    return resultThrough(interceptors ?? [], request, (given) =>
      this.#schedules.schedule(given.name, given.service, given.body, given.options),
    ) as Promise<Schedule>;
  }

  /**
   * Ends your schedule of that name. Requests that it stored stay.
   * @returns false if there was none
   */
  unschedule(name: string, options?: RequestOptions): Promise<boolean> {
    return this.#schedules.unschedule(name, options);
  }

  /** Returns your schedules, by name. Rejects as `schedule` does. */
  schedules(options?: RequestOptions): Promise<Schedule[]> {
    return this.#schedules.list(options);
  }

  /**
   * Returns the stored request with this uuid. If it was stored with a CURVE key, only that key or an
   * operator's may read it, unless it is `shared`. Sends nothing yet.
   *
   *     const reply = await client.job(uuid).result({ timeoutMs: 60_000 });
   *
   * @throws ERR_MDP_OPTION unless the uuid is 32 hexadecimal characters
   */
  job(uuid: string): Job<Out> {
    return this.#jobs.job(uuid) as Job<Out>;
  }

  /**
   * Sends a request to `service` and yields the parts of its reply as they arrive; the last one has
   * `final: true`. The request is sent at the first `next()`. After the first part it is never sent
   * again; a lost or silent connection is then ERR_MDP_STREAM_BROKEN. `timeoutMs` is the longest wait
   * for each part.
   *
   *     for await (const part of client.stream('countdown', '3')) console.log(part.text(), part.final);
   *
   * @throws ERR_MDP_OPTION, ERR_MDP_BODY, which with `interceptors` come from the iterator, too; the iterator
   * throws what `request` rejects with
   */
  stream(
    service: string,
    body: In,
    options?: RequestOptions,
  ): AsyncIterableIterator<Part<Out>, undefined> {
    const { interceptors } = this.#settings;
    if (interceptors === null) return this.#stream(service, body, options);
    const request: OutgoingRequest = { kind: 'stream', service, body, options: options ?? {} };
    return streamThrough(interceptors, request, (given) =>
      this.#stream(given.service, given.body, given.options),
    );
  }

  #stream(
    service: string,
    body: unknown,
    options: RequestOptions | undefined,
  ): AsyncIterableIterator<Part<Out>, undefined> {
    const frames = this.#bodyOf(service, body);
    const settings = options === undefined ? this.#defaults : this.#requestSettings(options);
    const target = this.#targetOf(service, settings.headers);
    const source = {
      decode: this.#decode,
      obstacle: () => this.#obstacle(settings),
      begin: (owner: CallOwner) => this.#begin(target, frames, true, settings, owner),
      abandon: (call: Call) => {
        this.#abandon(call);
      },
    };
    const parts: AsyncIterableIterator<unknown> = new ReplyStream(
      source,
      this.#settings.streamBufferBytes,
    );
    return parts as AsyncIterableIterator<Part<Out>, undefined>;
  }

  /**
   * Rejects outstanding requests with ERR_MDP_CLOSED, and closes the connections. A worker may still run the
   * requests. Never rejects.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ticker.stop();
    this.#jobs.close(sdkError('ERR_MDP_CLOSED', 'the client was closed'));
    for (const call of this.#calls.all()) {
      this.#release(call);
      call.owner.fail(call, sdkError('ERR_MDP_CLOSED', 'the client was closed'));
    }
    for (const link of [...this.#links.keys()]) this.#closeLink(link);
    await Promise.all(this.#closing);
  }

  /** As `close`, for `await using client = connect(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** `null` if the request could not begin and was rejected. */
  #ask(
    target: Target,
    frames: BodyFrames,
    settings: RequestSettings,
    resolve: (reply: Message) => void,
    reject: (error: MajordomoError) => void,
  ): Call | null {
    const obstacle = this.#obstacle(settings);
    if (obstacle === null) {
      return this.#begin(target, frames, false, settings, this.#replies, resolve, reject);
    }
    reject(obstacle);
    return null;
  }

  /** The parts of a reply are too large. */
  #overflow(call: Call): void {
    const text = `the parts of the reply exceed ${this.#settings.streamBufferBytes} bytes (streamBufferBytes)`;
    this.#abandon(call);
    const details = { service: call.service };
    call.owner.fail(call, sdkError('ERR_MDP_LIMIT', text, { details }));
  }

  #asker(): Asker {
    const offers = (): Offers | null => this.#offers;
    const isSilent = (): boolean => this.#isSilent;
    const isConnected = (): boolean => this.#endpoint !== null || this.#bare !== null;
    return {
      settings: this.#settings,
      get offers() {
        return offers();
      },
      get isSilent() {
        return isSilent();
      },
      get isConnected() {
        return isConnected();
      },
      missed: () => {
        this.#silentLink = this.#lastLink;
      },
      learn: (learnt) => {
        this.#offers = learnt;
      },
      encode: (body) => (this.#encode === null ? bodyFrames(body) : this.#encode(body)),
      decode: this.#decode,
      request: (service, body, options) => this.#requestFrames(service, bodyFrames(body), options),
      ask: (service, body, settings, resolve, reject) =>
        this.#ask(
          this.#targetOf(service, settings.headers),
          bodyFrames(body),
          settings,
          resolve,
          reject,
        ),
      abandon: (call) => {
        this.#abandon(call);
      },
    };
  }

  get #isSilent(): boolean {
    // Links without an envelope come and go with requests.
    return this.#silentLink > 0 && (this.#bare !== null || this.#silentLink === this.#lastLink);
  }

  /** As `request`, with a body that is frames already. */
  async #requestFrames(
    service: string,
    frames: BodyFrames,
    options: RequestOptions | undefined,
  ): Promise<Message> {
    const settings = options === undefined ? this.#defaults : this.#requestSettings(options);
    const target = this.#targetOf(service, settings.headers);
    return await new Promise<Message>((resolve, reject) => {
      this.#ask(target, frames, settings, resolve, reject);
    });
  }

  #bodyOf(service: string, body: unknown): BodyFrames {
    if (this.#encode === null || isBrokers(service)) return bodyFrames(body);
    return this.#encode(body);
  }

  #targetOf(service: string, headers: Headers | undefined): Target {
    if (headers !== undefined) return headedTarget(service, headers);
    return this.#targets.get(service) ?? this.#newTarget(service);
  }

  #newTarget(service: string): Target {
    const name = serviceName(service);
    const id = this.#bare === null ? correlation(PROBE_ID, 0) : null;
    const head = clientRequestHead(this.#settings.version, id, name);
    const target = { service, name, head, headers: null };
    if (this.#targets.size === TARGETS_MAX) this.#targets.clear();
    this.#targets.set(service, target);
    return target;
  }

  /** Why no request can be sent now. */
  #obstacle({ signal }: RequestSettings): MajordomoError | null {
    if (this.#closed) return sdkError('ERR_MDP_CLOSED', 'the client was closed');
    if (signal?.aborted === true) return abortedError(signal);
    if (this.#calls.size < this.#settings.maxOutstanding) return null;
    return sdkError(
      'ERR_MDP_LIMIT',
      `${this.#calls.size} requests are outstanding (maxOutstanding)`,
    );
  }

  #requestSettings(options: RequestOptions): RequestSettings {
    return requestSettings(options, this.#settings);
  }

  #begin(
    target: Target,
    body: BodyFrames,
    streams: boolean,
    settings: RequestSettings,
    owner: CallOwner,
    resolve?: (reply: Reply) => void,
    reject?: (error: MajordomoError) => void,
  ): Call {
    const { signal } = settings;
    const id = this.#calls.nextId();
    const call = new Call(id, target, body, streams, settings, owner, resolve, reject);
    if (signal !== undefined) this.#heed(signal, call);
    this.#calls.add(call);
    this.#hold.hold();
    this.#strategy.add(call, monotonicMs());
    this.#wake();
    return call;
  }

  #heed(signal: AbortSignal, call: Call): void {
    const listener = (): void => {
      this.#abandon(call);
      call.owner.fail(call, abortedError(signal));
    };
    signal.addEventListener('abort', listener, { once: true });
    call.unlisten = () => {
      signal.removeEventListener('abort', listener);
    };
  }

  /** Nobody waits for the call any longer. */
  #abandon(call: Call): void {
    this.#release(call);
    this.#strategy.forget(call, monotonicMs());
    this.#wake();
  }

  #release(call: Call): void {
    this.#calls.delete(call);
    call.unlisten?.();
    if (this.#calls.size === 0) this.#hold.letGoSoon();
  }

  #setRef(isRef: boolean): void {
    this.#ticker.setRef(isRef);
    for (const link of this.#links.values()) link.setRef?.(isRef);
  }

  #wake(): void {
    this.#ticker.want(this.#strategy.nextMs());
  }

  #sink(): DeliverySink {
    return {
      open: (link, endpoint) => {
        this.#openLink(link, this.#endpointAt(endpoint));
      },
      close: (link) => {
        this.#closeLink(link);
      },
      greet: (link) => {
        // Without a correlation id, so that it applies to every request on this connection (D11).
        this.#write(link, clientRequest(this.#settings.version, null, HELLO, [this.#hello]));
        this.#probe(link);
      },
      probe: (link) => {
        this.#probe(link);
      },
      send: (link, call) => {
        this.#send(link, call);
      },
      fail: (call, error) => {
        this.#release(call);
        call.owner.fail(call, error);
      },
      switched: (from, to, reason) => {
        const event = { from: this.#endpointAt(from), to: this.#endpointAt(to), reason };
        // Not now: a listener may abort a request, or close the client, which is on its way there.
        queueMicrotask(() => {
          this.#listeners.emit('switched', event);
        });
      },
      raised: (fromMs, toMs) => {
        this.#warnRaised(fromMs, toMs);
      },
    };
  }

  #endpointAt(index: number): string {
    return this.#settings.endpoints[index] ?? '';
  }

  #openLink(link: number, endpoint: string): void {
    if (link > 1) this.counters.reopened++;
    this.#lastLink = link;
    const events = {
      connected: () => {
        if (!this.#links.has(link)) return;
        this.#connectedLink = link;
        this.#endpoint = endpoint;
        this.#strategy.connected(link, monotonicMs());
        this.#wake();
        this.#listeners.emit('connected', { endpoint });
      },
      disconnected: () => {
        if (!this.#links.has(link)) return;
        this.#notConnected(link);
        this.#strategy.disconnected(link, monotonicMs());
        this.#wake();
      },
      unreachable: (isKeyRefused: boolean) => {
        if (!this.#links.has(link)) return;
        this.#strategy.unreachable(link, isKeyRefused, monotonicMs());
        this.#wake();
        if (isKeyRefused) this.#keyRefused(endpoint);
      },
      message: (frames: Frames) => {
        if (this.#links.has(link)) this.#receive(link, frames);
      },
    };
    try {
      const opened = this.#dial(endpoint, events);
      this.#links.set(link, opened);
      this.#endpointOf.set(link, endpoint);
      if (!this.#hold.isHeld) opened.setRef?.(false);
    } catch (error) {
      if (link === 1) throw endpointError(endpoint, error);
      this.#notOpened(link);
    }
  }

  /**
   * For example too many open files: tried again after a pause, or when a request's time-out is
   * over.
   */
  #notOpened(link: number): void {
    if (this.#bare !== null) return;
    queueMicrotask(() => {
      if (this.#closed) return;
      this.#strategy.disconnected(link, monotonicMs());
      this.#wake();
    });
  }

  #notConnected(link: number): void {
    if (link === this.#connectedLink) this.#endpoint = null;
  }

  #keyRefused(endpoint: string): void {
    const reason = 'the broker does not admit this key';
    this.#listeners.emit('refused', { endpoint, service: null, status: 'key', reason });
  }

  #closeLink(link: number): void {
    this.#notConnected(link);
    const found = this.#links.get(link);
    this.#links.delete(link);
    this.#endpointOf.delete(link);
    if (found === undefined) return;
    const closing = found.close(0).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #write(link: number, frames: readonly Uint8Array[]): void {
    const found = this.#links.get(link);
    if (found !== undefined) writeMessage(found, frames);
  }

  #probe(link: number): void {
    const question = correlation(PROBE_ID, 0);
    this.#write(link, clientRequest(this.#settings.version, question, BROKER, [EMPTY]));
  }

  #send(link: number, call: Call): void {
    if (call.attempt > 1) this.counters.resends++;
    const found = this.#links.get(link);
    if (found === undefined) return;
    const { head, headers } = call.target;
    if (this.#bare === null) putCorrelation(head, HEAD_CORRELATION_AT, call.id, call.attempt);
    writeHead(found, head, 0, head.length);
    if (headers !== null) this.#writeMetadata(found, call, headers);
    writeBody(found, call.body);
  }

  /** The deadline, and the headers (D67). */
  #writeMetadata(link: Link, call: Call, headers: Buffer): void {
    const leftMs = this.#strategy.remainingMs(call, monotonicMs());
    // A stream may go on for longer than its first part may take.
    const deadlineMs = call.streams ? 0 : Math.max(1, Math.min(Math.ceil(leftMs), DEADLINE_MS_MAX));
    const metadata = packedMetadata({ deadlineMs, headers });
    writeHead(link, metadata, 0, metadata.length);
  }

  #receive(link: number, frames: Frames): void {
    this.#strategy.heard(link);
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') {
      this.counters.malformed++;
      return;
    }
    if (this.#bare !== null) {
      const call = this.#bare.callOn(link);
      if (call === undefined) this.counters.late++;
      else this.#answer(call, call.attempt, frames, reply);
      return;
    }
    // Without an envelope it is the answer to `mmi.hello`, whatever it says.
    if (reply.envelopeFrames <= 0) return;
    if (reply.envelopeFrames !== 1 || frames.size(0) !== CORRELATION_BYTES) {
      this.counters.malformed++;
      return;
    }
    const buffer = frames.buffer(0);
    const id = int32At(buffer, frames.start(0));
    const call = this.#calls.get(id);
    if (call !== undefined) {
      this.#answer(call, buffer[frames.start(0) + 4] ?? 0, frames, reply);
    } else if (id !== PROBE_ID) {
      this.counters.late++;
    } else if (frames.equals(reply.service, BROKER)) {
      const offers = offersOf(frames, reply.body);
      const broker = {
        takesHeaders: offers.headers,
        pairHeartbeatMs: pairHeartbeatMs(frames, reply.body),
      };
      if (broker.pairHeartbeatMs !== null) this.#offers = offers;
      this.#strategy.learnt(link, broker, monotonicMs());
      this.#wake();
    }
  }

  #answer(call: Call, attempt: number, frames: Frames, reply: ClientReply): void {
    if (!frames.equals(reply.service, call.target.name)) {
      if (frames.equals(reply.service, FAILED)) this.#serviceFailed(call, attempt, frames, reply);
      else if (!frames.equals(reply.service, REFUSED)) this.counters.malformed++;
      // A refusal of an earlier send says nothing about the later one.
      else if (attempt === call.attempt % ATTEMPT_MODULUS) this.#refuse(call, frames, reply);
      else this.counters.late++;
      return;
    }
    const final = reply.kind === 'final';
    if (!call.accepts(attempt, ATTEMPT_MODULUS, final)) {
      this.counters.late++;
      return;
    }
    const message = ReceivedMessage.copied(call.service, this.#decode, frames, reply.body);
    if (final) {
      this.#release(call);
      this.#strategy.answered(call, monotonicMs());
      // A waiting call may get a link; with an envelope there is nothing new.
      if (this.#bare !== null) this.#wake();
      call.owner.done(call, message);
    } else {
      this.#strategy.progressed(call, monotonicMs());
      call.owner.part(call, message);
    }
  }

  #refuse(call: Call, frames: Frames, reply: ClientReply): void {
    const [status, , reason] = frames.copyFrom(reply.body);
    const refusal = { status: status?.toString() ?? '', reason: reason?.toString() ?? '' };
    // Only its last send can be refused.
    const endpoint = this.#endpointOf.get(call.link) ?? '';
    this.#strategy.refused(call, refusal, monotonicMs());
    this.#wake();
    this.#listeners.emit('refused', { endpoint, service: call.service, ...refusal });
  }

  /** The service reports a failure (D62): that is the answer. */
  #serviceFailed(call: Call, attempt: number, frames: Frames, reply: ClientReply): void {
    const failure = readClientFailure(frames.copyFrom(reply.body));
    if (failure?.service.equals(call.target.name) !== true) {
      this.counters.malformed++;
    } else if (!call.accepts(attempt, ATTEMPT_MODULUS, true)) {
      this.counters.late++;
    } else {
      this.#release(call);
      this.#strategy.answered(call, monotonicMs());
      this.#wake();
      call.owner.fail(call, serviceError(call.service, failure));
    }
  }

  #warnRaised(fromMs: number, toMs: number): void {
    if (this.#warned) return;
    this.#warned = true;
    const text = `timeoutMs ${fromMs} is raised to ${toMs}, which is 2.5 heartbeats of the broker's pair`;
    process.emitWarning(text, { code: 'MDP_TIMEOUT_RAISED' });
  }
}

/** What settles the promise that was made last: one function for all, not one for each promise. */
const settlers: { resolve: (reply: never) => void; reject: (error: unknown) => void } = {
  resolve: ignore,
  reject: ignore,
};

function ignore(): void {
  // Between two requests.
}

function takeSettlers(resolve: (reply: never) => void, reject: (error: unknown) => void): void {
  settlers.resolve = resolve;
  settlers.reject = reject;
}

/** Services that the broker answers itself. */
function isBrokers(service: string): boolean {
  return service.startsWith('mmi.') || service.startsWith('titanic.');
}

/** The target of one request with headers. */
function headedTarget(service: string, headers: Headers): Target {
  const name = serviceName(service);
  const head = clientRequestWithHeadersHead(correlation(PROBE_ID, 0), name);
  return { service, name, head, headers: encodeHeaders(headers) };
}

function abortedError(signal: AbortSignal): MajordomoError {
  return sdkError('ERR_MDP_ABORTED', 'the request was aborted', { cause: signal.reason });
}
