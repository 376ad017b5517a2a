/** What the records of a store are: a table of kinds, and what each part of the program does with them. */
import { COUNT_MAX } from '../core/numbers.js';

/** What the name of a later version's kind begins with, before its number. */
const LATER_KIND = 'kind-';

/**
 * What a record is. Requests and webhooks are sent to workers; a schedule stores requests, a pause keeps requests
 * or schedules waiting, and a limit has few of a service's requests run at once. In the order of the numbers that encode them.
 */
export const RECORD_KINDS = ['request', 'schedule', 'pause', 'webhook', 'limit'] as const;
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

/** The state of a request in the store. (Closed and expired ones are not in it.) */
export type StoredState = 'pending' | 'replied' | 'dead';

/** What a record counts as; `work`: by its state, because it is sent to workers. The compiler asks for each kind. */
const COUNTED_AS = {
  request: 'work',
  webhook: 'work',
  schedule: 'schedules',
  pause: 'pauses',
  limit: 'limits',
} as const satisfies Readonly<Record<KnownKind, string>>;
/** What a record counts as that is not sent to workers; `later`: its kind is one of a later version. */
export type OtherCount = Exclude<(typeof COUNTED_AS)[KnownKind], 'work'> | 'later';
export type RecordCount = StoredState | OtherCount;

/** The counts of records that are not sent to workers, in the words of operators: of one, and of more. */
export const OTHER_COUNTS: Readonly<Record<OtherCount, readonly [one: string, more: string]>> = {
  schedules: ['schedule', 'schedules'],
  pauses: ['pause', 'pauses'],
  limits: ['limit', 'limits'],
  later: ['record of a later version', 'records of a later version'],
};

export function noCounts(): Record<RecordCount, number> {
  const others = Object.keys(OTHER_COUNTS).map((count) => [count, 0]);
  return {
    pending: 0,
    replied: 0,
    dead: 0,
    ...(Object.fromEntries(others) as Record<OtherCount, 0>),
  };
}

/** How many records there are that are not sent to workers, each count that is not 0 as text: `1 schedule`. */
export function otherRecords(counts: Readonly<Record<OtherCount, number>>): string[] {
  return (Object.keys(OTHER_COUNTS) as OtherCount[]).flatMap((name) => {
    const count = counts[name];
    return count === 0 ? [] : `${count} ${OTHER_COUNTS[name][count === 1 ? 0 : 1]}`;
  });
}

export const RECORD_COUNTS = Object.keys(noCounts()) as readonly RecordCount[];

/** All records that are counted. */
export function allCounted(counts: Readonly<Record<RecordCount, number>>): number {
  let all = 0;
  for (const count of RECORD_COUNTS) all += counts[count];
  return all;
}

/** Which count a record belongs to. */
export function countOf({ kind, state }: { kind: RecordKind; state: StoredState }): RecordCount {
  const known = knownKind(kind);
  if (known === null) return 'later';
  const count = COUNTED_AS[known];
  return count === 'work' ? state : count;
}

/** Whether a record is sent to workers: those of a later version's kinds are not. */
export function isWork(kind: RecordKind): boolean {
  const known = knownKind(kind);
  return known !== null && COUNTED_AS[known] === 'work';
}

/** The numbers of the kinds that this program knows, as a list of SQL. */
export const KNOWN_KINDS: string = RECORD_KINDS.map(numberOfKind).join(', ');
/** The numbers of the kinds that are sent to workers, as a list of SQL. */
export const WORK_KINDS: string = RECORD_KINDS.filter(isWork).map(numberOfKind).join(', ');
/** The numbers of the other known kinds, whose records all brokers of a store keep in mind (`ClaimStore.listKept`). */
export const KEPT_KINDS: string = RECORD_KINDS.filter((kind) => !isWork(kind))
  .map(numberOfKind)
  .join(', ');
/** `KEPT_KINDS` as a number, with a bit for the number of each: a sweep ends their records. */
export const KEPT_KINDS_BITS: number = RECORD_KINDS.filter((kind) => !isWork(kind)).reduce(
  (bits, kind) => bits + 2 ** numberOfKind(kind),
  0,
);

/** Whether a number that has a bit for each of some kinds has that of this one. */
export function hasKind(bits: number, kind: RecordKind): boolean {
  return Math.floor(bits / 2 ** numberOfKind(kind)) % 2 === 1;
}
