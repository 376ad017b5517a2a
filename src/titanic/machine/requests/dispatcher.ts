/**
 * Decides which stored request is sent when: per service by highest priority, then in order of
 * acceptance; as many as its workers take and `Places` allows. A service without workers costs nothing and
 * delays no other.
 */
import { Partners } from './partners.js';
import { IndexedHeap } from '../../../core/indexed-heap.js';
import type { DispatchedWorker, DeliveryPort, GroupRule } from '../../../broker/ports.js';
import { workerText } from '../../../store/attempt.js';
import type { TitanicContext } from './context.js';
import {
  ABSENT,
  DELAYED,
  DISPATCHED,
  DUE,
  type Event,
  HANDED_BACK,
  isInFlight,
  RESUMED,
  LOADING,
  next,
  OPENED,
  OUT,
  QUEUED,
  READY,
  SETTLING,
  SETTLING_ENDING,
  type State,
  SUBMITTED,
  TABLE,
  type Table,
  TAKEN,
  UNREAD,
} from './fsm.js';
import {
  AGE_PLACE,
  ATTEMPTS,
  ATTEMPTS_MAX,
  BODY_BYTES,
  BROKER_ID,
  EXPIRES_AT,
  EXPIRY_PLACE,
  GENERATION,
  NO_SLOT,
  NOT_BEFORE,
  NUMBER,
  OpenIndex,
  OWNER,
  PLACE,
  PRIORITY,
  SERVICE,
  SINCE,
  type Slot,
  STATE,
} from './open-index.js';
import { type OpenService, OpenServices } from './open-services.js';
import { type Lack, Places } from './places.js';
import { RequestOwners } from './request-owners.js';
import type { Backoff } from '../../../wire/job-option-table.js';
import type { RandomFill } from '../../../core/random.js';
import type { Scope } from './scope.js';
import { groupOf } from '../../../store/own-fields.js';
import { ANONYMOUS } from '../../../store/request.js';
import type { Ownership, StoredContent, StoredRequest } from '../../../store/store.js';

/** A body that was read for a request that was LOADING in that load. */
interface LoadedBody {
  readonly slot: Slot;
  readonly load: number;
  readonly content: StoredContent | null;
}

/** The open requests of one service. */
export interface OpenFigures {
  /** Requests with a worker. */
  readonly out: number;
  /** Requests that are to be tried later. */
  readonly delayed: number;
  /**
   * When the longest wait of a request that is not with a worker began: wall milliseconds; `null`:
   * there is none.
   */
  readonly since: number | null;
}

const NEW_SERVICE = { inFlight: 0 };
const NOBODY: DispatchedWorker = { number: 0, name: null, address: '' };
const NONE_OPEN: OpenFigures = { out: 0, delayed: 0, since: null };

/** The worker of an attempt in the form that is stored. */
export function storedWorker({ number, address, name }: DispatchedWorker): string {
  return workerText(number, address, name);
}

/** A delivery in progress. */
export interface Delivery {
  readonly worker: DispatchedWorker;
  /** Wall milliseconds. */
  readonly startedAt: number;
}

/** Whether a request is read, or with the broker, and not at a worker. */
function isPrepared(state: State): boolean {
  return isInFlight(state) && state !== OUT;
}

/** Maximum for the bodies of one service that are read at once. The first may be of any size. */
const LOAD_REQUESTS_MAX = 256;
const LOAD_BYTES_MAX = 8 * 1024 * 1024;
/** Delay after a read that failed. */
const READ_RETRY_MS = 1000;
/** Maximum number of requests handled in one turn because they are due. */
const TURN_REQUESTS_MAX = 4096;

/** Whether the store may have more requests of a service than are open here. */
interface Surplus {
  mayHaveMore(service: Buffer): boolean;
}

