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
   * Whether at most one worker may run it: it is given to another one only if that which had it says that it did not
   * begin. If a delivery ends without an answer, or the broker dies, the call fails with ERR_MDP_OUTCOME_UNKNOWN,
   * whose text says what is known; any other error says that it did not run. The client sends it only to a broker that
   * supports it; otherwise it fails with ERR_MDP_UNSUPPORTED. With `strategy: 'freelance'` one broker is asked, and
   * not with `hedgeMs`. Default false.
   */
  readonly once?: boolean;
  /**
   * The group of the request, such as a tenant or a device, 1 to 255 bytes in UTF-8: the groups of a service take turns
   * at its workers. The client sends it only to a broker that
   * supports groups; otherwise it fails with ERR_MDP_UNSUPPORTED. Default: that of all requests without one.
   */
  readonly group?: string | undefined;
  /**
   * Metadata beside the body, such as a trace context: `request.headers` in the handler. At most 64, with
   * names of 1 to 64 characters of `a-z`, `0-9` and `-`, and 8 KiB as JSON. A request with headers, also with
   * `{}`, tells the worker how long this client waits. The client sends it only to a broker that supports
   * headers; otherwise it fails with ERR_MDP_UNSUPPORTED. Default: none.
   */
  readonly headers?: Headers | undefined;
}

/** What a client says of the time of its calls. */
export interface ClientTimes {
  /** How long the whole call may take; `Infinity`: it has no end. */
  readonly timeoutMs: number;
  /** After how long a broker that keeps no session is sent it again. */
  readonly resendMs: number;
}

/** What a call keeps of its options. */
export interface CallSettings extends ClientTimes {
  /** Whether the program named the time, so that the broker is told of it. */
  readonly saysTime: boolean;
  /** Whether at most one worker may run it. */
  readonly once: boolean;
  readonly group?: string | undefined;
}

/** `RequestOptions`, with the client's values as defaults. */
export interface RequestSettings extends CallSettings {
  readonly signal: AbortSignal | undefined;
  /** Checked. */
  readonly headers: Headers | undefined;
}
