/**
 * The constants of 7/MDP (0.1) and 18/MDP (0.2).
 *
 * Note: PARTIAL and FINAL are 0x02 and 0x03 when sent to clients, but 0x03 and 0x04 from workers.
 */
export { GROUP_BYTES_MAX, SERVICE_NAME_BYTES_MAX } from '../core/numbers.js';

/** Protocol version of a message: `MDP/0.1` or `MDP/0.2`. */
export type MdpVersion = 1 | 2;

export const HEADER_BYTES = 6;
export const CLIENT_01: Buffer = Buffer.from('MDPC01');
export const CLIENT_02: Buffer = Buffer.from('MDPC02');
export const WORKER_01: Buffer = Buffer.from('MDPW01');
export const WORKER_02: Buffer = Buffer.from('MDPW02');

/** Commands of 18/MDP §MDP/Client. (0.1 has none.) */
export const CLIENT_REQUEST = 0x01;
export const CLIENT_PARTIAL = 0x02;
export const CLIENT_FINAL = 0x03;
/** 0.2 only: a REQUEST with headers and a deadline (D67). */
export const CLIENT_REQUEST_WITH_HEADERS = 0x04;
/** 0.2 only: a REQUEST with options and a group, and with headers and a deadline (D117). */
export const CLIENT_REQUEST_WITH_OPTIONS = 0x05;

/** Commands of MDP/Worker that both versions share. */
export const WORKER_READY = 0x01;
export const WORKER_REQUEST = 0x02;
/** 0.1 only. */
export const WORKER_01_REPLY = 0x03;
export const WORKER_01_HEARTBEAT = 0x04;
export const WORKER_01_DISCONNECT = 0x05;
/** 0.2 only. */
export const WORKER_02_PARTIAL = 0x03;
export const WORKER_02_FINAL = 0x04;
export const WORKER_02_HEARTBEAT = 0x05;
export const WORKER_02_DISCONNECT = 0x06;
/** Either version: gives one request back; only from a worker with credit (D25). */
export const WORKER_RETURN = 0x07;
/** How the reason of a RETURN begins if the request was given to no handler: another worker may run it once (D117). */
export const NOT_BEGUN = 'mdp.not-begun';
/** Either version: the request was tried and failed, which ends its delivery (D60). */
export const WORKER_FAIL = 0x08;
/** Either version, to workers that asked for it: a REQUEST with headers and a deadline (D67). */
export const WORKER_REQUEST_WITH_HEADERS = 0x09;
/** Either version, to workers that asked for it: nobody wants the answer of one request any more (D106). */
export const WORKER_CANCEL = 0x0a;
/** Either version, to workers that asked for it: a REQUEST with a group, and with headers and a deadline (D118). */
export const WORKER_REQUEST_WITH_GROUP = 0x0b;
/** Either version: how many requests of a group a worker runs that it got in an earlier registration (D118). */
export const WORKER_RUNS = 0x0c;

/** Identity and correlation frames that may stand before the empty delimiter (D1). */
export const ENVELOPE_FRAMES_MAX = 8;
/** The most requests that a worker can take at once (D23). */
export const CREDIT_MAX = 10_000;
/** Maximum size of the headers of a request: the broker checks nothing else of them (D66). */
export const HEADERS_BYTES_MAX = 8192;
/** Maximum size of all frames of a worker's RUNS behind the service (D118). */
export const RUNS_BYTES_MAX = 1024;
/** The longest deadline (D66). */
export const DEADLINE_MS_MAX = 2_147_483_647;

/** Names with this prefix belong to the broker: no worker may offer them (D4). */
export const MMI_PREFIX: Buffer = Buffer.from('mmi.');

/** A one-byte frame for each command, made once. */
export const COMMAND_FRAMES: readonly Buffer[] = Array.from({ length: 13 }, (_, command) =>
  Buffer.from([command]),
);
/** A frame of two digits for each command, for peers that write commands so (D113). */
export const COMMAND_TEXTS: readonly Buffer[] = COMMAND_FRAMES.map((frame) =>
  Buffer.from(frame.toString('hex')),
);
export const EMPTY: Buffer = Buffer.alloc(0);
