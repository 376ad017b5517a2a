import { Chain } from '../../core/chain.js';
import { type Heartbeats, MDP_HEARTBEATS, PIRATE_HEARTBEATS } from '../dialects.js';
import type { BrokerOptions } from '../options.js';
import type { ServiceTable } from './service-table.js';
import type { Service, Worker } from './entities.js';

type HeartbeatOptions = Pick<BrokerOptions, 'heartbeatIntervalMs' | 'heartbeatLiveness'>;

/** Workers that exchange heartbeats in the same interval. */
class HeartbeatGroup {
  /** Workers whose silence counts, in order of `lastSeenAt` (D5). */
  readonly silence = new Chain<Worker>();
  /** All workers of the group, in order of `lastSentAt`. */
  readonly quiet = new Chain<Worker>();
  /** Milliseconds of silence after which a worker is lost. */
  readonly silentMs: number;
  readonly #everyMs: number;

  constructor(heartbeats: Heartbeats, options: HeartbeatOptions) {
    const { heartbeatIntervalMs, heartbeatLiveness } = options;
    this.silentMs = heartbeats.expectedEveryMs(heartbeatIntervalMs) * heartbeatLiveness;
    this.#everyMs = heartbeats.everyMs(heartbeatIntervalMs);
  }

  nextSilent(now: number): Worker | null {
    const worker = this.silence.head?.owner ?? null;
    return worker === null || worker.lastSeenAt + this.silentMs > now ? null : worker;
  }

  nextUnsent(now: number): Worker | null {
    const worker = this.quiet.head?.owner ?? null;
    return worker === null || worker.lastSentAt + this.#everyMs > now ? null : worker;
  }

  nextDueAt(): number {
    const silent = this.silence.head?.owner;
    const unsent = this.quiet.head?.owner;
    const lost = silent === undefined ? Infinity : silent.lastSeenAt + this.silentMs;
    return Math.min(lost, unsent === undefined ? Infinity : unsent.lastSentAt + this.#everyMs);
  }
}

/**
 * The registered workers: which are available, whose silence is timed, which need a heartbeat.
 * Every change costs the same for one worker and for thousands.
 */
export class Workers {
  readonly #heartbeatIntervalMs: number;
  readonly #services: ServiceTable;
  readonly #mdp: HeartbeatGroup;
  readonly #pirates: HeartbeatGroup;
  /** Services with an available worker and a waiting request. */
  #due: Service[] = [];
  /** Registered workers by number. */
  readonly #registered = new Map<number, Worker>();
  /** Holders by their place. */
  readonly #holders = new Map<number, Worker>();

  constructor(options: HeartbeatOptions, services: ServiceTable) {
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs;
    this.#services = services;
    this.#mdp = new HeartbeatGroup(MDP_HEARTBEATS, options);
    this.#pirates = new HeartbeatGroup(PIRATE_HEARTBEATS, options);
  }

  get count(): number {
    return this.#registered.size;
  }

  add(worker: Worker): void {
    const service = worker.service;
    this.#services.workersChanged(service.workers.size, service.workers.size + 1);
    service.workers.add(worker);
    service.credit += worker.credit;
    worker.peer.worker = worker;
    this.#registered.set(worker.number, worker);
    const group = this.#groupOf(worker);
    group?.silence.append(worker.silence);
    group?.quiet.append(worker.quiet);
    this.#makeAvailable(worker);
  }

  /** The worker gets no more requests. */
  setLeaving(worker: Worker): void {
    const { service } = worker;
    service.credit -= worker.credit;
    worker.credit = 0;
    service.available.remove(worker.load);
  }

  /** Forgets the worker. The caller handles its requests: `worker.held` stays as it is. */
  remove(worker: Worker): void {
    const service = worker.service;
    worker.silence.leave();
    worker.quiet.leave();
    service.available.forget(worker.load);
    if (worker.held.count > 0) service.workersBusy--;
    this.#services.workersChanged(service.workers.size, service.workers.size - 1);
    service.workers.delete(worker);
    service.credit -= worker.credit;
    worker.peer.worker = null;
    this.#registered.delete(worker.number);
  }

  /** The registered worker of that number, or `null`. */
  find(number: number): Worker | null {
    return this.#registered.get(number) ?? null;
  }

  /** The worker or holder that a request is out at, by its field WORKER; `null`: it was lost. */
  at(place: number): Worker | null {
    return this.find(place) ?? this.#holders.get(place) ?? null;
  }

  /** Any command of a worker is a sign of life. */
  touch(worker: Worker, now: number): void {
    worker.lastSeenAt = now;
    worker.silence.chain?.append(worker.silence);
  }

