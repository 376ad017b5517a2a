import type { ServerResponse } from 'node:http';

import { COMMON_HEADERS, type Stream } from '../http/answer.js';

/** Unsent bytes of one reader, besides its first text, if the stream sets no other limit. */
const WAITING_BYTES_MAX = 262_144;
/** How long a reader may read nothing. */
const STALL_MS = 30_000;

/** Answers that continue until the reader leaves or stalls, or the server closes. */
export class Streams {
  /** Whether the rights of a token let it be read. */
  readonly #open = new Map<ServerResponse, boolean>();

  /**
   * @param byToken it shows what only holders of a token see
   * @param now monotonic milliseconds
   */
  start(response: ServerResponse, stream: Stream, byToken: boolean, now: () => number): void {
    const { type, headers, open } = stream;
    response.writeHead(200, { ...COMMON_HEADERS, 'content-type': type, ...headers });
    if (response.req.method === 'HEAD') {
      response.end();
      return;
    }
    let flowedAt = now();
    let waitingMax = stream.waitingMax ?? WAITING_BYTES_MAX;
    response.on('drain', () => {
      flowedAt = now();
    });
    const write = (text: string, sent?: () => void): void => {
      const waiting = response.writableLength;
      if (waiting === 0) flowedAt = now();
      // Ending it instead would keep the connection open until the unsent bytes are read.
      if (waiting > waitingMax || now() - flowedAt > STALL_MS) response.destroy();
      else response.write(text, sent);
    };
    const close = open(write, (how) => {
      response.end();
      if (how === 'now' && response.writableLength > 0) response.destroy();
    });
    waitingMax += response.writableLength;
    this.#open.set(response, byToken);
    response.once('close', () => {
      this.#open.delete(response);
      close();
    });
  }

  /** Tokens have changed: whoever reads by one asks again. */
  endByToken(): void {
    for (const [response, byToken] of this.#open) if (byToken) response.end();
  }

  /** Ends them all. */
  end(): void {
    for (const response of this.#open.keys()) response.end();
  }
}
