/**
 * What answers requests over HTTP. Everything that a client can use up has a limit: connections, headers, bodies, time,
 * work in a turn.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { escapeName, unescapeName } from '../../core/escape.js';
import { present } from '../../core/assert.js';
import { monotonicMs } from '../../core/clock.js';
import { codeOf } from '../../core/errors.js';
import type { Holdings } from '../../core/holdings.js';
import type { AdminEvent } from '../operator-events.js';
import { type Answer, COMMON_HEADERS, failure, type Stream } from '../http/answer.js';
import { httpCodeOf, httpError } from '../http/errors.js';
import { type Admitted, Front, refusal } from '../http/front.js';
import { type Guard, type ValidSecret, TOKEN_GONE, wrongToken } from '../http/guard.js';
import {
  actorName,
  type HeaderValues,
  type HttpRequest,
  type Incoming,
  type Route,
} from '../http/route.js';
import { Router } from '../http/router.js';
import { shownUuid, uuidBytes } from '../http/uuids.js';
import { ambiguityOf } from './ambiguity.js';
import type { Answering, HttpServerOptions } from './answering.js';
import { discardBody, hasBody, linger, readBody } from './body.js';
import { ConnectionSlots } from './connection-slots.js';
import { type DirectHost, DirectRequest, DirectRequests } from './direct.js';
import { type FedHost, FedSocket, ParserTurns } from './parser-turns.js';
import { valuesOnce } from './header-values.js';
import { addressOf, directIncoming, incomingOf } from './incoming.js';
import type { PlainHead } from './plain-head.js';
import { writeFailure } from './raw-answer.js';
import type { Repeatable } from './repeated-head.js';
import { type Streamed, Streams } from './stream.js';
import { keptBody, noRoomFor, Unread } from './unread.js';

const HEADER_FIELDS_MAX = 128;
/** How long unfinished answers may take when the server closes. */
const CLOSE_MS = 1000;
const MEMORY_FULL = 'limits.memoryBytes is reached';
const LATE = 'the request did not arrive in time';
const WITHDRAWN = refusal(wrongToken(TOKEN_GONE));
const INTERNAL = failure('ERR_HTTP_INTERNAL', 'internal error: see the log of the broker');

export class Shell implements Answering {
  readonly #server: Server;
  readonly #front: Front;
  readonly #failed: (error: unknown) => void;
  readonly #acted: (event: AdminEvent) => void;
  readonly #slots: ConnectionSlots;
  readonly #turns = new ParserTurns();
  readonly #holdings: Holdings;
  readonly #identityOf: HttpServerOptions['identityOf'];
  readonly #streams = new Streams();
  readonly #unread: Unread;
  /** Answers that are under way, and the secrets that may have them. */
  readonly #ofSecrets = new Map<ServerResponse | DirectRequest, ValidSecret>();
  /**
   * Replaced when tokens change: a repeated head is admitted without being read only if it was admitted under the present
   * one.
   */
  #admission = {};
  readonly #directHost: DirectHost;
  readonly #fedHost: FedHost;
  /** Connections that Node does not know. */
  readonly #own = new Set<FedSocket>();
  #isClosing = false;

