/**
 * Which requests this broker claims of a store that several brokers share: as many as its own workers
 * take at once. What they do not take after all is given back.
 *
 * A new request for which a worker waits here is claimed when it is stored, if the last claim found
 * the service empty: others would come first otherwise. All else is found by claims: at once where
 * there was more than could be claimed, and otherwise by one question for all services in at most 250 ms.
 */
import type { DeliveryPort } from '../../../broker/ports.js';
import { ownCopy } from '../../../core/bytes.js';
import type { RandomFill } from '../../../core/random.js';
import { OldestFirst } from '../../../core/oldest-first.js';
import { SCHEDULE_SERVICE, type TitanicClaims, type TitanicContext } from './context.js';
import { ENDED } from './fsm.js';
import { CLAIM } from './open-index.js';
import type { OpenRequests } from './open-requests.js';
import type { Scope } from './scope.js';
import { NO_OWN } from '../../../store/fields.js';
import { groupOf, ownOfGroup } from '../../../store/own-fields.js';
import {
  type ClaimedRequest,
  NO_TURNS,
  type Release,
  type StoredRequest,
  type ClaimedTurns,
  type Wanted,
} from '../../../store/store.js';

/**
 * How often a broker asks for whatever there is. The time varies, or the broker that asks just before
 * another one would come first every time.
 */
const POLL_MS_MIN = 150;
const POLL_MS_MAX = 250;
/** The pause after a claim that failed. */
const RETRY_MS = 1000;
/** Limits of one claim: services, and requests in all. */
const SERVICES_MAX = 256;
const REQUESTS_MAX = 512;
const SCHEDULES_MAX = 256;
const RELEASED_MAX = 1000;
/** Limit of one claim: groups that it names because none of theirs is to be claimed. */
const HELD_MAX = 2000;

interface ClaimedService {
  readonly name: Buffer;
  /** The last claim found fewer requests than were wanted, and none was stored since. */
  isEmpty: boolean;
  /** New requests that are being stored, and claimed with it. */
  accepting: number;
  /** A request that no broker has claimed was stored while a claim was under way. */
  hasMore: boolean;
  /** See `ClaimedTurns`. */
  after: Buffer;
}

export class Claiming {
  readonly #context: TitanicContext;
  readonly #store: TitanicClaims;
  readonly #requests: OpenRequests;
  readonly #scope: Scope;
  readonly #random: RandomFill;
  readonly #services = new Map<string, ClaimedService>();
  /** Services to be looked at: they may have room, and more may be stored for them. */
  readonly #dirty = new OldestFirst<string, null>();
  /** What the claim that is under way asks for; `null`: none is. */
  #asked: readonly Wanted[] | null = null;
  #pollAt = -Infinity;
  /** After a failure, no claim is made until then. */
  #retryAt = -Infinity;
  /** A claim may have been made without this broker learning of it. */
  #isUncertain = false;
  /** What the order under way gives back, or the one that failed: then it is given back again. */
  #releasing: readonly Release[] = [];
  /** Services that had no room for what is claimed when it was last looked at. */
  #crowded = new Set<string>();
  #broker: DeliveryPort | null = null;

  /** @param scope of the activation */
  constructor(
    context: TitanicContext,
    store: TitanicClaims,
    requests: OpenRequests,
    scope: Scope,
    random: RandomFill,
  ) {
    this.#context = context;
    this.#store = store;
    this.#requests = requests;
    this.#scope = scope;
    this.#random = random;
  }

  // ---------------------------------------------------------------- new requests

