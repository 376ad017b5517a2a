/** The tables of a store file as a merge uses them, within its transaction. */
import { assert } from '../../../core/assert.js';
import { nextAfter } from '../../../core/numbers.js';
import type { RequestState } from '../../join.js';
import type { KnownKey, MergeTables, RequestHere } from '../../merge.js';
import type { RequestRecord } from '../../record-codec.js';
import type { Owner, RequestUuid, Tombstone } from '../../store.js';
import { requestDelta } from '../../tally.js';
import type { RunningCounts } from './change-rows.js';
import { recordOf } from './changed-records.js';
import { KeyRows } from './key-rows.js';
import {
  changedRow,
  insertAttempt,
  insertRequest,
  STATE_NUMBERS,
  type Statements,
} from './statements.js';

/** Ends a request that is in the store. */
type Remove = (uuid: RequestUuid, keyUntil: number) => void;

export class MergeRows implements MergeTables {
  readonly #sql: Statements;
  readonly #counts: RunningCounts;
  /** The number of the transaction. */
  readonly #changed: number;
  readonly #remove: Remove;
  readonly #keys: KeyRows;

  constructor(sql: Statements, counts: RunningCounts, changed: number, remove: Remove) {
    this.#sql = sql;
    this.#counts = counts;
    this.#changed = changed;
    this.#remove = remove;
    this.#keys = new KeyRows(sql, counts.deltas, changed);
  }

  tombstones(uuid: RequestUuid): readonly Tombstone[] {
    return this.#counts.tombstones === 0 ? [] : this.#sql.tombstonesOf.all(uuid);
  }

  putTombstone(uuid: RequestUuid, { keyUntil, by, extra }: Tombstone): void {
    if (!this.tombstones(uuid).some((known) => known.by === by)) this.#counts.tombstones++;
    this.#sql.setTombstone.run(uuid, keyUntil, this.#changed, by, extra);
  }

  dropTombstones(uuid: RequestUuid): void {
    this.#counts.tombstones -= this.#sql.dropTombstonesOf.run(uuid).changes;
  }

  request(uuid: RequestUuid): RequestHere | null {
    const row = this.#sql.record.get(uuid);
    return row === undefined ? null : recordOf(this.#sql, changedRow(row), Infinity);
  }

  isFree(number: number): boolean {
    return this.#sql.isTaken.get(number) === undefined;
  }

  takeNumber(): number {
    return this.#counts.nextNumber++;
  }

  insert(record: RequestRecord, body: Buffer, number: number): void {
    const { attemptsEver, extra } = record;
    const request = { ...record.request, number };
    const changed = this.#changed;
    this.#counts.nextNumber = nextAfter(this.#counts.nextNumber, number);
    const row = { request, key: null, attemptsEver, changed, born: changed, extra };
    insertRequest(this.#sql, row, replyBytes(record));
    this.#sql.insertBody.run(number, body);
    this.#count(record, 1);
    this.#putEnd(number, record);
    this.#putAttempts(number, record);
  }

  update(before: RequestState, after: RequestState): void {
    const { request, attemptsEver } = after;
    const { number, state } = request;
    this.#count(before, -1);
    this.#count(after, 1);
    const { changes } = this.#sql.setState.run(
      STATE_NUMBERS[state],
      request.generation,
      request.notBefore,
      request.expiresAt,
      request.attempts,
      attemptsEver,
      replyBytes(after),
      request.outcome,
      request.outcomeAt,
      this.#changed,
      after.extra,
      number,
    );
    assert(changes === 1, 'a merge changes a request that is here');
    if (before.reply !== after.reply || before.death !== after.death) {
      if (before.reply !== null) this.#sql.deleteReply.run(number);
      if (before.death !== null) this.#sql.deleteDeath.run(number);
      this.#putEnd(number, after);
    }
    if (before.attempts === after.attempts && before.attemptsEver === attemptsEver) return;
    if (before.attemptsEver > 0) this.#sql.deleteAttempts.run(number);
    this.#putAttempts(number, after);
  }

  touch(uuid: RequestUuid): void {
    this.#sql.touch.run(this.#changed, uuid);
  }

  remove(uuid: RequestUuid, keyUntil: number): void {
    this.#remove(uuid, keyUntil);
  }

  keyOf(service: Buffer, key: Buffer, owner: Owner): KnownKey | null {
    return this.#sql.keyOf.get(service, key, owner) ?? null;
  }

  putKey(service: Buffer, key: Buffer, known: KnownKey): void {
    this.#keys.put(service, key, known);
  }

  dropKey(service: Buffer, key: Buffer, owner: Owner): void {
    this.#keys.drop(service, key, owner);
  }

  setKeyOf(uuid: RequestUuid, key: Buffer | null): void {
    this.#sql.setKeyOf.run(key, this.#changed, uuid);
  }

  #count(state: RequestState, requests: 1 | -1): void {
    const { request, extra } = state;
    const bytes = request.bodyBytes + (extra?.length ?? 0) + replyBytes(state);
    this.#counts.deltas.add(requestDelta(request, requests, bytes));
  }

  #putEnd(number: number, { reply, death }: RequestState): void {
    if (reply !== null) this.#sql.insertReply.run(number, reply.reply, reply.worker, reply.at);
    if (death !== null) this.#sql.insertDeath.run(number, death.reason, death.at);
  }

  #putAttempts(number: number, { attempts, attemptsEver }: RequestState): void {
    for (const [place, attempt] of attempts.entries()) {
      const ordinal = attemptsEver - attempts.length + place + 1;
      insertAttempt(this.#sql, number, ordinal, attempt);
    }
  }
}

function replyBytes({ reply }: RequestState): number {
  return reply?.reply.length ?? 0;
}
