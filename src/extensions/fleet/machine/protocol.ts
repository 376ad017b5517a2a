/**
 * What the brokers of a fleet send each other (docs/fleet-protocol.md), and the table of its fields.
 * codec.ts has the packs.
 */
import { isPackedFrames } from '../../../core/packed.js';
import {
  checked,
  FLAG,
  line,
  listToEnd,
  oneOf,
  REST,
  run,
  type Shape,
  sized,
  struct,
  uint,
  utf8,
  type ValueOf,
  type ValuesOf,
} from '../../../core/shapes.js';
import { FAILURE_KINDS, FAILURE_TEXT_BYTES_MAX, isWellFormedCode } from '../../../wire/failure.js';
import { SERVICE_NAME_BYTES_MAX } from '../../../wire/mdp.js';

/**
 * The version of the packs. A broker also reads those of the version before it and of the one after
 * it, so that brokers are upgraded one after the other. It drops all others, and counts them.
 */
export const FLEET_VERSION = 1;

/** Bytes of the id of a broker, which is new at each start, and of the digest of a fleet's name. */
export const FLEET_ID_BYTES = 8;

/**
 * `direct`: to one broker. `offer`: to all that follow the sender. `want`: to all that have workers
 * for a service. `presence`, `hint`: to all. Each has its own numbers.
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

/** A part of a pack that is larger than what the bus carries. */
export interface FleetChunk {
  /** Bytes of all entries of the pack. */
  readonly total: number;
  /** Where these bytes begin in them. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export type PackFault = 'garbage' | 'version' | 'fleet';

// ---------------------------------------------------------------- fields

/** Maximum number of entries in a pack, and of offers in an entry: more than fit in 64 KiB. */
export const ENTRIES_MAX = 16_384;
/** Maximum length of a text for people. */
const TEXT_BYTES_MAX = 255;
export const U32_MAX = 0xffff_ffff;

const U32 = uint(4);
/** A higher one is sent as the highest. */
const ROOM: Shape<number> = {
  ...U32,
  put: (to, value) => to.uint(Math.min(value, U32_MAX), 4),
};
const TOKEN = uint(6);
/** False if the sender is older, and left it out. */
const LATER_FLAG: Shape<boolean> = {
  ...FLAG,
  as: 'flag?',
  take: (from) => !from.isAtEnd && FLAG.take(from),
};
const SHORT_TEXT = line(sized(1), TEXT_BYTES_MAX);
/** What a service can take at the sender. In entries for a request, behind the token. */
const CREDIT = {
  /** How many more requests it takes. */
  free: ROOM,
  /** The credit of all its workers; 0: it has none any more. */
  total: ROOM,
};

export function isService({ length }: Buffer): boolean {
  return length > 0 && length <= SERVICE_NAME_BYTES_MAX;
}

/** Packed frames, at least one. */
export function isBody(bytes: Buffer): boolean {
  return bytes.length > 0 && isPackedFrames(bytes);
}

const SERVICE = checked(sized(1), isService);
const PACKED = checked(REST, isBody);
/** What the workers of a broker can take for one service, and how many bytes of requests. */
const OFFER = struct({ service: SERVICE, ...CREDIT, bytes: ROOM });
export type FleetOffer = ValueOf<typeof OFFER>;

export const CHANNEL: Shape<FleetChannel> = oneOf('direct', 'offer', 'want', 'presence', 'hint');

/** The entries and their fields; the positions of the kinds are their numbers. */
export const FLEET_FIELDS = {
  request: {
    token: TOKEN,
    /** What is left of its deadline, in milliseconds; 0: it has none. */
    leftMs: U32,
    /** The first of its frames has the headers. */
    isHeaded: FLAG,
    service: SERVICE,
    frames: PACKED,
  },
  /** `part`: how many PARTIALs of the request came before. */
  partial: { token: TOKEN, part: U32, body: PACKED },
  /** `parts`: how many PARTIALs came before. */
  final: { token: TOKEN, ...CREDIT, parts: U32, body: PACKED },
  fail: {
    token: TOKEN,
    ...CREDIT,
    failure: oneOf(...FAILURE_KINDS),
    code: checked(SHORT_TEXT, isWellFormedCode),
    text: utf8(sized(2), FAILURE_TEXT_BYTES_MAX),
    /** Packed frames; empty: none. */
    detail: checked(REST, isPackedFrames),
  },
  return: {
    token: TOKEN,
    ...CREDIT,
    reason: oneOf('busy', 'returned', 'lost'),
    text: line(REST, TEXT_BYTES_MAX),
  },
  /** The tokens that the sender holds of the receiver. */
  held: { tokens: listToEnd(TOKEN) },
  /** The sender has requests out at the receiver, and asks for `held`. */
  ask: {},
  offer: { offers: listToEnd(OFFER, ENTRIES_MAX) },
  want: { service: checked(REST, isService) },
  presence: {
    isLeaving: FLAG,
    /** The digest of the sender's keys files; zeros: it has none. */
    keys: run(FLEET_ID_BYTES),
    /** The name of its node, and its version, for people. */
    node: SHORT_TEXT,
    version: SHORT_TEXT,
    /** The sender takes requests that may run once: it says of each whether it came to a worker. */
    takesOnce: LATER_FLAG,
  },
  /** For the store of stored requests at the receiver. */
  hint: { content: REST },
  /** Nobody wants the answer of the request. */
  cancel: { token: TOKEN },
};

type FleetKind = keyof typeof FLEET_FIELDS;

export type FleetContent<Kind extends FleetKind> = ValuesOf<(typeof FLEET_FIELDS)[Kind]>;
type Request = FleetContent<'request'>;

/** A part of a pack. Buffers are views of the pack, but for `keys`. */
export type FleetEntry =
  | ({
      readonly kind: 'request';
      /** The headers frame, which may be empty; `null`: a request without headers and deadline. */
      readonly headers: Buffer | null;
      /** Packed frames. */
      readonly body: Buffer;
    } & Omit<Request, 'isHeaded' | 'frames'>)
  | {
      [Kind in Exclude<FleetKind, 'request'>]: { readonly kind: Kind } & FleetContent<Kind>;
    }[Exclude<FleetKind, 'request'>];

export type FleetReturnReason = FleetContent<'return'>['reason'];
