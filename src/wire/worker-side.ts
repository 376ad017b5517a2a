/**
 * A worker's half of MDP: what it sends, and what it receives from a broker. Any input is accepted.
 */
import type { Frames } from '../core/frames.js';
import { packedFirstFrames } from '../core/packed-first-frames.js';
import type { MalformedReply } from './client-side.js';
import type { Failure } from './failure.js';
import {
  COMMAND_FRAMES,
  EMPTY,
  type MdpVersion,
  WORKER_01,
  WORKER_01_DISCONNECT,
  WORKER_01_HEARTBEAT,
  WORKER_01_REPLY,
  WORKER_02,
  WORKER_02_DISCONNECT,
  WORKER_02_FINAL,
  WORKER_02_HEARTBEAT,
  WORKER_02_PARTIAL,
  WORKER_CANCEL,
  WORKER_FAIL,
  WORKER_READY,
  WORKER_REQUEST,
  WORKER_REQUEST_WITH_GROUP,
  WORKER_REQUEST_WITH_HEADERS,
  WORKER_RETURN,
  WORKER_RUNS,
} from './mdp.js';
import { type ReadyOptions, readyOptionsFrame } from './ready-options.js';

/** REQUEST: `token` is the index of the token frame, `body` that of the first body frame. */
export interface WorkerRequest {
  readonly kind: 'request';
  readonly token: number;
  /** The index of the headers frame, which follows the deadline; -1 for a REQUEST without them. */
  readonly headers: number;
  /** The index of the frame with the group, which the deadline follows; -1 for a REQUEST without one. */
  readonly group: number;
  readonly body: number;
}

/** CANCEL: nobody wants the answer of one request; `token` is the index of its token. */
interface WorkerCancel {
  readonly kind: 'cancel';
  readonly token: number;
}

/** HEARTBEAT, DISCONNECT, or the question what the worker runs that this broker has not out at it (D118). */
interface WorkerSignal {
  readonly kind: 'heartbeat' | 'disconnect' | 'runs';
}

/** Not worker traffic: perhaps a reply to a request that this peer sent as a client (D23). */
interface OtherTraffic {
  readonly kind: 'other';
}

type WorkerInbound = WorkerRequest | WorkerCancel | WorkerSignal | OtherTraffic | MalformedReply;

/** An options frame, where only the contract that follows it says something. */
const NO_OPTIONS = Buffer.from('{}');
/** The frames of an answer after its command: token, empty frame, body. */
const TOKEN_EMPTY_BODY = 3;

function message(version: MdpVersion, command: number, rest: readonly Uint8Array[]): Uint8Array[] {
  const frame = COMMAND_FRAMES[command] ?? EMPTY;
  return version === 1 ? [EMPTY, WORKER_01, frame, ...rest] : [WORKER_02, frame, ...rest];
}

/**
 * @param credit D23: only for a broker that is known to understand it; otherwise `null`
 * @param options D67: the same
 * @param contract D107: the same; it follows the options
 */
export function workerReady(
  version: MdpVersion,
  service: Buffer,
  credit: number | null,
  options: Partial<ReadyOptions> = {},
  contract: Uint8Array | null = null,
): Uint8Array[] {
  const rest: Uint8Array[] = [service];
  const said = readyOptionsFrame(options) ?? (contract === null ? null : NO_OPTIONS);
  // The options follow the credit, so a worker with options states its credit, too.
  if (credit !== null || said !== null) rest.push(Buffer.from(String(credit ?? 1)));
  if (said !== null) rest.push(said);
  if (contract !== null) rest.push(contract);
  return message(version, WORKER_READY, rest);
}

export function workerPartial(token: Buffer, body: readonly Uint8Array[]): Uint8Array[] {
  return message(2, WORKER_02_PARTIAL, [token, EMPTY, ...nonEmpty(body)]);
}

/** REPLY of 0.1, FINAL of 0.2. */
export function workerFinal(
  version: MdpVersion,
  token: Buffer,
  body: readonly Uint8Array[],
): Uint8Array[] {
  const command = version === 1 ? WORKER_01_REPLY : WORKER_02_FINAL;
  return message(version, command, [token, EMPTY, ...nonEmpty(body)]);
}

export function workerHeartbeat(version: MdpVersion): Uint8Array[] {
  return message(version, version === 1 ? WORKER_01_HEARTBEAT : WORKER_02_HEARTBEAT, []);
}

