/**
 * Every metric of this program: what `/metrics` serves and docs/metrics.md describes. The names are
 * without their prefix; a name is stable.
 */
export const METRIC_PREFIX = 'majordomo_';

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** In this order: label → its values, or `null` for any. */
  readonly labels: Readonly<Record<string, readonly string[] | null>>;
  /** One sentence, served with the metric. */
  readonly help: string;
  /** What it tells an operator, for the page. */
  readonly meaning: string;
}

const TABLE = {
  build_info: {
    type: 'gauge',
    labels: { version: null, node: null, nodejs: null },
    help: 'Always 1: version of the broker, name of the node (node.name), version of Node.js.',
    meaning: 'Join other metrics with it to show which version they come from.',
  },
  up_seconds: {
    type: 'gauge',
    labels: {},
    help: 'Seconds since this process began to start.',
    meaning: 'A value that falls is a restart; all counters begin at 0 then.',
  },
  ready: {
    type: 'gauge',
    labels: {},
    help: '1 if clients are served here, else 0: as /readyz answers.',
    meaning: '0 while it starts or drains, and on the passive node of a pair.',
  },
  degraded: {
    type: 'gauge',
    // The codes of `degraded` in the answer of /readyz.
    labels: { reason: ['store_full', 'store_busy', 'store_failed', 'not_in_sync', 'peer_refused'] },
    help: '1 while that part of the service is hurt, else 0: as /readyz answers.',
    meaning:
      'With `store_full` and `store_busy` nothing can be stored: durable requests are answered 500. With the others all are served, but nothing would take over, or not with everything.',
  },
  requests_received_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that came from clients for worker services.',
    meaning:
      'Each ends in one of: replied, failed (as `error` or `final`), expired, refused, abandoned, dropped, or a reply dropped as `client_gone` or `slow_client`; or is queued or in flight.',
  },
  requests_replied_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests whose whole reply was handed to their client.',
    meaning: 'The rate of this is the throughput.',
  },
  requests_failed_total: {
    type: 'counter',
    labels: { service: null, kind: ['error', 'final', 'retry'] },
    help: 'Failures that workers reported for requests.',
    meaning:
      '`error`, `final`: the request ended with it, and its client was told if it asked to be; `retry`: the worker wanted another one to try. Rising against replied: the workers, or what they are asked, are wrong. The worker itself is well.',
  },
  requests_requeued_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Deliveries that ended without a reply and put the request back into its queue.',
    meaning: 'Its worker was lost or gave it back. Rising: workers crash or are overdue.',
  },
  requests_expired_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that no worker took within broker.requestTtlMs.',
    meaning: 'Too few workers for the load, or none.',
  },
  requests_refused_total: {
    type: 'counter',
    labels: {
      service: null,
      reason: ['limit', 'quota', 'rights', 'no_worker', 'not_active', 'draining'],
    },
    help: 'Requests that were not accepted.',
    meaning:
      '`limit`: one of `limits.*` is reached; `quota`: its identity has used up a quota; `rights`: the listener or the key gives no right to the service; `no_worker`: nobody serves it, and the client did not want to wait; `not_active`: another node of the pair serves; `draining`: this process is shutting down.',
  },
  requests_abandoned_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that were given up after they had been delivered.',
    meaning:
      'After `broker.maxDeliveries` lost deliveries, or a stream that broke. Rising: a request that kills its workers.',
  },
  requests_dropped_total: {
    type: 'counter',
    labels: { service: null, reason: ['client_gone'] },
    help: 'Requests that still waited when their client was gone.',
    meaning: 'Clients that time out and reconnect leave these behind: requests wait for too long.',
  },
  request_duration_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'From the arrival of a request to its reply, of those that were replied to.',
    meaning: 'What a client waits for, but for the network. It includes the wait for a worker.',
  },
  request_wait_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'From the arrival of a request to its first delivery to a worker.',
    meaning: 'High: too few workers. Low, with a high duration: the workers are slow.',
  },
  requests_queued: {
    type: 'gauge',
    labels: { service: null },
    help: 'Requests of clients that wait for a worker now.',
    meaning: 'It should return to 0 between bursts.',
  },
  requests_in_flight: {
    type: 'gauge',
    labels: { service: null },
    help: 'Requests of clients that are at workers now.',
    meaning: 'At most the sum of the credit of the workers.',
  },
  workers: {
    type: 'gauge',
    labels: { service: null, state: ['waiting', 'busy'] },
    help: 'Registered workers: waiting without a request, busy with one or more.',
    meaning: 'Stored requests make a worker busy, too.',
  },
  workers_lost_total: {
    type: 'counter',
    labels: { reason: ['expired', 'disconnected', 'connection', 'protocol', 'rights', 'drained'] },
    help: 'Workers that are no longer registered.',
    meaning:
      '`expired`: silent for too long; `disconnected`: it said so; `connection`: its connection ended; `protocol`: it was expelled for what it sent; `rights`: its key lost the right to its service; `drained`: this process shuts down.',
  },
  workers_refused_total: {
    type: 'counter',
    labels: { reason: ['reserved', 'limit', 'rights', 'draining'] },
    help: 'READYs that were answered by DISCONNECT.',
    meaning:
      '`reserved`: the name belongs to the broker; `limit`: `limits.workers` or `limits.services`; `rights`: the listener or the key allows no workers.',
  },
  messages_malformed_total: {
    type: 'counter',
    labels: { kind: ['envelope', 'client', 'worker', 'titanic', 'too_large'] },
    help: 'Messages that could not be read.',
    meaning:
      'By what was wrong: the frames before the command, a client’s or a worker’s command, a request for `titanic.*` (answered 400), the size. A peer that speaks something else.',
  },
  messages_unexpected_total: {
    type: 'counter',
    labels: {},
    help: 'Commands of workers that could be read but were not expected.',
    meaning:
      'A second READY, a FAIL or REPLY for a request that the worker does not hold, a command before READY. The broker answers with DISCONNECT and forgets the worker.',
  },
  replies_dropped_total: {
    type: 'counter',
    labels: { reason: ['client_gone', 'answered', 'too_late', 'slow_client'] },
    help: 'Replies of workers that nobody was given.',
    meaning:
      '`client_gone`: its connection had ended; `answered`: another worker’s reply came first; `too_late`: the request had expired or been given up; `slow_client`: it did not read.',
  },
  titanic_requests: {
    type: 'gauge',
    labels: { service: null, state: ['pending', 'dispatched', 'replied', 'dead'] },
    help: 'Stored requests: not yet at a worker, at one, replied and not closed, given up.',
    meaning: 'The dead wait for an operator. Many replied: clients do not close their requests.',
  },
  titanic_oldest_pending_seconds: {
    type: 'gauge',
    labels: { service: null },
    help: 'How long the oldest pending stored request has waited; 0 where there is none.',
    meaning:
      'From its acceptance, the end of the delay that its client asked for, or an operator’s retry on. Rising: nobody serves it, or every attempt fails. 0 on a node that is not active.',
  },
  titanic_store_bytes: {
    type: 'gauge',
    labels: {},
    help: 'Size of the store, without room in its file that waits to be used again.',
    meaning: 'At `titanic.maxBytes` no more is accepted.',
  },
  titanic_accepted_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that were stored and acknowledged.',
    meaning: 'A repeated `key` stores nothing and does not count.',
  },
  titanic_completed_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Stored requests whose reply was stored.',
    meaning: 'Behind accepted for long: too few workers.',
  },
  titanic_retried_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Attempts of stored requests that failed and will be made again.',
    meaning: 'Workers crash, or give requests back.',
  },
  titanic_attempts_failed_total: {
    type: 'counter',
    labels: { service: null, kind: ['error', 'final', 'retry', 'lost'] },
    help: 'Attempts of stored requests that failed, the last ones too.',
    meaning:
      '`error`, `final`, `retry`: the worker said so; `lost`: the attempt ended without a word of it (it crashed, was overdue, or gave the request back).',
  },
  titanic_dead_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Stored requests that were given up after their last attempt.',
    meaning: 'Each waits for an operator: see `majordomo titanic`.',
  },
  titanic_expired_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Stored requests dropped when their time was over: unserved, unclosed, or dead.',
    meaning: 'After `titanic.requestTtlMs` or `titanic.replyTtlMs`.',
  },
  titanic_accept_to_reply_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'From the acceptance of a stored request to its reply, both on disk.',
    meaning:
      'It includes all attempts and the pauses between them, but not a delay that its client asked for, or the time before an operator’s retry.',
  },
  titanic_commit_duration_seconds: {
    type: 'histogram',
    labels: {},
    help: 'From handing a batch of changes to the thread of the store until it was durable.',
    meaning: 'What a slow disk shows first. Every acknowledgement waits for one commit or two.',
  },
  titanic_commit_batch_size: {
    type: 'histogram',
    labels: {},
    help: 'Changes that one commit made durable.',
    meaning: 'It grows with the load: that is how the store keeps up.',
  },
  ha_role: {
    type: 'gauge',
    labels: { role: ['standalone', 'primary', 'backup'] },
    help: '1 for the configured role of this node (bstar.role), 0 for the others.',
    meaning: 'It never changes while the process lives.',
  },
  ha_state: {
    type: 'gauge',
    labels: { state: ['waiting', 'passive', 'joining', 'active'] },
    help: '1 for the state that this node is in, 0 for the others.',
    meaning: 'In a pair exactly one node is active. A standalone node always is.',
  },
  ha_epoch: {
    type: 'gauge',
    labels: {},
    help: 'The epoch that this node is in; 0 for a standalone node.',
    meaning: 'Every step to active takes a new one, so a change is a failover.',
  },
  ha_peer_up: {
    type: 'gauge',
    labels: {},
    help: '1 while the other node of the pair is heard, else 0; 0 for a standalone node.',
    meaning: '0 in a pair: there is nobody to take over.',
  },
  ha_replication_lag_seconds: {
    type: 'gauge',
    labels: {},
    help: 'Age of the oldest change that the other node has not confirmed; 0 if there is none.',
    meaning: 'What a failover would lose with `titanic.replication: async`.',
  },
  ha_in_sync: {
    type: 'gauge',
    labels: {},
    help: '1 if the other node has confirmed everything on this connection; 0 when standalone.',
    meaning: '0 in a pair: a failover now could lose what only this node has.',
  },
  ha_transitions_total: {
    type: 'counter',
    labels: { to: ['waiting', 'passive', 'joining', 'active'] },
    help: 'Changes of the state of this node, by the new state.',
    meaning: 'Rising without an operator’s doing: the link or a node is not stable.',
  },
  ha_split_brain_total: {
    type: 'counter',
    labels: {},
    help: 'Times that this node found both nodes active.',
    meaning: 'The one with the lower epoch stepped down; what was stored on both sides was merged.',
  },
  event_loop_lag_seconds: {
    type: 'gauge',
    labels: {},
    help: 'How late the event loop was at most within the last 15 to 30 seconds.',
    meaning: 'What every message had to wait beside. Near a heartbeat: workers get lost.',
  },
} as const;

