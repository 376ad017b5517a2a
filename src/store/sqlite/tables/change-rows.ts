/** The changes of the store port as statements on the tables, within a transaction. */
import { present } from '../../../core/assert.js';
import { nextAfter } from '../../../core/numbers.js';
import { isOnceKey } from '../../../wire/tsp.js';
import { joinExtra } from '../../../core/numbered-fields.js';
import { requestFrom } from '../../request.js';
import { RowReader } from '../../rows.js';
import {
  type Attempt,
  ATTEMPTS_RETAINED,
  type Change,
  type ChangeResult,
  ANY_OWNER,
  type Closer,
  isOpenTo,
  type RequestUuid,
  type StoredState,
  type Transaction,
} from '../../store.js';
import { DENIED, DONE, PASSED } from '../../store.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';
import { KeyRows } from './key-rows.js';
import type { OwnerCounts } from './owner-counts.js';
import type { ServiceCounts } from './service-counts.js';
import {
  insertAttempt,
  insertRequest,
  overdue,
  type ExistingRequest,
  existingOf,
  STATE_NAMES,
  type Statements,
  type Tally,
} from './statements.js';

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

/** The counts that every change updates, in memory. */
export interface RunningCounts {
  readonly tally: { -readonly [Key in keyof Tally]: Tally[Key] };
  readonly owners: OwnerCounts;
  readonly services: ServiceCounts;
}

export class ChangeRows {
  readonly #sql: Statements;
  readonly #tally: RunningCounts['tally'];
  readonly #owners: OwnerCounts;
  readonly #services: ServiceCounts;
  readonly #transaction: Transaction;
  readonly #keys: KeyRows;

  constructor(
    sql: Statements,
    { tally, owners, services }: RunningCounts,
    transaction: Transaction,
  ) {
    this.#sql = sql;
    this.#tally = tally;
    this.#owners = owners;
    this.#services = services;
    this.#transaction = transaction;
    this.#keys = new KeyRows(sql, owners, transaction.number);
  }

  apply(change: Change): ChangeResult {
    const result = this.#step(change);
    const { extra } = change;
    const isStep = result.kind === 'done' || result.kind === 'retried';
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
    this.#owners.add(existing.owner, 0, (joined?.length ?? 0) - extraBytes(existing));
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
    const next = this.#tally.nextNumber;
    const isNumbered = nextAfter(next, request.number) > next;
    if (isNumbered) this.#tally.nextNumber = request.number + 1;
    const number = isNumbered ? request.number : next;
    const { number: changed } = this.#transaction;
    if (key !== null) {
      const existing = existingOf(this.#sql, request.uuid);
      if (existing !== undefined) return this.#acceptAgain(existing, change);
      // The same key of the same owner names the request that was stored first (D16).
      const { service, owner, uuid, acceptedAt } = request;
      const known = this.#sql.knownKey.get(service, key, owner, acceptedAt);
      if (known !== undefined) return { kind: 'known', uuid: known };
      this.#keys.put(service, key, { owner, uuid, until: null, extra: null });
    }
    const isNew = insertRequest(this.#sql, {
      request: isNumbered ? request : { ...request, number },
      ...{ key, attemptsEver: 0, changed, born: changed, extra: change.extra ?? null },
    });
    if (!isNew) {
      const existing = present(existingOf(this.#sql, request.uuid), 'the request of this uuid');
      return this.#acceptAgain(existing, change);
    }
    if (!isNumbered) this.#tally.nextNumber++;
    this.#sql.insertBody.run(number, body);
    this.#enterState(request.service, 'pending', request.attempts);
    this.#owners.add(request.owner, 1, request.bodyBytes + extraBytes(change));
    return DONE;
  }

  /** The request is in the store: only a higher generation counts (D17). */
  #acceptAgain(existing: ExistingRequest, { request }: ChangeOf<'accept'>): ChangeResult {
    if (request.generation <= existing.generation) return PASSED;
    this.#leaveState(existing);
    this.#enterState(existing.service, 'pending', request.attempts);
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

  #attempt(change: ChangeOf<'attempt'>): ChangeResult {
    const { uuid, generation, attempts, attempt, notBefore } = change;
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation < existing.generation) return PASSED;
    const isAbove = existing.state === PENDING && attempts > existing.attempts;
    if (generation === existing.generation && !isAbove) return PASSED;
    this.#leaveState(existing);
    this.#enterState(existing.service, 'pending', attempts);
    const { number } = existing;
    const ordinal = existing.attemptsEver + 1;
    const { number: changed } = this.#transaction;
    this.#sql.setAttempt.run(generation, attempts, ordinal, notBefore, changed, number);
    this.#putAttempt(number, ordinal, attempt);
    return DONE;
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
    this.#leaveState(existing);
    this.#enterState(existing.service, 'replied', 0);
    const { number: changed } = this.#transaction;
    this.#sql.settle.run(REPLIED, generation, expiresAt, changed, existing.number);
    this.#sql.insertReply.run(existing.number, reply, worker, at);
    this.#owners.add(existing.owner, 0, reply.length);
    return DONE;
  }

