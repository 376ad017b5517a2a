/**
 * A link on libzmq's DEALER: one socket with one connection per link.
 *
 * Output waits here, not in libzmq, until the connection is up (`immediate`). libzmq holds at most
 * `PIPE_MESSAGES_MAX` messages, which are lost if the connection breaks. Above `outputBytesMax` new
 * messages are dropped whole until the queue is empty; the first drop calls `dropping`. The caller
 * must resend (protocols: at least once).
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Event, Observer } from 'zeromq';
import { monotonicMs } from '../../core/clock.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { Frames } from '../../core/frames.js';
import type { CurveClientKeys } from '../curve/client.js';
import type { Dial, Link, LinkEvents, TransportLimits } from '../link-port.js';
import { closeAndReap, untilLeft } from './closing.js';
import { checkDialled, endpointError, needsIpv6 } from '../endpoints.js';
import { Outbox } from '../outbox.js';
import { libzmq, type NamedDealer } from './sockets.js';

const PIPE_MESSAGES_MAX = 100;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 1000;
const HANDSHAKE_MS_MAX = 2000;
/**
 * If a broker's machine vanishes, the link notices after about 11 s of silence, or 10 s after it
 * sent something. It does not use ZMTP's PING: brokers on libzmq before 4.2 do not answer one, and
 * a link to them would break every few seconds. The SDK detects a broker that hangs.
 */
const KEEPALIVE = {
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 5,
  tcpKeepaliveInterval: 2,
  tcpKeepaliveCount: 3,
  tcpMaxRetransmitTimeout: 10_000,
} as const;
const MESSAGES_PER_TURN = 256;
const RETRY_MS_MIN = 1;
const RETRY_MS_MAX = 50;

interface LibzmqLinkOptions {
  readonly limits: TransportLimits;
  /** Routing id for the ROUTER to use, 1 to 255 bytes; by default the ROUTER assigns one. */
  readonly routingId?: Buffer;
  /** Encrypts all traffic to the one server that has this key (25/ZMTP-CURVE). */
  readonly curve?: CurveClientKeys;
  /** Output exceeded `outputBytesMax`: messages are dropped until the queue is empty. */
  readonly dropping?: () => void;
}

/** Returns a function that opens links with these options. */
export function dialLibzmq(options: LibzmqLinkOptions): Dial {
  return (endpoint: string, events: LinkEvents): Link => {
    checkDialled(endpoint);
    return new LibzmqLink(endpoint, options, events);
  };
}

