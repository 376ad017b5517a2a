/** Names of services that our own tools use for some seconds: they get no label of the metrics. */

const TEMPORARY = /^bench-[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** @param uuid so that nobody else uses the name */
export function temporaryService(uuid: string): string {
  return `bench-${uuid}`;
}

export function isTemporary(service: string): boolean {
  return TEMPORARY.test(service);
}