export class Dispatcher {
  readonly index: OpenIndex;
  readonly partners: Partners = new Partners();
  readonly #owners = new RequestOwners();
  readonly #context: TitanicContext;
  readonly #scope: Scope;
  readonly #table: Table;
  readonly services: OpenServices;
  #withDemand: OpenService[] = [];
  readonly #delayed: IndexedHeap;
  readonly #expiring: IndexedHeap;
  /**
   * What need not be read again, of requests that were not sent since: of a store that is not shared, those that were
   * accepted since the last `run`.
   */
  readonly #atHand = new Map<Slot, StoredContent>();
  /** A 32-bit number, as the index keeps it. It begins shortly before it wraps, so that every test sees that. */
  #lastLoad = 0x7fff_fff0;
  #loaded: LoadedBody[] = [];
  readonly #deliveries = new Map<Slot, Delivery>();
  /** Pauses of requests that are QUEUED or OUT and have their own (D81): others need no memory for it. */
  readonly #backoffs = new Map<Slot, Backoff>();
  /** When pauses end that are longer than those of this broker, in wall milliseconds: the requests may have their own. */
  readonly #longPauses = new Map<Slot, number>();
  /** The broker's numbers of requests to withdraw in the next turn, by slot. */
  readonly #withdrawals = new Map<Slot, number>();
  /** What requests that are LOADING, QUEUED or OUT take of the limits. */
  readonly places: Places<OpenService>;

