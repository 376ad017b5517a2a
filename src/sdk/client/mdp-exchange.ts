import { int32At } from '../../core/bytes.js';
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import { randomName } from '../../core/random.js';
import {
  clientRequest,
  type ClientReply,
  packedMetadata,
  readClientReply,
} from '../../wire/client-side.js';
import { readClientFailure } from '../../wire/failure.js';
import { readJsonObject } from '../../wire/json-object.js';
import {
  CLIENT_REQUEST,
  CLIENT_REQUEST_WITH_HEADERS,
  CLIENT_REQUEST_WITH_OPTIONS,
  DEADLINE_MS_MAX,
  EMPTY,
  type MdpVersion,
} from '../../wire/mdp.js';
import {
  CANCEL_IDS_MAX,
  helloFrame,
  MMI_BROKER,
  MMI_CANCEL,
  MMI_FAILED,
  MMI_HELLO,
  MMI_REFUSED,
  MMI_RESUME,
  MMI_WHY,
  type ResumeState,
} from '../../wire/mmi.js';
import { requestOptionsFrame } from '../../wire/request-options.js';
import type { Link } from '../../zmtp/link-port.js';
import { BrokerFacts, type Offers } from '../broker-facts.js';
import type { Decode } from '../codec/codec.js';
import { writeBody, writeHead, writeMessage } from '../links.js';
import { ReceivedMessage } from '../message.js';
import type { ClientSettings } from '../options.js';
import { serviceError } from '../service-error.js';
import { BareLinks } from './bare-links.js';
import type { Call } from './call.js';
import { isOfBroker } from './client-services.js';
import {
  ATTEMPT_MODULUS,
  correlation,
  CORRELATION_BYTES,
  HEAD_COMMAND_AT,
  HEAD_CORRELATION_AT,
  PROBE_ID,
  putCorrelation,
} from './correlation.js';
import { NO_SESSION, type SessionState } from './delivery-strategy.js';
import { type ClientProtocol, Exchange } from './exchange.js';
import { Freelance } from './freelance.js';
import { LazyPirate } from './lazy-pirate.js';
import { whyLeadMs, Whys } from './whys.js';

/** How long an endpoint may have no connection before the next is used, if there is one. */
const CONNECT_MS = 1000;
const TEXT_BYTES_MAX = 2000;
const HELLO = Buffer.from(MMI_HELLO);
const BROKER = Buffer.from(MMI_BROKER);
const CANCEL = Buffer.from(MMI_CANCEL);
const RESUME = Buffer.from(MMI_RESUME);
const WHY = Buffer.from(MMI_WHY);
const REFUSED = Buffer.from(MMI_REFUSED);
const FAILED = Buffer.from(MMI_FAILED);
const ONCE = requestOptionsFrame({ once: true });

/** The messages of MDP between a client and its brokers. */
export class MdpExchange implements ClientProtocol {
  readonly exchange: Exchange;
  /** With `strategy: 'freelance'`, the strategy: it knows which endpoint is preferred. */
  readonly freelance: Freelance | null;
  /** The broker's extensions; `null`: unknown yet. */
  offers: Offers | null = null;
  readonly #version: MdpVersion;
  /** The name that it sends to each broker. */
  #hello: Buffer;
  /** Whether the strategy goes on over the next connection where the last one ended. */
  readonly #hasSession: boolean;
  readonly #refusesToWait: boolean;
  readonly #decode: Decode | null;
  readonly #whys = new Whys();
  /** With `envelope: false`, the strategy: it knows which call a link carries. */
  readonly #bare: BareLinks | null;
  /** The last link when a broker had not answered `mmi.broker` in time; 0: each has. */
  #silentLink = 0;
  /** The metadata that were sent last, and the deadline if they have no more than that: most are the same as before. */
  #metadata = EMPTY;
  #deadlineMs = -1;

