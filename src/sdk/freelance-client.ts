/**
 * The client of 10/FLP servers, such as a broker's listener for one service: see `FreelanceClient`.
 */
import { int32At } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import type { Link } from '../zmtp/link-port.js';
import { PING, readFreelanceReply } from '../wire/flp-client.js';
import { EMPTY } from '../wire/mdp.js';
import { type Body, bodyFrames } from './body.js';
import type { Call, Target } from './client/call.js';
import type { ClientEvents } from './client/client-events.js';
import { ATTEMPT_MODULUS, correlation, CORRELATION_BYTES } from './client/correlation.js';
import { type ClientCounters, type ClientProtocol, Exchange } from './client/exchange.js';
import { Freelance } from './client/freelance.js';
import { PendingReplies } from './client/pending-replies.js';
import { type Decode, type Encode, encoderOf, replyDecoderOf } from './codec/codec.js';
import { CLIENT_OPTIONS } from './option-tables.js';
import type { Endpoints } from './endpoints.js';
import { writeBody } from './links.js';
import { type Message, ReceivedMessage } from './message.js';
import {
  type FreelanceClientOptions,
  freelanceClientSettings,
  type FreelanceClientSettings,
  freelanceRequestSettings,
} from './options.js';
import type { RequestOptions } from './request-options.js';

export type { FreelanceClientOptions } from './options.js';

const PAUSES = {
  retryBaseMs: CLIENT_OPTIONS.retryBaseMs.default,
  retryMaxMs: CLIENT_OPTIONS.retryMaxMs.default,
};

/** 10/FLP names no service: each server has one. */
const TARGET: Target = { service: '', name: EMPTY, head: EMPTY, headers: null, isOfBroker: false };

/**
 * Sends requests to any of several servers that speak 10/FLP, the Guide's Freelance protocol: the first one
 * that is alive, and the next when it is slow or lost. A broker is such a server with a listener that has a
 * `service` and a `public` endpoint; the Guide's `flserver3` is another.
 *
 * Servers know nothing of each other, and a request may be executed by more than one of them: what they do
 * must be stateless, or idempotent. A client keeps the process alive only while requests are outstanding.
 *
 *     const client = new FreelanceClient({ endpoints: ['tcp://a:5555', 'tcp://b:5555'], hedgeMs: 50 });
 *     const reply = await client.request('hello');
 *     await client.close();
 *
 * @typeParam In what the codec makes bodies of
 * @typeParam Out what the codec reads from replies
 */
export class FreelanceClient<In = Body, Out = Buffer> {
  readonly #settings: FreelanceClientSettings;
  readonly #exchange: Exchange<Freelance>;
  readonly #encode: Encode | null;
  readonly #decode: Decode | null;
  readonly #replies: PendingReplies;

  /**
   * Connects to all endpoints at once, in the background: requests wait for a connection.
   *
   * @param options endpoints alone, or options; without either, `MAJORDOMO_URL` names the endpoints
   * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
   */
  constructor(options?: Endpoints | FreelanceClientOptions<In, Out>) {
    const settings = freelanceClientSettings(options);
    this.#settings = settings;
    const { codec } = settings;
    this.#encode = codec === undefined ? null : encoderOf(codec);
    this.#decode = codec === undefined ? null : replyDecoderOf(codec);
    // A reply is one message: there are no parts to be joined.
    this.#replies = new PendingReplies(0, this.#decode, () => undefined);
    const exchange = { ...settings, reportsUnopened: true, usesLinkPings: false };
    this.#exchange = new Exchange(exchange, this.#protocol(), (sink) => {
      const endpoints = settings.endpoints.length;
      // A server that serves nobody now answers no PING.
      const others = { endpoints, ...PAUSES, isAliveWhenConnected: false };
      return new Freelance({ ...settings, ...others }, sink, Math.random);
    });
    this.#exchange.start();
  }

  /** What has happened since the client was created; the client changes them. */
  get counters(): ClientCounters {
    return this.#exchange.counters;
  }

  /** The endpoint that requests go to first; `null`: no server is alive at this moment. */
  get endpoint(): string | null {
    const { preferred } = this.#exchange.strategy;
    return preferred < 0 ? null : this.#exchange.endpointAt(preferred);
  }

  /** The number of requests that wait for an answer. */
  get outstanding(): number {
    return this.#exchange.calls.size;
  }

  /**
   * Calls `listener` at each such event, in order; adding it twice changes nothing. The events are those of
   * `Client`. Listening does not keep the process alive.
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

  /**
   * Sends a request and waits for its reply. The bytes of `body` are not copied: do not change them until
   * the promise settles. `reply.service` is empty: each server has one service.
   *
   * Rejects with ERR_MDP_TIMEOUT, ERR_MDP_UNREACHABLE, ERR_MDP_KEY_REFUSED, ERR_MDP_ABORTED, ERR_MDP_CLOSED,
   * ERR_MDP_LIMIT, ERR_MDP_OPTION, ERR_MDP_BODY or ERR_MDP_CODEC.
   *
   *     const reply = await client.request('hello', { timeoutMs: 500 });
   *     console.log(reply.text());
   */
  async request(
    body: In,
    options?: Pick<RequestOptions, 'timeoutMs' | 'signal'>,
  ): Promise<Message<Out>> {
    const settings = freelanceRequestSettings(options, this.#settings);
    const frames = this.#encode === null ? bodyFrames(body) : this.#encode(body);
    const obstacle = this.#exchange.obstacle(settings);
    if (obstacle !== null) throw obstacle;
    const reply = await new Promise<Message>((resolve, reject) => {
      this.#exchange.begin(TARGET, frames, false, settings, this.#replies, resolve, reject);
    });
    return reply as Message<unknown> as Message<Out>;
  }

  /**
   * Rejects outstanding requests with ERR_MDP_CLOSED, and closes the connections. A server may still execute
   * the requests. Never rejects.
   */
  async close(): Promise<void> {
    await this.#exchange.close();
  }

  /** Closes the client, as `close` does: for `await using client = new FreelanceClient(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #protocol(): ClientProtocol {
    const ping = (link: number): void => {
      this.#exchange.links.get(link)?.write(PING, 0, PING.length, false);
    };
    return {
      greet: () => {
        // Nothing goes before PING.
      },
      probe: ping,
      ping,
      send: (link: Link, call: Call) => {
        const control = correlation(call.id, call.attempt);
        link.write(control, 0, control.length, true);
        writeBody(link, call.body);
      },
      cancel: () => {
        // No server of 10/FLP takes a request back.
      },
      receive: (_link, frames) => this.#receive(frames),
    };
  }

  #receive(frames: Frames): void {
    const { calls, counters } = this.#exchange;
    const kind = readFreelanceReply(frames);
    if (kind === 'pong') return;
    if (kind === 'malformed' || frames.size(0) !== CORRELATION_BYTES) {
      counters.malformed++;
      return;
    }
    const buffer = frames.buffer(0);
    const call = calls.get(int32At(buffer, frames.start(0)));
    const send = buffer[frames.start(0) + 4] ?? 0;
    if (call?.accepts(send, ATTEMPT_MODULUS, true) !== true) {
      counters.late++;
      return;
    }
    const reply = ReceivedMessage.copied('', this.#decode, frames, 1);
    this.#exchange.answered(call);
    call.owner.done(call, reply);
  }
}
