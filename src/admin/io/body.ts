import type { IncomingMessage } from 'node:http';

import { httpError } from '../http/errors.js';

const BODY_BYTES_MAX = 65_536;
/** Reading this much of an unwanted body lets the answer arrive; then the connection is closed. */
const DISCARDED_BYTES_MAX = 1_048_576;

/**
 * Reads the body: a JSON object. An empty body counts as an empty object.
 * @param goOn sends 100 Continue to a client that waits for it
 * @throws ERR_HTTP_TOO_LARGE, ERR_HTTP_BODY
 */
export async function readBody(
  request: IncomingMessage,
  goOn: () => void,
): Promise<Readonly<Record<string, unknown>>> {
  const text = (await readBytes(request, goOn, BODY_BYTES_MAX)).toString('utf8');
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw httpError('ERR_HTTP_BODY', 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw httpError('ERR_HTTP_BODY', 'the body is not a JSON object');
  }
  return { ...value };
}

/**
 * Reads the body as bytes.
 * @param keep see `Incoming.bytes`
 * @throws ERR_HTTP_TOO_LARGE, ERR_HTTP_BODY, what `keep` throws
 */
export function readBytes(
  request: IncomingMessage,
  goOn: () => void,
  bytesMax: number,
  keep: (bytes: number) => void = () => undefined,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
      reject(tooLarge(bytesMax));
      return;
    }
    if (request.headers.expect !== undefined) goOn();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const add = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bytesMax) throw tooLarge(bytesMax);
      keep(chunk.length);
      chunks.push(chunk);
    };
    request.on('data', (chunk: Buffer) => {
      try {
        add(chunk);
      } catch (error) {
        request.removeAllListeners('data').pause();
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as it was thrown
        reject(error);
      }
    });
    request.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
    request.once('close', () => {
      reject(httpError('ERR_HTTP_BODY', 'the body did not arrive'));
    });
  });
}

/** True if a body follows the head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined;
}

/**
 * Reads and discards the body.
 * @returns false if it is too large: then the connection has to be closed
 */
export function discardBody(request: IncomingMessage): Promise<boolean> {
  const { headers } = request;
  const has = hasBody(request) && !request.complete;
  // A client that waits for 100 Continue sends no body after an answer that refuses it.
  if (!has || headers.expect !== undefined) return Promise.resolve(!has);
  if (Number(headers['content-length'] ?? 0) > DISCARDED_BYTES_MAX) return Promise.resolve(false);
  return new Promise((resolve) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= DISCARDED_BYTES_MAX) return;
      request.removeAllListeners('data').pause();
      resolve(false);
    });
    request.once('end', () => {
      resolve(true);
    });
    request.once('close', () => {
      resolve(false);
    });
    request.resume();
  });
}

/** For so long, and so many bytes, a connection lingers after an answer that came before the whole body. */
const LINGER_MS = 10_000;
const LINGER_BYTES_MAX = 67_108_864;

/**
 * A client that writes its whole body before it reads loses the answer if the connection is closed on it. So
 * the rest is read and discarded, as nginx does (`lingering_close`); what is too much or too slow is cut off.
 */
export function linger(request: IncomingMessage): void {
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  const over = (): void => {
    clearTimeout(timer);
  };
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES_MAX) socket.destroy();
  });
  request.once('end', over);
  request.once('close', over);
  request.resume();
}

function tooLarge(bytesMax: number): Error {
  return httpError('ERR_HTTP_TOO_LARGE', `the body is over ${bytesMax} bytes`);
}
