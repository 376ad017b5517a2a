import { httpError } from './errors.js';
import type { Route } from './route.js';

/** The route of a path and method, and the values of its `{…}`. */
interface Match {
  readonly route: Route;
  readonly parts: Readonly<Record<string, string>>;
}

/** The result for a path. */
interface Found {
  /** `null`: the path does not have this method. */
  readonly match: Match | null;
  /** Without a match: the methods of the path, for the `Allow` header. */
  readonly methods: readonly string[];
}

interface Row {
  readonly route: Route;
  readonly segments: readonly Segment[];
}

interface Segment {
  readonly text: string;
  /** The name of the path parameter that this segment stands for; `null`: the segment is `text` itself. */
  readonly name: string | null;
}

/** The longest path: none of the table is longer, whatever its parameters. */
const PATH_CHARACTERS_MAX = 2048;
const PARAMETER = /^\{(\w+)\}$/;
const NONE: readonly string[] = [];

/** The table of all routes. */
export class Router {
  /** By the number of segments. */
  readonly #rows = new Map<number, Row[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path
        .split('/')
        .map((text) => ({ text, name: PARAMETER.exec(text)?.[1] ?? null }));
      const rows = this.#rows.get(segments.length) ?? [];
      this.#rows.set(segments.length, rows);
      rows.push({ route, segments });
    }
  }

  /**
   * @param method HEAD counts as GET
   * @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_REQUEST
   */
  find(method: string, path: string): Found {
    if (path.length > PATH_CHARACTERS_MAX) throw noSuchPath();
    const split = path.split('/');
    const asked = path.includes('%') ? split.map(decoded) : split;
    const wanted = method === 'HEAD' ? 'GET' : method;
    const others = new Set<string>();
    for (const { route, segments } of this.#rows.get(asked.length) ?? []) {
      if (!isAsked(segments, asked)) continue;
      if (route.method === wanted) {
        return { match: { route, parts: partsOf(segments, asked) }, methods: NONE };
      }
      others.add(route.method);
      if (route.method === 'GET') others.add('HEAD');
    }
    if (others.size === 0) throw noSuchPath();
    return { match: null, methods: [...others] };
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

function isAsked(segments: readonly Segment[], asked: readonly string[]): boolean {
  for (const [index, { text, name }] of segments.entries()) {
    const given = asked[index] ?? '';
    if (name === null ? text !== given : given === '') return false;
  }
  return true;
}

function partsOf(
  segments: readonly Segment[],
  asked: readonly string[],
): Readonly<Record<string, string>> {
  const parts: Record<string, string> = {};
  for (const [index, { name }] of segments.entries()) {
    if (name !== null) parts[name] = asked[index] ?? '';
  }
  return parts;
}
