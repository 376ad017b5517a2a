/**
 * The connections and outstanding requests of a client, whatever protocol it speaks: carries out what its
 * strategy decides, and tells it what happens. The protocol writes and reads the messages.
 */
import { monotonicMs } from '../../core/clock.js';
import { type MajordomoError, messageOf } from '../../core/errors.js';
import type { Frames } from '../../core/frames.js';
import { MMI_HELLO, type ResumeState } from '../../wire/mmi.js';
import type { Dial, Link } from '../../zmtp/link-port.js';
import type { BodyFrames } from '../body.js';
import { sdkError } from '../errors.js';
import { Listeners } from '../sdk-events.js';
import { LINK_LIMITS } from '../dials.js';
import { endpointError } from '../links.js';
import type { RequestSettings } from '../request-options.js';
import { Ticker } from '../ticker.js';
import { type BrokerRefusal, Call, type CallOwner, isDraining, type Target } from './call.js';
import { CallTable } from './call-table.js';
import { CLIENT_EVENTS, type ClientEvents } from './client-events.js';
import { ATTEMPT_MODULUS } from './correlation.js';
import {
  type DeliverySink,
  type DeliveryStrategy,
  type LearntBroker,
  NO_SESSION,
} from './delivery-strategy.js';
import { ProcessHold } from './process-hold.js';

/** Counters of a client, since it was created. */
export interface ClientCounters {
  /** Messages that were not valid replies. */
  malformed: number;
  /** Replies that arrived too late, or twice. */
  late: number;
  /** How often requests were sent again, also to one more server because of `hedgeMs`. */
  resends: number;
  /** Requests with which the client went on over another connection: they were not sent again. */
  resumed: number;
  /** How often requests were sent to one more server because the first answer was late (`hedgeMs`). */
  hedges: number;
  /** Connections opened after the first of each endpoint; also those to another endpoint. */
  reopened: number;
}

/** What is particular to the protocol. Links by their numbers, from 1. */
export interface ClientProtocol {
  /** Writes the first messages on a connection. */
  greet(link: number): void;
  /** Asks for a sign of life with a request to the broker itself. */
  probe(link: number): void;
  /** Asks for a sign of life, if the connection itself has no PING for it. */
  ping(link: number): void;
  /** Writes the request, with the present number of its send. */
  send(link: Link, call: Call): void;
  /** Tells the broker that nobody wants the answers to these sends, by the numbers of calls and sends. */
  cancel(link: Link, sends: readonly (readonly [id: number, send: number])[]): void;
  /** Asks what became of these sends. Absent: the protocol has no sessions. */
  resume?(link: Link, sends: readonly (readonly [id: number, send: number])[]): void;
  /** The next greeting begins another session. */
  renewSession?(): void;
  /** Asks why a request for this service has no answer, unless that was asked just now. Absent: nobody can be asked. */
  askWhy?(link: number, service: string): void;
  /** What was answered to that, after a colon; empty: nothing. */
  whyOf?(service: string): string;
  /** A message arrived; the frames are valid until this returns. */
  receive(link: number, frames: Frames): void;
}

/** While a broker has left so many bytes unread, no further request is sent to it. */
const OUTPUT_WAITING_MAX = LINK_LIMITS.outputBytesMax / 2;
/** Kept for a broker that has not said yet whether it takes requests back. */
const EARLY_CANCELS_MAX = 100;

interface ExchangeOptions {
  readonly endpoints: readonly string[];
  readonly dial: Dial;
  readonly maxOutstanding: number;
  /** A link that cannot be opened is reported to the strategy as lost. */
  readonly reportsUnopened: boolean;
  /** The connections' own PINGs are used, where they have any. */
  readonly usesLinkPings: boolean;
}

