import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

import { messageOf } from '../../core/errors.js';
import { hasFunction, kindOf, type Shortcut, shortcuts } from '../../core/shortcut.js';
import { ByteSource } from './byte-source.js';
import { acceptable, accepted } from './descriptors.js';
import { addressesOfHost, bindEach, type Names } from './names.js';

/** Where to listen: on a path, or on all addresses of a host. */
export type Place = { readonly path: string } | { readonly host: string; readonly port: number };

/** A listening socket, or one for each address of a name. */
export interface Listening {
  /** The port, as requested or chosen by the system; `null` for ipc. */
  readonly port: number | null;
  setConnectionsMax(connections: number): void;
  /** Accepts no more connections; existing ones stay. */
  close(): void;
}

export interface ListenerEvents {
  /**
   * Whether to accept one more connection from an address; if not, it is closed at once. Called
   * before anything is allocated for it.
   * @param address '' over ipc
   */
  admits(address: string): boolean;
  accepted(source: ByteSource, address: string): void;
  /** A connection was closed at once, because `connectionsMax` is reached. */
  full(address: string): void;
  /** A system error occurred or a resource ran out; accepting continues by itself. */
  failed(reason: string, address: string | null): void;
}

export interface ListenerLimits {
  readonly connectionsMax: number;
  /** Whether the listener has few connections, which may use the reserved file descriptors. */
  readonly hasReserve: boolean;
}

const BACKLOG = 1024;

/** Rejects with the system's error (`EADDRINUSE` …) if it cannot listen there. */
export async function listen(
  where: Place,
  limits: ListenerLimits,
  events: ListenerEvents,
  names: Names = { resolve: addressesOfHost },
): Promise<Listening> {
  const listener = new Listener(limits, events);
  await listener.open(where, names);
  return listener;
}

/**
 * Listens until it is closed. A connection for which there is no room is accepted and closed at
 * once, so that the port stays ours. Node accepts one connection per turn of its loop, so thousands
 * that reconnect all the time take turns with everything else.
 */
class Listener implements Listening {
  port: number | null = null;
  readonly #events: ListenerEvents;
  readonly #hasReserve: boolean;
  #connectionsMax: number;
  #open = 0;
  readonly #servers = new Set<Server>();
  /** Every address of a name is bound. Before that, whoever comes is sent away, and comes again. */
  #isOpen = false;
  /**
   * Address of the connection that Node is about to report; `null`: Node reports all connections.
   */
  #admitted: string | null = null;

  constructor({ connectionsMax, hasReserve }: ListenerLimits, events: ListenerEvents) {
    this.#connectionsMax = connectionsMax;
    this.#hasReserve = hasReserve;
    this.#events = events;
  }

  setConnectionsMax(connections: number): void {
    this.#connectionsMax = connections;
  }

  close(): void {
    this.#isOpen = false;
    for (const server of this.#servers) server.close();
  }

  async open(where: Place, names: Names): Promise<void> {
    if ('path' in where) {
      await this.#bind(where);
      this.#isOpen = true;
      return;
    }
    const [first] = await bindEach(where.host, where.port, names, async (host, port, ipv6Only) => {
      const server = await this.#bind({ host, port, ipv6Only });
      const address = server.address();
      return {
        port: typeof address === 'object' && address !== null ? address.port : port,
        close: () => {
          this.#servers.delete(server);
          server.close();
        },
      };
    });
    this.port = first?.port ?? null;
    this.#isOpen = true;
  }

  #bind(where: ListenOptions): Promise<Server> {
    const server = createServer({ noDelay: true, pauseOnConnect: true });
    server.on('connection', this.#accept);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...where, backlog: BACKLOG }, () => {
        server.off('error', reject);
        server.on('error', ({ message }) => this.#events.failed(message, null));
        this.#servers.add(server);
        refuseEarly(server, this.#early);
        resolve(server);
      });
    });
  }

  readonly #early: EarlyConnections = {
    admits: (address) => {
      this.#admitted = this.#admits(address) ? address : null;
      return this.#admitted !== null;
    },
    reported: () => {
      this.#admitted = null;
    },
  };

  readonly #accept = (socket: Socket): void => {
    // Node calls `onconnection` for each connection before it reports it here.
    if (this.#admitted === null) shortcuts.refusing.giveUp('Node does not call onconnection');
    const address = this.#admitted ?? socket.remoteAddress ?? '';
    const isAdmitted = this.#admitted !== null || this.#admits(address);
    this.#admitted = null;
    if (!isAdmitted) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.#open++;
    if (!this.#hasReserve) accepted.open++;
    const source = ByteSource.accepted(socket);
    source.socket.once('close', () => {
      this.#open--;
      if (!this.#hasReserve) accepted.open--;
    });
    this.#events.accepted(source, address);
  };

  #admits(address: string): boolean {
    if (!this.#isOpen) return false;
    if (this.#open >= this.#connectionsMax) {
      this.#events.full(address);
      return false;
    }
    if (!this.#hasReserve && accepted.open >= acceptable) {
      this.#events.failed('file descriptors run out', address);
      return false;
    }
    return this.#events.admits(address);
  }
}

/** Connections that Node has accepted and not yet reported. */
interface EarlyConnections {
  /** Whether Node is to report it; if not, it is closed. */
  admits(address: string): boolean;
  /** Node has reported the one that was admitted last, or will do so later. */
  reported(): void;
}

/**
 * Closes connections that are not admitted before Node makes a socket for them, which costs three
 * times as much (docs/adr/0002). With Node versions that work differently they are closed later.
 */
export function refuseEarly(
  server: Server,
  early: EarlyConnections,
  refusing: Shortcut = shortcuts.refusing,
): void {
  try {
    const handle: unknown = Reflect.get(server, '_handle');
    if (!hasFunction(handle, 'onconnection')) {
      refusing.giveUp(`the handle is ${kindOf(handle)}, or has no onconnection`);
      return;
    }
    const pass = handle.onconnection;
    const onconnection = function (this: unknown, ...args: unknown[]): void {
      const [, connection] = args;
      // (Absent: accepting failed.)
      if (connection !== undefined && isRefused(connection, early, refusing)) return;
      Reflect.apply(pass, this, args);
      early.reported();
    };
    if (!Reflect.set(handle, 'onconnection', onconnection)) {
      refusing.giveUp('onconnection is fixed');
    }
  } catch (error) {
    refusing.giveUp(`onconnection: ${messageOf(error)}`);
  }
}

/** @returns whether it is not admitted, and closed */
function isRefused(connection: unknown, early: EarlyConnections, refusing: Shortcut): boolean {
  if (refusing.isOff) return false;
  const odd = (error: unknown): false => {
    refusing.giveUp(`a connection is ${kindOf(connection)}: ${messageOf(error)}`);
    return false;
  };
  const handle = connection as ConnectionHandle;
  let address: string;
  try {
    address = addressOf(handle);
  } catch (error) {
    return odd(error);
  }
  if (early.admits(address)) return false;
  try {
    handle.close();
    return true;
  } catch (error) {
    return odd(error);
  }
}

interface ConnectionHandle {
  close(): void;
  getpeername?(found: { address?: unknown }): number;
}

/** @returns '' over ipc, or if the peer has left */
function addressOf(connection: ConnectionHandle): string {
  const found: { address?: unknown } = {};
  connection.getpeername?.(found);
  const { address = '' } = found;
  if (typeof address !== 'string') throw new TypeError(`its address is ${kindOf(address)}`);
  return address;
}
