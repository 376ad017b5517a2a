/** Sends one webhook. */
import { connect, isIP, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, DEFAULT_CIPHERS } from 'node:tls';

import { codeOf, messageOf } from '../../core/errors.js';
import { Allowance, type Sent, WebhookAnswer } from './webhook-answer.js';
import type { WebhookTargets } from './webhook-target.js';

/** For everything until the status is here: look-up, connection, TLS, and the receiver's work. */
const TIMEOUT_MS = 15_000;
const CONNECT_MS = 5000;
/** For a TLS handshake with its certificates, and the answer. */
const TLS_BYTES_MAX = 49_152;
const TLS_PIECES_MAX = 512;
/** Without DHE, whose server chooses how much its client computes: 2 s for a prime of 10,000 bits. */
const CIPHERS = `${DEFAULT_CIPHERS}:!DHE`;
/** What is wrong with a certificate may be told with all the names in it. */
const WHY_CHARACTERS_MAX = 200;
const PORTS = { 'http:': 80, 'https:': 443 } as const;

/** @param signal gives it up */
export function postWebhook(
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  { lookup }: Pick<WebhookTargets, 'lookup'>,
  signal: AbortSignal,
): Promise<Sent> {
  const url = new URL(target);
  const protocol = url.protocol === 'https:' ? 'https:' : 'http:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? PORTS[protocol] : Number(url.port);
  return new Promise((resolve) => {
    const socket = connect({ host, port, lookup, signal });
    const stream = protocol === 'https:' ? secured(socket, host) : socket;
    const answer = new WebhookAnswer();
    const end = (sent: Sent): void => {
      clearTimeout(total);
      clearTimeout(connecting);
      resolve(sent);
      stream.destroy();
      socket.destroy();
    };
    const giveUp = (why: string): void => {
      end({ kind: 'failed', why: why.slice(0, WHY_CHARACTERS_MAX) });
    };
    const total = setTimeout(giveUp, TIMEOUT_MS, `no answer within ${TIMEOUT_MS} ms`);
    const connecting = setTimeout(giveUp, CONNECT_MS, `no connection within ${CONNECT_MS} ms`);
    stream.once(protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      clearTimeout(connecting);
      stream.write(messageTo(url, headers, body));
    });
    stream.on('data', (piece: Buffer) => {
      const sent = answer.read(piece);
      if (sent !== null) end(sent);
    });
    stream.on('error', (error) => {
      // Of several addresses, none of which took the connection, the message is empty.
      giveUp(messageOf(error) || String(codeOf(error)));
    });
    stream.on('close', () => giveUp('the connection was closed without an answer'));
  });
}

function messageTo(
  { host, pathname, search }: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
): string {
  const fields = {
    host,
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

function secured(socket: Socket, host: string): Duplex {
  const servername = isIP(host) === 0 ? host : '';
  return connectTls({
    socket: new LimitedStream(socket),
    host,
    servername,
    ALPNProtocols: ['http/1.1'],
    ciphers: CIPHERS,
  });
}

/**
 * A connection of which only so much is read. What comes out of TLS is limited, too, but a handshake need not have
 * an end, nor what is sent for TLS alone.
 */
class LimitedStream extends Duplex {
  readonly #socket: Socket;
  readonly #allowance = new Allowance(TLS_BYTES_MAX, TLS_PIECES_MAX);

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => this.#received(piece));
    socket.on('end', () => {
      this.push(null);
    });
    socket.on('error', (error) => {
      this.destroy(error);
    });
    socket.on('close', () => {
      this.destroy();
    });
  }

  #received(piece: Buffer): void {
    const isWanted = this.push(this.#allowance.take(piece));
    const { spent } = this.#allowance;
    if (spent === null && isWanted) return;
    this.#socket.pause();
    // The status may be in what was just read.
    if (spent !== null) setImmediate(() => this.destroy(new Error(spent)));
  }

  override _read(): void {
    if (this.#allowance.spent === null) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
