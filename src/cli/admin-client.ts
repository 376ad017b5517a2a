/** One HTTP request at a time, with JSON in both directions. */
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import { type AdminAddress, isPinned, type Trust } from './admin-address.js';
import type { FoundToken } from './admin-token.js';

export interface AdminAnswer {
  readonly status: number;
  /** The JSON of the answer, or its text if it is not JSON. */
  readonly value: unknown;
}

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export interface AskedFor {
  /** The largest answer that is read. */
  readonly bytesMax?: number;
  /** What to do about a certificate that is not trusted, for errors. */
  readonly caRemedy?: string;
}

export class AdminClient {
  readonly #address: AdminAddress;
  readonly #token: FoundToken;
  readonly #timeoutMs: number;
  readonly #bytesMax: number;
  readonly #caRemedy: string;

  constructor(
    place: AdminAddress,
    token: FoundToken,
    timeoutMs: number,
    { bytesMax = ANSWER_BYTES_MAX, caRemedy = '--admin-ca FILE' }: AskedFor = {},
  ) {
    this.#address = place;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#bytesMax = bytesMax;
    this.#caRemedy = caRemedy;
  }

  /** @throws ERR_HTTP_UNREACHABLE, ERR_HTTP_NO_ANSWER; ERR_REQUEST_FAILED if the answer is an error */
  get(path: string, query: Readonly<Record<string, string>> = {}): Promise<AdminAnswer> {
    const search = new URLSearchParams(query).toString();
    return this.#well('GET', search === '' ? path : `${path}?${search}`, null);
  }

  /** @throws see `get` */
  post(path: string, body: Readonly<Record<string, unknown>> = {}): Promise<AdminAnswer> {
    return this.#well('POST', path, JSON.stringify(body));
  }

  /** The text that a stream brings within `ms`, or until it ends. @throws see `get` */
  async listen(path: string, ms: number): Promise<string> {
    return String((await this.#well('GET', path, null, ms)).value);
  }

  /** Returns any answer, also an error. @throws ERR_HTTP_UNREACHABLE, ERR_HTTP_NO_ANSWER */
  any(path: string): Promise<AdminAnswer> {
    return this.#ask('GET', path, null);
  }

  async #well(
    method: string,
    path: string,
    body: string | null,
    streamMs: number | null = null,
  ): Promise<AdminAnswer> {
    const answer = await this.#ask(method, path, body, streamMs);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const said = errorOf(answer.value);
    const text =
      said ?? `${this.#address.name} answered ${answer.status}: is it a Majordomo broker?`;
    const hint = answer.status === 401 ? ` (${tokenHint(this.#token)})` : '';
    throw new MajordomoError('ERR_REQUEST_FAILED', `${text}${hint}`, {
      details: { status: answer.status },
    });
  }

  /** @param streamMs the answer is a stream, and read for that time; `null`: it is not */
  async #ask(
    method: string,
    path: string,
    body: string | null,
    streamMs: number | null = null,
  ): Promise<AdminAnswer> {
    const { url, socketPath, name, trust } = this.#address;
    // (To import node:http would load undici, too: see admin/io/node-http.ts.)
    const { request } =
      url.protocol === 'https:'
        ? await import('node:https')
        : process.getBuiltinModule('node:http');
    const headers = {
      accept: 'application/json',
      ...(this.#token.token === null ? {} : { authorization: `Bearer ${this.#token.token}` }),
      ...(body === null
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    };
    const target = new URL(url.pathname.replace(/\/$/, '') + path, url);
    const options: RequestOptions = {
      method,
      headers,
      agent: false,
      ...(socketPath === null ? {} : { socketPath }),
      ...(url.protocol === 'https:' ? await trusting(trust) : {}),
    };
    return await new Promise<AdminAnswer>((resolve, reject) => {
      const asked = request(target, options, (response) => {
        if (streamMs !== null) clearTimeout(timer);
        collect(response, name, this.#bytesMax, streamMs).then(resolve, reject);
      });
      const timer = setTimeout(() => {
        asked.destroy();
        const text = `no answer from ${name} within ${this.#timeoutMs} ms`;
        reject(new MajordomoError('ERR_HTTP_NO_ANSWER', text));
      }, this.#timeoutMs);
      asked.once('error', (error) => {
        reject(unreachable(this.#address, error, this.#caRemedy));
      });
      asked.once('close', () => {
        clearTimeout(timer);
      });
      asked.end(body ?? undefined);
    });
  }
}

function collect(
  response: IncomingMessage,
  name: string,
  bytesMax: number,
  streamMs: number | null,
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else response.destroy(tooLarge(name, bytesMax));
    });
    response.once('error', (error) => {
      const text = `${name} closed the connection before its answer was complete`;
      const isCut = codeOf(error) === 'ECONNRESET';
      reject(isCut ? new MajordomoError('ERR_HTTP_NO_ANSWER', text, { cause: error }) : error);
    });
    const settle = (): void => {
      const text = Buffer.concat(chunks).toString('utf8');
      resolve({ status: response.statusCode ?? 0, value: jsonOrText(text) });
    };
    response.once('end', settle);
    if (streamMs === null) return;
    const timer = setTimeout(() => {
      settle();
      response.destroy();
    }, streamMs);
    response.once('close', () => {
      clearTimeout(timer);
    });
  });
}

/** A pinned certificate is trusted whatever name it is for. */
async function trusting(trust: Trust): Promise<RequestOptions> {
  const { ca, pinned } = trust;
  if (ca !== undefined) return { ca };
  if (pinned === undefined) return {};
  const { checkServerIdentity, rootCertificates } = await import('node:tls');
  return {
    ca: [...rootCertificates, pinned],
    checkServerIdentity: (host, shown) =>
      isPinned(trust, shown.raw) ? undefined : checkServerIdentity(host, shown),
  };
}

function tooLarge(name: string, bytesMax: number): MajordomoError {
  const text = `the answer from ${name} is larger than ${bytesMax} bytes`;
  return new MajordomoError('ERR_REQUEST_FAILED', text);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What to do if the token is missing or wrong. */
function tokenHint({ why, remedy }: FoundToken): string {
  if (remedy !== undefined) return remedy;
  return `--token-file, or MAJORDOMO_TOKEN${why === null ? '' : `; ${why}`}`;
}

/** The message of `{"error": {"code", "message"}}`. */
function errorOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('error' in value)) return null;
  const { error } = value;
  return typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : null;
}

/** @param place that was asked */
function unreachable(
  { name, isAssumed = false }: AdminAddress,
  error: unknown,
  caRemedy: string,
): MajordomoError {
  const code = codeOf(error);
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ENOENT: 'the socket does not exist',
    EACCES: 'this user may not use the socket: join the group of the broker',
    DEPTH_ZERO_SELF_SIGNED_CERT: `its certificate is self-signed: ${caRemedy}`,
    SELF_SIGNED_CERT_IN_CHAIN: `its certificate is not signed by a known authority: ${caRemedy}`,
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: `its certificate is not signed by a known authority: ${caRemedy}`,
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `its certificate is not signed by a known authority: ${caRemedy}`,
  };
  const why = known[code ?? ''] ?? (messageOf(error) || (code ?? ''));
  const remedy = isAssumed ? '; name another broker by MAJORDOMO_URL, or majordomo context' : '';
  const text = `${name} cannot be reached: ${why}${remedy}`;
  return new MajordomoError('ERR_HTTP_UNREACHABLE', text, { cause: error });
}
