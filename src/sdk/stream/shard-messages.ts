/** What a subscriber and the threads of its shards tell each other. */
import type { CurveClientKeys } from '../../zmtp/link.js';
import type { StreamMessage } from './stream-message.js';

/**
 * The export `default` of a handler module of shards. The next message comes when it has returned, or what it
 * returned has resolved. If it throws, the whole subscriber ends.
 */
export type ShardHandler = (message: StreamMessage, context: ShardContext) => unknown;

/** The second argument of a `ShardHandler`. */
export interface ShardContext {
  /** Which shard this thread is, from 0. */
  readonly shard: number;
}

/** What a thread is started with. */
export interface ShardData {
  readonly shard: number;
  /** The URL of the handler module. */
  readonly handler: string;
  readonly endpoints: readonly string[];
  readonly topics: readonly Uint8Array[];
  readonly maxDelayMs: number | null;
  readonly stamp: false | null;
  readonly onGap: 'mark' | 'fail';
  readonly bufferBytes: number;
  readonly curve: { readonly [Key in keyof CurveClientKeys]: Uint8Array } | null;
}

/** To a thread. It answers a ping with `pong` as soon as its event loop turns, and begins with one. */
export type ToShard = 'ping' | 'close';

/** From a thread. */
export type FromShard =
  | { readonly kind: 'pong' }
  | { readonly kind: 'connected' | 'disconnected'; readonly endpoint: string }
  | {
      readonly kind: 'failed';
      /** `null`: the handler, or its module, threw. */
      readonly code: string | null;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
