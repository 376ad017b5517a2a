/** Defaults of the SDK's options; the doc comments of the options are compared with them. */
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_LIVENESS } from '../core/defaults.js';

/** Defaults of `ClientOptions`. */
export const CLIENT_DEFAULTS = {
  timeoutMs: 2500,
  retries: 3,
  maxOutstanding: 100_000,
  ifNoWorker: 'wait',
  /** 64 MiB. */
  streamBufferBytes: 67_108_864,
  protocol: '0.2',
  envelope: true,
  maxLinks: 64,
  retryBaseMs: 100,
  retryMaxMs: 2000,
  strategy: 'failover',
  pingIntervalMs: 1000,
  transport: 'zmtp',
} as const;

/** Defaults of `WorkerOptions`. */
export const WORKER_DEFAULTS = {
  concurrency: 1,
  protocol: '0.2',
  heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS as number,
  heartbeatLiveness: HEARTBEAT_LIVENESS as number,
  retryBaseMs: 100,
  retryMaxMs: 5000,
  cancelGraceMs: 10_000,
  exposeErrors: true,
  transport: 'zmtp',
} as const;

/** Defaults of `CloseOptions`. */
export const CLOSE_DEFAULTS = { graceMs: 10_000 } as const;

/** Defaults of `PublisherOptions`. */
export const PUBLISHER_DEFAULTS = {
  /** 64 MiB. */
  outputBytes: 67_108_864,
  maxConnections: 10_000,
} as const;

/** Defaults of `SubscriberOptions`. */
export const SUBSCRIBER_DEFAULTS = {
  onGap: 'mark',
  /** 1 MiB. */
  bufferBytes: 1_048_576,
} as const;

/** Defaults of `SharedMapOptions`. */
export const MAP_DEFAULTS = {
  timeoutMs: 10_000,
  maxOutstanding: 10_000,
  /** 256 MiB. */
  maxBytes: 268_435_456,
} as const;
