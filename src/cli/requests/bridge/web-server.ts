/** A web server: each request is a POST, by Node's own client. */
import { randomUUID } from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls, getCACertificates } from 'node:tls';

import { monotonicMs } from '../../../core/clock.js';
import { codeOf, messageOf } from '../../../core/errors.js';
import { ServiceError } from '../../../sdk/service-error.js';
import { type Asked, lost, type Outcome, type Server, silent, tooLarge } from './server.js';
import type { WebPlace } from './target.js';
import { headersFor, outcomeOf } from './web-answer.js';

interface WebOptions {
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Instead of that of the request. */
  readonly contentType: string | undefined;
  /** Certificates of an authority beside those of the system, in PEM. */
  readonly ca: string | undefined;
  /** Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold. */
  readonly usesProxy: boolean;
}

/** A connection that is idle for longer is not used again: many servers close theirs after two seconds or more. */
const IDLE_MS = 1500;
const CONNECT_MS = 3000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2000;
/** How much of an answer that is a failure is read. */
const FAILURE_BYTES_MAX = 4096;
const NOTHING = Buffer.alloc(0);

export class WebServer implements Server {
  readonly #place: WebPlace;
  readonly #options: WebOptions;
  readonly #ca: string[];
  readonly #agent: http.Agent;
  readonly #running = new Set<http.ClientRequest>();

  constructor(place: WebPlace, options: WebOptions) {
    this.#place = place;
    this.#options = options;
    const { concurrency, ca, usesProxy } = options;
    // What Node brings is for systems that have none.
    const roots = place.isSecure ? (['system', 'default'] as const) : [];
    this.#ca = [
      ...roots.flatMap((each) => getCACertificates(each)),
      ...(ca === undefined ? [] : [ca]),
    ];
    const settings = {
      keepAlive: true,
      maxSockets: concurrency,
      timeout: IDLE_MS,
      ...(usesProxy ? { proxyEnv: process.env } : {}),
    };
    this.#agent = place.isSecure
      ? new https.Agent({ ...settings, ca: this.#ca })
      : new http.Agent(settings);
  }

  async ready(signal: AbortSignal, away: (why: string) => void): Promise<void> {
    for (let waitMs = RETRY_MS_MIN; !signal.aborted; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      const why = await this.#tryConnection(signal);
      if (why === null) return;
      away(why);
      await pause(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns why there is no connection; `null`: there is one, or nobody knows, or waits for it */
  #tryConnection(signal: AbortSignal): Promise<string | null> {
    const { isSecure, socketPath, hostname = '', port = 0 } = this.#place;
    // A socket file has none.
    if (this.#options.usesProxy && socketPath === undefined) return Promise.resolve(null);
    return new Promise((resolve) => {
      const to = socketPath === undefined ? { host: hostname, port } : { path: socketPath };
      const socket = isSecure
        ? connectTls({ ...to, ca: this.#ca, servername: serverName(hostname) })
        : connect(to);
      const end = (why: string | null): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        socket.destroy();
        resolve(why);
      };
      const stop = (): void => end(null);
      const timer = setTimeout(() => end(`no connection within ${CONNECT_MS} ms`), CONNECT_MS);
      signal.addEventListener('abort', stop, { once: true });
      socket.once(isSecure ? 'secureConnect' : 'connect', () => end(null));
      socket.on('error', (error) => end(wordsOf(error)));
    });
  }

  ask(asked: Asked): Promise<Outcome> {
    const { timeoutMs, contentType } = this.#options;
    const { isSecure, ...place } = this.#place;
    const { frames, replyBytesMax, signal } = asked;
    return new Promise((resolve) => {
      let wasWritten = false;
      const headers = headersFor(asked, contentType, place.auth, randomUUID(), monotonicMs());
      const { request: begin } = isSecure ? https : http;
      const request = begin({ ...place, method: 'POST', headers, agent: this.#agent });
      this.#running.add(request);
      const settle = (outcome: Outcome): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', unwanted);
        this.#running.delete(request);
        // After the whole answer this changes nothing.
        request.destroy();
        resolve(outcome);
      };
      const timer = setTimeout(() => settle(silent(timeoutMs, wasWritten)), timeoutMs);
      const unwanted = (): void => settle({ kind: 'unwanted' });
      signal.addEventListener('abort', unwanted, { once: true });
      request.once('socket', (socket) => {
        // A socket that was used before is connected; a new one sends nothing before that.
        wasWritten = !socket.connecting;
        socket.once(isSecure ? 'secureConnect' : 'connect', () => {
          wasWritten = true;
        });
      });
      request.on('error', (error) => {
        if (!codeOf(error)?.startsWith('HPE_')) settle(lost(wordsOf(error), wasWritten));
        else settle(badAnswer(wordsOf(error)));
      });
      request.once('upgrade', (_response, socket) => {
        socket.destroy();
        settle(badAnswer('the answer switches to another protocol, which a POST does not ask for'));
      });
      request.once('response', (response) => {
        const { statusCode = 0 } = response;
        const isReply = statusCode >= 200 && statusCode < 300;
        // In one piece: many small ones take far more memory than their bytes.
        let body: Buffer = NOTHING;
        let bytes = 0;
        const end = (): void => {
          const all = body.subarray(0, bytes);
          settle(outcomeOf(statusCode, response.headers, all, Date.now()));
        };
        response.on('data', (chunk: Buffer) => {
          body = bytes === 0 ? chunk : joined(body, bytes, chunk);
          bytes += chunk.length;
          if (!isReply && bytes >= FAILURE_BYTES_MAX) end();
          else if (isReply && bytes > replyBytesMax) settle(tooLarge(bytes, replyBytesMax));
        });
        response.once('end', end);
        // Also in the middle of the answer; after its end this changes nothing.
        response.on('error', (error) => settle(lost(wordsOf(error), true)));
      });
      for (const frame of frames) request.write(frame);
      request.end();
    });
  }

  close(): void {
    for (const request of [...this.#running]) request.destroy(new Error('the worker closes'));
    this.#agent.destroy();
  }
}

/** @returns the first bytes of `body`, then `chunk`, with room for as many again where it has to grow */
function joined(body: Buffer, bytes: number, chunk: Buffer): Buffer {
  const neededBytes = bytes + chunk.length;
  const grown = neededBytes > body.length ? Buffer.allocUnsafe(2 * neededBytes) : body;
  if (grown !== body) body.copy(grown, 0, 0, bytes);
  chunk.copy(grown, bytes);
  return grown;
}

/** A name of a certificate; addresses are none. */
function serverName(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

function badAnswer(text: string): Outcome {
  return { kind: 'failed', error: new ServiceError('bad-answer', text), pauseMs: null };
}

/** Says more than Node.js does: its message is empty if no address took the connection, and of a certificate it speaks of Node.js. */
function wordsOf(error: unknown): string {
  const text = messageOf(error) || String(codeOf(error));
  return text.replace(/; if the root CA .*/, ' (--ca names a file with its authority)');
}
