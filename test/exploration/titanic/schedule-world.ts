/**
 * A world around the machine's schedules, in which everything waits until it is told to happen: the store, its
 * reads and lists, commands of clients, the other node of a pair, the other brokers of a shared store, the clock.
 * The machine in it is the real one, from the commands to the writer; the store is that of the tests.
 */
import { PLAIN } from '../../../src/broker/request-counters.js';
import type { BrokerHost, DeliveryPort } from '../../../src/broker/ports.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { present } from '../../../src/core/assert.js';
import { CountedServices } from '../../../src/core/counted-services.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { newRequest } from '../../../src/store/request.js';
import {
  ANY_OWNER,
  type Change,
  type ChangeResult,
  type Completion,
  type StoredContent,
  type StoredRequest,
} from '../../../src/store/store.js';
import { NO_PARTNER } from '../../../src/store/fields.js';
import { numberOfOutcome } from '../../../src/store/outcomes.js';
import { ownOf, packOwn } from '../../../src/store/own-fields.js';
import { isWork } from '../../../src/store/record-kind.js';
import { MemoryNodeTables } from '../../support/memory-node-tables.js';
import { Acceptances } from '../../../src/titanic/machine/requests/acceptances.js';
import { SCHEDULE_SERVICE, TitanicContext } from '../../../src/titanic/machine/requests/context.js';
import { Dispatcher } from '../../../src/titanic/machine/requests/dispatcher.js';
import { OpenRequests } from '../../../src/titanic/machine/requests/open-requests.js';
import type { BatchOutcome } from '../../../src/titanic/machine/requests/replica.js';
import {
  HELD,
  isOusted,
  isStoring,
  type Table,
} from '../../../src/titanic/machine/schedules/schedule-fsm.js';
import {
  type Schedule,
  ScheduleTable,
} from '../../../src/titanic/machine/schedules/schedule-table.js';
import { Schedules } from '../../../src/titanic/machine/schedules/schedules.js';
import { Scope } from '../../../src/titanic/machine/requests/scope.js';
import { Upkeep } from '../../../src/titanic/machine/upkeep.js';
import { Uuids } from '../../../src/titanic/machine/requests/uuid.js';
import { readTspSchedule } from '../../../src/wire/tsp.js';
import { asker } from '../../support/asker.js';
import { seededRandom } from '../../support/stage-random.js';
import { type Explored, Fault, hold } from './search.js';

/** How often what need not happen may happen. */
export interface Budget {
  /** Minutes that pass: each schedule is due every minute. */
  readonly minutes: number;
  /** Commands that make a schedule, or replace one; and that end one. */
  readonly makes: number;
  readonly unmakes: number;
  /** Batches that are rolled back. */
  readonly failures: number;
  readonly unread: number;
  readonly restarts: number;
  /** How often the clock is set, an hour back or ahead. */
  readonly steps: number;
  /** What the other node of a pair made, ended or stored, that could not be seen before. */
  readonly merges: number;
  /** Sessions with a shared store that end. */
  readonly sessions: number;
  /** What other brokers of a shared store do. */
  readonly others: number;
  /** How often a shared store is listed without need. */
  readonly lists: number;
  /** How often a quota is used up. */
  readonly fulls: number;
  /** Schedules that an operator pauses. */
  readonly pauses: number;
}

export interface Setting extends Budget {
  readonly isShared: boolean;
  /** How many names there are; in the beginning, each has a schedule in the store. */
  readonly names: number;
  /**
   * The world begins when these are due, and their requests are on their way to the store, or wait there for a batch: an
   * operator has paused the first one.
   */
  readonly begins?: 'storing' | 'queued';
}

type Action = readonly [name: keyof ScheduleWorld, at: number, takes?: keyof Budget];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = 1_800_000_000_000;
const FAR_MS = START_MS + 1e12;
const BUSY = { kind: 'busy', message: 'the store is busy' } as const;

