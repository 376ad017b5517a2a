/**
 * Interfaces for peers that run inside the broker process; the node plugs them in. As workers: an internal
 * service answers requests for names of its own (`mmi.*`, `titanic.*`), an internal worker takes submitted
 * ones, a remote holder stands for the workers of another broker. As clients: submitters. Each calls the
 * class of the broker that does the work. (Programs over HTTP, and the authoriser, are connections like any
 * other: transports that have no sockets.)
 */
import type { Frames } from '../core/frames.js';
import type { MemoryAccount } from '../core/holdings.js';
import type { Failure } from '../wire/failure.js';
import type { ClientHello, ResumeState } from '../wire/mmi.js';
import type { ServiceStatus } from '../wire/mmi-answers.js';
import type { ServiceLimits } from './options.js';
import type { QuotaName, Quotas } from './quotas.js';

export type { ServiceLimits } from './options.js';

/** A request passed to an internal service. Valid until `request` returns, except for `id`. */
export interface InternalRequest {
  /**
   * The service answers the request by this id, at once or later, exactly once. An answer after the
   * node has stopped serving is ignored.
   */
  readonly id: number;
  /** The service name. */
  readonly service: Buffer;
  readonly frames: Frames;
  /** Index of the headers frame, which may be empty; -1: a request without headers (D67). */
  readonly headers: number;
  /** Index of the first body frame. */
  readonly body: number;
  /** Whether its client tells parts of an answer from the last one, as those of MDP/0.2 do. */
  readonly takesParts: boolean;
  readonly asker: Asker;
}

/** A service or worker in a list, with its position there. */
export interface Listed {
  /** The number of the service and, for a worker, that of the worker; lists are sorted by both. */
  readonly service: number;
  readonly worker: number;
  /** The name of the service. */
  readonly name: Buffer;
  /** The JSON as MMI returns it; made on first read. */
  readonly json: string;
}

/**
 * Who sent a request. The object belongs to the connection: it may be kept, and always shows the
 * current state.
 */
export interface Asker {
  /** The identity that owns what it uses (D70). */
  readonly identity: string;
  /** Askers with the same scope may see the same. It is made from their listener and key. */
  readonly scope: string;
  /** The name of its CURVE key, which owns what it stores; `null`: the shared anonymous owner. */
  readonly owner: string | null;
  /** The source address of its connection, for display. */
  readonly address: string;
  /** Whether its key may read and close requests that other keys stored. */
  readonly isOperator: boolean;
  /** Whether its listener answers only the minimal set of `mmi.*` (D74). */
  readonly isMmiMinimal: boolean;
  /** Whether its listener has sessions (D116). */
  readonly mayResume: boolean;
  readonly quotas: Quotas;
  /** Accounts for what is held for it in memory. */
  readonly memory: MemoryAccount;
  /** Whether it may send requests to a service (D72). */
  mayRequest(service: Buffer): boolean;
  /** Whether it may offer a service. */
  mayServe(service: Buffer): boolean;
  /** Whether its connection has ended; nothing sent to it arrives then. */
  readonly isGone: boolean;
  /**
   * How many bytes it, and its whole identity, may still be sent before they count as not reading.
   */
  outputLeft(): number;
  /** How many bytes its whole identity may still be sent before it counts as not reading. */
  identityOutputLeft(): number;
  /** How many bytes it may be sent if it has read everything: what is larger can never be sent to it. */
  outputMax(): number;
}

/** Serves all names that begin with its prefix. No worker may offer such a name (D4). */
export interface InternalService {
  readonly prefix: Buffer;
  /** True if it also answers workers. Default: only peers that may be clients (listener, key). */
  readonly answersWorkers?: boolean;
  /** True if `mmi.service` is to answer 200 for this name. */
  offers(service: Buffer): boolean;
  /**
   * True if a request for this name changes nothing, so that it may be refused after it was
   * accepted. It may be kept for long: see `QUERY_BYTES`.
   */
  onlyAsks?(service: Buffer): boolean;
  request(request: InternalRequest, host: BrokerHost, now: number): void;
}

/** Who has a request. */
export interface DispatchedWorker {
  /** The worker's number, as in the log. */
  readonly number: number;
  /** The name that it gives itself, in printable form; `null`: none. */
  readonly name: string | null;
  /** The worker's source address, for display. */
  readonly address: string;
}

/**
 * A part of this process that has workers serve requests of its own. The broker calls it while it handles
 * an input, so it only records what it is told and acts in its own turn. `reference` is its own number
 * for a request.
 */
