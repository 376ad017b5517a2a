/** What the API answers, as far as the page reads it (docs/openapi.json has all of it). */

export interface Reason {
  readonly code: string;
  readonly text: string;
}

export interface StoredCounts {
  readonly pending: number;
  readonly dispatched: number;
  readonly replied: number;
  readonly dead: number;
  readonly bytes: number;
}

/** Samples that were asked for, of those that the node keeps. */
export interface SampleBlock {
  /** Differs between one process and the next. */
  readonly startedAt: string;
  readonly columns: readonly string[];
  readonly samples: readonly (readonly (number | null)[])[];
  /** What to ask for the next time. */
  readonly next: number;
}

export interface Overview extends SampleBlock {
  readonly node: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly role: 'standalone' | 'primary' | 'backup';
  readonly state: string;
  readonly epoch: number;
  readonly ready: boolean;
  readonly reason: Reason | null;
  readonly degraded: readonly Reason[];
  readonly peer: {
    readonly endpoint: string | null;
    readonly up: boolean;
    readonly state: string | null;
    /** Where people reach its page. */
    readonly publicUrl: string | null;
    readonly inSync: boolean;
  } | null;
  readonly stored: StoredCounts | null;
  readonly services: number;
}

export interface ServiceFigures {
  readonly service: string;
  readonly repliedPerSecond: number;
  readonly failedPerSecond: number;
  /** `null`: nothing was replied to in the last seconds. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly inFlight: number;
}

export interface ServiceFiguresAnswer {
  readonly items: readonly ServiceFigures[];
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export interface Service {
  readonly service: string;
  readonly workersWaiting: number;
  readonly workersBusy: number;
  readonly queued: number;
  /** `null`: it is one of those that are not counted by themselves. */
  readonly plain: { readonly failuresPerSecond: number } | null;
  /** `null`: it has no stored requests, or none are stored here. */
  readonly durable: ServiceDurable | null;
}

/** Stored requests of a service; of rates, `null` where it is not counted by itself. */
export interface ServiceDurable {
  readonly pending: number;
  /** Not due yet, among those pending; `null`: only the active node of a pair knows. */
  readonly delayed: number | null;
  readonly dispatched: number;
  readonly replied: number;
  readonly dead: number;
  readonly failedAttemptsPerSecond: number | null;
}

export interface Worker {
  readonly service: string;
  readonly state: 'waiting' | 'busy';
  readonly version: string;
  readonly inFlight: number;
  readonly credit: number;
  readonly sinceMs: number;
  readonly key: string | null;
  /** What it calls itself. */
  readonly name: string | null;
  /** Where it came from; `null` without a token. */
  readonly address: string | null;
}

export interface HaChange {
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export interface Ha {
  readonly node: string;
  readonly role: 'standalone' | 'primary' | 'backup';
  readonly state: string;
  readonly epoch: number;
  readonly inSync: boolean;
  readonly replication: string;
  readonly lagMs: number | null;
  readonly keysDiffer: boolean | null;
  readonly peer: {
    readonly up: boolean;
    readonly state: string | null;
    readonly epoch: number | null;
    readonly heardMsAgo: number | null;
    readonly publicUrl: string | null;
  } | null;
  readonly lastChange: HaChange | null;
  readonly history: readonly HaChange[];
}

export interface StoredRequest {
  readonly uuid: string;
  readonly service: string;
  readonly state: string;
  readonly priority: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly generation: number;
  readonly acceptedAt: string | null;
  readonly notBefore: string | null;
  readonly expiresAt: string | null;
  /** The beginning of why it is dead, or why its last attempt failed. */
  readonly reason: string | null;
  readonly bodyBytes: number;
  readonly owner: string | null;
  readonly shared: boolean;
}

/** Bytes: as text if they are UTF-8. */
interface Encoded {
  readonly encoding: 'utf8' | 'base64';
  readonly data: string;
}

/** What a worker said of an attempt. */
export interface Failure {
  readonly kind: string;
  readonly code: string;
  readonly text: string;
  readonly detail: readonly Encoded[];
}

export interface Delivery {
  readonly worker: string;
  readonly startedAt: string | null;
  readonly endedAt?: string | null;
  readonly reason?: string;
  readonly failure?: Failure | null;
}

export interface Story extends StoredRequest {
  readonly hasKey: boolean;
  readonly attemptsEver: number;
  readonly deliveries: readonly Delivery[];
  readonly delivery: Delivery | null;
  readonly reply: {
    readonly bytes: number;
    readonly worker: string;
    readonly repliedAt: string | null;
  } | null;
  readonly death: { readonly reason: string; readonly diedAt: string | null } | null;
  readonly showsBodies: boolean;
}

/** Of a frame that is cut, `data` has the beginning; `bytes` are those of the whole. */
export interface BodyFrame extends Encoded {
  readonly bytes: number;
}

export interface StoredBody {
  readonly bytes: number;
  readonly cut: boolean;
  readonly frames: readonly BodyFrame[];
}

export interface Bodies {
  readonly body: StoredBody | null;
  readonly reply: StoredBody | null;
}

export interface BulkResult {
  readonly count: number;
  readonly more: boolean;
}

export interface NodeEvent {
  readonly time: string;
  readonly event: string;
  readonly severity: 'info' | 'warn' | 'error';
  readonly [field: string]: unknown;
}
