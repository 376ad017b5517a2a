/**
 * What the disks say of schedules, looked at again and again: each due time is one of the line's, is
 * stored at most once, and is missed only if the node was hindered; then the last one is made up.
 */
import { type Outcome, outcomeOfNumber } from '../../../src/store/outcomes.js';
import { ownOf } from '../../../src/store/own-fields.js';
import type { Entry } from '../../../src/testing/memory-rows.js';
import { isScheduleKey } from '../../../src/wire/tsp.js';
import { hold } from '../world/failure.js';
import type { Scheduler } from './scheduler.js';
import { duesIn, isDue } from './lines.js';

const SERVICE = 'titanic.schedule';

interface Line {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
}

/** What one disk said of a schedule when it was last looked at. */
interface Known extends Line {
  readonly uuid: string;
  readonly due: number;
  /** How often it was due, and what came of the last time. */
  readonly attempts: number;
  readonly outcome: Outcome;
  readonly outcomeAt: number;
}

export interface Watched {
  /** In the order of wall time nothing is missed: no clock is set, no merge takes place. */
  readonly isSteady: boolean;
  /** Nothing has hindered the node since this wall time. */
  readonly freeSince: number;
  /** How many requests there may have been for one due time. */
  readonly requestsMax: number;
  /** Two brokers may have made schedules of one name at once: one of them ends soon. */
  readonly mayBeTwins: boolean;
}

export class ScheduleWatch {
  /** The uuids that were ever stored for a due time, by owner, name and time. */
  readonly #stored = new Map<string, Set<string>>();
  /** How many these are; of schedules that may be twins, for each service. */
  readonly #counts = new Map<string, number>();
  /** By disk; then by owner and name. */
  readonly #known = new Map<unknown, Map<string, Known>>();
  /** By disk: of which names it had two. */
  readonly #twins = new Map<unknown, ReadonlySet<string>>();
  readonly #lines = new Map<string, Line>();

  /** How many due times were stored. */
  get stored(): number {
    return this.#stored.size;
  }

  look(disk: unknown, rows: readonly Entry[], watched: Watched): void {
    for (const { request, key } of rows) {
      if (key === null || !isScheduleKey(key)) continue;
      const due = `${request.owner} ${key.toString('latin1').slice('?schedule:'.length)}`;
      const uuids = this.#stored.get(due) ?? new Set();
      const uuid = request.uuid.toString('hex');
      if (uuids.has(uuid)) continue;
      uuids.add(uuid);
      this.#stored.set(due, uuids);
      // While one broker replaces a schedule, another may still store what the old one is due for.
      const of = watched.mayBeTwins ? `${due} ${request.service.toString()}` : due;
      const count = (this.#counts.get(of) ?? 0) + 1;
      this.#counts.set(of, count);
      hold(count <= watched.requestsMax, `${due} is stored ${count} times`);
    }
    const before = this.#known.get(disk) ?? new Map<string, Known>();
    const now = new Map<string, Known>();
    const twinsBefore = this.#twins.get(disk);
    const twins = new Set<string>();
    for (const row of rows) {
      if (!isPending(row.request.service, row.request.state)) continue;
      const line = this.#lineOf(row);
      const name = `${row.request.owner} ${line.name}`;
      const known = { ...line, ...factsOf(row) };
      if (now.has(name)) twins.add(name);
      hold(watched.mayBeTwins || !twins.has(name), `there are two schedules ${name}`);
      const last = before.get(name);
      // Most rows have not changed since they were last looked at, and looking costs the most.
      if (last === undefined || !isSame(last, known)) this.#checkRow(name, last, known, watched);
      const isOne = !twins.has(name) && twinsBefore?.has(name) !== true;
      if (last !== undefined && watched.isSteady && isOne) this.#checkFollows(name, last, known);
      now.set(name, known);
    }
    this.#twins.set(disk, twins);
    this.#known.set(disk, now);
  }

  /** Two schedules of one owner have the same name. */
  hasTwins(rows: readonly Entry[]): boolean {
    const names = rows
      .filter(({ request: { service, state } }) => isPending(service, state))
      .map((row) => `${row.request.owner} ${this.#lineOf(row).name}`);
    return new Set(names).size < names.length;
  }

  /** One row is looked at very often. */
  #lineOf({ request }: Entry): Line {
    const uuid = request.uuid.toString('hex');
    const line = this.#lines.get(uuid) ?? ownOf('schedule', request.own);
    hold(line !== null, 'a schedule has no line');
    this.#lines.set(uuid, line);
    return line;
  }

