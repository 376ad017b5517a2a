/**
 * The bus of a fleet on NATS core. It connects again for as long as it is open; while there is no
 * connection, nothing is sent. It is loaded only if `fleet.nats` is set.
 */

import { messageOf } from '../../../core/errors.js';
import type { FleetSink } from '../machine/sink.js';
import {
  type BusOptions,
  CONNECT_MS,
  connectionOptions,
  isRefusal,
  nameAllServers,
  refused,
} from './connect.js';
import {
  loadNats,
  type NatsConnection,
  type NatsLibrary,
  type NatsMessage,
  type NatsSubscription,
} from './library.js';

/** What the bus reports: inputs of the machine. */
export interface BusEvents {
  up(payloadMax: number, server: string): void;
  down(reason: string): void;
  /** @param bytes belong to the receiver */
  received(bytes: Buffer): void;
  unheard(service: string): void;
  /** The server takes less than was published; false: it has caught up. */
  full(isFull: boolean): void;
  /** A server does not let this broker in, or forbids it something. Told once for each reason. */
  refused(reason: string): void;
}

const RETRY_FIRST_MS = 500;
/** After so many bytes the server is asked whether it has had them. */
const ASK_BYTES = 1024 * 1024;
/** The library keeps what the server does not take: from so many bytes on, the bus is full. */
const BACKLOG_BYTES_MAX: number = 4 * ASK_BYTES;
/** WANTs whose answers are awaited. */
const UNHEARD_MAX = 10_000;
/** The status of a message that says that nobody listens. */
const NOBODY_LISTENS = 503;
/** Reasons that are told for one connection. */
const REFUSALS_MAX = 20;

export class NatsBus implements FleetSink {
  readonly #library: NatsLibrary;
  readonly #options: BusOptions;
  readonly #events: BusEvents;
  readonly #subscriptions = new Map<string, NatsSubscription>();
  /** Where the server says that nobody listens; the last part is a number. */
  #inbox = '';
  readonly #wants = new Map<string, string>();
  #want = 0;
  #connection: NatsConnection | null = null;
  #isUp = false;
  /** Bytes published since those that the server has had, as far as is known. */
  #backlog = 0;
  #isAsking = false;
  #isFull = false;
  /** Counts the times that there was a connection. */
  #rises = 0;
  #isClosed = false;
  #retry: NodeJS.Timeout | null = null;
  /** Reasons that were told since there last was a connection. */
  readonly #refusals = new Set<string>();

  private constructor(library: NatsLibrary, options: BusOptions, events: BusEvents) {
    this.#library = library;
    this.#options = options;
    this.#events = events;
  }

  /**
   * Connects. If no server can be reached, it goes on trying.
   * @throws ERR_FLEET_REFUSED: a server refused this broker
   */
  static async open(options: BusOptions, events: BusEvents): Promise<NatsBus> {
    const bus = new NatsBus(await loadNats(), options, events);
    const error = await bus.#connect();
    if (error !== null && isRefusal(error)) {
      bus.#isClosed = true;
      throw refused(error);
    }
    if (error !== null) {
      events.down(messageOf(error));
      bus.#connectLater();
    }
    return bus;
  }

  // ---------------------------------------------------------------- effects

