import type {
  DroppedReply,
  LostReason,
  WorkerRefusalReason,
} from '../../../src/broker/counters.js';
import type { RefusalReason } from '../../../src/broker/request-counters.js';
import type { FailureKind } from '../../../src/wire/failure.js';
import type { MalformedKind } from '../../../src/wire/inbound.js';

/** What the broker must have counted, over all services. */
export class ModelCounters {
  requestsReceived = 0;
  requestsReplied = 0;
  requestsRequeued = 0;
  requestsExpired = 0;
  requestsAbandoned = 0;
  requestsUnknown = 0;
  requestsDropped = 0;
  requestsCancelled = 0;
  cancels = 0;
  unexpected = 0;
  readonly requestsFailed: Record<FailureKind, number> = { error: 0, final: 0, retry: 0 };
  readonly requestsRefused: Record<RefusalReason, number> = {
    limit: 0,
    quota: 0,
    too_large: 0,
    rights: 0,
    no_worker: 0,
    not_active: 0,
    draining: 0,
  };
  readonly workersLost: Record<LostReason, number> = {
    expired: 0,
    disconnected: 0,
    connection: 0,
    protocol: 0,
    rights: 0,
    drained: 0,
  };
  readonly workersRefused: Record<WorkerRefusalReason, number> = {
    reserved: 0,
    limit: 0,
    rights: 0,
    draining: 0,
  };
  readonly malformed: Record<MalformedKind, number> = {
    envelope: 0,
    client: 0,
    worker: 0,
    titanic: 0,
    too_large: 0,
  };
  readonly repliesDropped: Record<DroppedReply, number> = {
    client_gone: 0,
    answered: 0,
    too_late: 0,
    slow_client: 0,
  };
}
