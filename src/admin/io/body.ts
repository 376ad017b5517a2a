import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

import { freeBytes } from '../../core/bytes.js';
import { codeOf } from '../../core/errors.js';
import { httpError } from '../http/errors.js';
import type { PlaceFor } from '../http/route.js';

const BODY_BYTES_MAX = 65_536;
/** A chunked body may have this many chunks of any size; beyond, they hold so many bytes on average. */
const CHUNKS_FREE = 1024;
const CHUNK_BYTES_MEAN = 32;
/** Chunks smaller than half of this are copied together. */
const PAGE_BYTES = 16_384;
/** A larger body of known length is put in its place, once so large a part of it has come. */
const LARGE_BYTES = 65_536;
const LARGE_PART = 1 / 16;
/** Reading this much of an unwanted body lets the answer arrive; then the connection is closed. */
const DISCARDED_BYTES_MAX = 1_048_576;

/**
 * Reads the body: a JSON object. An empty body counts as an empty object.
 * @param goOn sends 100 Continue to a client that waits for it
 * @param keep see `readBytes`
 * @throws ERR_HTTP_TOO_LARGE, ERR_HTTP_BODY, what `keep` throws
 */
export async function readBody(
  request: IncomingMessage,
  goOn: () => void,
  keep: (bytes: number) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBytes(request, goOn, BODY_BYTES_MAX, keep);
  if (!isUtf8(bytes)) throw httpError('ERR_HTTP_BODY', 'the body is not UTF-8');
  const text = bytes.toString('utf8');
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
 * @param keep called before so many bytes of memory are used; what it throws ends the reading
 * @param placeFor the place of a large body whose length is known
 * @param copied told of bytes that were put there, within the call that brought them
 * @returns empty if `keep` has returned false: the body is not wanted any more, and is read without being kept
 * @throws ERR_HTTP_TOO_LARGE, ERR_HTTP_BODY, what `keep` throws
 */
export async function readBytes(
  request: IncomingMessage,
  goOn: () => void,
  bytesMax: number,
  keep: (bytes: number) => boolean,
  placeFor?: PlaceFor,
  copied?: (bytes: number) => void,
): Promise<Buffer> {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > bytesMax) throw tooLarge(bytesMax);
  if (request.headers.expect !== undefined) goOn();
  const body = new Collected(copied);
  const isLarge = placeFor !== undefined && length > LARGE_BYTES;
  await read(request, (chunk, bytes) => {
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    const before = bytes - chunk.length;
    const isToPlace = isLarge && !body.hasPlace && bytes >= length * LARGE_PART;
    const more = isToPlace ? length - before : chunk.length;
    if (!keep(body.hasPlace ? 0 : more)) body.forget();
    else if (isToPlace) body.moveTo(placeFor(length), chunk);
    else body.add(chunk);
  });
  return body.bytes();
}

/**
 * Reads the rest of a body chunk by chunk.
 * @param take gets each chunk, and the bytes so far with it; what it throws ends the reading
 * @throws ERR_HTTP_BODY: it did not arrive, or its chunks are too small; what `take` throws
 */
function read(
  request: IncomingMessage,
  take: (chunk: Buffer, bytes: number) => void,
): Promise<void> {
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let chunks = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks++;
      try {
        const isCrumbs = chunks > CHUNKS_FREE && bytes < chunks * CHUNK_BYTES_MEAN;
        if (isChunked && isCrumbs) throw crumbs(chunks, bytes);
        take(chunk, bytes);
      } catch (error) {
        request.removeAllListeners('data').pause();
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as it was thrown
        reject(error);
      }
    });
    request.once('end', resolve);
    request.once('close', () => {
      // An error costs its stack, and each request closes.
      if (!request.readableEnded) reject(httpError('ERR_HTTP_BODY', 'the body did not arrive'));
    });
    request.resume();
  });
}

/** The chunks of a body so far. Small ones are copied together: each Buffer costs hundreds of bytes. */
class Collected {
  #parts: Buffer[] = [];
  #page: Buffer | null = null;
  #used = 0;
  /** Where all of it is put, and how much is there. */
  #place: Buffer | null = null;
  #placed = 0;
  readonly #copied: ((bytes: number) => void) | undefined;

