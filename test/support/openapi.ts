/** Compares a daemon's answers with the description of its API. */
import { openApi } from '../../src/admin/http/openapi.js';
import { type Schema, violations } from './json-schema.js';

interface Described {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

export interface Operation {
  readonly summary: string;
  readonly security: readonly Schema[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, Described>>;
}

const DOCUMENT = openApi('0.0.0');
const ERROR: Schema = { $ref: '#/components/schemas/Error' };

/** `{path: {method: operation}}`. */
export const OPERATIONS = DOCUMENT['paths'] as Readonly<
  Record<string, Readonly<Record<string, Operation>>>
>;

export interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly type: string;
  readonly json: unknown;
}

/** The deviations of an answer from the description. The page's files are not described. */
export function undescribed({ method, path, status, type, json }: Answered): string[] {
  const at = `${method} ${path} ${status}`;
  if (method === 'HEAD' || status === 304) return [];
  const operation = operationOf(method, path);
  if (operation === undefined) {
    return status < 400 ? [] : violations(ERROR, json, DOCUMENT, at);
  }
  const described = operation.responses[String(status)] ?? operation.responses['default'];
  const { content } = described ?? {};
  const media = content?.[type.replace(/;.*/, '')] ?? content?.['*/*'];
  if (described === undefined || (status < 400 && !(String(status) in operation.responses))) {
    return [`${at}: a status that is not described`];
  }
  if (media === undefined) return [`${at}: ${type} is not described`];
  return type.startsWith('application/json') ? violations(media.schema, json, DOCUMENT, at) : [];
}

function operationOf(method: string, path: string): Operation | undefined {
  const literal = OPERATIONS[path];
  const found =
    literal ??
    Object.entries(OPERATIONS).find(([pattern]) =>
      new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
    )?.[1];
  return found?.[method.toLowerCase()];
}
