/**
 * Schedules (D80). Each is a record of its own kind; its body is the options and the body of its requests. Its
 * `notBefore` is the next due time, which is stored before anything of that due time is shown: a clock that is set
 * back makes nothing due again. When it is due, one transaction stores the request, under a key made of name and due
 * time, and advances the schedule to the next due time. Which states a schedule is in meanwhile is in
 * `schedule-fsm.ts`.
 *
 * Only what is small is in memory: the body is read when the schedule is due.
 */
import type { Asker, DeliveryPort, StoredBody } from '../../../broker/ports.js';
import { ownCopy } from '../../../core/bytes.js';
import type { WrittenLimits } from '../../../core/run-limits.js';
import { Frames } from '../../../core/frames.js';
import { pack, packedBytes, unpack } from '../../../core/packed.js';
import {
  readScheduled,
  scheduleKey,
  type TspScheduled,
  type TspSchedule,
} from '../../../wire/tsp.js';
import type { Acceptances } from '../requests/acceptances.js';
import { requestKey, uuidPrefix, type TitanicContext } from '../requests/context.js';
import { type DueFault, type DueTimes, firstDue, readDueTimes } from './due-times.js';
import { claimOf, continuedClaim } from '../requests/open-index.js';
import type { ChangeCallback, OpenRequests } from '../requests/open-requests.js';
import { OperatorLimits } from './limits.js';
import { Pauses, type PauseTarget } from './pauses.js';
import { chosenBy } from '../requests/options.js';
import { ScheduleCommands } from './schedule-commands.js';
import { isBeingDecided, isEnding, isOusted } from './schedule-fsm.js';
import {
  closeOf,
  keyOf,
  type Schedule,
  type ScheduleFacts,
  ScheduleTable,
} from './schedule-table.js';
import type { Scope } from '../requests/scope.js';
import { newRequest } from '../../../store/request.js';
import { extraOf, NO_PARTNER } from '../../../store/fields.js';
import { numberOfOutcome, type Outcome } from '../../../store/outcomes.js';
import { type OwnOf, ownOf, ownOfGroup, packOwn } from '../../../store/own-fields.js';
import {
  type NewRequest,
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  FIRST_CLAIM,
  type Release,
  type RequestUuid,
  type StoredRequest,
  type StoreFailure,
} from '../../../store/store.js';
import type { AnswerNumber } from '../requests/store-waits.js';
import type { Uuids } from '../requests/uuid.js';
import { STEP_MS } from '../requests/wall-clock.js';
import { acceptWebhook } from '../requests/webhooks.js';

/**
 * Maximum number whose requests are being stored at once, and of the bytes of their bodies; the first may
 * be larger. Owners take turns: one whose schedules are many delays the others by so many requests.
 */
const DUE_MAX = 32;
const DUE_BYTES_MAX = 8 * 1024 * 1024;
/** Maximum number that a turn looks at because they are due, their delay is over, or the clock was set. */
const TURN_DUE_MAX = 32;
const TURN_DELAYED_MAX = 256;
const TURN_CORRECTED_MAX = 256;
/** Delay after a due time when nothing can be stored. */
const DELAYED_MS = 5000;
/** How often all schedules of a shared store are listed. */
const LIST_MS = 5000;
const TOO_MANY: StoreFailure = { kind: 'busy', message: 'too many commands at once: try again' };
const ENDING: StoreFailure = { kind: 'busy', message: 'it is being ended or replaced: try again' };

/** What is stored for a time. */
interface Made {
  readonly accept: NewRequest & { claim?: number };
  /** What tells its webhook; `null`: it has none. */
  readonly webhook: NewRequest | null;
  /** Size of the request and its webhook. */
  readonly bytes: number;
}

/** @param stored the request that is stored; `null`: none */
export type FireCallback = (
  result: Parameters<ChangeCallback>[0],
  stored: RequestUuid | null,
) => void;

export class Schedules {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #acceptances: Acceptances;
  readonly #table: ScheduleTable;
  readonly #commands: ScheduleCommands;
  readonly #scope: Scope;
  readonly #pauses: Pauses;
  readonly limits: OperatorLimits;
  /** The number of this, or the next, list of all schedules: a shared store is listed again and again. */
  #list = 0;
  #isListing = true;
  #listsAgain = false;
  #listAt = Infinity;
  /** Schedules that have lost their names, of which the store could not be asked whether the younger ones are there. */
  #twins: Schedule[] = [];
  #loaded: { readonly schedule: Schedule; readonly body: Buffer }[] = [];
  /** Schedules that are still to be corrected after the clock was set. */
  #held: Schedule[] = [];
  /** Nothing was due in the last turn, because the clock was set (D110). */
  #wereHeld = false;