  constructor(settings: ClientSettings, decode: Decode | null) {
    this.#version = settings.version;
    this.#refusesToWait = settings.ifNoWorker === 'fail';
    this.#hasSession =
      settings.version === 2 && settings.envelope && settings.strategy === 'failover';
    this.#hello = this.#newHello();
    this.#decode = decode;
    let bare: BareLinks | null = null;
    let freelance: Freelance | null = null;
    const options = { ...settings, reportsUnopened: settings.envelope, usesLinkPings: true };
    this.exchange = new Exchange(options, this, (sink) => {
      const machine = { ...settings, endpoints: settings.endpoints.length, connectMs: CONNECT_MS };
      if (!settings.envelope) return (bare = new BareLinks(machine, sink));
      if (settings.strategy === 'failover') return new LazyPirate(machine, sink, Math.random);
      const own = { ...machine, isAliveWhenConnected: true };
      return (freelance = new Freelance(own, sink, Math.random));
    });
    this.#bare = bare;
    this.freelance = freelance;
  }

  #newHello(): Buffer {
    const session = this.#hasSession ? randomName() : null;
    return helloFrame({ refusesToWait: this.#refusesToWait, hearsFailures: true, session });
  }

  renewSession(): void {
    this.#hello = this.#newHello();
  }

  get endpoint(): string | null {
    if (this.freelance === null) return this.exchange.endpoint;
    const { preferred } = this.freelance;
    return preferred < 0 ? null : this.exchange.endpointAt(preferred);
  }

  /** Without an envelope links come and go with requests. */
  get isConnected(): boolean {
    return this.exchange.endpoint !== null || this.#bare !== null;
  }

  /** The broker has not said in time what it supports, and the client has not dialled anew since. */
  get isSilent(): boolean {
    const { lastLink } = this.exchange;
    return this.#silentLink > 0 && (this.#bare !== null || this.#silentLink === lastLink);
  }

  /** The broker has not said in time what it supports. */
  missed(): void {
    this.#silentLink = this.exchange.lastLink;
  }

  // ---------------------------------------------------------------- what it sends

  greet(link: number): void {
    // Without a correlation id, so that it applies to every request on this connection (D11).
    this.#write(link, this.#uncorrelated(HELLO, [this.#hello]));
    this.probe(link);
  }

  probe(link: number): void {
    const question = correlation(PROBE_ID, 0);
    this.#write(link, clientRequest(this.#version, question, BROKER, [EMPTY]));
  }

  ping(link: number): void {
    this.probe(link);
  }

  askWhy(link: number, service: string): void {
    if (service === '' || isOfBroker(service)) return;
    const number = this.#whys.ask(link, service, monotonicMs());
    if (number === null) return;
    const question = correlation(PROBE_ID, number);
    this.#write(link, clientRequest(this.#version, question, WHY, [Buffer.from(service)]));
  }

  /** Asks the broker that is connected, if it can be asked. */
  askWhyNow(service: string): void {
    if (this.offers?.why === true) this.askWhy(this.exchange.connectedLink, service);
  }

  whyOf(service: string): string {
    return this.#whys.of(service, monotonicMs());
  }

  cancel(link: Link, sends: readonly (readonly [id: number, send: number])[]): void {
    const ids = sends.map(([id, send]) => correlation(id, send));
    for (let at = 0; at < ids.length; at += CANCEL_IDS_MAX) {
      const some = ids.slice(at, at + CANCEL_IDS_MAX);
      // Without a correlation id: those of the requests follow what precedes it.
      writeMessage(link, this.#uncorrelated(CANCEL, some));
    }
  }

  resume(link: Link, sends: readonly (readonly [id: number, send: number])[]): void {
    const ids = sends.map(([id, send]) => correlation(id, send));
    writeMessage(link, this.#uncorrelated(RESUME, ids));
  }

  /** A proxy puts an envelope before it, which needs a delimiter. */
  #uncorrelated(service: Buffer, body: readonly Uint8Array[]): Uint8Array[] {
    const frames = clientRequest(this.#version, null, service, body);
    return this.#version === 2 ? [EMPTY, ...frames] : frames;
  }

  #write(link: number, frames: readonly Uint8Array[]): void {
    const found = this.exchange.links.get(link);
    if (found !== undefined) writeMessage(found, frames);
  }

  send(link: Link, call: Call): void {
    const { head, headers } = call.target;
    const { hasOptions } = call;
    const hasMetadata = hasOptions || headers !== null || call.saidTime;
    if (this.#bare === null) putCorrelation(head, HEAD_CORRELATION_AT, call.id, call.attempt);
    if (this.#version === 2 && this.#bare === null) {
      const plain = hasMetadata ? CLIENT_REQUEST_WITH_HEADERS : CLIENT_REQUEST;
      head[HEAD_COMMAND_AT] = hasOptions ? CLIENT_REQUEST_WITH_OPTIONS : plain;
    }
    writeHead(link, head, 0, head.length);
    if (hasMetadata) this.#writeMetadata(link, call, headers ?? EMPTY);
    writeBody(link, call.body);
  }

  /** Options and group, if there are any (D117); the deadline, and the headers (D67). */
  #writeMetadata(link: Link, call: Call, headers: Buffer): void {
    const { once, group = '' } = call.settings;
    const leftMs = call.leftMs(monotonicMs());
    // The broker knows whether a worker has had it: it says so first.
    const wholeMs = Math.max(1, Math.floor(leftMs - (once ? whyLeadMs(leftMs) : 0)));
    const deadlineMs = wholeMs > DEADLINE_MS_MAX ? 0 : wholeMs;
    const isUsual = headers.length === 0 && !call.hasOptions;
    if (!isUsual || deadlineMs !== this.#deadlineMs) {
      const before = call.hasOptions ? [once ? ONCE : EMPTY, Buffer.from(group)] : [];
      this.#metadata = packedMetadata({ deadlineMs, headers }, before);
      this.#deadlineMs = isUsual ? deadlineMs : -1;
    }
    writeHead(link, this.#metadata, 0, this.#metadata.length);
  }

  // ---------------------------------------------------------------- what it receives

  receive(link: number, frames: Frames): void {
    const { calls, counters } = this.exchange;
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') {
      counters.malformed++;
      return;
    }
    if (this.#bare !== null) {
      const call = this.#bare.callOn(link);
      if (call === undefined) counters.late++;
      else this.#answer(link, call, call.attempt, frames, reply);
      return;
    }
    if (reply.envelopeFrames <= 0) {
      this.#greeted(link, frames, reply);
      return;
    }
    if (reply.envelopeFrames !== 1 || frames.size(0) !== CORRELATION_BYTES) {
      counters.malformed++;
      return;
    }
    const buffer = frames.buffer(0);
    const id = int32At(buffer, frames.start(0));
    const call = calls.get(id);
    if (call !== undefined) {
      this.#answer(link, call, buffer[frames.start(0) + 4] ?? 0, frames, reply);
    } else if (id !== PROBE_ID) {
      counters.late++;
    } else if (frames.equals(reply.service, BROKER)) {
      this.#learnt(link, frames, reply);
    } else if (frames.equals(reply.service, WHY) && frames.count > reply.body + 1) {
      this.#whys.answered(buffer[frames.start(0) + 4] ?? 0, shortText(frames.view(reply.body + 1)));
    }
  }

  /** Without an envelope it is the answer to `mmi.hello`, `mmi.resume`, or `mmi.cancel`, which does not matter. */
  #greeted(link: number, frames: Frames, reply: ClientReply): void {
    if (frames.equals(reply.service, HELLO)) {
      this.exchange.greeted(link, null, sessionState(frames, reply.body));
    } else if (frames.equals(reply.service, RESUME)) {
      const [status, ...states] = frames.copyFrom(reply.body).map(shortText);
      this.exchange.resumed(link, status === '200' ? (states as ResumeState[]) : null);
    } else if (frames.equals(reply.service, REFUSED)) {
      const [status = '', service, reason = ''] = frames.copyFrom(reply.body).map(shortText);
      if (service === MMI_HELLO) this.exchange.greeted(link, { status, reason });
      else if (service === MMI_RESUME) this.exchange.resumed(link, null);
    }
  }

  /** @param answer to `mmi.broker` */
  learn(answer: readonly Buffer[]): void {
    this.offers = new BrokerFacts(Frames.of(...answer), 0).offers;
  }

  /** The broker has answered `mmi.broker`. */
  #learnt(link: number, frames: Frames, reply: ClientReply): void {
    const { offers, pairHeartbeatMs, messageBytesMax, instance } = new BrokerFacts(
      frames,
      reply.body,
    );
    if (pairHeartbeatMs !== null) this.offers = offers;
    const { why: tellsWhy } = offers;
    const takesHeaders = offers.headers && this.#version === 2;
    const takesOptions = offers.options && this.#version === 2;
    const takesGroups = offers.group && takesOptions;
    const broker = {
      ...{ takesHeaders, takesOptions, takesGroups, tellsWhy },
      ...{ pairHeartbeatMs, instance },
    };
    this.exchange.learnt(link, broker, messageBytesMax, offers.cancel);
  }

