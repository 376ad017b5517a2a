/**
 * `titanic.schedule`, `titanic.unschedule`, `titanic.schedules` (D80), for the owner who asks.
 * Commands for the same name are carried out one after the other, and none before all schedules in
 * the store are known.
 */
import type { Asker } from '../../broker/ports.js';
import { IDENTITY_SHARE } from '../../core/defaults.js';
import { escapeName } from '../../core/escape.js';
import { AHEAD_MS_MAX } from '../../wire/tsp.js';
import type { Accepting, NewOwner } from './accepting.js';
import { status, STATUS_OK } from './answers.js';
import { SCHEDULES, type TitanicContext } from './context.js';
import { firstDue, readDueTimes } from './due-times.js';
import { DOUBTFUL, type OpenRequests } from './open-requests.js';
import { ownerOf } from './ownership.js';
import type { Schedule, ScheduleFacts, ScheduleTable } from './schedule-table.js';
import {
  type Change,
  NO_OWNER,
  type Owner,
  type RequestUuid,
  type StoredRequest,
  type StoreFailure,
} from '../store/store.js';
import type { Uuids } from './uuid.js';

/** Maximum number on a node; one owner may have most of them (`IDENTITY_SHARE`). */
const SCHEDULES_MAX = 10_000;
/** A schedule, packed, with the body of its requests. */
const SCHEDULE_BYTES_MAX = 1024 * 1024;
/** Commands that wait until all schedules are known. */
const COMMANDS_MAX = 1000;
/** Number of schedules in one answer. */
const PAGE_SCHEDULES = 1000;
/** The store counts each due time as an attempt, and 32 bits hold the number. */
const ATTEMPTS_MAX = 2 ** 31 - 1;

/** What they need of the other parts. */
export interface ScheduleHost {
  /** Reads the packed body of one; `null`: it could not be read. */
  read(uuid: RequestUuid, then: (body: Buffer | null) => void): void;
  ended(schedule: Schedule, reason: string): void;
}

/** A command that is being carried out, and those for the same name that wait. */
type Queue = (() => void)[];

export class ScheduleCommands {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #accepting: Accepting;
  readonly #table: ScheduleTable;
  readonly #host: ScheduleHost;
  /** Until all schedules are known. */
  #waiting: (() => void)[] = [];
  /** By owner and name: those after the one that is being carried out. */
  readonly #busy = new Map<string, Queue>();