  /**
   * @param scope of the activation
   * @param random see `KeyedHash`
   * @param table a search over all states tries others
   */
  constructor(context: TitanicContext, scope: Scope, random: RandomFill, table: Table = TABLE) {
    this.#context = context;
    this.#scope = scope;
    this.#table = table;
    this.places = new Places(context.options);
    const index = new OpenIndex(random);
    this.index = index;
    this.services = new OpenServices(index);
    this.#delayed = new IndexedHeap({
      before: (a, b) => index.getDouble(a, NOT_BEFORE) < index.getDouble(b, NOT_BEFORE),
      moved: (slot, place) => index.set(slot, PLACE, place),
    });
    this.#expiring = new IndexedHeap({
      before: (a, b) => index.getDouble(a, EXPIRES_AT) < index.getDouble(b, EXPIRES_AT),
      moved: (slot, place) => index.set(slot, EXPIRY_PLACE, place),
    });
  }

  /** Requests at workers. */
  get delivered(): number {
    return this.#deliveries.size;
  }

  // ---------------------------------------------------------------- requests come and go

  /**
   * Adds an open request.
   * @param party see `RequestOwner`
   */
  open(request: StoredRequest, now: number, wall: number, party: string): Slot {
    const { index } = this;
    const slot = index.add(request.uuid);
    this.partners.opened(request);
    // Nobody names the service of webhooks.
    const namedBy = request.kind === 'webhook' ? ANONYMOUS : request.owner;
    const service = this.services.findOrAdd(request.service, namedBy);
    index.set(slot, SERVICE, service.number);
    service.ready.opened(slot, groupOf(request));
    index.set(slot, PRIORITY, request.priority);
    index.set(slot, ATTEMPTS, request.attempts);
    index.set(slot, ATTEMPTS_MAX, request.maxAttempts);
    index.set(slot, GENERATION, request.generation);
    index.set(slot, BODY_BYTES, request.bodyBytes);
    index.set(slot, OWNER, this.#owners.use(request.owner, request.isShared, party));
    index.setDouble(slot, NUMBER, request.number);
    index.setDouble(slot, EXPIRES_AT, request.expiresAt);
    this.#expiring.push(slot);
    const { attempts, acceptedAt, notBefore, generation } = request;
    // After attempts, it is no longer known when a delay, or the wait before a retry, ended.
    const isSinceAcceptance = attempts > 0 && generation === 0;
    index.setDouble(slot, SINCE, isSinceAcceptance ? acceptedAt : notBefore);
    service.open++;
    // Another node's clock, or a wrong one, may have set the times: it waits no longer than intended at acceptance, or
    // than between attempts.
    const mostMs = attempts === 0 ? notBefore - acceptedAt : this.#context.options.retryMaxMs;
    if (attempts > 0 && notBefore - wall > mostMs) this.#longPauses.set(slot, notBefore);
    this.wait(slot, OPENED, now + Math.min(notBefore - wall, mostMs), now);
    return slot;
  }

  /** Holds the content of a READY request: its body need not be read if it is sent soon. */
  bring(slot: Slot, content: StoredContent): void {
    if (this.index.get(slot, STATE) === READY) this.#atHand.set(slot, content);
  }

  // ---------------------------------------------------------------- steps of the table

  step(slot: Slot, event: Event): void {
    const from = this.index.get(slot, STATE);
    this.#move(slot, from, next(from, event, this.#table));
  }

  /** A step after which it waits until that time, which may be past. Monotonic milliseconds. */
  wait(slot: Slot, event: Event, notBefore: number, now: number): void {
    this.index.setDouble(slot, NOT_BEFORE, notBefore);
    const from = this.index.get(slot, STATE);
    const to = next(from, event, this.#table);
    this.#move(slot, from, notBefore > now ? to : next(to, DUE, this.#table));
  }

  /** What it waited for has happened: it is due. @param generation from then on */
  arrived(slot: Slot, generation: number, now: number, wall: number): void {
    const { index } = this;
    index.set(slot, GENERATION, generation);
    if (index.get(slot, STATE) !== DELAYED) return;
    this.#longPauses.delete(slot);
    const { oldest } = this.serviceOf(slot);
    oldest.removeAt(index.get(slot, AGE_PLACE));
    index.setDouble(slot, SINCE, wall);
    oldest.push(slot);
    this.step(slot, DUE);
    index.setDouble(slot, NOT_BEFORE, now);
  }

  /** The end that it was held for failed: it continues where it was. */
  resume(slot: Slot, now: number): void {
    const { index } = this;
    if (index.get(slot, STATE) === SETTLING_ENDING) {
      this.step(slot, RESUMED);
      return;
    }
    // Its time to live may have ended meanwhile.
    if (index.get(slot, EXPIRY_PLACE) < 0) this.#expiring.push(slot);
    // Nobody calls for one that was withdrawn.
    const notBefore = index.getDouble(slot, NOT_BEFORE);
    this.wait(slot, RESUMED, notBefore < Infinity ? notBefore : now, now);
  }

  /** The worker, which had no place for the request, calls for it. */
  called(slot: Slot, now: number): void {
    const { index } = this;
    if (index.get(slot, STATE) !== DELAYED || !this.isWithBroker(slot)) return;
    this.step(slot, DUE);
    index.setDouble(slot, NOT_BEFORE, now);
  }

  /** Gives back what it held in the one state, and takes what it needs in the other. */
  #move(slot: Slot, from: State, to: State): void {
    const { index } = this;
    const service = this.serviceOf(slot);
    const place = index.get(slot, PLACE);
    if (from === READY) this.#leavesReady(slot, service, to);
    else if (from === DELAYED) {
      this.#delayed.removeAt(place);
      service.delayed--;
      if (service.ready.released(slot)) this.#addDemand(service);
    } else if (from === LOADING) service.loading--;
    else if (from === OUT) {
      this.#deliveries.delete(slot);
      service.out--;
    }
    index.set(slot, STATE, to);
    if (isPrepared(from) !== isPrepared(to)) this.#preparedChanged(slot, service, isPrepared(to));
    if (isInFlight(from) && !isInFlight(to)) this.#leftBroker(slot, service);
    if (to === READY || to === DELAYED) this.#startsWaiting(slot, service, to);
    else if (to === LOADING) {
      service.loading++;
      this.places.taken(service, index.get(slot, BODY_BYTES));
    } else if (to === OUT) {
      service.oldest.removeAt(index.get(slot, AGE_PLACE));
      service.out++;
    } else if (to >= SETTLING || to === ABSENT) this.#withdraw(slot);
    if (to === ABSENT) this.#close(slot, service);
  }

  #preparedChanged(slot: Slot, service: OpenService, isNow: boolean): void {
    const { ready } = service;
    if (isNow) {
      ready.prepared(slot);
      return;
    }
    ready.unprepared(slot);
    // There may be room for the first one of another group.
    if (ready.hasGroups && ready.size > 0) this.#addDemand(service);
  }

  #leavesReady(slot: Slot, service: OpenService, to: State): void {
    service.ready.remove(slot);
    if (service.ready.size === 0) this.places.setLack(service, null);
    // What is next now may be smaller.
    else if (service.lack !== null && to !== LOADING) this.#addDemand(service);
  }

  #leftBroker(slot: Slot, service: OpenService): void {
    this.places.left(service, this.index.get(slot, BODY_BYTES));
    this.#backoffs.delete(slot);
    // There is now room for another.
    if (service.ready.size > 0) this.#addDemand(service);
  }

  #startsWaiting(slot: Slot, service: OpenService, to: State): void {
    if (this.index.get(slot, AGE_PLACE) < 0) service.oldest.push(slot);
    if (to === DELAYED) {
      service.delayed++;
      this.#delayed.push(slot);
      if (this.index.get(slot, ATTEMPTS) > 0) service.ready.held(slot);
    } else {
      service.ready.push(slot);
      this.#addDemand(service);
    }
  }

  /**
   * Withdraws it from the broker in the next turn; what the broker reports about it until then is
   * ignored.
   */
  #withdraw(slot: Slot): void {
    const id = this.index.getDouble(slot, BROKER_ID);
    if (id < 0) return;
    this.index.setDouble(slot, BROKER_ID, -1);
    this.#withdrawals.set(slot, id);
  }

  #close(slot: Slot, service: OpenService): void {
    const { index } = this;
    this.#atHand.delete(slot);
    this.#longPauses.delete(slot);
    const expiryPlace = index.get(slot, EXPIRY_PLACE);
    if (expiryPlace >= 0) this.#expiring.removeAt(expiryPlace);
    this.#owners.release(index.get(slot, OWNER));
    service.oldest.removeAt(index.get(slot, AGE_PLACE));
    service.ready.closed(slot);
    this.partners.closed(index.uuid(slot));
    index.remove(slot);
    service.open--;
    this.services.removeIfUnused(service);
  }

  // ---------------------------------------------------------------- what is with the broker

  /** False if the request was withdrawn, so that the broker's reports about it are ignored. */
  isWithBroker(slot: Slot): boolean {
    return this.index.get(slot, STATE) !== ABSENT && this.index.getDouble(slot, BROKER_ID) >= 0;
  }

  /** The broker has already forgotten it. */
  forgotten(slot: Slot): void {
    this.index.setDouble(slot, BROKER_ID, -1);
    this.#withdrawals.delete(slot);
  }

  /** The broker's numbers of all requests that are with it or to be withdrawn, by slot. */
  get withBroker(): Map<Slot, number> {
    const numbers = new Map(this.#withdrawals);
    for (let slot = 0; slot < this.index.end; slot++) {
      if (this.isWithBroker(slot)) numbers.set(slot, this.index.getDouble(slot, BROKER_ID));
    }
    return numbers;
  }

  // ---------------------------------------------------------------- for claims

  *slots(): Iterable<Slot> {
    for (let slot = 0; slot < this.index.end; slot++) {
      if (this.index.get(slot, STATE) !== ABSENT) yield slot;
    }
  }

  /** How many requests of a service are to be sent, and are not with the broker yet, as far as their groups may start. */
  aheadOf(name: Buffer): number {
    const service = this.services.find(name);
    if (service === undefined) return 0;
    return service.ready.size - service.ready.parked + service.loading;
  }

  /**
   * The groups of a service of which none is to be claimed, because of their limits: something of them is here and has
   * not started, or nothing may start.
   */
  heldGroups(name: Buffer, most: number, broker: DeliveryPort): Buffer[] {
    const ahead = [...(this.services.find(name)?.ready.groupsAhead() ?? [])].slice(0, most);
    return [...ahead, ...broker.fullGroups(name, most - ahead.length)];
  }

  /** Whether a new request of a group may be prepared, besides those of it that are here and have not started. */
  mayPrepareNew(name: Buffer, group: Buffer, broker: DeliveryPort): boolean {
    if (group.length === 0 || broker.groupRule(name) === null) return true;
    return broker.mayPrepare(name, group, this.services.find(name)?.ready.aheadOf(group) ?? 0);
  }

  /** How many requests of its service are sent before one that is READY, counted up to `most`. */
  aheadOfReady(slot: Slot, most: number): number {
    const { ready, open, delayed, out } = this.serviceOf(slot);
    const before = ready.countBefore(slot, most);
    // The second part is how many are with the broker and not at a worker.
    return Math.min(most, before + Math.max(0, open - ready.size - delayed - out));
  }

  /** How many more requests of a service may be in flight, besides those that are to be sent. */
  roomInFlight(name: Buffer): number {
    const service = this.services.find(name);
    if (service === undefined) return this.places.roomFor(NEW_SERVICE);
    const { ready, lack } = service;
    return lack === null ? this.places.roomFor(service) - (ready.size - ready.parked) : 0;
  }

  /**
   * The services with requests that could be sent now, if there are workers, and at most how many; and how many besides
   * may not, because of their groups.
   */
  *ready(): Iterable<{
    readonly name: Buffer;
    readonly count: number;
    readonly parked: number;
    readonly most: number;
  }> {
    for (const { name, ready, lack, inFlight } of this.services.byName.values()) {
      // One that has none gets the next place.
      const most = lack === null ? Infinity : inFlight > 0 ? 0 : 1;
      const { size, parked } = ready;
      if (size > 0) yield { name, count: size - parked, parked, most };
    }
  }

  /** Some requests of a service that could be sent now, not the first ones to be sent. */
  leastUrgent(name: Buffer, most: number): Slot[] {
    return this.services.find(name)?.ready.least(most) ?? [];
  }

  /** Whether a request holds its group while it waits for its next attempt. */
  holdsGroup(slot: Slot): boolean {
    const { holds, ready } = this.serviceOf(slot);
    return holds && ready.groupOf(slot).length > 0;
  }

  serviceOf(slot: Slot): OpenService {
    return this.services.of(this.index.get(slot, SERVICE));
  }

  ownershipOf(slot: Slot): Ownership {
    const { owner, isShared } = this.#owners.of(this.index.get(slot, OWNER));
    return { owner, isShared };
  }

  /** See `RequestOwner`. */
  partyOf(slot: Slot): string {
    return this.#owners.of(this.index.get(slot, OWNER)).party;
  }

  /** Takes the next expired request off its heap; or returns `NO_SLOT`. */
  nextExpired(wall: number): Slot {
    const slot = this.#expiring.peek();
    if (slot < 0 || this.index.getDouble(slot, EXPIRES_AT) > wall) return NO_SLOT;
    return this.#expiring.pop();
  }

  /** When the next request expires, in wall milliseconds; Infinity for never. */
  get expiryAt(): number {
    const expiring = this.#expiring.peek();
    return expiring < 0 ? Infinity : this.index.getDouble(expiring, EXPIRES_AT);
  }

  /** When the next wait ends, in monotonic milliseconds; Infinity for never. */
  get dueAt(): number {
    if (this.#withdrawals.size > 0) return -Infinity;
    const delayed = this.#delayed.peek();
    return delayed < 0 ? Infinity : this.index.getDouble(delayed, NOT_BEFORE);
  }

  // ---------------------------------------------------------------- reports of the broker

  roomAt(name: Buffer): void {
    const service = this.services.find(name);
    if (service !== undefined && service.ready.size > 0) this.#addDemand(service);
  }

  groupRoomAt(name: Buffer, group: Buffer | null): void {
    const service = this.services.find(name);
    if (service === undefined) return;
    service.ready.unpark(group);
    if (service.ready.size > 0) this.#addDemand(service);
  }

  tookTurn(name: Buffer, group: Buffer): void {
    this.services.find(name)?.ready.tookTurn(group);
  }

  dispatched(slot: Slot, worker: DispatchedWorker, wall: number): void {
    this.step(slot, DISPATCHED);
    this.#deliveries.set(slot, { worker, startedAt: wall });
  }

  /** The delivery that has just ended; worker 0 if it never began. */
  delivery(slot: Slot, wall: number): Delivery {
    return this.#deliveries.get(slot) ?? { worker: NOBODY, startedAt: wall };
  }

  /** The delivery of a request that is with a worker now. */
  deliveryOf(slot: Slot): Delivery | null {
    return this.#deliveries.get(slot) ?? null;
  }

  /** The pauses of a request that is with the broker; `null`: it has none of its own. */
  backoffOf(slot: Slot): Backoff | null {
    return this.#backoffs.get(slot) ?? null;
  }

  /** The uuids of the requests that are with a worker, concatenated. */
  get out(): Buffer {
    return Buffer.concat([...this.#deliveries.keys()].map((slot) => this.index.uuid(slot)));
  }

  /** Figures about the open requests of one service. */
  figuresOf(name: Buffer): OpenFigures {
    const service = this.services.find(name);
    if (service === undefined) return NONE_OPEN;
    const { out, delayed, oldest } = service;
    const first = oldest.peek();
    return { out, delayed, since: first < 0 ? null : this.index.getDouble(first, SINCE) };
  }

  /** Takes back from the broker what no worker has yet. */
  recall(broker: DeliveryPort): void {
    for (const slot of this.slots()) {
      if (this.index.get(slot, STATE) !== QUEUED) continue;
      broker.withdraw(this.index.getDouble(slot, BROKER_ID));
      this.forgotten(slot);
      this.step(slot, HANDED_BACK);
    }
  }

  // ---------------------------------------------------------------- a turn

  /**
   * @param mayLoad more requests may be read
   * @param maySubmit what was read may be sent
   * @param surplus of a store that several brokers share
   * @returns requests whose body is no longer in the store, which means that they are not open
   */
  run(
    broker: DeliveryPort,
    now: number,
    mayLoad: boolean,
    maySubmit: boolean,
    surplus: Surplus | null,
  ): Slot[] {
    for (const id of this.#withdrawals.values()) broker.withdraw(id);
    this.#withdrawals.clear();
    for (let left = TURN_REQUESTS_MAX; left > 0; left--) {
      const slot = this.#delayed.peek();
      if (slot < 0 || this.index.getDouble(slot, NOT_BEFORE) > now) break;
      this.step(slot, DUE);
    }
    const missing = this.#submitLoaded(broker, maySubmit);
    if (mayLoad && maySubmit) {
      this.#loadMore(broker, surplus);
      if (this.#loaded.length > 0) missing.push(...this.#submitLoaded(broker, true));
    }
    // What no worker has room for now may wait for long: it is read then.
    if (surplus === null) this.#atHand.clear();
    return missing;
  }

  #submitLoaded(broker: DeliveryPort, maySubmit: boolean): Slot[] {
    const missing: Slot[] = [];
    const { index } = this;
    const loaded = this.#loaded;
    this.#loaded = [];
    for (const { slot, load, content } of loaded) {
      if (!this.#isLoading(slot, load)) continue;
      if (content === null) {
        missing.push(slot);
        continue;
      }
      const pauseMs = this.#longPauseMs(slot, content);
      if (pauseMs > 0) {
        const { now } = this.#context;
        this.wait(slot, UNREAD, now + pauseMs, now);
        continue;
      }
      const known = index.getDouble(slot, BROKER_ID);
      const again = known < 0 ? null : known;
      const id = maySubmit ? this.#submit(broker, slot, content, again) : null;
      if (id === null) {
        this.step(slot, HANDED_BACK);
      } else {
        index.setDouble(slot, BROKER_ID, id);
        this.step(slot, SUBMITTED);
        if (content.backoff !== null) this.#backoffs.set(slot, content.backoff);
      }
    }
    return missing;
  }

  #submit(
    broker: DeliveryPort,
    slot: Slot,
    content: StoredContent,
    again: number | null,
  ): number | null {
    const { name, ready } = this.serviceOf(slot);
    if (!ready.hasGroups) return broker.submit(name, slot, content, again);
    const group = ready.groupOf(slot);
    const isFirst = group.length > 0 && this.index.get(slot, ATTEMPTS) > 0;
    return broker.submit(name, slot, { ...content, group, isFirst }, again);
  }

  /**
   * What is left of a pause that the request itself chose (D81), now that it is read. It has waited for the longest
   * pause of the configuration already, which counts for the longest one of its own.
   */
  #longPauseMs(slot: Slot, { backoff }: StoredContent): number {
    const until = this.#longPauses.get(slot);
    if (until === undefined) return 0;
    this.#longPauses.delete(slot);
    if (backoff === null) return 0;
    const { wall, options } = this.#context;
    return Math.min(until - wall, backoff.maxMs - options.retryMaxMs);
  }

  /**
   * Asks for the room of every service that has requests to send, and reads as many as fit.
   * Services that got some go last next time.
   */
  #loadMore(broker: DeliveryPort, surplus: Surplus | null): void {
    const asking = this.#withDemand;
    const served: OpenService[] = [];
    this.#withDemand = [];
    const { services, level } = this.places.turn(asking);
    for (const service of services) {
      service.hasDemand = false;
      if (!this.services.has(service)) continue;
      const room = broker.room(service.name) - service.loading;
      const most = Math.min(room, LOAD_REQUESTS_MAX);
      const taken = this.#take(service, most, broker, level);
      const hasMore = service.ready.peek() !== NO_SLOT;
      const mayHaveMore = service.ready.size > 0 || surplus?.mayHaveMore(service.name) === true;
      broker.setBacklog(service.name, mayHaveMore);
      if (hasMore && taken < room && service.lack === null) served.push(service);
    }
    for (const service of served) this.#addDemand(service);
  }

  #take(service: OpenService, room: number, broker: DeliveryPort, level: number): number {
    const { index, places } = this;
    const { ready } = service;
    const slots: Slot[] = [];
    let bytes = 0;
    // Those that are being read were accepted before these, and are sent before them.
    const mayOvertake = service.loading > 0;
    let lack: Lack | null = null;
    const { hasGroups } = ready;
    const window = hasGroups ? broker.window(service.name) : 0;
    const rule = hasGroups ? broker.groupRule(service.name) : null;
    service.holds = rule?.holds === true;
    for (let looks = 0; slots.length < LOAD_REQUESTS_MAX && looks < TURN_REQUESTS_MAX; looks++) {
      const slot = ready.peek();
      if (slot === NO_SLOT) break;
      const isExtra = places.hasSpare && ready.preparedGroups < window && ready.isFresh(slot);
      if (slots.length >= room && !isExtra) break;
      if (rule !== null && !mayStart(service, slot, rule, broker)) {
        ready.park(slot);
        continue;
      }
      if (slots.length > 0 && bytes >= LOAD_BYTES_MAX) break;
      if (slots.length > 0 && places.shareOf(service) >= level) {
        places.levelled();
        break;
      }
      const bodyBytes = index.get(slot, BODY_BYTES);
      lack = places.lackOf(service, bodyBytes);
      if (lack !== null) break;
      slots.push(slot);
      bytes += bodyBytes;
      this.step(slot, TAKEN);
      index.set(slot, PLACE, (this.#lastLoad + 1) | 0);
    }
    places.setLack(service, lack);
    if (slots.length > 0) this.#read(slots, mayOvertake);
    return slots.length;
  }

  /** @param mayOvertake others of their service are being read */
  #read(slots: readonly Slot[], mayOvertake: boolean): void {
    this.#lastLoad = (this.#lastLoad + 1) | 0;
    const load = this.#lastLoad;
    const contents = slots.map((slot) => {
      const content = this.#takeAtHand(slot);
      return mayOvertake ? null : content;
    });
    const add = (slot: Slot, content: StoredContent | null): void => {
      this.#loaded.push({ slot, load, content });
    };
    const first = contents.indexOf(null);
    const known = first < 0 ? slots.length : first;
    for (const [place, slot] of slots.slice(0, known).entries()) add(slot, contents[place] ?? null);
    if (known === slots.length) return;
    // The rest waits for the first one that is read: they are sent in their order.
    const rest = slots.slice(known);
    const unread = rest.filter((_, place) => contents[known + place] === null);
    const completion = this.#scope.completion<readonly (StoredContent | null)[], unknown>(
      (bodies) => {
        const read = bodies.values();
        for (const [place, slot] of rest.entries()) {
          add(slot, contents[known + place] ?? read.next().value ?? null);
        }
      },
      () => this.#loadFailed(load, rest),
    );
    this.#context.store.load(
      unread.map((slot) => this.index.uuid(slot)),
      completion,
    );
  }

  /** The read failed: the requests are tried again. */
  #loadFailed(load: number, slots: readonly Slot[]): void {
    const { now } = this.#context;
    for (const slot of slots) {
      if (this.#isLoading(slot, load)) this.wait(slot, UNREAD, now + READ_RETRY_MS, now);
    }
  }

  #takeAtHand(slot: Slot): StoredContent | null {
    const content = this.#atHand.get(slot) ?? null;
    if (content !== null) this.#atHand.delete(slot);
    return content;
  }

  // ---------------------------------------------------------------- parts

  #isLoading(slot: Slot, load: number): boolean {
    return this.index.get(slot, STATE) === LOADING && this.index.get(slot, PLACE) === load;
  }

  #addDemand(service: OpenService): void {
    if (service.hasDemand) return;
    service.hasDemand = true;
    this.#withDemand.push(service);
  }

  /** True if some service has requests to send that there may be room for. */
  get hasDemand(): boolean {
    return this.#withDemand.length > 0 || this.places.isDue;
  }
}

/** Whether a request may be prepared, as far as the limits of its group go (D118). */
function mayStart(
  { name, ready }: OpenService,
  slot: Slot,
  { isLimited, holds }: GroupRule,
  broker: DeliveryPort,
): boolean {
  const group = ready.groupOf(slot);
  if (group.length === 0) return true;
  if (holds && ready.holderOf(slot) !== NO_SLOT) return false;
  return !isLimited || broker.mayPrepare(name, group, ready.preparedOf(slot));
}
