import { dialLibzmq } from '../transport/libzmq/link.js';
import type { Dial } from '../transport/port.js';

const MIB = 1_048_576;

/** What an SDK's connection holds at most; brokers have their own, smaller bounds. */
const LINK_LIMITS = {
  messageBytesMax: 256 * MIB,
  framesMax: 65_536,
  outputBytesMax: 256 * MIB,
} as const;

export const defaultDial: Dial = dialLibzmq({ limits: LINK_LIMITS });
