/** How the SDK connects: with this package's own ZMTP engine, or with libzmq. */
import type { Dial, TransportLimits } from '../zmtp/link-port.js';
import { checkZeromq } from '../zmtp/libzmq/installed.js';
import { dialLibzmq } from '../zmtp/libzmq/link.js';
import { type CurveClientKeys, dialZmtp } from '../zmtp/link.js';

export type { CurveClientKeys };

/** An engine: `zmtp` is this package's own and needs no native module. */
export type TransportName = 'zmtp' | 'libzmq';

const MIB = 1_048_576;

/**
 * The limits of an SDK connection; brokers have their own, smaller ones. The largest message is the most
 * that `limits.messageBytes` can be: what a broker took does not end the connection to its client.
 */
export const LINK_LIMITS = {
  messageBytesMax: 1024 * MIB,
  framesMax: 65_536,
  outputBytesMax: 256 * MIB,
} as const;

/** A worker's links drop nothing, because an answer is sent once: what it writes, the worker limits itself. */
export const WORKER_LIMITS: TransportLimits = { ...LINK_LIMITS, outputBytesMax: Infinity };

/** A record has five; more are read, so that they can be counted as malformed. */
const MAP_FRAMES_MAX = 64;

/** Options of every link. */
interface SdkLinkOptions {
  readonly limits: TransportLimits;
  readonly curve?: CurveClientKeys;
}

/** Dials 10/FLP servers, on this package's own engine: they expect a ROUTER that has no name. */
export function freelanceDial(curve?: CurveClientKeys): Dial {
  const options = { limits: LINK_LIMITS, socketType: 'ROUTER' as const };
  return dialZmtp(curve === undefined ? options : { ...options, curve });
}

/**
 * The dial of an engine. It loads libsodium at its first link with keys.
 * @param limits by default a client's, whose links drop requests above `outputBytesMax`: it sends them again
 * @throws ERR_MDP_OPTION for `libzmq` where the package zeromq is missing, or does not load
 */
export function dialOf(
  transport: TransportName,
  curve: CurveClientKeys | undefined,
  limits: TransportLimits = LINK_LIMITS,
): Dial {
  const options: SdkLinkOptions = curve === undefined ? { limits } : { limits, curve };
  if (transport === 'zmtp') return dialZmtp(options);
  checkZeromq();
  return dialLibzmq(options);
}

/** The dial of a subscriber; always this package's own engine. */
export function dialSubscriber(
  subscriptions: readonly Buffer[],
  curve: CurveClientKeys | null,
): Dial {
  const options = { limits: LINK_LIMITS, subscriptions };
  return dialZmtp(curve === null ? options : { ...options, curve });
}

/** The three sockets of a map's client; always this package's own engine. */
export interface MapDials {
  readonly subscriber: Dial;
  /** Asks for snapshots. */
  readonly asker: Dial;
  /** Publishes changes. */
  readonly writer: Dial;
}

/** @param messageBytesMax the largest message that is received */
export function mapDials(
  subscriptions: readonly Buffer[],
  messageBytesMax: number,
  curve: CurveClientKeys | null,
): MapDials {
  const limits = { ...LINK_LIMITS, messageBytesMax, framesMax: MAP_FRAMES_MAX };
  const options = curve === null ? { limits } : { limits, curve };
  return {
    subscriber: dialZmtp({ ...options, subscriptions }),
    asker: dialZmtp(options),
    writer: dialZmtp({ ...options, socketType: 'PUB' }),
  };
}
