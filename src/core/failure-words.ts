/** What a worker said of a failure, for people: the code alone if there is no text. */
export function failureWords({
  code,
  text,
}: {
  readonly code: string;
  readonly text: string;
}): string {
  return text === '' ? code : `${code}: ${text}`;
}
