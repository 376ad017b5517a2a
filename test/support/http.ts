/** HTTP requests to a daemon, and raw bytes where an HTTP client would be too well-behaved. */
import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import type { Daemon } from './daemon.js';
import { undescribed } from './openapi.js';
import { whenPatienceEnds } from './patience.js';

/** The answer. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Its JSON; `undefined` if it is not JSON. */
  readonly json: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly body?: string | Buffer;
  /** For a TLS server: the certificates to accept. */
  readonly ca?: string;
}

/** The daemon's HTTP address: `http://…`. */
export function httpOf(daemon: Daemon): string {
  const { http } = daemon.logged('broker.ready')[0] ?? {};
  if (typeof http === 'string') return http;
  throw new Error('the daemon does not answer HTTP');
}

export function tokenOf({ dataDir }: Daemon): string {
  return readFileSync(join(dataDir, 'http.token'), 'latin1').trim();
}

/** One request over its own connection; the answer must match the API description. */
export function ask(url: string, options: Ask = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, token, body, ca } = options;
  // `unix:PATH:/path`, since Node's HTTP has no such URL.
  const [, socketPath, target] = /^unix:([^:]+):(.*)$/.exec(url) ?? [];
  const href = socketPath === undefined ? url : `http://localhost${target ?? ''}`;
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const asked = (href.startsWith('https:') ? secureRequest : request)(
      href,
      { method, headers: { ...authorization, ...headers }, agent: false, socketPath, ca },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const { statusCode: status = 0, headers: received } = response;
          const json = jsonOf(text);
          const type = received['content-type'] ?? '';
          const path = new URL(href).pathname;
          const wrong = undescribed({ method, path, status, type, json });
          if (wrong.length > 0) reject(new Error(wrong.join('\n')));
          else resolve({ status, headers: received, text, json });
        });
      },
    );
    asked.once('error', reject);
    asked.end(body);
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A connection on which the test writes the bytes. */
export class RawHttp {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly connected: Promise<void>;
  readonly #chunks: Buffer[] = [];
  readonly #watchers = new Set<() => void>();
  #ended = false;

  /** @param localAddress the source address */
  constructor(url: string, localAddress?: string) {
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const from = localAddress === undefined ? {} : { localAddress };
    this.socket = connect({ host, port: Number(port), ...from });
    this.connected = new Promise((resolve) => {
      this.socket.once('connect', resolve);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      for (const look of [...this.#watchers]) look();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        this.#ended = true;
        for (const look of [...this.#watchers]) look();
        resolve();
      });
    });
  }

  get received(): string {
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  /** Writes lines with the line ends that HTTP requires. */
  send(...lines: readonly string[]): void {
    this.socket.write(lines.map((line) => `${line}\r\n`).join(''));
  }

  /** Resolves when the received data contains `text`; rejects if the connection ends before. */
  until(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (failure: string | null): void => {
        stopWaiting();
        this.#watchers.delete(look);
        if (failure === null) resolve();
        else reject(new Error(`${failure} ${text}: ${this.received}`));
      };
      const look = (): void => {
        if (this.received.includes(text)) settle(null);
        else if (this.#ended) settle('closed before');
      };
      const stopWaiting = whenPatienceEnds((waitedMs) => {
        settle(`within ${waitedMs} ms there came no`);
      });
      this.#watchers.add(look);
      look();
    });
  }

  /** All data until the other side closed. */
  async rest(): Promise<string> {
    await this.closed;
    return this.received;
  }
}
