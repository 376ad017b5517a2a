/**
 * A world around the broker's state of groups and limits (D118), in which everything waits until it is told to happen:
 * requests, workers and their ends, Titanic that prepares, time, operators who change limits. The state in it is the real
 * one; what must hold is counted here by other means.
 */
import type { RunLimit, ServiceLimits } from '../../../src/broker/options.js';
import { type Gate, Gates } from '../../../src/broker/state/gates.js';
import {
  NONE,
  type RequestId,
  RequestTable,
  STORED,
} from '../../../src/broker/state/request-table.js';
import { Groups, type SharedParts, Waiting } from '../../../src/broker/state/waiting.js';
import { Holdings, type MemoryAccount } from '../../../src/core/holdings.js';
import { type Action as AnyAction, type Explored, hold } from '../titanic/search.js';

/** How often what need not happen may happen. */
interface Budget {
  readonly plain: number;
  readonly stored: number;
  readonly losses: number;
  readonly cancels: number;
  /** Steps of time. */
  readonly steps: number;
  readonly changes: number;
  readonly begins: number;
  /** What workers say that they run of others. */
  readonly says: number;
  /** Nobody is served any more. */
  readonly clears: number;
  /** Claims of a store that others use, too. */
  readonly claims: number;
}

export interface Setting extends Budget {
  /** The names of the groups; empty: requests without one. */
  readonly groups: readonly string[];
  /** The first one holds at the beginning. */
  readonly limits: readonly (ServiceLimits | null)[];
  readonly workers: number;
}

/** What is searched: mutants have others. */
export interface Subject {
  readonly gates: new (spanMs: number, memory: MemoryAccount) => Gates;
  readonly waiting: new (service: number, parts: SharedParts) => Waiting;
}

export const WHOLE: Subject = { gates: Gates, waiting: Waiting };

type Action = readonly [name: keyof World, at: number, takes?: keyof Budget];

const SPAN_MS = 1000;
const STEP_MS = 500;
/** Of the service itself among those that have limits: no group has this name. */
const SERVICE = '*';
const GATES_MAX = 100;
const HEALING_MAX = 200;

interface Request {
  readonly id: RequestId;
  readonly group: string;
  readonly isStored: boolean;
  readonly number: number;
  wasOut: boolean;
  bytes: number;
}

/** A stored request that is not prepared. */
interface Stored {
  readonly number: number;
  readonly wasOut: boolean;
}

interface Part {
  readonly waiting: Request[];
  /** Of the store, in order of acceptance. */
  readonly stored: Stored[];
  /** Titanic waits until the broker says that something may start. */
  isParked: boolean;
  /** How many requests workers run of others, as they say. */
  said: number;
  /** How often each other group had its turn since this one waits for its own. */
  readonly passed: Map<string, number>;
}

/** One for all worlds: each has a page of records. */
const table = new RequestTable();
let listed: Request[] = [];

export class World implements Explored {
  readonly #setting: Setting;
  readonly #left: Record<keyof Budget, number>;
  readonly #memory = new Holdings().use('broker');
  readonly #gates: Gates;
  readonly #waiting: Waiting;
  readonly #parts = new Map<string, Part>();
  readonly #out: Request[] = [];
  /** Of the service and each group: milliseconds until its bucket is full. */
  readonly #debts = new Map<string, number>();
  #limits: ServiceLimits | null = null;
  #limitsAt = 0;
  #now = 0;
  #beganAt = -Infinity;
  #lastNumber = 0;

  constructor(setting: Setting, subject: Subject) {
    this.#setting = setting;
    this.#left = { ...setting };
    for (const { id } of listed) table.free(id);
    listed = [];
    this.#gates = new subject.gates(SPAN_MS, this.#memory);
    this.#waiting = new subject.waiting(0, { table, groups: new Groups(), gates: this.#gates });
    for (const group of setting.groups) {
      const counts = { isParked: false, said: 0, passed: new Map<string, number>() };
      this.#parts.set(group, { waiting: [], stored: [], ...counts });
    }
    this.#set(0);
  }

  // ---------------------------------------------------------------- what may happen now

