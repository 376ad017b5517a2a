/**
 * The transport port on libzmq's ROUTER.
 *
 * libzmq's limitations, and the resulting differences from a transport that owns its connections:
 * - A peer becomes known with its first message (`connected`), not with its handshake.
 * - `disconnected` comes at once only if libzmq has its draft option DISCONNECT_MSG
 *   (`reportsDisconnects`). Otherwise it comes when something is sent to the peer, or never; a
 *   silent routing id then stays in memory, about 1 KiB each.
 * - `disconnect` forgets the peer; its connection stays open, and its next message makes it a new
 *   peer.
 * - In addition to `outputBytesMax`, libzmq holds up to `PIPE_MESSAGES_MAX` messages per peer.
 * - `zeromq` reports neither the key nor the address that a message came from (`zmq_msg_gets`):
 *   `PeerInfo.key` is null, and all peers of a listener are one identity.
 * - `connectionsMax`, `connectionsPerIdentityMax` and `receiveBytesMax` are not enforced.
 * - libzmq enforces `messageBytesMax` per frame: it ends the connection, and reports nothing. This
 *   adapter enforces it per message, after libzmq has read all of it (`oversized`).
 * - It reads one message of each peer in turn, up to 256 messages or 1 MiB per turn of the loop.
 * - libzmq rejects a peer that reconnects with its own routing id before its previous connection
 *   has been read to the end (no hand-over: otherwise any peer could take over any routing id).
 * - libzmq numbers peers from a guessable start, and aborts the process if a peer chose such a
 *   number as its own routing id before (`add_out_pipe`, 4.3.5). This adapter cannot prevent that:
 *   use it only where peers are trusted.
 */
