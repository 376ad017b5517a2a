/** Checks what a node answered, for commands: whoever answers may be of another version, or no broker at all. */
import type { z } from 'zod';

import type { Operation, SchemaName } from './operation.js';
import { OPERATIONS } from './operations.js';
import { SCHEMAS } from './schemas.js';

/** The schema of the answer with status 200 of a path; `object` if it is not described. */
export function schemaOf(method: Operation['method'], path: string): SchemaName {
  const all: readonly Operation[] = Object.values(OPERATIONS);
  const [place = ''] = path.split('?');
  const asked = all.find((each) => each.method === method && isAt(each.path, place));
  return asked !== undefined && 'json' in asked.answer ? asked.answer.json : 'object';
}

/** @param pattern has parts such as `{uuid}` */
function isAt(pattern: string, place: string): boolean {
  const [parts, given] = [pattern.split('/'), place.split('/')];
  return (
    parts.length === given.length &&
    parts.every((part, at) => part.startsWith('{') || part === given[at])
  );
}

/**
 * What is wrong in an answer, with the name of the field: `items[0].service is an object`. Nodes of other versions may have
 * fields and words that are not known here, and may lack some.
 * @returns `null`: nothing
 */
export function wrongIn(schema: SchemaName, answer: unknown): string | null {
  if (schema === 'object') return null;
  const { error } = SCHEMAS[schema].safeParse(answer, { jitless: true });
  for (const issue of error?.issues ?? []) {
    const value = valueAt(answer, issue.path);
    if (isWrong(issue, value)) return `${nameOf(issue.path)} is ${kindOf(value)}`;
  }
  return null;
}

function isWrong({ code }: z.core.$ZodIssue, value: unknown): boolean {
  if (code === 'invalid_value') return typeof value === 'object';
  if (code !== 'invalid_type' && code !== 'invalid_union') return false;
  return value !== undefined;
}

function valueAt(answer: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(
    (value, name) => (value as Readonly<Record<PropertyKey, unknown>>)[name],
    answer,
  );
}

function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .slice(1);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'text' : JSON.stringify(value);
}
