/**
 * What happened, for those who watch: one place turns each into a log line and a metric. None is
 * emitted for a request that is served as usual.
 */
import type { FailureKind } from '../wire/failure.js';
import type { MalformedKind } from '../wire/inbound.js';
import type { DroppedReply, LostReason, RequestRefusal, WorkerRefusal } from './counters.js';

/** Names of services are percent-escaped (D3). */
export type BrokerEvent =
  | {
      readonly name: 'worker.registered';
      readonly service: string;
      /** Counted from the start of the process. */
      readonly worker: number;
      /** What it calls itself, percent-escaped, too; null: nothing. */
      readonly workerName: string | null;
      readonly credit: number;
      /** The name of the worker's key. */
      readonly key: string | null;
    }
  | {
      readonly name: 'worker.lost';
      readonly service: string;
      readonly worker: number;
      readonly workerName: string | null;
      readonly reason: LostReason;
      /** Requests that it held. */
      readonly inFlight: number;
      /** The name of its key, and where it came from. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      readonly name: 'worker.refused';
      readonly service: string;
      readonly reason: WorkerRefusal;
      /** The name of its key, and where it came from. */
      readonly key: string | null;
      readonly address: string;
    }
  | { readonly name: 'worker.unexpected'; readonly what: string }
  | { readonly name: 'request.requeued'; readonly service: string; readonly deliveries: number }
  | { readonly name: 'request.expired'; readonly service: string; readonly waitedMs: number }
  | {
      readonly name: 'request.abandoned';
      readonly service: string;
      readonly deliveries: number;
      readonly reason: string;
    }
  | { readonly name: 'request.dropped'; readonly service: string; readonly reason: 'client_gone' }
  | {
      readonly name: 'request.refused';
      readonly service: string;
      readonly reason: RequestRefusal;
      readonly text: string;
      /** Of its client: the name of the key, and where it came from. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      /** A worker tried it, and said what went wrong. */
      readonly name: 'request.failed';
      readonly service: string;
      readonly worker: number;
      readonly workerName: string | null;
      readonly kind: FailureKind;
      readonly code: string;
      /** The worker's own words, without control characters. */
      readonly text: string;
      /** It is kept by Titanic: this was one attempt of it. */
      readonly durable: boolean;
    }
  | { readonly name: 'request.returned'; readonly service: string; readonly reason: string }
  | { readonly name: 'reply.dropped'; readonly reason: DroppedReply }
  | { readonly name: 'message.malformed'; readonly kind: MalformedKind; readonly reason: string }
  | {
      readonly name: 'connection.rejected';
      readonly listener: number;
      readonly kind: string;
      readonly reason: string;
      /** Where it came from. */
      readonly address: string;
      /** The first characters of the key that it has shown; the name of one that was taken out. */
      readonly key: string | null;
    }
  | { readonly name: 'client.closed'; readonly reason: 'slow_client' };

export interface BrokerEvents {
  emit(event: BrokerEvent): void;
}
