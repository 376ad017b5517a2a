/** The primary's end of the link, which listens and decides who is the peer. */
import type { RejectionKind } from '../../core/event-fields.js';
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import {
  type Output,
  type PeerId,
  type PeerInfo,
  PeerNumbers,
  type Rejected,
  type RouterOptions,
  type Transport,
  type TransportEvents,
} from '../../zmtp/port.js';
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import { openZmtpRouter } from '../../zmtp/router/router.js';
import type { PeerMessage } from '../../wire/pair.js';
import type { Objection } from '../ports.js';
import {
  HANDSHAKES,
  LIMITS,
  type PeerLink,
  type PeerLinkOptions,
  STRANGER_BYTES_MAX,
  TALKS_MAX,
} from './peer-link.js';
import { PeerConnection } from './peer-connection.js';

/** A connection that has not identified itself by then is closed. */
const HANDSHAKE_MS_MAX = 3000;
/** How long a connected peer may be silent while another connection claims to be the peer. */
const CONTEST_BEATS = 1.25;

function write(output: Output, peer: PeerId, frames: readonly Buffer[]): void {
  const last = frames.length - 1;
  for (const [index, frame] of frames.entries()) {
    output.write(peer, frame, 0, frame.length, index < last);
  }
}

/**
 * Listens for the peer (the primary's end).
 * @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT
 */
export async function listenForPeer(
  endpoint: string,
  curve: ListenerCurve | undefined,
  options: PeerLinkOptions,
  names?: RouterOptions['names'],
): Promise<PeerLink> {
  const listener = new PeerListener(options, curve !== undefined);
  const { transport } = await openZmtpRouter({
    listeners: [curve === undefined ? { endpoint, index: 0 } : { endpoint, index: 0, curve }],
    limits: LIMITS,
    peers: new PeerNumbers(),
    events: listener,
    hasReserve: true,
    handshakes: HANDSHAKES,
    ...(names === undefined ? {} : { names }),
  });
  listener.attach(transport);
  return listener;
}

class PeerListener implements PeerLink, TransportEvents {
  readonly #options: PeerLinkOptions;
  /** Whether only a node with the peer's key is let in. */
  readonly #isSealed: boolean;
  readonly #connections = new Map<PeerId, PeerConnection>();
  /** A connection that claims to be the peer while the peer is connected, or seems to be. */
  readonly #contenders = new Map<PeerId, NodeJS.Timeout>();
  #transport: Transport | null = null;
  #peer: PeerId | null = null;
  #closedUntil = -Infinity;
  readonly #sweep: NodeJS.Timeout;

  constructor(options: PeerLinkOptions, isSealed: boolean) {
    this.#options = options;
    this.#isSealed = isSealed;
    this.#sweep = setInterval(this.#sendIdlersAway, HANDSHAKE_MS_MAX / 2).unref();
  }

  attach(transport: Transport): void {
    this.#transport = transport;
  }

  connected(peer: PeerId, { key, address }: PeerInfo): void {
    const connection = new PeerConnection(this.#options, null, { key, address }, (frames) => {
      if (this.#transport !== null) write(this.#transport, peer, frames);
    });
    if (this.#connections.size >= TALKS_MAX) this.#makeRoom();
    this.#connections.set(peer, connection);
    if (monotonicMs() < this.#closedUntil) this.#transport?.disconnect(peer);
  }

  /**
   * Closes the oldest of those that have sent nothing, otherwise of those that are not the peer.
   */
  #makeRoom(): void {
    const others = [...this.#connections].filter(([peer]) => peer !== this.#peer);
    const [oldest] = others.find(([, { handshake }]) => handshake.its === null) ?? others[0] ?? [];
    if (oldest !== undefined) this.#transport?.disconnect(oldest);
  }

  message(peer: PeerId, frames: Frames): void {
    const connection = this.#connections.get(peer);
    if (connection === undefined || frames.isProbe) return;
    const received = connection.receive(frames);
    if (received === null) return;
    if (received === 'hello') {
      // The node that dials speaks first, and is first to prove that it is alive.
      connection.send(connection.handshake.hello);
      this.#transport?.flush();
    } else if (received === 'proved') {
      this.#claims(peer, connection);
    } else if (received === 'malformed') {
      this.#transport?.disconnect(peer);
    } else if ('code' in received) {
      this.#refuse(peer, connection, received);
    } else if (received.kind === 'lower') {
      this.#transport?.disconnect(peer);
    } else if (received.kind === 'refuse') {
      this.#options.events.refusedByPeer(received.reason);
      this.#options.events.refusedAlive(connection.signOfLife);
      this.#transport?.disconnect(peer);
    } else {
      this.#receive(peer, received);
    }
  }

  #receive(peer: PeerId, message: PeerMessage): void {
    if (peer !== this.#peer) return;
    this.#options.events.message(message);
    for (const contender of [...this.#contenders.keys()]) {
      this.#refuseAt(contender, { code: 'taken', text: 'the peer is connected already' });
    }
  }

  // ---------------------------------------------------------------- who is the peer

  /** A connection has said everything that the peer would say, and proved that it is alive. */
  #claims(peer: PeerId, connection: PeerConnection): void {
    const present = this.#peer === null ? undefined : this.#connections.get(this.#peer);
    if (present === undefined || this.#maySucceed(connection, present)) {
      this.#admit(peer, connection);
    } else if (this.#isSealed) {
      this.#refuse(peer, connection, {
        code: 'taken',
        text: 'a newer process of the peer is connected',
      });
    } else {
      // A restarted process cannot prove that it is the successor: its old connection is silent
      // from now on. If that connection is not silent, the new one is a stranger's.
      const waitMs = CONTEST_BEATS * this.#options.heartbeatIntervalMs;
      const timer = setTimeout(() => {
        this.#contenders.delete(peer);
        this.#admit(peer, connection);
      }, waitMs);
      this.#contenders.set(peer, timer.unref());
    }
  }

