/**
 * What lives inside the broker process without being part of the broker: an internal service
 * answers requests by itself (`mmi.*`, `titanic.*`). The daemon plugs them in.
 */
import type { Frames } from '../core/frames.js';
import type { Holder } from '../core/holdings.js';
import type { Failure } from '../wire/failure.js';
import type { Hello } from '../wire/mmi.js';
import type { Quotas } from './quotas.js';

/** A request that an internal service is handed. Valid until `request` returns, but for `id`. */
export interface InternalRequest {
  /**
   * Under this it is answered, at once or later, exactly once. Once the node has stopped serving, an
   * answer is ignored.
   */
  readonly id: number;
  /** The service name. */
  readonly service: Buffer;
  readonly frames: Frames;
  /** Index of the first body frame. */
  readonly body: number;
  readonly asker: Asker;
}

/** A service or worker in a list, and where it stands there. */
export interface Listed {
  /** The number of the service, and for workers that of the worker; lists are sorted by both. */
  readonly service: number;
  readonly worker: number;
  /** The name of the service. */
  readonly name: Buffer;
  /** As MMI tells it, in JSON; made when it is first read. */
  readonly json: string;
}

/** Who sent a request. The object is that of its connection: it may be kept, and tells what is so now. */
export interface Asker {
  /** To whom belongs what it owns (D70). */
  readonly identity: string;
  /** Those who have it may see the same: it names their listener and key. */
  readonly scope: string;
  /** The name of its CURVE key, under which it owns what it stores; `null`: the common anonymous. */
  readonly owner: string | null;
  /** Where it comes from, for people. */
  readonly address: string;
  /** Its key may read and close what other keys stored. */
  readonly isOperator: boolean;
  /** It came in where only the least of `mmi.*` is told (D74). */
  readonly isMmiMinimal: boolean;
  readonly quotas: Quotas;
  /** What is held for it in memory. */
  readonly holder: Holder;
  /** Whether it may send requests to a service (D72). */
  mayRequest(service: Buffer): boolean;
  /** Whether it may offer a service. */
  mayServe(service: Buffer): boolean;
  /** Its connection has ended: what is sent to it reaches nobody. */
  readonly isGone: boolean;
  /** Bytes that it, and all of its identity, may still be sent before they count as not reading. */
  outputLeft(): number;
  /** The same of its identity alone. */
  identityOutputLeft(): number;
}

/** Serves all names that begin with its prefix. No worker may offer such a name (D4). */
export interface InternalService {
  readonly prefix: Buffer;
  /** True if it answers workers, too. Default: only who may be a client (listener, key). */
  readonly isForAll?: boolean;
  /** True if `mmi.service` is to answer 200 for this name. */
  offers(service: Buffer): boolean;
  /** True if a request for this name changes nothing: it may be refused though it was taken in. */
  onlyAsks?(service: Buffer): boolean;
  request(request: InternalRequest, host: BrokerHost, now: number): void;
}

/**
 * Keeps requests of its own and wants them served by workers. It is told from within the broker's
 * inputs, so it only notes what it hears, and acts in a turn of its own. `reference` is its own
 * number for a request.
 */
export interface InternalClient {
  /** A service has room for more: see `BrokerHost.room`. */
  roomAt(service: Buffer): void;
  /** @param worker the number of the worker, as in the log */
  dispatched(reference: number, worker: number): void;
  /** The whole reply, frames from `from` on, valid until this returns. The broker forgets the request. */
  replied(reference: number, frames: Frames, from: number): void;
  /**
   * A delivery ended without a reply.
   * @param isKnown its number stays valid, and a reply may still come
   * @param failure what its worker said, valid until this returns; `null`: nothing
   */
  failed(reference: number, reason: string, isKnown: boolean, failure: Failure | null): void;
  /** It was prepared, but its service has no workers any more. Its number stays valid. */
  handedBack(reference: number): void;
}

/** What the internal client can ask of the broker, in its own turn. */
export interface EmbeddedServiceApi {
  /** How many more requests of a service are wanted now; 0 without workers, or while not serving. */
  room(service: Buffer): number;
  /** Whether `roomAt` is to be told when workers take what was prepared. */
  setBacklog(service: Buffer, has: boolean): void;
  /**
   * Hands a request over, for one delivery.
   * @param body packed frames, copied
   * @param again the request's number, if it was handed over before and is still known
   * @returns its number; `null` if the service has no workers, or clients are not served here
   */
  submit(service: Buffer, reference: number, body: Buffer, again: number | null): number | null;
  /** Whether requests for a service are kept: then it is listed, also without workers. */
  setStored(service: Buffer, hasStored: boolean): void;
  /** Ends what was handed over: nothing more is told of it. */
  withdraw(id: number): void;
}

/** What an internal service can ask of the broker. */
export interface BrokerHost {
  /** Answers a request with these body frames. A client that is gone is not an error. */
  answer(id: number, body: readonly Buffer[]): void;
  /**
   * Refuses a request instead of answering it: silence, or D11's refusal. It is counted and logged.
   * @param text for people, without what the peer sent
   */
  refuse(id: number, reason: 'rights' | 'quota' | 'limit', text: string): void;
  /**
   * The sender of this request says this of itself, and understands refusals from now on, for the requests over its
   * connection whose envelope begins with this request's envelope (D11).
   * @returns false if too many have said so over this connection
   */
  hear(id: number, hello: Hello): boolean;
  /** True if a worker is registered for the name, or an internal service offers it. */
  isServed(service: Buffer): boolean;
  /** How many there are in the lists. */
  readonly counts: { readonly services: number; readonly workers: number };
  /** All services by number. */
  services(now: number): Listed[];
  /** All workers, by service and number. */
  workers(now: number): Listed[];
}