  /** @param scope of the activation */
  constructor(
    context: TitanicContext,
    requests: OpenRequests,
    uuids: Uuids,
    acceptances: Acceptances,
    scope: Scope,
    table: ScheduleTable = new ScheduleTable(),
  ) {
    this.#context = context;
    context.scheduled.clear();
    this.#table = table;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#acceptances = acceptances;
    this.#pauses = new Pauses(context, requests, uuids, () => this.#seen);
    this.limits = new OperatorLimits(context, requests, uuids, () => this.#seen);
    this.#scope = scope;
    this.#commands = new ScheduleCommands(context, requests, uuids, acceptances, this.#table, {
      read: (uuid, then) => this.#read([uuid], (bodies) => then(bodies?.[0]?.body ?? null)),
      ended: (schedule, reason) => this.#ended(schedule, reason),
      pauses: this.#pauses,
      made: (request, facts) => {
        // It may have been listed, and claimed in another session, before that was told.
        const schedule = this.#table.find(request.uuid) ?? this.#add(request, facts);
        if (schedule.claim === null) this.#own(schedule, FIRST_CLAIM);
        return schedule;
      },
    });
  }

  // ---------------------------------------------------------------- what clients ask for

  /**
   * @param frames that it was read from
   * @returns what is wrong with its times: then nothing is done, and nothing answered
   */
  schedule(id: AnswerNumber, asker: Asker, frames: Frames, read: TspSchedule): DueFault | null {
    const { name, cron, timeZone } = read;
    const own = { name, cron, timeZone, service: ownCopy(frames.view(read.service)) };
    const facts = factsOf(own);
    const due = firstDue(facts.times, this.#context.wall);
    if (typeof due !== 'number') return due;
    const body = new Frames();
    body.push(Buffer.from(read.text), 0, Buffer.byteLength(read.text));
    for (let at = read.body; at < frames.count; at++) {
      body.push(frames.buffer(at), frames.start(at), frames.end(at));
    }
    const packed = Buffer.allocUnsafeSlow(packedBytes(body, 0, body.count));
    pack(body, 0, body.count, packed, 0, false);
    const wanted = { own: packOwn('schedule', own), body: packed };
    this.#commands.schedule(id, asker, facts, wanted, this.#refresh());
    return null;
  }

  unschedule(id: AnswerNumber, asker: Asker, name: string): void {
    this.#commands.unschedule(id, asker, name, this.#refresh());
  }

  list(id: AnswerNumber, asker: Asker, after: string): void {
    this.#commands.list(id, asker, after, this.#refresh());
  }

  /** All schedules, for operators, in no order. */
  all(): Iterable<Schedule> {
    return this.#table.all();
  }

  /** The schedule with this uuid, or `null`. */
  find(uuid: RequestUuid): Schedule | null {
    const schedule = this.#table.find(uuid);
    const isNamed =
      schedule !== null && this.#table.named(schedule.owner, schedule.facts.name) === schedule;
    return isNamed ? schedule : null;
  }

  // ---------------------------------------------------------------- what operators pause

  isPaused(target: PauseTarget): boolean {
    return this.#pauses.has(target);
  }

  /** See `Pauses.set`. */
  setPaused(target: PauseTarget, isOn: boolean, decided: ChangeCallback): void {
    const schedule = target.kind === 'schedule' ? this.#table.find(target.of) : null;
    if (schedule !== null && isEnding(schedule.state)) {
      decided(ENDING);
      return;
    }
    const ended: ChangeCallback = (result) => {
      if (schedule?.state === 'GONE') this.#pauses.ended(schedule.uuid);
      decided(result);
    };
    this.#onceListed(ended, () => this.#pauses.set(target, isOn, this.isReady, ended));
  }

  /** See `OperatorLimits.set`. */
  setLimits(
    service: Buffer,
    written: WrittenLimits | null,
    by: string,
    decided: ChangeCallback,
  ): void {
    this.#onceListed(decided, () => this.limits.set(service, written, by, this.isReady, decided));
  }

  /** Has an operator's change made when it is known what other brokers have made and ended. It is answered in time. */
  #onceListed(decided: ChangeCallback, change: () => void): void {
    const list = this.#context.claims !== null && this.isReady ? this.#refresh() : null;
    if (list === null) {
      change();
      return;
    }
    const { answer, decided: inTime } = this.#requests.inTime(decided);
    const { waits } = this.#requests.answers;
    const waitsForIt = this.#commands.beginAfter(list, () => {
      if (waits.ends(answer) !== null) change();
    });
    if (!waitsForIt) inTime(TOO_MANY);
  }

  /**
   * Stores its request now, beside those of its due times, also if it is paused.
   * @param decided `passed`: there is no such schedule
   */
  fire(uuid: RequestUuid, broker: DeliveryPort, decided: FireCallback): void {
    const schedule = this.#table.find(uuid);
    if (schedule === null) {
      decided('passed', null);
      return;
    }
    this.#read([uuid], (bodies) => {
      const stored = bodies?.[0] ?? null;
      if (bodies === null) decided({ kind: 'busy', message: 'the store cannot be read' }, null);
      else if (stored === null) decided('passed', null);
      else this.#fireNow(schedule, unpacked(stored.body), broker, decided);
    });
  }

  #fireNow(schedule: Schedule, frames: Frames, broker: DeliveryPort, decided: FireCallback): void {
    const { owner } = schedule;
    const read = readScheduled(frames);
    if (read.fault !== null) {
      decided({ kind: 'busy', message: read.fault }, null);
      return;
    }
    const { accept, webhook, bytes } = this.#requestAt(schedule, this.#context.wall, frames, read);
    const { service } = accept.request;
    const { quotas } = broker.ownerRightsOf(keyOf(owner), service);
    const who = { owner, quotas, memory: null };
    const obstacle =
      this.#requests.obstacle() ??
      this.#acceptances.limit(who, bytes, service, webhook === null ? 1 : 2);
    if (obstacle !== null) {
      decided({ kind: 'busy', message: obstacle }, null);
      return;
    }
    this.#acceptances.count(who, bytes, 1, service);
    const ended = (result: ChangeResult | null): void => {
      this.#acceptances.count(who, bytes, -1, service);
      if (result !== null) this.#acceptances.stored(accept, webhook, owner, result);
    };
    const { uuid } = accept.request;
    this.#requests.order(accept, ended, (result) => decided(result, uuid), webhook);
  }

  // ---------------------------------------------------------------- schedules come and go

  /** All schedules in the store are known; until then none of them is due. */
  get isReady(): boolean {
    return this.#list > 0;
  }

  /** All pending requests, or all schedules, have been listed. */
  allListed(): void {
    for (const schedule of this.#table.whole) {
      // Another broker ended it.
      if (schedule.listed < this.#list && !isBeingDecided(schedule.state)) {
        this.#ended(schedule, 'closed');
      }
    }
    this.#pauses.allListed(this.#list);
    this.limits.allListed(this.#list);
    this.#endLeftPauses();
    for (const older of this.#twins.splice(0)) if (isOusted(older.state)) this.#endIfTwin(older);
    this.#list++;
    this.#isListing = false;
    const pauseMs = this.#context.claims === null ? Infinity : this.#listsAgain ? 0 : LIST_MS;
    this.#listAt = this.#context.now + pauseMs;
    this.#listsAgain = false;
  }

  /** Ends the pauses of schedules that are not in the store: a process may have ended between the two ends. */
  #endLeftPauses(): void {
    const left = this.#pauses.schedules.filter((uuid) => this.#table.find(uuid) === null);
    if (left.length === 0) return;
    // One that this version cannot read is there.
    this.#read(left, (bodies) => {
      for (const [at, uuid] of left.entries()) if (bodies?.[at] === null) this.#pauses.ended(uuid);
    });
  }

  /**
   * Other brokers may have changed schedules: nothing is said about them before all are listed. What is
   * due does not wait for that, however often somebody asks.
   * @returns the list that a command waits for; `null`: it need not wait
   */
  #refresh(): number | null {
    if (this.#context.claims === null) return this.isReady ? null : 0;
    if (!this.#isListing) {
      this.#listAt = Math.min(this.#listAt, this.#context.now);
      return this.#list;
    }
    // The one that is under way may have begun too early: another one follows it.
    this.#listsAgain = true;
    return this.#list + 1;
  }

  /** What is known now is in the list that is under way, or in the one before the next. */
  get #seen(): number {
    return this.#isListing ? this.#list : this.#list - 1;
  }

  /** True if all schedules are to be listed now. */
  takeList(): boolean {
    if (this.#context.now < this.#listAt) return false;
    this.#listAt = Infinity;
    this.#isListing = true;
    return true;
  }

  /** The schedules that this broker has claimed. */
  get claimed(): readonly Release[] {
    return this.#table.whole.flatMap(({ uuid, claim }) => (claim === null ? [] : { uuid, claim }));
  }

  #own(schedule: Schedule, claim: number): void {
    schedule.claim = claim;
    schedule.listed = this.#seen;
    this.#table.step(schedule, 'claimed');
  }

  /** Starts with another session, which has claimed no schedule yet. */
  disown(): void {
    for (const schedule of this.#table.whole) {
      schedule.claim = null;
      this.#table.step(schedule, 'disowned');
    }
  }

  /**
   * Takes up a schedule of the store: listed, or merged from the other node of the pair. In a
   * shared store, what a claimed schedule is due for is stored by this broker.
   */
  restore(request: StoredRequest, claimed: ClaimedRequest | null): void {
    const schedule = this.#restore(request);
    if (schedule !== null && claimed !== null) this.#own(schedule, claimed.claim);
  }

  /** See `Pauses.restore`. */
  restorePause(request: StoredRequest): void {
    this.#pauses.restore(request);
  }

  #restore(request: StoredRequest): Schedule | null {
    const known = this.#table.find(request.uuid);
    if (known === null) {
      const own = ownOf('schedule', request.own);
      if (own === null) {
        this.#unreadable(request, 'it is no schedule that this version knows');
        return null;
      }
      const added = this.#add(request, factsOf(own));
      this.#correct(added);
      return added;
    }
    known.listed = this.#seen;
    const { attempts, notBefore } = request;
    // What a shared store says of the same step again was corrected here, if the clock was set.
    if (this.#context.claims !== null && attempts <= known.attempts) return known;
    // It never goes back: what was due is not due again.
    this.#table.step(known, 'moved', Math.max(known.due, notBefore));
    if (attempts > known.attempts) {
      const { outcome, outcomeAt } = request;
      Object.assign(known, { attempts, outcome, outcomeAt });
    }
    return known;
  }

  #add(request: StoredRequest, facts: ScheduleFacts): Schedule {
    const claim = this.#context.claims === null ? 0 : null;
    const schedule = this.#table.add(request, facts, claim);
    schedule.listed = this.#seen;
    this.#name(schedule);
    if (claim !== null) this.#table.step(schedule, 'claimed');
    return schedule;
  }

  /** Drops a schedule, pause or limit that was closed, by whomever. */
  gone(uuid: RequestUuid): void {
    this.#pauses.gone(uuid);
    this.limits.gone(uuid);
    const schedule = this.#table.find(uuid);
    if (schedule !== null) this.#ended(schedule, 'closed');
  }

  #ended(schedule: Schedule, reason: string): void {
    if (schedule.state === 'GONE') return;
    this.#table.step(schedule, 'forgotten');
    this.#follow(schedule, null);
    this.#pauses.ended(schedule.uuid);
    this.#context.events.emit({ name: 'schedule.ended', reason, ...schedule.named });
  }

  /** Has a schedule hear how its last request ends. @param request `null`: its last due time has none */
  #follow(schedule: Schedule, request: RequestUuid | null): void {
    const { scheduled } = this.#context;
    if (schedule.request !== null) scheduled.delete(schedule.request);
    schedule.request = request === null ? null : requestKey(request);
    schedule.ending = null;
    if (schedule.request !== null) scheduled.set(schedule.request, schedule);
  }

  // ---------------------------------------------------------------- reads

  /** Reads bodies from the store. @param then gets `null` if the read failed */
  #read(
    uuids: readonly RequestUuid[],
    then: (bodies: readonly (StoredBody | null)[] | null) => void,
  ): void {
    const completion = this.#scope.completion(then, () => then(null));
    this.#context.store.load(uuids, completion);
  }

  #unreadable({ uuid }: Pick<StoredRequest, 'uuid'>, text: string): void {
    const { events } = this.#context;
    events.emit({ name: 'schedule.unreadable', uuid: uuidPrefix(uuid), text });
  }

  /** Two nodes that could not see each other made one of the same name: the younger one stays. */
  #name(schedule: Schedule): void {
    const older = this.#table.name(schedule);
    if (older !== schedule && isOusted(schedule.state)) this.#table.step(schedule, 'named');
    if (older === null) return;
    this.#table.step(older, 'ousted');
    if (this.#context.claims === null) this.#closeOlder(older);
    else this.#endIfTwin(older);
  }

  /**
   * In a shared store, the younger one may be gone: another broker, whose clock is behind, has put the
   * other one in its place. Then the name is free, for one that is still in the store.
   */
  #endIfTwin(older: Schedule): void {
    const younger = this.#table.named(older.owner, older.facts.name);
    if (younger === null) {
      this.#name(older);
      return;
    }
    this.#read([younger.uuid, older.uuid], (bodies) => {
      if (older.state === 'GONE') return;
      const [ofYounger, ofOlder] = bodies ?? [];
      if (bodies === null) this.#twins.push(older);
      else if (ofOlder === null) this.#ended(older, 'closed');
      else if (ofYounger !== null) this.#closeOlder(older);
      else {
        this.#ended(younger, 'closed');
        this.#name(older);
      }
    });
  }

  #closeOlder(older: Schedule): void {
    this.#requests.commit({
      ...{ change: closeOf(older, this.#context.wall), party: older.owner, bytes: 0 },
      ended: ({ kind }) => {
        if (kind === 'made') this.#ended(older, 'a younger one has its name');
        return kind !== 'made';
      },
    });
  }

  // ---------------------------------------------------------------- a turn

  /** Milliseconds until `run` is due if no input arrives; Infinity for never. */
  dueInMs(now: number, wall: number): number {
    if (this.limits.isChanged) return 0;
    if (!this.isReady) return Math.max(0, this.#listAt - now);
    if (this.#pauses.isChanged || this.#loaded.length > 0 || this.#held.length > 0) return 0;
    if (this.#commands.areDue(this.#list - 1)) return 0;
    const delayedUntil = this.#table.firstDelayed?.delayedUntil ?? Infinity;
    const delayedMs = Math.min(delayedUntil, this.#listAt) - now;
    const dueMs = this.#mayBegin ? this.#table.dueAt - wall : Infinity;
    return Math.max(0, Math.min(delayedMs, dueMs));
  }

  get #mayBegin(): boolean {
    const { inFlight, inFlightBytes } = this.#table;
    const hasRoom = inFlight < DUE_MAX && inFlightBytes < DUE_BYTES_MAX;
    return this.#requests.mayWork && hasRoom && !this.#context.clock.wasSet;
  }

  run(broker: DeliveryPort): void {
    this.#pauses.run(broker, this.isReady);
    this.limits.run(broker);
    this.#release();
    if (!this.isReady) return;
    this.#commands.run(this.#list - 1);
    const loaded = this.#loaded;
    this.#loaded = [];
    for (const { schedule, body } of loaded) this.#fire(schedule, body, broker);
    this.#resumeDelayed();
    this.#begin(broker);
  }

  /** What a step of the clock held goes on by the new time. */
  #release(): void {
    const { wasSet } = this.#context.clock;
    if (this.#wereHeld && !wasSet) this.#held = this.#table.whole;
    this.#wereHeld = wasSet;
    for (const schedule of this.#held.splice(0, TURN_CORRECTED_MAX)) this.#correct(schedule);
  }

  /**
   * By a clock that was ahead it is due later than its line says now. A time that comes again is not stored again, as
   * long as its key is remembered.
   */
  #correct(schedule: Schedule): void {
    const { wall, clock } = this.#context;
    const { times } = schedule.facts;
    if ('fault' in times || clock.isHeld) return;
    const next = times.next(wall + STEP_MS);
    if (next !== null) this.#table.step(schedule, 'moved', Math.min(schedule.due, next));
  }

  #resumeDelayed(): void {
    for (let left = TURN_DELAYED_MAX; left > 0; left--) {
      const first = this.#table.firstDelayed;
      if (first === null || first.delayedUntil > this.#context.now) return;
      this.#table.step(first, 'waited');
    }
  }

  #begin(broker: DeliveryPort): void {
    this.#table.becomeDue(this.#context.wall);
    const begun: Schedule[] = [];
    for (let left = TURN_DUE_MAX; left > 0 && this.#mayBegin; left--) {
      const schedule = this.#table.nextDue();
      if (schedule === null) break;
      if (this.#hasNoRoom(schedule, broker)) continue;
      begun.push(schedule);
      this.#table.step(schedule, 'taken');
    }
    if (begun.length === 0) return;
    const uuids = begun.map(({ uuid }) => uuid);
    this.#read(uuids, (bodies) => {
      for (const [at, schedule] of begun.entries()) {
        const stored = bodies?.[at] ?? null;
        // It may be ended, or claimed by another broker.
        if (schedule.state !== 'LOADING') continue;
        if (stored !== null) this.#loaded.push({ schedule, body: stored.body });
        else if (bodies === null) this.#putOff(schedule);
        // It is no longer in the store.
        else this.#table.step(schedule, 'forgotten');
      }
    });
  }

  /**
   * Whether the request of a schedule cannot be stored now; then its body is not read: thousands may be
   * due while a limit is reached, and each is tried again every few seconds.
   */
  #hasNoRoom(schedule: Schedule, broker: DeliveryPort): boolean {
    const { owner, facts, requestBytes } = schedule;
    const { mayRequest, quotas } = broker.ownerRightsOf(keyOf(owner), facts.service);
    // Without the right nothing is to be stored.
    return mayRequest && this.#isDelayed(schedule, quotas, requestBytes);
  }

  /** Puts a schedule off if a request of that size cannot be stored now. @returns whether it did */
  #isDelayed(schedule: Schedule, quotas: Asker['quotas'], bytes: number, more = 1): boolean {
    const { owner, facts } = schedule;
    const who = { owner, quotas, memory: null };
    const obstacle =
      this.#requests.obstacle(owner) ?? this.#acceptances.limit(who, bytes, facts.service, more);
    if (obstacle === null) return false;
    this.#putOff(schedule);
    const { counters, events } = this.#context;
    counters.schedules.delayed++;
    events.emit({ name: 'schedule.delayed', text: obstacle, ...schedule.named });
    return true;
  }

  #putOff(schedule: Schedule): void {
    schedule.delayedUntil = this.#context.now + DELAYED_MS;
    this.#table.step(schedule, 'put off');
  }

  // ---------------------------------------------------------------- a due time

  #fire(schedule: Schedule, packed: Buffer, broker: DeliveryPort): void {
    const { wall, clock } = this.#context;
    const { facts, state, due: at } = schedule;
    if (state !== 'LOADING') return;
    // It was moved on by a merge, or the clock was set.
    if (at > wall || clock.wasSet) {
      this.#table.step(schedule, 'put back');
      return;
    }
    const frames = unpacked(packed);
    const read = readScheduled(frames);
    const { times, service } = facts;
    if (read.fault !== null || 'fault' in times) {
      // Another node, or a later version of Node.js, may know the time zone.
      this.#putOff(schedule);
      const fault = 'fault' in times ? times.fault : read.fault;
      this.#unreadable(schedule, fault ?? '');
      return;
    }
    const due = times.latest(schedule.due, wall);
    const rights = broker.ownerRightsOf(keyOf(schedule.owner), service);
    if (this.#pauses.has({ kind: 'schedule', of: schedule.uuid })) {
      this.#skip(schedule, due, times, 'paused');
    } else if (rights.mayRequest) {
      this.#store(schedule, due, times, frames, read, rights.quotas);
    } else {
      this.#skip(schedule, due, times, 'denied');
    }
  }

  /** Begins the schedule's step after a due time. @returns what is done when the change is committed, too */
  #step(
    schedule: Schedule,
    due: number,
    times: DueTimes,
    what: Outcome,
  ): { readonly change: Change; readonly stepped: () => void } {
    const { wall } = this.#context;
    const next = times.next(wall);
    this.#table.step(schedule, 'begun');
    if (next === null) {
      const stepped = (): void => this.#ended(schedule, 'it is never due again');
      return { change: closeOf(schedule, wall), stepped };
    }
    const { uuid, generation } = schedule;
    const attempts = schedule.attempts + 1;
    const outcome = numberOfOutcome(what);
    const change: Change = {
      kind: 'advance',
      uuid,
      generation,
      attempts,
      notBefore: next,
      expiresAt: 0,
      outcome,
      outcomeAt: due,
      ...continuedClaim(claimOf(schedule.claim ?? 0)),
    };
    const stepped = (): void => {
      if (attempts > schedule.attempts) {
        Object.assign(schedule, { attempts, outcome, outcomeAt: due });
      }
      this.#table.step(schedule, 'stored', Math.max(schedule.due, next));
      // The clock may have been set meanwhile.
      this.#correct(schedule);
    };
    return { change, stepped };
  }

  #skip(schedule: Schedule, due: number, times: DueTimes, why: 'denied' | 'paused'): void {
    const { change, stepped } = this.#step(schedule, due, times, why);
    this.#requests.commit({
      ...{ change, party: schedule.owner, bytes: 0 },
      ended: ({ kind }) => {
        if (kind !== 'made') {
          this.#putOff(schedule);
          return false;
        }
        if (why === 'denied') {
          const { counters, events } = this.#context;
          counters.schedules.denied++;
          events.emit({ name: 'schedule.denied', due: timeText(due), ...schedule.named });
        }
        this.#follow(schedule, null);
        stepped();
        return false;
      },
    });
  }

  /** What is stored for a time. */
  #requestAt({ owner, facts }: Schedule, at: number, frames: Frames, read: TspScheduled): Made {
    const extra = extraOf(read.options.headers, read.options);
    const bodyBytes = packedBytes(frames, read.body, frames.count);
    const body = Buffer.allocUnsafeSlow(bodyBytes);
    pack(frames, read.body, frames.count, body, 0, false);
    const { wall } = this.#context;
    const { webhook: url } = read.options;
    const request = newRequest(this.#uuids.next(wall), bodyBytes, {
      kind: 'request',
      service: facts.service,
      owner,
      own: ownOfGroup(read.options.group),
      partner: url === null ? NO_PARTNER : this.#uuids.next(wall),
      ...chosenBy(read.options, this.#context),
    });
    const key = scheduleKey(facts.name, timeText(at));
    const { replyTtlMs } = this.#context.options;
    const webhook = url === null ? null : acceptWebhook(request, url, replyTtlMs);
    return {
      accept: { kind: 'accept', request, body, key, ...(extra === null ? {} : { extra }) },
      webhook,
      bytes: request.bodyBytes + (extra?.length ?? 0) + (webhook?.request.bodyBytes ?? 0),
    };
  }

  #store(
    schedule: Schedule,
    due: number,
    times: DueTimes,
    frames: Frames,
    read: TspScheduled,
    quotas: Asker['quotas'],
  ): void {
    const { owner } = schedule;
    const { accept, webhook, bytes } = this.#requestAt(schedule, due, frames, read);
    const { request } = accept;
    schedule.requestBytes = bytes;
    if (this.#isDelayed(schedule, quotas, bytes, webhook === null ? 1 : 2)) return;
    const who = { owner, quotas, memory: null };
    const { change: step, stepped } = this.#step(schedule, due, times, 'stored');
    this.#acceptances.count(who, bytes, 1, request.service);
    const decided = (): void => {
      this.#acceptances.count(who, bytes, -1, request.service);
      if (accept.claim !== undefined) this.#acceptances.decided(request);
    };
    this.#requests.commit({
      ...{ change: accept, party: owner, bytes },
      before: webhook === null ? [step] : [step, webhook],
      begins: () => {
        if (this.#acceptances.claims(request)) accept.claim = FIRST_CLAIM;
      },
      ended: (outcome) => {
        decided();
        if (outcome.kind !== 'made') {
          this.#putOff(schedule);
          return false;
        }
        const { result } = outcome;
        this.#context.counters.schedules.stored++;
        stepped();
        if (schedule.state !== 'GONE') {
          this.#follow(schedule, result.kind === 'known' ? result.uuid : request.uuid);
        }
        // Perhaps it was stored before, by this node or by the other one of the pair.
        this.#acceptances.stored(accept, webhook, owner, result);
        return false;
      },
    });
  }
}

function factsOf(own: OwnOf<'schedule'>): ScheduleFacts {
  return { ...own, times: readDueTimes(own.cron, own.timeZone) };
}

/** A time as keys, events and answers name it. */
function timeText(wall: number): string {
  return new Date(wall).toISOString();
}

function unpacked(body: Buffer): Frames {
  const frames = new Frames();
  unpack(body, 0, body.length, frames);
  return frames;
}
