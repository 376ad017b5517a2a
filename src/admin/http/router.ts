import { httpError } from './errors.js';
import type { Route } from './route.js';

/** The route of a path and method, and the values of its `{…}`. */
export interface Match {
  readonly route: Route;
  readonly parts: Readonly<Record<string, string>>;
}

/** The result for a path. */
export interface Found {
  /** `null`: the path does not have this method. */
  readonly match: Match | null;
  /** The methods of the path, for the `Allow` header. */
  readonly methods: readonly string[];
}

interface Row {
  readonly route: Route;
  readonly segments: readonly string[];
}

/** The longest path: none of the table is longer, whatever its parameters. */
const PATH_CHARACTERS_MAX = 2048;
const PARAMETER = /^\{(\w+)\}$/;

/** The table of all routes. */
export class Router {
  readonly #rows: readonly Row[];

  constructor(routes: readonly Route[]) {
    this.#rows = routes.map((route) => ({ route, segments: route.path.split('/') }));
  }

  /**
   * @param method HEAD counts as GET
   * @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_REQUEST
   */
  find(method: string, path: string): Found {
    if (path.length > PATH_CHARACTERS_MAX) throw noSuchPath();
    const asked = path.split('/').map(decoded);
    const wanted = method === 'HEAD' ? 'GET' : method;
    const methods = new Set<string>();
    let match: Match | null = null;
    for (const { route, segments } of this.#rows) {
      const parts = partsOf(segments, asked);
      if (parts === null) continue;
      methods.add(route.method);
      if (route.method === 'GET') methods.add('HEAD');
      if (route.method === wanted) match ??= { route, parts };
    }
    if (methods.size === 0) throw noSuchPath();
    return { match, methods: [...methods] };
  }
}

function noSuchPath(): Error {
  return httpError('ERR_HTTP_NOT_FOUND', 'no such path');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw httpError('ERR_HTTP_REQUEST', 'the path has an invalid percent escape');
  }
}

function partsOf(
  segments: readonly string[],
  asked: readonly string[],
): Readonly<Record<string, string>> | null {
  if (segments.length !== asked.length) return null;
  const parts: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const given = asked[index] ?? '';
    const name = PARAMETER.exec(segment)?.[1];
    if (name === undefined ? segment !== given : given === '') return null;
    if (name !== undefined) parts[name] = given;
  }
  return parts;
}