import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { present } from '../../core/assert.js';
import { codeOf } from '../../core/errors.js';
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import { Holdings } from '../../core/holdings.js';
import { SkippedMessage } from '../../zmtp/connection/skipped-message.js';
import type {
  Closing,
  ListenerOptions,
  OpenedRouter,
  PeerId,
  PeerNumbers,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../../zmtp/port.js';
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import { closeAndReap, untilLeft } from '../../zmtp/libzmq/closing.js';
import type { SocketFile } from '../../zmtp/endpoints.js';
import {
  bindError,
  checkBound,
  needsIpv6,
  removeSocketFile,
  socketFileOf,
} from '../../zmtp/endpoints.js';
import { bindAddress, boundEndpoint } from '../../zmtp/router/address.js';
import { addressesOf, bindEach, isName, type Names } from '../../zmtp/sockets/names.js';
import type { Listening } from './peer.js';
import { RouterPeer } from './peer.js';
import { Sender } from './sender.js';
import { libzmq, type MarkedRouter } from '../../zmtp/libzmq/sockets.js';
import { addZapDomain, removeZapDomain } from './zap.js';

/**
 * Messages that libzmq holds per peer and direction, in addition to this queue and the kernel's.
 */
const PIPE_MESSAGES_MAX = 100;
/** A connection that has not completed its handshake by then is closed. */
const HANDSHAKE_MS_MAX = 2000;
const BACKLOG = 1024;
/** A peer whose machine vanished is given up after about 90 s of silence. */
const KEEPALIVE = {
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 60,
  tcpKeepaliveInterval: 10,
  tcpKeepaliveCount: 3,
} as const;
/** Messages, and their bytes, read before timers and other sockets get their turn (D76). */
const MESSAGES_PER_TURN = 256;
const BYTES_PER_TURN = 1 << 20;
const MARKER_BYTES = 32;
/** Routing ids assigned by libzmq: a zero byte and a number of four bytes. */
const MADE_ROUTING_ID_BYTES = 5;

export interface OpenedLibzmqRouter extends OpenedRouter {
  /** False: the end of a connection is noticed only when something is sent to the peer. */
  readonly reportsDisconnects: boolean;
}

/**
 * Listens on one ROUTER per listener.
 * Throws `ERR_MDP_ENDPOINT_IN_USE` or `ERR_MDP_ENDPOINT`, naming the endpoint; nothing stays open.
 */
export async function openLibzmqRouter(options: RouterOptions): Promise<OpenedLibzmqRouter> {
  const router = new LibzmqRouter(options);
  options.opening?.(router);
  try {
    const endpoints: string[] = [];
    for (const listener of options.listeners) endpoints.push(await router.listen(listener));
    return { transport: router, endpoints, reportsDisconnects: router.reportsDisconnects };
  } catch (error) {
    await router.close(0);
    throw error;
  }
}

class LibzmqRouter implements Transport {
  #limits: RouterLimits;
  readonly #numbers: PeerNumbers;
  readonly #events: TransportEvents;
  readonly #holdings: Holdings;
  readonly #names: Names;
  readonly #sender: Sender;
  readonly #sockets: MarkedRouter[] = [];
  readonly #files: SocketFile[] = [];
  readonly #zapDomains: string[] = [];
  readonly #peers: (RouterPeer | undefined)[] = [];
  readonly #frames = new Frames();
  /**
   * Never leaves the process, so no peer can send it: only libzmq can report that a peer is gone.
   */
  readonly #marker = randomBytes(MARKER_BYTES);
  /** Events that arose inside a call from the machine; reported after it returns. */
  #later: (() => void)[] = [];
  #closing: Promise<void> | undefined;
  /** When a message was last read while the router closes. */
  #droppedMs = -Infinity;
  reportsDisconnects = true;

  constructor(options: RouterOptions) {
    this.#limits = options.limits;
    this.#numbers = options.peers;
    this.#events = options.events;
    this.#holdings = options.holdings ?? new Holdings();
    this.#names = options.names ?? { resolve: addressesOf };
    this.#sender = new Sender({
      drained: (peer) => this.#drained(peer),
      gone: (peer) => this.#forget(peer),
    });
  }

  /** (libzmq has no limits for connections and incomplete messages.) */
  setLimits(limits: RouterLimits): void {
    this.#limits = limits;
  }

  async listen(listener: ListenerOptions): Promise<string> {
    const { endpoint, index } = listener;
    await checkBound(endpoint);
    const socket = new (libzmq().MarkedRouter)({
      mandatory: true,
      sendTimeout: 0,
      linger: 0,
      sendHighWaterMark: PIPE_MESSAGES_MAX,
      receiveHighWaterMark: PIPE_MESSAGES_MAX,
      maxMessageSize: this.#limits.messageBytesMax,
      handshakeInterval: HANDSHAKE_MS_MAX,
      backlog: BACKLOG,
      ipv6: needsIpv6(endpoint),
      ...KEEPALIVE,
    });
    this.#sockets.push(socket);
    this.reportsDisconnects = socket.markDisconnects(this.#marker) && this.reportsDisconnects;
    if (listener.curve !== undefined) await this.#seal(socket, index, listener.curve);
    let bound: string;
    try {
      bound = await this.#bind(socket, endpoint);
      const file = await socketFileOf(endpoint);
      if (file !== undefined) this.#files.push(file);
    } catch (error) {
      // Whoever came to the first address of a name meanwhile is served no more than at the others.
      this.#sockets.splice(this.#sockets.indexOf(socket), 1);
      socket.close();
      throw bindError(endpoint, error);
    }
    // An exception in a handler is a bug in this program: it surfaces as an unhandled rejection.
    void this.#read({ socket, index, known: new Map() });
    return bound;
  }

  /** @returns the endpoint with its real port */
  async #bind(socket: MarkedRouter, endpoint: string): Promise<string> {
    const place = bindAddress(endpoint);
    const isOfName = 'host' in place && isName(place.host);
    const addresses = isOfName ? await this.#names.resolve(place.host).catch(() => []) : [];
    if (!isOfName || addresses.length === 0) {
      // libzmq says what is wrong with an unknown name.
      await socket.bind(endpoint);
      return socket.lastEndpoint ?? endpoint;
    }
    const names = { ...this.#names, resolve: () => Promise.resolve(addresses) };
    const [first] = await bindEach(place.host, place.port, names, async (address, port) => {
      socket.ipv6 = isIPv6(address);
      await socket.bind(`tcp://${isIPv6(address) ? `[${address}]` : address}:${port || '*'}`);
      const opened = present(socket.lastEndpoint, 'it is bound');
      return {
        port: Number(opened.slice(opened.lastIndexOf(':') + 1)),
        close: () => socket.unbind(opened),
      };
    });
    return boundEndpoint(endpoint, first?.port ?? null);
  }

  takesRequest(peer: PeerId, bytes: number): boolean {
    return this.#peers[peer]?.takesRequest(bytes) ?? true;
  }

  closeLargest(identity: string, { which, kind, reason }: Closing): boolean {
    const now = monotonicMs();
    let largest: RouterPeer | undefined;
    let bytesMost = 0;
    for (const peer of this.#peers) {
      if (peer?.info.identity !== identity) continue;
      const bytes = peer.closableBytes(which, now);
      if (bytes <= bytesMost) continue;
      largest = peer;
      bytesMost = bytes;
    }
    if (largest === undefined) return false;
    const { listener, address, key } = largest.info;
    this.#report(() => this.#events.rejected(listener, kind, reason, { address, key }));
    this.#forget(largest);
    return true;
  }

  waitingBytes(peer: PeerId): number {
    return this.#peers[peer]?.outbox.bytes ?? 0;
  }

  async #seal(socket: MarkedRouter, listener: number, curve: ListenerCurve): Promise<void> {
    const domain = await addZapDomain(curve.authorise, (kind, reason, from) => {
      if (this.#closing === undefined) this.#events.rejected(listener, kind, reason, from);
    });
    this.#zapDomains.push(domain);
    const [secretKey] = curve.secretKeys;
    socket.useCurve(present(secretKey, 'a listener with CURVE has a key'), domain);
  }

  room(): null {
    return null;
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const to = this.#peers[peer];
    if (to === undefined) return;
    to.outbox.write(bytes, start, end, more);
    this.#wrote(to);
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number): void {
    const to = this.#peers[peer];
    if (to === undefined) return;
    to.outbox.writePacked(packed, start, end);
    this.#wrote(to);
  }

  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void {
    this.write(peer, bytes, start, end, more);
  }

  flush(): void {
    this.#sender.flush();
  }

  disconnect(peer: PeerId): void {
    const found = this.#peers[peer];
    if (found !== undefined) this.#forget(found);
  }

  setSecretKeys(): void {
    // A listening socket keeps its key.
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    const deadlineMs = monotonicMs() + lingerMs;
    this.flush();
    await Promise.all(this.#files.map(removeSocketFile));
    await untilLeft(
      () => this.#peers.every((peer) => peer?.outbox.empty ?? true),
      () => Math.max(this.#sender.lastSentMs, this.#droppedMs),
      deadlineMs,
    );
    this.#sender.stop();
    this.#later = [];
    for (const peer of this.#peers) if (peer !== undefined) peer.gone = true;
    this.#peers.length = 0;
    const restMs = Math.max(0, deadlineMs - monotonicMs());
    await Promise.all(this.#sockets.map((socket) => closeAndReap(socket, restMs)));
    await Promise.all(this.#zapDomains.map(removeZapDomain));
  }

  /** Reads messages until the socket is closed; while the router closes they are dropped (see `closing.ts`). */
  async #read(from: Listening): Promise<void> {
    await turn();
    let messages = 0;
    let bytes = 0;
    for (;;) {
      let parts: Buffer[];
      try {
        parts = await from.socket.receive();
      } catch (error) {
        if (from.socket.closed) return;
        if (codeOf(error) === 'EAGAIN') continue;
        throw error;
      }
      if (this.#closing === undefined) this.#received(from, parts);
      else this.#droppedMs = monotonicMs();
      messages++;
      for (const part of parts) bytes += part.length;
      if (messages < MESSAGES_PER_TURN && bytes < BYTES_PER_TURN) continue;
      messages = 0;
      bytes = 0;
      await turn();
    }
  }

  #received(from: Listening, parts: readonly Buffer[]): void {
    const routingId = parts[0];
    if (routingId === undefined) return;
    const key = routingId.toString('latin1');
    const peer = from.known.get(key);
    const marker = parts[1];
    if (parts.length === 2 && marker?.equals(this.#marker) === true) {
      if (peer !== undefined) this.#forget(peer);
      this.#tellLater();
      return;
    }
    this.#deliver(peer ?? this.#meet(from, key, routingId), parts);
  }

  #meet(from: Listening, key: string, routingId: Buffer): RouterPeer {
    // Reports the end of the routing id's last owner before the next one.
    this.#tellLater();
    const ownRoutingId = routingId.length !== MADE_ROUTING_ID_BYTES || routingId[0] !== 0;
    // libzmq reports neither keys nor addresses: all peers of one listener are one identity.
    const identity = `libzmq:${from.index}`;
    const who = { key: null, address: 'libzmq', identity };
    const info = { listener: from.index, routingId, ownRoutingId, ...who };
    const outputBytesMax = this.#limits.outputBytesMax;
    const memory = this.#holdings.use(identity);
    const id = this.#numbers.take();
    const peer = new RouterPeer(id, info, key, from, outputBytesMax, memory, this.#sender);
    from.known.set(key, peer);
    this.#peers[id] = peer;
    this.#events.connected(id, info);
    return peer;
  }

  #deliver(peer: RouterPeer, parts: readonly Buffer[]): void {
    // The handler of `connected` may have called `disconnect`.
    if (peer.gone) return;
    const { framesMax, messageBytesMax } = this.#limits;
    const frames = this.#frames;
    frames.clear();
    let bytes = 0;
    let skipped: SkippedMessage | null = null;
    for (let index = 1; index < parts.length; index++) {
      const part = parts[index];
      if (part === undefined) break;
      bytes += part.length;
      if (bytes > messageBytesMax || index > framesMax) {
        skipped ??= new SkippedMessage(frames, this.#limits);
        skipped.begin(part.length, true);
      } else {
        frames.push(part, 0, part.length);
      }
    }
    if (skipped === null) this.#events.message(peer.id, frames);
    else this.#events.oversized?.(peer.id, skipped.head, skipped.reason);
  }

  #wrote(peer: RouterPeer): void {
    peer.countOutput();
    this.#sender.wrote(peer);
    if (!peer.outbox.full || peer.isFullReported) return;
    peer.isFullReported = true;
    this.#report(() => {
      if (!peer.gone) this.#events.outputFull(peer.id);
    });
  }

  #drained(peer: RouterPeer): void {
    peer.outbox.reopen();
    peer.isFullReported = false;
    peer.isAwaited = false;
    this.#report(() => {
      if (!peer.gone) this.#events.drained(peer.id);
    });
  }

  #forget(peer: RouterPeer): void {
    if (peer.gone) return;
    peer.gone = true;
    peer.outbox.clear();
    peer.countOutput();
    this.#holdings.release(peer.memory);
    this.#sender.blocked.delete(peer);
    peer.listening.known.delete(peer.key);
    this.#peers[peer.id] = undefined;
    this.#report(() => {
      // Only now: until `disconnected` is reported, this number means the old peer to the machine.
      this.#numbers.release(peer.id);
      this.#events.disconnected(peer.id);
    });
  }

  /** Defers an event until the machine's call that we may be in has returned. */
  #report(event: () => void): void {
    this.#later.push(event);
    if (this.#later.length > 1) return;
    queueMicrotask(() => this.#tellLater());
  }

  #tellLater(): void {
    if (this.#closing !== undefined) this.#later = [];
    for (let event = this.#later.shift(); event !== undefined; event = this.#later.shift()) event();
  }
}
