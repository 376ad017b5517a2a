/** What the records of a store are: a table of kinds, and what each part of the program does with them. */
import { COUNT_MAX } from '../core/numbers.js';

/** What the name of a later version's kind begins with, before its number. */
const LATER_KIND = 'kind-';

/**
 * What a record is. Requests and webhooks are sent to workers; a schedule stores requests, and a pause keeps requests
 * or schedules waiting. In the order of the numbers that encode them.
 */
export const RECORD_KINDS = ['request', 'schedule', 'pause', 'webhook'] as const;
export type KnownKind = (typeof RECORD_KINDS)[number];
/** A kind that this program does not know, from a later version, has its number: such a record is kept, never run. */
export type RecordKind = KnownKind | `kind-${number}`;

/** @returns `null` for the kind of a later version */
export function knownKind(kind: RecordKind): KnownKind | null {
  return RECORD_KINDS.find((known) => known === kind) ?? null;
}

/** The number that encodes a kind. */
export function numberOfKind(kind: RecordKind): number {
  const known = RECORD_KINDS.indexOf(kind as KnownKind);
  return known === -1 ? Number(kind.slice(LATER_KIND.length)) : known;
}

export function kindOfNumber(number: number): RecordKind {
  return RECORD_KINDS[number] ?? `${LATER_KIND}${number}`;
}

/** @returns `null` for a text that is no kind */
export function readKind(text: string): RecordKind | null {
  const known = RECORD_KINDS.find((kind) => kind === text);
  const number = Number(/^kind-(\d{1,10})$/.exec(text)?.[1] ?? -1);
  if (known !== undefined || number < RECORD_KINDS.length) return known ?? null;
  return number <= COUNT_MAX ? kindOfNumber(number) : null;
}

/** Whether records of a kind are sent to workers. The compiler asks for each kind. */
const IS_WORK: Readonly<Record<KnownKind, boolean>> = {
  request: true,
  webhook: true,
  schedule: false,
  pause: false,
};

/** Whether a record is sent to workers: those of a later version's kinds are not. */
export function isWork(kind: RecordKind): boolean {
  const known = knownKind(kind);
  return known !== null && IS_WORK[known];
}

/** The numbers of the kinds that this program knows, as a list of SQL. */
export const KNOWN_KINDS: string = RECORD_KINDS.map(numberOfKind).join(', ');
/** The numbers of the kinds that are sent to workers, as a list of SQL. */
export const WORK_KINDS: string = RECORD_KINDS.filter(isWork).map(numberOfKind).join(', ');
/** The numbers of the other known kinds, whose records all brokers of a store keep in mind. */
export const LISTED_KINDS: string = RECORD_KINDS.filter((kind) => !isWork(kind))
  .map(numberOfKind)
  .join(', ');