  /** A HEARTBEAT came while `worker` was busy, its oldest request out since `dispatchedAt` (D5). */
  heartbeatWhileBusy(worker: Worker, dispatchedAt: number, now: number): void {
    // Within one interval of the dispatch it may have crossed the REQUEST, so it proves nothing.
    if (now - dispatchedAt <= this.#heartbeatIntervalMs) return;
    worker.heartbeatsWhileBusy = true;
    this.#groupOf(worker)?.silence.append(worker.silence);
  }

  isSilent(worker: Worker, now: number): boolean {
    const group = this.#groupOf(worker);
    return group !== null && worker.lastSeenAt + group.silentMs <= now;
  }

  /**
   * From now on the silence of this busy worker counts, and it may have begun earlier. The search
   * for its place is rare: once per request that is out for `busyTimeoutMs`.
   */
  timeSilence(worker: Worker): void {
    if (worker.silence.chain !== null) return;
    this.#groupOf(worker)?.silence.insert(
      worker.silence,
      (other) => other.lastSeenAt > worker.lastSeenAt,
    );
  }

  // ---------------------------------------------------------------- holders: workers elsewhere

  addRemote(holder: Worker): void {
    holder.peer.worker = holder;
    this.#holders.set(holder.place, holder);
    holder.service.remotes.add(holder);
  }

  removeRemote(holder: Worker): void {
    holder.peer.worker = null;
    this.#holders.delete(holder.place);
    holder.service.remotes.delete(holder);
  }

  /** The holder can take so many more requests than are out at it. */
  setFree(holder: Worker, free: number): void {
    holder.credit = holder.held.count + free;
    holder.service.remotes.update(holder);
    if (free > 0) this.schedule(holder.service);
  }

  // ---------------------------------------------------------------- both

  /** A request was added to `worker.held`. */
  took(worker: Worker, now: number): void {
    if (worker.remote !== null) {
      worker.service.remotes.update(worker);
      return;
    }
    if (worker.held.count === 1) {
      worker.service.workersBusy++;
      if (!worker.heartbeatsWhileBusy) worker.silence.leave();
    }
    if (worker.held.count >= worker.credit) worker.service.available.remove(worker.load);
    else worker.service.available.put(worker.load, worker.held.count);
    this.sent(worker, now);
  }

  /**
   * A request was removed from `worker.held`.
   * @param isTimed a remaining one has been out for so long that the worker's silence counts (D5)
   */
  gave(worker: Worker, isTimed: boolean): void {
    if (worker.remote !== null) {
      // What it can take now is for it to say: see `setFree`.
      worker.credit--;
      return;
    }
    if (worker.held.count === 0) {
      worker.service.workersBusy--;
      this.#groupOf(worker)?.silence.append(worker.silence);
    } else if (!worker.heartbeatsWhileBusy && !isTimed) {
      worker.silence.leave();
    }
    this.#makeAvailable(worker);
  }

  /** The worker's peer stopped reading, or reads again. */
  fullChanged(worker: Worker): void {
    if (worker.peer.full) worker.service.available.remove(worker.load);
    else this.#makeAvailable(worker);
  }

  sent(worker: Worker, now: number): void {
    worker.lastSentAt = now;
    worker.quiet.chain?.append(worker.quiet);
  }

  /** Lists the service for the next dispatch, if it has requests waiting. */
  schedule(service: Service): void {
    if (service.due || service.waiting.count === 0) return;
    service.due = true;
    this.#due.push(service);
  }

  /** Takes the services to dispatch for; they are no longer listed then. */
  takeDue(): Service[] {
    const due = this.#due;
    this.#due = [];
    return due;
  }

  get isDispatchDue(): boolean {
    return this.#due.length > 0;
  }

  /** The next worker that has been silent for too long, or `null`. */
  nextSilent(now: number): Worker | null {
    return this.#mdp.nextSilent(now) ?? this.#pirates.nextSilent(now);
  }

  /** The next worker that was sent nothing for an interval (18/MDP §Heartbeating), or `null`. */
  nextUnsent(now: number): Worker | null {
    return this.#mdp.nextUnsent(now) ?? this.#pirates.nextUnsent(now);
  }

  /** When something is next due, in monotonic milliseconds; Infinity for never. */
  nextDueAt(): number {
    return Math.min(this.#mdp.nextDueAt(), this.#pirates.nextDueAt());
  }

  /** The group of a worker; `null`: workers of its kind have no heartbeats. */
  #groupOf({ kind: { heartbeats } }: Worker): HeartbeatGroup | null {
    if (heartbeats === MDP_HEARTBEATS) return this.#mdp;
    return heartbeats === PIRATE_HEARTBEATS ? this.#pirates : null;
  }

  #makeAvailable(worker: Worker): void {
    if (worker.peer.full || worker.held.count >= worker.credit) return;
    worker.service.available.put(worker.load, worker.held.count);
    this.schedule(worker.service);
  }
}
