/** What a connection itself says, beside the messages of its protocol: items without frames. */
import type { Delivered, Sent } from '../model/intent.js';

/** The end of the handshake. */
export const OPENED: Delivered = [];
/** PING of ZMTP, and its answer. */
export const ZMTP_PING: Sent = { frames: [], intent: { kind: 'ping' } };
export const ZMTP_PONG: Delivered = [];
