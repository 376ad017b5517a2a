/**
 * What HTTP sees of the rest of a node. Types alone: the daemon hands the objects in, so that this
 * room knows neither the broker nor the store, nor the pair.
 */
import type { OperatorApi } from '../titanic/operator/operator-api.js';
import type { NodeStatus, ServiceStatus, WorkerStatus } from '../wire/mmi.js';
import type { RefusalRecord } from '../observe/refusals.js';
import type {
  HaStatus,
  Overview,
  Reason,
  ServiceFigures,
  ServiceHistory,
} from './api/node-answers.js';
import type { Page } from './api/words.js';
import type { EventFeed } from './event-feed.js';

/** The samples that were asked for, of those that are kept. */
export type SampleBlock = Omit<ServiceHistory, 'startedAt'>;

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

/** The last minutes of this node in numbers. */
export interface TimeSeries {
  /** ISO 8601: by it a reader tells one process from the next. */
  readonly startedAt: string;
  /** Where the other node of the pair is. */
  readonly peerEndpoint: string | null;
  /** Counts of now. */
  present(): Pick<Overview, 'services' | 'stored'>;
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