  /**
   * Whether a request that is about to be stored is claimed with it. If so, `acceptanceEnded` follows.
   */
  takesNew(request: StoredRequest): boolean {
    const { service, notBefore } = request;
    if (notBefore > this.#context.wall || this.#context.replica.refusal !== null) return false;
    const entry = this.#services.get(service.toString('latin1'));
    if (entry?.isEmpty !== true || this.#freeOf(entry) <= 0) return false;
    const broker = this.#broker;
    const { dispatcher } = this.#requests;
    if (broker?.groupRule(service)?.isLimited === true) {
      if (!dispatcher.mayPrepareNew(service, groupOf(request), broker)) return false;
    }
    entry.accepting++;
    return true;
  }

  /** A request that `takesNew` let in is stored, or could not be. */
  acceptanceEnded(service: Buffer): void {
    const entry = this.#services.get(service.toString('latin1'));
    if (entry !== undefined) entry.accepting--;
  }

  /** A request that no broker has claimed is in the store now. */
  stored(service: Buffer): void {
    const name = service.toString('latin1');
    const entry = this.#services.get(name);
    if (entry === undefined) return;
    entry.isEmpty = false;
    entry.hasMore = true;
    this.#dirty.set(name, null);
  }

  /** True if more may be stored for a service than is open here. */
  mayHaveMore(service: Buffer): boolean {
    return this.#services.get(service.toString('latin1'))?.isEmpty === false;
  }

  roomAt(service: Buffer): void {
    const name = service.toString('latin1');
    const entry = this.#services.get(name);
    if (entry === undefined) this.#add(service, name);
    if (entry?.isEmpty !== true) this.#dirty.set(name, null);
  }

  #add(service: Buffer, name: string): ClaimedService {
    const entry = {
      name: ownCopy(service),
      isEmpty: false,
      accepting: 0,
      hasMore: false,
      after: NO_OWN,
    };
    this.#services.set(name, entry);
    return entry;
  }

  /** How many more requests of a service its workers here take. */
  #freeOf({ name, accepting }: ClaimedService): number {
    const { dispatcher } = this.#requests;
    const room = this.#broker?.room(name) ?? 0;
    return Math.min(room - dispatcher.aheadOf(name), dispatcher.roomInFlight(name)) - accepting;
  }

  // ---------------------------------------------------------------- reports of the store

  #claimed(asked: readonly Wanted[], requests: readonly ClaimedRequest[]): void {
    // It was asked for by a session that has ended.
    if (asked !== this.#asked) return;
    const counts = new Map<string, number>();
    /** The last ones of services that have groups. */
    const last = new Map<string, StoredRequest>();
    for (const each of requests) {
      const { request, isTurn } = each;
      const name = request.service.toString('latin1');
      counts.set(name, (counts.get(name) ?? 0) + 1);
      if (isTurn) last.set(name, request);
      this.#requests.restore(request, each);
    }
    for (const { service, most, turns } of asked) {
      const name = service.toString('latin1');
      const entry = this.#services.get(name);
      if (entry === undefined) continue;
      const turn = last.get(name);
      // Fewer than wanted, of groups, do not mean that there are no more, nor do those that were not claimed.
      const mayBeMore = entry.hasMore || turn !== undefined || (counts.get(name) ?? 0) >= most;
      entry.isEmpty = !mayBeMore && turns.held.length === 0;
      if (turn !== undefined) entry.after = ownCopy(turn.own);
      if (mayBeMore) this.#dirty.set(name, null);
    }
    this.#asked = null;
    this.#releasing = [];
  }

  #claimFailed(asked: readonly Wanted[]): void {
    if (asked !== this.#asked) return;
    for (const { service } of asked) this.#dirty.set(service.toString('latin1'), null);
    this.#asked = null;
    this.#isUncertain = true;
    this.#retryAt = this.#context.now + RETRY_MS;
  }

