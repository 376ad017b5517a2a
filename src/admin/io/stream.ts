import type { ServerResponse } from 'node:http';

import { type Answer, COMMON_HEADERS, type Headers, type Stream } from '../http/answer.js';

/** Unsent bytes of one reader, besides its first text. */
const WAITING_BYTES_MAX = 262_144;
/** What a text that waits to be sent takes beside its bytes. */
const WRITE_COST_BYTES = 512;
/** How long a reader may read nothing. */
const STALL_MS = 30_000;

/** What a stream is written to: a response of Node, or a request that Node does not see. */
export interface Streamed extends Pick<
  ServerResponse,
  'closed' | 'writableLength' | 'writableEnded' | 'writableFinished'
> {
  /** Absent: the request is none for the head alone. */
  readonly req?: { readonly method?: string | undefined };
  writeHead(status: number, headers: Headers): unknown;
  write(text: string, sent: () => void): unknown;
  end(): unknown;
  destroy(): unknown;
  /** All has left, or the reader has. */
  once(event: 'close', then: () => void): unknown;
}

/** Answers that continue until the reader leaves or stalls, or the server closes. */
export class Streams {
  readonly #open = new Map<Streamed, Stream>();

  /**
   * @param now monotonic milliseconds
   * @param hold counts bytes that wait to be sent, and gives them back; false: there is no room for them
   */
  start(
    response: Streamed,
    stream: Stream,
    now: () => number,
    hold: (bytes: number) => boolean,
  ): void {
    const { type, headers, open, isCounted } = stream;
    // Nothing would tell that its reader has left.
    if (response.closed) return;
    response.writeHead(200, { ...COMMON_HEADERS, 'content-type': type, ...headers });
    if (response.req?.method === 'HEAD') {
      response.end();
      return;
    }
    let flowedAt = now();
    let waitingMax = WAITING_BYTES_MAX;
    let unsent = 0;
    const write = (text: string, sent?: () => void): void => {
      const waiting = response.writableLength + unsent * WRITE_COST_BYTES;
      if (waiting === 0) flowedAt = now();
      // Ending it instead would keep the connection open until the unsent bytes are read.
      if (waiting > waitingMax || now() - flowedAt > STALL_MS) {
        response.destroy();
        return;
      }
      const bytes = isCounted === true ? 0 : Buffer.byteLength(text);
      const isHeld = hold(bytes);
      // Whoever reads is not to blame that there is no room.
      if (!isHeld && waiting > 0) {
        response.destroy();
        return;
      }
      unsent++;
      response.write(text, () => {
        unsent--;
        if (unsent === 0) flowedAt = now();
        if (isHeld) hold(-bytes);
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
  withdraw(response: Streamed, isValid: boolean, why: Answer): void {
    const stream = this.#open.get(response);
    const { withdrawn } = stream ?? {};
    if (stream === undefined) {
      // What is left of an answer that is written in pieces would be missing.
      if (!isValid && !response.writableEnded) response.destroy();
      else if (!isValid) endNow(response);
    } else if (withdrawn === undefined) {
      endNow(response);
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
function endNow(response: Streamed): void {
  response.end();
  // By then what the kernel has room for has left.
  setImmediate(() => {
    if (!response.writableFinished) response.destroy();
  });
}
