/**
 * A batch of changes as statements, and their rows as results. Changes that do not concern the same
 * request or key make one statement for each kind; the rest of the batch waits for the next stage.
 */
import { assert } from '../../core/assert.js';
import { isOnceKey, isScheduleKey } from '../../wire/tsp.js';
import { keyExtraOf, namesAnother } from '../../store/fields.js';
import { requestFrom } from '../../store/request.js';
import { isWork, kindOfNumber, numberOfKind, type RecordKind } from '../../store/record-kind.js';
import { RowReader } from '../../store/rows.js';
import {
  ANOTHER,
  endOf,
  type Change,
  type ChangeResult,
  DENIED,
  DONE,
  keyBytes,
  type Owner,
  PASSED,
  uuidsChanged,
  STATES,
  type StoredRequest,
  type StoredState,
} from '../../store/store.js';
import { DEAD, PENDING, REPLIED } from './schema.js';
import {
  ACCEPT,
  ACCEPT_KEYED,
  ACCEPT_MISSING,
  ADVANCE,
  ATTEMPTED,
  DIED,
  END,
  LOCK,
  NEW_NUMBERS,
  NEW_OTHERS,
  REPLY,
  RETRY,
  type Statement,
  SWEEP,
} from './statements.js';
import { type Delta, keysDelta, requestDelta } from '../../store/tally.js';
import { byteas, claims, numbers, texts, uuids, type Value } from './values.js';

export type Row = readonly Value[];

/**
 * How often a batch was given to the server before. `first`: never. `careful`: it was refused, because a
 * request of it is there. `again`: it may have been committed, with no answer; what is as this batch makes
 * it counts as made by it, and its deltas are not complete.
 */
export type Sending = 'first' | 'careful' | 'again';

/** A statement with its parameters, and what its rows tell. */
export interface Order {
  readonly statement: Statement;
  readonly values: readonly (Buffer | number)[];
  /** Called once, in the order of the batch, after its transaction was committed. */
  settle(rows: readonly Row[]): void;
}

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

/** A change and its place in the batch. */
interface Item<Each extends Change = Change> {
  readonly n: number;
  readonly change: Each;
}

/** A request as a statement found it: `FACTS` in statements.ts. */
interface ExistingRequest {
  readonly state: number;
  readonly generation: number;
  readonly attempts: number;
  readonly attemptsEver: number;
  readonly owner: Owner;
  readonly service: Buffer;
  readonly kind: RecordKind;
  readonly partner: Buffer;
  readonly bodyBytes: number;
  readonly extraBytes: number;
  readonly replyBytes: number;
}

const FACT_COUNT = 11;

function existingIn(row: Row, at: number): ExistingRequest {
  return {
    state: row[at] as number,
    generation: row[at + 1] as number,
    attempts: row[at + 2] as number,
    attemptsEver: row[at + 3] as number,
    owner: String(row[at + 4]) as Owner,
    service: row[at + 5] as Buffer,
    kind: kindOfNumber(row[at + 6] as number),
    partner: row[at + 7] as Buffer,
    bodyBytes: row[at + 8] as number,
    extraBytes: row[at + 9] as number,
    replyBytes: row[at + 10] as number,
  };
}

/** The request that a key leads to, and what is kept with the key. */
interface NamedRequest {
  readonly uuid: Buffer;
  readonly state: StoredState | 'closed';
  readonly kept: Buffer | null;
}

/** The result of a new request whose key leads there. */
function leadsTo({ uuid, state, kept }: NamedRequest, change: Change | undefined): ChangeResult {
  return namesAnother(change?.extra, kept) ? ANOTHER : { kind: 'known', uuid, state };
}

/** The kinds in the order in which a stage has their statements. */
const KINDS = [
  ...(['accept', 'keyed', 'attempt', 'advance', 'reply', 'dead', 'retry', 'end', 'sweep'] as const),
] as const;
type Kind = (typeof KINDS)[number];

function kindOf(change: Change): Kind {
  switch (change.kind) {
    case 'accept':
      return change.key !== null || change.request.generation > 0 ? 'keyed' : 'accept';
    case 'close':
    case 'expire':
      return 'end';
    default:
      return change.kind;
  }
}

