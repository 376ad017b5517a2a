/**
 * The transport port on this project's own ZMTP engine: a ROUTER over `node:net`.
 *
 * A peer is there from the end of its handshake to the end of its socket. What comes over a
 * connection ends, at worst, that connection.
 */
import { lstat, unlink } from 'node:fs/promises';
import type { Socket } from 'node:net';

import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import { secureRandom } from '../../core/random.js';
import { CurveServer } from '../../zmtp/curve/server.js';
import { loadSodium } from '../../zmtp/curve/sodium.js';
import type { ByteSource } from '../../zmtp/io/byte-source.js';
import { listen, type Listening } from '../../zmtp/io/listener.js';
import type { Mechanism } from '../../zmtp/mechanism.js';
import { NullMechanism } from '../../zmtp/null.js';
import {
  bindError,
  checkBound,
  removeSocketFile,
  type SocketFile,
  socketFileOf,
} from '../endpoints.js';
import type { PeerNumbers } from '../peer-numbers.js';
import type {
  ListenerCurve,
  ListenerOptions,
  OpenedRouter,
  PeerId,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../port.js';
import { bindAddress, boundEndpoint } from './address.js';
import { Handshakes } from './handshakes.js';
import { type PeerOwner, RouterPeer } from './router-peer.js';

const NO_IDENTITY: Buffer = Buffer.alloc(0);
/** Routing ids made here: a zero byte and a number, as libzmq makes them. */
const MADE_ROUTING_ID_BYTES = 5;

/**
 * Listens on every listener.
 * Throws `ERR_MDP_ENDPOINT_IN_USE` or `ERR_MDP_ENDPOINT`, naming the endpoint; nothing stays open.
 */
export async function openZmtpRouter(options: RouterOptions): Promise<OpenedRouter> {
  const router = new ZmtpRouter(options);
  options.opening?.(router);
  try {
    const endpoints: string[] = [];
    for (const listener of options.listeners) endpoints.push(await router.listen(listener));
    return { transport: router, endpoints };
  } catch (error) {
    await router.close(0);
    throw error;
  }
}

class ZmtpRouter implements Transport, PeerOwner {
  readonly events: TransportEvents;
  readonly numbers: PeerNumbers;
  /** The views of the message being handed over: one for all connections. */
  readonly frames: Frames = new Frames();
  limits: RouterLimits;
  readonly #peers: (RouterPeer | undefined)[] = [];
  readonly #connections = new Set<RouterPeer>();
  readonly #listening: Listening[] = [];
  readonly #socketFiles: SocketFile[] = [];
  #dirty: RouterPeer[] = [];
  readonly #handshakes = new Handshakes();
  readonly #curves: (CurveServer | undefined)[] = [];
  /** Routing ids that peers chose themselves, by listener. */
  readonly #named = new Map<string, RouterPeer>();
  #lastRoutingId = 0;
  #carriedBytes = 0;
  #closing: Promise<void> | null = null;

  constructor(options: RouterOptions) {
    this.events = options.events;
    this.numbers = options.peers;
    this.limits = options.limits;
  }

  /** Opens one more listener. Returns its endpoint, the port filled in. */
  async listen(listener: ListenerOptions): Promise<string> {
    const { endpoint, index } = listener;
    const address = bindAddress(endpoint);
    await checkBound(endpoint);
    if (listener.curve !== undefined) this.#curves[index] = await curveServer(listener.curve);
    let opened: Listening;
    try {
      await removeStale(address.path);
      opened = await listen(address, this.limits.connectionsMax, {
        accepted: (source) => {
          this.#accept(source, index);
        },
        full: () => {
          this.events.rejected(index, 'connections', 'limits.connections is reached');
        },
        failed: (reason) => {
          this.events.rejected(index, 'accept', reason);
        },
      });
    } catch (error) {
      throw bindError(endpoint, error);
    }
    this.#listening.push(opened);
    const file = await socketFileOf(endpoint);
    if (file !== undefined) this.#socketFiles.push(file);
    return boundEndpoint(endpoint, opened.port);
  }

  /** Other limits from now on. Those of messages hold for connections that come. */
  setLimits(limits: RouterLimits): void {
    this.limits = limits;
    for (const listening of this.#listening) listening.setConnectionsMax(limits.connectionsMax);
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const to = this.#peers[peer];
    if (to?.takes(more) !== true) return;
    to.shell.connection.write(bytes, start, end, more);
    if (!to.isDirty) this.#markDirty(to);
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number, more: boolean): void {
    const to = this.#peers[peer];
    if (to?.takes(more) !== true) return;
    to.shell.connection.writePacked(packed, start, end);
    if (!to.isDirty) this.#markDirty(to);
  }

  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const peer of dirty) {
      peer.isDirty = false;
      peer.shell.flush();
      peer.tellIfFull();
    }
  }

  disconnect(peer: PeerId): void {
    this.#peers[peer]?.abandon();
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    for (const listening of this.#listening) listening.close();
    for (const file of this.#socketFiles) await removeSocketFile(file);
    this.flush();
    this.#handshakes.stop();
    const gone = new Promise<void>((resolve) => {
      const whenEmpty = (): void => {
        if (this.#connections.size === 0) resolve();
      };
      this.#whenClosed = whenEmpty;
      whenEmpty();
    });
    for (const peer of this.#connections) peer.shell.end(lingerMs);
    const late = setTimeout(() => {
      for (const peer of this.#connections) peer.shell.destroy();
    }, lingerMs);
    await gone;
    clearTimeout(late);
  }

  #whenClosed: (() => void) | null = null;

  // ---------------------------------------------------------------- connections

  #accept(source: ByteSource, listener: number): void {
    const curve = this.#curves[listener];
    if (curve === undefined) {
      this.#begin(source, listener, new NullMechanism('ROUTER', NO_IDENTITY));
    } else if (
      !this.#handshakes.delay(source.socket, () => {
        this.#begin(source, listener, curve.mechanism('ROUTER'));
      })
    ) {
      this.#refuse(source.socket, listener);
    }
  }

  #begin(source: ByteSource, listener: number, mechanism: Mechanism): void {
    if (!this.#handshakes.hasRoom()) {
      this.#refuse(source.socket, listener);
      return;
    }
    const peer = new RouterPeer(this, source, listener, mechanism);
    this.#connections.add(peer);
    this.#handshakes.add(peer);
  }

  #refuse(socket: Socket, listener: number): void {
    socket.on('error', () => undefined);
    socket.destroy();
    this.events.rejected(listener, 'handshakes', 'too many handshakes at once');
  }

  settled(peer: RouterPeer): void {
    this.#handshakes.remove(peer);
  }

  register(peer: RouterPeer, identity: Buffer): boolean {
    const own = identity.length > 0;
    if (own) {
      const name = `${peer.listener} ${identity.toString('latin1')}`;
      const before = this.#named.get(name);
      if (before !== undefined && !this.#handOver(before, peer)) return false;
      this.#named.set(name, peer);
      peer.name = name;
    }
    peer.id = this.numbers.take();
    this.#peers[peer.id] = peer;
    const routingId = own ? identity : this.#makeRoutingId();
    const { listener, key } = peer;
    this.events.connected(peer.id, { listener, routingId, ownRoutingId: own, key });
    return true;
  }

  /** A routing id passes only between connections of one key: else anybody could take anybody's. */
  #handOver(before: RouterPeer, peer: RouterPeer): boolean {
    if (before.key === null || before.key !== peer.key) return false;
    const { id } = before;
    before.replace();
    this.#peers[id] = undefined;
    this.events.disconnected(id);
    this.numbers.release(id);
    return true;
  }

  unregister(peer: RouterPeer): void {
    this.settled(peer);
    this.#connections.delete(peer);
    if (peer.name !== null) this.#named.delete(peer.name);
    if (peer.id >= 0) {
      this.#peers[peer.id] = undefined;
      this.events.disconnected(peer.id);
      this.numbers.release(peer.id);
    }
    this.#whenClosed?.();
  }

  /** If they are too many, whoever holds most is ended. */
  carried(change: number): void {
    this.#carriedBytes += change;
    while (change > 0 && this.#carriedBytes > this.limits.receiveBytesMax) {
      let most: RouterPeer | null = null;
      for (const peer of this.#connections) {
        if (peer.carriedBytes > (most?.carriedBytes ?? 0)) most = peer;
      }
      if (most === null) return;
      most.failed('too_large', 'incomplete messages are over the limit');
    }
  }

  #markDirty(peer: RouterPeer): void {
    peer.isDirty = true;
    this.#dirty.push(peer);
  }

  #makeRoutingId(): Buffer {
    this.#lastRoutingId = (this.#lastRoutingId + 1) >>> 0;
    // From the pool: thousands of idle peers have one.
    const id = Buffer.allocUnsafe(MADE_ROUTING_ID_BYTES);
    id[0] = 0;
    id.writeUInt32BE(this.#lastRoutingId, 1);
    return id;
  }
}

/** libsodium is loaded only where a listener wants CURVE. */
async function curveServer({ secretKey, authorise }: ListenerCurve): Promise<CurveServer> {
  const crypto = await loadSodium();
  const random = secureRandom;
  return new CurveServer({ crypto, secretKey, authorise, random, clock: monotonicMs });
}

/** Removes a socket file on which nobody listens (`checkBound` made sure of that). */
async function removeStale(path: string | undefined): Promise<void> {
  if (path === undefined || path.startsWith('\0')) return;
  try {
    await lstat(path);
  } catch {
    return;
  }
  await unlink(path);
}
