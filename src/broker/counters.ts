import type { MalformedKind } from '../wire/inbound.js';

export type LostReason = 'expired' | 'disconnected' | 'connection' | 'protocol' | 'drained';
export type WorkerRefusal = 'reserved' | 'limit' | 'rights' | 'draining';
export type RequestRefusal = 'limit' | 'rights' | 'not_active' | 'draining';
export type DroppedReply = 'client_gone' | 'answered' | 'too_late' | 'slow_client';

/** Counted since the start. Plain numbers: read when someone asks. */
export class BrokerCounters {
  requestsReceived = 0;
  requestsReplied = 0;
  requestsRequeued = 0;
  requestsExpired = 0;
  requestsAbandoned = 0;
  /** Waiting requests whose client went away (D26). */
  requestsDropped = 0;
  readonly requestsRefused: Record<RequestRefusal, number> = {
    limit: 0,
    rights: 0,
    not_active: 0,
    draining: 0,
  };
  readonly workersLost: Record<LostReason, number> = {
    expired: 0,
    disconnected: 0,
    connection: 0,
    protocol: 0,
    drained: 0,
  };
  readonly workersRefused: Record<WorkerRefusal, number> = {
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
  /** Well-formed commands of workers that do not fit their state (docs/protocol.md). */
  unexpected = 0;
  /** Connections that were ended for not being, or not speaking, ZMTP as they should. */
  connectionsRejected = 0;
  readonly repliesDropped: Record<DroppedReply, number> = {
    client_gone: 0,
    answered: 0,
    too_late: 0,
    slow_client: 0,
  };
}
