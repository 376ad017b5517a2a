/**
 * The transport port on this project's own ZMTP engine: a ROUTER over `node:net`.
 *
 * A peer exists from the end of its handshake to the end of its socket. Bad data on a connection
 * ends at worst that connection.
 */
import type { RejectionKind } from '../../core/event-fields.js';
import { IDENTITY_SHARE } from '../../core/defaults.js';
import { lstat, unlink } from 'node:fs/promises';

import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import { Holdings } from '../../core/holdings.js';
import type { Room } from '../../core/packed.js';
import { secureRandom } from '../../core/random.js';
import { MADE_IDENTITY_BYTES, type Metadata } from '../connection/commands.js';
import { CurveServer } from '../curve/server.js';
import { loadSodium } from '../curve/sodium.js';
import type { ByteSource } from '../sockets/byte-source.js';
import { acceptable } from '../sockets/descriptors.js';
import { listen, type Listening } from '../sockets/listener.js';
import type { Names } from '../sockets/names.js';
import { ReadTurns } from '../sockets/read-turns.js';
import type { Turns } from '../sockets/socket-shell.js';
import { WriteTurns } from '../sockets/write-turns.js';
import { NullMechanism } from '../connection/null.js';
import {
  bindError,
  checkBound,
  removeSocketFile,
  type SocketFile,
  socketFileOf,
} from '../endpoints.js';
import { identityOf, shownAddress } from '../identity.js';
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
} from '../port.js';
import type { ListenerCurve } from '../listener-curve.js';
import { bindAddress, boundEndpoint } from './address.js';
import { Accounts, type HeldBytes } from './accounts.js';
import { Pings } from './pings.js';
import { Handshakes } from './handshakes.js';
import { type Claim, type PeerOwner, type ConnectionRefusal, RouterPeer } from './router-peer.js';
import { ANSWER_MS, Takeover, type TakeoverEvents } from './takeover.js';

const NO_IDENTITY: Buffer = Buffer.alloc(0);
/** Above this share of `connectionsMax`, connections that were refused are closed early. */
const LINGERING_FROM = 0.75;
const TOO_MANY = 'limits.perPeer.connections is reached';
const NO_DESCRIPTORS = 'file descriptors run out';
const TOO_MANY_OF_KEY = 'the quota `connections` of its key is used up';
const TAKEN: ConnectionRefusal = {
  kind: 'identity',
  reason: 'another peer has this routing id',
};
const REPLACED: ConnectionRefusal = {
  kind: 'silent',
  reason: `another connection has its routing id, and it said nothing for ${ANSWER_MS} ms`,
};
/** All routers of this process share the turns for reading and writing. */
const turns: Turns = { reading: new ReadTurns(), writing: new WriteTurns() };

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

class ZmtpRouter implements Transport, PeerOwner, TakeoverEvents<Claim> {
  readonly events: TransportEvents;
  readonly numbers: PeerNumbers;
  /** The views of the message being delivered; shared by all connections. */
  readonly frames: Frames = new Frames();
  limits: RouterLimits;
  readonly #peers: (RouterPeer | undefined)[] = [];
  readonly turns: Turns = turns;
  readonly #connections = new Set<RouterPeer>();
  readonly #accounts: Accounts<RouterPeer>;
  readonly #listening: Listening[] = [];
  readonly #socketFiles: SocketFile[] = [];
  #dirty: RouterPeer[] = [];
  readonly handshakes: Handshakes<RouterPeer>;
  readonly #hasReserve: boolean;
  readonly #names: Names | undefined;
  readonly #curves: (CurveServer | undefined)[] = [];
  readonly #listeners: (ListenerOptions | undefined)[] = [];
  readonly #pings: (Pings | undefined)[] = [];
  /** Routing ids that peers chose themselves, by identity (D70). */
  readonly #named = new Map<string, RouterPeer>();
  #lastRoutingId = 0;
  #closing: Promise<void> | null = null;

