/**
 * A client's half of MDP: what it sends, and what it receives from a broker. Any input is accepted.
 */
import type { Frames } from '../core/frames.js';
import { packedFirstFrames } from '../core/packed-first-frames.js';
import {
  CLIENT_01,
  CLIENT_02,
  CLIENT_FINAL,
  CLIENT_PARTIAL,
  CLIENT_REQUEST,
  CLIENT_REQUEST_WITH_HEADERS,
  CLIENT_REQUEST_WITH_OPTIONS,
  COMMAND_FRAMES,
  EMPTY,
  ENVELOPE_FRAMES_MAX,
  type MdpVersion,
  SERVICE_NAME_BYTES_MAX,
} from './mdp.js';

/** A reply as a client reads it. The indexes refer to the frames that it was read from. */
export interface ClientReply {
  readonly kind: 'partial' | 'final';
  readonly version: MdpVersion;
  /** Number of envelope frames before the delimiter; -1 if there is no delimiter. */
  readonly envelopeFrames: number;
  readonly service: number;
  readonly body: number;
}

export interface MalformedReply {
  readonly kind: 'malformed';
  readonly reason: string;
}

/**
 * The frames of a request, in order.
 * @param correlation the envelope's id frame, or `null` for none: then 0.1 has the bare delimiter
 * and 0.2 no delimiter at all (D2)
 */
export function clientRequest(
  version: MdpVersion,
  correlation: Buffer | null,
  service: Buffer,
  body: readonly Uint8Array[],
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  if (correlation !== null) frames.push(correlation, EMPTY);
  else if (version === 1) frames.push(EMPTY);
  frames.push(version === 1 ? CLIENT_01 : CLIENT_02);
  if (version === 2) frames.push(COMMAND_FRAMES[CLIENT_REQUEST] ?? EMPTY);
  frames.push(service, ...(body.length === 0 ? [EMPTY] : body));
  return frames;
}

/** What stands before the body of a request with headers (D66). */
export interface Metadata {
  /** 1 to 2147483647; 0: none. */
  readonly deadlineMs: number;
  /** UTF-8 JSON of at most 8 KiB, or empty. */
  readonly headers: Buffer;
}

/**
 * The frames of a 0.2 request with headers, in order (D67); only to a broker that lists `headers`.
 */
export function clientRequestWithHeaders(
  correlation: Buffer | null,
  service: Buffer,
  metadata: Metadata,
  body: readonly Uint8Array[],
): Uint8Array[] {
  return requestWith(CLIENT_REQUEST_WITH_HEADERS, correlation, [service], metadata, body);
}

/**
 * The frames of a 0.2 request with options, in order (D117); only to a broker that lists `options`.
 * @param options see `requestOptionsFrame`
 * @param group empty: none; only to a broker that lists `group` (D118)
 */
export function clientRequestWithOptions(
  correlation: Buffer | null,
  service: Buffer,
  options: Buffer,
  metadata: Metadata,
  body: readonly Uint8Array[],
  group: Buffer = EMPTY,
): Uint8Array[] {
  const first = [service, options, group];
  return requestWith(CLIENT_REQUEST_WITH_OPTIONS, correlation, first, metadata, body);
}

/** @param first the frames from the service to the deadline */
function requestWith(
  command: number,
  correlation: Buffer | null,
  first: readonly Buffer[],
  { deadlineMs, headers }: Metadata,
  body: readonly Uint8Array[],
): Uint8Array[] {
  return [
    ...(correlation === null ? [] : [correlation, EMPTY]),
    CLIENT_02,
    COMMAND_FRAMES[command] ?? EMPTY,
    ...first,
    deadlineMs === 0 ? EMPTY : Buffer.from(String(deadlineMs)),
    headers,
    ...(body.length === 0 ? [EMPTY] : body),
  ];
}

/**
 * The frames of a request before its body, packed, and each with MORE. A correlation frame is the
 * first of them.
 */
export function clientRequestHead(
  version: MdpVersion,
  correlation: Buffer | null,
  service: Buffer,
): Buffer {
  return packedFirstFrames(clientRequest(version, correlation, service, [EMPTY]).slice(0, -1));
}

/**
 * Deadline and headers, packed, and each with MORE.
 * @param before options and group, if they are to precede them
 */
export function packedMetadata(
  { deadlineMs, headers }: Metadata,
  before: readonly Buffer[] = [],
): Buffer {
  const deadline = deadlineMs === 0 ? EMPTY : Buffer.from(String(deadlineMs));
  return packedFirstFrames([...before, deadline, headers]);
}

export function readClientReply(frames: Frames): ClientReply | MalformedReply {
  if (frames.count > 0 && frames.equals(0, CLIENT_02)) return readBody(frames, 2, -1, 1);
  const until = Math.min(frames.count, ENVELOPE_FRAMES_MAX + 1);
  let delimiter = 0;
  while (delimiter < until && frames.size(delimiter) !== 0) delimiter++;
  const header = delimiter + 1;
  if (delimiter >= until || header >= frames.count) return malformed('no header');
  if (frames.equals(header, CLIENT_01)) return readBody(frames, 1, delimiter, header + 1);
  if (frames.equals(header, CLIENT_02)) return readBody(frames, 2, delimiter, header + 1);
  return malformed('not a MDP client header');
}

function readBody(
  frames: Frames,
  version: MdpVersion,
  envelopeFrames: number,
  from: number,
): ClientReply | MalformedReply {
  let service = from;
  let kind: 'partial' | 'final' = 'final';
  if (version === 2) {
    if (from >= frames.count || frames.size(from) !== 1) return malformed('no command');
    const command = frames.buffer(from)[frames.start(from)];
    if (command === CLIENT_PARTIAL) kind = 'partial';
    else if (command !== CLIENT_FINAL) return malformed('neither PARTIAL nor FINAL');
    service++;
  }
  if (service + 1 >= frames.count) return malformed('no service name and body');
  const size = frames.size(service);
  if (size < 1 || size > SERVICE_NAME_BYTES_MAX) {
    return malformed('a service name is 1 to 255 bytes');
  }
  return { kind, version, envelopeFrames, service, body: service + 1 };
}

function malformed(reason: string): MalformedReply {
  return { kind: 'malformed', reason };
}
