/**
 * The transport port on this project's own ZMTP engine: a ROUTER over `node:net`.
 *
 * A peer is there from the end of its handshake to the end of its socket. What comes over a
 * connection ends, at worst, that connection.
 */
import { lstat, unlink } from 'node:fs/promises';
import type { Socket } from 'node:net';

import { Chain, ChainLink } from '../../core/chain.js';
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import type { Metadata } from '../../zmtp/commands.js';
import { Connection, type ConnectionEvents, type FailureKind } from '../../zmtp/connection.js';
import { listen, type Listening } from '../../zmtp/io/listener.js';
import { type ShellEvents, SocketShell } from '../../zmtp/io/socket-shell.js';
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
  ListenerOptions,
  OpenedRouter,
  PeerId,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../port.js';
import { bindAddress, boundEndpoint } from './address.js';

/** A connection that has not shaken hands by then is closed. */
const HANDSHAKE_MS_MAX = 3000;
/** A peer that waits for our whole greeting before it sends its own is shown it after this. */
const GREETING_WAIT_MS = 100;
const HANDSHAKE_CHECK_MS = 50;
/** Handshakes at once over all listeners: they cost CPU before anybody has shown a key. */
const HANDSHAKES_MAX = 1024;
/** One that takes longer makes room for a new one, so that the idle keep nobody out. */
const HANDSHAKE_HURRIED_MS = 500;
const NO_IDENTITY: Buffer = Buffer.alloc(0);
/** Routing ids made here: a zero byte and a number, as libzmq makes them. */
const MADE_ROUTING_ID_BYTES = 5;

/**
 * Listens on every listener.
 * Throws `ERR_MDP_ENDPOINT_IN_USE` or `ERR_MDP_ENDPOINT`, naming the endpoint; nothing stays open.
 */
export async function openZmtpRouter(options: RouterOptions): Promise<OpenedRouter> {
  const router = new ZmtpRouter(options);
  try {
    const endpoints: string[] = [];
    for (const listener of options.listeners) endpoints.push(await router.listen(listener));
    return { transport: router, endpoints };
  } catch (error) {
    await router.close(0);
    throw error;
  }
}

