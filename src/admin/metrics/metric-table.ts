/**
 * Every metric of this program: `/metrics` serves them and docs/metrics.md describes them. Names
 * stand here without their prefix and are stable.
 */
import { REJECTIONS } from '../../core/event-fields.js';
import { HELD_KINDS } from '../../core/holdings.js';

export const METRIC_PREFIX = 'majordomo_';

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** The labels in this order: label → its values, or `null` for any. */
  readonly labels: Readonly<Record<string, readonly string[] | null>>;
  /** A sentence that is also served with the metric. */
  readonly help: string;
  /** What it means for an operator, for the page. */
  readonly meaning: string;
  /** Counted by the extension of this name, and 0 where that is not attached. */
  readonly extension?: 'events' | 'map' | 'fleet' | 'programs';
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
    help: 'Seconds since this process started.',
    meaning: 'A falling value means a restart; all counters start again from 0.',
  },
  started_after_crash: {
    type: 'gauge',
    labels: {},
    help: '1 if the process before this one did not shut down, else 0.',
    meaning:
      'It crashed or was killed (out of memory, `kill -9`, a supervisor whose time for a stop was over), or the machine stopped. The log of its last seconds says more.',
  },
  ready: {
    type: 'gauge',
    labels: {},
    help: '1 if this node serves clients, else 0; same as /readyz.',
    meaning: '0 while the node starts or drains, and on the passive node of a pair.',
  },
  degraded: {
    type: 'gauge',
    // The codes of `degraded` in the answer of /readyz.
    labels: {
      reason: [
        ...['store_full', 'store_busy', 'store_lost', 'store_no_session', 'map_full', 'map_busy'],
        ...['fleet_down', 'store_log_held', 'store_set_aside', 'clock_behind'],
        ...['store_failed', 'not_in_sync', 'peer_refused', 'keys_differ', 'listener_keys_differ'],
      ],
    },
    help: '1 while the node is degraded for this reason, else 0; same as /readyz.',
    meaning:
      'With `store_full`, `store_busy`, `store_lost` and `store_no_session` the broker cannot store anything and answers durable requests with 500 (of `store_lost`, `store_no_session` and `store_busy` only the first that is the case is 1); with `map_full` and `map_busy` it drops new values of the map; with `fleet_down` it cannot reach NATS and serves with its own workers only; with `store_log_held` a program reads the store file for so long that its log grows (see `titanic_wal_bytes`). With `store_set_aside` rows of the store cannot be used, and `majordomo verify` names them; with `clock_behind` nothing that is stored expires (docs/operating.md, If the clock is wrong). With `keys_differ` and `listener_keys_differ` some clients could not use the other node of the pair. With the others it serves all requests (with `titanic.replication: strict` and `not_in_sync`, all except durable requests), but a failover would fail or lose durable requests.',
  },
  requests_received_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests received from clients for worker services.',
    meaning:
      'Each is queued or in flight, or ended as one of: replied, failed (`error` or `final`), expired, refused, abandoned, dropped, of unknown outcome, or with its reply dropped as `client_gone` or `slow_client`.',
  },
  requests_replied_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests whose complete reply was sent to the client.',
    meaning: 'Its rate is the throughput.',
  },
  requests_failed_total: {
    type: 'counter',
    labels: { service: null, kind: ['error', 'final', 'retry'] },
    help: 'Failures that workers reported for requests.',
    meaning:
      '`error`, `final`: the failure ended the request, and the broker sent it to the client if the client supports it; `retry`: the worker asked for another worker to try. If it rises relative to replied, the workers or the requests are wrong. The connection of the worker is fine.',
  },
  requests_requeued_total: {
    type: 'counter',
    labels: { service: null, reason: ['lost', 'returned'] },
    help: 'Deliveries that ended without a reply and put the request back into its queue.',
    meaning:
      'Each is delivered again. `lost`: the worker is gone, or began anew; if it rises, workers crash or take too long. `returned`: the worker gave the request back, as one does that closes, or reported a failure of kind `retry`.',
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
      reason: ['limit', 'quota', 'too_large', 'rights', 'no_worker', 'not_active', 'draining'],
    },
    help: 'Requests that the broker refused.',
    meaning:
      '`limit`: one of `limits.*` is reached; `quota`: the identity of the client is over a quota; `too_large`: the message is over `limits.messageBytes` or `limits.frames`; `rights`: the listener or the key gives no right to the service; `no_worker`: the service has no worker, and the client did not want to wait; `not_active`: the other node of the pair serves; `draining`: this process is shutting down.',
  },
  requests_abandoned_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that the broker abandoned after delivery.',
    meaning:
      'After `broker.maxDeliveries` lost deliveries, or after a stream broke off. If it rises, a request may be crashing its workers.',
  },
  requests_outcome_unknown_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests with `once` whose worker did not answer.',
    meaning:
      'They were delivered, and their worker was lost or gave them back, so that nobody knows whether they ran. They are not delivered again; their clients get the refusal 520.',
  },
  requests_dropped_total: {
    type: 'counter',
    labels: { service: null, reason: ['client_gone', 'cancelled', 'left'] },
    help: 'Requests that their clients gave up.',
    meaning:
      '`client_gone`: queued requests whose client disconnected. Clients that time out and reconnect leave these behind: requests wait too long. `cancelled`: requests that their client gave up, queued or at a worker, before it had any part of the answer; mostly its time was over. `left`: streams that their client ended after a part, which is no failure.',
  },
  request_duration_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'Time from the arrival of a request to its reply, for requests with a reply.',
    meaning:
      'This is how long a client waits, without the network. It includes the wait for a worker.',
  },
  request_wait_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'Time from the arrival of a request to its first delivery to a worker.',
    meaning: 'High: too few workers. Low with a high duration: the workers are slow.',
  },
  requests_queued: {
    type: 'gauge',
    labels: { service: null },
    help: 'Requests of clients that are waiting for a worker.',
    meaning: 'It should return to 0 between bursts.',
  },
  requests_in_flight: {
    type: 'gauge',
    labels: { service: null },
    help: 'Requests of clients that are at workers.',
    meaning: 'At most the sum of the credit of the workers.',
  },
  workers: {
    type: 'gauge',
    labels: { service: null, state: ['waiting', 'busy'] },
    help: 'Registered workers: waiting (idle), or busy with one or more requests.',
    meaning: 'Durable requests also make a worker busy.',
  },
  service_paused: {
    type: 'gauge',
    labels: { service: null },
    help: '1 if an operator paused the service, else 0; of `__other__` how many are paused.',
    meaning:
      'The requests for a paused service wait until it is resumed. The alerts about waiting requests leave it out.',
  },
  workers_lost_total: {
    type: 'counter',
    labels: { reason: ['expired', 'disconnected', 'connection', 'protocol', 'rights', 'drained'] },
    help: 'Workers that lost their registration.',
    meaning:
      '`expired`: silent for too long; `disconnected`: the worker sent DISCONNECT; `connection`: its connection ended; `protocol`: the broker disconnected it for an invalid message; `rights`: its key lost the right to its service; `drained`: this process is shutting down.',
  },
  workers_refused_total: {
    type: 'counter',
    labels: { reason: ['reserved', 'limit', 'rights', 'draining'] },
    help: 'READYs that the broker answered with DISCONNECT.',
    meaning:
      '`reserved`: the service name is reserved for the broker; `limit`: a limit or quota of workers or services is reached, which the log names; `rights`: the listener or the key gives no right to offer the service; `draining`: this process is shutting down.',
  },
  worker_cancels_total: {
    type: 'counter',
    labels: {},
    help: 'How often a worker or another broker was told that nobody waits for the answer of a request.',
    meaning:
      'Only those that asked for it are told; others finish in vain. Each was work begun for nothing: a client took the request back, a durable request was cancelled or expired, or another worker answered first.',
  },
  requests_resumed_total: {
    type: 'counter',
    labels: {},
    help: 'Requests with which clients went on after they had lost their connections.',
    meaning:
      'Their clients came back within `broker.resumeMs`, and the requests were still here, or their answers were. A rate that stays above 0 means that connections of clients break again and again.',
  },
  sessions: {
    type: 'gauge',
    labels: { client: ['connected', 'away'] },
    help: 'Clients that may come back after they lose their connections, by whether they are connected.',
    meaning:
      '`away`: their requests and answers are kept for `broker.resumeMs`. Each counts in the quota `sessions`.',
  },
  messages_malformed_total: {
    type: 'counter',
    labels: { kind: ['envelope', 'client', 'worker', 'titanic', 'map', 'too_large'] },
    help: 'Malformed messages.',
    meaning:
      '`kind` is the malformed part: the frames before the command, the command of a client or a worker, a request for `titanic.*` (answered with 400), a message to the map (dropped), or the size. The peer may speak another protocol.',
  },
  messages_unexpected_total: {
    type: 'counter',
    labels: {},
    help: 'Commands of workers that could be read but were not expected.',
    meaning:
      'A second READY, a FAIL or REPLY for a request that the worker does not hold, a command before READY. The broker answers with DISCONNECT and forgets the worker.',
  },
  contracts_not_kept_total: {
    type: 'counter',
    labels: {},
    help: 'Registrations of workers whose contract was not kept.',
    meaning:
      'Other workers of the service have announced eight different contracts, or `limits.memoryBytes` left no room. The worker gets requests like any other; `mmi.contract` counts it as `workersNotKept`.',
  },
  replies_dropped_total: {
    type: 'counter',
    labels: { reason: ['client_gone', 'answered', 'too_late', 'slow_client'] },
    help: 'Replies of workers that were not delivered.',
    meaning:
      '`client_gone`: the client had disconnected; `answered`: another worker replied first; `too_late`: the request had expired or been abandoned; `slow_client`: the client did not read.',
  },
  connections_rejected_total: {
    type: 'counter',
    labels: { kind: Object.keys(REJECTIONS) },
    help: 'Connections of clients and workers that the broker closed, or did not accept.',
    meaning:
      '`connections`: `limits.connections`, or the share or quota of one address or key, is reached; `output`: the quota `outputBytes`; `memory`: `limits.memoryBytes`; the other kinds: see `connection.rejected` in the log.',
  },
  quota_refusals_total: {
    type: 'counter',
    labels: {
      quota: [
        ...[
          'outstanding',
          'queuedBytes',
          'requestsPerSecond',
          'workers',
          'services',
          'hellos',
          'sessions',
          'outputBytes',
        ],
        ...['stored', 'storedBytes', 'schedules', 'waits'],
      ],
    },
    help: 'Requests, workers, waits and schedules that were refused because an identity had used up a quota.',
    meaning:
      'The log has each (`request.refused`, `worker.refused`, `session.refused`, `titanic.refused`, `titanic.wait_refused`). The quotas `connections` and, but for what is kept for an `Idempotency-Key`, `outputBytes` end connections: see `connections_rejected_total`. Let the client do less, or raise its quota.',
  },
  stream_published_total: {
    extension: 'events',
    type: 'counter',
    labels: {},
    help: 'Events that this node has published (events.listen), whether anyone subscribed or not.',
    meaning:
      'Includes steps of requests only while somebody subscribes to them, so that without subscribers its rate is how often something unusual happens.',
  },
  stream_subscribers: {
    extension: 'events',
    type: 'gauge',
    labels: {},
    help: 'Subscribers that are connected to the events of this node.',
    meaning: 'Compare it with the number of programs that should be watching.',
  },
  stream_closed_total: {
    extension: 'events',
    type: 'counter',
    labels: { reason: ['slow', 'limit'] },
    help: 'Subscribers that this node closed.',
    meaning:
      '`slow`: what waited for it reached `limits.outputBytes`, because it did not read, or it belonged to the identity with most subscriptions when the copies for all subscribers fell too far behind; `limit`: it subscribed to more than 10,000 topics, or to one of more than 255 bytes.',
  },
  map_keys: {
    extension: 'map',
    type: 'gauge',
    labels: {},
    help: 'Keys of the map (map.listen) at this node, those of the broker below /mmi/ included.',
    meaning: 'A node of a pair that does not serve has them, too, but none below /mmi/.',
  },
  map_bytes: {
    extension: 'map',
    type: 'gauge',
    labels: {},
    help: 'Bytes of the map: keys, properties, values, and 128 for each record or kept deletion.',
    meaning:
      'At `limits.mapBytes` new and growing values are dropped. Deletions are kept until the peer has them.',
  },
  map_updates_total: {
    extension: 'map',
    type: 'counter',
    labels: { result: ['applied', 'deleted', 'expired', 'refused'] },
    help: 'Changes of the map.',
    meaning:
      '`applied`: a value was set, or its time to live renewed; `deleted`: a writer deleted it; `expired`: its time to live was over; `refused`: dropped, for the reason in `map.refused` or `map.denied` in the log.',
  },
  map_conflicts_total: {
    extension: 'map',
    type: 'counter',
    labels: {},
    help: 'Keys of the map that both nodes of a pair had changed while they were separated.',
    meaning:
      'The change of the later epoch was kept. The log names some of the keys (`map.conflicted`), at most one a second; `leftOut` counts the others, and `events` publishes all.',
  },
  map_marks_dropped_total: {
    extension: 'map',
    type: 'counter',
    labels: {},
    help: 'Notes of replaced and deleted changes of the map that were dropped before their time.',
    meaning:
      'There were more than 131,072, or an eighth of `limits.mapBytes`, of the last 20 minutes. A copy of such a change that comes later than ten seconds is made again.',
  },
  map_snapshots_total: {
    extension: 'map',
    type: 'counter',
    labels: {},
    help: 'Snapshots of the map that were sent to their end.',
    meaning: 'If it rises steadily, clients lose their connections, or do not keep up.',
  },
  fleet_interconnect_up: {
    extension: 'fleet',
    type: 'gauge',
    labels: {},
    help: '1 while this broker is connected to NATS (fleet.nats), else 0.',
    meaning: '0 without a fleet, too. While it is 0, requests wait for workers registered here.',
  },
  fleet_peers: {
    extension: 'fleet',
    type: 'gauge',
    labels: {},
    help: 'Other brokers of the fleet that this one hears.',
    meaning: 'One less than the brokers of the fleet, if all is well.',
  },
  fleet_requests_bridged_total: {
    extension: 'fleet',
    type: 'counter',
    labels: { direction: ['out', 'in'] },
    help: 'Requests that were sent to another broker of the fleet (out), or given to a worker here for another broker (in).',
    meaning: 'A request that is sent again counts again.',
  },
  fleet_requests_returned_total: {
    extension: 'fleet',
    type: 'counter',
    labels: { reason: ['busy', 'returned', 'lost'] },
    help: 'Requests that came back from another broker of the fleet without an answer.',
    meaning:
      '`busy`: it had no worker available, which is no delivery; `returned`: its worker gave the request back; `lost`: it, its worker, or a message on the way was lost.',
  },
  fleet_packs_dropped_total: {
    extension: 'fleet',
    type: 'counter',
    labels: {
      reason: [
        'garbage',
        'version',
        'fleet',
        'replayed',
        'jump',
        'unknown',
        'late',
        'chunk',
        'full',
      ],
    },
    help: 'Packs on NATS, or parts of them, that this broker did not use.',
    meaning:
      '`version`, `fleet`: of a broker two or more versions of the protocol away, or of another fleet; `replayed`: old or repeated; `jump`: with a number that its sender cannot have reached; `unknown`: for something that never was; `late`: for a request that has ended, as after a loss; `chunk`: a part was missing; `full`: too much at once.',
  },
  titanic_requests: {
    type: 'gauge',
    labels: { service: null, state: ['pending', 'dispatched', 'replied', 'dead'] },
    help: 'Durable requests: waiting for a worker, at a worker, replied but not closed, failed for good.',
    meaning:
      'Dead requests need attention: see `majordomo durable`. Many replied: clients do not close their requests.',
  },
  titanic_oldest_pending_seconds: {
    type: 'gauge',
    labels: { service: null },
    help: 'How long the oldest pending durable request has waited; 0 if there is none.',
    meaning:
      'Counted from its acceptance, from the end of the delay that its client asked for, or from a retry by an operator. If it rises, the service has no worker or every attempt fails. 0 on a node that is not active.',
  },
  titanic_in_flight: {
    type: 'gauge',
    labels: {},
    help: 'Durable requests and webhooks that are at workers, or are prepared for them.',
    meaning:
      'At `titanic.maxInFlight` a service gets one more only if it has none, or when others end; `majordomo durable show` says which requests wait for that.',
  },
  titanic_in_flight_bytes: {
    type: 'gauge',
    labels: {},
    help: 'Bytes of the bodies of these requests.',
    meaning: 'At `titanic.inFlightBytes`, the same.',
  },
  titanic_store_bytes: {
    type: 'gauge',
    labels: {},
    help: 'Size of the store, without free space in its file.',
    meaning: 'At `titanic_store_limit_bytes` the broker accepts no more requests.',
  },
  titanic_store_limit_bytes: {
    type: 'gauge',
    labels: {},
    help: 'Size at which the broker accepts no more requests: `titanic.maxBytes`.',
    meaning: '`titanic_store_bytes` divided by this is how full the store is.',
  },
  titanic_wal_bytes: {
    type: 'gauge',
    labels: {},
    help: 'Size of the log of the store file (`-wal`), looked at once a second.',
    meaning:
      'A few MB, and up to 64 MB after a large batch. If it rises, a program reads the store for long, such as a copy or an open `sqlite3`: `store_log_held` in `degraded` names its process. Absent with a database.',
  },
  titanic_store_up: {
    type: 'gauge',
    labels: {},
    help: '1 while the store can be reached, else 0.',
    meaning: 'With a database: 0 from `store.lost` to `store.returned`. Always 1 with a file.',
  },
  titanic_store_oldest_snapshot_seconds: {
    type: 'gauge',
    labels: {},
    help: 'Age of the oldest snapshot in the database, read every ten seconds.',
    meaning:
      'Until it ends, deleted rows stay and slow the store down: end the transaction that `majordomo doctor` shows (docs/postgresql.md, Old snapshots). Absent with a file, and if the role of the broker may not see it.',
  },
  titanic_store_retries_total: {
    type: 'counter',
    labels: {
      reason: [
        ...['connection', 'timeout', 'full', 'too_many_connections', 'read_only'],
        ...['serialization', 'deadlock', 'other'],
      ],
    },
    help: 'Operations on the database that were tried again.',
    meaning:
      'A few at a restart or failover of the database are normal. If it rises all the time, the reason says what the database lacks.',
  },
  titanic_claims_lost_total: {
    type: 'counter',
    labels: {},
    help: 'Replies and failures that came after another broker had the request, or somebody had closed it.',
    meaning:
      'These requests were executed in vain, or twice. A few follow a stall of this broker for longer than `fleet.leaseMs`, or a reply that another broker stored first.',
  },
  titanic_schedules: {
    type: 'gauge',
    labels: {},
    help: 'Schedules in the store.',
    meaning: 'They are not counted in titanic_requests.',
  },
  titanic_pauses: {
    type: 'gauge',
    labels: {},
    help: 'Services and schedules that an operator has paused.',
    meaning:
      'Whoever forgets one finds it here: the alerts MajordomoServicePaused and MajordomoPauseForgotten tell of one that lasts a day.',
  },
  titanic_limits: {
    type: 'gauge',
    labels: {},
    help: 'Services that an operator has limited.',
    meaning: 'Whoever forgets one finds it here. Those of the configuration are not counted.',
  },
  titanic_later_records: {
    type: 'gauge',
    labels: {},
    help: 'Records of kinds that only a later version knows.',
    meaning:
      'A newer node stored them. They are kept, count for `titanic.maxOpen`, and nothing of them runs here.',
  },
  webhooks_failed_in_a_row: {
    type: 'gauge',
    labels: { host: null },
    help: 'Attempts at webhooks to this host that failed one after the other, and none succeeded since.',
    meaning:
      'Only hosts that fail have a series. It ends with the next success, six and a half hours after the last attempt, and with the process. At most 100 hosts have one; of further ones nothing is told.',
    extension: 'programs',
  },
  titanic_schedules_due_total: {
    type: 'counter',
    labels: { outcome: ['stored', 'denied', 'delayed'] },
    help: 'How often schedules were due: a request was stored; their owner had no right to the service; nothing could be stored, so it was tried again.',
    meaning:
      'Denied: the rights of a key were narrowed. Delayed: a limit or a quota is reached; see the log.',
  },
  titanic_accepted_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Requests that were stored and acknowledged.',
    meaning: 'A submission with a repeated `key` stores nothing and is not counted.',
  },
  titanic_completed_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Durable requests whose reply was stored.',
    meaning: 'If it stays behind accepted, there are too few workers.',
  },
  titanic_retried_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Failed attempts of durable requests that the broker will repeat.',
    meaning: 'Workers crash or give requests back.',
  },
  titanic_attempts_failed_total: {
    type: 'counter',
    labels: { service: null, kind: ['error', 'final', 'retry', 'lost'] },
    help: 'Failed attempts of durable requests, including the last ones.',
    meaning:
      '`error`, `final`, `retry`: reported by the worker; `lost`: the worker reported nothing (it crashed, took too long, or gave the request back).',
  },
  titanic_dead_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Durable requests that failed for good.',
    meaning: 'Each needs attention: see `majordomo durable`.',
  },
  titanic_expired_total: {
    type: 'counter',
    labels: { service: null },
    help: 'Durable requests that expired: unserved, replied but not closed, or dead.',
    meaning: 'After `titanic.requestTtlMs` or `titanic.replyTtlMs`.',
  },
  titanic_accept_to_reply_seconds: {
    type: 'histogram',
    labels: { service: null },
    help: 'Time from the acceptance of a durable request to its reply, both on disk.',
    meaning:
      'It includes all attempts and the pauses between them, but not a delay that the client asked for, nor the time before a retry by an operator.',
  },
  titanic_commit_duration_seconds: {
    type: 'histogram',
    labels: {},
    help: 'Time from handing a batch of changes to the store thread until the batch is durable.',
    meaning: 'A slow disk shows here first. Every acknowledgement waits for one or two commits.',
  },
  titanic_commit_batch_size: {
    type: 'histogram',
    labels: {},
    help: 'Number of changes in one commit.',
    meaning: 'It grows with the load, which is how the store keeps up.',
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
    help: '1 for the current state of this node, 0 for the others.',
    meaning: 'In a healthy pair exactly one node is active. A standalone node is always active.',
  },
  ha_epoch: {
    type: 'gauge',
    labels: {},
    help: 'Current epoch of this node; 0 for a standalone node.',
    meaning: 'A node that becomes active takes a new epoch, so a change means a failover.',
  },
  ha_peer_up: {
    type: 'gauge',
    labels: {},
    help: '1 while this node receives from the other node of the pair, else 0; 0 for a standalone node.',
    meaning: '0 in a pair: no other node can take over.',
  },
  ha_replication_lag_seconds: {
    type: 'gauge',
    labels: {},
    help: 'Age of the oldest change that the other node has not confirmed; 0 if there is none.',
    meaning: 'With `titanic.replication: async`, a failover loses the changes of this time.',
  },
  ha_in_sync: {
    type: 'gauge',
    labels: {},
    help: '1 on the active node if the other node has confirmed all changes; always 0 on a node that is not active, and on a standalone node.',
    meaning:
      '0 on the active node of a pair: a failover now could lose changes that only this node has.',
  },
  ha_transitions_total: {
    type: 'counter',
    labels: { to: ['waiting', 'passive', 'joining', 'active'] },
    help: 'State changes of this node, by new state.',
    meaning: 'If it rises without action by an operator, the link or a node is unstable.',
  },
  ha_split_brain_total: {
    type: 'counter',
    labels: {},
    help: 'How many times this node found both nodes active.',
    meaning:
      'The node with the lower epoch stepped down, and the stores of both nodes were merged.',
  },
  memory_held_bytes: {
    type: 'gauge',
    labels: { kind: HELD_KINDS },
    help: 'Memory that the node holds for its peers, which limits.memoryBytes limits: in all, without a label, and by kind.',
    meaning:
      '`requests`: requests and parts of replies; `output`: what peers have not read yet; `dispatched`: the same at peers that get requests; `input`: incomplete messages; `stored`: what is on its way to the store; `subscriptions`: what subscribers to the events and the map have subscribed to; `contracts`: what workers announced of their services, and clients behind a proxy of themselves; `http`: connections of HTTP, and what waits there to be read. Near the limit the broker refuses requests, subscriptions and durable requests of those that hold most.',
  },
  event_loop_lag_seconds: {
    type: 'gauge',
    labels: {},
    help: 'Worst event loop delay in the last 15 to 30 seconds.',
    meaning:
      'Every message waits this long in addition. Near `broker.heartbeatIntervalMs` × `broker.heartbeatLiveness`, the broker loses healthy workers.',
  },
} as const;

export type MetricName = keyof typeof TABLE;

/** The rows, typed for code that iterates over them. */
export const METRICS: Readonly<Record<MetricName, Metric>> = TABLE;

/** Metrics of the process, under prom-client's names on every platform. */
export const PROCESS_METRICS: Readonly<Record<ProcessMetricName, Omit<Metric, 'labels'>>> = {
  process_cpu_user_seconds_total: {
    type: 'counter',
    help: 'Processor time spent in user mode, in seconds.',
    meaning: 'Sum of all threads.',
  },
  process_cpu_system_seconds_total: {
    type: 'counter',
    help: 'Processor time spent in the kernel, in seconds.',
    meaning: 'Mostly socket reads and writes.',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'Processor time spent, in seconds.',
    meaning: 'A rate near 1 means that the broker thread is at its limit.',
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
    meaning: 'Near `process_max_fds`, the broker closes new connections at once.',
  },
  process_max_fds: {
    type: 'gauge',
    help: 'Limit of open file descriptors (ulimit -n).',
    meaning: 'It should be above the sum of `limits.connections` of all listeners.',
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