  publish(subject: string, pack: Buffer, unheard: string | null): void {
    const connection = this.#connection;
    if (connection === null || !this.#isUp) return;
    if (unheard === null) connection.publish(subject, pack);
    else connection.publish(subject, pack, { reply: this.#replyTo(unheard) });
    this.#backlog += pack.length;
    if (this.#backlog >= ASK_BYTES && !this.#isAsking) void this.#ask(connection);
    if (this.#backlog > BACKLOG_BYTES_MAX) this.#setFull(true);
  }

  /** Asks the server whether it has had everything so far, until little is under way. */
  async #ask(connection: NatsConnection): Promise<void> {
    const rise = this.#rises;
    this.#isAsking = true;
    try {
      while (rise === this.#rises && this.#backlog >= ASK_BYTES) {
        const asked = this.#backlog;
        await connection.flush();
        if (rise !== this.#rises) return;
        this.#backlog -= asked;
        if (this.#backlog <= BACKLOG_BYTES_MAX / 2) this.#setFull(false);
      }
    } catch {
      // The connection is lost, which is told elsewhere.
    } finally {
      if (rise === this.#rises) this.#isAsking = false;
    }
  }

  #setFull(isFull: boolean): void {
    if (this.#isFull === isFull) return;
    this.#isFull = isFull;
    this.#events.full(isFull);
  }

  subscribe(subject: string): void {
    const connection = this.#connection;
    if (connection === null || this.#subscriptions.has(subject)) return;
    const callback = (error: Error | null, message: NatsMessage): void => {
      if (error !== null) return;
      // A view of what was read from the socket, for which the library makes a new buffer each time.
      const { buffer, byteOffset, byteLength } = message.data;
      this.#events.received(Buffer.from(buffer, byteOffset, byteLength));
    };
    this.#subscriptions.set(subject, connection.subscribe(subject, { callback }));
  }

  unsubscribe(subject: string): void {
    this.#subscriptions.get(subject)?.unsubscribe();
    this.#subscriptions.delete(subject);
  }

  /** Sends what was published, and closes the connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#isUp) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, CONNECT_MS).unref());
      await Promise.race([connection.flush().catch(() => undefined), late]);
    }
    this.#isUp = false;
    await connection.close();
  }

  #replyTo(service: string): string {
    if (this.#wants.size >= UNHEARD_MAX) this.#wants.clear();
    const number = String(++this.#want);
    this.#wants.set(number, service);
    return `${this.#inbox}.${number}`;
  }

  #answeredWant(message: NatsMessage): void {
    const number = message.subject.slice(this.#inbox.length + 1);
    const service = this.#wants.get(number);
    if (service === undefined || message.headers?.code !== NOBODY_LISTENS) return;
    this.#wants.delete(number);
    this.#events.unheard(service);
  }

  // ---------------------------------------------------------------- the connection

  /** @returns why there is none, or `null` */
  async #connect(): Promise<unknown> {
    try {
      const connection = await this.#library.connect(
        connectionOptions(this.#library, this.#options),
      );
      if (this.#isClosed) {
        await connection.close();
        return null;
      }
      nameAllServers(connection, this.#options);
      this.#connection = connection;
      this.#inbox = this.#library.createInbox();
      connection.subscribe(`${this.#inbox}.*`, {
        callback: (error, message) => {
          if (error === null) this.#answeredWant(message);
        },
      });
      this.#rise(connection);
      void this.#watch(connection);
      return null;
    } catch (error) {
      return error;
    }
  }

  #connectLater(): void {
    this.#retry = setTimeout(() => {
      void this.#connect().then((error) => {
        if (error === null || this.#isClosed) return;
        if (isRefusal(error)) this.#refusedFor(refused(error).message);
        this.#connectLater();
      });
    }, RETRY_FIRST_MS);
  }

  #rise(connection: NatsConnection): void {
    this.#isUp = true;
    this.#rises++;
    this.#backlog = 0;
    this.#isAsking = false;
    this.#setFull(false);
    const { info } = connection;
    this.#events.up(info?.max_payload ?? 0, connection.getServer());
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#isClosed) return;
      if (status.type === 'reconnect') {
        this.#rise(connection);
      } else if (status.type === 'disconnect' && this.#isUp) {
        this.#fall(`the connection to ${status.server ?? 'the server'} is lost`);
      } else if (status.type === 'staleConnection') {
        // The library would wait until the server has taken all that was sent to it.
        connection.protocol?.transport?.socket?.destroy();
      } else if (status.type === 'error') {
        this.#refusedFor(messageOf(status.error));
      }
    }
    // The library gave up.
    if (this.#isClosed || this.#connection !== connection) return;
    this.#connection = null;
    this.#subscriptions.clear();
    if (this.#isUp) this.#fall('the connection is closed');
    this.#connectLater();
  }

  #fall(reason: string): void {
    this.#isUp = false;
    this.#refusals.clear();
    this.#events.down(reason);
  }

  #refusedFor(reason: string): void {
    if (this.#refusals.has(reason) || this.#refusals.size >= REFUSALS_MAX) return;
    this.#refusals.add(reason);
    this.#events.refused(reason);
  }
}
