/** How the text of a 500 begins if the request may be stored all the same (D12). */
export const OUTCOME_UNKNOWN = 'outcome unknown';

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

/** Why a request had no reply within its time to live, which a worker has had so many times. */
export function expiryWords(deliveries: number): string {
  return deliveries === 0 ? 'no worker took it' : 'the worker that had it did not answer';
}
