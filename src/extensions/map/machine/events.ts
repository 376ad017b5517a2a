/** What the map reports to people. */

/** Why a KVSET was not applied. */
export type MapRefusal =
  /** The key is the broker's. */
  | 'reserved'
  /** `limits.mapBytes`. */
  | 'limit'
  /** More is waiting for the store than may. */
  | 'waiting'
  /** The store cannot write now. */
  | 'store'
  /** The peer is not in sync, and replication is strict. */
  | 'replication'
  /** The counter of this node's epoch is used up (D48): the next epoch begins again at 1. */
  | 'numbers';

/** The ports of the map: P, P + 1 and P + 2. */
export type MapPort = 'snapshots' | 'updates' | 'writers';

export type MapEvent =
  /** All records are in memory. */
  | { readonly name: 'map.loaded'; readonly keys: number; readonly bytes: number }
  /** A message was dropped because it breaks a rule (D47), or because there are too many of it. */
  | {
      readonly name: 'map.malformed';
      readonly reason: string;
      /** Who sent it: the name of the key, and the source address. */
      readonly key: string | null;
      readonly address: string;
    }
  /** A key may not read all that it asked for or subscribed to, or not write what it sent. */
  | {
      readonly name: 'map.denied';
      readonly wanted: 'read' | 'write';
      /** The key of the map, or the beginning of the keys to be read; percent-escaped. */
      readonly record: string;
      readonly key: string | null;
      readonly address: string;
    }
  /** The connection of a subscriber was closed: it did not read, or it subscribed to too much. */
  | {
      readonly name: 'map.closed';
      readonly reason: 'slow' | 'limit';
      readonly key: string | null;
      readonly address: string;
    }
  /** A connection was ended because it is of no use here, broke a rule, or is one too many. */
  | {
      readonly name: 'map.rejected';
      readonly port: MapPort;
      readonly kind: string;
      readonly reason: string;
      /** The first characters of the key that the peer presented. */
      readonly key: string | null;
      readonly address: string;
    }
  /** A change was dropped; for lack of rights, see `map.denied`. */
  | { readonly name: 'map.refused'; readonly reason: MapRefusal }
  /** Both sides of a split had changed this key of the map (D54); it is percent-escaped. */
  | { readonly name: 'map.conflicted'; readonly record: string }
  /**
   * No map of this version has made what the store has under this key, which is percent-escaped: the key
   * counts as absent.
   */
  | { readonly name: 'map.unreadable'; readonly record: string }
  /** A client that asked for a snapshot does not read it, or too slowly: its connection was closed. */
  | { readonly name: 'map.stalled'; readonly key: string | null; readonly address: string }
  /** Emitted once; new and growing values are dropped until `map.healed`. */
  | {
      readonly name: 'map.failed';
      readonly kind: 'full' | 'busy' | 'fatal';
      readonly text: string;
    }
  | { readonly name: 'map.healed' };

export interface MapEvents {
  emit(event: MapEvent): void;
}

/** Counters of the map, since the machine was made. */
export interface MapCounters {
  /** Changes that took effect, by what they did. `applied` includes renewals. */
  readonly updates: { applied: number; deleted: number; expired: number; refused: number };
  /** Changes that came again, and were not applied again. */
  repeated: number;
  /** Keys that both sides of a split had changed. */
  conflicts: number;
  /** Snapshots that were sent to their end. */
  snapshots: number;
  /** Messages that were dropped: `messages_malformed_total{kind="map"}`. */
  malformed: number;
}

export function newMapCounters(): MapCounters {
  return {
    updates: { applied: 0, deleted: 0, expired: 0, refused: 0 },
    repeated: 0,
    conflicts: 0,
    snapshots: 0,
    malformed: 0,
  };
}
