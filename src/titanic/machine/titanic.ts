/**
 * The Titanic machine (9/TSP; D12, D16): requests that outlive their client, their workers and this
 * process. `titanic.*` are internal services of the broker, and stored requests are dispatched
 * through it as those of its internal client. No I/O: it works on a store, which commits in
 * batches.
 *
 * It uses two clocks: `now` is monotonic milliseconds (patience), `wall` is milliseconds since 1970
 * (everything that is stored).
 */
import type { CountedServices } from '../../core/counted-services.js';
import type { Frames } from '../../core/frames.js';
import type { RandomFill } from '../../core/random.js';
import type {
  BrokerHost,
  DispatchedWorker,
  DeliveryPort,
  InternalClient,
  InternalRequest,
  InternalService,
} from '../../broker/ports.js';
import type { Failure } from '../../wire/failure.js';
import { TITANIC_PREFIX, TITANIC_SERVICES } from '../../wire/tsp.js';
import {
  type Completion,
  FIRST_CLAIM,
  type Hint,
  type Owner,
  type RequestUuid,
  type StoreCounts,
  type StoredRequest,
  type StoreFailure,
} from '../../store/store.js';
import { Activation } from './activation.js';
import { TitanicContext, type TitanicClaims, type TitanicReads } from './requests/context.js';
import type { TitanicEvents, TitanicTrace } from './requests/events.js';
import { Figures } from './figures.js';
import type { Slot } from './requests/open-index.js';
import type { OpenRequests } from './requests/open-requests.js';
import type { OperatorHost } from './operator-host.js';
import type { TitanicOptions } from './requests/options.js';
import type { Replica } from './requests/replica.js';
import { ONLY_ASK } from './services.js';
import { Uuids } from './requests/uuid.js';
import type { WebhookRule } from './requests/webhooks.js';

/**
 * The machine of stored requests. Its members are of three kinds, in this order:
 *
 * - *Inputs* record what they are told, and begin what it needs; effects on the broker follow in `run`.
 *   First those of the node (`setTime` comes before all others of a turn), then requests for
 *   `titanic.*`, then reports of the broker, of the store, of the pair, of a shared store.
 * - *The turn*: `run` does what is due, and `dueInMs` says when it is next due.
 * - *Questions* change nothing.
 */
export class Titanic implements InternalService, InternalClient {
  readonly prefix: Buffer = TITANIC_PREFIX;
  readonly figures: Figures;
  readonly #context: TitanicContext;
  readonly #uuids: Uuids;
  readonly #random: RandomFill;
  #activation: Activation;
  /** The broker's numbers of requests from the previous activation, to be withdrawn. */
  #toWithdraw = new Map<Slot, number>();
  /** The broker, once it has taken a turn. */
  #broker: DeliveryPort | null = null;
  /** Whether there is no session with the store that others use, too, or this node hands over: nothing is sent to a worker. */
  #isSuspended = false;

