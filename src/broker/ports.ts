/**
 * What lives inside the broker process without being part of the broker: an internal service
 * answers requests by itself (`mmi.*`, `titanic.*`). The daemon plugs them in.
 */
import type { Frames } from '../core/frames.js';
import type { ServiceStatus, WorkerStatus } from '../wire/mmi.js';

/** A request that an internal service is handed. Valid until `request` returns, but for `id`. */
export interface InternalRequest {
  /** Under this it is answered, at once or later, exactly once. */
  readonly id: number;
  /** The service name. */
  readonly service: Buffer;
  readonly frames: Frames;
  /** Index of the first body frame. */
  readonly body: number;
}

/** Serves all names that begin with its prefix. No worker may offer such a name (D4). */
export interface InternalService {
  readonly prefix: Buffer;
  /** True if `mmi.service` is to answer 200 for this name. */
  offers(service: Buffer): boolean;
  request(request: InternalRequest, host: BrokerHost, now: number): void;
}

/** What an internal service can ask of the broker. */
export interface BrokerHost {
  /** Answers a request with these body frames. A client that is gone is not an error. */
  answer(id: number, body: readonly Buffer[]): void;
  /**
   * The sender of this request understands refusals from now on, for the requests over its
   * connection whose envelope begins with this request's envelope (D11).
   * @returns false if too many have said so over this connection
   */
  tellsRefusals(id: number): boolean;
  /** True if a worker is registered for the name, or an internal service offers it. */
  isServed(service: Buffer): boolean;
  services(): ServiceStatus[];
  /** @param service all services if `null` */
  workers(service: Buffer | null, now: number): WorkerStatus[];
}
