/** A client of the HTTP API: one request at a time, with JSON in both directions. */
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { type Facts, factsIn, isFacts } from '../common/facts.js';
import { say } from '../common/output.js';
import { type AdminAddress, type FoundToken, isPinned, type Trust } from './admin-address.js';

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Items per request: the largest page. */
const PAGE_ITEMS = 1000;

interface Answer {
  readonly status: number;
  /** The JSON of the answer, or its text if it is not JSON. */
  readonly value: unknown;
}

export interface AdminPage {
  readonly items: readonly Facts[];
  readonly next: string | null;
  /** How many were examined for it; 0 in lists that do not say. */
  readonly scanned: number;
}

export interface AskedFor {
  /** The largest answer that is read. */
  readonly bytesMax?: number;
  /** What to do about a certificate that is not trusted, for errors. */
  readonly caRemedy?: string;
  /** What names another node, for errors; empty: the caller says it. */
  readonly remedy?: string;
}

export class AdminClient {
  readonly place: AdminAddress;
  #token: FoundToken;
  readonly #timeoutMs: number;
  readonly #bytesMax: number;
  readonly #caRemedy: string;
  readonly #remedy: string;

  constructor(
    place: AdminAddress,
    token: FoundToken,
    timeoutMs: number,
    {
      bytesMax = ANSWER_BYTES_MAX,
      caRemedy = '--admin-ca FILE, or NODE_EXTRA_CA_CERTS',
      remedy = '; name another broker with --admin, MAJORDOMO_URL or majordomo context',
    }: AskedFor = {},
  ) {
    this.place = place;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#bytesMax = bytesMax;
    this.#caRemedy = caRemedy;
    this.#remedy = remedy;
  }

  /**
   * The object in the answer: what is in its fields is of the types that the API has for them.
   * @throws ERR_HTTP_UNREACHABLE, ERR_HTTP_NO_ANSWER; ERR_REQUEST_FAILED if the answer is an error, or another one
   */
  async get(path: string, query: Readonly<Record<string, string>> = {}): Promise<Facts> {
    const search = new URLSearchParams(query).toString();
    const value = await this.#well('GET', search === '' ? path : `${path}?${search}`);
    return await this.#factsIn('GET', path, value);
  }

  /** @throws see `get` */
  async post(path: string, body: Facts = {}): Promise<Facts> {
    return await this.#factsIn('POST', path, await this.#well('POST', path, JSON.stringify(body)));
  }

  /** All items of a list, page by page. @throws see `page` */
  async all(
    path: string,
    filters: Readonly<Record<string, string>> = {},
  ): Promise<readonly Facts[]> {
    const items: Facts[] = [];
    for (let cursor: string | null = null; ;) {
      const page = await this.page(path, { limit: String(PAGE_ITEMS), ...filters }, cursor);
      items.push(...page.items);
      if (page.next === null) return items;
      cursor = page.next;
    }
  }

  /** Reads one page of a list. @throws ERR_REQUEST_FAILED, and what asking throws */
  async page(
    path: string,
    query: Readonly<Record<string, string>>,
    cursor: string | null = null,
  ): Promise<AdminPage> {
    const { items, next, scanned } = await this.get(
      path,
      cursor === null ? query : { ...query, cursor },
    );
    const isList = Array.isArray(items) && items.every(isFacts);
    // A cursor that does not advance would never end.
    if (!isList || (cursor !== null && next === cursor)) throw this.unexpected(path);
    return {
      items,
      next: typeof next === 'string' ? next : null,
      scanned: typeof scanned === 'number' ? scanned : 0,
    };
  }

