/**
 * The client, `majordomo-broker/client`: sends requests to any MDP/0.1 or 0.2 broker, or to a pair.
 * How it handles silent, refusing and lost brokers: see `lazy-pirate.ts` and `docs/sdk.md`.
 */
import { monotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import type { Frames } from '../core/frames.js';
import type { Dial, Link } from '../transport/port.js';
import {
  clientRequest,
  clientRequestHead,
  type ClientReply,
  readClientReply,
} from '../wire/client-side.js';
import { EMPTY } from '../wire/mdp.js';
import { readClientFailure } from '../wire/failure.js';
import { helloFrame, MMI_BROKER, MMI_FAILED, MMI_HELLO, MMI_REFUSED } from '../wire/mmi.js';
import { BareLinks } from './bare-links.js';
import { int32At } from '../core/bytes.js';
import { type Body, type BodyFrames, bodyFrames } from './body.js';
import { type Offers, offersOf, pairHeartbeatMs } from './broker-facts.js';
import { Call, type CallOwner, type Target } from './call.js';
import { CallTable } from './call-table.js';
import {
  ATTEMPT_MODULUS,
  correlation,
  CORRELATION_BYTES,
  HEAD_CORRELATION_AT,
  PROBE_ID,
  putCorrelation,
} from './correlation.js';
import type { DeliveryStrategy, DeliverySink } from './delivery-strategy.js';
import { sdkError } from './errors.js';
import type { Job } from './job.js';
import type { SubmitOptions } from './job-options.js';
import { type Asker, Jobs } from './jobs.js';
import { LazyPirate } from './lazy-pirate.js';
import { endpointError, writeBody, writeHead, writeMessage } from './links.js';
import { type Message, ReceivedMessage, type StreamPart } from './message.js';
import {
  type ClientOptions,
  type ClientSettings,
  clientSettings,
  type RequestOptions,
  type RequestSettings,
  requestSettings,
  serviceName,
} from './options.js';
import { PendingReplies } from './pending-replies.js';
import { ReplyStream } from './reply-stream.js';
import { serviceError } from './service-error.js';
import { Ticker } from './ticker.js';

export { codeOf, MajordomoError } from '../core/errors.js';
export type { Dial, Link, LinkEvents } from '../transport/port.js';
export type { Body } from './body.js';
export { SDK_ERRORS, type SdkErrorCode } from './errors.js';
export type { Job, JobState } from './job.js';
export { ServiceError, type ServiceErrorOptions } from './service-error.js';
export type { ResultOptions, SubmitOptions } from './job-options.js';
export type { ClientOptions, CurveOptions, Protocol, RequestOptions } from './options.js';

/** The reply to a request. */
export type Reply = Message;
/** One part of a streamed reply. */
export type Part = StreamPart;

/** Counters of a client, since it was created. */
export interface ClientCounters {
  /** Messages that were not valid replies. */
  malformed: number;
  /** Replies that arrived too late, or twice. */
  late: number;
  /** How often requests were sent again. */
  resends: number;
  /** Connections opened after the first. */
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

export class Client {
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
  readonly #calls = new CallTable();
  readonly #replies: PendingReplies;
  readonly #closing = new Set<Promise<void>>();
  readonly #ticker: Ticker;
  readonly #jobs: Jobs;
  /** The broker's extensions; `null`: unknown yet. */
  #offers: Offers | null = null;
  readonly #targets = new Map<string, Target>();
  #closed = false;
  #warned = false;

  /** Connects to the first endpoint at once. @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
  constructor(options: ClientOptions) {
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
    this.#replies = new PendingReplies(settings.streamBufferBytes, (call) => {
      this.#overflow(call);
    });
    this.#ticker = new Ticker((now) => {
      this.#strategy.tick(now);
      return this.#strategy.nextMs();
    });
    this.#jobs = new Jobs(this.#asker());
    this.#strategy.start(monotonicMs());
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
   * ERR_MDP_CLOSED, ERR_MDP_LIMIT, ERR_MDP_OPTION or ERR_MDP_BODY.
   */
  request(service: string, body: Body, options?: RequestOptions): Promise<Reply> {
    const promise = new Promise<Reply>(takeSettlers);
    const { resolve, reject } = settlers;
    // They would keep the promise, and its reply, in memory.
    takeSettlers(ignore, ignore);
    try {
      const settings = options === undefined ? this.#defaults : this.#requestSettings(options);
      this.#ask(service, body, settings, resolve, reject);
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /**
   * Stores a request with Titanic, which keeps the reply until it is closed or `titanic.replyTtlMs`
   * (7 days) has passed. Resolves when the request is on disk.
   * The client may send it again, but it is stored once: without `idempotencyKey` the client uses a
   * random one. To a broker without `titanic.submit` the client sends it only once.
   *
   * Rejects as `request` does, and with ERR_TITANIC_REFUSED or ERR_TITANIC_UNSUPPORTED.
   */
  submit(service: string, body: Body, options?: SubmitOptions): Promise<Job> {
    return this.#jobs.submit(service, body, options);
  }

  /**
   * Returns the stored request with this uuid. If it was stored with a CURVE key, only that key or an
   * operator's may read it, unless it is `shared`. Sends nothing yet.
   * @throws ERR_MDP_OPTION unless the uuid is 32 hexadecimal characters
   */
  job(uuid: string): Job {
    return this.#jobs.job(uuid);
  }

  /**
   * Sends a request to `service` and yields the parts of its reply as they arrive; the last one has
   * `final: true`. The request is sent at the first `next()`. After the first part it is never sent
   * again; a lost or silent connection is then ERR_MDP_STREAM_BROKEN. `timeoutMs` is the longest wait
   * for each part.
   * @throws ERR_MDP_OPTION, ERR_MDP_BODY; the iterator throws what `request` rejects with
   */
  stream(
    service: string,
    body: Body,
    options?: RequestOptions,
  ): AsyncIterableIterator<Part, undefined> {
    const target = this.#targetOf(service);
    const frames = bodyFrames(body);
    const settings = options === undefined ? this.#defaults : this.#requestSettings(options);
    const source = {
      obstacle: () => this.#obstacle(settings),
      begin: (owner: CallOwner) => this.#begin(target, frames, true, settings, owner),
      abandon: (call: Call) => {
        this.#abandon(call);
      },
    };
    return new ReplyStream(source, this.#settings.streamBufferBytes);
  }

  /** Rejects outstanding requests with ERR_MDP_CLOSED, and closes the connections. */
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

  /** `null` if the request could not begin and was rejected. */
  #ask(
    service: string,
    body: Body,
    settings: RequestSettings,
    resolve: (reply: Reply) => void,
    reject: (error: MajordomoError) => void,
  ): Call | null {
    const target = this.#targetOf(service);
    const frames = bodyFrames(body);
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
    return {
      settings: this.#settings,
      get offers() {
        return offers();
      },
      learn: (learnt) => {
        this.#offers = learnt;
      },
      request: (service, body, options) => this.request(service, body, options),
      ask: (service, body, settings, resolve, reject) =>
        this.#ask(service, body, settings, resolve, reject),
      abandon: (call) => {
        this.#abandon(call);
      },
    };
  }

  #targetOf(service: string): Target {
    return this.#targets.get(service) ?? this.#newTarget(service);
  }

  #newTarget(service: string): Target {
    const name = serviceName(service);
    const id = this.#bare === null ? correlation(PROBE_ID, 0) : null;
    const target = { service, name, head: clientRequestHead(this.#settings.version, id, name) };
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
  }

  #wake(): void {
    this.#ticker.want(this.#strategy.nextMs());
  }

  #sink(): DeliverySink {
    return {
      open: (link, endpoint) => {
        this.#openLink(link, this.#settings.endpoints[endpoint] ?? '');
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
      raised: (fromMs, toMs) => {
        this.#warnRaised(fromMs, toMs);
      },
    };
  }

  #openLink(link: number, endpoint: string): void {
    if (link > 1) this.counters.reopened++;
    const events = {
      connected: () => {
        if (!this.#links.has(link)) return;
        this.#strategy.connected(link, monotonicMs());
        this.#wake();
      },
      disconnected: () => {
        if (!this.#links.has(link)) return;
        this.#strategy.disconnected(link, monotonicMs());
        this.#wake();
      },
      unreachable: (isKeyRefused: boolean) => {
        if (!this.#links.has(link)) return;
        this.#strategy.unreachable(link, isKeyRefused, monotonicMs());
        this.#wake();
      },
      message: (frames: Frames) => {
        if (this.#links.has(link)) this.#receive(link, frames);
      },
    };
    try {
      this.#links.set(link, this.#dial(endpoint, events));
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

  #closeLink(link: number): void {
    const found = this.#links.get(link);
    this.#links.delete(link);
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
    const { head } = call.target;
    if (this.#bare === null) putCorrelation(head, HEAD_CORRELATION_AT, call.id, call.attempt);
    writeHead(found, head, 0, head.length);
    writeBody(found, call.body);
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
      const heartbeatMs = pairHeartbeatMs(frames, reply.body);
      if (heartbeatMs === null) return;
      this.#strategy.learnt(link, heartbeatMs, monotonicMs());
      this.#wake();
      this.#offers = offersOf(frames, reply.body);
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
    const message = ReceivedMessage.copied(call.service, frames, reply.body);
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
    this.#strategy.refused(call, refusal, monotonicMs());
    this.#wake();
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
const settlers: { resolve: (reply: Reply) => void; reject: (error: unknown) => void } = {
  resolve: ignore,
  reject: ignore,
};

function ignore(): void {
  // Between two requests.
}

function takeSettlers(resolve: (reply: Reply) => void, reject: (error: unknown) => void): void {
  settlers.resolve = resolve;
  settlers.reject = reject;
}

function abortedError(signal: AbortSignal): MajordomoError {
  return sdkError('ERR_MDP_ABORTED', 'the request was aborted', { cause: signal.reason });
}
