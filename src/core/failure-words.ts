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