  /**
   * @param counted the rows of services, shared with the broker
   * @param claims of a store that other brokers use, too; `null`: this one is alone
   */
  constructor(
    options: TitanicOptions,
    store: TitanicReads,
    replica: Replica,
    events: TitanicEvents,
    random: RandomFill,
    counted: CountedServices,
    claims: TitanicClaims | null = null,
  ) {
    this.#context = new TitanicContext(options, store, replica, events, counted, claims);
    this.#random = random;
    this.#uuids = new Uuids(random);
    this.#activation = new Activation(this.#context, this.#uuids, random);
    this.figures = new Figures(this.#context, this.#activation.dispatcher);
  }

  // ---------------------------------------------------------------- inputs: of the node

  /**
   * Sets the time of what follows, in milliseconds. Called at the start of each turn, before its
   * inputs, and before outcomes of the store.
   * @param now monotonic
   * @param wall since 1970, whole
   */
  setTime(now: number, wall: number): void {
    this.#context.setTime(now, wall);
    this.#suspendOrResume();
  }

  /**
   * Without a session, also what is with the broker already must not go to a worker: another broker
   * may be about to claim it. It is taken back before the broker takes a turn (D19). A hand-over would wait for its
   * end.
   */
  #suspendOrResume(): void {
    const { claims, isActive, replica } = this.#context;
    if (!isActive) return;
    const { refusal, isHandingOver = false } = replica;
    const isSuspended = claims === null ? isHandingOver : refusal !== null;
    if (isSuspended === this.#isSuspended) return;
    this.#isSuspended = isSuspended;
    if (isSuspended && this.#broker !== null) this.#activation.dispatcher.recall(this.#broker);
  }

  /**
   * Starts to serve from what is in its store. Pending requests are loaded in parts, while new
   * requests, look-ups and closes are served at once. `counted` was called before.
   * @param restored told once, when all pending requests are loaded, or cannot be
   */
  activate(restored: Completion<void> | null = null): void {
    this.#context.isActive = true;
    const { counts } = this.#context;
    this.#context.nextNumber = counts.nextNumber;
    // Which services they are of is not known before they are read.
    if (counts.limits > 0) this.#holdForLimits();
    this.#activation.restore(restored);
  }

  /** At the start of the process there is no broker yet, and all is read before the first peer can connect. */
  #holdForLimits(): void {
    if (this.#broker === null) return;
    this.#context.hasToldLimits = true;
    this.#broker.setLimits(null);
  }

  /**
   * Stops serving: everything that is only in memory is forgotten, nobody is answered any more, and
   * requests with the broker are withdrawn in the next turn. Changes already on their way to the
   * store are still written.
   */
  deactivate(): void {
    this.#context.isActive = false;
    const { withBroker } = this.#activation.dispatcher;
    this.#toWithdraw = new Map([...this.#toWithdraw, ...withBroker]);
    this.#activation.end();
    this.#activation = new Activation(this.#context, this.#uuids, this.#random);
    this.figures.dispatcher = this.#activation.dispatcher;
  }

  /** Accepts webhooks by this rule from now on. */
  acceptWebhooks(rule: WebhookRule): void {
    this.#context.webhookRule = rule;
  }

  /** Reports every step of every stored request from now on; `null` stops it. */
  follow(trace: TitanicTrace | null): void {
    this.#context.trace = trace;
  }

  // ---------------------------------------------------------------- inputs: titanic.*

  offers(service: Buffer): boolean {
    return TITANIC_SERVICES.includes(service.toString('latin1'));
  }

  onlyAsks(service: Buffer): boolean {
    return ONLY_ASK.includes(service.toString('latin1'));
  }

  request(request: InternalRequest): void {
    this.#activation.services.request(request);
  }

  // ---------------------------------------------------------------- inputs: reports of the broker

  /** The broker's report may concern an activation that has ended. */
  get #isStale(): boolean {
    return !this.#context.isActive || this.#toWithdraw.size > 0;
  }

  groupRoomAt(service: Buffer, group: Buffer | null): void {
    this.#activation.dispatcher.groupRoomAt(service, group);
    this.#activation.claiming?.roomAt(service);
  }

  tookTurn(service: Buffer, group: Buffer): void {
    this.#activation.dispatcher.tookTurn(service, group);
  }

  roomAt(service: Buffer): void {
    this.#activation.dispatcher.roomAt(service);
    this.#activation.claiming?.roomAt(service);
  }

  dispatched(slot: Slot, worker: DispatchedWorker): void {
    if (!this.#isStale) this.#activation.execution.dispatched(slot, worker);
  }

  progressed(slot: Slot): void {
    if (!this.#isStale) this.#activation.progress.progressed(slot);
  }

  replied(slot: Slot, frames: Frames, from: number, parts: Buffer | null): void {
    // The broker has already forgotten it: its number may be reused by the next turn.
    if (this.#isStale) this.#toWithdraw.delete(slot);
    else this.#activation.execution.replied(slot, frames, from, parts);
  }

  /** @param leastPauseMs before the next attempt, which may be later */
  failed(
    slot: Slot,
    reason: string,
    isKnown: boolean,
    failure: Failure | null,
    leastPauseMs = 0,
  ): void {
    const { execution } = this.#activation;
    if (!this.#isStale) execution.failed(slot, reason, isKnown, failure, leastPauseMs);
    else if (!isKnown) this.#toWithdraw.delete(slot);
  }

  handedBack(slot: Slot): void {
    if (!this.#isStale) this.#activation.execution.handedBack(slot);
  }

  // ---------------------------------------------------------------- inputs: reports of the worker of webhooks

  /** The worker has no place for a webhook that it took, and keeps its number: `called` follows when it has one. */
  deferred(slot: Slot): void {
    if (!this.#isStale) this.#activation.execution.deferred(slot);
  }

  called(slot: Slot): void {
    if (!this.#isStale) this.#activation.execution.called(slot);
  }

  // ---------------------------------------------------------------- inputs: reports of the store

  /** Called once, after `setTime`. @param newestAt see `Recovered` */
  opened(newestAt: number): void {
    this.#context.opened(newestAt);
  }

  /** What the store holds has changed, whoever changed it. */
  counted(counts: StoreCounts): void {
    this.#context.counted(counts);
    // After a failure the store skips a number, which the next request may not get, so that both stores
    // of a pair give it the same one.
    this.#context.nextNumber = Math.max(this.#context.nextNumber, counts.nextNumber);
  }

  /** The store could not be reached, or was not this broker's to write to, and now is again. */
  regained(): void {
    this.#requests.regained();
  }

  // ---------------------------------------------------------------- inputs: reports of the pair

  /** See `Replica.probe`. */
  probed(number: number): void {
    this.#requests.answers.probed(number);
  }

  unprobed(): void {
    this.#requests.answers.unprobed(this.#context.now);
  }

  /**
   * Records from the peer's store were merged into this one.
   * @param opened pending now, and not before, or with other facts
   * @param ended pending before, and not now
   */
  merged(opened: readonly StoredRequest[], ended: readonly RequestUuid[]): void {
    this.#requests.merged(opened, ended);
  }

  // ---------------------------------------------------------------- inputs: reports of a shared store

  /** Batches failed with an unknown outcome, and this broker has claimed these requests of them. */
  foundClaimed(requests: readonly StoredRequest[]): void {
    const claimed = { claim: FIRST_CLAIM, content: null, isTurn: false };
    for (const request of requests) {
      this.#requests.restore(request, { ...claimed, request });
    }
  }

  /** See `Activation.taken`. */
  taken(): void {
    this.#activation.taken();
  }

  /** Another broker has stored something: it is looked for at once, not only with the next poll. */
  hinted({ services, ended }: Hint): void {
    const { requests, claiming } = this.#activation;
    for (const service of services) claiming?.stored(service);
    requests.answers.hinted(ended);
  }

  // ---------------------------------------------------------------- the turn

  /**
   * Does everything that is due. `host` and `broker` are the broker, which is not handling an
   * input now.
   */
  run(now: number, wall: number, host: BrokerHost, broker: DeliveryPort): void {
    this.#broker = broker;
    this.setTime(now, wall);
    for (const { service, hasStored } of this.#context.services.takeChanges()) {
      broker.setStored(service, hasStored);
    }
    for (const id of this.#toWithdraw.values()) broker.withdraw(id);
    this.#toWithdraw.clear();
    if (this.#context.isActive) this.#activation.run(host, broker, !this.#isSuspended);
  }

  /** Milliseconds until `run` is due if no input arrives; Infinity for never. */
  dueInMs(now: number, wall: number): number {
    if (this.#context.isActive) return this.#activation.dueInMs(now, wall);
    return this.#toWithdraw.size > 0 ? 0 : Infinity;
  }

  // ---------------------------------------------------------------- questions

  /** False while some of the pending requests are not loaded yet. */
  get isRestored(): boolean {
    return this.#activation.isRestored;
  }

  /** Everything that was decided is committed, and everybody who can be answered now is. */
  get isSettled(): boolean {
    return this.#activation.isSettled;
  }

  /** Why nothing can be stored at present, or `null`. */
  get trouble(): StoreFailure | null {
    return this.#requests.trouble;
  }

  /** The uuid of a request that is with its worker; `null`: it is withdrawn, which the worker will be told. */
  uuidOf(slot: Slot): RequestUuid | null {
    const { dispatcher } = this.#activation;
    const isThere = !this.#isStale && dispatcher.isWithBroker(slot);
    return isThere ? dispatcher.index.uuid(slot) : null;
  }

  /** Who stored a request that is with its worker; `null`: it is withdrawn, which the worker will be told. */
  ownerOf(slot: Slot): Owner | null {
    const { dispatcher } = this.#activation;
    const isThere = !this.#isStale && dispatcher.isWithBroker(slot);
    return isThere ? dispatcher.ownershipOf(slot).owner : null;
  }

  /** For an `Operator`. */
  operatorHost(): OperatorHost {
    const present = (): Activation => this.#activation;
    return {
      context: this.#context,
      get requests() {
        return present().requests;
      },
      schedules: () => present().schedules.all(),
      schedule: (uuid) => present().schedules.find(uuid),
      fire: (uuid, decided) => {
        const broker = this.#broker;
        if (broker === null) decided('passed', null);
        else present().schedules.fire(uuid, broker, decided);
      },
      isPaused: (target) => present().schedules.isPaused(target),
      workersOf: (service) =>
        this.#broker?.workersOf(service) ?? { isServed: false, unservedSince: null },
      groupRule: (service) => this.#broker?.groupRule(service) ?? null,
      whyHeld: (service, group) => this.#broker?.whyHeld(service, group) ?? null,
      setPaused: (target, isOn, decided) => present().schedules.setPaused(target, isOn, decided),
      setLimits: (...given) => present().schedules.setLimits(...given),
    };
  }

  get #requests(): OpenRequests {
    return this.#activation.requests;
  }
}
