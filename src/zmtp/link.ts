/**
 * A link on this project's own ZMTP engine: a DEALER, a SUB, or a PUB, with one connection, which
 * reconnects with back-off and jitter until it is closed.
 *
 * Without a connection output waits, up to `outputBytesMax`; above that new messages are dropped
 * whole. What a broken connection held is lost. The caller must resend (protocols: at least once).
 */
import { present } from '../core/assert.js';
import type { Words } from '../core/bytes.js';
import { monotonicMs } from '../core/clock.js';
import { codeOf, messageOf } from '../core/errors.js';
import { Frames } from '../core/frames.js';
import { secureRandom } from '../core/random.js';
import { Connection, type ConnectionEvents, type FaultKind } from './connection/connection.js';
import { CurveClientMechanism, type CurveClientKeys } from './curve/client.js';
import type { CurveCrypto } from './curve/crypto.js';
import { loadSodium } from './curve/sodium.js';
import { ByteSource } from './sockets/byte-source.js';
import { type ShellEvents, SocketShell } from './sockets/socket-shell.js';
import type { SocketType } from './connection/commands.js';
import type { Mechanism } from './connection/mechanism.js';
import { NullMechanism } from './connection/null.js';
import { checkDialled } from './endpoints.js';
import { Outbox } from './outbox.js';
import type { Dial, Link, LinkEvents, TransportLimits } from './link-port.js';
import { dialAddress } from './router/address.js';

const HANDSHAKE_MS_MAX = 3000;
/** What people call the errors of a dialling socket. */
const FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EAI_AGAIN: 'name not found',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'host not reachable',
  ENETUNREACH: 'network not reachable',
  ENOENT: 'no such socket',
  ENOTFOUND: 'name not found',
  ETIMEDOUT: 'no answer',
};

/** When a link reconnects, and when it gives up a silent connection. Milliseconds. */
export interface LinkPatience {
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
  /** Silence after which the peer is sent a PING, and the interval of that check. */
  readonly pingAfterMs: number;
  readonly pingCheckMs: number;
  /**
   * Number of unanswered PINGs after which the connection is given up. They are counted, not timed:
   * if the event loop stalled, its timers run before it reads what arrived meanwhile.
   */
  readonly unansweredMax: number;
}

const PATIENCE: LinkPatience = {
  reconnectMsMin: 100,
  reconnectMsMax: 2000,
  pingAfterMs: 5000,
  pingCheckMs: 2500,
  unansweredMax: 3,
};
/**
 * A connection that was up this long was no misconfiguration: the next is dialled without delay.
 */
const STOOD_MS = 1000;
const KEYS_TO_CHECK =
  ": is the given public key this broker's, and does the broker admit the key of this client?";
const NO_IDENTITY: Buffer = Buffer.alloc(0);

export interface ZmtpLinkOptions {
  readonly limits: TransportLimits;
  /** Routing id for the ROUTER to use, 1 to 255 bytes; by default the ROUTER assigns one. */
  readonly routingId?: Buffer;
  /** How it introduces itself; a `PUB` reports what its peer subscribes to. Default: `DEALER`. */
  readonly socketType?: 'DEALER' | 'ROUTER' | 'PUB';
  /** Encrypts all traffic to the one server that has this key (25/ZMTP-CURVE). */
  readonly curve?: CurveClientKeys;
  /** Makes it a SUB, which subscribes to these topics on each connection. Default: a DEALER. */
  readonly subscriptions?: readonly Buffer[];
  /** Default: that of clients and workers, which can wait. */
  readonly patience?: LinkPatience;
  /** Output exceeded `outputBytesMax`: messages are dropped until the queue is empty. */
  readonly dropping?: () => void;
}

export type { CurveClientKeys };

/** Returns a function that opens links with these options. */
export function dialZmtp(options: ZmtpLinkOptions): Dial {
  return (endpoint: string, events: LinkEvents): Link => {
    checkDialled(endpoint);
    dialAddress(endpoint);
    return new ZmtpLink(endpoint, options, events);
  };
}

