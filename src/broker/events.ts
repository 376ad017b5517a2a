/**
 * Events for monitoring. One place turns each into a log line and a metric. A request that is
 * served as usual emits none.
 */
import type { ExpiryReason } from '../core/failure-words.js';
import type { FailureKind } from '../wire/failure.js';
import type { MalformedKind } from '../wire/inbound.js';
import type { DroppedReply, LostReason, WorkerRefusalReason } from './counters.js';
import type { DropReason, RefusalReason } from './request-counters.js';

/** Service names are percent-escaped (D3). */
export type BrokerEvent =
  | {
      readonly name: 'worker.registered';
      readonly service: string;
      /** The number of the worker, counted from the start of the process. */
      readonly worker: number;
      /** The name that the worker gives itself, also percent-escaped; null: none. */
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
      /** Requests that the worker held. */
      readonly inFlight: number;
      /** The name of its key, and its source address. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      readonly name: 'worker.refused';
      readonly service: string;
      readonly reason: WorkerRefusalReason;
      /** The name of its key, and its source address. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      readonly name: 'worker.unexpected';
      readonly what: string;
      readonly key: string | null;
      readonly address: string;
    }
  | { readonly name: 'request.requeued'; readonly service: string; readonly deliveries: number }
  | {
      readonly name: 'request.expired';
      readonly service: string;
      readonly waitedMs: number;
      readonly reason: ExpiryReason;
    }
  | {
      readonly name: 'request.abandoned';
      readonly service: string;
      readonly deliveries: number;
      readonly reason: string;
    }
  | { readonly name: 'request.dropped'; readonly service: string; readonly reason: DropReason }
  | {
      readonly name: 'request.refused';
      readonly service: string;
      readonly reason: RefusalReason;
      readonly text: string;
      /** The name of the client's key; `null`: it has none. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      /** A worker tried the request and reported what went wrong, or its answer was too large. */
      readonly name: 'request.failed';
      readonly service: string;
      readonly worker: number;
      readonly workerName: string | null;
      readonly kind: FailureKind;
      readonly code: string;
      /** The worker's own text, without control characters. */
      readonly text: string;
      /** Titanic stores the request: this was one attempt. */
      readonly durable: boolean;
      /** The name of the worker's key; `null`: it has none. */
      readonly key: string | null;
      readonly address: string;
    }
  | { readonly name: 'request.returned'; readonly service: string; readonly reason: string }
  | { readonly name: 'reply.dropped'; readonly reason: DroppedReply }
  | {
      /** What is wrong with it: see `Fault`. */
      readonly name: 'message.malformed';
      readonly kind: MalformedKind;
      readonly reason: string;
      readonly command: string | null;
      readonly frame: number | null;
      /** The name of its sender's key; `null`: it has none. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      readonly name: 'connection.rejected';
      readonly listener: number;
      readonly kind: string;
      readonly reason: string;
      /** The source address. */
      readonly address: string;
      /**
       * The first characters of the key that the peer presented, or the name of a key that was
       * removed.
       */
      readonly key: string | null;
    }
  | { readonly name: 'client.closed'; readonly reason: 'slow_client' };

export interface BrokerEvents {
  emit(event: BrokerEvent): void;
}
