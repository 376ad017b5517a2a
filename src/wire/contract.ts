/**
 * The contract that a worker announces with READY (D107): a JSON object with the JSON Schemas of what its
 * service takes and answers.
 */
import { readJsonObject } from './json-object.js';

/** Maximum size of the frame. */
const CONTRACT_BYTES_MAX = 65_536;
/** Maximum length of `version`, in UTF-16 code units. */
export const CONTRACT_VERSION_MAX = 64;
/** Maximum length of `description` and `contentType`, in UTF-16 code units. */
export const CONTRACT_TEXT_MAX = 1024;
/** Levels of objects and arrays, the contract itself included. */
const DEPTH_MAX = 64;
/** Maximum number of `errors`. */
const ERRORS_MAX = 100;

const TEXTS = {
  version: CONTRACT_VERSION_MAX,
  description: CONTRACT_TEXT_MAX,
  contentType: CONTRACT_TEXT_MAX,
} as const;

/** A JSON Schema: `true` allows everything, `false` nothing. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

/** The JSON of the frame. Unknown keys belong to later versions. */
export interface AnnouncedContract {
  /** The version that its authors gave it. */
  readonly version?: string;
  /** What the service does, for people. */
  readonly description?: string;
  /** The format of the bodies. Default `application/json`. */
  readonly contentType?: string;
  /** What a request holds. */
  readonly input?: JsonSchema;
  /** What a reply holds, or each part of one that comes in parts. */
  readonly output?: JsonSchema;
  /** What a part of progress holds. */
  readonly progress?: JsonSchema;
  /** The details of its errors, by code. */
  readonly errors?: Readonly<Record<string, JsonSchema>>;
}

/** @returns the rule that the frame breaks; `null`: it is a contract */
export function contractFault(frame: Buffer): string | null {
  if (frame.length > CONTRACT_BYTES_MAX) return 'a contract may be at most 64 KiB';
  // Of the text, not of its value: that lacks what a duplicate key replaces, but others read the text.
  if (!isShallow(frame)) return `a contract may be at most ${DEPTH_MAX} levels deep`;
  const given = readJsonObject(frame, CONTRACT_BYTES_MAX);
  if (given === null || !Buffer.from(frame.toString('utf8')).equals(frame)) {
    return 'a contract must be a JSON object in UTF-8';
  }
  for (const [name, most] of Object.entries(TEXTS)) {
    const text = given[name] ?? '';
    if (typeof text !== 'string' || text.length > most) {
      return `${name} of a contract must be a string of at most ${most} characters`;
    }
  }
  const { input = true, output = true, progress = true, errors = {} } = given;
  const codes: readonly unknown[] | null = isObject(errors) ? Object.values(errors) : null;
  if (codes === null || codes.length > ERRORS_MAX) {
    return `errors of a contract must be an object of at most ${ERRORS_MAX} JSON Schemas`;
  }
  if (![input, output, progress, ...codes].every(isSchema)) {
    return 'a part of a contract must be a JSON Schema: an object or a boolean';
  }
  return null;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): boolean {
  return typeof value === 'boolean' || isObject(value);
}

/** Counts brackets outside strings: what is no JSON may be either. */
function isShallow(json: Buffer): boolean {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < json.length; at++) {
    const character = String.fromCharCode(json[at] ?? 0);
    if (isInString) {
      // What follows a backslash does not end the string.
      if (character === '\\') at++;
      else if (character === '"') isInString = false;
    } else if (character === '"') {
      isInString = true;
    } else if (character === '{' || character === '[') {
      depth++;
      if (depth > DEPTH_MAX) return false;
    } else if (character === '}' || character === ']') {
      depth--;
    }
  }
  return true;
}