export function workerDisconnect(version: MdpVersion): Uint8Array[] {
  return message(version, version === 1 ? WORKER_01_DISCONNECT : WORKER_02_DISCONNECT, []);
}

/** D25: gives one request back; only to a broker that knows credit. */
export function workerReturn(version: MdpVersion, token: Buffer, reason: string): Uint8Array[] {
  return message(version, WORKER_RETURN, [token, EMPTY, Buffer.from(reason)]);
}

/** D117: it wants no more requests; only to a broker that lists `leave`. */
export function workerLeaving(version: MdpVersion): Uint8Array[] {
  return message(version, WORKER_RETURN, [EMPTY, EMPTY]);
}

/**
 * D118: what it runs that the broker has not out at it; only to a broker that lists `group`.
 * @param groups groups, and behind each the number of its requests, as text
 */
export function workerRuns(
  version: MdpVersion,
  service: Buffer,
  groups: readonly Buffer[],
): Uint8Array[] {
  return message(version, WORKER_RUNS, [service, ...groups]);
}

/** D60: the request was tried and failed; only to a broker that lists `fail`. */
export function workerFail(
  version: MdpVersion,
  token: Buffer,
  { kind, code, text, detail }: Failure,
): Uint8Array[] {
  const words = [kind, code, text].map((word) => Buffer.from(word));
  return message(version, WORKER_FAIL, [token, EMPTY, ...words, ...detail]);
}

/** The frames of a part or answer before its token, packed, and each with MORE. */
export function workerAnswerHead(version: MdpVersion, isFinal: boolean): Buffer {
  const answer = isFinal ? workerFinal(version, EMPTY, []) : workerPartial(EMPTY, []);
  return packedFirstFrames(answer.slice(0, -TOKEN_EMPTY_BODY));
}

function nonEmpty(body: readonly Uint8Array[]): readonly Uint8Array[] {
  return body.length === 0 ? [EMPTY] : body;
}

/** Reads a message from the broker, in the version that this worker uses. */
export function readWorkerInbound(version: MdpVersion, frames: Frames): WorkerInbound {
  const header = version === 1 ? 1 : 0;
  if (version === 1 && (frames.count < 2 || frames.size(0) !== 0)) return { kind: 'other' };
  if (frames.count <= header) return { kind: 'other' };
  if (!frames.equals(header, version === 1 ? WORKER_01 : WORKER_02)) return { kind: 'other' };
  const at = header + 1;
  if (at >= frames.count || frames.size(at) !== 1) return malformed('no command');
  const command = frames.buffer(at)[frames.start(at)];
  if (command === WORKER_REQUEST) {
    if (frames.count < at + 4 || frames.size(at + 2) !== 0) {
      return malformed('REQUEST without client, empty frame and body');
    }
    return { kind: 'request', token: at + 1, headers: -1, group: -1, body: at + 3 };
  }
  if (command === WORKER_REQUEST_WITH_HEADERS) {
    if (frames.count < at + 6 || frames.size(at + 2) !== 0) {
      return malformed('REQUEST without client, empty frame, deadline, headers and body');
    }
    return { kind: 'request', token: at + 1, headers: at + 4, group: -1, body: at + 5 };
  }
  if (command === WORKER_REQUEST_WITH_GROUP) {
    if (frames.count < at + 7 || frames.size(at + 2) !== 0) {
      return malformed('REQUEST without client, empty frame, group, deadline, headers and body');
    }
    return { kind: 'request', token: at + 1, headers: at + 5, group: at + 3, body: at + 6 };
  }
  if (command === WORKER_RUNS) return signal('runs', frames, at);
  if (command === WORKER_CANCEL) {
    if (frames.count !== at + 3 || frames.size(at + 2) !== 0) {
      return malformed('CANCEL without client and empty frame, or with more');
    }
    return { kind: 'cancel', token: at + 1 };
  }
  if (command === (version === 1 ? WORKER_01_HEARTBEAT : WORKER_02_HEARTBEAT)) {
    return signal('heartbeat', frames, at);
  }
  if (command === (version === 1 ? WORKER_01_DISCONNECT : WORKER_02_DISCONNECT)) {
    return signal('disconnect', frames, at);
  }
  return malformed('no command that a broker sends');
}

/** D24: surplus frames make a message malformed. */
function signal(
  kind: WorkerSignal['kind'],
  frames: Frames,
  at: number,
): WorkerSignal | MalformedReply {
  return frames.count > at + 1 ? malformed('frames too many') : { kind };
}

function malformed(reason: string): MalformedReply {
  return { kind: 'malformed', reason };
}