  constructor(copied: ((bytes: number) => void) | undefined) {
    this.#copied = copied;
  }

  get hasPlace(): boolean {
    return this.#place !== null;
  }

  /** Puts what is here, and what comes, into its place. */
  moveTo(place: Buffer, chunk: Buffer): void {
    this.#endPage();
    const parts = this.#parts;
    this.forget();
    this.#place = place;
    for (const part of [...parts, chunk]) this.#put(place, part);
  }

  #put(place: Buffer, chunk: Buffer): void {
    this.#placed += chunk.copy(place, this.#placed);
  }

  add(chunk: Buffer): void {
    if (this.#place !== null) {
      this.#put(this.#place, chunk);
      this.#copied?.(chunk.length);
      // Only this body has it, and V8 would collect its whole heap for so many of them.
      if (chunk.length === chunk.buffer.byteLength) freeBytes(chunk);
      return;
    }
    // Most bodies are one chunk.
    if (this.#parts.length === 0 || chunk.length >= PAGE_BYTES / 2) {
      this.#endPage();
      this.#parts.push(chunk);
      return;
    }
    if (this.#page !== null && this.#used + chunk.length > PAGE_BYTES) this.#endPage();
    this.#page ??= Buffer.allocUnsafeSlow(PAGE_BYTES);
    this.#used += chunk.copy(this.#page, this.#used);
  }

  forget(): void {
    this.#parts = [];
    this.#page = null;
    this.#used = 0;
    this.#place = null;
    this.#placed = 0;
  }

  bytes(): Buffer {
    if (this.#place !== null) return this.#place;
    this.#endPage();
    const [first] = this.#parts;
    return this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts);
  }

  #endPage(): void {
    if (this.#page === null) return;
    this.#parts.push(this.#page.subarray(0, this.#used));
    this.#page = null;
    this.#used = 0;
  }
}

/** True if a body follows the head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined;
}

/**
 * Reads and discards the body.
 * @returns false if it is too large, or did not arrive: then the connection has to be closed
 * @throws ERR_HTTP_BODY: its chunks are too small
 */
export async function discardBody(request: IncomingMessage): Promise<boolean> {
  const { headers } = request;
  const has = hasBody(request) && !request.complete;
  // A client that waits for 100 Continue sends no body after an answer that refuses it.
  if (!has || headers.expect !== undefined) return !has;
  if (Number(headers['content-length'] ?? 0) > DISCARDED_BYTES_MAX) return false;
  try {
    await read(request, (_chunk, bytes) => {
      if (bytes > DISCARDED_BYTES_MAX) throw tooLarge(DISCARDED_BYTES_MAX);
    });
    return true;
  } catch (error) {
    if (codeOf(error) === 'ERR_HTTP_BODY' && !request.closed) throw error;
    return false;
  }
}

/** For so long, and so many bytes, a connection lingers after an answer that came before the whole body. */
const LINGER_MS = 10_000;
const LINGER_BYTES_MAX = 67_108_864;

/**
 * A client that writes its whole body before it reads loses the answer if the connection is closed on it. So
 * the rest is read and discarded, as nginx does (`lingering_close`); what is too much, too slow or in too
 * small chunks is cut off.
 */
export function linger(request: IncomingMessage): void {
  const { socket } = request;
  const cut = (): void => {
    socket.destroy();
  };
  const timer = setTimeout(cut, LINGER_MS);
  read(request, (_chunk, bytes) => {
    if (bytes > LINGER_BYTES_MAX) throw tooLarge(LINGER_BYTES_MAX);
  })
    .catch(cut)
    .finally(() => clearTimeout(timer));
}

export function tooLarge(bytesMax: number): Error {
  return httpError('ERR_HTTP_TOO_LARGE', `the body is over ${bytesMax} bytes`);
}

function crumbs(chunks: number, bytes: number): Error {
  const text = `the chunks of the body are too small: ${chunks} of them hold ${bytes} bytes`;
  return httpError('ERR_HTTP_BODY', text);
}