class LibzmqLink implements Link {
  readonly #socket: NamedDealer;
  readonly #events: LinkEvents;
  readonly #limits: TransportLimits;
  readonly #dropping: (() => void) | undefined;
  readonly #outbox: Outbox;
  readonly #frames = new Frames();
  /** Resolves when the socket's monitor ends. */
  readonly #watching: Promise<void>;
  #connected = false;
  #sending = false;
  /** When libzmq took the last message, or gave one while the link closes. */
  #usedMs = -Infinity;
  #sentInTurn = 0;
  #pumpAwaited = false;
  #isFullReported = false;
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(endpoint: string, options: LibzmqLinkOptions, events: LinkEvents) {
    this.#events = events;
    this.#limits = options.limits;
    this.#dropping = options.dropping;
    this.#outbox = new Outbox([], options.limits.outputBytesMax);
    this.#socket = new (libzmq().NamedDealer)({
      immediate: true,
      sendTimeout: 0,
      linger: 0,
      sendHighWaterMark: PIPE_MESSAGES_MAX,
      receiveHighWaterMark: PIPE_MESSAGES_MAX,
      maxMessageSize: options.limits.messageBytesMax,
      reconnectInterval: RECONNECT_MS_MIN,
      reconnectMaxInterval: RECONNECT_MS_MAX,
      handshakeInterval: HANDSHAKE_MS_MAX,
      ipv6: needsIpv6(endpoint),
      ...KEEPALIVE,
    });
    // An exception in a handler is a bug in this program: it surfaces as an unhandled rejection.
    this.#watching = this.#watch(this.#socket.events);
    try {
      if (options.routingId !== undefined) this.#socket.nameItself(options.routingId);
      if (options.curve !== undefined) this.#socket.useCurve(options.curve);
      this.#socket.connect(endpoint);
    } catch (error) {
      this.#socket.close();
      throw endpointError(endpoint, `cannot connect: ${messageOf(error)}`, error);
    }
    void this.#read();
  }

  get waitingBytes(): number {
    return this.#outbox.bytes;
  }

  write(bytes: Uint8Array, start: number, end: number, more: boolean): void {
    if (this.#closing !== undefined) return;
    this.#outbox.write(bytes, start, end, more);
    if (this.#outbox.full && !this.#isFullReported) {
      this.#isFullReported = true;
      const dropping = this.#dropping;
      if (dropping !== undefined) queueMicrotask(dropping);
    }
    this.#awaitPump();
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    const deadlineMs = monotonicMs() + lingerMs;
    await untilLeft(
      () => this.#outbox.empty,
      () => this.#usedMs,
      deadlineMs,
    );
    clearTimeout(this.#timer);
    this.#outbox.clear();
    await closeAndReap(this.#socket, Math.max(0, deadlineMs - monotonicMs()), this.#watching);
  }

  /** Reads messages until the socket is closed; while the link closes they are dropped (see `closing.ts`). */
  async #read(): Promise<void> {
    await turn();
    for (let read = 1; ; read++) {
      let parts: Buffer[];
      try {
        parts = await this.#socket.receive();
      } catch (error) {
        if (this.#socket.closed) return;
        if (codeOf(error) === 'EAGAIN') continue;
        throw error;
      }
      if (this.#closing === undefined) this.#deliver(parts);
      else this.#usedMs = monotonicMs();
      if (read % MESSAGES_PER_TURN === 0) await turn();
    }
  }

  #deliver(parts: readonly Buffer[]): void {
    const { framesMax, messageBytesMax } = this.#limits;
    if (parts.length > framesMax) return;
    this.#frames.clear();
    let bytes = 0;
    for (const part of parts) {
      bytes += part.length;
      this.#frames.push(part, 0, part.length);
    }
    if (bytes <= messageBytesMax && !this.#frames.isProbe) this.#events.message(this.#frames);
  }

  async #watch(observer: Observer): Promise<void> {
    while (!observer.closed) {
      let event: Event;
      try {
        event = await observer.receive();
      } catch {
        return;
      }
      if (event.type === 'handshake') this.#stands();
      else if (event.type === 'disconnect') this.#broke();
      else if (event.type === 'end') return;
    }
  }

  #stands(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#retryMs = RETRY_MS_MIN;
    if (this.#closing === undefined) this.#events.connected();
    this.#awaitPump();
  }

  #broke(): void {
    if (!this.#connected) return;
    this.#connected = false;
    if (this.#closing === undefined) this.#events.disconnected();
  }

  #awaitPump(): void {
    if (this.#pumpAwaited || this.#sending || this.#timer !== undefined) return;
    this.#pumpAwaited = true;
    setImmediate(() => {
      this.#pumpAwaited = false;
      this.#sentInTurn = 0;
      this.#pump();
    });
  }

  #pump(): void {
    if (!this.#connected || this.#sending || this.#socket.closed) return;
    const message = this.#outbox.peek();
    if (message === undefined) {
      this.#outbox.reopen();
      this.#isFullReported = false;
      return;
    }
    if (this.#sentInTurn++ === MESSAGES_PER_TURN) {
      this.#awaitPump();
      return;
    }
    this.#sending = true;
    this.#socket.send(message).then(this.#sent, this.#failed);
  }

  readonly #sent = (): void => {
    this.#sending = false;
    this.#usedMs = monotonicMs();
    this.#retryMs = RETRY_MS_MIN;
    this.#outbox.shift();
    if (this.#closing === undefined) this.#events.written?.();
    this.#pump();
  };

  readonly #failed = (error: unknown): void => {
    this.#sending = false;
    if (this.#socket.closed) return;
    if (codeOf(error) !== 'EAGAIN') throw error;
    if (!this.#connected || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#awaitPump();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  };
}
