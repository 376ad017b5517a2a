/** READY's options frame (D67): what a worker says about itself besides its service and credit. */
import { readJsonObject } from './json-object.js';

/** Maximum size of the frame. */
const OPTIONS_BYTES_MAX = 1024;
/** Maximum length of a worker's name, in code points; the rest is cut off. */
export const NAME_CHARACTERS_MAX = 64;

export interface ReadyOptions {
  /** The name shown to people, as the worker sent it: escape it before display. */
  readonly name: string | null;
  /** It wants the headers and deadlines of its requests. */
  readonly headers: boolean;
}

/** @returns `null` if the frame is not a JSON object of valid options */
export function readReadyOptions(frame: Buffer): ReadyOptions | null {
  const given = readJsonObject(frame, OPTIONS_BYTES_MAX);
  if (given === null) return null;
  // Unknown keys belong to later versions.
  const { name = '', headers = false }: { readonly name?: unknown; readonly headers?: unknown } =
    given;
  if (typeof name !== 'string' || typeof headers !== 'boolean') return null;
  return { name: name === '' ? null : cutName(name), headers };
}

/** The frame for these options; `null` if there are none. */
export function readyOptionsFrame({ name, headers }: Partial<ReadyOptions>): Buffer | null {
  const hasName = typeof name === 'string';
  if (!hasName && headers !== true) return null;
  const given = { ...(headers === true ? { headers } : {}), ...(hasName ? { name } : {}) };
  return Buffer.from(JSON.stringify(given));
}

/** The beginning of a name, cut between two characters. */
function cutName(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  return Array.from(name).slice(0, NAME_CHARACTERS_MAX).join('');
}
