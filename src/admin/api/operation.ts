import type { z } from 'zod';

import type { SCHEMAS } from './schemas.js';
import type { Json } from '../../core/schema-words.js';

/** The name of an answer's schema. `object`: any object, which is not described here. */
export type SchemaName = keyof typeof SCHEMAS | 'object';

/** An answer: JSON, or text of a media type. `data`: the JSON in each server-sent event. */
export type Described =
  | { readonly description: string; readonly json: SchemaName }
  | { readonly description: string; readonly type: string; readonly data?: SchemaName };

export type Method = 'GET' | 'POST' | 'DELETE';

/**
 * Who may use a route: anybody; readers (with a token, or without one where reading needs none);
 * bearers of a token of people, also a read-only one; changers, who may change things and see bodies;
 * requesters, which are programs that send requests to services.
 */
export type Access = 'open' | 'reader' | 'bearer' | 'changer' | 'requester';

/** What the API says about a method of a path; `openapi.ts` adds what is the same for all. */
export interface Operation {
  readonly method: Method;
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly parts?: () => z.ZodObject;
  readonly query?: () => z.ZodObject;
  /** Name and description. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent: the body of a POST is empty, or an object without fields. */
  readonly body?: () => z.ZodObject;
  /** What the bytes of the body are, which the handler reads itself; absent: the body is JSON. */
  readonly bytes?: string;
  /** The answer with status 200. */
  readonly answer: Described;
  /** Answers with another status: an answer, or the description of an error. */
  readonly others?: Readonly<Record<number, Described | string>>;
}

type OutputOf<Schema> = Schema extends () => z.ZodType ? z.output<ReturnType<Schema>> : undefined;

export type PartsOf<Of extends Operation> = OutputOf<Of['parts']>;
export type QueryOf<Of extends Operation> = OutputOf<Of['query']>;
export type BodyOf<Of extends Operation> = OutputOf<Of['body']>;

/** The JSON of the answer with status 200. */
export type AnswerOf<Of extends Operation> = Of['answer'] extends {
  readonly json: infer Name extends keyof typeof SCHEMAS;
}
  ? Json<(typeof SCHEMAS)[Name]>
  : never;
