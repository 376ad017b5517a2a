/**
 * What HTTP sees of the rest of a node. Types alone: the daemon hands the objects in, so that this
 * room knows neither the broker nor the store, nor the pair.
 */
import type { OperatorApi } from '../titanic/operator/operator-api.js';
import type { REPLICATIONS } from '../wire/peer.js';
import type { NodeStatus, ServiceStatus, WorkerStatus } from '../wire/mmi.js';
import type { RefusalRecord } from '../observe/refusals.js';
import type { EventFeed } from './event-feed.js';

/** A fact that people and programs are told: `code` is stable. */
export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** Whether clients are served here, and what is hurt although they are. */
export interface Health {
  /** Why they are not: starting, draining, passive …; `null`: they are. */
  readonly notReady: Reason | null;
  readonly degraded: readonly Reason[];
}

/** What a list is asked for. */
export interface ListQuery {
  /** Where to go on: `next` of the page before; `null`: from the start. */
  readonly cursor: string | null;
  /** At most so many items. */
  readonly limit: number;
  /** Only of this service: the bytes of its name. */
  readonly service: Buffer | null;
  readonly state: string | null;
}

/** A page of a list. It may hold fewer items than were asked for; the end is `next` null. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** A worker, with what is only for those who gave a token. */
export interface WorkerSeen extends WorkerStatus {
  /** Where it came from. */
  readonly address: string;
}

/** The node, as `mmi.*` tells of it. */
export interface NodeView {
  health(): Health;
  /** And where the broker listens. */
  status(): NodeStatus;
  /** @throws ERR_HTTP_PARAMETER for a cursor that is none */
  services(query: ListQuery): Page<ServiceStatus>;
  /** @throws ERR_HTTP_PARAMETER for a cursor that is none */
  workers(query: ListQuery): Page<WorkerSeen>;
}

/** The page of metrics; simultaneous readers share one rendering. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
}

/** One change of a node's state. */
export interface HaChange {
  /** ISO 8601. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** The pair, as this node knows it. */
export interface HaStatus {
  readonly node: string;
  readonly role: 'standalone' | 'primary' | 'backup';
  readonly state: string;
  readonly epoch: number;
  /** The peer holds everything that this node has acknowledged. */
  readonly inSync: boolean;
  readonly replication: (typeof REPLICATIONS)[number];
  /** How far the peer's store is behind; `null`: not known, or none of this node's business. */
  readonly lagMs: number | null;
  /** The nodes do not let the same keys in, or not for the same; `null`: there is no peer to ask. */
  readonly keysDiffer: boolean | null;
  /** `null` on a standalone node. */
  readonly peer: {
    readonly up: boolean;
    /** As it last said; `null`: nothing was heard yet. */
    readonly state: string | null;
    readonly epoch: number | null;
    readonly heardMsAgo: number | null;
    /** Where people reach its page; `null`: it has not said. */
    readonly publicUrl: string | null;
  } | null;
  readonly lastChange: HaChange | null;
  /** The last changes, the newest first. */
  readonly history: readonly HaChange[];
}

/** What became of an operator's order; `reason` for people: why it cannot be done now. */
export type HaOrder = { readonly done: true } | { readonly done: false; readonly reason: string };

/** The pair, and what an operator can tell it. */
export interface Pair {
  status(): HaStatus;
  switchover(): Promise<HaOrder>;
  promote(): Promise<HaOrder>;
}

/** Whose orders about stored requests are taken: `off`: they are not hosted here. */
export type OperatorPort = OperatorApi | 'off' | 'not_ready';

/** What the page draws: one row for each sample. */
export interface SampleBlock {
  readonly columns: readonly string[];
  /** `null`: there was nothing to measure. */
  readonly samples: readonly (readonly (number | null)[])[];
  /** What to ask for the next time. */
  readonly next: number;
}

/** How fast one service was in the last seconds. */
export interface ServiceFigures {
  /** Percent-escaped; those that share a label of metrics are one. */
  readonly service: string;
  readonly receivedPerSecond: number;
  readonly repliedPerSecond: number;
  /** Expired, refused, abandoned, dropped. */
  readonly failedPerSecond: number;
  /** `null`: nothing was replied to. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly inFlight: number;
}

/** What there is now, beside what the node says of itself. */
export interface Present {
  readonly services: number;
  /** `null`: no requests are stored here. */
  readonly stored: {
    readonly pending: number;
    readonly dispatched: number;
    readonly replied: number;
    readonly dead: number;
    readonly bytes: number;
  } | null;
}

/** The last minutes of this node in numbers. */
export interface TimeSeries {
  /** ISO 8601: by it a reader tells one process from the next. */
  readonly startedAt: string;
  /** Where the other node of the pair is. */
  readonly peerEndpoint: string | null;
  present(): Present;
  /** Those from number `since` on, of those that are kept. */
  samples(since: number): SampleBlock;
  /** The same of one service, every four seconds; none if it has no label of metrics of its own. */
  historyOf(service: Buffer, since: number): SampleBlock;
  services(): readonly ServiceFigures[];
}

/** Everything that the routes need. */
export interface Ports {
  readonly node: NodeView;
  readonly pair: Pair;
  /** What happens, told by whoever it happens to. */
  readonly feed: EventFeed;
  readonly operatorApi: () => OperatorPort;
  /** Bodies of stored requests may be shown, to who may change. */
  readonly showsBodies: boolean;
  readonly metrics: Metrics;
  readonly timeSeries: TimeSeries;
  /** Who was refused lately. */
  readonly refusals: { list(limit: number): readonly RefusalRecord[] };
  /** Where people reach the page of this node, if somebody has said so. */
  readonly publicUrl: string | null;
}