  #answer(link: number, call: Call, send: number, frames: Frames, reply: ClientReply): void {
    const { counters, strategy } = this.exchange;
    if (!frames.equals(reply.service, call.target.name)) {
      const isRefused = frames.equals(reply.service, REFUSED);
      if (isRefused) this.#refused(link, call, send, frames, reply);
      else if (frames.equals(reply.service, FAILED)) this.#serviceFailed(call, send, frames, reply);
      else counters.malformed++;
      return;
    }
    const final = reply.kind === 'final';
    if (!call.accepts(send, ATTEMPT_MODULUS, final)) {
      counters.late++;
      return;
    }
    const message = ReceivedMessage.copied(call.service, this.#decode, frames, reply.body);
    if (final) {
      this.exchange.answered(call);
      // A waiting call may get a link; with an envelope there is nothing new.
      if (this.#bare !== null) this.exchange.wake();
      call.owner.done(call, message);
    } else {
      strategy.progressed(call, monotonicMs());
      call.owner.part(call, message);
    }
  }

  #refused(link: number, call: Call, send: number, frames: Frames, reply: ClientReply): void {
    const [status, , reason] = frames.copyFrom(reply.body).map(shortText);
    const refusal = { status: status ?? '', reason: reason ?? '' };
    this.exchange.refused(link, call, send, refusal);
  }

  /** The service reports a failure (D62): that is the answer. */
  #serviceFailed(call: Call, send: number, frames: Frames, reply: ClientReply): void {
    const { counters } = this.exchange;
    const failure = readClientFailure(frames.copyFrom(reply.body));
    if (failure?.service.equals(call.target.name) !== true) {
      counters.malformed++;
    } else if (!call.accepts(send, ATTEMPT_MODULUS, true)) {
      counters.late++;
    } else {
      this.exchange.answered(call);
      this.exchange.wake();
      call.owner.fail(call, serviceError(call.service, failure));
    }
  }
}

/** What the answer to a hello says of the client's session. */
function sessionState(frames: Frames, at: number): SessionState {
  if (at + 1 >= frames.count) return NO_SESSION;
  const { resumeMs, known } = readJsonObject(frames.view(at + 1)) ?? {};
  const isGiven = typeof resumeMs === 'number' && resumeMs > 0;
  return isGiven ? { resumeMs, isKnown: known === true } : NO_SESSION;
}

/** What a broker says to people: no more than they read. */
function shortText(frame: Buffer): string {
  return frame.toString('utf8', 0, TEXT_BYTES_MAX);
}
