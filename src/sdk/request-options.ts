/** Options of one request, and the settings that are made of them. */
import type { Headers } from '../wire/headers.js';

/**
 * Options of one request.
 *
 *     await client.request('echo', 'hello', { timeoutMs: 500, signal: controller.signal });
 */
export interface RequestOptions {
  /**
   * Instead of the client's `timeoutMs`, in milliseconds: how long the whole call may take; of a stream, until its
   * last part has come. `Infinity`: until there is an answer. When it is over: ERR_MDP_TIMEOUT, or the reason why no
   * broker took the request; a worker that runs it is told. Broker and worker know of a time that is given, here or
   * in the client's options, from the start, if the broker supports headers.
   */
  readonly timeoutMs?: number;
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

/** What a call keeps of its options. */
export interface CallSettings {
  /** How long the whole call may take; `Infinity`: it has no end. */
  readonly timeoutMs: number;
  /** After how long a broker that keeps no session is sent it again. */
  readonly resendMs: number;
  /** Whether the program named the time, so that the broker is told of it. */
  readonly saysTime: boolean;
}

/** `RequestOptions`, with the client's values as defaults. */
export interface RequestSettings extends CallSettings {
  readonly signal: AbortSignal | undefined;
  /** Checked. */
  readonly headers: Headers | undefined;
}