  #dead(change: ChangeOf<'dead'>): ChangeResult {
    const { uuid, generation, reason, at, expiresAt } = change;
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined || generation < existing.generation) return PASSED;
    if (generation === existing.generation && existing.state !== PENDING) return PASSED;
    this.#leaveState(existing);
    this.#enterState(existing.service, 'dead', 0);
    const { number: changed } = this.#transaction;
    this.#sql.settle.run(DEAD, generation, expiresAt, changed, existing.number);
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
      this.#remove(existing, uuid, keyUntil);
      if (tombstones !== 'none') this.#putTombstone(uuid, keyUntil, ANY_OWNER);
      return DONE;
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
    this.#leaveState(existing);
    this.#enterState(existing.service, 'pending', 0);
    const { number } = existing;
    const ordinal = existing.attemptsEver + 1;
    const { number: changed } = this.#transaction;
    this.#sql.reopen.run(generation, attempt.endedAt, expiresAt, 0, ordinal, changed, number);
    this.#putAttempt(number, ordinal, attempt);
    const row = present(this.#sql.request.get(number), 'the request that is retried');
    return { kind: 'retried', request: requestFrom(new RowReader(row)) };
  }

  #sweep({ now, keyUntil, most }: ChangeOf<'sweep'>): ChangeResult {
    const over = overdue(this.#sql, now, most + 1);
    const { tombstones } = this.#transaction;
    let replied = 0;
    let dead = 0;
    const swept = new Map<string, number>();
    for (const { uuid, ...existing } of over.slice(0, most)) {
      if (existing.state === REPLIED) replied++;
      else dead++;
      const name = existing.service.toString('latin1');
      swept.set(name, (swept.get(name) ?? 0) + 1);
      this.#remove(existing, uuid, keyUntil);
      if (tombstones !== 'none') this.#putTombstone(uuid, keyUntil, ANY_OWNER);
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
    return { kind: 'swept', replied, dead, services, more };
  }

  // ---------------------------------------------------------------- parts

  /** Ends a request that is in the store, for a merge. */
  remove(uuid: RequestUuid, keyUntil: number): void {
    this.#remove(present(existingOf(this.#sql, uuid), 'a request to end'), uuid, keyUntil);
  }

  #remove(existing: ExistingRequest, uuid: RequestUuid, keyUntil: number): void {
    this.#leaveState(existing);
    const { number, service, key, owner } = existing;
    this.#owners.add(owner, -1, -(existing.bodyBytes + extraBytes(existing)));
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
    return closersOf(this.#sql, this.#tally, uuid);
  }

  #putTombstone(uuid: RequestUuid, keyUntil: number, by: Closer): void {
    this.#sql.setTombstone.run(uuid, keyUntil, this.#transaction.number, by, null);
    this.#tally.tombstones++;
  }

  #dropTombstones(uuid: RequestUuid): void {
    this.#tally.tombstones -= this.#sql.dropTombstonesOf.run(uuid).changes;
  }

  /** A request of the service enters this state. */
  #enterState(service: Buffer, state: StoredState, attempts: number): void {
    this.#tally[state]++;
    this.#services.add(service, state, attempts, 1);
  }

  /** Removes what belongs only to its current state. */
  #leaveState({ state, number, owner, service, attempts }: ExistingRequest): void {
    const name = STATE_NAMES[state] ?? 'pending';
    this.#tally[name]--;
    this.#services.add(service, name, attempts, -1);
    if (state === REPLIED) {
      this.#owners.add(owner, 0, -(this.#sql.replyBytes.get(number) ?? 0));
      this.#sql.deleteReply.run(number);
    } else if (state === DEAD) {
      this.#sql.deleteDeath.run(number);
    }
  }
}

function extraBytes({ extra }: { readonly extra?: Buffer | null | undefined }): number {
  return extra?.length ?? 0;
}

/** Who closed a request, according to its tombstones. */
export function closersOf(sql: Statements, tally: Tally, uuid: RequestUuid): readonly Closer[] {
  return tally.tombstones === 0 ? [] : sql.tombstonesOf.all(uuid).map(({ by }) => by);
}
