/**
 * `titanic.schedule`, `titanic.unschedule`, `titanic.schedules` (D80), for the owner who asks.
 * Commands for the same name are carried out one after the other, and none before all schedules in
 * the store are known.
 */
import type { Asker } from '../../../broker/ports.js';
import { escapeName } from '../../../core/escape.js';
import { DURATION_MS_MAX } from '../../../core/numbers.js';
import type { Acceptances } from '../requests/acceptances.js';
import { status, STATUS_OK } from '../requests/answers.js';
import { type TitanicContext, UNSENT } from '../requests/context.js';
import { firstDue } from './due-times.js';
import { DOUBTFUL, type OpenRequests } from '../requests/open-requests.js';
import { ownerOf } from '../requests/ownership.js';
import type { Pauses } from './pauses.js';
import { isStoring } from './schedule-fsm.js';
import {
  closeOf,
  perHourOf,
  type Schedule,
  type ScheduleFacts,
  type ScheduleTable,
} from './schedule-table.js';
import { newRequest } from '../../../store/request.js';
import {
  ANONYMOUS,
  type Change,
  FIRST_CLAIM,
  type Owner,
  type RequestUuid,
  type StoredRequest,
  type StoreFailure,
} from '../../../store/store.js';
import { type Command, CommandQueues, type Decided } from './command-queues.js';
import type { AnswerNumber } from '../requests/store-waits.js';
import type { Uuids } from '../requests/uuid.js';

/** Maximum number on a node, and of one owner: each may be due every second. */
const SCHEDULES_MAX = 10_000;
const OWNER_SCHEDULES_MAX = 1000;
/** A schedule, packed, with the body of its requests. */
const SCHEDULE_BYTES_MAX = 1024 * 1024;
/** Commands that wait until all schedules are known. */
const COMMANDS_MAX = 1000;
/** Memory that a command takes besides the body of its schedule. */
const COMMAND_BYTES = 2048;
/** Number of schedules in one answer. */
const PAGE_SCHEDULES = 100;
/** A list up to this size is always sent. */
const SMALL_BYTES = 4096;

/** The refusal that a request gets from the broker without the right to its service. */
const NO_RIGHT = Buffer.from('403 no right to send requests to the service of this schedule');

const PAUSING = 'the schedule is being paused or resumed: try again';

const LOADING = status(500, 'schedules are being loaded');

/** What they need of the other parts. */
interface ScheduleHost {
  /** Reads the packed body of one; `null`: it could not be read. */
  read(uuid: RequestUuid, then: (body: Buffer | null) => void): void;
  ended(schedule: Schedule, reason: string): void;
  readonly pauses: Pick<Pauses, 'isChanging' | 'move'>;
  /** A new schedule is in the store, where this broker has claimed it. */
  made(request: StoredRequest, facts: ScheduleFacts): Schedule;
}

/** What is stored of a schedule. */
interface StoredParts {
  /** What it has of its own, packed. */
  readonly own: Buffer;
  /** The options and the body of its requests, packed. */
  readonly body: Buffer;
}

/** What a client wants a schedule to be. */
interface Wanted extends StoredParts {
  readonly answer: AnswerNumber;
  readonly asker: Asker;
  readonly owner: Owner;
  readonly facts: ScheduleFacts;
  /** Bytes of both parts. */
  readonly bytes: number;
}

export class ScheduleCommands {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #acceptances: Acceptances;
  readonly #table: ScheduleTable;
  readonly #host: ScheduleHost;
  /** Until all schedules are known, with the list that tells them. */
  readonly #waiting: { readonly list: number; readonly begin: () => void }[] = [];
  /** The commands replace a schedule whose request is on its way to the store, which may refuse it. */
  #storing: { readonly known: Schedule; readonly begin: () => void }[] = [];
  /** By owner and name. */
  readonly #queues = new CommandQueues(() =>
    status(500, this.#refused('too many commands for schedules at once')),
  );
  /** New schedules that are being committed. */
  readonly #makingOf = new Map<Owner, { count: number; perHour: number }>();
  #making = 0;
  /** Bytes of lists that this turn answers, by identity: its output does not contain them yet. */
  readonly #listed = new Map<string, number>();

