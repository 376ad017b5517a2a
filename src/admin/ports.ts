/**
 * The interfaces through which HTTP uses the rest of the node. `node/` passes in the objects, so
 * this room imports neither the broker, nor the store, nor the pair.
 */
import type { OperatorApi } from '../titanic/operator/operator-api.js';
import type { RefusalRecord } from './log/refusals.js';
import type {
  Clients,
  Contracts,
  HaStatus,
  DayHistory,
  Overview,
  Reason,
  Service,
  ServiceHistory,
  Status,
  Worker,
} from './api/node-answers.js';
import type { Page } from './api/words.js';
import type { EventFeed } from './http/event-feed.js';

/** The requested samples, as far as they are kept. */
export type SampleBlock = Omit<
  ServiceHistory,
  'startedAt' | 'kept' | 'failures' | 'failuresByWorker'
>;

/** Whether this node serves clients, and what does not work although it does. */
export interface Health {
  /** Why it does not serve: starting, draining, passive …; `null`: it serves. */
  readonly notReady: Reason | null;
  /** The next request of a client makes this node serve: its peer is dead. */
  readonly takesOver: boolean;
  readonly degraded: readonly Reason[];
}

/** The parameters of a list. */
interface ListQuery {
  /** `next` of the previous page; `null`: from the start. */
  readonly cursor: string | null;
  /** Maximum number of items. */
  readonly limit: number;
  /** The bytes of the name of the only service; `null`: all services. */
  readonly service: Buffer | null;
  readonly state: string | null;
}

/** The parameters of the list of clients. */
export interface ClientQuery {
  /** The figure by which clients are sorted, the largest first. */
  readonly by: 'requests' | 'outstanding' | 'stored' | 'held';
  readonly limit: number;
}

/** The node, as `mmi.*` shows it. */
export interface NodeView {
  health(): Health;
  /** Includes where the broker listens. */
  status(): Status;
  /** @throws ERR_HTTP_PARAMETER for a cursor that is none */
  services(query: ListQuery): Page<Service>;
  /** What workers announced of a service; `null`: nothing. */
  contracts(service: Buffer): Contracts | null;
  /** @throws ERR_HTTP_PARAMETER for a cursor that is none */
  workers(query: ListQuery): Page<Worker>;
  clients(query: ClientQuery): Clients;
}

/** The text of the metrics; simultaneous readers share one rendering, and its buffers. */
interface MetricsText {
  readonly contentType: string;
  render(): Promise<{ readonly plain: Buffer; readonly gzipped: Promise<Buffer> }>;
}

/** The result of an operator's command; `reason` says why it is not possible now. */
export type HaOrder = { readonly done: true } | { readonly done: false; readonly reason: string };

/** The pair, as its machine knows it. */
export type PairStatus = Omit<HaStatus, 'degraded'>;

/** The pair, and an operator's commands to it. */
export interface Pair {
  status(): PairStatus;
  switchover(): Promise<HaOrder>;
  promote(): Promise<HaOrder>;
}

/** The commands about stored requests. `off`: this node stores none; `not_ready`: the store is not open, because the node starts or stops. */
export type OperatorPort = OperatorApi | 'off' | 'not_ready';

/** The figures of the last minutes of this node. */
export interface NodeHistory {
  /** Start of the process (ISO 8601). It changes with every restart. */
  readonly startedAt: string;
  /** Endpoint of the other node of the pair. */
  readonly peerEndpoint: string | null;
  /** Current counts. */
  present(): Pick<Overview, 'services' | 'stored'>;
  /** The kept samples from number `since` on. */
  samples(since: number): SampleBlock;
  /**
   * Like `samples`, for one service, every four seconds; none if it has no label in the metrics.
   * @param isWhole with what workers said of their failures: for holders of a token
   */
  historyOf(service: Buffer, since: number, isWhole: boolean): Omit<ServiceHistory, 'startedAt'>;
  /** The samples of the last day, one for each minute. @param service `null`: of the node */
  dayOf(service: Buffer | null): Promise<DayHistory>;
}

/** Everything that the routes need. */
export interface Ports {
  readonly node: NodeView;
  readonly pair: Pair;
  /** Takes the events of this node. */
  readonly eventFeed: EventFeed;
  readonly operatorApi: () => OperatorPort;
  /** Holders of `http.token` may read the bodies of stored requests. */
  readonly showsBodies: boolean;
  /** Whether programs may send requests. */
  readonly programs: boolean;
  readonly metrics: MetricsText;
  readonly timeSeries: NodeHistory;
  /** Recent refusals. */
  readonly refusals: { list(limit: number): readonly RefusalRecord[] };
  /** `http.publicUrl`: URL of the page of this node; `null`: not configured. */
  readonly publicUrl: string | null;
}