  get actions(): Action[] {
    const actions: Action[] = [
      ['turn', 0],
      ['pass', 0, 'steps'],
      ['begin', 0, 'begins'],
      ['clear', 0, 'clears'],
      ['claim', 0, 'claims'],
    ];
    for (const [at, { waiting, stored, said }] of [...this.#parts.values()].entries()) {
      actions.push(['arrive', at, 'plain'], ['store', at, 'stored'], ['say', at, 'says']);
      if (waiting.length > 0) actions.push(['cancel', at, 'cancels']);
      if (stored.length > 0) actions.push(['cancelStored', at, 'cancels']);
      if (said > 0) actions.push(['unsay', at]);
    }
    for (const at of this.#out.keys()) actions.push(['answer', at], ['lose', at, 'losses']);
    for (const at of this.#setting.limits.keys()) {
      if (at !== this.#limitsAt) actions.push(['limit', at, 'changes']);
    }
    return actions.filter(([, , takes]) => takes === undefined || this.#left[takes] > 0);
  }

  do([name, at, takes]: AnyAction): void {
    if (takes !== undefined) this.#left[takes as keyof Budget]--;
    const act = this[name as 'arrive'];
    act.call(this, at);
    this.#checkCounts();
  }

  arrive(at: number): void {
    const { waiting: own, group } = this.#at(at);
    const request = this.#request(group, { number: ++this.#lastNumber, wasOut: false }, false);
    this.#waiting.push(request.id);
    own.push(request);
  }

  store(at: number): void {
    this.#at(at).stored.push({ number: ++this.#lastNumber, wasOut: false });
  }

  cancel(at: number): void {
    const request = this.#at(at).waiting[0];
    if (request === undefined) return;
    this.#waiting.remove(request.id);
    this.#leaves(request);
    this.#end(request);
  }

  cancelStored(at: number): void {
    this.#at(at).stored.pop();
  }

  answer(at: number): void {
    this.#end(this.#back(at));
  }

  /** The worker is lost: the request is the next of its group. A stored one is prepared again. */
  lose(at: number): void {
    const request = this.#back(at);
    const { waiting: own, stored } = this.#part(request.group);
    if (request.isStored) {
      this.#end(request);
      stored.push({ number: request.number, wasOut: true });
      stored.sort((a, b) => a.number - b.number);
      return;
    }
    this.#waiting.pushFront(request.id);
    own.unshift(request);
  }

  pass(): void {
    this.#now += STEP_MS;
    for (const [key, debt] of this.#debts) this.#debts.set(key, Math.max(0, debt - STEP_MS));
  }

  begin(): void {
    this.#gates.begin(this.#now);
    this.#beganAt = this.#now;
    for (const key of this.#keys) {
      this.#debts.set(key, Math.max(this.#debt(key), this.#firstDebt(key)));
    }
  }

  limit(at: number): void {
    // The time goes on in each turn: here it does at this moment.
    this.#gates.take(this.#now, 0);
    const before = new Map([...this.#keys].map((key) => [key, this.#used(key)]));
    this.#set(at);
    for (const request of this.#out) this.#waiting.counted(request.id);
    for (const [group, part] of this.#parts) {
      if (part.said > 0) this.#waiting.runsMore(group, part.said);
      part.isParked = false;
      part.passed.clear();
    }
    for (const key of this.#keys) {
      const { burst, perSecond } = this.#limitOf(key) ?? NO_LIMIT;
      const used = perSecond === Infinity ? 0 : Math.min(before.get(key) ?? 0, burst);
      this.#debts.set(key, Math.max(used * (1000 / perSecond), this.#firstDebt(key)));
    }
  }

  say(at: number): void {
    const part = this.#at(at);
    part.said++;
    this.#waiting.runsMore(part.group, 1);
  }

  unsay(at: number): void {
    const part = this.#at(at);
    part.said--;
    this.#waiting.runsMore(part.group, -1);
  }

  /** Clients are not served any more: plain requests are refused, and stored ones handed back. */
  clear(): void {
    for (const id of this.#waiting.allStored()) this.#unprepare(this.#waitingWith(id));
    for (const id of this.#waiting.allPlain()) {
      const request = this.#waitingWith(id);
      this.#waiting.remove(id);
      this.#leaves(request);
      this.#end(request);
    }
  }

  /** Titanic names the groups of which none is to be claimed, and waits until something of them may start. */
  claim(): void {
    this.turn();
    const full = this.#waiting.fullGroups(GATES_MAX);
    for (const [group, part] of this.#parts) {
      if (group === '' || this.#limitOf(group) === null) continue;
      const isFull = this.#free(group) === 0;
      if (full.includes(group)) {
        hold(isFull, 'a group that may start is named as full');
        part.isParked = true;
      } else hold(!isFull, 'a full group is not named');
    }
  }

  // ---------------------------------------------------------------- a turn

  turn(): void {
    for (const gate of this.#gates.take(this.#now, GATES_MAX)) this.#gateChanged(gate);
    this.#dispatch();
    this.#prepare();
    this.#dispatch();
    this.#checkWaiting();
  }

  /** As `StoredDeliveries` does it. */
  #gateChanged(gate: Gate): void {
    if (gate.group === null) return;
    const { isAwaited } = gate;
    gate.isAwaited = false;
    if (isAwaited) this.#part(gate.group).isParked = false;
    this.#waiting.gateChanged(gate);
  }

  #dispatch(): void {
    this.#forgetPassed();
    while (this.#out.length < this.#setting.workers) {
      const id = this.#waiting.next();
      if (id === NONE) break;
      const request = this.#waitingWith(id);
      this.#checkStart(request);
      this.#waiting.take(id);
      this.#leaves(request);
      this.#starts(request);
    }
  }

  /** Titanic prepares what may start: groups take turns. */
  #prepare(): void {
    for (let before = -1; before !== this.#waiting.storedCount;) {
      before = this.#waiting.storedCount;
      for (const [group, part] of this.#parts) {
        const [first] = part.stored;
        if (first === undefined || part.isParked) continue;
        const prepared = part.waiting.filter(({ isStored }) => isStored).length;
        if (group !== '' && !this.#waiting.mayPrepare(group, prepared)) {
          part.isParked = true;
          continue;
        }
        const least = part.waiting.length > prepared ? 1 : 0;
        hold(prepared < Math.max(least, this.#free(group)), 'prepared though nothing may start');
        this.#submit(group, part, first);
      }
    }
  }

  #submit(group: string, { stored, waiting }: Part, first: Stored): void {
    stored.shift();
    const request = this.#request(group, first, true);
    if (group !== '' && first.wasOut) this.#waiting.pushReturned(request.id);
    else this.#waiting.push(request.id);
    waiting.push(request);
  }

  #unprepare(request: Request): void {
    this.#waiting.remove(request.id);
    this.#leaves(request);
    this.#end(request);
    const { stored } = this.#part(request.group);
    stored.push(request);
    stored.sort((a, b) => a.number - b.number);
  }

  #request(group: string, { number, wasOut }: Stored, isStored: boolean): Request {
    const id = table.allocate();
    // A record without flags is free.
    table.raise(id, isStored ? STORED : 1);
    const bytes = group === '' ? 0 : this.#waiting.join(id, group);
    const request = { id, group, isStored, number, wasOut, bytes };
    listed.push(request);
    return request;
  }

  #starts(request: Request): void {
    for (const key of [SERVICE, request.group]) {
      const { perSecond } = this.#limitOf(key) ?? NO_LIMIT;
      if (perSecond < Infinity) this.#debts.set(key, this.#debt(key) + 1000 / perSecond);
    }
    request.wasOut = true;
    this.#out.push(request);
    for (const [group, part] of this.#parts) {
      if (group === request.group || part.waiting.length === 0) continue;
      const turns = (part.passed.get(request.group) ?? 0) + 1;
      part.passed.set(request.group, turns);
      if (this.#mayStart(group)) {
        hold(turns <= 1, `${group} waits while ${request.group} has ${turns} turns`);
      }
    }
    this.#part(request.group).passed.clear();
    this.#forgetPassed();
  }

  /** A group of which nothing may start has no turn: when something may, it is the last. */
  #forgetPassed(): void {
    for (const [group, { waiting, passed }] of this.#parts) {
      if (waiting.length === 0 || !this.#mayStart(group)) passed.clear();
    }
  }

  /** The worker has it no more. */
  #back(at: number): Request {
    const [request] = this.#out.splice(at, 1);
    if (request === undefined) throw new Error('nothing is out there');
    this.#waiting.ended(request.id);
    return request;
  }

  /** The request waits no more. Where it was prepared, Titanic asks for the next one of its group. */
  #leaves({ id, group, isStored }: Request): void {
    const part = this.#part(group);
    const { waiting } = part;
    waiting.splice(
      waiting.findIndex((each) => each.id === id),
      1,
    );
    if (isStored) part.isParked = false;
    if (waiting.length === 0) part.passed.clear();
  }

  #end(request: Request): void {
    const { id, group } = request;
    if (group !== '') request.bytes -= this.#waiting.leave(id);
    hold(request.bytes === 0, 'the memory of a request is given back');
    table.free(id);
    listed = listed.filter((each) => each !== request);
  }

  // ---------------------------------------------------------------- limits, as they are promised

  get #keys(): string[] {
    return [SERVICE, ...this.#setting.groups];
  }

  #set(at: number): void {
    this.#limitsAt = at;
    this.#limits = this.#setting.limits[at] ?? null;
    this.#waiting.setLimits(this.#limits);
  }

  #limitOf(key: string): RunLimit | null {
    if (key === '') return null;
    return (key === SERVICE ? this.#limits?.service : this.#limits?.group) ?? null;
  }

  #debt(key: string): number {
    return this.#debts.get(key) ?? 0;
  }

  /** Starts that have not come back to the bucket. */
  #used(key: string): number {
    const { perSecond } = this.#limitOf(key) ?? NO_LIMIT;
    return perSecond === Infinity ? 0 : (this.#debt(key) * perSecond) / 1000;
  }

  /** From the begin on, when it was empty. */
  #firstDebt(key: string): number {
    const { perSecond, burst } = this.#limitOf(key) ?? NO_LIMIT;
    if (perSecond === Infinity) return 0;
    return Math.max(0, (burst / perSecond) * 1000 - (this.#now - this.#beganAt));
  }

  #running(key: string): number {
    const isOfIt = (group: string): boolean => key === SERVICE || group === key;
    let running = this.#out.filter(({ group }) => isOfIt(group)).length;
    for (const [group, { said }] of this.#parts) if (isOfIt(group)) running += said;
    return running;
  }

  /** When the next one may start as far as time goes. */
  #opensAt(key: string): number {
    const { running, perSecond, burst } = this.#limitOf(key) ?? NO_LIMIT;
    const spanEnds = running < Infinity ? this.#beganAt + SPAN_MS : -Infinity;
    if (perSecond === Infinity) return spanEnds;
    return Math.max(spanEnds, this.#now + this.#debt(key) - ((burst - 1) / perSecond) * 1000);
  }

  #mayStart(key: string): boolean {
    const { running } = this.#limitOf(key) ?? NO_LIMIT;
    return this.#running(key) < running && this.#opensAt(key) <= this.#now;
  }

  #free(key: string): number {
    if (!this.#mayStart(key)) return 0;
    const { running, perSecond, burst } = this.#limitOf(key) ?? NO_LIMIT;
    const starts = perSecond === Infinity ? Infinity : Math.floor(burst - this.#used(key));
    return Math.min(running - this.#running(key), starts);
  }

  // ---------------------------------------------------------------- what must hold

  #checkStart({ group, number, isStored, wasOut }: Request): void {
    for (const key of new Set([SERVICE, group])) {
      const { running } = this.#limitOf(key) ?? NO_LIMIT;
      hold(this.#running(key) < running, `more than ${running} run of ${key}`);
      hold(this.#opensAt(key) <= this.#now, `one of ${key} starts too early`);
    }
    const before = this.#part(group).waiting;
    for (const other of before) {
      if (group === '' && other.isStored !== isStored) continue;
      // What is prepared of stored ones without a group stays before what comes back.
      const isNext = wasOut || !other.wasOut || (group === '' && isStored);
      hold(isNext, 'one that comes back is not the next');
      if (other.isStored !== isStored || other.wasOut !== wasOut || wasOut) continue;
      hold(number <= other.number, `the requests of ${group} are out of order`);
    }
  }

  #checkCounts(): void {
    const waiting = [...this.#parts.values()].flatMap((part) => part.waiting);
    const ids = (isStored: boolean): string =>
      names(waiting.filter((each) => each.isStored === isStored).map(({ id }) => id));
    hold(this.#waiting.count === waiting.length, 'the count of those that wait is wrong');
    hold(names([...this.#waiting.allPlain()]) === ids(false), 'some plain ones are not listed');
    hold(names(this.#waiting.allStored()) === ids(true), 'some stored ones are not listed');
  }

  /** After a turn: what waits does so for a reason that ends, and is told of. */
  #checkWaiting(): void {
    const isServiceOpen = this.#mayStart(SERVICE);
    const hasWorker = this.#out.length < this.#setting.workers;
    const dueAt = this.#gates.nextDueAt();
    for (const [group, { waiting, stored, isParked }] of this.#parts) {
      const mayStart = this.#mayStart(group);
      const waits = waiting.length > 0;
      hold(!(hasWorker && waits && mayStart && isServiceOpen), `${group} may start, and waits`);
      const isPrepared = waiting.some(({ isStored }) => isStored);
      hold(!(isParked && mayStart && !isPrepared), `${group} may start, and nobody says so`);
      if (waits || isParked) this.#checkTimer(group, dueAt);
      if (waits) this.#checkTimer(SERVICE, dueAt);
      const why = this.#waiting.whyHeld(group, this.#now);
      const isHeld = !(mayStart && isServiceOpen);
      if (waits || stored.length > 0) {
        hold(isHeld === (why !== null), `${group} is held ${isHeld}: ${why}`);
      }
    }
    if (hasWorker && isServiceOpen) this.#checkHeld();
    if (this.#isIdle) hold(this.#waiting.groupCount === 0, 'a group that nothing is of is kept');
  }

  /** What a limit holds takes no place from what Titanic may prepare of other groups. */
  #checkHeld(): void {
    const held = [...this.#parts]
      .filter(([group]) => !this.#mayStart(group))
      .flatMap(([, { waiting }]) => waiting.filter(({ isStored }) => isStored));
    const { storedHeld } = this.#waiting;
    hold(storedHeld === held.length, `${storedHeld} are held, and not ${held.length}`);
  }

  #checkTimer(key: string, dueAt: number): void {
    const opensAt = this.#opensAt(key);
    if (opensAt > this.#now) hold(dueAt <= opensAt, `nobody looks when ${key} may start`);
  }

  /** Nothing waits or runs, and all buckets are full. */
  get #isIdle(): boolean {
    const debts = this.#keys.filter((key) => key !== SERVICE && this.#limitOf(key) !== null);
    if (this.#out.length > 0 || debts.some((key) => this.#debt(key) > 0)) return false;
    return [...this.#parts.values()].every(
      ({ waiting, stored, said }) => waiting.length + stored.length + said === 0,
    );
  }

  // ---------------------------------------------------------------- to the end

  heal(): void {
    for (let n = 0; n < HEALING_MAX; n++) {
      while (this.#out.length > 0) this.answer(0);
      for (const [at, { said }] of [...this.#parts.values()].entries()) {
        for (let left = said; left > 0; left--) this.unsay(at);
      }
      this.turn();
      this.pass();
      if (this.#isIdle) break;
    }
    this.turn();
    hold(this.#isIdle, 'something waits for ever');
    hold(this.#gates.nextDueAt() === Infinity || this.#debt(SERVICE) > 0, 'something is due');
    const gates = (this.#limits?.service ?? null) === null ? 0 : 1;
    const held = this.#memory.bytes;
    this.#waiting.setLimits(null);
    hold(this.#memory.bytes === 0 && gates === (held > 0 ? 1 : 0), 'memory of gates is kept');
  }

  // ---------------------------------------------------------------- parts

  #part(group: string): Part {
    const part = this.#parts.get(group);
    if (part === undefined) throw new Error('no such group');
    return part;
  }

  #at(at: number): Part & { group: string } {
    const group = this.#setting.groups[at] ?? '';
    return Object.assign(this.#part(group), { group });
  }

  #waitingWith(id: RequestId): Request {
    for (const { waiting } of this.#parts.values()) {
      const found = waiting.find((each) => each.id === id);
      if (found !== undefined) return found;
    }
    throw new Error('a request that does not wait');
  }

  get key(): string {
    const numbers = [...this.#parts.values()]
      .flatMap(({ waiting, stored }) => [...waiting, ...stored])
      .concat(this.#out)
      .map(({ number }) => number)
      .sort((a, b) => a - b);
    const shown = (of: Stored | undefined): string =>
      of === undefined ? '-' : `${numbers.indexOf(of.number)}${of.wasOut ? 'r' : ''}`;
    const byId = (id: RequestId): string => (id === NONE ? '-' : shown(this.#waitingWith(id)));
    const parts = [...this.#parts].map(([group, { waiting, stored, isParked, said, passed }]) => [
      waiting.map((each) => (each.isStored ? 's' : 'p') + shown(each)),
      stored.map(shown),
      isParked,
      said,
      [...passed].sort(),
      this.#waiting.whyHeld(group, this.#gates.now)?.replaceAll(/in -?\d+/gu, 'soon'),
    ]);
    const sinceBegin = Math.min(this.#now - this.#beganAt, 4 * SPAN_MS);
    return JSON.stringify([
      parts,
      this.#out.map((each) => `${each.group}${each.isStored ? 's' : 'p'}${shown(each)}`),
      [...this.#debts],
      this.#limitsAt,
      sinceBegin,
      this.#left,
      byId(this.#waiting.next()),
      [...this.#waiting.allPlain()].map(byId),
      this.#waiting.allStored().map(byId),
      this.#gates.nextDueAt() - this.#now,
      this.#gates.now - this.#now,
      this.#waiting.groupCount,
      this.#memory.bytes,
    ]);
  }
}

const NO_LIMIT: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };

function names(ids: readonly RequestId[]): string {
  return [...ids].sort((a, b) => a - b).join();
}
