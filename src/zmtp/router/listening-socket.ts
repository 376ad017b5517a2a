/**
 * A socket of one type that listens, on this project's own ZMTP engine, with peers of its own: the
 * shell that a publisher and the ports of the map have in common.
 */
import type { RejectionKind } from '../../core/event-fields.js';
import type { Frames } from '../../core/frames.js';
import type { Holdings } from '../../core/holdings.js';
import {
  type Closing,
  type ListenerOptions,
  type PeerId,
  type PeerInfo,
  PeerNumbers,
  type Rejected,
  type RouterLimits,
  type RouterOptions,
  type Transport,
  type TransportEvents,
} from '../port.js';
import type { ListenerCurve } from '../listener-curve.js';
import { openZmtpRouter } from './router.js';

/** For peers that send only questions or subscriptions. */
export const QUESTION_LIMITS = {
  messageBytesMax: 1024,
  framesMax: 8,
  /** The limit of all connections together. */
  receiveBytesMax: 16 * 1024 * 1024,
} as const;

/** Events as in `TransportEvents`, with what is known of the peer. */
export interface ListeningEvents<Info = PeerInfo> {
  connected?(peer: PeerId, info: Info): void;
  /** The frames are valid during the call. */
  message(peer: PeerId, frames: Frames, info: Info): void;
  subscription?(peer: PeerId, topic: Buffer, isOn: boolean): void;
  oversized(peer: PeerId, info: Info, reason: string): void;
  outputFull?(peer: PeerId): void;
  drained?(peer: PeerId): void;
  disconnected?(peer: PeerId): void;
  rejected(kind: RejectionKind, reason: string, from: Rejected): void;
}

export interface ListeningOptions<Limits> {
  /** Where to listen. */
  readonly endpoints: readonly string[];
  /** The keys of all endpoints. */
  readonly curve?: ListenerCurve;
  readonly limits: Limits;
  /** Where to count what peers make it hold; default: nowhere. */
  readonly holdings?: Holdings;
  readonly names?: RouterOptions['names'];
}

export class ListeningSocket<Limits = RouterLimits> implements TransportEvents {
  readonly #socketType: NonNullable<ListenerOptions['socketType']>;
  readonly #limitsOf: (limits: Limits) => RouterLimits;
  readonly #events: ListeningEvents;
  readonly #peers = new Map<PeerId, PeerInfo>();
  #endpoints = 0;
  /** Where to write; `null` until it begins to listen. */
  transport: Transport | null = null;

  /** @param limitsOf what it allows its peers, of the limits that its owner gives it */
  constructor(
    socketType: NonNullable<ListenerOptions['socketType']>,
    limitsOf: (limits: Limits) => RouterLimits,
    events: ListeningEvents,
  ) {
    this.#socketType = socketType;
    this.#limitsOf = limitsOf;
    this.#events = events;
  }

  /**
   * Listens on all endpoints. Called once.
   * @returns them with real ports, in order
   * @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT
   */
  async listen(options: ListeningOptions<Limits>): Promise<readonly string[]> {
    const { curve, holdings, names } = options;
    const socketType = this.#socketType;
    const sealed = curve === undefined ? {} : { curve };
    this.#endpoints = options.endpoints.length;
    const { endpoints } = await openZmtpRouter({
      listeners: options.endpoints.map((endpoint, index) => ({
        endpoint,
        index,
        socketType,
        ...sealed,
      })),
      limits: this.#limitsOf(options.limits),
      ...(holdings === undefined ? {} : { holdings }),
      ...(names === undefined ? {} : { names }),
      peers: new PeerNumbers(),
      events: this,
      opening: (transport) => {
        this.transport = transport;
      },
    });
    return endpoints;
  }

  /** Ends the connections of the peers of whom `is` is true. */
  disconnect(is: (info: PeerInfo) => boolean): void {
    for (const [peer, info] of this.#peers) if (is(info)) this.transport?.disconnect(peer);
  }

  /** Limits on messages apply to new connections. */
  setLimits(limits: Limits): void {
    this.transport?.setLimits(this.#limitsOf(limits));
  }

  /** Replaces the secret keys of all endpoints; connections stay. See `ListenerCurve.secretKeys`. */
  setSecretKeys(secretKeys: readonly Buffer[]): void {
    for (let index = 0; index < this.#endpoints; index++) {
      this.transport?.setSecretKeys(index, secretKeys);
    }
  }

  /** See `Transport.closeLargest`. */
  closeLargest(identity: string, closing: Closing): boolean {
    return this.transport?.closeLargest(identity, closing) ?? false;
  }

  // ---------------------------------------------------------------- events of the transport

  connected(peer: PeerId, info: PeerInfo): void {
    this.#peers.set(peer, info);
    this.#events.connected?.(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    const info = this.#peers.get(peer);
    if (info !== undefined) this.#events.message(peer, frames, info);
  }

  subscription(peer: PeerId, topic: Buffer, isOn: boolean): void {
    this.#events.subscription?.(peer, topic, isOn);
  }

  oversized(peer: PeerId, _head: Frames, reason: string): void {
    const info = this.#peers.get(peer);
    if (info !== undefined) this.#events.oversized(peer, info, reason);
  }

  outputFull(peer: PeerId): void {
    this.#events.outputFull?.(peer);
  }

  drained(peer: PeerId): void {
    this.#events.drained?.(peer);
  }

  disconnected(peer: PeerId): void {
    this.#peers.delete(peer);
    this.#events.disconnected?.(peer);
  }

  rejected(_listener: number, kind: RejectionKind, reason: string, from: Rejected): void {
    this.#events.rejected(kind, reason, from);
  }
}
