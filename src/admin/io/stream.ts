import type { ServerResponse } from 'node:http';

import { type Answer, COMMON_HEADERS, type Stream } from '../http/answer.js';

/** Unsent bytes of one reader, besides its first text. */
const WAITING_BYTES_MAX = 262_144;
/** What a text that waits to be sent takes beside its bytes. */
const WRITE_COST_BYTES = 512;
/** How long a reader may read nothing. */
const STALL_MS = 30_000;

/** Answers that continue until the reader leaves or stalls, or the server closes. */
export class Streams {
  readonly #open = new Map<ServerResponse, Stream>();

  /** @param now monotonic milliseconds */
  start(response: ServerResponse, stream: Stream, now: () => number): void {
    const { type, headers, open } = stream;
    // Nothing would tell that its reader has left.
    if (response.closed) return;
    response.writeHead(200, { ...COMMON_HEADERS, 'content-type': type, ...headers });
    if (response.req.method === 'HEAD') {
      response.end();
      return;
    }
    let flowedAt = now();
    let waitingMax = WAITING_BYTES_MAX;
    let unsent = 0;
    response.on('drain', () => {
      flowedAt = now();
    });
    const write = (text: string, sent?: () => void): void => {
      const waiting = response.writableLength + unsent * WRITE_COST_BYTES;
      if (waiting === 0) flowedAt = now();
      // Ending it instead would keep the connection open until the unsent bytes are read.
      if (waiting > waitingMax || now() - flowedAt > STALL_MS) {
        response.destroy();
        return;
      }
      unsent++;
      response.write(text, () => {
        unsent--;
        sent?.();
      });
    };
    const close = open(write, (how) => {
      if (how === 'now') endNow(response);
      else response.end();
    });
    waitingMax += response.writableLength;
    this.#open.set(response, stream);
    response.once('close', () => {
      this.#open.delete(response);
      close();
    });
  }

  /**
   * Tells one reader that tokens have changed. Event streams end, so that their readers ask again; others go on while
   * their token is valid.
   * @param isValid whether this reader's token still is
   * @param why the answer if it is not
   */
  withdraw(response: ServerResponse, isValid: boolean, why: Answer): void {
    const stream = this.#open.get(response);
    const { withdrawn } = stream ?? {};
    if (withdrawn === undefined) {
      if (stream !== undefined || !isValid) endNow(response);
    } else if (!isValid) {
      withdrawn(why);
    }
  }

  /** Ends them all. */
  end(): void {
    for (const response of this.#open.keys()) response.end();
  }
}

/** Ends an answer, whatever of it a slow reader has not taken. */
function endNow(response: ServerResponse): void {
  response.end();
  // By then what the kernel has room for has left.
  setImmediate(() => {
    if (!response.writableFinished) response.destroy();
  });
}
