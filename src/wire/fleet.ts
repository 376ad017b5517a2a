/** What the brokers of a fleet send each other (docs/fleet-protocol.md). */
import type { FailureKind } from './failure.js';

/**
 * The version of the packs. A broker also reads those of the version before it and of the one after
 * it, so that brokers are upgraded one after the other. It drops all others, and counts them.
 */
export const FLEET_VERSION = 1;

/** Bytes of the id of a broker, which is new at each start, and of the digest of a fleet's name. */
export const FLEET_ID_BYTES = 8;

/**
 * `direct`: to one broker. `offer`: to all that follow the sender. `want`: to all that have workers
 * for a service. `presence`, `hint`: to all. The numbers of each count by themselves.
 */
export type FleetChannel = 'direct' | 'offer' | 'want' | 'presence' | 'hint';

/** The head of a pack. */
export interface FleetHead {
  readonly channel: FleetChannel;
  /** The digest of the name of the fleet. */
  readonly fleet: Buffer;
  /** The id of the broker that sent it. */
  readonly sender: Buffer;
  /** The id of the broker that it is for; zeros on all channels but `direct`. */
  readonly to: Buffer;
  /** Rises by one on each channel, on `direct` for each receiver. From 1. */
  readonly number: number;
  /** `direct`: the highest number that the sender has had from the receiver. */
  readonly seen: number;
}

/** What a holder's workers can take. */
export interface FleetOffer {
  readonly service: Buffer;
  /** Requests. */
  readonly free: number;
  /** The credit of all its workers; 0: it has none any more. */
  readonly total: number;
  /** Bytes of requests that it has room for. */
  readonly bytes: number;
}

export type FleetReturnReason = 'busy' | 'returned' | 'lost';

/** One part of a pack. Buffers are views of the pack. */
export type FleetEntry =
  | {
      readonly kind: 'request';
      readonly token: number;
      readonly service: Buffer;
      /** What is left of its deadline, in milliseconds; 0: it has none. */
      readonly leftMs: number;
      /** The headers frame, which may be empty; `null`: a request without headers and deadline. */
      readonly headers: Buffer | null;
      /** Packed frames. */
      readonly body: Buffer;
    }
  | {
      readonly kind: 'partial';
      readonly token: number;
      /** How many PARTIALs of the request came before. */
      readonly part: number;
      readonly body: Buffer;
    }
  | {
      readonly kind: 'final';
      readonly token: number;
      /** What the service can take now at the sender. */
      readonly free: number;
      readonly total: number;
      /** How many PARTIALs came before. */
      readonly parts: number;
      readonly body: Buffer;
    }
  | {
      readonly kind: 'fail';
      readonly token: number;
      readonly free: number;
      readonly total: number;
      readonly failure: FailureKind;
      readonly code: string;
      readonly text: string;
      /** Packed frames; empty: none. */
      readonly detail: Buffer;
    }
  | {
      readonly kind: 'return';
      readonly token: number;
      readonly reason: FleetReturnReason;
      readonly free: number;
      readonly total: number;
      readonly text: string;
    }
  /** The tokens that the sender holds of the receiver. */
  | { readonly kind: 'held'; readonly tokens: readonly number[] }
  /** The sender has requests out at the receiver, and asks for `held`. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'offer'; readonly offers: readonly FleetOffer[] }
  | { readonly kind: 'want'; readonly service: Buffer }
  | {
      readonly kind: 'presence';
      /** The name of its node, and its version, for people. */
      readonly node: string;
      readonly version: string;
      /** The digest of its keys files; zeros: it has none. */
      readonly keys: Buffer;
      readonly isLeaving: boolean;
    }
  /** For the store of stored requests at the receiver. */
  | { readonly kind: 'hint'; readonly content: Buffer };

/** A part of a pack that is larger than what the bus carries. */
export interface FleetChunk {
  /** Bytes of all entries of the pack. */
  readonly total: number;
  /** Where these bytes begin in them. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export type PackFault = 'garbage' | 'version' | 'fleet';