  constructor(options: RouterOptions) {
    this.events = options.events;
    this.numbers = options.peers;
    this.limits = options.limits;
    this.#accounts = new Accounts(options.holdings ?? new Holdings());
    this.#hasReserve = options.hasReserve === true;
    this.#names = options.names;
    this.handshakes = new Handshakes(options.handshakes);
  }

  /** Opens another listener. Returns its endpoint with the real port. */
  async listen(listener: ListenerOptions): Promise<string> {
    const { endpoint, index } = listener;
    const address = bindAddress(endpoint);
    await checkBound(endpoint);
    if (listener.curve !== undefined) this.#curves[index] = await curveServer(listener.curve);
    this.#listeners[index] = listener;
    if (listener.pings !== undefined) this.#pings[index] = new Pings(listener.pings, monotonicMs);
    let opened: Listening;
    try {
      if ('path' in address) await removeStale(address.path);
      const { connectionsMax } = this.limits;
      opened = await listen(
        address,
        { connectionsMax, hasReserve: this.#hasReserve },
        {
          admits: (from) => this.#admits(index, from),
          accepted: (source, from) => this.#accept(source, index, from),
          full: (from) => {
            this.#turnAway(index, 'connections', 'limits.connections is reached', from);
          },
          failed: (reason, from) => this.#turnAway(index, 'accept', reason, from),
        },
        this.#names,
      );
    } catch (error) {
      throw bindError(endpoint, error);
    }
    this.#listening.push(opened);
    const file = await socketFileOf(endpoint);
    if (file !== undefined) this.#socketFiles.push(file);
    return boundEndpoint(endpoint, opened.port);
  }

  /** Replaces the limits. Limits on messages apply to new connections. */
  setLimits(limits: RouterLimits): void {
    this.limits = limits;
    for (const listening of this.#listening) listening.setConnectionsMax(limits.connectionsMax);
  }

  room(peer: PeerId, bytes: number): Room | null {
    const to = this.#peers[peer];
    if (to?.isOpen !== true) return null;
    const room = to.shell.connection.room(bytes);
    if (room !== null && !to.isDirty) this.#markDirty(to);
    return room;
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

  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void {
    const to = this.#peers[peer];
    if (to?.takes(more) !== true) return;
    to.shell.connection.writeLasting(bytes, start, end, more);
    if (!to.isDirty) this.#markDirty(to);
  }

  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const peer of dirty) {
      peer.isDirty = false;
      peer.shell.flush();
      peer.flushed();
    }
  }

  takesRequest(peer: PeerId, bytes: number): boolean {
    return this.#peers[peer]?.takesRequest(bytes) ?? true;
  }

  closeLargest(identity: string, closing: Closing): boolean {
    const now = monotonicMs();
    const peer = this.#accounts.largestOf(identity, (one) => one.closableBytes(closing.which, now));
    peer?.refuse(closing);
    return peer !== null;
  }

  waitingBytes(peer: PeerId): number {
    return this.#peers[peer]?.shell.waitingBytes ?? 0;
  }

  disconnect(peer: PeerId): void {
    this.#peers[peer]?.abandon();
  }

  setSecretKeys(listener: number, secretKeys: readonly Buffer[]): void {
    this.#curves[listener]?.setSecretKeys(secretKeys);
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    for (const listening of this.#listening) listening.close();
    for (const file of this.#socketFiles) await removeSocketFile(file);
    this.flush();
    this.handshakes.stop();
    for (const pings of this.#pings) pings?.stop();
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

  /**
   * Whether an address may open another connection: some must be left for others. Only those count
   * that have no key, or have not shown it yet.
   */
  #admits(listener: number, from: string): boolean {
    const count = this.#accounts.connectionsOf(identityOf(shownAddress(from), null));
    if (count >= this.limits.connectionsPerIdentityMax) {
      this.#turnAway(listener, 'connections', TOO_MANY, from);
    } else if (this.#usesMost(count)) {
      const reason = `${NO_DESCRIPTORS}, and its address uses most of them`;
      this.#turnAway(listener, 'accept', reason, from);
    } else {
      return true;
    }
    return false;
  }

  #turnAway(listener: number, kind: RejectionKind, reason: string, from: string | null): void {
    const address = from === null ? '' : shownAddress(from);
    this.events.rejected(listener, kind, reason, { address, key: null });
  }

  #accept(source: ByteSource, listener: number, from: string): void {
    const curve = this.#curves[listener];
    const address = shownAddress(from);
    const { identity = NO_IDENTITY, socketType = 'ROUTER' } = this.#listeners[listener] ?? {};
    const mechanism =
      curve?.mechanism(socketType, address, identity) ?? new NullMechanism(socketType, identity);
    const account = this.#accounts.join(identityOf(address, null));
    const arrival = { listener, address, account, socketType };
    const peer = new RouterPeer(this, source, arrival, mechanism);
    this.#connections.add(peer);
    this.handshakes.add(peer);
    if (this.#hasReserve) this.#destroyLingering();
  }

  /** Where few connections are allowed, closes those that were refused and linger. */
  #destroyLingering(): void {
    if (this.#connections.size <= this.limits.connectionsMax * LINGERING_FROM) return;
    for (const { isGone, shell } of this.#connections) if (isGone) shell.destroy();
  }

  register(peer: RouterPeer, metadata: Metadata): ConnectionRefusal | null {
    const { listener, key, address } = peer;
    const owner = identityOf(address, key);
    const refusal = key === null ? null : this.#countForKey(peer, key, owner);
    if (refusal !== null) return refusal;
    const { identity } = metadata;
    const { socketType = 'ROUTER' } = this.#listeners[listener] ?? {};
    const isNamed = identity.length > 0 && socketType === 'ROUTER';
    const name = isNamed ? `${owner} ${identity.toString('latin1')}` : null;
    const before = name === null ? undefined : this.#named.get(name);
    if (name !== null && before?.isGone === false) return this.#claim(peer, metadata, name, before);
    if (before !== undefined) this.#replace(before);
    this.#admit(peer, metadata, name);
    return null;
  }

  /** @param name its own routing id, and whose */
  #admit(peer: RouterPeer, { identity, socketType }: Metadata, name: string | null): void {
    const { listener, key, publicKey, address } = peer;
    if (name !== null) this.#named.set(name, peer);
    peer.name = name;
    peer.id = this.numbers.take();
    this.#peers[peer.id] = peer;
    if (socketType === 'REQ') this.#pings[listener]?.watch(peer.shell);
    this.events.connected(peer.id, {
      listener,
      routingId: name === null ? this.#makeRoutingId() : identity,
      ownRoutingId: name !== null,
      socketType,
      key,
      publicKey,
      address,
      identity: identityOf(address, key),
    });
  }

  /**
   * From now on it counts for its key, with all that it holds, and no longer for its address: there
   * one key would shut out the others.
   * @returns why it must not, or `null`
   */
  #countForKey(peer: RouterPeer, key: string, identity: string): ConnectionRefusal | null {
    const { connectionsPerIdentityMax, connectionsPerKeyMax } = this.limits;
    const max = connectionsPerKeyMax?.(peer.listener, key) ?? connectionsPerIdentityMax;
    const count = this.#accounts.connectionsOf(identity);
    if (count >= max) return { kind: 'connections', reason: TOO_MANY_OF_KEY };
    if (this.#usesMost(count)) {
      return { kind: 'accept', reason: `${NO_DESCRIPTORS}, and its key uses most of them` };
    }
    const { account } = peer;
    peer.moveTo(this.#accounts.join(identity));
    this.#accounts.leave(account);
    return null;
  }

  /** Whether this is all that one identity may have of the file descriptors of this process. */
  #usesMost(connections: number): boolean {
    return !this.#hasReserve && connections >= acceptable * IDENTITY_SHARE;
  }

  /** Has a peer wait for the routing id of a connection that may live, unless that is known to live. */
  #claim(
    peer: RouterPeer,
    metadata: Metadata,
    name: string,
    owner: RouterPeer,
  ): ConnectionRefusal | null {
    const { shell, key } = owner;
    // Without PING, who is silent may live: only the owner of a key may displace itself.
    const canAnswer = shell.connection.canPing || key !== null;
    const takeover = (owner.takeover ??= new Takeover(shell, canAnswer, this, monotonicMs));
    const claim = { peer, metadata, name, owner, takeover };
    if (!takeover.admits(claim)) return TAKEN;
    peer.claim = claim;
    peer.shell.connection.hold();
    return null;
  }

  refused({ peer }: Claim): void {
    peer.claim = null;
    peer.failed(TAKEN.kind, TAKEN.reason);
    peer.shell.release();
  }

  succeeds(claim: Claim): void {
    const { peer, metadata, name, owner } = claim;
    const before = this.#named.get(name);
    if (before !== undefined && before !== owner) {
      // The peer came after the owner had lost the routing id, and before its socket was gone.
      this.refused(claim);
      return;
    }
    peer.claim = null;
    if (peer.isGone || this.#closing !== null) return;
    if (before !== undefined) this.#replace(before);
    this.#admit(peer, metadata, name);
    peer.shell.release();
  }

  /** Ends a connection whose routing id another one takes. */
  #replace(before: RouterPeer): void {
    const { id } = before;
    before.refuse(REPLACED);
    before.replace();
    this.#peers[id] = undefined;
    this.events.disconnected(id);
    this.numbers.release(id);
  }

  unregister(peer: RouterPeer): void {
    this.handshakes.remove(peer);
    this.#connections.delete(peer);
    this.#pings[peer.listener]?.pingedAt.delete(peer.shell);
    this.#accounts.leave(peer.account);
    peer.claim?.takeover.forget(peer.claim);
    if (peer.name !== null) this.#named.delete(peer.name);
    if (peer.id >= 0) {
      this.#peers[peer.id] = undefined;
      this.events.disconnected(peer.id);
      this.numbers.release(peer.id);
    }
    peer.takeover?.left();
    this.#whenClosed?.();
  }

  /**
   * If incomplete messages exceed their limit, ends connections of the identity that holds most.
   */
  count(peer: RouterPeer, incomingBytes: number, outgoingBytes: number): void {
    const grows = incomingBytes > peer.incomingBytes;
    this.#accounts.count(peer, incomingBytes, outgoingBytes);
    while (grows && this.#accounts.incomingBytes > this.limits.receiveBytesMax) {
      const identity = this.#accounts.largest(incomingOf)?.identity ?? '';
      const most = this.#accounts.largestOf(identity, incomingOf);
      if (most === null) return;
      const { receiveLimit = 'the limit' } = this.limits;
      most.failed('incomplete', `${receiveLimit} for incomplete messages is reached`);
    }
  }

  #markDirty(peer: RouterPeer): void {
    peer.isDirty = true;
    this.#dirty.push(peer);
  }

  #makeRoutingId(): Buffer {
    this.#lastRoutingId = (this.#lastRoutingId + 1) >>> 0;
    // From Node's pool: nobody keeps it.
    const id = Buffer.allocUnsafe(MADE_IDENTITY_BYTES);
    id[0] = 0;
    id.writeUInt32BE(this.#lastRoutingId, 1);
    return id;
  }
}

function incomingOf({ incomingBytes }: HeldBytes): number {
  return incomingBytes;
}

/** Loads libsodium, and only if a listener uses CURVE. */
async function curveServer({ secretKeys, authorise }: ListenerCurve): Promise<CurveServer> {
  const crypto = await loadSodium();
  const random = secureRandom;
  return new CurveServer({ crypto, secretKeys, authorise, random, clock: monotonicMs });
}

/** Removes a socket file on which no process listens (`checkBound` verified that). */
async function removeStale(path: string): Promise<void> {
  if (path.startsWith('\0')) return;
  try {
    await lstat(path);
  } catch {
    return;
  }
  await unlink(path);
}