class ZmtpRouter implements Transport {
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
  /** Connections that are shaking hands, oldest first. */
  readonly #handshakes = new Chain<RouterPeer>();
  #handshakeCount = 0;
  #handshakeTimer: NodeJS.Timeout | null = null;
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
    let opened: Listening;
    try {
      await removeStale(address.path);
      opened = await listen(address, this.limits.connectionsMax, {
        accepted: (socket) => {
          this.#accept(socket, index);
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
    if (this.#handshakeTimer !== null) clearTimeout(this.#handshakeTimer);
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

  #accept(socket: Socket, listener: number): void {
    if (this.#handshakeCount >= HANDSHAKES_MAX) this.#hurry();
    if (this.#handshakeCount >= HANDSHAKES_MAX) {
      socket.on('error', () => undefined);
      socket.destroy();
      this.events.rejected(listener, 'handshakes', 'too many handshakes at once');
      return;
    }
    const peer = new RouterPeer(this, socket, listener);
    this.#connections.add(peer);
    this.#handshakeCount++;
    this.#handshakes.append(peer.handshake);
    this.#handshakeTimer ??= setTimeout(this.#checkHandshakes, HANDSHAKE_CHECK_MS);
  }

  /** Ends the oldest handshake, unless it is a young one. */
  #hurry(): void {
    const oldest = this.#handshakes.head?.owner;
    if (oldest === undefined || monotonicMs() - oldest.acceptedAt < HANDSHAKE_HURRIED_MS) return;
    oldest.failed('handshakes', 'a slow handshake made room for another');
  }

  readonly #checkHandshakes = (): void => {
    this.#handshakeTimer = null;
    const now = monotonicMs();
    for (let link = this.#handshakes.head; link !== null;) {
      const { next, owner } = link;
      const waitedMs = now - owner.acceptedAt;
      if (waitedMs < GREETING_WAIT_MS) break;
      if (waitedMs < HANDSHAKE_MS_MAX) owner.showGreeting();
      else owner.failed('handshake', 'the handshake took too long');
      link = next;
    }
    if (this.#handshakes.head !== null) {
      this.#handshakeTimer = setTimeout(this.#checkHandshakes, HANDSHAKE_CHECK_MS);
    }
  };

  /** The handshake is over, one way or the other. */
  settled(peer: RouterPeer): void {
    if (peer.handshake.chain === null) return;
    peer.handshake.leave();
    this.#handshakeCount--;
  }

  /** @returns false if another peer of that listener has the routing id */
  register(peer: RouterPeer, identity: Buffer): boolean {
    const own = identity.length > 0;
    if (own) {
      const name = `${peer.listener} ${identity.toString('latin1')}`;
      if (this.#named.has(name)) return false;
      this.#named.set(name, peer);
      peer.name = name;
    }
    peer.id = this.numbers.take();
    this.#peers[peer.id] = peer;
    const routingId = own ? identity : this.#makeRoutingId();
    this.events.connected(peer.id, { listener: peer.listener, routingId, ownRoutingId: own });
    return true;
  }

  /** The socket is gone. */
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

  /** Bytes of incomplete messages changed: if they are too many, whoever holds most is ended. */
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
    const id = Buffer.alloc(MADE_ROUTING_ID_BYTES);
    id.writeUInt32BE(this.#lastRoutingId, 1);
    return id;
  }
}

/** One connection of the router. */
class RouterPeer implements ConnectionEvents, ShellEvents {
  id = -1;
  name: string | null = null;
  isDirty = false;
  isFull = false;
  /** Ended by us; what is written to it is thrown away. */
  isGone = false;
  readonly listener: number;
  readonly acceptedAt = monotonicMs();
  readonly handshake: ChainLink<RouterPeer> = new ChainLink<RouterPeer>(this);
  readonly shell: SocketShell;
  readonly #router: ZmtpRouter;
  /** As the router has counted them. */
  carriedBytes = 0;
  #isMidMessage = false;
  #isDropping = false;

  constructor(router: ZmtpRouter, socket: Socket, listener: number) {
    this.#router = router;
    this.listener = listener;
    const mechanism: Mechanism = new NullMechanism('ROUTER', NO_IDENTITY);
    const { messageBytesMax, framesMax } = router.limits;
    const options = { mechanism, waitsForGreeting: true, messageBytesMax, framesMax };
    const connection = new Connection(options, this, router.frames, this.acceptedAt);
    this.shell = new SocketShell(socket, connection, this);
    this.shell.flush();
  }

  showGreeting(): void {
    this.shell.connection.showGreeting();
    this.shell.flush();
  }

  /**
   * Whether the next frame is to be written. Nothing is to a peer that is full or gone; but a
   * message is written whole or not at all.
   */
  takes(more: boolean): boolean {
    if (!this.#isMidMessage) this.#isDropping = this.isFull || this.isGone;
    this.#isMidMessage = more;
    return !this.#isDropping && !this.isGone;
  }

  /** The machine above is done with it. */
  abandon(): void {
    this.isGone = true;
    this.#countCarried(0);
    this.shell.destroy();
  }

  tellIfFull(): void {
    if (this.isFull || this.isGone) return;
    if (this.shell.waitingBytes <= this.#router.limits.outputBytesMax) return;
    this.isFull = true;
    this.#router.events.full(this.id);
  }

  // ---------------------------------------------------------------- of the connection

  ready(metadata: Metadata): void {
    this.#router.settled(this);
    if (!this.#router.register(this, metadata.identity)) {
      this.failed('identity', 'another peer has this routing id');
    }
  }

  message(frames: Frames): void {
    this.#router.events.message(this.id, frames);
  }

  received(): void {
    const { connection } = this.shell;
    // What the handshake or a PING asked for goes out now; messages go out with the turn.
    if (!this.isDirty && connection.output.bytes > 0) this.shell.flush();
    this.#countCarried(connection.carriedBytes);
  }

  #countCarried(bytes: number): void {
    const change = bytes - this.carriedBytes;
    if (change === 0) return;
    this.carriedBytes = bytes;
    this.#router.carried(change);
  }

  failed(kind: FailureKind | 'identity' | 'handshakes', reason: string): void {
    const { events } = this.#router;
    if (this.isGone) return;
    this.isGone = true;
    this.#router.settled(this);
    this.#countCarried(0);
    if (kind === 'too_large' && this.id >= 0) events.oversized(this.id);
    else events.rejected(this.listener, kind, reason);
    this.shell.end();
  }

  // ---------------------------------------------------------------- of the socket

  written(): void {
    if (!this.isFull || this.isGone || this.shell.waitingBytes > 0) return;
    this.isFull = false;
    this.#router.events.drained(this.id);
  }

  closed(isCut: boolean): void {
    const { events } = this.#router;
    if (isCut && !this.isGone) {
      events.rejected(this.listener, 'cut', 'the peer left in the middle of what it was saying');
    }
    this.isGone = true;
    this.#countCarried(0);
    this.#router.unregister(this);
  }
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