  constructor(
    context: TitanicContext,
    requests: OpenRequests,
    uuids: Uuids,
    accepting: Accepting,
    table: ScheduleTable,
    host: ScheduleHost,
  ) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#accepting = accepting;
    this.#table = table;
    this.#host = host;
  }

  get areWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** All schedules are known. */
  run(): void {
    for (const command of this.#waiting.splice(0)) command();
  }

  /** @param isReady all schedules are known */
  schedule(id: number, asker: Asker, facts: ScheduleFacts, body: Buffer, isReady: boolean): void {
    const owner = ownerOf(asker);
    const { identity: party, quotas, holder } = asker;
    const who = { owner, quotas, holder };
    const obstacle =
      body.length > SCHEDULE_BYTES_MAX
        ? `a schedule has at most ${SCHEDULE_BYTES_MAX} bytes`
        : (this.#requests.obstacle(party) ?? this.#accepting.limit(who, body.length));
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    this.#accepting.count(who, body.length, 1);
    const isTaken = this.#begin(isReady, owner, facts.name, (end) => {
      const decided = (...answer: readonly Buffer[]): void => {
        this.#accepting.count(who, body.length, -1);
        if (answer.length > 0) this.#answer(id, ...answer);
        end();
      };
      this.#replace(who, party, facts, body, decided);
    });
    if (isTaken) return;
    this.#accepting.count(who, body.length, -1);
    this.#tooMany(id);
  }

  unschedule(id: number, asker: Asker, name: string, isReady: boolean): void {
    const { identity: party } = asker;
    const owner = ownerOf(asker);
    const obstacle = this.#requests.obstacle(party);
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const isTaken = this.#begin(isReady, owner, name, (end) => {
      this.#end(owner, party, name, (...answer) => {
        if (answer.length > 0) this.#answer(id, ...answer);
        end();
      });
    });
    if (!isTaken) this.#tooMany(id);
  }

  list(id: number, asker: Asker, after: string, isReady: boolean): void {
    const owner = ownerOf(asker);
    const command = (): void => {
      const all = this.#table.ofOwner(owner).filter(({ facts }) => (facts?.name ?? '') > after);
      const page = all.slice(0, PAGE_SCHEDULES);
      const next = all.length > page.length ? (page.at(-1)?.facts?.name ?? null) : null;
      this.#answer(id, STATUS_OK, jsonFrame({ schedules: page.map(shown), next }));
    };
    if (isReady) command();
    else if (this.#waiting.length < COMMANDS_MAX) this.#waiting.push(command);
    else this.#tooMany(id);
  }

  #answer(id: number, ...body: readonly Buffer[]): void {
    this.#requests.answers.answer(id, ...body);
  }

  #tooMany(id: number): void {
    this.#answer(id, status(500, 'schedules are being loaded'));
  }

  /** @returns false if too many wait */
  #begin(
    isReady: boolean,
    owner: Owner,
    name: string,
    command: (end: () => void) => void,
  ): boolean {
    const begin = (): void => {
      this.#inTurn(`${owner.length} ${owner}${name}`, command);
    };
    if (isReady) begin();
    else if (this.#waiting.length < COMMANDS_MAX) this.#waiting.push(begin);
    else return false;
    return true;
  }

  #inTurn(key: string, command: (end: () => void) => void): void {
    const run = (): void => {
      command(() => {
        const next = this.#busy.get(key)?.shift();
        if (next === undefined) this.#busy.delete(key);
        else next();
      });
    };
    const queue = this.#busy.get(key);
    if (queue !== undefined) {
      queue.push(run);
      return;
    }
    this.#busy.set(key, []);
    run();
  }

  // ---------------------------------------------------------------- titanic.schedule

  #replace(
    who: NewOwner,
    party: string,
    facts: ScheduleFacts,
    body: Buffer,
    decided: (...answer: readonly Buffer[]) => void,
  ): void {
    const known = this.#table.named(who.owner, facts.name);
    if (known?.bodyBytes !== body.length) {
      this.#make(who, party, facts, body, known, decided);
      return;
    }
    this.#host.read(known.uuid, (stored) => {
      const isSame = stored?.equals(body) === true && !known.isGone;
      if (isSame) decided(STATUS_OK, jsonFrame(shown(known)));
      else this.#make(who, party, facts, body, known.isGone ? null : known, decided);
    });
  }

  #make(
    who: NewOwner,
    party: string,
    facts: ScheduleFacts,
    body: Buffer,
    known: Schedule | null,
    decided: (...answer: readonly Buffer[]) => void,
  ): void {
    const { events, wall } = this.#context;
    const times = readDueTimes(facts.cron, facts.timeZone);
    const due = 'fault' in times ? times : firstDue(times, wall);
    const full = known === null ? this.#fullFor(who.owner) : null;
    if (typeof due !== 'number') {
      decided(status(400, due.fault));
      return;
    }
    if (full !== null) {
      events.emit({ name: 'titanic.refused', reason: 'limit', text: full });
      decided(status(500, full));
      return;
    }
    const request = this.#newRequest(who.owner, due, body.length);
    const change: Change = { kind: 'accept', request, body, key: null };
    if (known !== null) this.#hold(known);
    const made = (): Schedule => {
      if (known !== null) this.#table.remove(known);
      const schedule = this.#table.find(request.uuid) ?? this.#table.add(request);
      this.#table.name(schedule, facts);
      this.#table.wait(schedule);
      const next = new Date(schedule.due).toISOString();
      this.#context.events.emit({ name: 'schedule.made', next, ...schedule.named });
      return schedule;
    };
    this.#requests.intend(party, change, body.length, {
      ...(known === null ? {} : { before: this.#closeOf(known) }),
      begins: () => {
        request.number = this.#context.nextNumber++;
      },
      committed: () => {
        decided(STATUS_OK, jsonFrame(shown(made())));
      },
      doubtful: () => {
        made();
        decided(status(500, DOUBTFUL.message));
      },
      failed: (failure) => {
        if (known !== null) this.#resume(known);
        this.#failed(failure, decided);
        return false;
      },
    });
  }

  #fullFor(owner: Owner): string | null {
    const most = Math.floor(SCHEDULES_MAX * IDENTITY_SHARE);
    if (this.#table.countOf(owner) >= most) return `one owner has at most ${most} schedules`;
    return this.#table.size >= SCHEDULES_MAX
      ? `a node has at most ${SCHEDULES_MAX} schedules`
      : null;
  }

  #newRequest(
    owner: Owner,
    due: number,
    bodyBytes: number,
  ): { -readonly [Field in keyof StoredRequest]: StoredRequest[Field] } {
    const { wall } = this.#context;
    return {
      uuid: this.#uuids.next(wall),
      // Its number is assigned when its batch begins.
      number: 0,
      service: SCHEDULES,
      state: 'pending',
      priority: 0,
      acceptedAt: wall,
      notBefore: due,
      expiresAt: wall + AHEAD_MS_MAX,
      maxAttempts: ATTEMPTS_MAX,
      attempts: 0,
      generation: 0,
      bodyBytes,
      owner,
      isShared: false,
    };
  }

  /** After a fatal failure it is uncertain what is on disk: there is no answer. */
  #failed(failure: StoreFailure, decided: (...answer: readonly Buffer[]) => void): void {
    if (failure.kind === 'fatal') decided();
    else decided(status(500, this.#requests.failureText(failure)));
  }

  // ---------------------------------------------------------------- titanic.unschedule

  #end(
    owner: Owner,
    party: string,
    name: string,
    decided: (...answer: readonly Buffer[]) => void,
  ): void {
    const known = this.#table.named(owner, name);
    if (known === null) {
      decided(STATUS_OK, jsonFrame({ removed: false }));
      return;
    }
    this.#hold(known);
    const ended = (): void => {
      this.#host.ended(known, 'unscheduled');
    };
    this.#requests.intend(party, this.#closeOf(known), 0, {
      committed: () => {
        ended();
        decided(STATUS_OK, jsonFrame({ removed: true }));
      },
      doubtful: () => {
        ended();
        decided(status(500, DOUBTFUL.message));
      },
      failed: (failure) => {
        this.#resume(known);
        this.#failed(failure, decided);
        return false;
      },
    });
  }

  #closeOf({ uuid }: Schedule): Change {
    const at = this.#context.wall;
    return { kind: 'close', uuid, at, keyUntil: at, by: NO_OWNER };
  }

  /** It is not due while its end is being committed. */
  #hold(schedule: Schedule): void {
    schedule.isEnding = true;
    this.#table.hold(schedule);
  }

  #resume(schedule: Schedule): void {
    schedule.isEnding = false;
    this.#table.wait(schedule);
  }
}

/** A schedule as its owner sees it. */
function shown({ facts, due, acceptedAt, attempts }: Schedule): Readonly<Record<string, unknown>> {
  return {
    name: facts?.name,
    service: escapeName(facts?.service ?? Buffer.alloc(0)),
    cron: facts?.cron,
    timeZone: facts?.timeZone,
    next: new Date(due).toISOString(),
    since: new Date(acceptedAt).toISOString(),
    firings: attempts,
  };
}

function jsonFrame(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
