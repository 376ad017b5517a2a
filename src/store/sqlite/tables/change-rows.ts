/** The changes of the store port as statements on the tables, within a transaction. */
import { endOf } from '../../store.js';
import { present } from '../../../core/assert.js';
import { nextAfter } from '../../../core/numbers.js';
import { isOnceKey } from '../../../wire/tsp.js';
import { joinExtra } from '../../../core/numbered-fields.js';
import { keyExtraOf, namesAnother } from '../../fields.js';
import { requestFrom } from '../../request.js';
import { RowReader } from '../../rows.js';
import { isWork } from '../../record-kind.js';
import {
  type Attempt,
  ATTEMPTS_RETAINED,
  type Change,
  type ChangeResult,
  ANY_OWNER,
  type Closer,
  isOpenTo,
  type RequestUuid,
  type StoredRequest,
  type StoredState,
  type Transaction,
} from '../../store.js';
import { ANOTHER, DENIED, DONE, PASSED } from '../../store.js';
import { type Delta, type DeltaSum, requestDelta } from '../../tally.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';
import { KeyRows } from './key-rows.js';
import {
  insertAttempt,
  insertRequest,
  overdue,
  type ExistingRequest,
  existingOf,
  STATE_NAMES,
  STATE_NUMBERS,
  type Statements,
} from './statements.js';

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

/** What the changes of one transaction count, in memory. */
export interface RunningCounts {
  nextNumber: number;
  tombstones: number;
  readonly deltas: DeltaSum;
}

export class ChangeRows {
  readonly #sql: Statements;
  readonly #counts: RunningCounts;
  readonly #transaction: Transaction;
  readonly #apart: number;
  readonly #keys: KeyRows;
  /** The webhook that this transaction accepted last: its request comes next. */
  #telling: RequestUuid | null = null;

  /** @param apart a request that was born up to this transaction leaves a tombstone in any case */
  constructor(sql: Statements, counts: RunningCounts, transaction: Transaction, apart: number) {
    this.#sql = sql;
    this.#counts = counts;
    this.#transaction = transaction;
    this.#apart = apart;
    this.#keys = new KeyRows(sql, counts.deltas, transaction.number);
  }

  apply(change: Change): ChangeResult {
    const result = this.#step(change);
    const { extra } = change;
    const isStep = result.kind === 'done' || result.kind === 'reopened';
    if (extra !== undefined && 'uuid' in change && isStep) {
      this.#joinExtra(change.uuid, extra);
    }
    return result;
  }

