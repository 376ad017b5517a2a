/**
 * The Titanic machine (9/TSP; D12, D16): requests that outlive their client, their workers and this
 * process. `titanic.*` are internal services of the broker, and stored requests are dispatched
 * through it as those of its internal client. No I/O: it works on a store, which commits in
 * batches.
 *
 * It uses two clocks: `now` is monotonic milliseconds (patience), `wall` is milliseconds since 1970
 * (everything that is stored). The broker and the store report to it at any time; it acts on their
 * reports in `run`.
 */
import type { Frames } from '../../core/frames.js';
import type { CountedServices } from '../../core/counted-services.js';
import type { RandomFill } from '../../core/random.js';
import type {
  EmbeddedServiceApi,
  BrokerHost,
  InternalClient,
  InternalRequest,
  InternalService,
} from '../../broker/ports.js';
import type { Failure } from '../../wire/failure.js';
import type { DurableCounts } from '../../wire/mmi.js';
import { TITANIC_PREFIX, TITANIC_SERVICES } from '../../wire/tsp.js';
import { Accepting } from './accepting.js';
import { type ClaimedSchedules, Claiming } from './claiming.js';
import type { Commits } from './commits.js';
import { TitanicContext, type TitanicClaims, type TitanicReads } from './context.js';
import type { TitanicCounters } from './counters.js';
import { Dispatcher, type OpenFigures } from './dispatcher.js';
import type { TitanicEvents, TitanicTrace } from './events.js';
import { Execution } from './execution.js';
import { NO_SLOT, type Slot } from './open-index.js';
import { OpenRequests } from './open-requests.js';
import type { OperatorHost } from './operator-host.js';
import type { TitanicOptions } from './options.js';
import { measureStored } from './gauges.js';
import type { Replica } from './replica.js';
import { Progress } from './progress.js';
import { Schedules } from './schedules.js';
import { Scope } from './scope.js';
import { ONLY_ASK, TitanicServices } from './services.js';
import {
  type Completion,
  FIRST_CLAIM,
  type Hint,
  type RequestUuid,
  type StoreCounts,
  type StoredRequest,
  type StoreFailure,
} from '../../store/store.js';
import type { StoredServices } from './stored-services.js';
import { Upkeep } from './upkeep.js';
import { Uuids } from './uuid.js';

/** Delay after a read that failed. */
const READ_RETRY_MS = 1000;
/** How often a shared store is asked for what clients wait for. */
const LOOK_AGAIN_MS = 250;

/** The state of one activation, which is only in memory. */
interface Activation {
  readonly scope: Scope;
  readonly requests: OpenRequests;
  readonly services: TitanicServices;
  readonly progress: Progress;
  readonly execution: Execution;
  readonly upkeep: Upkeep;
  readonly schedules: Schedules;
  /** `null`: no other broker uses the store. */
  readonly claiming: Claiming | null;
}

