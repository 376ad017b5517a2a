/**
 * Which stored requests an operator means: the one filter of lists, groups, retry, purge and cancel.
 *
 * What an index serves (state, uuid and time of acceptance), the name of the service and the group are conditions of
 * the engines' statements. The rest is decided here, row by row.
 */
import { WALL_MS_MAX } from '../core/numbers.js';
import { NO_REPLY, readDeadStatus } from '../wire/failure.js';
import { readHeadersIn } from './fields.js';
import { KEPT_KINDS, numberOfKind, type RecordKind, WORK_KINDS } from './record-kind.js';
import type { RequestUuid } from './store.js';

/** How a service has to match the name of the filter, byte by byte. */
export type ServiceMatch = 'exact' | 'prefix' | 'substring';

/**
 * A kind of record; `listed`: what lists show, all but schedules and pauses; `work`: what commands for many are
 * for, which is sent to workers.
 */
type KindFilter = RecordKind | 'listed' | 'work';

/** A filter of kinds as a number, which statements compare with kinds: see `kindCondition`. */
export function numberOfFilter(kind: KindFilter): number {
  if (kind === 'listed') return -1;
  return kind === 'work' ? -2 : numberOfKind(kind);
}

/** The condition of a row whose kind a filter wants, in SQL. @param filter the number of the filter */
export function kindCondition(filter: string, kind = 'kind'): string {
  return `CASE ${filter} WHEN -1 THEN ${kind} NOT IN (${KEPT_KINDS}) WHEN -2 THEN ${kind} IN (${WORK_KINDS})
    ELSE ${kind} = ${filter} END`;
}

/**
 * Null: any. Wall times in milliseconds since 1970: `After` is the first that matches, `Before` the first
 * that does not.
 */
export interface StoredFilter {
  readonly service: Buffer | null;
  readonly serviceMatch: ServiceMatch;
  readonly kind: KindFilter;
  readonly group: Buffer | null;
  /** Hexadecimal digits with which the uuid begins, in upper case. */
  readonly uuid: string | null;
  readonly acceptedAfter: number | null;
  readonly acceptedBefore: number | null;
  readonly more: RowFilter;
}

/** What no index serves. */
export interface RowFilter {
  /** A part of the reason; upper and lower case are the same. */
  readonly reason: string | null;
  /** The whole pattern of the reason: see `failureGroupOf`. */
  readonly pattern: string | null;
  readonly code: string | null;
  readonly header: { readonly name: string; readonly value: string } | null;
  readonly diedAfter: number | null;
  readonly diedBefore: number | null;
  /** What pending requests wait for: a worker, their time, or their next attempt. */
  readonly phase: Phase | null;
  /** The present, for `phase`; null without it. */
  readonly at: number | null;
  /** Hexadecimal digits with which the uuid ends, in upper case. */
  readonly uuidEnd: string | null;
}

export type Phase = 'waiting' | 'delayed' | 'retrying';

/** By what matches are counted. */
export type Grouping = 'reason' | 'service' | 'code';

/** What has to be read of each row. */
interface WantedColumns {
  readonly reason: boolean;
  readonly extra: boolean;
  readonly diedAt: boolean;
}

export function wantedBy(more: RowFilter, by: Grouping | null): WantedColumns {
  const { reason, pattern, code, header, diedAfter, diedBefore } = more;
  return {
    reason: isGiven(reason, pattern, code) || by === 'reason' || by === 'code',
    extra: header !== null,
    diedAt: isGiven(diedAfter, diedBefore),
  };
}

/** Whether `more` leaves out any request. */
export function isNarrow(more: RowFilter): boolean {
  return isGiven(...(Object.values(more) as unknown[]));
}

function isGiven(...values: readonly unknown[]): boolean {
  return values.some((value) => value !== null);
}

/** A row that is examined. What is not wanted is null. */
export interface ScannedRow {
  /** Hexadecimal digits, in upper case. */
  readonly uuid: string;
  readonly service: string;
  /** The whole reason; null: no attempt failed, or it has a reply. */
  readonly reason: string | null;
  readonly extra: Buffer | null;
  readonly diedAt: number | null;
  readonly notBefore: number;
  readonly attempts: number;
}

