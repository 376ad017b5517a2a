/** The options frame of a plain request (D117). */
import { escapeName } from '../core/escape.js';
import { readJsonObject } from './json-object.js';

/** Maximum size of the frame. */
const OPTIONS_BYTES_MAX = 1024;
/** Maximum length of an unknown option's name that is shown. */
const SHOWN_BYTES_MAX = 64;

export interface RequestOptions {
  /** The request is run by at most one worker. */
  readonly once: boolean;
}

export const NO_REQUEST_OPTIONS: RequestOptions = { once: false };

/** @returns what is wrong with the frame, if it is neither empty nor a JSON object of valid options */
export function readRequestOptions(frame: Buffer): RequestOptions | string {
  if (frame.length === 0) return NO_REQUEST_OPTIONS;
  const given = readJsonObject(frame, OPTIONS_BYTES_MAX);
  if (given === null) return 'the options of a request must be a JSON object of at most 1 KiB';
  const { once = false, ...unknown } = given;
  const [first] = Object.keys(unknown);
  if (first !== undefined) {
    const name = escapeName(Buffer.from(first).subarray(0, SHOWN_BYTES_MAX));
    return `a request has no option '${name}'`;
  }
  return typeof once === 'boolean' ? { once } : 'the option `once` of a request must be a boolean';
}

/** The frame for these options. */
export function requestOptionsFrame(options: RequestOptions): Buffer {
  return Buffer.from(JSON.stringify(options));
}