  constructor(server: Server, guard: Guard, routes: readonly Route[], options: HttpServerOptions) {
    const { failed, acted, connectionsMax, programs, tls } = options;
    this.#server = server;
    this.#holdings = options.holdings;
    this.#unread = new Unread(options.holdings);
    this.#identityOf = options.identityOf;
    this.#front = new Front(new Router(routes), guard);
    this.#failed = failed;
    this.#acted = acted;
    this.#slots = new ConnectionSlots(connectionsMax, programs);
    this.#directHost = {
      begins: (request, head, body) => this.#beginDirect(request, head, body),
      repeats: (request, known) => this.#repeats(request, known),
      streams: (request, stream) =>
        this.#turns.timed(() => this.#stream(request.fed, request, stream)),
      left: (request) => {
        this.#slots.moved(request.fed.raw, 'waiting');
        this.#ofSecrets.delete(request);
      },
      keepAliveMs: () => (this.#isClosing ? null : server.keepAliveTimeout),
      idleMs: server.timeout,
      failed: (error) => {
        this.#failed(error);
        return INTERNAL;
      },
    };
    // Node's own listener gets the connection as we feed it (see `parser-turns.ts`).
    const ready = tls === null ? 'connection' : 'secureConnection';
    const [serve] = server.listeners(ready);
    server.removeAllListeners(ready);
    server.on('connection', (socket: Socket) => this.#slots.admit(socket));
    server.on(ready, (socket: Socket) => this.#own.add(this.#fed(socket)));
    this.#fedHost = {
      silentMs: server.headersTimeout,
      direct: (fed) => new DirectRequests(fed, this.#directHost),
      serve: (fed) => {
        this.#own.delete(fed);
        present(serve, 'node:http listens for connections').call(server, fed);
      },
      silent: (fed, isNew) => {
        if (isNew) writeFailure(fed, 'ERR_HTTP_TIMEOUT', LATE);
        else fed.destroy();
      },
      gone: (fed) => this.#own.delete(fed),
      overflow: (fed) => {
        if (fed.isBusy) fed.destroy();
        else writeFailure(fed, 'ERR_HTTP_LIMIT', MEMORY_FULL);
      },
    };
    server.on('request', this.#request);
    server.on('checkContinue', this.#request);
    server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
      this.#send(response, failure('ERR_HTTP_EXPECTATION', 'only 100-continue is supported'), true);
    });
    server.on('tlsClientError', (_error: unknown, socket: Socket) => {
      socket.destroy();
    });
    server.on('clientError', (error: unknown, socket: FedSocket) => this.#strange(error, socket));
  }

  #fed(socket: Socket): FedSocket {
    const identity = this.#identityOf(socket.remoteAddress, null);
    return new FedSocket(socket, this.#turns, this.#holdings, identity, this.#fedHost);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    this.#streams.end();
    this.#server.closeIdleConnections();
    for (const fed of this.#own) if (!fed.isBusy) fed.destroy();
    const timer = setTimeout(() => {
      this.#server.closeAllConnections();
      for (const fed of this.#own) fed.destroy();
    }, CLOSE_MS);
    await closed;
    clearTimeout(timer);
  }

  /** Ends what requests with these secrets wait for, which are no longer valid (D73). */
  withdraw(secrets: ReadonlySet<ValidSecret>): void {
    this.#admission = {};
    if (secrets.size === 0) return;
    for (const [response, secret] of this.#ofSecrets) {
      const isValid = !secrets.has(secret);
      if (response.headersSent) this.#streams.withdraw(response, isValid, WITHDRAWN);
      else if (isValid) continue;
      else if (response instanceof DirectRequest) response.withdraw(WITHDRAWN);
      else this.#conclude(response, WITHDRAWN);
    }
  }

  readonly #request = (request: IncomingMessage, response: ServerResponse): void => {
    // A peer that disconnects in the middle is not an error.
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    const fed = fedOf(request);
    const socket = fed.raw;
    response.once('close', () => {
      this.#slots.moved(socket, 'waiting');
      this.#ofSecrets.delete(response);
    });
    fed.enter(request, response, () => {
      const isWhole = (): void => {
        // The rest of a body may come behind the answer.
        if (!response.closed) this.#slots.moved(socket, 'answered');
      };
      if (hasBody(request)) request.once('end', isWhole);
      else isWhole();
      this.#answer(request, response).catch((error: unknown) => {
        this.#failed(error);
        if (response.headersSent) response.destroy();
        else this.#send(response, INTERNAL, true);
      });
    });
  };

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', headers, httpVersion } = request;
    const ambiguity = ambiguityOf(request);
    if (ambiguity !== null) {
      this.#send(response, failure('ERR_HTTP_REQUEST', ambiguity), true);
      return;
    }
    if (request.rawHeaders.length > 2 * HEADER_FIELDS_MAX) {
      const text = `the head has over ${HEADER_FIELDS_MAX} header fields`;
      this.#send(response, failure('ERR_HTTP_HEADERS', text), true);
      return;
    }
    const { host, authorization } = headers;
    const headersOf = valuesOnce(request);
    const head = {
      ...{ method, target, httpVersion, host, authorization, address: addressOf(request) },
      values: (header: string) => headersOf()[header] ?? [],
    };
    const reception = this.#turns.timed(() => this.#front.receive(head));
    if (reception.kind === 'refused') {
      await this.#refuse(request, response, reception.answer);
      return;
    }
    const { admitted } = reception;
    const { method: how, access } = admitted.route;
    const refused =
      access === 'requester' ? this.#enter(fedOf(request), admitted.actor.tokenName ?? '') : null;
    if (refused !== null) {
      await this.#refuse(request, response, refused);
      return;
    }
    const { secret } = admitted;
    const mayChange = how !== 'GET' && access === 'changer';
    // Whoever changes something learns what became of it.
    if (secret !== null && !mayChange) this.#ofSecrets.set(response, secret);
    const answer = await this.#handle(admitted, request, response, headersOf);
    if (response.headersSent) return;
    request.socket.setTimeout(this.#server.timeout);
    if (mayChange && !('changesNothing' in answer)) this.#tell(admitted, request, answer);
    this.#turns.timed(() => {
      if ('open' in answer) this.#stream(fedOf(request), response, answer);
      else this.#conclude(response, answer);
    });
  }

