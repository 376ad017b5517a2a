/** Finds the route for the head of a request, and admits or refuses it before its body is read. */
import { type Answer, failure, type Headers, laterAfter } from './answer.js';
import { httpCodeOf, httpError } from './errors.js';
import { queryParameters } from './check.js';
import type { Guard, ValidSecret } from './guard.js';
import type { Actor, Caller, Route } from './route.js';
import type { Router } from './router.js';
import { messageOf } from '../../core/errors.js';

/** The head of a request. */
export interface Head {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly httpVersion: string;
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  /** Where it came from; `null`: a local socket. */
  readonly address: string | null;
  /** All values of a header, which is named in lower case. */
  readonly values: (header: string) => readonly string[];
}

/** A request that is admitted. */
export interface Admitted {
  readonly route: Route;
  readonly parts: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, string>;
  readonly caller: Caller;
  readonly actor: Actor;
  /** The secret that it brought; `null`: none that counted. */
  readonly secret: ValidSecret | null;
}

/** The decision about a head. */
export type Reception =
  | { readonly kind: 'admitted'; readonly admitted: Admitted }
  | { readonly kind: 'refused'; readonly answer: Answer };

export class Front {
  readonly #router: Router;
  readonly #guard: Guard;

  constructor(router: Router, guard: Guard) {
    this.#router = router;
    this.#guard = guard;
  }

  receive(head: Head): Reception {
    try {
      return this.#receive(head);
    } catch (error) {
      return { kind: 'refused', answer: refusal(error) };
    }
  }

  #receive(head: Head): Reception {
    const { method, target, httpVersion, host, authorization } = head;
    // Refuses `*` and whole URLs, too: this is not a proxy.
    if (!target.startsWith('/')) {
      throw httpError('ERR_HTTP_REQUEST', 'the request target is not a path');
    }
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    const search = mark < 0 ? '' : target.slice(mark + 1);
    const { match, methods } = this.#router.find(method, path);
    // Probes send any Host header, or none.
    if (match?.route.access !== 'open') {
      if (host === undefined && httpVersion === '1.1') {
        throw httpError('ERR_HTTP_REQUEST', 'the Host header is missing');
      }
      this.#guard.checkHost(host);
    }
    if (match === null) {
      const allow = methods.join(', ');
      const answer = failure('ERR_HTTP_METHOD', `this path supports ${allow}`, { allow });
      return { kind: 'refused', answer };
    }
    const { route, parts } = match;
    const { caller, secret } =
      route.access === 'open'
        ? { caller: this.#guard.admitToOpen(host, authorization), secret: null }
        : this.#guard.admit(route.access, authorization);
    const actor = { tokenName: secret?.name ?? null, user: this.#guard.userOf(head) };
    const query = queryParameters(search, route.parameters);
    return { kind: 'admitted', admitted: { route, parts, query, caller, actor, secret } };
  }
}

const CHALLENGE: Headers = { 'www-authenticate': 'Bearer realm="majordomo"' };

/**
 * The answer to an error of `httpError`.
 * @throws any other error again
 */
export function refusal(error: unknown): Answer {
  const code = httpCodeOf(error);
  if (code === null) throw error;
  return failure(code, messageOf(error), code === 'ERR_HTTP_TOKEN' ? CHALLENGE : laterAfter(code));
}
