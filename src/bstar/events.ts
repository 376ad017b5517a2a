/** Events of a pair, for monitoring: see admin/log/event-log.ts. */
import type { State } from './facts.js';

export type PairEvent =
  | {
      readonly name: 'ha.changed';
      readonly from: State;
      readonly to: State;
      readonly epoch: number;
      readonly reason: string;
    }
  | {
      readonly name: 'ha.connected';
      readonly peer: string;
      /** The version of the peer protocol that both nodes use. */
      readonly version: number;
    }
  | { readonly name: 'ha.disconnected' }
  /** A node is not the peer of this node, or says that this node is not its peer. */
  | {
      readonly name: 'ha.refused';
      readonly code: string;
      readonly from: string;
      readonly text: string;
      /**
       * Who opened the connection: the name of its key, and its source address; `null`: this node
       * dialled.
       */
      readonly key: string | null;
      readonly address: string | null;
    }
  /** A connection to `bstar.listen` was ended before any message came over it. */
  | {
      readonly name: 'ha.rejected';
      readonly kind: string;
      readonly reason: string;
      readonly address: string;
      /** The first characters of the key that it presented. */
      readonly key: string | null;
    }
  /**
   * Both stores have the same content. Numbers of requests that came from the peer, that went to
   * it, and that ran on both sides.
   */
  | {
      readonly name: 'ha.merged';
      readonly fromPeer: number;
      readonly toPeer: number;
      readonly ranTwice: number;
    }
  /** The peer no longer holds data that was acknowledged here. */
  | { readonly name: 'ha.unsynced' }
  /** The two nodes do not allow the same keys, or not for the same services. */
  | { readonly name: 'ha.keys_differ' }
  /** Both nodes are active; the one with the lower epoch steps down. */
  | { readonly name: 'ha.split'; readonly epoch: number; readonly peerEpoch: number }
  /** A stall of this node for longer than a heartbeat. */
  | { readonly name: 'ha.paused'; readonly stoodMs: number }
  /** Data from the peer could not be stored. */
  | { readonly name: 'ha.failed'; readonly text: string };

export interface PairEvents {
  emit(event: PairEvent): void;
}