  #checkRow(name: string, last: Known | undefined, now: Known, watched: Watched): void {
    const { cron, due, outcome, outcomeAt } = now;
    hold(isDue(cron, due), `${name} is due at ${time(due)}, which is not in ${cron}`);
    if (now.attempts === 0) return;
    hold(isDue(cron, outcomeAt), `${name} was due at ${time(outcomeAt)}, not in ${cron}`);
    hold(outcome === 'stored', `${name}: ${outcome}`);
    const isStored = this.#stored.has(`${name}:${time(outcomeAt)}`);
    hold(isStored, `no request is stored for ${name}, due at ${time(outcomeAt)}`);
    if (!watched.isSteady) return;
    const [next = 0] = duesIn(cron, outcomeAt, due);
    hold(next === due, `${name}: after ${time(outcomeAt)} it is due at ${time(due)}`);
    if (last?.uuid !== now.uuid || now.attempts !== last.attempts + 1) return;
    hold(outcomeAt >= last.due, `${name} was due at ${time(outcomeAt)}, before ${time(last.due)}`);
    const isOnTime = last.due === outcomeAt || last.due <= watched.freeSince;
    hold(isOnTime, `${name} was due at ${time(last.due)}, and nothing was stored`);
  }

  /**
   * One that takes the place of another with the same line goes on where that was. One commit may store
   * both the request of a due time, or of the last that were missed, and the schedule that follows.
   */
  #checkFollows(name: string, last: Known, { uuid, due, cron, timeZone }: Known): void {
    if (uuid === last.uuid) hold(due >= last.due, `${name} goes back to ${time(due)}`);
    else if (cron === last.cron && timeZone === last.timeZone && due > last.due) {
      const passed = [last.due, ...duesIn(cron, last.due, due - 1)];
      const isStored = passed.some((each) => this.#stored.has(`${name}:${time(each)}`));
      hold(isStored, `${name} was due at ${time(last.due)}; now it is due at ${time(due)}`);
    }
  }

  // ---------------------------------------------------------------- when the faults are over

  /** There is what its client wants, and nothing else of it. */
  checkWishes(scheduler: Scheduler, rows: readonly Entry[]): void {
    const { wishes } = scheduler;
    const owner = ownerOf(scheduler);
    const found: string[] = [];
    for (const row of rows) {
      if (!isPending(row.request.service, row.request.state)) continue;
      const { name, cron, timeZone } = this.#lineOf(row);
      if (row.request.owner === owner && name.startsWith(`${scheduler.name}n`)) {
        found.push(`${name} ${cron} ${timeZone}`);
      }
    }
    const wanted = [...wishes].map(([name, { cron, timeZone }]) => `${name} ${cron} ${timeZone}`);
    hold(
      found.sort().join() === wanted.sort().join(),
      `there is ${found.join()}, not ${wanted.join()}`,
    );
  }

  /** Every due time in that span was stored. */
  checkSpan(scheduler: Scheduler, from: number, until: number): void {
    for (const [name, { cron }] of scheduler.wishes) {
      for (const due of duesIn(cron, from, until)) {
        const isStored = this.#stored.has(`${ownerOf(scheduler)} ${name}:${time(due)}`);
        hold(isStored, `${name} was due at ${time(due)}, and nothing was stored`);
      }
    }
  }

  /** Nothing was due after its end. */
  checkEnds(scheduler: Scheduler): void {
    for (const [name, endedAt] of scheduler.endedAt) {
      const prefix = `${ownerOf(scheduler)} ${name}:`;
      for (const due of this.#stored.keys()) {
        const isLater = due.startsWith(prefix) && Date.parse(due.slice(prefix.length)) > endedAt;
        hold(!isLater, `${name} was ended at ${time(endedAt)}, and stored ${due}`);
      }
    }
  }
}

function isPending(service: Buffer, state: string): boolean {
  return state === 'pending' && service.toString() === SERVICE;
}

function isSame(one: Known, other: Known): boolean {
  return one.uuid === other.uuid && one.due === other.due && one.attempts === other.attempts;
}

function factsOf({ request }: Entry): Omit<Known, keyof Line> {
  const { uuid, notBefore: due, attempts, outcomeAt } = request;
  const outcome = outcomeOfNumber(request.outcome);
  return { uuid: uuid.toString('hex'), due, attempts, outcome, outcomeAt };
}

function ownerOf({ key }: Scheduler): string {
  return key === null ? 'anonymous' : `key:${key}`;
}

function time(wall: number): string {
  return new Date(wall).toISOString();
}
