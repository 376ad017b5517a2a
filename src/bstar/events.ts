/** What happens to a pair that people want to know: see observe/event-log.ts. */
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
      /** Of the peer protocol, that both speak. */
      readonly version: number;
    }
  | { readonly name: 'ha.disconnected' }
  /** Somebody is not the peer of this node, or says that this node is not its peer. */
  | {
      readonly name: 'ha.refused';
      readonly code: string;
      readonly from: string;
      readonly text: string;
      /** Of the connection: the name of its key, and where it came from; `null`: this node dialled. */
      readonly key: string | null;
      readonly address: string | null;
    }
  /** A connection to `bstar.listen` was ended before anybody was heard over it. */
  | {
      readonly name: 'ha.rejected';
      readonly kind: string;
      readonly reason: string;
      readonly address: string;
      /** The first characters of the key that it has shown. */
      readonly key: string | null;
    }
  /** Both stores hold the same: requests that came from the peer, went to it, ran on both sides. */
  | {
      readonly name: 'ha.merged';
      readonly fromPeer: number;
      readonly toPeer: number;
      readonly ranTwice: number;
    }
  /** The peer does not hold any more what is acknowledged here. */
  | { readonly name: 'ha.unsynced' }
  /** The nodes do not let the same keys in, or not for the same. */
  | { readonly name: 'ha.keys_differ' }
  /** Both are active; the one with the lower epoch steps down. */
  | { readonly name: 'ha.split'; readonly epoch: number; readonly peerEpoch: number }
  /** This node stood still for longer than a heartbeat. */
  | { readonly name: 'ha.paused'; readonly stoodMs: number }
  /** What the peer sent could not be stored. */
  | { readonly name: 'ha.failed'; readonly text: string };

export interface PairEvents {
  emit(event: PairEvent): void;
}