  /** Whether it is certain that the currently connected peer has made a new connection (D18). */
  #maySucceed({ handshake }: PeerConnection, { handshake: present }: PeerConnection): boolean {
    if (this.#isSealed) return handshake.incarnation >= present.incarnation;
    return handshake.its?.resumes?.equals(present.nonce) === true;
  }

  #admit(peer: PeerId, connection: PeerConnection): void {
    connection.send(connection.handshake.proof);
    const before = this.#peer;
    this.#peer = peer;
    if (before !== null) {
      this.#transport?.disconnect(before);
      this.#options.events.disconnected();
    }
    this.#options.events.connected(connection.peer, connection.version);
    this.#transport?.flush();
  }

  #noPeer(): void {
    this.#peer = null;
    this.#options.events.disconnected();
    const [next] = this.#contenders.keys();
    const connection = next === undefined ? undefined : this.#connections.get(next);
    if (next === undefined || connection === undefined) return;
    this.#forgetContender(next);
    this.#admit(next, connection);
  }

  #forgetContender(peer: PeerId): void {
    clearTimeout(this.#contenders.get(peer));
    this.#contenders.delete(peer);
  }

  revoke(key: string): void {
    for (const [peer, connection] of this.#connections) {
      if (connection.acceptedFrom?.key !== key || connection.isOver) continue;
      this.#refuse(peer, connection, { code: 'key', text: `its key ${key} is no longer allowed` });
    }
  }

  // ---------------------------------------------------------------- of the transport

  receiving(peer: PeerId, bytes: number): void {
    if (peer === this.#peer) this.#options.events.receiving();
    else if (bytes > STRANGER_BYTES_MAX) this.#transport?.disconnect(peer);
  }

  disconnected(peer: PeerId): void {
    this.#connections.delete(peer);
    this.#forgetContender(peer);
    if (peer === this.#peer) this.#noPeer();
  }

  outputFull(peer: PeerId): void {
    // The peer does not read what it requested, so it has to join again.
    this.#transport?.disconnect(peer);
  }

  drained(): void {
    // The connection that was full has ended.
  }

  rejected(_listener: number, kind: RejectionKind, reason: string, from: Rejected): void {
    this.#options.events.rejected(kind, reason, from);
  }

  send(message: PeerMessage): void {
    if (this.#peer !== null) this.#connections.get(this.#peer)?.send(message);
  }

  flush(): void {
    this.#transport?.flush();
  }

  disconnect(): void {
    const peer = this.#peer;
    this.#peer = null;
    if (peer !== null) this.#transport?.disconnect(peer);
  }

  holdOff(ms: number): void {
    this.#closedUntil = monotonicMs() + ms;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    for (const timer of this.#contenders.values()) clearTimeout(timer);
    this.#contenders.clear();
    await this.#transport?.close(0);
  }

  #refuseAt(peer: PeerId, objection: Objection): void {
    const connection = this.#connections.get(peer);
    if (connection !== undefined) this.#refuse(peer, connection, objection);
  }

  #refuse(peer: PeerId, connection: PeerConnection, objection: Objection): void {
    connection.isOver = true;
    const { said } = connection.handshake;
    this.#options.events.refused(objection, said?.node ?? 'unknown', connection.acceptedFrom);
    this.#forgetContender(peer);
    if (peer === this.#peer) this.#noPeer();
    // A node whose key is withdrawn is not the peer any more.
    const isPeer = objection.code !== 'self' && objection.code !== 'key';
    if (isPeer) this.#options.events.refusedAlive(connection.signOfLife);
    connection.send({ kind: 'refuse', reason: objection.text });
    this.#transport?.flush();
    // The output is sent first; the sweep closes what remains.
    setTimeout(() => {
      if (this.#connections.get(peer) === connection) this.#transport?.disconnect(peer);
    }, 100).unref();
  }

  readonly #sendIdlersAway = (): void => {
    const now = monotonicMs();
    for (const [peer, { handshake, startedAt }] of this.#connections) {
      const isLate = now - startedAt > HANDSHAKE_MS_MAX;
      if (isLate && (!handshake.isDone || peer !== this.#peer)) this.#transport?.disconnect(peer);
    }
  };
}
