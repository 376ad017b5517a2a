/**
 * The client, `majordomo-sdk/client`: sends requests to any MDP/0.1 or 0.2 broker, or to a pair.
 * How it handles silent, refusing and lost brokers: see `client/lazy-pirate.ts` and `docs/sdk-delivery.md`.
 */
import type { AsyncItems } from './least-types.js';
import type { MajordomoError } from '../core/errors.js';
import { type ContractsStatus, MMI_CONTRACT } from '../wire/mmi.js';
import { type Body, type BodyFrames, bodyFrames } from './body.js';
import type { Call, CallOwner, Target } from './client/call.js';
import type { ClientEvents } from './client/client-events.js';
import {
  type OutgoingRequest,
  resultThrough,
  streamThrough,
} from './client/client-interceptors.js';
import { ClientServices, oneBrokerError } from './client/client-services.js';
import type { ClientCounters, Exchange } from './client/exchange.js';
import { MdpExchange } from './client/mdp-exchange.js';
import { PendingReplies } from './client/pending-replies.js';
import { ReplyStream } from './client/reply-stream.js';
import type { NoServices, ServiceTypes } from './codec/contract.js';
import type { Endpoints } from './endpoints.js';
import { readJsonObject } from '../wire/json-object.js';
import { sdkError, wrong } from './errors.js';
import type { CallDurableOptions, Job, Schedule } from './jobs/job.js';
import type { EnqueueOptions, ScheduleOptions, SubmitOptions } from './jobs/job-options.js';
import { Jobs } from './jobs/jobs.js';
import type { Asker } from './jobs/asker.js';
import { Schedules } from './jobs/schedules.js';
import { joined, type Message, type StreamPart } from './message.js';
import {
  type ClientOptions,
  type ClientSettings,
  clientSettings,
  requestSettings,
} from './options.js';
import type { RequestOptions, RequestSettings } from './request-options.js';
import { serviceName } from './option-reader.js';

export type { AsyncItems } from './least-types.js';
export { codeOf } from '../core/errors.js';
export type { Dial, Link, LinkEvents } from '../zmtp/link-port.js';
export type { Headers } from '../wire/headers.js';
export type { Body } from './body.js';
export { Curve, type CurveOptions } from './curve.js';
export { type Codec, json } from './codec/codec.js';
export {
  type Contract,
  defineService,
  type NoServices,
  service,
  type ServiceShape,
  type ServiceTypes,
} from './codec/contract.js';
export {
  type ContractOptions,
  type SchemaIssue,
  type SchemaResult,
  type ServiceSchemas,
  type StandardSchema,
} from './codec/schema.js';
export type { ClientInterceptor, Outcome, OutgoingRequest } from './client/client-interceptors.js';
export type {
  ClientEvents,
  Connected,
  Leaving,
  Refused,
  Switched,
} from './client/client-events.js';
export type { ClientCounters } from './client/exchange.js';
export { FreelanceClient, type FreelanceClientOptions } from './freelance-client.js';
export type { Endpoints } from './endpoints.js';
export { MajordomoError, SDK_ERRORS, type SdkErrorCode } from './errors.js';
export type { CallDurableOptions, Job, JobFound, JobState, Schedule } from './jobs/job.js';
export {
  type ErrorOf,
  isMajordomoError,
  ServiceError,
  type ServiceErrorOptions,
} from './service-error.js';
export type { Backoff, JobOptions } from '../wire/job-option-table.js';
export type {
  EnqueueOptions,
  ProgressOptions,
  ResultOptions,
  ScheduleOptions,
  SubmitOptions,
} from './jobs/job-options.js';
export type { ProgressPart, ToldPart } from './message.js';
export type { ClientOptions } from './options.js';
export type { RequestOptions } from './request-options.js';
export type { Protocol } from './option-reader.js';

export type { TransportName } from './dials.js';
export type { AnnouncedContract, JsonSchema } from '../wire/contract.js';
export type { ContractsStatus, ContractStatus } from '../wire/mmi.js';
export type { Message, StreamPart } from './message.js';

/** The reply to a request. */
export type Reply<Value = Buffer> = Message<Value>;
/** A part of a streamed reply, or what its handler told; see `StreamPart`. */
export type Part<Value = Buffer, Progress = Value> = StreamPart<Value, Progress>;

/** A service that a client may name: with a contract, only those of it. */
export type ServiceOf<Types> = IsOpen<Types> extends true ? string : keyof Types & string;
/** What is sent to a service: with a contract, its input; otherwise what the codec takes. */
export type InputOf<Types, Name, In> = FactOf<Types, Name, 'ask', In>;
/** What a service answers: with a contract, its output; otherwise what the codec reads. */
export type OutputOf<Types, Name, Out> = FactOf<Types, Name, 'answered', Out>;
/** What a service tells of its progress: with a contract, what that says; otherwise what the codec reads. */
export type ProgressOf<Types, Name, Out> = FactOf<Types, Name, 'told', Out>;
/** Whether there is no contract. */
type IsOpen<Types> = [keyof Types] extends [never]
  ? true
  : [Types] extends [NoServices]
    ? true
    : false;
