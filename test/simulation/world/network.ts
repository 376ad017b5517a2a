/**
 * Connections between actors and servers. Each keeps the order of its messages; messages on
 * different ones may overtake each other. Any can be cut with or without notice, and either side
 * can stop reading.
 */
import type { SimClock } from './clock.js';
import { Pipe, type PipeOptions } from './pipe.js';
import type { SimRandom } from './random.js';

/** The actor's side of a connection. */
export interface ActorEnd<Down> {
  received(item: Down): void;
  /** The connection is gone, and the actor is notified. */
  lost(): void;
}

/** The server's side of all its connections. Calls for one connection come in order. */
export interface ServerEnd<Up, Down> {
  connected(connection: Connection<Up, Down>): void;
  received(connection: Connection<Up, Down>, item: Up): void;
  /** The output waiting for the peer exceeded `outputBytesMax`. */
  outputFull(connection: Connection<Up, Down>): void;
  drained(connection: Connection<Up, Down>): void;
  disconnected(connection: Connection<Up, Down>): void;
}

export interface NetworkOptions extends PipeOptions {
  readonly outputBytesMax: number;
  /** Delay before a side is notified of a loss. */
  readonly noticeMaxMs: number;
}

/** Who connects. */
export interface Dialled {
  readonly listener: number;
  readonly routingId: Buffer;
  readonly ownRoutingId: boolean;
  readonly key: string | null;
  readonly address: string;
  readonly identity: string;
  /** The type of its socket; default: one that the transport does not know. */
  readonly socketType?: string;
}

const CONNECT = Symbol('connect');
const CLOSE = Symbol('close');

export class Connection<Up, Down> implements Dialled {
  readonly listener: number;
  readonly routingId: Buffer;
  readonly ownRoutingId: boolean;
  readonly key: string | null;
  readonly address: string;
  readonly identity: string;
  readonly socketType: string;
  readonly #network: SimNetwork<Up, Down>;
  readonly #actor: ActorEnd<Down>;
  readonly #up: Pipe<Up | typeof CONNECT | typeof CLOSE>;
  readonly #down: Pipe<Down>;
  readonly #random: SimRandom;
  #atServer: 'not yet' | 'connected' | 'gone' = 'not yet';
  #full = false;
  /** Messages to the actor were dropped because it did not read. */
  hasLost = false;
  #actorGone = false;

  constructor(
    network: SimNetwork<Up, Down>,
    dialled: Dialled,
    actor: ActorEnd<Down>,
    random: SimRandom,
  ) {
    this.listener = dialled.listener;
    this.routingId = dialled.routingId;
    this.ownRoutingId = dialled.ownRoutingId;
    this.key = dialled.key;
    this.address = dialled.address;
    this.identity = dialled.identity;
    this.socketType = dialled.socketType ?? '';
    this.#network = network;
    this.#actor = actor;
    this.#random = random;
    const { clock, options } = network;
    this.#up = new Pipe(clock, random.fork(1), options, (item) => this.#arrived(item));
    this.#down = new Pipe(clock, random.fork(2), options, (item) => {
      if (!this.#actorGone) this.#actor.received(item);
      this.#wasRead();
    });
    this.#up.send(CONNECT, 0);
  }

  get isNamed(): boolean {
    return this.ownRoutingId;
  }

  // ---------------------------------------------------------------- the actor's side

  send(item: Up, bytes: number): void {
    if (!this.#actorGone) this.#up.send(item, bytes);
  }

  stopReading(): void {
    this.#down.stop();
  }

  resumeReading(): void {
    this.#down.resume();
  }

  /** The actor closes: what it sent before still arrives, then the server is notified. */
  close(): void {
    if (this.#actorGone) return;
    this.#actorGone = true;
    this.#down.cut();
    this.#up.send(CLOSE, 0);
  }

  // ---------------------------------------------------------------- the network

  /**
   * Data in flight in both directions is lost.
   * @param serverKnows, actorKnows whether that side is notified
   */
  cut(serverKnows: boolean, actorKnows: boolean): void {
    this.#up.cut();
    if (serverKnows) this.#down.cut();
    else this.#down.swallow();
    const { clock, options } = this.#network;
    if (serverKnows) {
      clock.after(this.#random.int(0, options.noticeMaxMs), () => this.notice());
    }
    if (actorKnows && !this.#actorGone) {
      clock.after(this.#random.int(0, options.noticeMaxMs), () => {
        if (this.#actorGone) return;
        this.#actorGone = true;
        this.#actor.lost();
      });
    }
  }

  /** Notifies the server that the peer is gone, if it did not know. */
  notice(): void {
    if (this.#atServer !== 'connected') return;
    this.#atServer = 'gone';
    this.#network.leave(this);
    this.#up.cut();
    this.#down.cut();
    this.#network.server.disconnected(this);
  }

  #arrived(item: Up | typeof CONNECT | typeof CLOSE): void {
    if (item === CONNECT) {
      this.#atServer = 'connected';
      this.#network.join(this);
      this.#network.server.connected(this);
    } else if (item === CLOSE) {
      this.notice();
    } else if (this.#atServer === 'connected') {
      this.#network.server.received(this, item);
    }
  }

  #wasRead(): void {
    if (!this.#full || this.#down.waitingBytes > 0) return;
    this.#full = false;
    if (this.#atServer === 'connected') this.#network.server.drained(this);
  }

  // ---------------------------------------------------------------- the server's side

  write(item: Down, bytes: number): void {
    // The port allows messages to a full peer to be lost: here they are.
    if (this.#full) this.hasLost = true;
    if (this.#full || this.#atServer !== 'connected') return;
    this.#down.send(item, bytes);
    if (this.#down.waitingBytes <= this.#network.options.outputBytesMax) return;
    this.#full = true;
    this.#network.server.outputFull(this);
  }

  /** The server ends the connection; `disconnected` follows, never within the call. */
  end(): void {
    this.cut(true, true);
  }
}

export class SimNetwork<Up, Down> {
  readonly clock: SimClock;
  readonly options: NetworkOptions;
  readonly server: ServerEnd<Up, Down>;
  readonly #live = new Set<Connection<Up, Down>>();
  readonly #named = new Map<string, Connection<Up, Down>>();

  constructor(clock: SimClock, options: NetworkOptions, server: ServerEnd<Up, Down>) {
    this.clock = clock;
    this.options = options;
    this.server = server;
  }

  /** @param random the actor's own, so that no connection depends on others */
  dial(dialled: Dialled, actor: ActorEnd<Down>, random: SimRandom): Connection<Up, Down> {
    return new Connection(this, dialled, actor, random);
  }

  /** Notifies all servers of all losses now. */
  noticeAll(): void {
    for (const connection of [...this.#live]) connection.notice();
  }

  /** The server's process ends: nothing of its connections is left, and its peers learn of it. */
  endAll(): void {
    for (const connection of [...this.#live]) {
      connection.cut(false, true);
      connection.notice();
    }
  }

  join(connection: Connection<Up, Down>): void {
    this.#live.add(connection);
    if (!connection.isNamed) return;
    const key = nameOf(connection);
    // A returning name replaces a connection whose end nobody noticed.
    this.#named.get(key)?.notice();
    this.#named.set(key, connection);
  }

  leave(connection: Connection<Up, Down>): void {
    this.#live.delete(connection);
    if (connection.isNamed) this.#named.delete(nameOf(connection));
  }
}

function nameOf(dialled: Dialled): string {
  return `${dialled.identity} ${dialled.routingId.toString('latin1')}`;
}
