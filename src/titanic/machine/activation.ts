/**
 * What is only in memory while this node serves: the parts of the machine, made anew with each activation.
 * Each part knows those that are made before it; for what they need of later ones, this is `LaterParts`.
 */
import type { BrokerHost, DeliveryPort } from '../../broker/ports.js';
import type { RandomFill } from '../../core/random.js';
import type { Completion, StoredRequest, StoreFailure } from '../../store/store.js';
import { Acceptances } from './requests/acceptances.js';
import { Claiming } from './requests/claiming.js';
import type { TitanicContext } from './requests/context.js';
import { Dispatcher } from './requests/dispatcher.js';
import { Execution } from './requests/execution.js';
import { NO_SLOT } from './requests/open-index.js';
import { type LaterParts, OpenRequests } from './requests/open-requests.js';
import { Progress } from './requests/progress.js';
import { Schedules } from './schedules/schedules.js';
import { Scope } from './requests/scope.js';
import { TitanicServices } from './services.js';
import { Upkeep } from './upkeep.js';
import type { Uuids } from './requests/uuid.js';

/** Delay after a read that failed. */
const READ_RETRY_MS = 1000;
/** How often a shared store is asked for what clients wait for. */
const LOOK_AGAIN_MS = 250;

export class Activation implements LaterParts {
  readonly #context: TitanicContext;
  readonly #scope = new Scope();
  readonly dispatcher: Dispatcher;
  readonly requests: OpenRequests;
  /** `null`: no other broker uses the store. */
  readonly claiming: Claiming | null;
  readonly schedules: Schedules;
  readonly progress: Progress;
  readonly services: TitanicServices;
  readonly execution: Execution;
  readonly #upkeep: Upkeep;
  /** Pending requests are being listed: after which number, and since when. */
  readonly #listing = { isOn: false, after: 0, since: 0 };
  #restored: Completion<void> | null = null;
  /** When a list that failed is requested again. */
  #listAgainAt = Infinity;
  /** When a shared store is asked again for what clients wait for. */
  #lookAgainAt = -Infinity;
  #wasListed = false;

  constructor(context: TitanicContext, uuids: Uuids, random: RandomFill) {
    this.#context = context;
    const scope = this.#scope;
    this.dispatcher = new Dispatcher(context, scope, random);
    const requests = new OpenRequests(context, scope, this.dispatcher, this);
    this.requests = requests;
    const { claims } = context;
    this.claiming = claims === null ? null : new Claiming(context, claims, requests, scope, random);
    const acceptances = new Acceptances(context, requests, this.claiming);
    const shared = [context, requests, uuids, acceptances] as const;
    this.schedules = new Schedules(...shared, scope);
    this.progress = new Progress(context, requests);
    this.services = new TitanicServices(...shared, this.schedules, this.progress);
    this.execution = new Execution(context, requests, random, this.progress);
    this.#upkeep = new Upkeep(context, requests, this.schedules);
  }

  /** Nobody is answered any more, and no outcome of the store is told. */
  end(): void {
    this.#scope.leave();
    this.requests.abandon();
  }

  // ---------------------------------------------------------------- what is pending

  /** False while some of the pending requests are not loaded yet. */
  get isRestored(): boolean {
    return !this.#listing.isOn;
  }

  /** @param restored told once, when all pending requests are loaded, or cannot be */
  restore(restored: Completion<void> | null): void {
    this.#restored = restored;
    this.#listing.since = this.#context.now;
    this.#listAfter(0);
  }