type FactOf<Types, Name, Fact extends keyof ServiceTypes, Else> =
  IsOpen<Types> extends true
    ? Else
    : Name extends keyof Types
      ? Types[Name] extends ServiceTypes
        ? Types[Name][Fact]
        : never
      : never;

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
  readonly #settings: ClientSettings;
  readonly #defaults: RequestSettings;
  readonly #services: ClientServices;
  readonly #mdp: MdpExchange;
  readonly #exchange: Exchange;
  readonly #replies: PendingReplies;
  readonly #jobs: Jobs;
  readonly #schedules: Schedules;

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
    this.#defaults = requestSettings(undefined, settings);
    this.#services = new ClientServices(settings);
    const { decode } = this.#services;
    this.#replies = new PendingReplies(settings.streamBufferBytes, decode, (call) => {
      this.#overflow(call);
    });
    this.#mdp = new MdpExchange(settings, decode);
    this.#exchange = this.#mdp.exchange;
    const asker = this.#asker();
    this.#jobs = new Jobs(asker);
    this.#schedules = new Schedules(asker);
    this.#exchange.start();
  }

  /** What has happened since the client was created; the client changes them. */
  get counters(): ClientCounters {
    return this.#exchange.counters;
  }

  /**
   * The endpoint that the client is connected to, with `strategy: 'freelance'` the one that requests go to
   * first; `null`: none at this moment.
   */
  get endpoint(): string | null {
    return this.#mdp.endpoint;
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
    this.#exchange.listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof ClientEvents>(
    event: Name,
    listener: (event: ClientEvents[Name]) => void,
  ): this {
    this.#exchange.listeners.delete(event, listener);
    return this;
  }

  /** The number of requests that wait for an answer. */
  get outstanding(): number {
    return this.#exchange.calls.size;
  }

  /**
   * Sends a request to `service` and waits for its reply. The bytes of `body` are not copied: do not
   * change them until the promise settles. If the service streams, the reply has the frames of all parts.
   *
   * Rejects with a `ServiceError` (ERR_SERVICE_FAILED) if the service reports a failure, and with
   * ERR_MDP_TIMEOUT, ERR_MDP_UNREACHABLE, ERR_MDP_REFUSED, ERR_MDP_NO_WORKER, ERR_MDP_KEY_REFUSED, ERR_MDP_ABORTED,
   * ERR_MDP_CLOSED, ERR_MDP_LIMIT, ERR_MDP_TOO_LARGE, ERR_MDP_UNSUPPORTED, ERR_MDP_OPTION, ERR_MDP_BODY or
   * ERR_MDP_CODEC.
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
    // The settlers would keep the promise, and its reply, in memory.
    takeSettlers(ignore, ignore);
    try {
      const settings = this.#requestSettings(options);
      const target = this.#services.targetOf(service, settings);
      this.#ask(target, this.#services.bodyOf(service, body), settings, resolve, reject);
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
    request: InputOf<Types, Name, never>,
    options?: RequestOptions,
  ): Promise<OutputOf<Types, Name, never>> {
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
      this.#requestFrames(
        given.service,
        encodeRequest(given.body),
        this.#requestSettings(given.options),
      ),
    );
    return decodeReply(joined((reply as Reply).frames)) as OutputOf<Types, Name, never>;
  }

  /**
   * What the workers of a service announced of it at this broker; `null`: none did, or the broker knows no
   * contracts.
   *
   *     const { contracts } = (await client.contractOf('tax.rate')) ?? { contracts: [] };
   *
   * Rejects as `request` does.
   */
  async contractOf(service: string, options?: RequestOptions): Promise<ContractsStatus | null> {
    const frames = bodyFrames(serviceName(service));
    const settings = this.#requestSettings(options);
    const reply = await this.#requestFrames(MMI_CONTRACT, frames, settings);
    const [status, json] = reply.frames;
    if (status?.toString('latin1') !== '200' || json === undefined) return null;
    const given = readJsonObject(json);
    if (isContractsStatus(given)) return given;
    throw sdkError('ERR_MDP_BODY', 'the answer of mmi.contract is not understood');
  }

  /**
   * Makes a durable request: the broker keeps it, and its reply until it is closed or `titanic.replyTtlMs`
   * (7 days) has passed. Resolves when the request is on disk.
   * The client may send it again, but it is stored once: without `idempotencyKey` the client uses a
   * random one. To a broker without `titanic.submit` the client sends it only once.
   *
   * Rejects as `request` does, and with ERR_TITANIC_REFUSED, ERR_TITANIC_UNSUPPORTED or, with
   * `strategy: 'freelance'`, ERR_MDP_USAGE.
   *
   *     const job = await client.enqueue('render', scene, { idempotencyKey: 'order-17' });
   *     const reply = await job.result({ timeoutMs: 60_000 });
   */
  enqueue<Name extends ServiceOf<Types>>(
    service: Name,
    body: InputOf<Types, Name, In>,
    options?: EnqueueOptions,
  ): Promise<Job<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'enqueue', service, body, options: options ?? {} };
    return resultThrough(interceptors ?? [], request, (given) =>
      this.#stored(() => this.#jobs.submit(given.service, given.body, given.options)),
    ) as Promise<Job<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>>;
  }

  /**
   * Makes a durable request, waits for its reply and closes it: `enqueue`, `result` and `close` in one exchange with
   * the broker. The request is on disk before it runs, and its reply before the promise resolves. It survives what a
   * job survives: if the connection is lost, or a broker, the client finds it by its uuid, or by its key before it knows
   * that. The close goes out with the reply, and nobody waits for it; if it is lost, the reply stays for
   * `titanic.replyTtlMs`.
   *
   *     const receipt = await client.callDurable('charge', order, { idempotencyKey: 'order-17' });
   *
   * Whoever calls again with the same `idempotencyKey`, in another process, too, gets the reply as long as nobody has
   * had it; a key whose reply was had is used up: ERR_TITANIC_UNKNOWN. Without a key the client uses a random one.
   *
   * `timeoutMs` is the time of the whole call. If it is not given, the client's counts until the request is stored, and
   * then there is no limit. Rejects as `enqueue` does until then, and afterwards as `Job.result`, with the request's
   * uuid in `details.uuid` of ERR_TITANIC_PENDING and others: the request then stays, and is yours to close. A broker
   * that cannot answer both at once is sent `enqueue`, `result` and `close`.
   */
  callDurable<Name extends ServiceOf<Types>>(
    service: Name,
    body: InputOf<Types, Name, In>,
    options?: CallDurableOptions<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>,
  ): Promise<Reply<OutputOf<Types, Name, Out>>> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'callDurable', service, body, options: options ?? {} };
    return resultThrough(interceptors ?? [], request, (given) =>
      this.#stored(() => this.#jobs.call(given.service, given.body, given.options)),
    ) as Promise<Reply<OutputOf<Types, Name, Out>>>;
  }

  /** Stores a durable request: another name for `enqueue`, after the service that it asks, `titanic.submit`. */
  submit<Name extends ServiceOf<Types>>(
    service: Name,
    body: InputOf<Types, Name, In>,
    options?: SubmitOptions,
  ): Promise<Job<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>> {
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
  schedule<Name extends ServiceOf<Types>>(
    name: string,
    service: Name,
    body: InputOf<Types, Name, In>,
    options: ScheduleOptions,
  ): Promise<Schedule> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'schedule', name, service, body, options };
    return resultThrough(interceptors ?? [], request, (given) =>
      this.#stored(() =>
        this.#schedules.schedule(given.name, given.service, given.body, given.options),
      ),
    ) as Promise<Schedule>;
  }

  /**
   * Ends your schedule of that name. Requests that it stored stay.
   * @returns false if there was none
   */
  unschedule(name: string, options?: RequestOptions): Promise<boolean> {
    return this.#stored(() => this.#schedules.unschedule(name, options));
  }

  /** Returns your schedules, by name. Rejects as `schedule` does. */
  schedules(options?: RequestOptions): Promise<Schedule[]> {
    return this.#stored(() => this.#schedules.list(options));
  }

  /**
   * Returns the durable request with this uuid. If it was stored with a CURVE key, only that key or an
   * operator's may read it, unless it is `shared`. Sends nothing yet.
   *
   *     const reply = await client.job(uuid).result({ timeoutMs: 60_000 });
   *
   * @throws ERR_MDP_OPTION unless the uuid is 32 hexadecimal characters; ERR_MDP_USAGE with
   * `strategy: 'freelance'`
   */
  job(uuid: string): Job<Out>;
  /**
   * Returns the durable request with this uuid, with the types and the validators of its service's contract.
   *
   *     const { value } = await client.job(uuid, 'resize').result();
   *
   * @param service the service of the request
   * @throws as without `service`, and ERR_MDP_OPTION if the contract has no such service
   */
  job<Name extends ServiceOf<Types>>(
    uuid: string,
    service: Name,
  ): Job<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>;
  job(uuid: string, service?: string): unknown {
    if (this.#mdp.freelance !== null) throw oneBrokerError();
    return this.#jobs.job(uuid, service);
  }

  /**
   * Sends a request to `service` and yields the parts of its reply as they arrive, the last one with
   * `final: true`, and what the service tells of its progress, with `progress: true`. The request is
   * sent at the first `next()`. After the first part it is never sent again; a lost or silent connection
   * is then ERR_MDP_STREAM_BROKEN. `timeoutMs` is the time until the last part has come.
   *
   *     for await (const part of client.stream('countdown', '3')) console.log(part.text(), part.final);
   *
   * @throws ERR_MDP_OPTION, ERR_MDP_BODY, which with `interceptors` come from the iterator, too; the iterator
   * throws what `request` rejects with
   */
  stream<Name extends ServiceOf<Types>>(
    service: Name,
    body: InputOf<Types, Name, In>,
    options?: RequestOptions,
  ): AsyncItems<Part<OutputOf<Types, Name, Out>, ProgressOf<Types, Name, Out>>> {
    const { interceptors } = this.#settings;
    const request: OutgoingRequest = { kind: 'stream', service, body, options: options ?? {} };
    const parts: AsyncItems<unknown> =
      interceptors === null
        ? this.#stream(service, body, options)
        : streamThrough(interceptors, request, (given) =>
            this.#stream(given.service, given.body, given.options),
          );
    return parts as ReturnType<typeof this.stream<Name>>;
  }

  #stream(service: string, body: unknown, options: RequestOptions | undefined): ReplyStream {
    const frames = this.#services.valueOf(service, body);
    const settings = this.#requestSettings(options);
    const target = this.#services.targetOf(service, settings);
    const source = {
      decoders: this.#services.decodersOf(service),
      obstacle: () => this.#exchange.obstacle(settings),
      begin: (owner: CallOwner) => this.#exchange.begin(target, frames, true, settings, owner),
      abandon: (call: Call) => this.#exchange.abandon(call),
    };
    return new ReplyStream(source, this.#settings.streamBufferBytes);
  }

  /**
   * Rejects outstanding requests with ERR_MDP_CLOSED, and closes the connections. A worker may still run the
   * requests. Never rejects.
   */
  async close(): Promise<void> {
    this.#jobs.close(sdkError('ERR_MDP_CLOSED', 'the client was closed'));
    await this.#exchange.close();
  }

  /** Closes the client, as `close` does: for `await using client = connect(…)`. */
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
    owner: CallOwner = this.#replies,
  ): Call | null {
    const obstacle = this.#exchange.obstacle(settings);
    if (obstacle === null) {
      const streams = owner !== this.#replies;
      return this.#exchange.begin(target, frames, streams, settings, owner, resolve, reject);
    }
    reject(obstacle);
    return null;
  }

  /** The parts of a reply are too large. */
  #overflow(call: Call): void {
    const text = `the parts of the reply exceed ${this.#settings.streamBufferBytes} bytes (streamBufferBytes)`;
    this.#exchange.abandon(call);
    const details = { service: call.service };
    call.owner.fail(call, sdkError('ERR_MDP_LIMIT', text, { details }));
  }

  #asker(): Asker {
    return {
      settings: this.#settings,
      broker: this.#mdp,
      encode: (service, body) => this.#services.valueOf(service, body),
      decodersOf: (service) => this.#services.decodersOf(service),
      request: (service, body, settings) =>
        this.#requestFrames(service, bodyFrames(body), settings),
      ask: (service, body, settings, resolve, reject, owner) => {
        const target = this.#services.targetOf(service, settings);
        return this.#ask(target, bodyFrames(body), settings, resolve, reject, owner);
      },
      abandon: (call) => this.#exchange.abandon(call),
      giveUp: (call) => this.#exchange.giveUp(call),
    };
  }

  /** Sends a request whose body is frames already, and returns the reply. */
  async #requestFrames(
    service: string,
    frames: BodyFrames,
    settings: RequestSettings,
  ): Promise<Message> {
    const target = this.#services.targetOf(service, settings);
    return await new Promise<Message>((resolve, reject) => {
      this.#ask(target, frames, settings, resolve, reject);
    });
  }

  /** What needs one broker, or pair. */
  #stored<T>(act: () => Promise<T>): Promise<T> {
    return this.#mdp.freelance === null ? act() : Promise.reject(oneBrokerError());
  }

  #requestSettings(options: RequestOptions | undefined): RequestSettings {
    return options === undefined ? this.#defaults : requestSettings(options, this.#settings);
  }
}

function isContractsStatus(given: object | null): given is ContractsStatus {
  return given !== null && 'contracts' in given && Array.isArray(given.contracts);
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
