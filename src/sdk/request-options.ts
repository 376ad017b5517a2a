/** Options of one request, and the settings that are made of them. */
import type { Headers } from '../wire/headers.js';

/**
 * Options of one request.
 *
 *     await client.request('echo', 'hello', { timeoutMs: 500, retries: 0, signal: controller.signal });
 */
export interface RequestOptions {
  /**
   * Instead of the client's `timeoutMs`, in milliseconds: the time of one attempt. The whole call takes at most
   * `(1 + retries) × timeoutMs`, and at most `deadlineMs`.
   */
  readonly timeoutMs?: number;
  /**
   * Instead of the client's `deadlineMs`, in milliseconds: the most that the whole call takes, with all its attempts
   * and pauses; `timeoutMs` is the time of one attempt. When it is over: ERR_MDP_TIMEOUT, or the reason why no
   * broker took the request. Of a stream, it is the time until its last part has come. With `headers`, the worker
   * learns of it.
   */
  readonly deadlineMs?: number | undefined;
  /** Instead of the client's `retries`. */
  readonly retries?: number;
  /** Aborting it cancels the request: ERR_MDP_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Metadata beside the body, such as a trace context: `request.headers` in the handler. At most 64, with
   * names of 1 to 64 characters of `a-z`, `0-9` and `-`, and 8 KiB as JSON. A request with headers, also with
   * `{}`, tells the worker how long this client waits. The client sends it only to a broker that supports
   * headers; otherwise it fails with ERR_MDP_UNSUPPORTED. Default: none.
   */
  readonly headers?: Headers | undefined;
}

/** How long a call waits. */
export interface Patience {
  readonly timeoutMs: number;
  readonly retries: number;
  /** `undefined`: none. */
  readonly deadlineMs: number | undefined;
}

/** `RequestOptions`, with the client's values as defaults. */
export interface RequestSettings extends Patience {
  readonly signal: AbortSignal | undefined;
  /** Checked. */
  readonly headers: Headers | undefined;
}
