/** Checks what a client sends: first the names, then the values, by the schemas of `api/`. */
import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';

import { httpError, wrongParameter } from './errors.js';

/**
 * The text of a header, whose bytes Node.js reads as Latin-1; `null`: they are not UTF-8. Replacing some of
 * them would make one text of two.
 */
export function headerText(latin1: string): string | null {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : null;
}

/** Whether an answer may be compressed so. @param values of `Accept-Encoding` (RFC 9110 §12.5.3) */
export function takesGzip(values: readonly string[] = []): boolean {
  const codings = values
    .join()
    .toLowerCase()
    .split(',')
    .map((each) => each.split(';').map((part) => part.trim()));
  const named = codings.find(([coding]) => coding === 'gzip');
  const [, weight = ''] = named ?? codings.find(([coding]) => coding === '*') ?? ['', 'q=0'];
  return !/^q=0(\.0*)?$/.test(weight);
}

/**
 * The parameters of a query, each known and given once.
 * @param search the target behind its `?`
 * @throws ERR_HTTP_REQUEST, ERR_HTTP_PARAMETER
 */
export function queryParameters(
  search: string,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  if (search === '') return values;
  checkEscapes(search);
  for (const [name, value] of new URLSearchParams(search)) {
    if (!known.includes(name)) {
      throw wrongParameter(name, `unknown parameter; ${list(known, 'parameters')}`);
    }
    if (values.has(name)) throw wrongParameter(name, 'given more than once');
    values.set(name, value);
  }
  return values;
}

/**
 * `URLSearchParams` would replace bytes that are not UTF-8, and two values would be the same.
 * @throws ERR_HTTP_REQUEST
 */
function checkEscapes(search: string): void {
  try {
    // A `%` that begins no escape stands for itself.
    decodeURIComponent(search.replaceAll(/%(?![\da-f]{2})/gi, '%25'));
  } catch {
    throw httpError('ERR_HTTP_REQUEST', 'the query has percent escapes that are not UTF-8');
  }
}

/** @throws ERR_HTTP_BODY */
export function checkFields(
  body: Readonly<Record<string, unknown>>,
  fields: () => readonly string[],
): void {
  const names = Object.keys(body);
  if (names.length === 0) return;
  const known = fields();
  const stranger = names.find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw httpError('ERR_HTTP_BODY', `${stranger}: unknown field; ${list(known, 'fields')}`);
}

function list(known: readonly string[], what: string): string {
  return known.length === 0 ? `no ${what} are allowed here` : `known: ${known.join(', ')}`;
}

/**
 * Converts the values for the route.
 * @throws ERR_HTTP_PARAMETER
 */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  values: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw wrongParameter(String(issue?.path[0]), issue?.message ?? 'is wrong');
}