interface Batch {
  readonly changes: readonly Change[];
  readonly outcome: BatchOutcome<readonly ChangeResult[]>;
  results: readonly ChangeResult[] | null;
}

/** What one activation of the machine consists of. */
interface Machine {
  readonly context: TitanicContext;
  readonly scope: Scope;
  readonly requests: OpenRequests;
  readonly table: ScheduleTable;
  readonly schedules: Schedules;
  readonly upkeep: Upkeep;
}

function none(): never {
  throw new Fault('nothing is sent here');
}

export class ScheduleWorld implements Explored {
  readonly #setting: Setting;
  readonly #fsm: Table;
  readonly #left: Record<keyof Budget, number>;
  readonly #tables = new MemoryNodeTables();
  /** All schedules there ever were, in the order in which they became known. */
  readonly #uuids: string[] = [];
  /** The claims of a shared store: that of this broker, and how often each was claimed. */
  readonly #claims = new Map<string, { isOurs: boolean; number: number }>();
  #batches: Batch[] = [];
  #waiting: string[] = [];
  #reads: {
    readonly uuids: readonly Buffer[];
    readonly completion: Completion<readonly (StoredContent | null)[]>;
  }[] = [];
  /** What a list of all schedules tells; `null`: none is under way. */
  #list: readonly StoredRequest[] | null = null;
  /** Answers to each command. */
  #answers: number[] = [];
  /** How many lists were told since each command came, and whether one was under way then. */
  #lists: { readonly isLate: boolean; told: number }[] = [];
  readonly #clock = { wasSet: false, isHeld: false, isBehind: false, aheadMs: () => 0 };
  #now = 0;
  #wall = START_MS;
  #isFull = false;
  #lastUuid = 0;
  #versions = 0;
  #machine: Machine;

  constructor(setting: Setting, fsm: Table) {
    this.#setting = setting;
    this.#fsm = fsm;
    this.#left = { ...setting };
    this.#tables.open();
    for (let n = 0; n < setting.names; n++) this.#enter(n, START_MS);
    this.#machine = this.#begin();
    if (setting.begins !== undefined) this.#store(setting.begins === 'queued');
  }

  #store(isQueued: boolean): void {
    this.tellList();
    this.turn();
    this.read(0);
    if (this.#setting.isShared) for (const at of this.#pending.keys()) this.claim(at);
    if (isQueued) this.pauseSchedule(0);
    this.turn();
    this.pass();
    this.turn();
    this.read(0);
    this.turn();
  }

  // ---------------------------------------------------------------- the machine

  #begin(): Machine {
    const { isShared } = this.#setting;
    const context = new TitanicContext(
      {
        ...{ maxAttempts: 2, retryBaseMs: 10, retryMaxMs: 10, replyTtlMs: 1e9, requestTtlMs: 1e9 },
        ...{ keyTtlMs: 1e9, maxInFlight: 1, inFlightBytes: 1e9, maxOpen: 1e6, maxBytes: 1e9 },
      },
      {
        list: () => undefined,
        load: (uuids, completion) => {
          this.#reads.push({ uuids, completion });
        },
        lookUp: () => undefined,
      },
      {
        ...{ isPaired: false, silence: null, answerMs: Infinity, refusal: null, probe: () => 0 },
        ...{ batchesMax: isShared ? 2 : 1, batchBytesMax: 1e6 },
        commit: (changes, outcome) => {
          this.#batches.push({ changes, outcome, results: null });
          this.#waiting = this.#waiting.slice(changes.length);
          return false;
        },
      },
      { emit: () => undefined },
      new CountedServices(PLAIN),
      isShared
        ? { claim: () => undefined, listKept: () => undefined, hint: () => undefined }
        : null,
    );
    Object.defineProperty(context, 'clock', { value: this.#clock });
    context.isActive = true;
    context.now = this.#now;
    context.wall = this.#wall;
    context.nextNumber = this.#tables.counts.nextNumber;
    const scope = new Scope();
    const table = new ScheduleTable(this.#fsm);
    const dispatcher = new Dispatcher(context, scope, seededRandom(1));
    const requests = new OpenRequests(context, scope, dispatcher, {
      services: {
        commitOf: () => {
          throw new Fault('nothing is submitted here');
        },
      },
      get schedules() {
        return schedules;
      },
    });
    const uuids = new Uuids((bytes) => {
      for (let at = 0; at < bytes.length; at += 16) bytes.writeUInt32BE(++this.#lastUuid, at + 12);
    });
    const accepting = new Acceptances(context, requests, null);
    const schedules: Schedules = new Schedules(context, requests, uuids, accepting, scope, table);
    this.#watchWriter(requests);
    this.#list = this.#pending;
    const upkeep = new Upkeep(context, requests, schedules);
    return { context, scope, requests, table, schedules, upkeep };
  }

  /** What waits for a batch is part of the state. */
  #watchWriter(requests: OpenRequests): void {
    const { writer } = requests;
    const add = writer.add.bind(writer);
    writer.add = (intent, now) => {
      const changes = [...(intent.before ?? []), intent.change];
      for (const change of changes) this.#checkIntent(change);
      this.#waiting.push(...changes.map((change) => this.#named(change)));
      add(intent, now);
    };
  }

  #checkIntent(change: Change): void {
    const { table } = this.#machine;
    if (change.kind === 'advance') {
      const schedule = table.find(change.uuid);
      hold(schedule?.state === 'STORING', 'a step of one that is not STORING');
      hold(!this.#clock.wasSet, 'it is due while the clock is not trusted');
      hold(change.outcomeAt <= this.#wall, 'it is stored before its time');
      hold(change.notBefore > this.#wall, 'it is due again at once');
      if (this.#setting.isShared) hold(change.claim !== undefined, 'it is stored without a claim');
    }
  }

  /** Such a change of it is on its way to the store, or was there and is not told of yet. */
  #isUnderWay(kind: 'advance' | 'close', uuid: Buffer): boolean {
    const inBatches = this.#batches.flatMap(({ changes }) =>
      changes.map((change) => this.#named(change)),
    );
    return [...this.#waiting, ...inBatches].includes(`${kind} ${this.#at(uuid)}`);
  }

  // ---------------------------------------------------------------- the store

  get #pending(): StoredRequest[] {
    return this.#tables
      .pending()
      .filter(({ kind }) => !isWork(kind))
      .map((request) => ({ ...request }));
  }

  #commit(changes: readonly Change[]): ChangeResult[] {
    const number = this.#tables.last + 1;
    return this.#tables.commit({ number, tombstones: 'none', holds: null, peerHolds: 0 }, changes);
  }

  #applied(change: Change): ChangeResult {
    const name = 'uuid' in change ? change.uuid.toString('hex') : '';
    const claim = this.#claims.get(name);
    if (change.kind === 'advance' && this.#setting.isShared) {
      const isOurs = claim?.isOurs === true && claim.number === change.claim;
      if (!isOurs) return { kind: 'passed' };
    }
    const result = present(this.#commit([change])[0], 'a result');
    if (change.kind === 'accept' && !isWork(change.request.kind)) {
      const isOurs = change.claim !== undefined;
      this.#claims.set(change.request.uuid.toString('hex'), { isOurs, number: change.claim ?? 0 });
    }
    const isStored = change.kind === 'accept' && change.key !== null;
    const { restarts, steps, merges, sessions, others } = this.#setting;
    const isSure = restarts + steps + merges + sessions + others === 0;
    if (isStored && isSure) hold(result.kind !== 'known', 'what was due is due again');
    return result;
  }

  /** Not by this machine: another one made it. @returns the request that stands for it */
  #enter(n: number, acceptedAt: number): StoredRequest {
    const uuid = Buffer.alloc(16);
    uuid.writeUInt32BE(++this.#lastUuid, 12);
    const frames = Frames.of(Buffer.from('{}'), Buffer.from('hi'));
    const body = Buffer.alloc(packedBytes(frames, 0, frames.count));
    pack(frames, 0, frames.count, body, 0, false);
    const line = { name: `n${n}`, cron: '* * * * *', timeZone: 'UTC' };
    const notBefore = Math.floor(this.#wall / MINUTE_MS + 1) * MINUTE_MS;
    const request = newRequest(uuid, body.length, {
      ...{ kind: 'schedule', partner: NO_PARTNER, service: SCHEDULE_SERVICE },
      ...{ owner: 'anonymous', isShared: false, priority: 0 },
      own: packOwn('schedule', { ...line, service: Buffer.from('echo') }),
      ...{ maxAttempts: 1, acceptedAt, notBefore, expiresAt: FAR_MS },
    });
    request.number = this.#tables.counts.nextNumber;
    this.#commit([{ kind: 'accept', request, body, key: null }]);
    return present(this.#tables.entry(uuid), 'a schedule').request;
  }

  /** A command that makes a schedule: each says something else. */
  #framesOf(n: number): Frames {
    const options = { name: `n${n}`, cron: '* * * * *', priority: this.#versions++ % 10 };
    const frames = new Frames();
    for (const part of [JSON.stringify(options), 'echo', 'hi']) {
      frames.push(Buffer.from(part), 0, part.length);
    }
    return frames;
  }

  // ---------------------------------------------------------------- what may happen now

  get actions(): Action[] {
    const { isShared, names } = this.#setting;
    const actions: Action[] = [
      ['turn', 0],
      ['restart', 0, 'restarts'],
      ['pass', 0, 'minutes'],
    ];
    for (const at of this.#reads.keys()) actions.push(['read', at], ['cannotRead', at, 'unread']);
    for (const [at, { results }] of this.#batches.entries()) {
      if (results !== null) actions.push(['report', at]);
      else {
        actions.push(['apply', at], ['rollBack', at, 'failures']);
        break;
      }
    }
    for (let n = 0; n < names; n++) actions.push(['make', n, 'makes'], ['unmake', n, 'unmakes']);
    if (this.#list !== null) actions.push(['tellList', 0]);
    if (this.#clock.wasSet) actions.push(['trustClock', 0]);
    else actions.push(['setBack', 0, 'steps'], ['setAhead', 0, 'steps']);
    if (this.#isPausing) actions.push(['wait', 0]);
    actions.push(this.#isFull ? ['free', 0] : ['fill', 0, 'fulls']);
    const rows = this.#pending;
    // What its store has committed, or listed, before is told of before.
    const isTold = this.#list === null && this.#batches.every(({ results }) => results === null);
    const mayMerge = !isShared && isTold;
    for (const [at, { uuid, notBefore }] of rows.entries()) {
      const isDue = notBefore <= this.#wall;
      actions.push(['pauseSchedule', at, 'pauses']);
      if (mayMerge) {
        actions.push(['mergeEnd', at, 'merges']);
        if (isDue) actions.push(['mergeStep', at, 'merges']);
      }
      if (isShared && this.#claims.get(uuid.toString('hex'))?.isOurs !== true) {
        actions.push(['claim', at]);
        if (isDue) actions.push(['otherStep', at, 'others']);
      }
      if (isShared) actions.push(['otherEnd', at, 'others']);
    }
    for (let n = 0; n < names; n++) {
      if (isShared) {
        actions.push(['otherMake', n, 'others'], ['otherMakeLate', n, 'others']);
        actions.push(['otherTwin', n, 'others']);
      }
      if (mayMerge) actions.push(['mergeYounger', n, 'merges'], ['mergeOlder', n, 'merges']);
    }
    if (isShared) actions.push(['loseSession', 0, 'sessions'], ['list', 0, 'lists']);
    return actions.filter(([, , takes]) => takes === undefined || this.#left[takes] > 0);
  }

  get #isPausing(): boolean {
    const { requests, table, schedules } = this.#machine;
    const { writer } = requests;
    const isDelayed = (table.firstDelayed?.delayedUntil ?? 0) > this.#now;
    const dueInMs = schedules.dueInMs(this.#now, this.#wall);
    const readsAgain = !schedules.isReady && dueInMs > 0 && dueInMs < Infinity;
    if (requests.trouble !== null && writer.isIdle) return true;
    return isDelayed || readsAgain || !writer.mayRetry(this.#now);
  }

  do([name, at, takes]: Action, isChecked = true): void {
    if (takes !== undefined) this.#left[takes]--;
    (this[name] as (at: number) => void)(at);
    if (isChecked) this.#check();
  }

  #runs(now: number, wall: number): void {
    this.#now = now;
    this.#wall = wall;
    this.#machine.context.now = now;
    this.#machine.context.wall = wall;
  }

  turn(): void {
    const { requests, schedules, context } = this.#machine;
    requests.show();
    if (this.#setting.isShared && this.#list === null && schedules.takeList()) {
      this.#list = this.#pending;
    }
    schedules.run(this.#embedded);
    requests.writer.run(context.now);
    requests.answers.send(this.#host, context.now);
    const mayBegin = !this.#clock.wasSet && requests.mayWork && schedules.isReady;
    const isLeft = this.#machine.table.whole.some(({ state }) => state === 'DUE');
    hold(!mayBegin || !isLeft, 'it is due, and nothing comes of it in a turn');
  }

  /** The process ends, and another one begins. What was with the store may be in it, or not. */
  restart(): void {
    this.#machine.scope.leave();
    this.#batches = [];
    this.#reads = [];
    this.#waiting = [];
    this.#answers = [];
    this.#lists = [];
    this.#tables.open();
    for (const claim of this.#claims.values()) claim.isOurs = false;
    this.#machine = this.#begin();
  }

  // ---------------------------------------------------------------- time

  pass(): void {
    this.#runs(this.#now + MINUTE_MS, this.#wall + MINUTE_MS);
  }

  /** All delays are over. (The next minute does not come meanwhile.) */
  wait(): void {
    this.#runs(this.#now + 10_000, this.#wall);
    if (this.#machine.requests.trouble !== null) this.#machine.upkeep.sweep();
  }

  setBack(): void {
    this.#setClock(-HOUR_MS);
  }

  setAhead(): void {
    this.#setClock(HOUR_MS);
  }

  #setClock(stepMs: number): void {
    this.#runs(this.#now, this.#wall + stepMs);
    this.#clock.wasSet = true;
    this.#clock.isHeld = true;
    // It is seen in a turn.
    this.turn();
  }

  trustClock(): void {
    this.#clock.wasSet = false;
    this.#clock.isHeld = false;
  }

  // ---------------------------------------------------------------- the store answers

  read(at: number): void {
    for (const { uuids, completion } of this.#reads.splice(at, 1)) {
      completion.done(uuids.map((uuid) => this.#tables.body(uuid)));
    }
  }

  cannotRead(at: number): void {
    for (const { completion } of this.#reads.splice(at, 1)) completion.failed(BUSY);
  }

  apply(at: number): void {
    const batch = this.#batchAt(at);
    batch.results = batch.changes.map((change) => this.#applied(change));
  }

  report(at: number): void {
    const batch = this.#batchAt(at);
    this.#batches.splice(at, 1);
    batch.outcome.done(batch.results ?? []);
  }

  rollBack(at: number): void {
    const batch = this.#batchAt(at);
    this.#batches.splice(at, 1);
    batch.outcome.failed(BUSY);
  }

  #batchAt(at: number): Batch {
    return present(this.#batches[at], 'a batch');
  }

  tellList(): void {
    const { requests, schedules } = this.#machine;
    for (const request of this.#list ?? []) requests.restore(request);
    this.#list = null;
    for (const asked of this.#lists) asked.told = Math.min(2, asked.told + 1);
    schedules.allListed();
  }

  /** The time for the next list comes. */
  list(): void {
    this.wait();
  }

  // ---------------------------------------------------------------- clients and operators

  make(n: number): void {
    const { requests, schedules } = this.#machine;
    const frames = this.#framesOf(n);
    const read = readTspSchedule(frames, 0);
    if (read.fault !== null) throw new Fault(read.fault);
    schedules.schedule(requests.answers.waits.begins(this.#asked(), true), asker(), frames, read);
  }

  unmake(n: number): void {
    const { requests, schedules } = this.#machine;
    const answer = requests.answers.waits.begins(this.#asked(), true);
    schedules.unschedule(answer, asker(), `n${n}`);
  }

  #asked(): number {
    this.#lists.push({ isLate: this.#list !== null, told: 0 });
    return this.#answers.push(0) - 1;
  }

  pauseSchedule(at: number): void {
    const target = { kind: 'schedule', of: this.#row(at).uuid } as const;
    this.#machine.schedules.setPaused(target, true, () => undefined);
  }

  fill(): void {
    this.#isFull = true;
  }

  free(): void {
    this.#isFull = false;
  }

  readonly #host: BrokerHost = {
    answer: (id) => {
      this.#answers[id] = (this.#answers[id] ?? 0) + 1;
    },
    part: none,
    refuse: none,
    recordHello: () => ({ resumeMs: null, isKnown: false, reason: null }),
    resume: () => 'no_session',
    cancel: () => true,
  };

  readonly #embedded: DeliveryPort = {
    room: () => 0,
    window: () => 0,
    groupRule: () => null,
    fullGroups: () => [],
    mayPrepare: () => true,
    whyHeld: () => null,
    served: () => [],
    workersOf: none,
    setBacklog: none,
    setPaused: () => undefined,
    setLimits: () => undefined,
    submit: none,
    setStored: none,
    ownerRightsOf: () => ({
      mayRequest: true,
      quotas: { ...NO_QUOTAS, stored: this.#isFull ? 0 : Infinity },
    }),
    parts: none,
    withdraw: none,
  };

  // ---------------------------------------------------------------- the other node, other brokers

  #row(at: number): StoredRequest {
    return present(this.#pending[at], 'a schedule');
  }

  #end(uuid: Buffer): void {
    const at = this.#wall;
    this.#commit([{ kind: 'close', uuid, at, keyUntil: at, by: ANY_OWNER }]);
  }

  /** Another one has stored what it was due for next. */
  #step({ uuid, generation, attempts, notBefore }: StoredRequest): void {
    const outcome = { outcome: numberOfOutcome('stored'), outcomeAt: notBefore };
    const change = { uuid, generation, attempts: attempts + 1, expiresAt: 0, ...outcome };
    this.#commit([{ kind: 'advance', ...change, notBefore: notBefore + MINUTE_MS }]);
  }

  mergeEnd(at: number): void {
    const { uuid } = this.#row(at);
    this.#end(uuid);
    this.#machine.requests.merged([], [uuid]);
    hold(this.#machine.table.find(uuid) === null, 'it has ended, and is known');
  }

  mergeStep(at: number): void {
    this.#step(this.#row(at));
    this.#machine.requests.merged([this.#row(at)], []);
  }

  mergeYounger(n: number): void {
    this.#machine.requests.merged([this.#enter(n, this.#wall + 1)], []);
  }

  mergeOlder(n: number): void {
    this.#machine.requests.merged([this.#enter(n, START_MS - 1)], []);
  }

  claim(at: number): void {
    const request = this.#row(at);
    const name = request.uuid.toString('hex');
    const number = (this.#claims.get(name)?.number ?? 0) + 1;
    this.#claims.set(name, { isOurs: true, number });
    this.#machine.requests.restore(request, {
      request,
      claim: number,
      content: null,
      isTurn: false,
    });
  }

  /** What this broker has claimed may be claimed by others now. */
  loseSession(): void {
    for (const claim of this.#claims.values()) claim.isOurs = false;
    this.#machine.schedules.disown();
  }

  otherStep(at: number): void {
    this.#step(this.#row(at));
  }

  otherEnd(at: number): void {
    this.#end(this.#row(at).uuid);
  }

  /** Another broker makes one of that name, and does not know the one that there is. */
  otherTwin(n: number): void {
    this.#enter(n, this.#wall + 1);
  }

  /** Another broker replaces the schedule of that name, if there is one. */
  otherMake(n: number): void {
    this.#replace(n, this.#wall + 1);
  }

  /** Another broker, whose clock is behind, replaces it. */
  otherMakeLate(n: number): void {
    this.#replace(n, START_MS - 1);
  }

  #replace(n: number, acceptedAt: number): void {
    for (const { uuid } of this.#pending) if (this.#nameOf(uuid) === `n${n}`) this.#end(uuid);
    this.#enter(n, acceptedAt);
  }

  /** The name of the schedule in a row; empty: it is a pause. */
  #nameOf(uuid: Buffer): string {
    const { kind, own } = present(this.#tables.entry(uuid), 'a row').request;
    return kind === 'schedule' ? (ownOf(kind, own)?.name ?? '') : '';
  }

  // ---------------------------------------------------------------- what must hold

  #check(): void {
    const { table } = this.#machine;
    let inFlight = 0;
    const active = new Set<string>();
    for (const schedule of table.whole) {
      const { state, facts } = schedule;
      if (HELD[state] === 'room') inFlight++;
      this.#checkSchedule(schedule);
      if (isOusted(state) || state.endsWith('ENDING')) continue;
      hold(!active.has(facts.name), 'two of one name are due');
      active.add(facts.name);
      hold(table.named(schedule.owner, facts.name) === schedule, 'it is due without its name');
    }
    hold(table.inFlight === inFlight, 'the room for what is due is counted wrongly');
    hold(table.inFlightBytes > 0 === inFlight > 0, 'the bytes of what is due are counted wrongly');
    for (const answers of this.#answers) hold(answers <= 1, 'a command is answered twice');
  }

  #checkSchedule({ state, place, turn, claim, due, uuid }: Schedule): void {
    hold(state !== 'GONE', 'it is known, and GONE');
    hold(place >= 0 === (state === 'WAITING'), `${state}: its place among those that wait`);
    hold(
      (turn.chain !== null) === (state === 'DUE' || state === 'DELAYED'),
      `${state}: its place among those that are due or delayed`,
    );
    const needsClaim = ['WAITING', 'DUE', 'DELAYED', 'LOADING'].includes(state);
    hold(!needsClaim || claim !== null, `${state}: another broker has claimed it`);
    hold(state !== 'RESTING' || claim === null, `${state}: it is claimed here`);
    // It has ended, and an old list told of it.
    const mayBeAgain = ['RESTING', 'OUSTED'].includes(state) && this.#setting.isShared;
    hold(
      isStoring(state) === this.#isUnderWay('advance', uuid) || mayBeAgain,
      `${state}: what it is due for is not on its way to the store, or is`,
    );
    const isOver = state.endsWith('ENDING') || state.endsWith('OUSTED');
    hold(
      isOver || mayBeAgain || !this.#isUnderWay('close', uuid),
      `${state}: its end is on its way to the store`,
    );
    const wasMoved = state === 'DUE' && due > this.#wall && this.#setting.steps === 0;
    hold(!wasMoved, `${state}: it is not`);
  }

  // ---------------------------------------------------------------- a good end

  heal(): void {
    this.#isFull = false;
    if (this.#setting.isShared) {
      this.#settle();
      this.#settle('list');
    }
    this.#settle();
    const { table } = this.#machine;
    const rows = this.#pending.filter(({ uuid }) => this.#nameOf(uuid) !== '');
    for (const { uuid, attempts } of rows) {
      const schedule = present(table.find(uuid), 'a schedule that is stored');
      const { state, due } = schedule;
      hold(state === 'WAITING', `it is stored, and ${state} in the end`);
      hold(due > this.#wall && due <= this.#wall + 2 * MINUTE_MS, 'it is due at a wrong time');
      // A step of a claim that is over is not made, and its request is stored.
      const isSure = this.#setting.sessions + this.#setting.others === 0;
      const isRight = !isSure ? schedule.attempts >= attempts : schedule.attempts === attempts;
      hold(isRight, 'how often it was due is counted wrongly');
    }
    hold(new Set(rows.map(({ uuid }) => this.#nameOf(uuid))).size === rows.length, 'twins');
    hold(table.size === rows.length, 'one is known that is not stored');
    for (const answers of this.#answers) hold(answers === 1, 'a command is never answered');
    this.#runs(this.#now + 2 * MINUTE_MS, this.#wall + 2 * MINUTE_MS);
    this.#settle();
    for (const { uuid, attempts } of rows) {
      const entry = this.#tables.entry(uuid);
      hold((entry?.request.attempts ?? 0) > attempts, 'it is never due');
    }
  }

  /** Whatever waits happens. */
  #settle(first: 'turn' | 'list' = 'turn'): void {
    const good = ['read', 'apply', 'report', 'tellList', 'claim', 'trustClock', 'free', 'wait'];
    this.do([first, 0]);
    for (let steps = 0; ; steps++) {
      hold(steps < 200, 'it does not come to an end');
      this.do(['turn', 0]);
      const action = this.actions.find(
        ([name, , takes]) => takes === undefined && good.includes(name),
      );
      if (action !== undefined) this.do(action);
      else if (this.#machine.schedules.dueInMs(this.#now, this.#wall) > 0) break;
    }
    this.do(['turn', 0]);
  }

  // ---------------------------------------------------------------- the state as text

  get key(): string {
    const { table, requests, schedules } = this.#machine;
    const { writer, trouble } = requests;
    const lastList = Math.max(0, ...table.whole.map(({ listed }) => listed));
    const known = table.whole.map((schedule) => {
      const { state, due, attempts, claim, listed, delayedUntil, requestBytes, uuid } = schedule;
      const isCurrent = claim === (this.#claims.get(uuid.toString('hex'))?.number ?? 0);
      const isLong = delayedUntil > this.#now;
      const facts = [due - START_MS, attempts, claim !== null && isCurrent, requestBytes > 0];
      return [this.#at(uuid), state, facts, isLong, listed < lastList];
    });
    const rows = this.#pending.map(({ uuid, attempts, notBefore }) => {
      const claim = this.#claims.get(uuid.toString('hex'));
      return [this.#at(uuid), attempts, notBefore - START_MS, claim?.isOurs, claim?.number];
    });
    return JSON.stringify([
      ...[known, rows, this.#waiting, this.#wall - START_MS, this.#clock.wasSet, this.#isFull],
      this.#batches.map(({ changes, results }) => [
        changes.map((change) => this.#named(change)),
        results?.map(({ kind }) => kind),
      ]),
      this.#reads.map(({ uuids }) => uuids.map((uuid) => this.#at(uuid))),
      this.#list?.map(({ uuid, attempts }) => [this.#at(uuid), attempts]),
      ...[
        schedules.dueInMs(this.#now, this.#wall) === 0,
        this.#isPausing,
        trouble === null,
        writer.isIdle,
        schedules.isReady,
      ],
      ...[this.#answers, this.#lists, this.#left, this.#tables.entries.length],
    ]);
  }

  #at(uuid: Buffer): number {
    const name = uuid.toString('hex');
    if (!this.#uuids.includes(name)) this.#uuids.push(name);
    return this.#uuids.indexOf(name);
  }

  #named(change: Change): string {
    if (change.kind === 'accept') {
      return `accept ${change.key?.toString('latin1') ?? this.#at(change.request.uuid)}`;
    }
    return 'uuid' in change ? `${change.kind} ${this.#at(change.uuid)}` : change.kind;
  }
}