class ZmtpLink implements Link, ConnectionEvents, ShellEvents {
  readonly identity = '';
  /** Only if its owner takes packed messages: connections offer them then. */
  readonly packed?: (words: Words, from: number, end: number) => number;
  readonly #endpoint: string;
  readonly #options: ZmtpLinkOptions;
  readonly #events: LinkEvents;
  readonly #frames = new Frames();
  /** Messages written while there is no connection. */
  readonly #waiting: Outbox;
  #shell: SocketShell | null = null;
  /** Loaded before the first connection that needs it. */
  #crypto: CurveCrypto | null = null;
  #isReady = false;
  #mayRead = true;
  /** Whether the link keeps the process alive. */
  #isRef = true;
  #isFlushDue = false;
  /** Where the message being written goes, until its last frame. */
  #route: 'none' | 'out' | 'waiting' | 'dropped' = 'none';
  readonly #patience: LinkPatience;
  #retryMs: number;
  #timer: NodeJS.Timeout | null = null;
  #readyAt = 0;
  #unanswered = 0;
  /** The current connection is ending because the other side refused its key. */
  #isKeyRefused = false;
  /** How many times in a row. */
  #keyRefusals = 0;
  /**
   * The peer of the last connection speaks ZMTP 2.0, or ended it before it said so, as JeroMQ 0.3 does
   * after a greeting of ZMTP 3: the next one waits for its version. (Others get the greeting at once,
   * which saves a round trip.)
   */
  #isPeerOld = false;
  /** The socket of the current connection is connected. */
  #isOpen = false;
  /** Why the current connection is ending; `null`: the other side ends it. */
  #fault: string | null = null;
  #closing: Promise<void> | null = null;
  #whenClosed: (() => void) | null = null;
  /** While closing: waiting output may be sent until then. */
  #lingersUntil = Infinity;
  #lingerTimer: NodeJS.Timeout | null = null;
  #isDroppingReported = false;
  /** `ping` was called, and nothing has arrived since. */
  #isPinged = false;

  constructor(endpoint: string, options: ZmtpLinkOptions, events: LinkEvents) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#events = events;
    this.#patience = options.patience ?? PATIENCE;
    this.#retryMs = this.#patience.reconnectMsMin;
    this.#waiting = new Outbox([], options.limits.outputBytesMax);
    if (events.packed !== undefined) this.packed = this.#packed;
    // No event is reported within the call that opens the link.
    if (options.curve === undefined) setImmediate(this.#dial);
    else void this.#dialSealed();
  }

  get waitingBytes(): number {
    return this.#waiting.bytes + (this.#shell?.waitingBytes ?? 0);
  }

