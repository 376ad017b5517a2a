/**
 * The headers of a request (D66): a JSON object of strings beside its body. The broker passes them
 * on unread; clients and workers check them here.
 */
import { isUtf8 } from 'node:buffer';

import { escapeName } from '../core/escape.js';
import { readJsonObject } from './json-object.js';
import { HEADERS_BYTES_MAX } from './mdp.js';

/** Headers by name, in lower case. */
export type Headers = Readonly<Record<string, string>>;

const ENTRIES_MAX = 64;
/** How much of an invalid name is shown. */
const SHOWN_CHARACTERS_MAX = 80;
const NAME = /^[a-z0-9-]{1,64}$/;

/** The headers of every request without any. */
export const NO_HEADERS: Headers = Object.freeze({});

/** What is wrong with headers, or `null`. */
export function headersFault(given: unknown): string | null {
  if (!isPlain(given)) return 'headers are an object of strings';
  const entries: readonly [string, unknown][] = Object.entries(given);
  if (entries.length > ENTRIES_MAX) return `there are at most ${ENTRIES_MAX} headers`;
  for (const [name, value] of entries) {
    if (!NAME.test(name)) {
      const shown = escapeName(Buffer.from(name.slice(0, SHOWN_CHARACTERS_MAX)));
      return `the header name "${shown}" is not 1 to 64 characters of a-z, 0-9 and -`;
    }
    if (typeof value !== 'string') return `the header ${name} is not a string`;
    if (!value.isWellFormed()) return `the header ${name} has half of a surrogate pair`;
  }
  const bytes = Buffer.byteLength(JSON.stringify(given));
  return bytes > HEADERS_BYTES_MAX ? `headers take ${bytes} bytes; at most 8192 are allowed` : null;
}

/** Whether it is no array, Map or `Headers` of fetch, whose content are not properties. */
function isPlain(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The frame of headers that have no fault. Empty: there are none. */
export function encodeHeaders(headers: Headers): Buffer {
  const text = JSON.stringify(headers);
  return Buffer.from(text === '{}' ? '' : text);
}

/** @returns frozen; `null` if the frame does not hold headers */
export function decodeHeaders(frame: Buffer): Headers | null {
  if (frame.length === 0) return NO_HEADERS;
  if (!isUtf8(frame)) return null;
  const given = readJsonObject(frame, HEADERS_BYTES_MAX);
  return headersFault(given) === null ? Object.freeze(given as Headers) : null;
}
