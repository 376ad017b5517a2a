import type { FedSocket } from './feed.js';
import { nodeHttp } from './node-http.js';
import { COMMON_HEADERS, failure } from '../http/answer.js';
import type { HttpErrorCode } from '../http/errors.js';

/** Answers bytes that Node could not parse as a request, and closes the connection. */
export function writeFailure(socket: FedSocket, code: HttpErrorCode, message: string): void {
  const { status, type, body } = failure(code, message);
  const headers = {
    ...COMMON_HEADERS,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`;
  if (socket.writable) socket.end(head + String(body));
  socket.destroySoon();
}