export interface Submitter {
  /** A PARTIAL came: see `DeliveryPort.parts`. */
  progressed(reference: number): void;
  /**
   * The whole reply: frames starting at `from`, valid until this returns. The broker forgets the
   * request.
   * @param parts as `DeliveryPort.parts` returned them until now: also those of progress, which `frames` lacks
   */
  replied(reference: number, frames: Frames, from: number, parts: Buffer | null): void;
  /**
   * A delivery ended without a reply.
   * @param isKnown the request's number stays valid, and a reply may still arrive
   * @param failure what its worker reported, valid until this returns; `null`: nothing
   */
  failed(reference: number, reason: string, isKnown: boolean, failure: Failure | null): void;
  /** The request comes back without an attempt: no worker, or this broker drains. Its number stays valid. */
  handedBack(reference: number): void;
}

/** The submitter that keeps requests until workers can take them: Titanic. */
export interface InternalClient extends Submitter {
  /** A service can take more requests: see `DeliveryPort.room`. */
  roomAt(service: Buffer): void;
  /** Another request of a group may be prepared: see `DeliveryPort.mayPrepare`. @param group `null`: of any group */
  groupRoomAt(service: Buffer, group: Buffer | null): void;
  /** A plain request of a group was dispatched, which is one turn of its group. @param group empty: it is of none */
  tookTurn(service: Buffer, group: Buffer): void;
  dispatched(reference: number, worker: DispatchedWorker): void;
}

/** What holds for the groups of a service. */
export interface GroupRule {
  /** Whether there are limits for each of them. */
  readonly isLimited: boolean;
  /** A request that waits for its next attempt holds those behind it in its group. */
  readonly holds: boolean;
}

/** What is sent of a stored request to a worker. */
export interface StoredBody {
  /** The packed frames of the body. */
  readonly body: Buffer;
  /** The headers as the client sent them; `null`: none. */
  readonly headers: Buffer | null;
  /** Until when its client waits, in monotonic milliseconds; only with headers. Absent: it did not say. */
  readonly deadlineAt?: number;
  /** The name of its group (D118); absent or empty: it is in none. */
  readonly group?: Buffer;
  /** Whether it was at a worker before, so that it is the next of its group. */
  readonly isFirst?: boolean;
}

/** What the workers of a service that are registered here can take. */
export interface LocalCredit {
  /** Requests that could be dispatched at once, after all that wait. */
  readonly free: number;
  /** Requests that all its workers may have at once. */
  readonly total: number;
  /** Plain requests of clients here wait. */
  readonly isQueued: boolean;
}

/**
 * Another broker whose workers serve one service. To this broker it is one more worker with credit,
 * which gets plain requests only while no worker registered here is available.
 */
export interface RemoteHolder {
  /** The load, from 0, idle, to 1. Of two random holders the less loaded one gets a request. */
  readonly load: number;
  /**
   * Whether a request of so many bytes may be sent to it now.
   * @param isOnce it may run only once (D117): only a broker that knows the option says what became of it
   */
  takes(bytes: number, isOnce: boolean): boolean;
  /**
   * A request is out at it. The buffers are valid until this returns.
   * @param leftMs what is left of the deadline, in milliseconds; 0: there is none
   * @param packed packed frames in `[start, end)`
   * @param isHeaded the first of the frames are the headers, which may be empty
   */
  request(
    token: Buffer,
    leftMs: number,
    packed: Buffer,
    start: number,
    end: number,
    isHeaded: boolean,
  ): void;
  /**
   * Nobody wants the answer of a request that is out at it. Its delivery still ends as any other.
   * @param token valid until this returns
   */
  cancel(token: Buffer): void;
}

/** What the broker tells those who know the workers of other brokers. Called within its inputs. */
export interface Interconnect {
  /** What has requests of other brokers served here: see `BridgedRequestsApi`. */
  readonly incoming: Submitter;
  /** A plain request waits for the service, and neither a worker nor a holder is available. */
  wanted(service: Buffer): void;
  /**
   * Whether any other broker has a worker for the service. `unknown`: it asks them, and
   * `RemoteWorkersApi.seekAnswered` is called when it knows.
   */
  seek(service: Buffer): 'served' | 'absent' | 'unknown';
  /** Asks what `seek` does, and waits for it. @param answer called once, perhaps within this call */
  ask(service: Buffer, answer: (isServed: boolean) => void): void;
}

/**
 * `busy`: it had no worker available, which is no delivery. `returned`: its worker gave the request
 * back. `lost`: it or its worker was lost in silence, and a reply may still arrive.
 */
export type RemoteReturn = 'busy' | 'returned' | 'lost';

