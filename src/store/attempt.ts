/** What is stored of a delivery that ended without a usable reply, and of what operators did. */
import type { FieldReader, FieldWriter } from '../core/numbered-fields.js';

/** Wall times in milliseconds. */
export interface Attempt {
  /** `workerText`. Empty: none had it. It is an operator's retry. */
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reason: string;
  /** What its worker reported (D63), see failure-codec.ts; `null`: nothing. */
  readonly failure: Buffer | null;
  /** Fields of a later version, as they came; see core/numbered-fields.ts. */
  readonly extra: Buffer | null;
}

/** The numbers of its fields, and their columns in both engines. */
export const ATTEMPT_FIELDS = {
  worker: { field: 20, as: 'text', column: 'worker' },
  startedAt: { field: 23, as: 'number', column: 'started_at' },
  endedAt: { field: 24, as: 'number', column: 'ended_at' },
  reason: { field: 22, as: 'text', column: 'reason' },
  failure: { field: 29, as: 'bytes', column: 'failure' },
} as const satisfies { readonly [Name in keyof Omit<Attempt, 'extra'>]: object };

const A = ATTEMPT_FIELDS;

/**
 * What the store has of a worker: its number, its address and its name, of which only the name may have
 * spaces.
 * @param address '' if it is not known
 */
export function workerText(number: number, address: string, name: string | null): string {
  if (name !== null) return `${number} ${address === '' ? '-' : address} ${name}`;
  return address === '' ? String(number) : `${number} ${address}`;
}

/** What `workerText` made. */
export function readWorkerText(text: string): {
  readonly worker: string;
  readonly workerName: string | null;
  readonly workerAddress: string | null;
} {
  const [worker = '', address = '-', ...name] = text.split(' ');
  const workerName = name.length === 0 ? null : name.join(' ');
  return { worker, workerName, workerAddress: address === '-' ? null : address };
}

/** @param by who retried it */
export function retryEntry(by: string, at: number, reason: string | null): Attempt {
  return orderEntry(`retried by ${by}${reason === null ? '' : `; it was dead: ${reason}`}`, at);
}

/** What an operator did, between the attempts. */
export function orderEntry(reason: string, at: number): Attempt {
  return {
    worker: '',
    startedAt: at,
    endedAt: at,
    reason,
    failure: null,
    extra: null,
  };
}

/** Writes the fields of an attempt, without `extra`. */
export function putAttempt(to: FieldWriter, attempt: Attempt): void {
  to.text(attempt.worker, A.worker.field);
  to.number(attempt.startedAt, A.startedAt.field);
  to.number(attempt.endedAt, A.endedAt.field);
  to.text(attempt.reason, A.reason.field);
  to.bytes(attempt.failure, A.failure.field);
}

export function attemptFrom(from: FieldReader): Attempt {
  return {
    worker: from.text(A.worker.field),
    startedAt: from.number(A.startedAt.field),
    endedAt: from.number(A.endedAt.field),
    reason: from.text(A.reason.field),
    failure: from.maybe(A.failure.field),
    extra: from.extra,
  };
}
