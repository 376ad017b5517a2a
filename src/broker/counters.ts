import type { FailureKind } from '../wire/failure.js';
import type { MalformedKind } from '../wire/inbound.js';
import { RequestCounters } from './request-counters.js';

export type LostReason =
  'expired' | 'disconnected' | 'connection' | 'protocol' | 'rights' | 'drained';
export type WorkerRefusalReason = 'reserved' | 'limit' | 'rights' | 'draining';
export type RefusalReason =
  'limit' | 'quota' | 'too_large' | 'rights' | 'no_worker' | 'not_active' | 'draining';
export type DroppedReply = 'client_gone' | 'answered' | 'too_late' | 'slow_client';

/** Counters since the start. Plain numbers, read on demand. */
export class BrokerCounters {
  /** For clients' requests for worker services, by service. */
  readonly requests: RequestCounters = new RequestCounters();
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
  /** Well-formed commands of workers that are not valid in their state (docs/protocol.md). */
  unexpected = 0;
  /** Connections that were ended because the peer did not speak ZMTP, or broke its rules. */
  connectionsRejected = 0;
  readonly repliesDropped: Record<DroppedReply, number> = {
    client_gone: 0,
    answered: 0,
    too_late: 0,
    slow_client: 0,
  };

  // For all services together:
  get requestsReceived(): number {
    return this.requests.total(this.requests.received);
  }

  get requestsReplied(): number {
    return this.requests.total(this.requests.replied);
  }

  get requestsRequeued(): number {
    return this.requests.total(this.requests.requeued);
  }

  get requestsExpired(): number {
    return this.requests.total(this.requests.expired);
  }

  get requestsAbandoned(): number {
    return this.requests.total(this.requests.abandoned);
  }

  get requestsDropped(): number {
    return this.requests.total(this.requests.dropped);
  }

  get requestsFailed(): Record<FailureKind, number> {
    const { requests } = this;
    const { error, final, retry } = requests.failed;
    return {
      error: requests.total(error),
      final: requests.total(final),
      retry: requests.total(retry),
    };
  }

  get requestsRefused(): Record<RefusalReason, number> {
    const { requests } = this;
    const { limit, quota, too_large, rights, no_worker, not_active, draining } = requests.refused;
    return {
      limit: requests.total(limit),
      quota: requests.total(quota),
      too_large: requests.total(too_large),
      rights: requests.total(rights),
      no_worker: requests.total(no_worker),
      not_active: requests.total(not_active),
      draining: requests.total(draining),
    };
  }
}