/** What an interconnect can call, in its own turn. Holders are known by the number from `join`. */
export interface RemoteWorkersApi {
  /** A holder has become known. It can take nothing before `setFree`. */
  join(service: Buffer, holder: RemoteHolder, now: number): number;
  /** The holder can take so many more requests than are out at it. */
  setFree(number: number, free: number): void;
  /** The holder was lost in silence, with the requests that are out at it. */
  leave(number: number, now: number): void;
  /**
   * A PARTIAL, a whole reply or a failure. Also for a request with which the holder was lost.
   * @param frames the token, then the body (for a failure: kind, code, text, detail); valid until
   *   this returns
   * @returns false: the token names no such request
   */
  reply(number: number, kind: 'partial' | 'final' | 'fail', frames: Frames, now: number): boolean;
  /** @returns false: the token names no request that is out at it */
  giveBack(number: number, token: Buffer, how: RemoteReturn, text: string, now: number): boolean;
  /** The answer to `Interconnect.seek` has changed. */
  seekAnswered(service: Buffer, now: number): void;
  /** How many plain requests wait for the service. */
  waiting(service: Buffer): number;
  /** What the workers that are registered here can take. */
  localCredit(service: Buffer): LocalCredit;
}

/** What the owner of stored requests may do now, whether it is connected or not. */
export interface OwnerRights {
  /** Whether it may send requests to the service (D72). */
  readonly mayRequest: boolean;
  readonly quotas: Quotas;
}

/** Titanic's port to the broker: what the internal client can call, in its own turn. */
export interface DeliveryPort {
  /**
   * How many more requests of a service are wanted now; 0 without workers or while not serving. A service with an
   * internal worker is asked of that alone, whether clients are served or not.
   */
  room(service: Buffer): number;
  /**
   * The number of groups of a service of which a request may wait here, besides what `room` says: one whose requests are not
   * here has no turn among the others. 0 while no plain request waits: then it costs nothing to leave them where their
   * priority counts.
   */
  window(service: Buffer): number;
  /** What holds for the groups of a service (D118); `null`: it has no limits. */
  groupRule(service: Buffer): GroupRule | null;
  /** Which limit keeps requests of a group from starting, in words; `null`: none does. */
  whyHeld(service: Buffer, group: Buffer): string | null;
  /**
   * Whether one more request of a group may be prepared, of which so many are; if not, `groupRoomAt` follows once
   * that may have changed.
   */
  mayPrepare(service: Buffer, group: Buffer, prepared: number): boolean;
  /** Some groups of a service of which nothing may start now; `groupRoomAt` follows for each as for `mayPrepare`. */
  fullGroups(service: Buffer, most: number): Buffer[];
  /** The names of all services that have workers here. */
  served(): readonly Buffer[];
  /** The workers of a service, here and at other brokers. */
  workersOf(service: Buffer): ServiceWorkers;
  /** Sets whether requests for a service wait, also if it has workers. */
  setPaused(service: Buffer, isPaused: boolean): void;
  /**
   * Sets what operators limit, by the bytes of the names as Latin-1: it stands before what the configuration says of
   * these services. `null`: it is not known yet, so nothing is sent to workers.
   */
  setLimits(limits: ReadonlyMap<string, ServiceLimits> | null): void;
  /** Sets whether to call `roomAt` when workers take what was prepared. */
  setBacklog(service: Buffer, has: boolean): void;
  /**
   * Submits a request for one delivery.
   * @param content copied
   * @param again the request's number, if it was submitted before and is still known
   * @returns its number; `null` if the service has no workers, or clients are not served here
   */
  submit(
    service: Buffer,
    reference: number,
    content: StoredBody,
    again: number | null,
  ): number | null;
  /** Sets whether requests for a service are stored. If so, it is listed even without workers. */
  setStored(service: Buffer, hasStored: boolean): void;
  /** @param key the name of the owner's key; `null`: the shared anonymous owner */
  ownerRightsOf(key: string | null, service: Buffer): OwnerRights;
  /**
   * The PARTIALs of the present delivery, packed: each ends with a frame that no other follows.
   * `null`: none. The bytes do not change, and may be kept.
   */
  parts(id: number): Buffer | null;
  /** Ends a submitted request; the broker reports nothing more about it. */
  withdraw(id: number): void;
}

/**
 * A worker in this process, which has the requests of Titanic for one service. It reports to Titanic itself
 * (`dispatched`, `replied`, `failed`, `deferred`, `called`), never within a call; a deferred request keeps its
 * number after `called`.
 */
export interface InternalWorker {
  /** How many more it takes now. */
  room(): number;
  /** @param reference for its reports, until `withdraw` */
  take(reference: number): void;
  /** Nothing is to be reported of it any more. */
  withdraw(reference: number): void;
}