export function matches(filter: RowFilter, row: ScannedRow): boolean {
  const { reason, extra, diedAt } = row;
  const { diedAfter, diedBefore, header, phase, at } = filter;
  if (filter.uuidEnd !== null && !row.uuid.endsWith(filter.uuidEnd)) return false;
  if (phase !== null && phase !== phaseOf(row, at ?? 0)) return false;
  if (diedAfter !== null && !(diedAt !== null && diedAt >= diedAfter)) return false;
  if (diedBefore !== null && !(diedAt !== null && diedAt < diedBefore)) return false;
  if (filter.reason !== null && !foldedOf(reason ?? '').includes(foldedOf(filter.reason))) {
    return false;
  }
  if (filter.code !== null || filter.pattern !== null) {
    const { code, pattern } = failureGroupOf(reason);
    if (filter.code !== null && filter.code !== code) return false;
    if (filter.pattern !== null && filter.pattern !== pattern) return false;
  }
  return header === null || readHeadersIn(extra)?.[header.name] === header.value;
}

/** @param at the present */
function phaseOf({ notBefore, attempts }: ScannedRow, at: number): Phase {
  if (notBefore <= at) return 'waiting';
  return attempts === 0 ? 'delayed' : 'retrying';
}

function foldedOf(text: string): string {
  return text.toLowerCase();
}

// ---------------------------------------------------------------- failures

interface FailureGroup {
  /** The worker's code, `mdp.no-reply` if no worker reported one; empty: no attempt failed. */
  readonly code: string;
  /** The reason without the code, with `#` in place of each number and identifier. */
  readonly pattern: string;
}

const PATTERN_CHARACTERS_MAX = 256;

/**
 * Words that differ from one failure to the next: uuids, words of hexadecimal digits that have at least six
 * and of those one decimal, and numbers. Each alternative takes time in proportion to what it reads.
 */
const VARYING =
  /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b|\b0x[\da-f]+\b|\b(?=[a-f]*\d)[\da-f]{6,}\b|\d+/gi;

/** What requests that failed in the same way have in common. */
export function failureGroupOf(reason: string | null): FailureGroup {
  if (reason === null) return { code: '', pattern: '' };
  const { code, text } = readDeadStatus(`dead ${reason}`) ?? { code: NO_REPLY, text: reason };
  return { code, pattern: shortened(text.replaceAll(VARYING, '#')) };
}

/** Half a character at its end would not come back from a URL. */
function shortened(text: string): string {
  return Buffer.from(text.slice(0, PATTERN_CHARACTERS_MAX)).toString();
}

// ---------------------------------------------------------------- indexes

const UUID_DIGITS = 32;
const TIME_DIGITS = 12;
const ABOVE_ALL = 'F'.repeat(UUID_DIGITS);
const BELOW_ALL = '0'.repeat(UUID_DIGITS);

/**
 * The uuids, in digits, of the requests that an index finds: below `from`, and not below `to`. (Uuids of
 * version 7 begin with the time of acceptance.)
 */
export function boundsOf(
  { uuid, acceptedAfter, acceptedBefore }: Omit<StoredFilter, 'more'>,
  after: RequestUuid | null,
): { readonly from: string; readonly to: string } {
  const ends = [
    ABOVE_ALL,
    ...(after === null ? [] : [digitsOf(after)]),
    ...(acceptedBefore === null ? [] : [firstOf(acceptedBefore)]),
    ...(uuid === null ? [] : [endOf(uuid)]),
  ];
  const begins = [
    BELOW_ALL,
    ...(acceptedAfter === null ? [] : [firstOf(acceptedAfter)]),
    ...(uuid === null ? [] : [uuid.padEnd(UUID_DIGITS, '0')]),
  ];
  return { from: ends.sort()[0] ?? ABOVE_ALL, to: begins.sort().at(-1) ?? BELOW_ALL };
}

/** The first uuid of a millisecond, which need not exist. */
function firstOf(wallMs: number): string {
  const time = Math.min(Math.max(Math.ceil(wallMs), 0), WALL_MS_MAX);
  return time.toString(16).toUpperCase().padStart(TIME_DIGITS, '0').padEnd(UUID_DIGITS, '0');
}

/** The first uuid behind all with this prefix. */
function endOf(prefix: string): string {
  const next = (BigInt(`0x${prefix}`) + 1n).toString(16).toUpperCase();
  if (next.length > prefix.length) return ABOVE_ALL;
  return next.padStart(prefix.length, '0').padEnd(UUID_DIGITS, '0');
}

export function digitsOf(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}

export function bytesOf(digits: string): Buffer {
  return Buffer.from(digits, 'hex');
}