  #listAfter(after: number): void {
    this.#listing.isOn = true;
    this.#listing.after = after;
    const { claims, store } = this.#context;
    const completion = this.#scope.completion<readonly StoredRequest[], StoreFailure>(
      (requests) => this.#listed(requests),
      (failure) => {
        this.#listAgainAt = this.#context.now + READ_RETRY_MS;
        this.#restored?.failed(failure);
        this.#restored = null;
      },
    );
    if (claims === null) store.list(after, completion);
    else claims.listKept(after, completion);
  }

  #listed(requests: readonly StoredRequest[]): void {
    const last = requests.at(-1);
    if (last === undefined) {
      this.#listing.isOn = false;
      if (!this.#wasListed) this.#recovered();
      this.#wasListed = true;
      this.schedules.allListed();
      if (this.#context.claims === null) this.requests.webhooks.lookForEnds();
      this.#restored?.done();
      this.#restored = null;
      return;
    }
    // The store reads the next ones meanwhile.
    this.#listAfter(last.number);
    const { index } = this.dispatcher;
    for (const request of requests) {
      if (index.find(request.uuid) === NO_SLOT) this.requests.restore(request);
    }
    // A file lists them first: no service waits until all that is pending is read.
    if (this.#context.claims === null) this.schedules.limits.isKnown = true;
  }

  #recovered(): void {
    const { events, now, counts } = this.#context;
    const { pending, replied, dead } = counts;
    const tookMs = Math.round(now - this.#listing.since);
    events.emit({ name: 'titanic.recovered', pending, replied, dead, tookMs });
  }

  /**
   * Starts with another session: others may claim what this broker had claimed. It goes on only with
   * what is at its workers, whose replies are still stored if they come first.
   */
  taken(): void {
    this.requests.dropUnstarted();
    this.schedules.disown();
    this.claiming?.restart();
  }

  // ---------------------------------------------------------------- a turn

  /** @param maySubmit something may be sent to a worker */
  run(host: BrokerHost, broker: DeliveryPort, maySubmit: boolean): void {
    const { requests, dispatcher, claiming } = this;
    const { now } = this.#context;
    this.progress.run(broker);
    requests.show();
    this.#runShared(broker);
    if (now >= this.#listAgainAt) {
      this.#listAgainAt = Infinity;
      this.#listAfter(this.#listing.after);
    }
    const areExpired = this.#upkeep.expire();
    this.#upkeep.sweep();
    const mayLoad = areExpired && requests.mayWork;
    for (const slot of dispatcher.run(broker, now, mayLoad, maySubmit, claiming)) {
      requests.end(dispatcher.index.uuid(slot), 'changed');
    }
    this.schedules.run(broker);
    requests.writer.run(now);
    requests.answers.send(host, now);
  }

  /** What only a shared store needs. */
  #runShared(broker: DeliveryPort): void {
    if (this.claiming === null) return;
    const { now, hints } = this.#context;
    this.claiming.run(broker);
    hints?.run(now);
    if (now >= this.#lookAgainAt) {
      this.#lookAgainAt = now + LOOK_AGAIN_MS;
      this.requests.answers.lookAgain();
    }
    if (this.isRestored && this.schedules.takeList()) this.#listAfter(0);
  }

  #sharedDueAt(): number {
    if (this.claiming === null) return Infinity;
    const lookAgainAt = this.requests.answers.areAwaited ? this.#lookAgainAt : Infinity;
    return Math.min(this.claiming.dueAt, lookAgainAt, this.#context.hints?.dueAt ?? Infinity);
  }

  /** Milliseconds until `run` is due if no input arrives; Infinity for never. */
  dueInMs(now: number, wall: number): number {
    const { dispatcher, progress } = this;
    const { answers, writer, mayWork } = this.requests;
    const { clock } = this.#context;
    if (progress.isDue) return 0;
    if (answers.areDue || (mayWork && dispatcher.hasDemand)) return 0;
    const dueAt = Math.min(
      Math.min(answers.dueAt, writer.dueAt, this.#upkeep.dueAt, dispatcher.dueAt),
      Math.min(progress.dueAt, this.#listAgainAt, this.#sharedDueAt()),
    );
    const patienceMs = Math.min(dueAt - now, clock.dueInMs(now));
    const expiryMs = mayWork && !clock.isHeld ? dispatcher.expiryAt - wall : Infinity;
    return Math.max(0, Math.min(patienceMs, expiryMs, this.schedules.dueInMs(now, wall)));
  }

  /** Everything that was decided is committed, and everybody who can be answered now is. */
  get isSettled(): boolean {
    const { writer, answers } = this.requests;
    return writer.isIdle && !answers.areDue && !this.progress.isDue;
  }
}
