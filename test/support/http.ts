/** HTTP to a daemon, and bytes where HTTP would be too well-behaved. */
import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import type { Daemon } from './daemon.js';
import { undescribed } from './openapi.js';

/** What was answered. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Its JSON; `undefined` if it is none. */
  readonly json: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly body?: string | Buffer;
  /** Of a server that speaks TLS: what it may show. */
  readonly ca?: string;
}

/** Where the daemon answers HTTP: `http://…`. */
export function httpOf(daemon: Daemon): string {
  const { http } = daemon.logged('broker.ready')[0] ?? {};
  if (typeof http === 'string') return http;
  throw new Error('the daemon does not answer HTTP');
}

export function tokenOf({ dataDir }: Daemon): string {
  return readFileSync(join(dataDir, 'http.token'), 'latin1').trim();
}

/** One request over a connection of its own; what is answered has to be as the API's description says. */
export function ask(url: string, options: Ask = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, token, body, ca } = options;
  // `unix:PATH:/path`, as Node's own HTTP has no such URL.
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

/** A connection whose bytes are the test's own. */
export class RawHttp {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly connected: Promise<void>;
  readonly #chunks: Buffer[] = [];
  readonly #watchers = new Set<() => void>();
  #ended = false;

  /** @param localAddress whom it comes from */
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

  /** Writes lines, each ended as HTTP wants it. */
  send(...lines: readonly string[]): void {
    this.socket.write(lines.map((line) => `${line}\r\n`).join(''));
  }

  /** Resolves when what has come has `text`; rejects if the connection ends without it. */
  until(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!this.received.includes(text) && !this.#ended) return;
        this.#watchers.delete(look);
        if (this.received.includes(text)) resolve();
        else reject(new Error(`closed before ${text}: ${this.received}`));
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** All that came until the other side closed. */
  async rest(): Promise<string> {
    await this.closed;
    return this.received;
  }
}
