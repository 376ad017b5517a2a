/** Defaults that more than one room needs. */

/** Time between heartbeats of broker and workers. */
export const HEARTBEAT_INTERVAL_MS = 2500;

/** Silent intervals after which either treats the other as lost. */
export const HEARTBEAT_LIVENESS = 3;

/** Where a broker listens, and where commands and examples look for it. */
export const BROKER_ENDPOINT = 'tcp://127.0.0.1:5555';

/** Where its HTTP server listens, as `host:port`. */
export const HTTP_ADDRESS = '127.0.0.1:5580';

/** The share of what is there for all that one identity may use, so that some is left for others. */
export const IDENTITY_SHARE = 0.875;

/** How many services have a label of their own in the metrics. */
export const METRICS_SERVICES = 1000;

/**
 * Bytes of a batch for a disk. Others wait for it, so it must take no longer than some tens of
 * milliseconds.
 */
export const DISK_BATCH_BYTES = 4 * 1024 * 1024;
