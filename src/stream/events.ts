/** Events for monitoring: of the stream of this node's events. */
import type { CloseReason } from './fan-out.js';

export type StreamEvent =
  | {
      /** A subscriber was closed. */
      readonly name: 'stream.closed';
      readonly reason: CloseReason;
      /** The name of its key, and its source address. */
      readonly key: string | null;
      readonly address: string;
    }
  | {
      /** A subscription was refused: the key may not have every event whose name begins so. */
      readonly name: 'stream.refused';
      /** The topic subscribed to, percent-escaped (D3). */
      readonly topic: string;
      readonly key: string | null;
      readonly address: string;
    }
  | {
      /** A connection was ended that was no subscriber, or broke a rule. */
      readonly name: 'stream.rejected';
      readonly kind: string;
      readonly reason: string;
      readonly address: string;
      /** The first characters of the key that the peer presented. */
      readonly key: string | null;
    };