/** Changes whose order among each other does not matter, except for that of `KINDS`. */
class Stage {
  readonly items = new Map<Kind, Item[]>();
  readonly #touched = new Set<string>();
  #mayEndKeys = false;

  get hasKeys(): boolean {
    return this.items.has('keyed');
  }

  /** @returns false if it must come after this stage */
  take(item: Item): boolean {
    const { change } = item;
    const kind = kindOf(change);
    const names = namesOf(change);
    // A sweep may touch any request; the end of a request, its key.
    if (this.items.has('sweep') || (kind === 'keyed' && this.#mayEndKeys)) return false;
    if (names.some((name) => this.#touched.has(name))) return false;
    for (const name of names) this.#touched.add(name);
    this.#mayEndKeys ||= kind === 'end';
    const same = this.items.get(kind);
    if (same === undefined) this.items.set(kind, [item]);
    else same.push(item);
    return true;
  }
}

/** What no other change of its stage may touch. */
function namesOf(change: Change): string[] {
  if (change.kind === 'sweep') return [];
  if (change.kind !== 'accept') return [change.uuid.toString('latin1')];
  const { key, request } = change;
  const { uuid, service, owner } = request;
  if (key === null) return [uuid.toString('latin1')];
  return [uuid.toString('latin1'), nameOf(service, key, owner)];
}

/** The key of a new request of a client, with its service and owner; `null`: it has none. */
function keyOf(change: Change): string | null {
  if (change.kind !== 'accept' || change.key === null || isScheduleKey(change.key)) return null;
  const { service, owner, generation } = change.request;
  if (generation > 0) return null;
  return nameOf(service, change.key, owner);
}

function nameOf(service: Buffer, key: Buffer, owner: Owner): string {
  return `${service.toString('hex')} ${key.toString('hex')} ${owner}`;
}

export class Batch {
  readonly results: ChangeResult[];
  readonly deltas: Delta[] = [];
  /** The fence held in all statements so far. */
  isFenced = true;
  /**
   * Made in a batch of their own right after this one: another writer took their keys in this moment, this
   * batch takes other keys before, or they are about such a request.
   */
  readonly postponed: number[] = [];
  /** See session.ts. */
  readonly #fence: Buffer;
  readonly #sending: Sending;
  /** Where the keys of new requests lead, by their places: to others that were stored before. */
  readonly #named = new Map<number, NamedRequest>();
  /** New requests with the key of one before them in the batch, and the same owner. */
  readonly #repeats: { readonly n: number; readonly first: number }[] = [];
  readonly #changes: readonly Change[];
  readonly #stages: Stage[] = [];

  constructor(changes: readonly Change[], fence: Buffer, sending: Sending) {
    this.#fence = fence;
    this.#sending = sending;
    this.#changes = changes;
    this.results = changes.map(() => PASSED);
    const keys = new Map<string, number>();
    /** Requests that are accepted after this batch. */
    const later = new Set<string>();
    let stage = new Stage();
    this.#stages.push(stage);
    for (const [n, change] of changes.entries()) {
      if (uuidsChanged(change).some((uuid) => later.has(uuid.toString('latin1')))) {
        this.postponed.push(n);
        continue;
      }
      const key = keyOf(change);
      const first = key === null ? undefined : keys.get(key);
      if (first !== undefined) {
        this.#repeats.push({ n, first });
        continue;
      }
      if (key !== null) keys.set(key, n);
      if (stage.take({ n, change })) continue;
      // Two transactions that take keys in more than one stage each would wait for each other.
      if (key !== null && this.#stages.some(({ hasKeys }) => hasKeys)) {
        this.postponed.push(n);
        for (const uuid of uuidsChanged(change)) later.add(uuid.toString('latin1'));
        continue;
      }
      stage = new Stage();
      this.#stages.push(stage);
      stage.take({ n, change });
    }
  }

  get #isAgain(): boolean {
    return this.#sending === 'again';
  }

  /** The statements of the batch, in their order. */
  orders(): Order[] {
    const orders = this.#stages.flatMap(({ items }) =>
      KINDS.flatMap((kind) => {
        const of = items.get(kind);
        return of === undefined ? [] : this.#order(kind, of);
      }),
    );
    const last = orders.pop();
    if (last === undefined) return [];
    const settle = (rows: readonly Row[]): void => {
      last.settle(rows);
      this.#settleRepeats();
    };
    orders.push({ ...last, settle });
    return [...this.#lock(), ...orders];
  }

  /** Lets each repeat lead to where the first one with its key leads. */
  #settleRepeats(): void {
    for (const { n, first } of this.#repeats) {
      const change = this.#changes[first];
      const isStored = this.results[first]?.kind === 'done' && change?.kind === 'accept';
      const named: NamedRequest | undefined = isStored
        ? { uuid: change.request.uuid, state: 'pending', kept: keyExtraOf(change.extra) }
        : this.#named.get(first);
      if (named === undefined) this.postponed.push(n);
      else this.results[n] = leadsTo(named, this.#changes[n]);
    }
  }

  /** Locks what more than one statement would lock, each after the other. */
  #lock(): Order[] {
    const locking = this.#stages.flatMap(({ items }) =>
      [...items].filter(([kind]) => kind !== 'accept').map(([, of]) => of),
    );
    if (locking.length < 2) return [];
    const ids = locking.flat().flatMap(({ change }) => uuidsChanged(change));
    const values = [this.#fence, uuids(ids)];
    return [{ statement: LOCK, values, settle: () => undefined }];
  }

  #order(kind: Kind, items: readonly Item[]): Order | readonly Order[] {
    switch (kind) {
      case 'accept':
        return this.#accept(items as readonly Item<ChangeOf<'accept'>>[]);
      case 'keyed':
        return this.#acceptKeyed(items as readonly Item<ChangeOf<'accept'>>[]);
      case 'attempt':
        return this.#attempt(items as readonly Item<ChangeOf<'attempt'>>[]);
      case 'advance':
        return this.#advance(items as readonly Item<ChangeOf<'advance'>>[]);
      case 'reply':
        return this.#reply(items as readonly Item<ChangeOf<'reply'>>[]);
      case 'dead':
        return this.#dead(items as readonly Item<ChangeOf<'dead'>>[]);
      case 'retry':
        return this.#retry(items as readonly Item<ChangeOf<'retry'>>[]);
      case 'end':
        return this.#end(items as readonly Item<ChangeOf<'close' | 'expire'>>[]);
      case 'sweep':
        return items.map((item) => this.#sweep(item as Item<ChangeOf<'sweep'>>));
    }
  }

  /** Reads the fence of all rows, and gives those that are about a change to `each`. */
  #rows(rows: readonly Row[], each: (n: number, row: Row) => void): void {
    for (const row of rows) {
      if (row[0] !== true) this.isFenced = false;
      if (row[1] !== null) each(row[1] as number, row);
    }
  }

  // ---------------------------------------------------------------- new requests

  #newRequests(items: readonly Item<ChangeOf<'accept'>>[]): Order['values'] {
    const requests = items.map(({ change }) => change.request);
    const keys = items.map(({ change }) => change.key);
    const rows = items.map(({ n, change: { request, key, claim, keepsKeys } }) => [
      n,
      ...NEW_NUMBERS.map(({ name }) =>
        name === 'kind' ? numberOfKind(request.kind) : Number(request[name]),
      ),
      ...[key !== null && isOnceKey(key), claim !== undefined, keepsKeys === true],
    ]);
    const others = NEW_OTHERS.map(({ name }) =>
      byteas(requests.map(({ [name]: value }) => bytesOf(value))),
    );
    return [
      this.#fence,
      numbers(rows),
      uuids(requests.map(({ uuid }) => uuid)),
      ...others,
      byteas(keys),
      byteas(items.map(({ change }) => change.extra ?? null)),
      byteas(items.map(({ change }) => change.body)),
      byteas(items.map(({ change: { key, extra } }) => (key === null ? null : keyExtraOf(extra)))),
    ];
  }

