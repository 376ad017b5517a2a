/** READY's options frame (D67): what a worker says about itself besides its service and credit. */
import { readJsonObject } from './json-object.js';

/** Maximum size of the frame. */
const OPTIONS_BYTES_MAX = 1024;
/** Maximum length of a worker's name, in code points; the rest is cut off. */
export const NAME_CHARACTERS_MAX = 64;

export interface ReadyOptions {
  /** The name shown to people, as the worker sent it: escape it before display. */
  readonly name: string | null;
  /** Whether the worker wants the headers and deadlines of its requests. */
  readonly headers: boolean;
  /** Whether the worker wants to hear which of its requests nobody waits for any more (D106). */
  readonly cancel: boolean;
  /** Whether the worker wants the groups of its requests (D118). */
  readonly group: boolean;
}

/** @returns `null` if the frame is not a JSON object of valid options */
export function readReadyOptions(frame: Buffer): ReadyOptions | null {
  const given = readJsonObject(frame, OPTIONS_BYTES_MAX);
  if (given === null) return null;
  // Unknown keys belong to later versions.
  const {
    name = '',
    headers = false,
    cancel = false,
    group = false,
  }: Partial<Record<keyof ReadyOptions, unknown>> = given;
  if (typeof name !== 'string') return null;
  if ([headers, cancel, group].some((flag) => typeof flag !== 'boolean')) return null;
  const asks = { headers: headers === true, cancel: cancel === true, group: group === true };
  return { name: name === '' ? null : cutName(name), ...asks };
}

/** The frame for these options; `null` if there are none. */
export function readyOptionsFrame(options: Partial<ReadyOptions>): Buffer | null {
  const { name, headers, cancel, group } = options;
  const given = {
    ...(headers === true ? { headers } : {}),
    ...(cancel === true ? { cancel } : {}),
    ...(group === true ? { group } : {}),
    ...(typeof name === 'string' ? { name } : {}),
  };
  return Object.keys(given).length === 0 ? null : Buffer.from(JSON.stringify(given));
}

/** The beginning of a name, cut between two characters. */
function cutName(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  return Array.from(name).slice(0, NAME_CHARACTERS_MAX).join('');
}