  write(bytes: Uint8Array, start: number, end: number, more: boolean): void {
    if (this.#closing !== null) return;
    if (this.#route === 'none') this.#route = this.#chooseRoute();
    if (this.#route === 'out') this.#shell?.connection.write(bytes, start, end, more);
    else if (this.#route === 'dropped') this.#reportDropping();
    else if (!this.#waiting.write(bytes, start, end, more)) this.#reportDropping();
    if (!more) this.#endMessage();
  }

  writeHead(packed: Buffer, start: number, end: number): void {
    if (this.#closing !== null) return;
    if (this.#route === 'none') this.#route = this.#chooseRoute();
    if (this.#route === 'out') this.#shell?.connection.writePacked(packed, start, end);
    else if (this.#route === 'dropped') this.#reportDropping();
    else if (!this.#waiting.writePacked(packed, start, end)) this.#reportDropping();
  }

  #endMessage(): void {
    if (this.#route === 'out') this.#flushSoon();
    // The connection may have come up while the message was being written.
    else if (this.#route === 'waiting' && this.#isReady) this.#sendWaiting();
    this.#route = 'none';
  }

  ping(): boolean {
    const shell = this.#shell;
    if (!this.#isReady || shell?.connection.canPing !== true) return false;
    this.#isPinged = true;
    shell.connection.ping();
    shell.flush();
    return true;
  }

  setRef(isRef: boolean): void {
    if (this.#closing === null) this.#applyRef(isRef);
  }

  #applyRef(isRef: boolean): void {
    this.#isRef = isRef;
    this.#shell?.setRef(isRef);
    if (isRef) this.#timer?.ref();
    else this.#timer?.unref();
  }

  setReading(isReading: boolean): void {
    this.#mayRead = isReading;
    if (isReading) this.#shell?.resume();
  }

  /** A ROUTER may introduce itself with an empty message; of a publisher that is a message. */
  get #mayBeProbed(): boolean {
    return this.#options.subscriptions === undefined;
  }

  /** The handshake is always read. */
  get isReading(): boolean {
    return this.#mayRead || !this.#isReady;
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    const deadline = monotonicMs() + lingerMs;
    this.#lingersUntil = deadline;
    // Somebody may wait for the end.
    this.#applyRef(true);
    const closed = new Promise<void>((resolve) => {
      this.#whenClosed = resolve;
    });
    if (this.#isReady) {
      this.#shell?.end(lingerMs);
    } else if (this.#waiting.empty || lingerMs <= 0) {
      this.#giveUp();
    } else {
      // The connection may still come up, and waiting output be sent.
      this.#lingerTimer = setTimeout(this.#giveUp, lingerMs);
    }
    await closed;
    if (this.#lingerTimer !== null) clearTimeout(this.#lingerTimer);
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  readonly #giveUp = (): void => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#lingersUntil = -Infinity;
    this.#waiting.clear();
    if (this.#shell === null) this.#whenClosed?.();
    else this.#shell.destroy();
  };

  // ---------------------------------------------------------------- dialling

  async #dialSealed(): Promise<void> {
    this.#crypto = await loadSodium();
    // The link may have been closed meanwhile.
    if (monotonicMs() < this.#lingersUntil) this.#dial();
  }

  #mechanism(): Mechanism {
    const {
      curve,
      routingId: identity = NO_IDENTITY,
      socketType: given,
      subscriptions,
    } = this.#options;
    const socketType: SocketType = subscriptions === undefined ? (given ?? 'DEALER') : 'SUB';
    if (curve === undefined) return new NullMechanism(socketType, identity);
    const crypto = present(this.#crypto, 'libsodium is loaded');
    const others = { crypto, random: secureRandom, socketType, identity };
    return new CurveClientMechanism({ ...curve, ...others });
  }

  readonly #dial = (): void => {
    this.#timer = null;
    if (this.#closing !== null && this.#waiting.empty) return;
    const { messageBytesMax, framesMax } = this.#options.limits;
    const mechanism = this.#mechanism();
    const takesSubscriptions = this.#options.socketType === 'PUB';
    const limits = { messageBytesMax, framesMax, takesSubscriptions };
    const waitsForGreeting = this.#isPeerOld ? 'version' : false;
    const options = { mechanism, waitsForGreeting, ...limits } as const;
    const now = monotonicMs();
    const connection = new Connection(options, this, this.#frames, now);
    const source = ByteSource.dialled(dialAddress(this.#endpoint));
    const shell = new SocketShell(source, connection, this, null);
    this.#shell = shell;
    this.#fault = null;
    source.socket.once('connect', () => {
      this.#isOpen = true;
      shell.flush();
    });
    source.socket.once('error', (error) => {
      const code = codeOf(error) ?? '';
      this.#fault ??= FAULTS[code] ?? (code || messageOf(error));
    });
    this.#timer = setTimeout(() => {
      this.#fault ??= source.socket.connecting ? 'no answer' : 'no ZMTP handshake in time';
      shell.destroy();
    }, HANDSHAKE_MS_MAX);
    if (!this.#isRef) this.#applyRef(false);
    // Each address of a name is tried with a new handle (RFC 8305), which is to be released as well.
    source.socket.on('connectionAttempt', () => {
      if (!this.#isRef) shell.setRef(false);
    });
  };

  #dialLater(): void {
    // Half of the delay is random, so that the links of a lost broker do not all return at once.
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, this.#patience.reconnectMsMax);
    this.#timer = setTimeout(this.#dial, waitMs);
    if (!this.#isRef) this.#timer.unref();
  }

  // ---------------------------------------------------------------- connection events

  ready(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#watch, this.#patience.pingCheckMs).unref();
    this.#readyAt = monotonicMs();
    this.#unanswered = 0;
    this.#keyRefusals = 0;
    this.#isReady = true;
    const { subscriptions = [] } = this.#options;
    for (const topic of subscriptions) this.#shell?.connection.subscribe(topic, true);
    this.#sendWaiting();
    if (this.#closing === null) this.#events.connected();
    else this.#shell?.end(Math.max(0, this.#lingersUntil - monotonicMs()));
  }

  message(frames: Frames): void {
    if (this.#closing !== null || (frames.isProbe && this.#mayBeProbed)) return;
    this.#events.message(frames);
  }

  subscription(topic: Buffer, isOn: boolean): void {
    if (this.#closing === null) this.#events.subscription?.(topic, isOn);
  }

  readonly #packed = (words: Words, from: number, end: number): number =>
    this.#closing === null ? (this.#events.packed?.(words, from, end) ?? 0) : 0;

  failed(kind: FaultKind, reason: string): void {
    const check = kind === 'handshake' ? this.#keysToCheck : '';
    this.#fault ??= kind === 'key' ? 'the key was refused' : `${reason}${check}`;
    if (kind === 'key') {
      this.#isKeyRefused = true;
      // The key may be allowed later. The second attempt is soon, in case the first failed by
      // accident.
      if (this.#keyRefusals++ > 0) this.#retryMs = this.#patience.reconnectMsMax;
    }
    this.#shell?.end(0);
  }

  /** A server with another key says nothing at all. */
  get #keysToCheck(): string {
    return this.#options.curve === undefined ? '' : KEYS_TO_CHECK;
  }

  /** Detects a broker whose machine vanished: it answers no PING. */
  readonly #watch = (): void => {
    const shell = this.#shell;
    if (shell === null) return;
    const { connection } = shell;
    const isHeard = monotonicMs() - connection.lastHeardAt < this.#patience.pingAfterMs;
    if (isHeard || !this.isReading) {
      this.#unanswered = 0;
    } else if (connection.canPing) {
      if (this.#unanswered >= this.#patience.unansweredMax) {
        // What a writer of the map has given up must not be delivered late.
        shell.destroy(this.#options.socketType === 'PUB');
        return;
      }
      this.#unanswered++;
      connection.ping();
      shell.flush();
    }
    this.#timer = setTimeout(this.#watch, this.#patience.pingCheckMs).unref();
  };

  // ---------------------------------------------------------------- socket events

  received(): void {
    const shell = this.#shell;
    if (shell === null) return;
    const { isInterrupted, carriedBytes, output } = shell.connection;
    if (!this.#isReady) shell.flush();
    else if (output.bytes > 0) this.#flushSoon();
    if (this.#isReady && isInterrupted) this.#events.receiving?.(carriedBytes);
    if (!this.#isPinged) return;
    this.#isPinged = false;
    this.#events.heard?.();
  }

  written(): void {
    if (!this.#isReady) return;
    if (this.#shell?.waitingBytes === 0) this.#isDroppingReported = false;
    if (this.#closing === null) this.#events.written?.();
  }

  closed(): void {
    const wasReady = this.#isReady;
    const isKeyRefused = this.#isKeyRefused;
    this.#isReady = false;
    this.#isKeyRefused = false;
    this.#isPinged = false;
    const { isVersion2 = false, hasVersion = false } = this.#shell?.connection ?? {};
    this.#isPeerOld = isVersion2 || (this.#isOpen && !hasVersion && !this.#isPeerOld);
    this.#isOpen = false;
    this.#shell = null;
    if (this.#route === 'out') this.#route = 'dropped';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closing !== null && (wasReady || monotonicMs() >= this.#lingersUntil)) {
      this.#whenClosed?.();
      return;
    }
    if (wasReady && monotonicMs() - this.#readyAt >= STOOD_MS) {
      this.#retryMs = this.#patience.reconnectMsMin;
    }
    this.#dialLater();
    if (this.#closing !== null) return;
    const why = this.#fault ?? `closed during the ZMTP handshake${this.#keysToCheck}`;
    if (wasReady) this.#events.disconnected();
    else this.#events.unreachable?.(isKeyRefused, why);
  }

  // ---------------------------------------------------------------- output

  #chooseRoute(): 'out' | 'waiting' | 'dropped' {
    if (!this.#isReady || this.#shell === null) return 'waiting';
    return this.#shell.waitingBytes > this.#options.limits.outputBytesMax ? 'dropped' : 'out';
  }

  #reportDropping(): void {
    const { dropping } = this.#options;
    if (this.#isDroppingReported || dropping === undefined) return;
    this.#isDroppingReported = true;
    queueMicrotask(dropping);
  }

  /** All output of one turn is written at once. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    this.#shell?.flush();
  };

  #sendWaiting(): void {
    const connection = this.#shell?.connection;
    if (connection === undefined) return;
    for (let message = this.#waiting.peek(); message; message = this.#waiting.peek()) {
      const last = message.length - 1;
      for (const [index, frame] of message.entries()) {
        connection.write(frame, 0, frame.length, index < last);
      }
      this.#waiting.shift();
    }
    this.#waiting.reopen();
    this.#flushSoon();
  }
}