  #accept(items: readonly Item<ChangeOf<'accept'>>[]): Order {
    const values = this.#newRequests(items);
    if (this.#sending === 'first') {
      return {
        statement: ACCEPT,
        values,
        settle: (rows) => {
          this.#rows(rows, () => undefined);
          for (const { n, change } of items) this.#added(n, change);
        },
      };
    }
    const byPlace = new Map(items.map(({ n, change }) => [n, change]));
    return {
      statement: ACCEPT_MISSING,
      values,
      settle: (rows) => {
        this.#rows(rows, (n, row) => {
          const change = byPlace.get(n);
          if (change === undefined) return;
          if (row[2] === true) this.#added(n, change);
          else if (this.#isAgain) this.results[n] = DONE;
        });
      },
    };
  }

  #added(n: number, { request, extra }: ChangeOf<'accept'>): void {
    this.results[n] = DONE;
    const bytes = request.bodyBytes + (extra?.length ?? 0);
    this.#enter(request, 'pending', request.attempts, bytes);
  }

  #acceptKeyed(items: readonly Item<ChangeOf<'accept'>>[]): Order {
    const byPlace = new Map(items.map(({ n, change }) => [n, change]));
    return {
      statement: ACCEPT_KEYED,
      values: this.#newRequests(items),
      settle: (rows) => {
        this.#rows(rows, (n, row) => {
          const change = byPlace.get(n);
          if (change !== undefined) this.#settleKeyed(n, change, row);
        });
      },
    };
  }

  #settleKeyed(n: number, change: ChangeOf<'accept'>, row: Row): void {
    const [, , known, isAdded, stands] = row;
    if (stands !== null) {
      const existing = existingIn(row, 5);
      if (row[FACT_COUNT + 5] === true) {
        this.#leave(existing);
        this.results[n] = DONE;
        const storedBytes = existing.bodyBytes + existing.extraBytes;
        const { attempts } = change.request;
        this.#enter(existing, 'pending', attempts, storedBytes);
      } else if (this.#isAgain && existing.generation === change.request.generation) {
        this.results[n] = DONE;
      }
    } else if (isAdded === true) {
      this.#added(n, change);
      const { key, request } = change;
      const wasStored = row[FACT_COUNT + 6] === true;
      if (key !== null && !wasStored) this.#keep(request.owner, keyBytes(request.service, key));
    } else if (known !== null) {
      const [kept, state] = row.slice(FACT_COUNT + 7);
      const named: NamedRequest = {
        uuid: known as Buffer,
        state: state === null ? 'closed' : stateOf(state as number),
        kept: kept as Buffer | null,
      };
      this.#named.set(n, named);
      this.results[n] = leadsTo(named, change);
    } else {
      this.postponed.push(n);
    }
  }

  // ---------------------------------------------------------------- steps

  /**
   * @param rows the numbers of the changes, after their places
   * @param arrays after their uuids
   * @param state to which they lead; `null`: the requests are gone then
   */
  #stepped(
    items: readonly Item<Extract<Change, { readonly uuid: Buffer }>>[],
    statement: Statement,
    rows: readonly (readonly (number | boolean)[])[],
    arrays: readonly Buffer[],
    state: StoredState | null,
  ): Order {
    return {
      statement,
      values: this.#values(items, rows, arrays),
      settle: (found) => {
        for (const row of found) {
          if (row[0] !== true) this.isFenced = false;
          this.#settleGroup(row, state);
        }
      },
    };
  }

  #values(
    items: readonly Item<Extract<Change, { readonly uuid: Buffer }>>[],
    rows: readonly (readonly (number | boolean)[])[],
    arrays: readonly Buffer[],
  ): Order['values'] {
    const placed = items.map(({ n }, at) => [n, ...(rows[at] ?? [])]);
    return [this.#fence, numbers(placed), uuids(items.map(({ change }) => change.uuid)), ...arrays];
  }

  /** A row of `outcomeRows` in statements.ts: requests that a statement found alike. */
  #settleGroup(row: Row, next: StoredState | null): void {
    const [, places, service, owner, number, partner, generation, was, wasRetrying] = row;
    const [isWon, isMade, isRetrying] = row.slice(9);
    // Of bodies and fields, of the replies that they had, and of those that they then have.
    const [bytes = 0, repliesHad = 0, repliesHave = 0] = row.slice(12) as number[];
    if (service === null) return;
    const changed = places as readonly number[];
    const isDone = isWon === true || (isMade === true && this.#isAgain);
    const kind = kindOfNumber(Number(number));
    const done = endOf({ kind, partner: partner as Buffer, generation: Number(generation) });
    const result = isDone ? done : next === null ? DENIED : PASSED;
    for (const n of changed) this.results[n] = result;
    if (isWon !== true) return;
    const of = { service: service as Buffer, owner: String(owner) as Owner, kind };
    this.deltas.push({
      ...of,
      state: stateOf(was as number),
      isRetrying: wasRetrying === true,
      requests: -changed.length,
      bytes: -(bytes + repliesHad),
    });
    if (next === null) return;
    this.deltas.push({
      ...of,
      state: next,
      isRetrying: isRetrying === true,
      requests: changed.length,
      bytes: bytes + repliesHave,
    });
  }

  #attempt(items: readonly Item<ChangeOf<'attempt'>>[]): Order {
    const rows = items.map(({ change }) => [
      ...[change.generation, change.attempts, change.notBefore],
      ...[...attemptNumbers(change), change.keepsClaim === true],
    ]);
    const arrays = [...attemptArrays(items), claims(items.map(({ change }) => change.claim))];
    return this.#stepped(items, ATTEMPTED, rows, arrays, 'pending');
  }

  #reply(items: readonly Item<ChangeOf<'reply'>>[]): Order {
    const rows = items.map(({ change }) => [change.generation, change.at, change.expiresAt]);
    const arrays = [
      byteas(items.map(({ change }) => change.reply)),
      texts(items.map(({ change }) => change.worker)),
    ];
    return this.#stepped(items, REPLY, rows, arrays, 'replied');
  }

  #dead(items: readonly Item<ChangeOf<'dead'>>[]): Order {
    const rows = items.map(({ change }) => [change.generation, change.at, change.expiresAt]);
    const arrays = [
      texts(items.map(({ change }) => change.reason)),
      claims(items.map(({ change }) => change.claim)),
    ];
    return this.#stepped(items, DIED, rows, arrays, 'dead');
  }

  #retry(items: readonly Item<ChangeOf<'retry'>>[]): Order {
    const rows = items.map(({ change }) => [
      ...[change.generation, change.expiresAt, ...attemptNumbers(change)],
    ]);
    return this.#reopening(items, RETRY, rows, attemptArrays(items), (change, before) => {
      const { generation, attempt, expiresAt } = change;
      const notBefore = attempt.endedAt;
      return { ...before, state: 'pending', attempts: 0, generation, notBefore, expiresAt };
    });
  }

  #advance(items: readonly Item<ChangeOf<'advance'>>[]): Order {
    const rows = items.map(({ change }) => [
      ...[change.generation, change.attempts, change.notBefore, change.expiresAt],
      ...[change.outcome, change.outcomeAt, change.keepsClaim === true],
    ]);
    const arrays = [
      claims(items.map(({ change }) => change.claim)),
      claims(items.map(({ change }) => change.partnerClaim)),
    ];
    return this.#reopening(items, ADVANCE, rows, arrays, (change, before) => {
      const { generation, attempts, notBefore, outcome, outcomeAt } = change;
      const expiresAt = change.expiresAt === 0 ? before.expiresAt : change.expiresAt;
      const steps = { generation, attempts, notBefore, expiresAt, outcome, outcomeAt };
      return { ...before, state: 'pending', ...steps };
    });
  }

  /**
   * An order of changes after which their records are pending.
   * @param rows the numbers of the changes, after their places
   * @param arrays after their uuids
   * @param stepped the record after its change
   */
  #reopening<Kind extends 'retry' | 'advance'>(
    items: readonly Item<ChangeOf<Kind>>[],
    statement: Statement,
    rows: readonly (readonly (number | boolean)[])[],
    arrays: readonly Buffer[],
    stepped: (change: ChangeOf<Kind>, before: StoredRequest) => StoredRequest,
  ): Order {
    const byPlace = new Map(items.map(({ n, change }) => [n, change]));
    return {
      statement,
      values: this.#values(items, rows, arrays),
      settle: (found) => {
        this.#rows(found, (n, row) => {
          const change = byPlace.get(n);
          if (change === undefined) return;
          const before = requestFrom(new RowReader(row, FACT_COUNT + 3));
          this.#settleReopened(n, row, before, stepped(change, before));
        });
      },
    };
  }

  #settleReopened(n: number, row: Row, before: StoredRequest, after: StoredRequest): void {
    const existing = existingIn(row, 2);
    const isSame = before.generation === after.generation;
    if (row[FACT_COUNT + 2] === true) {
      this.#leave(existing);
      const bytes = existing.bodyBytes + existing.extraBytes;
      this.#enter(existing, 'pending', after.attempts, bytes);
    } else if (!this.#isAgain || !isSame || before.attempts < after.attempts) return;
    // Made before, by this batch: whether it raised the generation then is not known.
    const isReopened = !isSame || this.#isAgain;
    this.results[n] = isReopened ? { kind: 'reopened', request: after } : DONE;
  }

  #end(items: readonly Item<ChangeOf<'close' | 'expire'>>[]): Order {
    const rows = items.map(({ change }) => [change.keyUntil, change.onlyUnclaimed === true]);
    return this.#stepped(items, END, rows, [texts(items.map(({ change }) => change.by))], null);
  }

  #sweep({ n, change }: Item<ChangeOf<'sweep'>>): Order {
    const { now, keyUntil, most } = change;
    return {
      statement: SWEEP,
      values: [this.#fence, now, keyUntil, most],
      settle: (rows) => {
        const swept = new Map<string, number>();
        const states = { replied: 0, dead: 0 };
        let more = rows.at(-1)?.at(FACT_COUNT + 2) === true;
        this.#rows(rows, (place, row) => {
          if (place > most) {
            more = true;
            return;
          }
          const existing = existingIn(row, 2);
          const name = existing.service.toString('latin1');
          if (isWork(existing.kind)) swept.set(name, (swept.get(name) ?? 0) + 1);
          if (existing.state === REPLIED) states.replied++;
          else if (existing.state === DEAD) states.dead++;
          this.#leave(existing);
        });
        for (const row of rows) {
          const [owner, bytes] = row.slice(FACT_COUNT + 3);
          if (owner !== null) this.#keep(String(owner) as Owner, -(bytes as number));
        }
        const services = [...swept].map(([name, count]) => ({
          service: Buffer.from(name, 'latin1'),
          count,
        }));
        this.results[n] = { kind: 'swept', ...states, services, gone: [], more };
      },
    };
  }

  // ---------------------------------------------------------------- counts

  #leave(existing: ExistingRequest): void {
    const { bodyBytes, extraBytes, replyBytes } = existing;
    const request = { ...existing, state: stateOf(existing.state) };
    this.deltas.push(requestDelta(request, -1, bodyBytes + extraBytes + replyBytes));
  }

  /** Keys of this owner. @param bytes negative: they are forgotten */
  #keep(owner: Owner, bytes: number): void {
    if (bytes !== 0) this.deltas.push(keysDelta(owner, bytes));
  }

  #enter(
    { service, owner, kind }: Pick<StoredRequest, 'service' | 'owner' | 'kind'>,
    state: StoredState,
    attempts: number,
    bytes: number,
  ): void {
    this.deltas.push(requestDelta({ service, owner, kind, state, attempts }, 1, bytes));
  }
}

function stateOf(number: number): StoredState {
  const state = STATES[number - PENDING];
  assert(state !== undefined, 'a state of the schema');
  return state;
}

type OfAttempt = ChangeOf<'attempt' | 'retry'>;

function attemptNumbers({ attempt: { startedAt, endedAt } }: OfAttempt): number[] {
  return [startedAt, endedAt];
}

function attemptArrays(items: readonly Item<OfAttempt>[]): Buffer[] {
  const attempts = items.map(({ change }) => change.attempt);
  return [
    texts(attempts.map(({ worker }) => worker)),
    texts(attempts.map(({ reason }) => reason)),
    byteas(attempts.map(({ failure }) => failure)),
    byteas(attempts.map(({ extra }) => extra)),
  ];
}

/** Text as UTF-8: a database of any encoding keeps it. */
function bytesOf(value: StoredRequest[keyof StoredRequest]): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value));
}