export class Titanic implements InternalService, InternalClient {
  readonly prefix: Buffer = TITANIC_PREFIX;
  readonly #context: TitanicContext;
  readonly #uuids: Uuids;
  readonly #random: RandomFill;
  #activation: Activation;
  /** The broker's numbers of requests from the previous activation, to be withdrawn. */
  #toWithdraw = new Map<Slot, number>();
  /** Pending requests are being listed: after which number, and since when. */
  #listing = { isOn: false, after: 0, since: 0 };
  #restored: Completion<void> | null = null;
  /** When a list that failed is requested again. */
  #listAgainAt = Infinity;
  /** When a shared store is asked again for what clients wait for. */
  #lookAgainAt = -Infinity;
  #wasListed = false;
  /** The broker, once it has taken a turn. */
  #embedded: EmbeddedServiceApi | null = null;
  /** It has no session with the store that others use, too: nothing is sent to a worker. */
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
    this.#activation = this.#newActivation();
  }

  #newActivation(): Activation {
    const { claims } = this.#context;
    const scope = new Scope();
    const requests: OpenRequests = new OpenRequests(
      this.#context,
      scope,
      new Dispatcher(this.#context, scope),
      (number) => services.accepting(number),
      {
        restore: (request, claimed) => {
          schedules.restore(request, claimed);
        },
        gone: (uuid) => {
          schedules.gone(uuid);
        },
      },
    );
    const claimedSchedules: ClaimedSchedules = {
      uuids: () => schedules.claimedUuids,
    };
    const claiming: Claiming | null =
      claims === null
        ? null
        : new Claiming(this.#context, claims, requests, claimedSchedules, scope, this.#random);
    const accepting = new Accepting(this.#context, requests, claiming);
    const shared = [this.#context, requests, this.#uuids, accepting] as const;
    const schedules: Schedules = new Schedules(...shared, scope);
    const progress = new Progress(this.#context, requests);
    const services = new TitanicServices(...shared, schedules, progress);
    return {
      scope,
      requests,
      services,
      schedules,
      claiming,
      progress,
      execution: new Execution(this.#context, requests, this.#random, progress),
      upkeep: new Upkeep(this.#context, requests),
    };
  }

  get #requests(): OpenRequests {
    return this.#activation.requests;
  }

  get #dispatcher(): Dispatcher {
    return this.#activation.requests.dispatcher;
  }

  // ---------------------------------------------------------------- start and end

  /**
   * Sets the time of what follows, in milliseconds. Called at the start of each turn, before its
   * inputs, and before outcomes of the store.
   * @param now monotonic
   * @param wall since 1970, whole
   */
  setTime(now: number, wall: number): void {
    this.#context.now = now;
    this.#context.wall = wall;
    this.#suspend();
  }

  /**
   * Without a session, also what is with the broker already must not go to a worker: another broker
   * may be about to claim it. It is taken back before the broker takes a turn (D19).
   */
  #suspend(): void {
    const { claims, isActive, replica } = this.#context;
    if (claims === null || !isActive) return;
    const isSuspended = replica.refusal !== null;
    if (isSuspended === this.#isSuspended) return;
    this.#isSuspended = isSuspended;
    if (isSuspended && this.#embedded !== null) this.#dispatcher.recall(this.#embedded);
  }

  /**
   * Starts to serve from what is in its store. Pending requests are loaded in parts, while new
   * requests, look-ups and closes are served at once. `counted` was called before.
   * @param restored told once, when all pending requests are loaded, or cannot be
   */
  activate(restored: Completion<void> | null = null): void {
    this.#restored = restored;
    this.#context.isActive = true;
    this.#wasListed = false;
    this.#context.nextNumber = this.#context.counts.nextNumber;
    this.#listing.since = this.#context.now;
    this.#listAfter(0);
  }

  /**
   * Stops serving: everything that is only in memory is forgotten, nobody is answered any more, and
   * requests with the broker are withdrawn in the next turn. Changes already on their way to the
   * store are still written.
   */
  deactivate(): void {
    this.#context.isActive = false;
    this.#toWithdraw = new Map([...this.#toWithdraw, ...this.#dispatcher.withBroker]);
    this.#activation.scope.leave();
    this.#requests.abandon();
    this.#activation = this.#newActivation();
    this.#listing.isOn = false;
    this.#listAgainAt = Infinity;
  }

  /** False while some of the pending requests are not loaded yet. */
  get isRestored(): boolean {
    return !this.#listing.isOn;
  }

  #listAfter(after: number): void {
    this.#listing.isOn = true;
    this.#listing.after = after;
    const { claims, store } = this.#context;
    const completion = this.#activation.scope.completion<readonly StoredRequest[], StoreFailure>(
      (requests) => {
        this.#listed(requests);
      },
      (failure) => {
        this.#listAgainAt = this.#context.now + READ_RETRY_MS;
        this.#restored?.failed(failure);
        this.#restored = null;
      },
    );
    if (claims === null) store.list(after, completion);
    else claims.listSchedules(after, completion);
  }

  #listed(requests: readonly StoredRequest[]): void {
    const last = requests.at(-1);
    if (last === undefined) {
      this.#listing.isOn = false;
      if (!this.#wasListed) this.#recovered();
      this.#wasListed = true;
      this.#activation.schedules.allListed();
      this.#restored?.done();
      this.#restored = null;
      return;
    }
    // The store reads the next ones meanwhile.
    this.#listAfter(last.number);
    const { index } = this.#dispatcher;
    for (const request of requests) {
      if (index.find(request.uuid) === NO_SLOT) this.#requests.restore(request);
    }
  }

  #recovered(): void {
    const { events, now, counts } = this.#context;
    const { pending, replied, dead } = counts;
    const tookMs = Math.round(now - this.#listing.since);
    events.emit({ name: 'titanic.recovered', pending, replied, dead, tookMs });
  }

  // ---------------------------------------------------------------- figures

  get counters(): TitanicCounters {
    return this.#context.counters;
  }

  get commits(): Commits {
    return this.#context.commits;
  }

  get counts(): StoreCounts {
    return this.#context.counts;
  }

  /** Schedules in the store. */
  get scheduled(): number {
    return this.#context.scheduled;
  }

  /** What the store holds for each service, as far as it is kept by name. */
  get services(): StoredServices {
    return this.#context.services;
  }

  /** Brings the gauges of the rows up to date. @param wall milliseconds since 1970 */
  measure(wall: number): void {
    measureStored(this, wall);
  }

  /** What is stored for one service; `null`: nothing. @param wall milliseconds since 1970 */
  durableOf(service: Buffer, wall: number): DurableCounts | null {
    const counts = this.services.of(service);
    if (counts === null) return null;
    const { retrying, replied, dead } = counts;
    const { out: dispatched, delayed, since } = this.openOf(service);
    const { isActive } = this.#context;
    return {
      pending: Math.max(0, counts.pending - dispatched),
      dispatched,
      delayed: isActive ? delayed : null,
      retrying,
      replied,
      dead,
      oldestMs: since === null ? null : Math.max(0, wall - since),
    };
  }

  /** Open requests of one service: none while it is inactive. */
  openOf(service: Buffer): OpenFigures {
    const open = this.#dispatcher.figuresOf(service);
    const unclaimed = this.counters.store.unclaimedSince.get(service.toString('latin1'));
    if (unclaimed === undefined) return open;
    return { ...open, since: Math.min(open.since ?? Infinity, unclaimed) };
  }

  /** Stored requests with the broker. */
  get inFlight(): number {
    return this.#dispatcher.inFlight;
  }

  /** Stored requests at workers. */
  get delivered(): number {
    return this.#dispatcher.delivered;
  }

  /** Why nothing can be stored at present, or `null`. */
  get trouble(): StoreFailure | null {
    return this.#requests.trouble;
  }

  /** Everything that was decided is committed, and everybody who can be answered now is. */
  get isSettled(): boolean {
    const { requests, progress } = this.#activation;
    return requests.writer.isIdle && !requests.answers.areDue && !progress.isDue;
  }

  /** Reports every step of every stored request from now on; `null` stops it. */
  follow(trace: TitanicTrace | null): void {
    this.#context.trace = trace;
  }

  // ---------------------------------------------------------------- titanic.*

  offers(service: Buffer): boolean {
    return TITANIC_SERVICES.includes(service.toString('latin1'));
  }

  onlyAsks(service: Buffer): boolean {
    return ONLY_ASK.includes(service.toString('latin1'));
  }

  request(request: InternalRequest): void {
    this.#activation.services.request(request);
  }

  /** For an `Operator`. */
  operatorHost(): OperatorHost {
    const present = (): OpenRequests => this.#requests;
    return {
      // These parts are replaced with each activation.
      get dispatcher() {
        return present().dispatcher;
      },
      events: this.#context.events,
      counts: () => this.#context.counts,
      services: () => this.#context.services.all(),
      schedules: () => this.#activation.schedules.all(),
      wall: () => this.#context.wall,
      now: () => this.#context.now,
      obstacle: () => present().obstacle(),
      close: (uuid, decided) => {
        present().close(uuid, decided);
      },
      isShared: this.#context.claims !== null,
      closeUnclaimed: (uuid, decided) => {
        present().closeUnclaimed(uuid, decided);
      },
      reopen: (uuid, generation, decided) => {
        present().reopen(uuid, generation, decided);
      },
    };
  }

  // ---------------------------------------------------------------- reports of the broker

  /** The broker's report may concern an activation that has ended. */
  get #isStale(): boolean {
    return !this.#context.isActive || this.#toWithdraw.size > 0;
  }

  roomAt(service: Buffer): void {
    this.#dispatcher.roomAt(service);
    this.#activation.claiming?.roomAt(service);
  }

  dispatched(slot: Slot, worker: number): void {
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

  failed(slot: Slot, reason: string, isKnown: boolean, failure: Failure | null): void {
    if (!this.#isStale) this.#activation.execution.failed(slot, reason, isKnown, failure);
    else if (!isKnown) this.#toWithdraw.delete(slot);
  }

  handedBack(slot: Slot): void {
    if (!this.#isStale) this.#activation.execution.handedBack(slot);
  }

  // ---------------------------------------------------------------- reports of the store

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

  // ---------------------------------------------------------------- reports of the pair

  /** See `Replica.probe`. */
  probed(number: number): void {
    this.#requests.answers.probed(number);
  }

  // ---------------------------------------------------------------- reports of a shared store

  /** Batches failed with an unknown outcome, and this broker has claimed these requests of them. */
  kept(requests: readonly StoredRequest[]): void {
    for (const request of requests) {
      this.#requests.restore(request, { request, claim: FIRST_CLAIM, content: null });
    }
  }

  /**
   * This broker has another session: what it had claimed may be claimed by others. It goes on only
   * with what is at its workers, whose replies are still stored if they come first.
   */
  taken(): void {
    const { requests, claiming, schedules } = this.#activation;
    requests.dropUnstarted();
    schedules.disown();
    claiming?.restart();
  }

  /** Another broker has stored something: it is looked for at once, not only with the next poll. */
  hinted({ services, ended }: Hint): void {
    const { requests, claiming } = this.#activation;
    for (const service of services) claiming?.stored(service);
    requests.answers.hinted(ended);
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

  // ---------------------------------------------------------------- a turn

  /**
   * Does everything that is due. `host` and `embedded` are the broker, which is not handling an
   * input now.
   */
  run(now: number, wall: number, host: BrokerHost, embedded: EmbeddedServiceApi): void {
    this.#embedded = embedded;
    this.setTime(now, wall);
    for (const { service, hasStored } of this.services.takeChanges()) {
      embedded.setStored(service, hasStored);
    }
    for (const id of this.#toWithdraw.values()) embedded.withdraw(id);
    this.#toWithdraw.clear();
    if (!this.#context.isActive) return;
    const { requests, upkeep, schedules, progress, claiming } = this.#activation;
    const { answers, dispatcher, writer } = requests;
    progress.run(embedded);
    requests.show();
    this.#share(embedded);
    if (now >= this.#listAgainAt) {
      this.#listAgainAt = Infinity;
      this.#listAfter(this.#listing.after);
    }
    const areExpired = upkeep.expire();
    upkeep.sweep();
    const mayLoad = areExpired && requests.mayWork;
    for (const slot of dispatcher.run(embedded, now, mayLoad, !this.#isSuspended, claiming)) {
      requests.end(dispatcher.index.uuid(slot), 'changed');
    }
    schedules.run(embedded);
    writer.run(now);
    answers.send(host, now);
  }

  /** What only a shared store needs. */
  #share(embedded: EmbeddedServiceApi): void {
    const { requests, claiming, schedules } = this.#activation;
    if (claiming === null) return;
    const { now, hints } = this.#context;
    claiming.run(embedded);
    hints?.run(now);
    if (now >= this.#lookAgainAt) {
      this.#lookAgainAt = now + LOOK_AGAIN_MS;
      requests.answers.lookAgain();
    }
    if (this.isRestored && schedules.takeList()) this.#listAfter(0);
  }

  #shareDueAt(): number {
    const { requests, claiming } = this.#activation;
    if (claiming === null) return Infinity;
    const lookAgainAt = requests.answers.areAwaited ? this.#lookAgainAt : Infinity;
    return Math.min(claiming.dueAt, lookAgainAt, this.#context.hints?.dueAt ?? Infinity);
  }

  /** Milliseconds until `run` is due if no input arrives; Infinity for never. */
  dueInMs(now: number, wall: number): number {
    if (!this.#context.isActive) return this.#toWithdraw.size > 0 ? 0 : Infinity;
    const { requests, upkeep, schedules, progress } = this.#activation;
    const { answers, dispatcher, writer, mayWork } = requests;
    if (progress.isDue) return 0;
    if (answers.areDue || (mayWork && dispatcher.hasDemand)) return 0;
    const dueAts = [answers.dueAt, writer.dueAt, upkeep.dueAt, dispatcher.dueAt, progress.dueAt];
    const patienceMs = Math.min(...dueAts, this.#listAgainAt, this.#shareDueAt()) - now;
    const expiryMs = mayWork ? dispatcher.expiryAt - wall : Infinity;
    return Math.max(0, Math.min(patienceMs, expiryMs, schedules.dueInMs(now, wall)));
  }
}
