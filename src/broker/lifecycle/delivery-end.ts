import { GIVEN_BACK, OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import { NOT_BEGUN } from '../../wire/mdp.js';
import type { LostReason } from '../counters.js';
import type { Worker } from '../state/entities.js';

/** How a delivery ended without a reply that counts. */
export interface DeliveryEnd {
  /** The worker was lost, began anew, gave the request back, or failed on it. */
  readonly cause: LostReason | 'anew' | 'returned' | 'failed' | 'busy';
  /** The worker did not announce it, and may still send its reply (D8). */
  readonly mayStillReply: boolean;
  /** The worker says that it did not begin the request, or it never came to one (D117). */
  readonly isUnbegun: boolean;
  /** Text for the history of a stored request. */
  readonly text: string;
}

function lost(cause: LostReason, mayStillReply: boolean): DeliveryEnd {
  return { cause, mayStillReply, isUnbegun: false, text: cause };
}

export const LOST_WITH_WORKER: Readonly<Record<LostReason, DeliveryEnd>> = {
  expired: lost('expired', true),
  connection: lost('connection', true),
  disconnected: lost('disconnected', false),
  protocol: lost('protocol', false),
  rights: lost('rights', false),
  drained: lost('drained', false),
};

/** The worker began a new conversation, or sent another reply instead (D33, D36). */
export const STARTED_ANEW: DeliveryEnd = {
  cause: 'anew',
  mayStillReply: true,
  isUnbegun: false,
  text: 'its worker started anew',
};

/** The end when the worker declined the request. @param reason printable; may be empty */
export function returned(reason: string): DeliveryEnd {
  const text = reason === '' ? GIVEN_BACK : `${GIVEN_BACK}: ${reason}`;
  const isUnbegun = reason.startsWith(NOT_BEGUN);
  return { cause: 'returned', mayStillReply: false, isUnbegun, text };
}

/** The end of a request at a broker that had no worker available for it. It is no delivery. */
export const BUSY_ELSEWHERE: DeliveryEnd = {
  cause: 'busy',
  mayStillReply: false,
  isUnbegun: true,
  text: 'no worker was available there',
};

/** The end when another broker lost the worker. @param text printable; may be empty */
export function lostElsewhere(text: string): DeliveryEnd {
  const shown = text === '' ? 'lost' : text;
  return { cause: 'connection', mayStillReply: true, isUnbegun: false, text: shown };
}

/** @param text what the worker reported */
export function failed(text: string): DeliveryEnd {
  return { cause: 'failed', mayStillReply: false, isUnbegun: false, text };
}

/** What a worker did that had a request and did not answer it. */
const LEFT_BY: Readonly<Record<DeliveryEnd['cause'], string>> = {
  expired: 'which was lost',
  connection: 'which was lost',
  disconnected: 'which left',
  protocol: 'which was disconnected because it broke the protocol',
  rights: 'which was disconnected because it lost the right to serve it',
  drained: 'which did not answer before this broker stopped',
  anew: 'which started anew',
  returned: 'which gave it back',
  failed: 'which failed',
  busy: 'which was busy',
};

/** What is known of a request that was delivered to this worker and may be delivered to no other (D117). */
export function outcomeUnknown(
  { name, number, remote }: Pick<Worker, 'name' | 'number' | 'remote'>,
  { cause, text }: DeliveryEnd,
): string {
  const what =
    remote === null
      ? `worker ${name ?? number}, ${LEFT_BY[cause]}`
      : `a worker of another broker, which did not answer (${text})`;
  return `${OUTCOME_UNKNOWN}: delivered to ${what}`;
}
