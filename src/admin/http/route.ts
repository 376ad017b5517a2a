import type { z } from 'zod';

import { type Answer, json, type Stream } from './answer.js';
import type {
  Access,
  AnswerOf,
  BodyOf,
  Method,
  Operation,
  PartsOf,
  QueryOf,
} from '../api/operation.js';
import { checked, checkFields } from './check.js';
import type { Pace } from './pace.js';

/** Who sent the request: someone without a token, or with one that may do so much. */
export type Caller = 'anyone' | 'reader' | 'changer' | 'requester';

/** Who acted: the name of the token, and that of the user whom a trusted proxy names. */
export interface Actor {
  /** `null`: no token was given. */
  readonly tokenName: string | null;
  /** `null`: there is no such proxy, or it names nobody. */
  readonly user: string | null;
}

/** Whom events and histories name. */
export function actorName({ user, tokenName }: Actor): string {
  return user ?? tokenName ?? '';
}

/** The connection of a request. */
export interface Connected {
  /** Where it comes from; `null`: a local socket. */
  readonly address: string | null;
  /** Calls back once: the answer has been sent, or the client has gone. */
  onClosed(then: () => void): void;
  /** Ends the connection, whatever of the answer has not been read. */
  readonly drop: () => void;
}

/** All values of each header, by its name in lower case. */
export type HeaderValues = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Begins a request that has arrived as a whole.
 * @param values those of its headers that may differ
 * @returns `null`: nothing has happened, and the request has to be taken apart and judged anew
 */
export type Begin = (
  body: Buffer,
  connected: Connected,
  values: HeaderValues,
) => Promise<Answer> | null;

/** @returns the place of a body of so many bytes: it is read to there, and is complete when the reading has ended */
export type PlaceFor = (bytes: number) => Buffer;

/** The request as it arrives. */
export interface Incoming extends Connected {
  readonly headers: HeaderValues;
  /**
   * Reads the body, if the operation has `bytes`.
   * @param keep called before so many bytes of memory are used; what it throws ends the reading
   * @param placeFor the place of a large body whose length is known; default: one that V8 collects
   * @throws ERR_HTTP_TOO_LARGE, ERR_HTTP_BODY
   */
  bytes(bytesMax: number, keep: (bytes: number) => void, placeFor?: PlaceFor): Promise<Buffer>;
  /**
   * Has further requests of this connection begin so, if their heads are the same, except for the length of the body
   * and the values of some headers, and the body has arrived with the head. Called before the handler waits for anything.
   * @param mayDiffer whether the value of a header, named in lower case, may be another one
   */
  repeats(begin: Begin, mayDiffer: (name: string) => boolean): void;
}

interface Sender extends Actor {
  readonly caller: Caller;
  readonly incoming: Incoming;
}

/** A request that was let in. */
export interface HttpRequest extends Sender {
  /** The values of each `{name}` in the path. */
  readonly parts: Readonly<Record<string, string>>;
  /** The parameters of the query, by names from `parameters`. */
  readonly query: ReadonlyMap<string, string>;
  /** The JSON object of a POST; without a body an empty one. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A row of the table of routes. A GET answers HEAD, too. */
export interface Route {
  readonly method: Method;
  /** Segments are literal, or `{name}` for any one. */
  readonly path: string;
  readonly access: Access;
  /** Names of the query's parameters. */
  readonly parameters: readonly string[];
  /** The handler reads the body itself. */
  readonly readsBytes?: boolean;
  /** An error of `httpError` is the answer; any other error is a bug, answered 500. */
  readonly handle: (request: HttpRequest) => Answer | Stream | Promise<Answer | Stream>;
}

/** A valid request. A part that its operation has no schema for is undefined. */
export interface CheckedRequest<Of extends Operation> extends Sender {
  readonly parts: PartsOf<Of>;
  readonly query: QueryOf<Of>;
  readonly body: BodyOf<Of>;
}

/** The route of an operation. */
export function route<Of extends Operation>(
  operation: Of,
  handle: (request: CheckedRequest<Of>) => ReturnType<Route['handle']>,
): Route {
  const { method, path, access } = operation;
  const check = checker(operation);
  return {
    method,
    path,
    access,
    get parameters() {
      return Object.keys(operation.query?.().shape ?? {});
    },
    readsBytes: operation.bytes !== undefined,
    handle: (request) => handle(check(request)),
  };
}

/** The route of an operation whose answer is JSON. */
export function jsonRoute<Of extends Operation>(
  operation: Of,
  handle: (request: CheckedRequest<Of>) => AnswerOf<Of> | Promise<AnswerOf<Of>>,
): Route {
  return route(operation, async (request) => json(await handle(request)));
}

/** Like `jsonRoute`, but builds and serializes the answer when its turn in `pace` comes. */
export function pacedRoute<Of extends Operation>(
  operation: Of,
  pace: Pace,
  handle: (request: CheckedRequest<Of>) => AnswerOf<Of>,
): Route {
  return route(operation, (request) => pace.run(() => json(handle(request))));
}

/** Like `pacedRoute`, for what is read first, and shown in a turn of its own. */
export function readingRoute<Of extends Operation, Read>(
  operation: Of,
  pace: Pace,
  read: (request: CheckedRequest<Of>) => Promise<Read>,
  show: (read: Read, request: CheckedRequest<Of>) => AnswerOf<Of>,
): Route {
  return route(operation, (request) =>
    pace.read(
      () => read(request),
      (found) => json(show(found, request)),
    ),
  );
}

/** @returns what throws ERR_HTTP_BODY, ERR_HTTP_PARAMETER */
function checker<Of extends Operation>({
  parts,
  query,
  body,
}: Of): (request: HttpRequest) => CheckedRequest<Of> {
  const output = (
    schema: (() => z.ZodType) | undefined,
    values: Readonly<Record<string, unknown>>,
  ): unknown => (schema === undefined ? undefined : checked(schema(), values));
  /** The checked query of a request without one, kept because most have none. */
  let noQuery: unknown;
  return (request) => {
    checkFields(request.body, () => Object.keys(body?.().shape ?? {}));
    const isBare = request.query.size === 0;
    const asked = isBare && noQuery !== undefined ? noQuery : queryOf(request.query);
    if (isBare) noQuery = asked;
    return {
      caller: request.caller,
      tokenName: request.tokenName,
      user: request.user,
      incoming: request.incoming,
      parts: output(parts, request.parts) as PartsOf<Of>,
      query: asked as QueryOf<Of>,
      body: output(body, request.body) as BodyOf<Of>,
    };
  };

  function queryOf(given: HttpRequest['query']): unknown {
    return output(query, Object.fromEntries(given));
  }
}
