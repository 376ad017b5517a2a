/**
 * How the text of a 500 begins if the request may be stored all the same (D12), and the reason of a request that may
 * have run, and runs no more.
 */
export const OUTCOME_UNKNOWN = 'outcome unknown';

/** How the end of a delivery begins whose worker sent RETURN. */
export const GIVEN_BACK = 'given back';

/** What clients are told of a store that has taken too long. */
export const LATE = 'the store did not answer in time';

/** A worker's description of a failure, for people: only the code if there is no text. */
export function failureWords({
  code,
  text,
}: {
  readonly code: string;
  readonly text: string;
}): string {
  return text === '' ? code : `${code}: ${text}`;
}

/** Why a plain request had no reply within its time to live. */
export const EXPIRY_WORDS = {
  paused: 'an operator has paused its service',
  no_worker: 'no worker served its service',
  workers_busy: 'no worker was free for it',
  limited: 'a limit kept it from starting',
  no_answer: 'the worker that had it did not answer',
} as const;
export type ExpiryReason = keyof typeof EXPIRY_WORDS;

/** Why nobody wants the answer of a plain request any more. */
export const DROPPED_WORDS = {
  client_gone: 'it was queued, and its client disconnected',
  cancelled: 'its client gave it up, without any part of the answer',
  left: 'its client had a part of the answer, and wanted no more',
} as const;
export type DroppedReason = keyof typeof DROPPED_WORDS;

/** The first word of the reason of a `503` from a broker that is about to end, after which it takes no request. */
export const DRAINING_WORD = 'draining';