  constructor(
    context: TitanicContext,
    requests: OpenRequests,
    uuids: Uuids,
    acceptances: Acceptances,
    table: ScheduleTable,
    host: ScheduleHost,
  ) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#acceptances = acceptances;
    this.#table = table;
    this.#host = host;
  }

  /** Whether some commands can begin, when all schedules of this list are known. */
  areDue(list: number): boolean {
    const isListed = (this.#waiting[0]?.list ?? Infinity) <= list;
    return isListed || this.#storing.some(({ known }) => !isStoring(known.state));
  }

  /** A turn, when all schedules of this list are known. */
  run(list: number): void {
    this.#listed.clear();
    const later = this.#waiting.findIndex((each) => each.list > list);
    for (const { begin } of this.#waiting.splice(0, later < 0 ? Infinity : later)) begin();
    const decided = this.#storing.filter(({ known }) => !isStoring(known.state));
    this.#storing = this.#storing.filter(({ known }) => isStoring(known.state));
    for (const { begin } of decided) begin();
  }

  /** @param list of all schedules, which it waits for; `null`: all are known */
  schedule(
    id: AnswerNumber,
    asker: Asker,
    facts: ScheduleFacts,
    parts: StoredParts,
    list: number | null,
  ): void {
    const { identity: party, memory } = asker;
    const stored = parts.own.length + parts.body.length;
    const bytes = stored + COMMAND_BYTES;
    const obstacle =
      stored > SCHEDULE_BYTES_MAX
        ? `a schedule has at most ${SCHEDULE_BYTES_MAX} bytes`
        : (this.#requests.obstacle(party) ??
          (memory.mayHold(bytes) ? null : this.#refused('limits.memoryBytes is reached')));
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const wanted = { answer: id, asker, owner: ownerOf(asker), facts, ...parts, bytes: stored };
    memory.add('stored', bytes);
    this.#begin(id, list, wanted.owner, facts.name, {
      run: (decided) => this.#replace(wanted, decided),
      answer: (...answer) => {
        memory.add('stored', -bytes);
        if (answer.length > 0) this.#answer(id, ...answer);
      },
    });
  }

  unschedule(id: AnswerNumber, asker: Asker, name: string, list: number | null): void {
    const owner = ownerOf(asker);
    const obstacle = this.#requests.obstacle(asker.identity);
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    this.#begin(id, list, owner, name, {
      run: (decided) => this.#end(id, asker, owner, name, decided),
      answer: (...answer) => {
        if (answer.length > 0) this.#answer(id, ...answer);
      },
    });
  }

  list(id: AnswerNumber, asker: Asker, after: string, list: number | null): void {
    const begin = (): void => this.#list(id, asker, after);
    if (!this.beginAfter(list, begin)) this.#answer(id, LOADING);
  }

  /** @returns false if too many wait */
  beginAfter(list: number | null, begin: () => void): boolean {
    if (list === null) begin();
    else if (this.#waiting.length < COMMANDS_MAX) this.#waiting.push({ list, begin });
    else return false;
    return true;
  }

  #list(id: AnswerNumber, asker: Asker, after: string): void {
    const page: Schedule[] = [];
    let next: string | null = null;
    for (const schedule of this.#table.ofOwner(ownerOf(asker))) {
      if (schedule.facts.name <= after || !mayAccess(asker, schedule)) continue;
      if (page.length === PAGE_SCHEDULES) {
        next = page.at(-1)?.facts.name ?? null;
        break;
      }
      page.push(schedule);
    }
    const answer = jsonFrame({ schedules: page.map(shown), next });
    const listed = (this.#listed.get(asker.identity) ?? 0) + answer.length;
    // An answer that its peer would not read is not kept for it (D76).
    if (answer.length > SMALL_BYTES && listed > asker.outputLeft()) {
      this.#answer(id, status(500, this.#refused('earlier answers are unread')));
      return;
    }
    this.#listed.set(asker.identity, listed);
    this.#answer(id, STATUS_OK, answer);
  }

  #answer(id: AnswerNumber, ...body: readonly Buffer[]): void {
    this.#requests.answers.answer(id, ...body);
  }

  /** Logs the limit that is reached. */
  #refused(text: string): string {
    this.#context.events.emit({ name: 'titanic.refused', reason: 'limit', text });
    return text;
  }

  #begin(
    answer: AnswerNumber,
    list: number | null,
    owner: Owner,
    name: string,
    command: Command,
  ): void {
    const { waits } = this.#requests.answers;
    const run = (decided: Decided): void => {
      if (waits.isOver(answer)) decided();
      else command.run(decided);
    };
    const begin = (): void => {
      this.#queues.add(`${owner.length} ${owner}${name}`, { run, answer: command.answer });
    };
    if (!this.beginAfter(list, begin)) command.answer(LOADING);
  }

  // ---------------------------------------------------------------- titanic.schedule

  #replace(wanted: Wanted, decided: Decided): void {
    const { asker, owner, facts, body, bytes } = wanted;
    const known = this.#table.named(owner, facts.name);
    if (known !== null && !mayAccess(asker, known)) {
      decided(NO_RIGHT);
      return;
    }
    if (known?.bodyBytes !== bytes || !areSame(known.facts, facts)) {
      this.#make(wanted, known, decided);
      return;
    }
    this.#host.read(known.uuid, (stored) => {
      // Another one may have the name by now.
      if (this.#table.named(owner, facts.name) !== known) this.#replace(wanted, decided);
      else if (stored?.equals(body) === true) decided(STATUS_OK, jsonFrame(shown(known)));
      else this.#make(wanted, known, decided);
    });
  }

  #make(wanted: Wanted, known: Schedule | null, decided: Decided): void {
    if (known !== null && isStoring(known.state)) {
      // If the store refuses that request, the one that follows makes it up.
      this.#storing.push({ known, begin: () => this.#replace(wanted, decided) });
      return;
    }
    const { answer, asker, owner, facts, own, body, bytes } = wanted;
    const due = firstDue(facts.times, this.#context.wall);
    if (typeof due !== 'number') {
      decided(status(400, due.fault));
      return;
    }
    // The memory that it takes is accounted for since its command came.
    const who = { owner, quotas: asker.quotas, memory: null };
    const limit =
      this.#acceptances.limit(who, bytes, null, known === null ? 1 : 0, known?.bodyBytes) ??
      this.#tooOftenFor(wanted, known) ??
      (known === null ? this.#fullFor(owner) : null);
    const { pauses } = this.#host;
    const isPausing = known !== null && pauses.isChanging({ kind: 'schedule', of: known.uuid });
    const obstacle = limit ?? (isPausing ? PAUSING : null);
    if (obstacle !== null) {
      decided(status(500, obstacle));
      return;
    }
    const isNew = known === null;
    // What it is due less often is free when it is committed.
    const more = Math.max(0, perHourOf(facts) - (known === null ? 0 : perHourOf(known.facts)));
    const { wall } = this.#context;
    const request = newRequest(this.#uuids.next(wall), body.length, {
      ...UNSENT,
      kind: 'schedule',
      owner,
      own,
      acceptedAt: wall,
      notBefore: due,
      expiresAt: wall + DURATION_MS_MAX,
    });
    // In a shared store it is this broker that stores what it is due for.
    const claim = this.#context.claims === null ? {} : { claim: FIRST_CLAIM };
    const change: Change = { kind: 'accept', request, body, key: null, ...claim };
    const count = (change: 1 | -1): void => {
      this.#acceptances.count(who, bytes, change, null);
      this.#countMaking(owner, isNew ? change : 0, change * more);
    };
    count(1);
    if (known !== null) this.#table.step(known, 'ended');
    const pause = known === null ? null : pauses.move(known.uuid, request.uuid);
    const made = (): Schedule => {
      count(-1);
      pause?.committed();
      return this.#made(request, facts, known);
    };
    this.#requests.commit({
      ...{ change, party: asker.identity, bytes, answer },
      ...(known === null ? {} : { before: [closeOf(known, wall), ...(pause?.changes ?? [])] }),
      begins: () => {
        request.notBefore = this.#outstanding(known, facts) ?? due;
      },
      ended: (outcome) => {
        if (outcome.kind === 'made') {
          const schedule = made();
          if (outcome.isDoubtful) decided(status(500, DOUBTFUL.message));
          else decided(STATUS_OK, jsonFrame(shown(schedule)));
          return false;
        }
        count(-1);
        if (known !== null) this.#table.step(known, 'resumed');
        this.#failed(outcome.failure, decided);
        return false;
      },
    });
  }

  /**
   * The due time of the one before it that has passed without a request, or `null`. A program that
   * makes its schedules whenever it starts must not lose what was missed.
   */
  #outstanding(before: Schedule | null, { cron, timeZone }: ScheduleFacts): number | null {
    if (before === null || before.due > this.#context.wall) return null;
    const isSame = before.facts.cron === cron && before.facts.timeZone === timeZone;
    return isSame ? before.due : null;
  }

  /** Takes up a schedule that is in the store, in place of the one before, which is not any more. */
  #made(request: StoredRequest, facts: ScheduleFacts, before: Schedule | null): Schedule {
    if (before !== null) this.#table.step(before, 'forgotten');
    // One of the same name may have been merged meanwhile.
    const schedule = this.#host.made(request, facts);
    const next = new Date(schedule.due).toISOString();
    this.#context.events.emit({ name: 'schedule.made', next, ...schedule.named });
    return schedule;
  }

  #countMaking(owner: Owner, change: number, perHour: number): void {
    this.#making += change;
    const before = this.#makingOf.get(owner) ?? { count: 0, perHour: 0 };
    const making = { count: before.count + change, perHour: before.perHour + perHour };
    if (making.count === 0 && making.perHour === 0) this.#makingOf.delete(owner);
    else this.#makingOf.set(owner, making);
  }

  /** The refusal if the owner's schedules would be due too often (D103); `null`: they would not. */
  #tooOftenFor({ asker, owner, facts }: Wanted, known: Schedule | null): string | null {
    const [wanted, before] = [perHourOf(facts), known === null ? 0 : perHourOf(known.facts)];
    const { perHour: making = 0 } = this.#makingOf.get(owner) ?? {};
    const perHour = this.#table.perHourOf(owner) + making - before + wanted;
    return wanted > before && perHour > 60 * asker.quotas.schedules
      ? this.#refused(this.#context.quotaUsedUp('schedules'))
      : null;
  }

  #fullFor(owner: Owner): string | null {
    if (
      this.#table.countOf(owner) + (this.#makingOf.get(owner)?.count ?? 0) >=
      OWNER_SCHEDULES_MAX
    ) {
      return this.#refused(`one owner has at most ${OWNER_SCHEDULES_MAX} schedules`);
    }
    return this.#table.size + this.#making >= SCHEDULES_MAX
      ? this.#refused(`a node has at most ${SCHEDULES_MAX} schedules`)
      : null;
  }

  /** After a fatal failure it is uncertain what is on disk: there is no answer. */
  #failed(failure: StoreFailure, decided: Decided): void {
    if (failure.kind === 'fatal') decided();
    else decided(status(500, this.#requests.failureText(failure)));
  }

  // ---------------------------------------------------------------- titanic.unschedule

  #end(answer: AnswerNumber, asker: Asker, owner: Owner, name: string, decided: Decided): void {
    const known = this.#table.named(owner, name);
    if (known === null || !mayAccess(asker, known)) {
      decided(STATUS_OK, jsonFrame({ removed: false }));
      return;
    }
    this.#table.step(known, 'ended');
    this.#requests.commit({
      change: closeOf(known, this.#context.wall),
      ...{ party: asker.identity, bytes: 0, answer },
      ended: (outcome) => {
        if (outcome.kind === 'made') {
          this.#host.ended(known, 'unscheduled');
          if (outcome.isDoubtful) decided(status(500, DOUBTFUL.message));
          else decided(STATUS_OK, jsonFrame({ removed: true }));
        } else {
          this.#table.step(known, 'resumed');
          this.#failed(outcome.failure, decided);
        }
        return false;
      },
    });
  }
}

/**
 * Peers without a key are one owner, but may have come in on listeners with different rights: one of
 * them must not see or end what it may not request.
 */
function mayAccess(asker: Asker, { owner, facts }: Schedule): boolean {
  return owner !== ANONYMOUS || asker.mayRequest(facts.service);
}

/** A schedule as its owner sees it. */
function shown({ facts, due, acceptedAt, attempts }: Schedule): Readonly<Record<string, unknown>> {
  return {
    name: facts.name,
    service: escapeName(facts.service),
    cron: facts.cron,
    timeZone: facts.timeZone,
    next: new Date(due).toISOString(),
    since: new Date(acceptedAt).toISOString(),
    firings: attempts,
  };
}

/** Whether two lines with the same name are the same. */
function areSame(one: ScheduleFacts, other: ScheduleFacts): boolean {
  const isSameLine = one.cron === other.cron && one.timeZone === other.timeZone;
  return isSameLine && one.service.equals(other.service);
}

function jsonFrame(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
