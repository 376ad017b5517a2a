/** Answers that are written to the socket as they are, without a response of Node. */
import type { Writable } from 'node:stream';

import type { FedSocket } from './parser-turns.js';
import { nodeHttp } from './node-http.js';
import { type Answer, COMMON_HEADERS, failure, type Headers } from '../http/answer.js';
import type { HttpErrorCode } from '../http/errors.js';

/** A body of up to so many bytes is written in one piece with its head. */
const JOINED_BYTES_MAX = 4096;
const SECOND_MS = 1000;
const COMMON = linesOf(COMMON_HEADERS);
const LAST = 'connection: close\r\n';

/** Answers bytes that Node could not parse as a request, and closes the connection. */
export function writeFailure(socket: FedSocket, code: HttpErrorCode, message: string): void {
  const answer = failure(code, message);
  const body = Buffer.from(answer.body);
  if (socket.writable) socket.end(headOf(answer, body.length, LAST) + body.toString());
  socket.destroySoon();
}

/**
 * Answers a request of a connection that has nothing else to send, in one write, as Node would.
 * @param keepAliveMs how long the connection may be idle after it; `null`, or if the answer says so: it is closed
 * @param sent called when the answer has left, or with the error for which it cannot
 */
export function writeAnswer(
  fed: { readonly raw: Writable; destroySoon(): void },
  answer: Answer,
  keepAliveMs: number | null,
  sent: (error?: Error | null) => void,
): void {
  const { raw } = fed;
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  const isLast = keepAliveMs === null || answer.headers['connection'] === 'close';
  const head = headOf(answer, body.length, connectionLines(isLast ? null : keepAliveMs));
  if (body.length <= JOINED_BYTES_MAX) {
    const { buffer, byteOffset, length } = body;
    const text = Buffer.from(buffer, byteOffset, length).toString('latin1');
    raw.write(head + text, 'latin1', sent);
  } else {
    raw.cork();
    raw.write(head, 'latin1');
    raw.write(body, sent);
    raw.uncork();
  }
  if (isLast) fed.destroySoon();
}

/** The head of an answer whose body comes in chunks. @param keepAliveMs see `writeAnswer` */
export function chunkedHead(status: number, headers: Headers, keepAliveMs: number | null): string {
  const line = `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status] ?? ''}\r\n`;
  return `${line}${linesOf(headers)}${connectionLines(keepAliveMs)}Transfer-Encoding: chunked\r\n\r\n`;
}

function connectionLines(keepAliveMs: number | null): string {
  const kept =
    keepAliveMs === null
      ? LAST
      : `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / SECOND_MS)}\r\n`;
  return `Date: ${dateNow()}\r\n${kept}`;
}

/** @param last the fields about the connection, which the answer's own would repeat */
function headOf({ status, type, headers: given }: Answer, bytes: number, last: string): string {
  const { connection: _connection, ...headers } = given;
  const own = Object.keys(headers).length > 0;
  const common = own ? linesOf({ ...COMMON_HEADERS, 'content-type': type, ...headers }) : COMMON;
  const typed = own ? '' : `content-type: ${type}\r\n`;
  const line = `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status] ?? ''}\r\n`;
  return `${line}${common}${typed}content-length: ${bytes}\r\n${last}\r\n`;
}

function linesOf(headers: Headers): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

let date = '';
let dateUntil = 0;

/** The text of a date changes once a second. */
function dateNow(): string {
  const now = Date.now();
  if (now >= dateUntil || now < dateUntil - SECOND_MS) {
    date = new Date(now).toUTCString();
    dateUntil = (Math.floor(now / SECOND_MS) + 1) * SECOND_MS;
  }
  return date;
}
