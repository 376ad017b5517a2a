/** The API of the node that served this page. */
import { signal } from '@preact/signals';

/** Why a request failed; `status` 0: there was no answer. */
class ApiError extends Error {
  readonly status: number;
  /** The code of the error; empty: it has none. */
  readonly code: string;

  constructor(status: number, message: string, code = '') {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const KEY = 'majordomo.token';
const TIMEOUT_MS = 8000;
/** The node ends a bulk operation after 20 s. */
const ORDER_TIMEOUT_MS = 40_000;

/** The token; `null`: none. It is kept only in this tab, until the tab is closed. */
export const token = signal<string | null>(null);

/** Counts how often a token was forgotten: what it showed goes with it. */
export const forgotten = signal(0);

export function startToken(): void {
  let before = (token.value = sessionStorage.getItem(KEY));
  token.subscribe((value) => {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
    if (value === null && before !== null) forgotten.value++;
    before = value;
  });
}

export function authorization(): Record<string, string> {
  const known = token.peek();
  return known === null ? {} : { authorization: `Bearer ${known}` };
}

/** @throws ApiError */
export async function get<Answer>(path: string): Promise<Answer> {
  return await send<Answer>(path, { headers: authorization() }, TIMEOUT_MS);
}

/** Counts commands that were carried out: what is shown is loaded again. */
export const commands = signal(0);

/**
 * @param isPart of a command that counts itself at its end
 * @throws ApiError
 */
export async function post<Answer>(path: string, body: object, isPart: boolean): Promise<Answer> {
  const headers = { ...authorization(), 'content-type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await send<Answer>(path, init, ORDER_TIMEOUT_MS);
  if (!isPart) commands.value++;
  return answer;
}

/** Where the API has this path. The page may be below a path of a proxy, which the node does not see. */
export function ofNode(path: string): string {
  return path.replace(/^\//, '');
}

async function send<Answer>(path: string, init: RequestInit, timeoutMs: number): Promise<Answer> {
  let response: Response;
  let body: unknown;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    response = await fetch(ofNode(path), {
      ...init,
      signal,
      cache: 'no-store',
      credentials: 'omit',
    });
    body = await response.json();
  } catch {
    throw new ApiError(0, 'the daemon does not answer');
  }
  if (!response.ok) throw refusedBy(response.status, body);
  return body as Answer;
}

/** The error of a request that the node refused. */
export function refusedBy(status: number, body: unknown): ApiError {
  const { error } = (body ?? {}) as {
    readonly error?: { readonly message?: unknown; readonly code?: unknown };
  };
  const message = typeof error?.message === 'string' ? error.message : `HTTP status ${status}`;
  return new ApiError(status, message, typeof error?.code === 'string' ? error.code : '');
}

const REFUSED: Readonly<Record<string, string>> = {
  ERR_HTTP_TOKEN: 'Wrong token.',
  ERR_HTTP_ROLE: 'This token only sends requests to services: the page needs one that reads.',
  ERR_HTTP_READ_ONLY: 'This token is read-only.',
};

/** Why the node refused the token; `null`: that was not the reason. */
export function refusedToken(error: unknown): string | null {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  // A proxy has no codes.
  return REFUSED[String(code)] ?? (statusOf(error) === 401 ? 'Wrong token.' : null);
}

export function statusOf(error: unknown): number {
  const { status } = (error ?? {}) as { readonly status?: unknown };
  return typeof status === 'number' ? status : 0;
}

export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { readonly message?: unknown };
  return typeof message === 'string' ? message : String(error);
}

/** A path with query parameters. Empty ones are left out. */
export function withQuery(path: string, parameters: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''));
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
