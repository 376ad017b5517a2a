/** What the fleet machine is told at its start, and its fixed times and limits. */

import type { Digest } from './subjects.js';

export interface FleetOptions {
  /** 8 random bytes: the id of this broker, new at each start. */
  readonly id: Buffer;
  /** The name of the fleet. Packs of other fleets are dropped. */
  readonly fleet: string;
  /** The digest for the names that stand in subjects and packs. */
  readonly digest: Digest;
  /** The name of this node and its version, for people. */
  readonly node: string;
  readonly version: string;
  /** 8 bytes: the digest of this node's keys files; zeros: it has none. Called for each presence. */
  readonly keys: () => Buffer;
  /** Maximum size of a request or reply in bytes. */
  readonly messageBytesMax: () => number;
  /** `limits.memoryBytes`: what is held for other brokers is limited to a share of it. */
  readonly memoryBytesMax: () => number;
  /** Takes hints of other brokers; absent: this one has no use for them. */
  readonly hinted?: (content: Buffer) => void;
}

/** How often a broker says that it is there. */
export const PRESENCE_MS = 1000;
/** A broker that said nothing for so long, with no request out at it and nothing that waits for it, is gone. */
export const ABSENT_MS: number = 3 * PRESENCE_MS + 500;
/** How often two brokers with work at each other compare what is held. */
export const BEAT_MS = 500;
/** A holder is lost when so many lists in a row did not come. */
export const SILENT_BEATS = 3;
/** A request is lost when it was absent from so many lists in a row. */
export const ABSENT_LISTS = 2;
/** How long brokers may take to answer a WANT. */
export const WANT_MS = 100;
/** While requests wait and nobody offers, the service is asked for again so often. */
export const WANT_AGAIN_MS = 1000;
/**
 * WANTs for services that were just asked for, by requests and as many by questions (`mmi.service`): at
 * once, and a second. Any client may ask for services that nobody has; what is beyond waits with those
 * that are asked for again.
 */
export const FIRST_WANTS_AT_ONCE = 2000;
export const FIRST_WANTS_PER_SECOND = 2000;
/** WANTs that wait for their turn: sent at once, and a second. */
export const LATER_WANTS_AT_ONCE = 50;
export const LATER_WANTS_PER_SECOND = 500;
/** After so long without need, offers of a service are neither followed nor made. */
export const FOLLOW_MS = 60_000;
/** While there is need, its WANT is renewed so often. */
export const RENEW_MS = 5000;
/** Offers are sent at most so often. */
export const OFFER_MS = 100;

/** Bytes of requests that one broker may have unanswered at another. One request may always be. */
export const UNANSWERED_BYTES_MAX: number = 8 * 1024 * 1024;
/** The part of `limits.memoryBytes` that requests of all other brokers may have at a holder. */
export const HELD_SHARE = 1 / 8;
/** Packs are filled up to this size. */
export const PACK_BYTES: number = 64 * 1024;
/** Output for one broker while it cannot be sent. */
export const OUTBOX_BYTES_MAX: number = 16 * 1024 * 1024;
/** PARTIALs of one request that wait until they can be sent: then they all need room in the output. */
export const WAITING_PARTS_BYTES_MAX: number = OUTBOX_BYTES_MAX / 2;
/** The share of `limits.memoryBytes` for packs that have arrived and were not handled yet. */
export const INBOX_SHARE = 1 / 8;
/** What a pack, an entry or a PARTIAL that waits takes besides its bytes. */
export const PACK_OVERHEAD_BYTES = 256;
/** The share of `limits.memoryBytes` for incomplete chunks of all brokers, beside one message of the largest size. */
export const CHUNKS_SHARE = 1 / 32;
export const PEERS_MAX = 1000;
/** Ids of brokers that were lost, so that what is repeated of theirs is known. */
export const GONE_MAX = 1024;
/** Requests that were lost in silence and may still be answered, and for how long: replies wait for the bus until then. */
export const LATE_MAX = 10_000;
export const LATE_MS = 60_000;
/** Services that are searched for, followed or offered. */
export const SERVICES_MAX = 10_000;
/** Packs that one turn handles, and their bytes: a pack may have thousands of entries. A turn sends as many bytes of PARTIALs. */
export const PACKS_PER_TURN = 512;
export const PACK_BYTES_PER_TURN: number = 1024 * 1024;
