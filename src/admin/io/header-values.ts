import type { IncomingMessage } from 'node:http';

import type { HeaderValues } from '../http/route.js';

/**
 * The values of each header field, by its name in lower case: those of Node's `headersDistinct`, which the oldest
 * supported Node cannot make of every request.
 */
function valuesOf(rawHeaders: readonly string[]): HeaderValues {
  const values = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    (values[name] ??= []).push(rawHeaders[at + 1] ?? '');
  }
  return values;
}

/**
 * Makes a function that reads the values of a request's headers at its first call. (Not within the function that answers:
 * whoever keeps a closure of that keeps all its variables, and so the answer.)
 */
export function valuesOnce(request: Pick<IncomingMessage, 'rawHeaders'>): () => HeaderValues {
  let values: HeaderValues | null = null;
  return () => (values ??= valuesOf(request.rawHeaders));
}