/** @typeParam Strategy what decides where requests go */
export class Exchange<Strategy extends DeliveryStrategy = DeliveryStrategy> {
  readonly counters: ClientCounters = {
    malformed: 0,
    late: 0,
    resends: 0,
    resumed: 0,
    hedges: 0,
    reopened: 0,
  };
  readonly calls = new CallTable();
  readonly listeners = new Listeners<ClientEvents>(CLIENT_EVENTS);
  readonly strategy: Strategy;
  readonly #options: ExchangeOptions;
  readonly #protocol: ClientProtocol;
  readonly links = new Map<number, Link>();
  readonly #endpointOf = new Map<number, string>();
  /** By endpoint: why the last attempt to connect there failed. */
  readonly #faults = new Map<string, string>();
  /** The largest message that the broker of a link accepts, where it has said so. */
  readonly #messageBytesMaxOf = new Map<number, number>();
  /** Links whose broker has once taken the hello: it tells of the failures of what was sent until it refuses one. */
  readonly #greeted = new Set<number>();
  /** By link: why its broker refused the hello, and so reports no failures. */
  readonly #deaf = new Map<number, { readonly refusal: BrokerRefusal; isAsked: boolean }>();
  /** By link: the sends to be cancelled soon, or when its broker has said that it takes requests back. */
  readonly #cancelsOn = new Map<number, (readonly [id: number, send: number])[]>();
  readonly #closing = new Set<Promise<void>>();
  readonly #ticker: Ticker;
  readonly #hold: ProcessHold = new ProcessHold(
    () => this.calls.size === 0,
    (isHeld) => this.#setRef(isHeld),
  );
  /** The last link that was connected, and is. */
  #connectedLink = 0;
  #endpoint: string | null = null;
  /** The last link that was opened. */
  #lastLink = 0;
  #isStarting = true;
  #closed = false;

  /**
   * Opens the first links.
   * @param strategyOf makes the strategy
   * @throws ERR_MDP_ENDPOINT
   */
  constructor(
    options: ExchangeOptions,
    protocol: ClientProtocol,
    strategyOf: (sink: DeliverySink) => Strategy,
  ) {
    this.#options = options;
    this.#protocol = protocol;
    this.strategy = strategyOf(this.#sink());
    this.#ticker = new Ticker((now) => {
      this.strategy.tick(now);
      return this.strategy.nextMs();
    });
    this.#ticker.setRef(false);
  }

  /** @throws ERR_MDP_ENDPOINT if an endpoint cannot be dialled */
  start(): void {
    try {
      this.strategy.start(monotonicMs());
    } catch (error) {
      void this.close();
      throw error;
    }
    this.#isStarting = false;
    this.wake();
  }

  /** The endpoint of the connection that was made last; `null`: it is gone. */
  get endpoint(): string | null {
    return this.#endpoint;
  }

  /** The number of the link that was connected last. */
  get connectedLink(): number {
    return this.#connectedLink;
  }

  /** The number of the link that was opened last. */
  get lastLink(): number {
    return this.#lastLink;
  }

  endpointAt(index: number): string {
    return this.#options.endpoints[index] ?? '';
  }

  // ---------------------------------------------------------------- requests

  /** Why no request can be sent now. */
  obstacle({ signal }: RequestSettings): MajordomoError | null {
    if (this.#closed) return closedError();
    if (signal?.aborted === true) return abortedError(signal);
    if (this.calls.size < this.#options.maxOutstanding) return null;
    return sdkError(
      'ERR_MDP_LIMIT',
      `${this.calls.size} requests are outstanding (maxOutstanding)`,
    );
  }

  begin(
    target: Target,
    body: BodyFrames,
    streams: boolean,
    settings: RequestSettings,
    owner: CallOwner,
    resolve?: Call['resolve'],
    reject?: Call['reject'],
  ): Call {
    const { signal } = settings;
    const id = this.calls.nextId();
    const call = new Call(id, target, body, streams, settings, owner, resolve, reject);
    if (signal !== undefined) this.#heed(signal, call);
    this.calls.add(call);
    this.#hold.hold();
    this.strategy.add(call, monotonicMs());
    this.wake();
    return call;
  }

  #heed(signal: AbortSignal, call: Call): void {
    const listener = (): void => {
      this.abandon(call);
      call.owner.fail(call, abortedError(signal));
    };
    signal.addEventListener('abort', listener, { once: true });
    call.unlisten = () => signal.removeEventListener('abort', listener);
  }

  /** Gives up a call that nobody waits for any longer. */
  abandon(call: Call): void {
    this.#release(call);
    this.strategy.cancel(call, monotonicMs());
    this.wake();
  }

  /** Gives up a call whose time is over. @returns what it fails with */
  giveUp(call: Call): MajordomoError {
    const error = this.#withReasons(call, call.timeoutError(monotonicMs(), true));
    this.abandon(call);
    return error;
  }

  /** The call has its answer. */
  answered(call: Call): void {
    this.#release(call);
    this.strategy.answered(call, monotonicMs());
  }

  /**
   * A send of the call was refused.
   * @param send its number, modulo `ATTEMPT_MODULUS`
   */
  refused(link: number, call: Call, send: number, refusal: BrokerRefusal): void {
    const endpoint = this.#endpointOf.get(link) ?? '';
    if (!this.strategy.refused(call, send, refusal, monotonicMs())) {
      this.counters.late++;
      return;
    }
    this.wake();
    this.listeners.emit('refused', { endpoint, service: call.service, ...refusal });
  }

  /** The broker has answered `mmi.broker`. */
  learnt(link: number, broker: LearntBroker, messageBytesMax: number, takesCancels: boolean): void {
    this.#messageBytesMaxOf.set(link, messageBytesMax);
    if (!takesCancels) this.#cancelsOn.delete(link);
    else if (this.#cancelsOn.has(link)) this.#cancelNow(link);
    else this.#cancelsOn.set(link, []);
    this.strategy.learnt(link, broker, monotonicMs());
    this.wake();
  }

  /**
   * The broker has answered the hello.
   * @param refusal `null`: it reports failures on this link; of one that ends: it never took what it has not answered
   */
  greeted(link: number, refusal: BrokerRefusal | null, session = NO_SESSION): void {
    const endpoint = this.#endpointOf.get(link);
    if (endpoint === undefined) return;
    const isOver = refusal !== null && isDraining(refusal);
    if (!isOver) this.strategy.greeted?.(link, refusal === null ? session : null, monotonicMs());
    this.wake();
    if (refusal === null) {
      this.#deaf.delete(link);
      this.#greeted.add(link);
      return;
    }
    if (this.links.has(link) && !isOver) this.#deaf.set(link, { refusal, isAsked: false });
    const { status, reason } = refusal;
    const said = `; the broker refused mmi.hello, and so reports no failures: ${status} ${reason}`;
    for (const call of this.calls.all()) {
      const isLast = call.link === link;
      const send = this.strategy.sendOn?.(call, link) ?? (isLast ? call.attempt : 0);
      if (send === 0 || (isOver && call.target.isOfBroker)) continue;
      if (isOver) this.#refuseSoon(call, refusal, send);
      else if (this.#greeted.has(link)) call.deafness = said;
      else this.#refuseSoon(call, { status, reason, isFinal: true }, send);
    }
    this.listeners.emit('refused', { endpoint, service: MMI_HELLO, ...refusal });
  }

  /** The broker said what became of lost sends; `null`: it does not say. */
  resumed(link: number, states: readonly ResumeState[] | null): void {
    this.strategy.resumed?.(link, states, monotonicMs());
    this.wake();
  }

  #release(call: Call): void {
    this.calls.delete(call);
    call.unlisten?.();
    if (this.calls.size === 0) this.#hold.letGoSoon();
  }

  /** The strategy may want its tick earlier. */
  wake(): void {
    if (this.#closed) return;
    this.#ticker.want(this.strategy.nextMs());
  }

  /** Rejects outstanding requests with ERR_MDP_CLOSED, and closes the connections. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ticker.stop();
    for (const call of this.calls.all()) {
      this.#release(call);
      call.owner.fail(call, closedError());
    }
    for (const link of [...this.links.keys()]) this.#closeLink(link);
    await Promise.all(this.#closing);
  }

  #setRef(isRef: boolean): void {
    this.#ticker.setRef(isRef);
    for (const link of this.links.values()) link.setRef?.(isRef);
  }

  // ---------------------------------------------------------------- links

  #sink(): DeliverySink {
    return {
      open: (link, endpoint) => this.#openLink(link, this.endpointAt(endpoint)),
      close: (link) => this.#closeLink(link),
      greet: (link) => this.#protocol.greet(link),
      probe: (link) => this.#protocol.probe(link),
      askWhy: (link, call) => this.#protocol.askWhy?.(link, call.service),
      ping: (link) => {
        const isPinged = this.#options.usesLinkPings && this.links.get(link)?.ping?.() === true;
        if (!isPinged) this.#protocol.ping(link);
      },
      hedged: () => {
        this.counters.hedges++;
      },
      send: (link, call) => {
        const found = this.links.get(link);
        const bytesMax = this.#messageBytesMaxOf.get(link) ?? Infinity;
        const deaf = this.#deaf.size === 0 ? undefined : this.#deaf.get(link);
        if (deaf !== undefined) {
          this.#refuseSoon(call, deaf.refusal);
          // There may be a place for it when the request is sent again.
          if (!deaf.isAsked) this.#protocol.greet(link);
          deaf.isAsked = true;
          return;
        }
        if (call.bytes > bytesMax) {
          this.#refuseSoon(call, { status: '413', reason: '', bytesMax });
          return;
        }
        // Above its limit the link would drop it.
        const waiting = found?.waitingBytes ?? 0;
        if (waiting > 0 && waiting + call.bytes > OUTPUT_WAITING_MAX) {
          this.#refuseSoon(call, { status: '429', reason: 'it leaves unread what it was sent' });
          return;
        }
        if (call.attempt > 1) this.counters.resends++;
        if (found !== undefined) this.#protocol.send(found, call);
      },
      resume: (link, sends) => {
        const found = this.links.get(link);
        if (found !== undefined) this.#protocol.resume?.(found, sends);
      },
      renewId: (call) => this.calls.renew(call),
      renewSession: () => {
        this.calls.restart();
        this.#protocol.renewSession?.();
      },
      resumed: () => {
        this.counters.resumed++;
      },
      cancel: (link, id, send) => this.#cancelSoon(link, id, send),
      fail: (call, error) => {
        this.#release(call);
        call.owner.fail(call, this.#withReasons(call, error));
      },
      switched: (from, to, reason) => {
        const event = { from: this.endpointAt(from), to: this.endpointAt(to), reason };
        // Not now: a listener may abort a request, or close the client, which is on its way there.
        queueMicrotask(() => {
          this.listeners.emit('switched', event);
        });
      },
    };
  }

  /** Cancels a send soon: those that are aborted together are cancelled together. */
  #cancelSoon(link: number, id: number, send: number): void {
    const isLearnt = this.#messageBytesMaxOf.has(link);
    if (!isLearnt && !this.#cancelsOn.has(link)) this.#cancelsOn.set(link, []);
    const sends = this.#cancelsOn.get(link);
    if (sends === undefined || (!isLearnt && sends.length === EARLY_CANCELS_MAX)) return;
    if (sends.push([id, send]) > 1 || !isLearnt) return;
    queueMicrotask(() => this.#cancelNow(link));
  }

  #cancelNow(link: number): void {
    const found = this.links.get(link);
    const sends = this.#cancelsOn.get(link)?.splice(0) ?? [];
    if (found !== undefined && sends.length > 0) this.#protocol.cancel(found, sends);
  }

  /**
   * The broker would only refuse it (D100), or not say what becomes of it. Not now: the strategy is in the middle
   * of its send.
   */
  #refuseSoon(call: Call, refusal: BrokerRefusal, send = call.attempt): void {
    queueMicrotask(() => {
      if (this.#closed || call.state === 'settled') return;
      this.strategy.refused(call, send % ATTEMPT_MODULUS, refusal, monotonicMs());
      this.wake();
    });
  }

  #openLink(link: number, endpoint: string): void {
    if (!this.#isStarting) this.counters.reopened++;
    this.#lastLink = link;
    const events = {
      connected: () => {
        if (!this.links.has(link)) return;
        this.#connectedLink = link;
        this.#endpoint = endpoint;
        this.#faults.delete(endpoint);
        this.strategy.connected(link, monotonicMs());
        this.wake();
        this.listeners.emit('connected', { endpoint });
      },
      disconnected: () => {
        if (!this.links.has(link)) return;
        this.#notConnected(link);
        this.strategy.disconnected(link, monotonicMs());
        this.wake();
      },
      unreachable: (isKeyRefused: boolean, why: string) => {
        if (!this.links.has(link)) return;
        this.#faults.set(endpoint, why);
        this.strategy.unreachable(link, isKeyRefused, monotonicMs());
        this.wake();
        if (isKeyRefused) this.#keyRefused(endpoint);
      },
      heard: () => this.#heard(link),
      message: (frames: Frames) => {
        if (!this.links.has(link)) return;
        this.#heard(link);
        this.#protocol.receive(link, frames);
      },
    };
    try {
      const opened = this.#options.dial(endpoint, events);
      this.links.set(link, opened);
      this.#endpointOf.set(link, endpoint);
      if (!this.#hold.isHeld) opened.setRef?.(false);
    } catch (error) {
      if (this.#isStarting) throw endpointError(endpoint, error);
      this.#faults.set(endpoint, messageOf(error));
      this.#notOpened(link);
    }
  }

  /** Says why no answer came, as far as it is known; of each endpoint why it accepted no connection, if none has. */
  #withReasons({ service }: Call, error: MajordomoError): MajordomoError {
    const { code, message, details } = error;
    const why = code === 'ERR_MDP_TIMEOUT' ? (this.#protocol.whyOf?.(service) ?? '') : '';
    if (why !== '') return sdkError('ERR_MDP_TIMEOUT', `${message}${why}`, { details });
    if (code !== 'ERR_MDP_UNREACHABLE') return error;
    const errors = this.#options.endpoints.map((endpoint) => {
      const why = this.#faults.get(endpoint) ?? 'no connection';
      return sdkError('ERR_MDP_ENDPOINT', `${endpoint}: ${why}`, { details: { endpoint } });
    });
    const cause = new AggregateError(errors, errors.map(messageOf).join('; '));
    return sdkError('ERR_MDP_UNREACHABLE', `${message}: ${cause.message}`, { cause, details });
  }

  #heard(link: number): void {
    if (this.strategy.heard(link)) this.wake();
  }

  /**
   * For example too many open files: tried again after a pause, or when a request's time-out is
   * over.
   */
  #notOpened(link: number): void {
    if (!this.#options.reportsUnopened) return;
    queueMicrotask(() => {
      if (this.#closed) return;
      this.strategy.disconnected(link, monotonicMs());
      this.wake();
    });
  }

  #notConnected(link: number): void {
    if (link === this.#connectedLink) this.#endpoint = null;
  }

  #keyRefused(endpoint: string): void {
    const reason = 'the broker does not admit this key';
    this.listeners.emit('refused', { endpoint, service: null, status: 'key', reason });
  }

  #closeLink(link: number): void {
    this.#notConnected(link);
    const found = this.links.get(link);
    if (this.#messageBytesMaxOf.has(link)) this.#cancelNow(link);
    this.links.delete(link);
    this.#endpointOf.delete(link);
    this.#messageBytesMaxOf.delete(link);
    this.#deaf.delete(link);
    this.#greeted.delete(link);
    this.#cancelsOn.delete(link);
    if (found === undefined) return;
    const closing = found.close(0).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function closedError(): MajordomoError {
  return sdkError('ERR_MDP_CLOSED', 'the client was closed');
}

function abortedError(signal: AbortSignal): MajordomoError {
  return sdkError('ERR_MDP_ABORTED', 'the request was aborted', { cause: signal.reason });
}
