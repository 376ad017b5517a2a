/** READY's options frame (D67): what a worker says of itself beside its service and credit. */

/** Larger than this the frame may not be. */
const OPTIONS_BYTES_MAX = 1024;
/** Of a worker's name, in code points; what is beyond is cut off. */
export const NAME_CHARACTERS_MAX = 64;

export interface ReadyOptions {
  /** By which people find it, as the worker said it: to be escaped where it is shown. */
  readonly name: string | null;
}

/** @returns `null` if the frame is no JSON object of options as they must be */
export function readReadyOptions(frame: Buffer): ReadyOptions | null {
  if (frame.length > OPTIONS_BYTES_MAX) return null;
  let given: unknown;
  try {
    given = JSON.parse(frame.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  // Other keys are for later versions.
  const { name = '' }: { readonly name?: unknown } = given;
  if (typeof name !== 'string') return null;
  return { name: name === '' ? null : cutName(name) };
}

/** The frame that says so; `null` if there is nothing to say. */
export function readyOptionsFrame({ name }: ReadyOptions): Buffer | null {
  return name === null ? null : Buffer.from(JSON.stringify({ name }));
}

/** The beginning of a name, cut between two characters. */
function cutName(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  return Array.from(name).slice(0, NAME_CHARACTERS_MAX).join('');
}