  #joinExtra(uuid: RequestUuid, extra: Buffer): void {
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined) return;
    const joined = joinExtra(extra, existing.extra);
    this.#sql.setExtra.run(joined, uuid);
    this.#leave(existing);
    this.#enter({ ...existing, extra: joined });
  }

  #step(change: Change): ChangeResult {
    switch (change.kind) {
      case 'accept':
        return this.#accept(change);
      case 'attempt':
        return this.#attempt(change);
      case 'reply':
        return this.#reply(change);
      case 'dead':
        return this.#dead(change);
      case 'close':
      case 'expire':
        return this.#end(change);
      case 'advance':
        return this.#advance(change);
      case 'retry':
        return this.#retry(change);
      case 'sweep':
        return this.#sweep(change);
    }
  }

  #accept(change: ChangeOf<'accept'>): ChangeResult {
    const { request, body, key } = change;
    const closers = this.#closers(request.uuid);
    if (closers.some((by) => isOpenTo(by, request))) return PASSED;
    if (closers.length > 0) this.#dropTombstones(request.uuid);
    const next = this.#counts.nextNumber;
    const isNumbered = nextAfter(next, request.number) > next;
    if (isNumbered) this.#counts.nextNumber = request.number + 1;
    const number = isNumbered ? request.number : next;
    const { number: changed } = this.#transaction;
    if (key !== null) {
      const existing = existingOf(this.#sql, request.uuid);
      if (existing !== undefined) return this.#acceptAgain(existing, change);
      // The same key of the same owner names the request that was stored first (D16).
      const { service, owner, uuid, acceptedAt } = request;
      const known = this.#sql.knownKey.get(
        service,
        key,
        owner,
        change.keepsKeys === true ? 0 : acceptedAt,
      );
      if (known !== undefined) {
        this.#dropTelling(request);
        if (namesAnother(change.extra, known.extra)) return ANOTHER;
        const state = known.state === null ? 'closed' : (STATE_NAMES[known.state] ?? 'pending');
        return { kind: 'known', uuid: known.uuid, state };
      }
      const extra = keyExtraOf(change.extra);
      this.#keys.put(service, key, { owner, uuid, until: null, extra });
    }
    const isNew = insertRequest(
      this.#sql,
      {
        request: isNumbered ? request : { ...request, number },
        key,
        attemptsEver: 0,
        changed,
        born: changed,
        extra: change.extra ?? null,
      },
      0,
    );
    if (!isNew) {
      const existing = present(existingOf(this.#sql, request.uuid), 'the request of this uuid');
      return this.#acceptAgain(existing, change);
    }
    if (!isNumbered) this.#counts.nextNumber++;
    this.#sql.insertBody.run(number, body);
    const bytes = request.bodyBytes + (change.extra?.length ?? 0);
    this.#counts.deltas.add(requestDelta(request, 1, bytes));
    if (request.kind === 'webhook') this.#telling = request.uuid;
    return DONE;
  }

  /** What tells the webhook of a request goes with it if that is not stored: no crash comes between. */
  #dropTelling({ partner }: StoredRequest): void {
    if (this.#telling?.equals(partner) !== true) return;
    this.remove(partner, 0);
    this.#telling = null;
  }

  /** The request is in the store: only a higher generation counts (D17). */
  #acceptAgain(existing: ExistingRequest, { request }: ChangeOf<'accept'>): ChangeResult {
    if (request.generation <= existing.generation) return PASSED;
    this.#moveTo(existing, 'pending', request.attempts);
    this.#sql.reopen.run(
      request.generation,
      request.notBefore,
      request.expiresAt,
      request.attempts,
      existing.attemptsEver,
      this.#transaction.number,
      existing.number,
    );
    return DONE;
  }

  /** The record that an attempt, or an advance, steps up; `null`: it is no step up. */
  #below({ uuid, generation, attempts }: ChangeOf<'attempt' | 'advance'>): ExistingRequest | null {
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation < existing.generation) return null;
    const isAbove = existing.state === PENDING && attempts > existing.attempts;
    return generation === existing.generation && !isAbove ? null : existing;
  }

  #attempt(change: ChangeOf<'attempt'>): ChangeResult {
    const { generation, attempts, attempt, notBefore } = change;
    const existing = this.#below(change);
    if (existing === null) return PASSED;
    this.#moveTo(existing, 'pending', attempts);
    const { number } = existing;
    const ordinal = existing.attemptsEver + 1;
    const { number: changed } = this.#transaction;
    this.#sql.setAttempt.run(generation, attempts, ordinal, notBefore, changed, number);
    this.#putAttempt(number, ordinal, attempt);
    return DONE;
  }

  #advance(change: ChangeOf<'advance'>): ChangeResult {
    const { generation, attempts, notBefore, expiresAt, outcome, outcomeAt } = change;
    const existing = this.#below(change);
    if (existing === null) return PASSED;
    this.#moveTo(existing, 'pending', attempts);
    const { number } = existing;
    const { number: changed } = this.#transaction;
    this.#sql.advance.run(
      ...[generation, attempts, notBefore, expiresAt === 0 ? null : expiresAt],
      ...[outcome, outcomeAt, changed, number],
    );
    return generation === existing.generation ? DONE : this.#reopened(number);
  }

  #putAttempt(number: number, ordinal: number, attempt: Attempt): void {
    insertAttempt(this.#sql, number, ordinal, attempt);
    if (ordinal > ATTEMPTS_RETAINED) {
      this.#sql.deleteAttempt.run(number, ordinal - ATTEMPTS_RETAINED);
    }
  }

  #reply(change: ChangeOf<'reply'>): ChangeResult {
    const { uuid, generation, reply, worker, at, expiresAt } = change;
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation < existing.generation) return PASSED;
    // D17: replied before dead, so a reply wins over a death.
    if (generation === existing.generation && existing.state === REPLIED) return PASSED;
    this.#moveTo(existing, 'replied', 0, reply.length);
    const { number: changed } = this.#transaction;
    const { number } = existing;
    this.#sql.settle.run(REPLIED, generation, expiresAt, reply.length, changed, number);
    this.#sql.insertReply.run(number, reply, worker, at);
    return DONE;
  }

  #dead(change: ChangeOf<'dead'>): ChangeResult {
    const { uuid, generation, reason, at, expiresAt } = change;
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation < existing.generation) return PASSED;
    if (generation === existing.generation && existing.state !== PENDING) return PASSED;
    this.#moveTo(existing, 'dead', 0);
    const { number: changed } = this.#transaction;
    this.#sql.settle.run(DEAD, generation, expiresAt, 0, changed, existing.number);
    this.#sql.insertDeath.run(existing.number, reason, at);
    return DONE;
  }

  #end({ uuid, keyUntil, by }: ChangeOf<'close' | 'expire'>): ChangeResult {
    const existing = existingOf(this.#sql, uuid);
    const { tombstones } = this.#transaction;
    if (existing !== undefined) {
      const { owner, shared } = existing;
      // A request belongs to the key that stored it (D71).
      if (!isOpenTo(by, { owner, isShared: shared === 1 })) return DENIED;
      this.#removeForPeer(existing, uuid, keyUntil);
      return endOf(existing);
    }
    if (tombstones !== 'all') return PASSED;
    const closers = this.#closers(uuid);
    if (closers.includes(ANY_OWNER) || closers.includes(by)) return PASSED;
    if (by === ANY_OWNER && closers.length > 0) this.#dropTombstones(uuid);
    this.#putTombstone(uuid, keyUntil, by);
    return DONE;
  }

  #retry({ uuid, generation, expiresAt, attempt }: ChangeOf<'retry'>): ChangeResult {
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation <= existing.generation) return PASSED;
    this.#moveTo(existing, 'pending', 0);
    const { number } = existing;
    const ordinal = existing.attemptsEver + 1;
    const { number: changed } = this.#transaction;
    this.#sql.reopen.run(generation, attempt.endedAt, expiresAt, 0, ordinal, changed, number);
    this.#putAttempt(number, ordinal, attempt);
    return this.#reopened(number);
  }

  #reopened(number: number): ChangeResult {
    const row = present(this.#sql.request.get(number), 'the record that is pending again');
    return { kind: 'reopened', request: requestFrom(new RowReader(row)) };
  }

  #sweep({ now, keyUntil, most, kinds }: ChangeOf<'sweep'>): ChangeResult {
    const over = overdue(this.#sql, kinds, now, most + 1);
    const { tombstones } = this.#transaction;
    let replied = 0;
    let dead = 0;
    const swept = new Map<string, number>();
    const gone: RequestUuid[] = [];
    for (const { uuid, ...existing } of over.slice(0, most)) {
      if (existing.state === REPLIED) replied++;
      else if (existing.state === DEAD) dead++;
      const name = existing.service.toString('latin1');
      if (isWork(existing.kind)) swept.set(name, (swept.get(name) ?? 0) + 1);
      else gone.push(Buffer.from(uuid));
      this.#removeForPeer(existing, uuid, keyUntil);
    }
    // The other store may still have them, and would refuse a request that this one accepts.
    const forgotten = tombstones === 'all' ? [] : this.#sql.forgettable.all(now, most + 1);
    for (const { service, key, owner } of forgotten.slice(0, most)) {
      this.#keys.drop(service, key, owner);
    }
    const more = over.length > most || forgotten.length > most;
    const services = [...swept].map(([name, count]) => ({
      service: Buffer.from(name, 'latin1'),
      count,
    }));
    return { kind: 'swept', replied, dead, services, gone, more };
  }

  // ---------------------------------------------------------------- parts

  /** Ends a request that is in the store, for a merge. */
  remove(uuid: RequestUuid, keyUntil: number): void {
    this.#remove(present(existingOf(this.#sql, uuid), 'a request to end'), uuid, keyUntil);
  }

  /** Removes a request, and leaves a tombstone of it if the peer may have it. */
  #removeForPeer(existing: ExistingRequest, uuid: RequestUuid, keyUntil: number): void {
    const isLeft =
      this.#transaction.tombstones !== 'none' ||
      (this.#apart > 0 && (this.#sql.bornAt.get(existing.number) ?? 0) <= this.#apart);
    this.#remove(existing, uuid, keyUntil);
    if (isLeft) this.#putTombstone(uuid, keyUntil, ANY_OWNER);
  }

  #remove(existing: ExistingRequest, uuid: RequestUuid, keyUntil: number): void {
    this.#leave(existing);
    this.#deleteEnd(existing);
    const { number, service, key, owner } = existing;
    if (key !== null) {
      const { number: changed } = this.#transaction;
      if (isOnceKey(key)) this.#sql.forgetKey.run(service, key, owner, uuid);
      else this.#sql.rememberKey.run(keyUntil, changed, service, key, owner, uuid);
    }
    if (existing.attemptsEver > 0) this.#sql.deleteAttempts.run(number);
    this.#sql.deleteBody.run(number);
    this.#sql.deleteRequest.run(number);
  }

  #closers(uuid: RequestUuid): readonly Closer[] {
    return closersOf(this.#sql, this.#counts, uuid);
  }

  #putTombstone(uuid: RequestUuid, keyUntil: number, by: Closer): void {
    this.#sql.setTombstone.run(uuid, keyUntil, this.#transaction.number, by, null);
    this.#counts.tombstones++;
  }

  #dropTombstones(uuid: RequestUuid): void {
    this.#counts.tombstones -= this.#sql.dropTombstonesOf.run(uuid).changes;
  }

  /** Ends its state, with what belongs only to that. */
  #moveTo(existing: ExistingRequest, state: StoredState, attempts: number, replyBytes = 0): void {
    this.#leave(existing);
    this.#deleteEnd(existing);
    this.#enter({ ...existing, state: STATE_NUMBERS[state], attempts, replyBytes });
  }

  #leave(request: ExistingRequest): void {
    this.#counts.deltas.add(deltaOf(request, -1));
  }

  #enter(request: ExistingRequest): void {
    this.#counts.deltas.add(deltaOf(request, 1));
  }

  /** Removes its reply, or why it died. */
  #deleteEnd({ state, number }: ExistingRequest): void {
    if (state === REPLIED) this.#sql.deleteReply.run(number);
    else if (state === DEAD) this.#sql.deleteDeath.run(number);
  }
}

function deltaOf(request: ExistingRequest, requests: 1 | -1): Delta {
  const { bodyBytes, replyBytes, extra } = request;
  const state = STATE_NAMES[request.state] ?? 'pending';
  const bytes = bodyBytes + replyBytes + (extra?.length ?? 0);
  return requestDelta({ ...request, state }, requests, bytes);
}

/** Who closed a request, according to its tombstones. */
export function closersOf(
  sql: Statements,
  { tombstones }: Pick<RunningCounts, 'tombstones'>,
  uuid: RequestUuid,
): readonly Closer[] {
  return tombstones === 0 ? [] : sql.tombstonesOf.all(uuid).map(({ by }) => by);
}
