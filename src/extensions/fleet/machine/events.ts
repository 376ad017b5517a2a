/** What the fleet machine reports, for the log. */
export type FleetEvent =
  | { readonly name: 'fleet.peer_joined'; readonly node: string; readonly id: string }
  | {
      readonly name: 'fleet.peer_lost';
      readonly node: string;
      readonly id: string;
      /** Requests that were out at it. */
      readonly inFlight: number;
      /** `left`: it said so. */
      readonly reason: 'silent' | 'left';
    }
  | { readonly name: 'fleet.keys_differ'; readonly node: string; readonly id: string }
  | { readonly name: 'fleet.connected'; readonly server: string }
  | { readonly name: 'fleet.disconnected'; readonly reason: string }
  /** A NATS server does not let this broker in, or forbids it something. */
  | { readonly name: 'fleet.refused'; readonly reason: string }
  /** A pack was dropped. At most one line a second. */
  | {
      readonly name: 'fleet.pack_dropped';
      readonly reason: DroppedReason;
      /** The id of the broker that it says it is from; `null`: unknown. */
      readonly sender: string | null;
    };

export type DroppedReason =
  'garbage' | 'version' | 'fleet' | 'replayed' | 'jump' | 'unknown' | 'chunk' | 'full';

export interface FleetEvents {
  emit(event: FleetEvent): void;
}
