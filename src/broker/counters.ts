import { type RejectionKind, REJECTIONS } from '../core/event-fields.js';
import type { EventOf } from '../core/event-table.js';
import type { FailureKind } from '../wire/failure.js';
import type { MalformedKind } from '../wire/inbound.js';
import type { BrokerTable } from './broker-events.js';
import { NO_QUOTAS, type QuotaName } from './quotas.js';
import { PLAIN, type RefusalReason, RequestCounters } from './request-counters.js';

export type LostReason = EventOf<BrokerTable, 'worker.lost'>['reason'];
export type WorkerRefusalReason = EventOf<BrokerTable, 'worker.refused'>['reason'];
export type DroppedReply = EventOf<BrokerTable, 'reply.dropped'>['reason'];

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
  /** Requests with which clients went on that had lost their connections (D116). */
  resumed = 0;
  /** CANCELs that were sent to workers and to other brokers. */
  cancels = 0;
  /** Registrations whose contract was not kept (D107). */
  contractsNotKept = 0;
  /** Connections that were ended for what their peers did, or not accepted. */
  readonly connectionsRejected: Record<RejectionKind, number> = zeroOf(REJECTIONS);
  /** What was refused because an identity had used up a quota. */
  readonly quotas: Record<QuotaName, number> = zeroOf(NO_QUOTAS);
  readonly repliesDropped: Record<DroppedReply, number> = {
    client_gone: 0,
    answered: 0,
    too_late: 0,
    slow_client: 0,
  };

  // For all services together:
  get requestsReceived(): number {
    return this.#total(PLAIN.received);
  }

  get requestsReplied(): number {
    return PLAIN.duration.total(this.requests.services.total('plain'));
  }

  get requestsRequeued(): number {
    const { lost, returned } = PLAIN.requeued;
    return this.#total(lost) + this.#total(returned);
  }

  get requestsExpired(): number {
    return this.#total(PLAIN.expired);
  }

  get requestsUnknown(): number {
    return this.#total(PLAIN.unknown);
  }

  get requestsAbandoned(): number {
    return this.#total(PLAIN.abandoned);
  }

  get requestsDropped(): number {
    return this.#total(PLAIN.dropped.client_gone);
  }

  get requestsCancelled(): number {
    return this.#total(PLAIN.dropped.cancelled) + this.#total(PLAIN.dropped.left);
  }

  get requestsFailed(): Record<FailureKind, number> {
    return this.#totals(PLAIN.failed);
  }

  get requestsRefused(): Record<RefusalReason, number> {
    return this.#totals(PLAIN.refused);
  }

  #total(column: number): number {
    return this.requests.services.total('plain')[column] ?? 0;
  }

  #totals<Name extends string>(columns: Readonly<Record<Name, number>>): Record<Name, number> {
    const total = this.requests.services.total('plain');
    const entries = Object.entries<number>(columns);
    return Object.fromEntries(
      entries.map(([name, column]) => [name, total[column] ?? 0]),
    ) as Record<Name, number>;
  }
}

function zeroOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Record<Name, number> {
  return Object.fromEntries(Object.keys(table).map((name) => [name, 0])) as Record<Name, number>;
}
