import type { Holdings } from '../core/holdings.js';
import type { Quotas } from './quotas.js';
import type { KeyRights, ListenerRules } from './rights.js';

/** What the broker machine is configured with. All durations in milliseconds, all sizes in bytes. */
export interface BrokerOptions {
  readonly heartbeatIntervalMs: number;
  /** Silent intervals before a worker is lost. */
  readonly heartbeatLiveness: number;
  /** How long a request may wait for a worker, from its arrival. */
  readonly requestTtlMs: number;
  /** How long a worker that does not heartbeat while busy may hold a request (D5). */
  readonly busyTimeoutMs: number;
  /** Deliveries of one request in all (D6). */
  readonly maxDeliveries: number;
  /** By index of the listener: what may be done there. */
  readonly listeners: readonly ListenerRules[];
  /** What a key may do there, beside. It is asked once for a connection; what it gave may change. */
  readonly rightsOf?: (listener: number, key: string) => KeyRights;
  /** What one identity may use, by the name of its quotas. Default: no bounds of its own. */
  readonly quotasOf?: (quota: string | null) => Quotas;
  /** What all peers of the node hold, counted with the transports. Default: the broker's alone. */
  readonly holdings?: Holdings;
  /** Bytes of output that a peer may still be sent before it counts as one that does not read. */
  readonly outputLeft?: (peer: number) => number;
  /**
   * Asked when a client's request comes while this node refuses clients; the request that is being asked
   * about is held if the answer is true, and so are those after it. Default: never.
   */
  readonly vote?: () => boolean;
  readonly limits: BrokerLimits;
}

export interface BrokerLimits {
  /** Names with workers; and, counted apart, names that only have requests waiting. */
  readonly services: number;
  readonly workers: number;
  /** Requests held, waiting or at workers. */
  readonly queuedRequests: number;
  /** Their bytes, and those of PARTIALs held back. */
  readonly queuedBytes: number;
  readonly queuedRequestsPerService: number;
  /** A reply that is joined from PARTIALs (D10). */
  readonly messageBytes: number;
  /** Its frames. */
  readonly frames: number;
}
