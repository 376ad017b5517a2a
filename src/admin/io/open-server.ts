/**
 * The HTTP server, on node:http. A framework would add little to a table of routes: node:http loads
 * in 4 ms and 2 MB, fastify in 116 ms and 17 MB. What answers (routes, metrics) is loaded with the first
 * connection.
 */
import type { Server, ServerOptions } from 'node:http';
import {
  createServer as createSecureServer,
  type ServerOptions as SecureServerOptions,
} from 'node:https';
import type { Socket } from 'node:net';

import { type Admits, Guard } from '../http/guard.js';
import type { Answering, HttpServerOptions } from './answering.js';
import { listen } from './listening.js';
import { nodeHttp } from './node-http.js';
import { fingerprintOf, readTls } from './tls.js';

/** How long the head of a request, and the whole request, may take to arrive. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** How long a request may take to arrive where programs send messages, which may be large. */
const MESSAGE_TIMEOUT_MS = 60_000;
/** How long a connection may neither send nor read anything while a request or an answer is on its way. */
const STALL_MS = 60_000;
const CHECK_MS = 1000;
const HEADER_BYTES_MAX = 16_384;

/** For the connections to each of its addresses. */
const SOCKETS = {
  noDelay: true,
  // Finds event readers whose machine is gone: they never close the connection.
  keepAlive: true,
  keepAliveInitialDelay: STALL_MS,
} as const;

const OPTIONS: ServerOptions = {
  ...SOCKETS,
  insecureHTTPParser: false,
  maxHeaderSize: HEADER_BYTES_MAX,
  // `Front` checks it: probes may leave it out, and the refusal has our format.
  requireHostHeader: false,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_MS,
};

const TLS_OPTIONS: SecureServerOptions = {
  ...OPTIONS,
  handshakeTimeout: HEADERS_TIMEOUT_MS,
  minVersion: 'TLSv1.2',
  // No HTTP/2 here.
  ALPNProtocols: ['http/1.1'],
};

export interface HttpServer {
  /** `http://HOST:PORT` with the actual port; `https://…`; `unix:PATH`. */
  readonly url: string;
  /**
   * Reads the TLS files again. Open connections keep the old certificate.
   * @returns the fingerprints of the certificate before and now, if it is another one
   * @throws ERR_CONFIG_FILE; then nothing has changed
   */
  renewTls(): { readonly from: string; readonly to: string } | null;
  /** Replaces the tokens and who names users. @returns the names of tokens that have other secrets now, or another role */
  setAdmits(admits: Admits): readonly string[];
  /** Takes no more requests, and gives unfinished answers some time. */
  close(): Promise<void>;
}

/** @throws ERR_HTTP_LISTEN, ERR_CONFIG_FILE (a TLS file) */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { tls, admits } = options;
  let secrets = tls === null ? null : readTls(tls);
  const secure = secrets === null ? null : createSecureServer({ ...TLS_OPTIONS, ...secrets });
  const server = secure ?? nodeHttp.createServer(OPTIONS);
  server.timeout = STALL_MS;
  server.keepAliveTimeout = options.idleTimeoutMs;
  if (options.programs !== null) server.requestTimeout = MESSAGE_TIMEOUT_MS;
  // `HEADER_FIELDS_MAX` bounds them; a limit here would drop further lines silently.
  server.maxHeadersCount = 0;
  const { url, isLocal, hasAddress } = await listen(
    server,
    options.address,
    tls !== null,
    SOCKETS,
    options.names,
  );
  const readsOpenly = isLocal && !options.requireToken;
  const guard = new Guard(admits, { readsOpenly, checksHost: isLocal && hasAddress });
  const first = new FirstConnections(server, options.failed, async () => {
    const { Shell } = await import('./server.js');
    const routes = await options.routes();
    return () => new Shell(server, guard, routes, options);
  });
  return {
    url,
    renewTls: () => {
      if (tls === null || secrets === null) return null;
      const next = readTls(tls);
      secure?.setSecureContext(next);
      const [from, to] = [fingerprintOf(secrets), fingerprintOf(next)];
      secrets = next;
      return from === to ? null : { from, to };
    },
    setAdmits: (next) => {
      const { gone, renewed } = guard.replace(next);
      first.answering?.withdraw(gone);
      return renewed;
    },
    close: () => first.close(),
  };
}

type Listener = (socket: Socket) => void;

function ignore(): void {
  // A connection that breaks while it waits is not answered.
}

/** Keeps the first connections of a server until what answers them is loaded. */
class FirstConnections {
  answering: Answering | null = null;
  readonly #server: Server;
  readonly #failed: (error: unknown) => void;
  readonly #load: () => Promise<() => Answering>;
  /** Node's own listeners for `connection`, put back when what answers is loaded. */
  readonly #listeners: readonly Listener[];
  readonly #sockets = new Set<Socket>();
  #loading: Promise<void> | null = null;

  constructor(
    server: Server,
    failed: (error: unknown) => void,
    load: () => Promise<() => Answering>,
  ) {
    this.#server = server;
    this.#failed = failed;
    this.#load = load;
    this.#listeners = server.listeners('connection') as Listener[];
    // Accepting fails while the process has no free descriptors, and resumes by itself.
    server.on('error', ignore);
    server.removeAllListeners('connection');
    server.on('connection', this.#keep);
  }

  async close(): Promise<void> {
    await this.#loading;
    if (this.answering !== null) await this.answering.close();
    else await new Promise((resolve) => this.#server.close(resolve));
  }

  readonly #keep = (socket: Socket): void => {
    this.#sockets.add(socket.on('error', ignore));
    this.#loading ??= this.#begin();
  };

  async #begin(): Promise<void> {
    try {
      const begin = await this.#load();
      this.#server.off('connection', this.#keep);
      for (const each of this.#listeners) this.#server.on('connection', each);
      this.answering = begin();
      for (const socket of this.#sockets) {
        // Nobody would be told again that it has closed.
        if (socket.destroyed) continue;
        this.#server.emit('connection', socket.off('error', ignore));
      }
    } catch (error) {
      // The next connection tries again: a file descriptor may have been lacking.
      this.#loading = null;
      for (const socket of this.#sockets) socket.destroy();
      this.#failed(error);
    }
    this.#sockets.clear();
  }
}
