/** READY's options frame (D67): what a worker says about itself besides its service and credit. */

/** Maximum size of the frame. */
const OPTIONS_BYTES_MAX = 1024;
/** Maximum length of a worker's name, in code points; the rest is cut off. */
export const NAME_CHARACTERS_MAX = 64;

export interface ReadyOptions {
  /** The name shown to people, as the worker sent it: escape it before display. */
  readonly name: string | null;
}

/** @returns `null` if the frame is not a JSON object of valid options */
export function readReadyOptions(frame: Buffer): ReadyOptions | null {
  if (frame.length > OPTIONS_BYTES_MAX) return null;
  let given: unknown;
  try {
    given = JSON.parse(frame.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  // Unknown keys belong to later versions.
  const { name = '' }: { readonly name?: unknown } = given;
  if (typeof name !== 'string') return null;
  return { name: name === '' ? null : cutName(name) };
}

/** The frame for these options; `null` if there are none. */
export function readyOptionsFrame({ name }: ReadyOptions): Buffer | null {
  return name === null ? null : Buffer.from(JSON.stringify({ name }));
}

/** The beginning of a name, cut between two characters. */
function cutName(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  return Array.from(name).slice(0, NAME_CHARACTERS_MAX).join('');
}