  /** What gives a token, or what is wrong with the one that is used. */
  get tokenHint(): string {
    return tokenHint(this.#token);
  }

  /** The text that a stream brings within `ms`, or until it ends. @throws see `get` */
  async listen(path: string, ms: number): Promise<string> {
    const value = await this.#well('GET', path, null, ms);
    return typeof value === 'string' ? value : '';
  }

  /** Returns any answer, also an error. @throws ERR_HTTP_UNREACHABLE, ERR_HTTP_NO_ANSWER */
  async any(path: string): Promise<unknown> {
    return (await this.#ask('GET', path, null)).value;
  }

  /**
   * An answer that this command cannot use.
   * @param why which field of it, and what is wrong with that
   */
  unexpected(path: string, why: string | null = null): MajordomoError {
    const what = why === null ? '' : `${why}: `;
    const text = `unexpected answer from ${this.place.name} to ${path}: ${what}is it a Majordomo broker?`;
    return new MajordomoError('ERR_REQUEST_FAILED', text + this.#remedy);
  }

  async #factsIn(method: 'GET' | 'POST', path: string, value: unknown): Promise<Facts> {
    if (!isFacts(value)) throw this.unexpected(path);
    const { schemaOf, wrongIn } = await import('../../admin/api/answer-check.js');
    const wrong = wrongIn(schemaOf(method, path), value);
    if (wrong !== null) throw this.unexpected(path, wrong);
    return value;
  }

  async #well(
    method: string,
    path: string,
    body: string | null = null,
    streamMs: number | null = null,
  ): Promise<unknown> {
    const { status, value } = await this.#ask(method, path, body, streamMs);
    if (status >= 200 && status < 300) return value;
    const { from = '', isGuess } = this.#token;
    if (status === 401 && isGuess === true) {
      say(
        `${this.place.name} refuses the token in ${from}, which a node of this folder left: asked without it`,
      );
      this.#token = { token: null, why: `the token in ${from} was refused` };
      return await this.#well(method, path, body, streamMs);
    }
    const said = factsIn(factsIn(value)?.['error'])?.['message'];
    const message = typeof said === 'string' ? said : undefined;
    const { name } = this.place;
    const text =
      message === undefined
        ? `${name} answered ${path} with ${status}: is it a Majordomo broker?${this.#remedy}`
        : status === 401 || status === 403
          ? `${name}: ${message} (${tokenHint(this.#token)})`
          : status === 404 && message === 'no such path'
            ? `${name}: it has no ${path}: it is of another version, or a part of it is not installed`
            : status === 404 && /\bis (off|false)\b/.test(message)
              ? `${name}: ${message}`
              : message;
    throw new MajordomoError('ERR_REQUEST_FAILED', text, { details: { status } });
  }

  /** @param streamMs the answer is a stream, and read for that time; `null`: it is not */
  async #ask(
    method: string,
    path: string,
    body: string | null,
    streamMs: number | null = null,
  ): Promise<Answer> {
    const { url, socketPath, name, trust } = this.place;
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
    return await new Promise<Answer>((resolve, reject) => {
      const asked = request(target, options, (response) => {
        if (streamMs !== null) clearTimeout(timer);
        collect(response, name, this.#bytesMax, streamMs).then(resolve, reject);
      });
      const timer = setTimeout(() => {
        asked.destroy();
        const text = `no answer from ${name} within ${this.#timeoutMs} ms (--timeout-ms)${this.#remedy}`;
        reject(new MajordomoError('ERR_HTTP_NO_ANSWER', text));
      }, this.#timeoutMs);
      asked.once('error', (error) => {
        const why = whyUnreachable(error, url.protocol === 'https:', this.#caRemedy);
        const text = `${name} cannot be reached: ${why}${this.#remedy}`;
        reject(new MajordomoError('ERR_HTTP_UNREACHABLE', text, { cause: error }));
      });
      asked.once('close', () => clearTimeout(timer));
      asked.end(body ?? undefined);
    });
  }
}

function collect(
  response: IncomingMessage,
  name: string,
  bytesMax: number,
  streamMs: number | null,
): Promise<Answer> {
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
    response.once('close', () => clearTimeout(timer));
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
    const value: unknown = JSON.parse(text);
    // What is nested so deeply that it cannot be written again is of no use.
    JSON.stringify(value);
    return value;
  } catch {
    return text;
  }
}

/** What to do if the token is missing or wrong. */
function tokenHint({ token, from = '', why, remedy }: FoundToken): string {
  const used = token === null || from === '' ? [] : [`used: ${from}`];
  const others = remedy ?? '--token-file, or MAJORDOMO_TOKEN';
  return [...used, others, ...(remedy === undefined && why !== null ? [why] : [])].join('; ');
}

const UNKNOWN_AUTHORITY = 'its certificate is not signed by a known authority';
const NOT_TLS = 'it does not speak TLS: use http://';

/** Causes by their codes; a certificate has a remedy besides. */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'the socket does not exist',
  EACCES: 'this user may not use the socket: join the group of the broker',
  ENOTFOUND: 'this machine does not know the name of the host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'no machine answers at that address',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'no machine answers at that address',
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  CERT_HAS_EXPIRED: 'its certificate has expired: renew the one of http.tls there',
};
const CERTIFICATES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
};

function whyUnreachable(error: unknown, isTls: boolean, caRemedy: string): string {
  const code = codeOf(error) ?? '';
  const certificate = CERTIFICATES[code];
  if (certificate !== undefined) return `${certificate}: ${caRemedy}`;
  if (code.startsWith('HPE_')) {
    return 'it does not speak HTTP: is it an endpoint of broker.listen? Those are for --endpoint';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = messageOf(error)
      .replace(/^.*altnames: /, '')
      .trimEnd()
      .replace(/:$/, '');
    return `its certificate is for another name (${names}): use the name in it`;
  }
  if (code === 'ECONNRESET') {
    return `it closed the connection${isTls ? '' : ': if it has http.tls, use https://'}`;
  }
  return CAUSES[code] ?? (messageOf(error) || code);
}
