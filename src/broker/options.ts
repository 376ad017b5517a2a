import type { Holdings } from '../core/holdings.js';
import type { Quotas } from './quotas.js';
import type { KeyRights, ListenerRules } from './rights.js';

/** Configuration of the broker machine. All durations are in milliseconds, all sizes in bytes. */
export interface BrokerOptions {
  readonly heartbeatIntervalMs: number;
  /** Intervals of silence after which a worker is lost. */
  readonly heartbeatLiveness: number;
  /** How long a request may wait for a worker, from its arrival. */
  readonly requestTtlMs: number;
  /** How long a client that lost its connection may take to come back to its session (D116); 0: there are no sessions. */
  readonly resumeMs: number;
  /** How long a worker that does not heartbeat while busy may hold a request (D5). */
  readonly busyTimeoutMs: number;
  /** Maximum number of deliveries of one request (D6). */
  readonly maxDeliveries: number;
  /** By index of the listener: what peers may do there. */
  readonly listeners: readonly ListenerRules[];
  /**
   * What a key may do in addition. Called once per connection; the object that it returns may
   * change.
   */
  readonly rightsOf?: (listener: number, key: string) => KeyRights;
  /** What one identity may use, by the name of its quotas. Default: no limits of its own. */
  readonly quotasOf?: (quota: string | null) => Quotas;
  /** What all peers of the node hold, shared with the transports. Default: the broker's only. */
  readonly holdings?: Holdings;
  /** Output that peers may be sent. Default: no limit. */
  readonly output?: OutputRoom;
  readonly limits: BrokerLimits;
}

/** Output that peers may be sent, in bytes: one that has more counts as not reading. */
export interface OutputRoom {
  /** How much may be sent to a peer now. */
  left(peer: number): number;
  /** How much may be sent to a peer that has read all. */
  max(): number;
  /**
   * Whether a worker may be sent a request of so many bytes now. If not, `Broker.drained` follows once
   * it has read what waits.
   */
  takesRequest(peer: number, bytes: number): boolean;
}

/** Who connected; as in the transport's port. */
export interface PeerIdentity {
  readonly listener: number;
  readonly routingId: Buffer;
  readonly ownRoutingId: boolean;
  readonly key: string | null;
  readonly publicKey?: string | null;
  readonly address: string;
  readonly identity: string;
  /** The socket type that the peer declared; absent if the transport does not know. */
  readonly socketType?: string;
}

/** Whether clients are served: see `admission/admission.ts`. */
export type AdmissionState = 'serving' | 'voting' | 'holding' | 'refusing';

export interface BrokerLimits {
  /**
   * Limit for names with workers and, counted separately, for names that only have waiting
   * requests.
   */
  readonly services: number;
  readonly workers: number;
  /** Requests held, waiting or at workers. */
  readonly queuedRequests: number;
  /** Bytes of these requests and of PARTIALs held back. */
  readonly queuedBytes: number;
  readonly queuedRequestsPerService: number;
  /** Bytes of a reply joined from PARTIALs (D10). */
  readonly messageBytes: number;
  /** Frames of a reply joined from PARTIALs. */
  readonly frames: number;
}

/** What may run at once, and start per second; Infinity: no limit. */
export interface RunLimit {
  readonly running: number;
  readonly perSecond: number;
  /** How many may start at once after a pause. */
  readonly burst: number;
}

/** The limits of one service; `null`: it has none of that kind. */
export interface ServiceLimits {
  readonly service: RunLimit | null;
  /** The limit of each of its groups. */
  readonly group: RunLimit | null;
  /** A durable request that waits for its next attempt holds those behind it in its group. */
  readonly holds: boolean;
  /** Who set them, and when, in wall milliseconds; absent: the configuration. */
  readonly set?: { readonly by: string; readonly at: number };
}

/** The limits of a service, by its name; `null`: it has none. */
export type LimitsOf = (name: Buffer) => ServiceLimits | null;