  #stream(fed: FedSocket, to: Streamed, stream: Stream): void {
    this.#slots.moved(fed.raw, 'streaming');
    this.#streams.start(to, stream, monotonicMs, (bytes) => fed.hold(bytes));
  }

  /** Sends an answer, perhaps before the body of its request has arrived. */
  #conclude(response: ServerResponse, answer: Answer): void {
    const { req: request } = response;
    // Who waits for 100 Continue sends no body after an answer.
    const isCut = !request.complete && request.headers.expect === undefined && !this.#isClosing;
    this.#send(response, answer, !isCut && (!request.complete || this.#isClosing));
    if (isCut) linger(request);
  }

  /** @param isLast close the connection after this answer */
  #send(response: ServerResponse, answer: Answer, isLast: boolean): void {
    const { status, type, headers } = answer;
    const { req: request } = response;
    const known = request.headers['if-none-match'];
    if (status === 200 && headers['etag'] !== undefined && known === headers['etag']) {
      response.writeHead(304, { ...COMMON_HEADERS, ...headers }).end();
      return;
    }
    const isKept = request.method !== 'HEAD' && answer.isCounted !== true;
    const body = isKept ? keptBody(answer.body) : answer.body;
    const full = isKept ? this.#unread.keep(response, body, fedOf(request).identity) : null;
    if (full !== null) {
      this.#send(response, noRoomFor(answer, full), isLast);
      return;
    }
    response.writeHead(status, {
      ...COMMON_HEADERS,
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      ...headers,
      ...(isLast ? { connection: 'close' } : {}),
    });
    // (By then the socket has written it, or is closed.)
    if (answer.sent !== undefined) response.once('close', answer.sent);
    if (isKept) this.#unread.write(response, body);
    else response.end(body);
  }

  async #refuse(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
    const isWhole = await quietly(discardBody(request));
    this.#send(response, answer, !isWhole || this.#isClosing);
  }

  /** A program sends a request. @returns why it is not handled */
  #enter(fed: FedSocket, token: string): Answer | null {
    const refused = this.#slots.enter(fed.raw, token);
    if (refused === null) fed.become(this.#identityOf(undefined, token));
    return refused;
  }

  /** @returns whether what was decided about its head still holds */
  #repeats(request: DirectRequest, { secret, admission }: Repeatable): boolean {
    if (this.#isClosing || admission !== this.#admission) return false;
    return this.#enterDirect(request, secret);
  }

  #enterDirect(request: DirectRequest, secret: ValidSecret): boolean {
    if (this.#enter(request.fed, secret.name) !== null) return false;
    this.#ofSecrets.set(request, secret);
    return true;
  }

  /** Begins a request of a program. Whatever is refused, and all others, are left to Node. */
  #beginDirect(
    request: DirectRequest,
    head: PlainHead,
    body: Buffer,
  ): ReturnType<DirectHost['begins']> {
    const { headers, method, target } = head;
    const [authorization] = headers['authorization'] ?? [];
    if (this.#isClosing || authorization === undefined) return null;
    const [host] = headers['host'] ?? [];
    const values = (header: string): readonly string[] => headers[header] ?? [];
    const given = { ...{ method, target, host, authorization, values }, address: request.address };
    const reception = this.#turns.timed(() =>
      this.#front.receive({ ...given, httpVersion: '1.1' }),
    );
    if (reception.kind === 'refused') return null;
    const { route, parts, query, caller, actor, secret } = reception.admitted;
    if (route.access !== 'requester' || route.readsBytes !== true || secret === null) return null;
    if (!this.#enterDirect(request, secret)) return null;
    const incoming = directIncoming(request, headers, body, (begin, mayDiffer) => {
      request.fed.direct.keep({ secret, admission: this.#admission, begin, mayDiffer });
    });
    const asked = { parts, query, caller, ...actor, incoming, body: {} };
    return this.#handleDirect(() => this.#turns.timed(() => route.handle(asked)));
  }

  async #handleDirect(handled: () => ReturnType<Route['handle']>): Promise<Answer | Stream> {
    try {
      return await handled();
    } catch (error) {
      return refusal(error);
    }
  }

  #tell(
    { route, parts, actor }: Admitted,
    request: IncomingMessage,
    answer: Answer | Stream,
  ): void {
    const uuid = uuidBytes(parts['uuid'] ?? '');
    const { service = null, filter = null, count = null } = ('did' in answer && answer.did) || {};
    const what = {
      who: actorName(actor),
      token: actor.tokenName ?? '',
      act: `${route.method} ${route.path}`,
      uuid: uuid === null ? null : shownUuid(uuid, 'anyone'),
      service: service ?? serviceIn(parts['service']),
      filter,
      count,
      address: addressOf(request),
    };
    const status = 'status' in answer ? answer.status : 200;
    if (status < 400) this.#acted({ name: 'operator.acted', ...what });
    else this.#acted({ name: 'operator.refused', ...what, status });
  }

  async #handle(
    { route, parts, query, caller, actor, secret }: Admitted,
    request: IncomingMessage,
    response: ServerResponse,
    headersOf: () => HeaderValues,
  ): Promise<Answer | Stream> {
    const goOn = (): void => response.writeContinue();
    const fed = fedOf(request);
    const repeats: Incoming['repeats'] = (begin, mayDiffer) => {
      if (secret === null || !response.shouldKeepAlive || request.httpVersion !== '1.1') return;
      // Each such request waits for `100 Continue`.
      if (request.headers.expect !== undefined) return;
      fed.repeat({ secret, admission: this.#admission, begin, mayDiffer }, headersOf());
    };
    const incoming = incomingOf(request, response, headersOf, goOn, repeats, (bytes) =>
      fed.copied(bytes),
    );
    const given = { parts, query, caller, ...actor, incoming };
    const handled = (body: HttpRequest['body']): ReturnType<Route['handle']> =>
      this.#turns.timed(() => route.handle({ ...given, body }));
    try {
      if (route.readsBytes === true) return await handled({});
      if (route.method === 'GET') {
        await discardBody(request);
        return await handled({});
      }
      return await handled(await this.#bodyOf(request, goOn));
    } catch (error) {
      const code = httpCodeOf(error);
      const isRead = code === 'ERR_HTTP_BODY';
      if (code === 'ERR_HTTP_TOO_LARGE' || (route.readsBytes === true && !isRead)) {
        await quietly(discardBody(request));
      }
      return refusal(error);
    }
  }

  /** Reads a JSON body, which counts for its connection until it is read. */
  async #bodyOf(request: IncomingMessage, goOn: () => void): ReturnType<typeof readBody> {
    const fed = fedOf(request);
    let held = 0;
    try {
      return await readBody(request, goOn, (bytes) => {
        if (!fed.hold(bytes)) throw httpError('ERR_HTTP_LIMIT', MEMORY_FULL);
        held += bytes;
        return true;
      });
    } finally {
      fed.hold(-held);
    }
  }

  /** The bytes are not HTTP, too many, or too slow. */
  #strange(error: unknown, socket: FedSocket): void {
    const code = codeOf(error);
    if (code === 'HPE_HEADER_OVERFLOW') {
      writeFailure(socket, 'ERR_HTTP_HEADERS', 'the headers are over 16 KiB');
    } else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      writeFailure(socket, 'ERR_HTTP_TIMEOUT', LATE);
    } else {
      writeFailure(socket, 'ERR_HTTP_REQUEST', 'not an HTTP/1.1 request');
    }
  }
}

function fedOf({ socket }: IncomingMessage): FedSocket {
  if (socket instanceof FedSocket) return socket;
  throw new Error('a connection that was not accepted here');
}

/** Whether a body has been discarded, when the answer does not depend on it. */
async function quietly(discarded: Promise<boolean>): Promise<boolean> {
  try {
    return await discarded;
  } catch {
    return false;
  }
}

/** The service that a path names, as lists show it. */
function serviceIn(part: string | undefined): string | null {
  const name = part === undefined ? null : unescapeName(part);
  return name === null ? null : escapeName(name);
}