export type MetricName = keyof typeof TABLE;

/** The rows again, as what code that walks over them sees. */
export const METRICS: Readonly<Record<MetricName, Metric>> = TABLE;

/** Metrics of the process, under the names that prom-client gives them on every platform. */
export const PROCESS_METRICS: Readonly<Record<ProcessMetricName, Omit<Metric, 'labels'>>> = {
  process_cpu_user_seconds_total: {
    type: 'counter',
    help: 'Processor time spent in user mode, in seconds.',
    meaning: 'All threads together.',
  },
  process_cpu_system_seconds_total: {
    type: 'counter',
    help: 'Processor time spent in the kernel, in seconds.',
    meaning: 'Mostly reads and writes of sockets.',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'Processor time spent, in seconds.',
    meaning: 'Its rate near 1: the thread of the broker is full.',
  },
  process_start_time_seconds: {
    type: 'gauge',
    help: 'When the process started, in seconds since 1970.',
    meaning: 'Changes with every restart.',
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    help: 'Resident memory, in bytes.',
    meaning: 'Bounded by `limits.*`.',
  },
  process_virtual_memory_bytes: {
    type: 'gauge',
    help: 'Virtual memory, in bytes.',
    meaning: 'Address space, not memory in use.',
  },
  process_heap_bytes: {
    type: 'gauge',
    help: 'Data segment of the process (VmData), in bytes.',
    meaning: 'Address space, not memory in use.',
  },
  process_open_fds: {
    type: 'gauge',
    help: 'Open file descriptors.',
    meaning: 'Some below `process_max_fds` connections are closed as soon as they come.',
  },
  process_max_fds: {
    type: 'gauge',
    help: 'Largest number of open file descriptors (ulimit -n).',
    meaning: 'Should be above the sum of `limits.connections` of all listeners.',
  },
};

export type ProcessMetricName =
  | 'process_cpu_user_seconds_total'
  | 'process_cpu_system_seconds_total'
  | 'process_cpu_seconds_total'
  | 'process_start_time_seconds'
  | 'process_resident_memory_bytes'
  | 'process_virtual_memory_bytes'
  | 'process_heap_bytes'
  | 'process_open_fds'
  | 'process_max_fds';
