/** How the text of a 500 begins if the request may be stored all the same (D12). */
export const OUTCOME_UNKNOWN = 'outcome unknown';

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