  /** Starts with another session, which has claimed nothing yet. */
  restart(): void {
    this.#asked = null;
    this.#isUncertain = false;
    this.#releasing = [];
    this.#retryAt = -Infinity;
    this.#pollAt = -Infinity;
    for (const entry of this.#services.values()) entry.isEmpty = false;
  }

  // ---------------------------------------------------------------- a turn

  /** When `run` is due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    if (this.#asked !== null || !this.#requests.mayWork) return Infinity;
    return Math.max(this.#retryAt, this.#dirty.size > 0 ? -Infinity : this.#pollAt);
  }

  run(broker: DeliveryPort): void {
    this.#broker = broker;
    const { now } = this.#context;
    if (now < this.dueAt) return;
    const isPoll = now >= this.#pollAt;
    const released = [...this.#releasing, ...(isPoll ? this.#lookAtAll(broker) : [])];
    const wanted = this.#wanted(isPoll, broker);
    const known = this.#isUncertain ? this.#requests.claimed : null;
    if (wanted.length === 0 && released.length === 0 && known === null) return;
    this.#asked = wanted;
    this.#releasing = released;
    this.#isUncertain = false;
    const completion = this.#scope.completion<readonly ClaimedRequest[], unknown>(
      (requests) => this.#claimed(wanted, requests),
      () => this.#claimFailed(wanted),
    );
    this.#store.claim({ wanted, released, known }, completion);
  }

  /** Looks at all services with workers. @returns what is given back */
  #lookAtAll(broker: DeliveryPort): Release[] {
    this.#pollAt = this.#context.now + this.#pollMs();
    const served = new Set<string>();
    for (const service of broker.served()) {
      const name = service.toString('latin1');
      served.add(name);
      if (!this.#services.has(name)) this.#add(service, name);
      this.#dirty.set(name, null);
    }
    for (const [name, { accepting }] of this.#services) {
      if (!served.has(name) && accepting === 0) this.#services.delete(name);
    }
    return this.#toRelease(broker);
  }

  #pollMs(): number {
    const bytes = Buffer.alloc(4);
    this.#random(bytes);
    return POLL_MS_MIN + (POLL_MS_MAX - POLL_MS_MIN) * (bytes.readUInt32BE() / 2 ** 32);
  }

  #wanted(isPoll: boolean, broker: DeliveryPort): Wanted[] {
    const wanted: Wanted[] = [];
    if (isPoll) {
      const service = SCHEDULE_SERVICE;
      wanted.push({ service, isSchedules: true, most: SCHEDULES_MAX, turns: NO_TURNS });
    }
    let held = HELD_MAX;
    let left = REQUESTS_MAX;
    for (const { key: name } of this.#dirty) {
      if (wanted.length >= SERVICES_MAX || left <= 0) break;
      this.#dirty.delete(name);
      const entry = this.#services.get(name);
      if (entry === undefined) continue;
      const most = Math.min(this.#freeOf(entry), left);
      if (most <= 0) continue;
      left -= most;
      entry.hasMore = false;
      const turns = this.#turnsOf(entry, held, broker);
      held -= turns.held.length;
      wanted.push({ service: entry.name, isSchedules: false, most, turns });
    }
    return wanted;
  }

  /** With limits for each group, one of each at a time: what may not start is left to other brokers. */
  #turnsOf({ name, after }: ClaimedService, most: number, broker: DeliveryPort): ClaimedTurns {
    const rule = broker.groupRule(name);
    if (rule === null || !(rule.isLimited || rule.holds)) return { ...NO_TURNS, after };
    const held = this.#requests.dispatcher.heldGroups(name, most, broker);
    return { after, each: 1, held: held.map(ownOfGroup) };
  }

  /**
   * What no worker here had room for, or no place was for, in two looks: other brokers may have workers for it. The least
   * urgent go first.
   */
  #toRelease(broker: DeliveryPort): Release[] {
    const { dispatcher } = this.#requests;
    const released: Release[] = [];
    const crowded = new Set<string>();
    for (const { name, count, parked, most } of dispatcher.ready()) {
      const over = parked + Math.max(0, count - Math.min(most, broker.room(name)));
      if (over <= 0) continue;
      const key = name.toString('latin1');
      crowded.add(key);
      if (!this.#crowded.has(key)) continue;
      const entry = this.#services.get(key);
      if (entry !== undefined) entry.isEmpty = false;
      for (const slot of dispatcher.leastUrgent(
        name,
        Math.min(over, RELEASED_MAX - released.length),
      )) {
        released.push({
          uuid: dispatcher.index.uuid(slot),
          claim: dispatcher.index.get(slot, CLAIM),
        });
        dispatcher.step(slot, ENDED);
      }
    }
    this.#crowded = crowded;
    return released;
  }
}