/** PARTIALs that wait, without those of progress. */
export interface HeldParts {
  readonly count: number;
  readonly bytes: number;
}

/** What an interconnect can call about requests of other brokers, in its own turn. */
export interface BridgedRequestsApi extends Pick<DeliveryPort, 'withdraw'> {
  /** Submits a request of another broker: see `DeliveryPort.submit`. */
  bridge(service: Buffer, reference: number, content: StoredBody): number | null;
  /**
   * Sets how many submitted requests follow each plain one while both wait. While none of another
   * broker waits, it is one.
   */
  setTurns(service: Buffer, turns: number): void;
  /** Returns what `parts` does, and forgets it: the reply will not contain these PARTIALs. */
  takeParts(id: number): Buffer | null;
  /** How much of that belongs to the reply. */
  heldParts(id: number): HeldParts;
}

export interface ServiceWorkers {
  readonly isServed: boolean;
  /** When the service lost its last worker: monotonic milliseconds; `null`: it has one, or never had one. */
  readonly unservedSince: number | null;
}

/** Why an internal service refuses a request. */
export type RefusedFor = 'rights' | 'limit' | { readonly quota: QuotaName };

/** Why an internal service has to refuse a request: the arguments of `refuse`. */
export interface Obstacle {
  readonly why: RefusedFor;
  readonly text: string;
}

/** What a client that sent a hello is told. */
export interface Greeted {
  /** How long it may take to come back to its session; 0: it has none. `null`: it did not ask for one. */
  readonly resumeMs: number | null;
  /** Whether its session was there before. */
  readonly isKnown: boolean;
  /** Why it has no session; `null`: it has one, or did not ask. */
  readonly reason: string | null;
}

/** What an internal service can call. */
export interface BrokerHost {
  /** Answers a request with these body frames. It is no error if the client is gone. */
  answer(id: number, body: readonly Buffer[]): void;
  /**
   * Sends a part of the answer to a client that takes parts. What the request was to change is done: from now on it only
   * asks, see `InternalService.onlyAsks`.
   */
  part(id: number, body: readonly Buffer[]): void;
  /**
   * Refuses a request instead of answering it: with silence, or with D11's refusal. The refusal is
   * counted and logged.
   * @param text for people, without anything the peer sent
   */
  refuse(id: number, why: RefusedFor, text: string): void;
  /**
   * Records what the sender of this request says about itself. From now on it understands refusals
   * for requests on its connection whose envelope begins with this request's envelope (D11).
   * @returns why there is no place for it; otherwise it is recorded
   */
  recordHello(id: number, hello: ClientHello): Obstacle | Greeted;
  /**
   * The sender of this request, which has a session, asks what became of others of its requests (D116).
   * @param ids as in `cancel`
   * @param answer called once, perhaps within this call
   * @returns whether it is called
   */
  resume(
    id: number,
    ids: readonly Buffer[],
    answer: (states: readonly ResumeState[]) => void,
  ): 'asked' | 'no_session' | 'no_memory';
  /**
   * The sender of this request does not want the answers of others of its requests any more: those whose
   * envelope is that of this request, and then one of `ids`.
   * @returns false if more are being looked for than it has requests, or if the envelope is too long
   */
  cancel(id: number, ids: readonly Buffer[], now: number): boolean;
}

/** What is registered at the broker, for an internal service that answers questions about it. */
export interface Registry {
  /** True if a worker is registered for the name, or an internal service offers it. */
  isServed(service: Buffer): boolean;
  /** True if an operator paused the service: its requests wait. */
  isPaused(service: Buffer): boolean;
  /** Which limit keeps its requests from starting, or those of one of its groups, in words; `null`: none does. */
  whyHeld(service: Buffer, now: number): string | null;
  /** The service as `mmi.services` lists it; `null`: it is not known. */
  status(service: Buffer): ServiceStatus | null;
  /** The JSON of `mmi.contract`; `null`: no worker of the service announced a contract. */
  contracts(service: Buffer): Buffer | null;
  /** How many services `allServices` lists. */
  readonly serviceCount: number;
  /** How many workers `allWorkers` lists. */
  readonly workerCount: number;
  /** Lists all services by number. */
  allServices(now: number): Listed[];
  /** Lists all workers, by service and number. */
  allWorkers(now: number): Listed[];
}

/**
 * Called when a service has got its first worker, or lost its last one, within an input or `run`.
 * @param service its name, which is not to be changed
 */
export type ServiceWatcher = (service: Buffer, isServed: boolean) => void;
