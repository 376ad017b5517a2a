/**
 * What a broker receives: frames → typed message. Any list of frames gives a message, or
 * `malformed` with its reason; nothing throws, and no body is copied.
 */
import { Frames } from '../core/frames.js';
import type { Dialect } from './dialect.js';
import {
  CLIENT_REQUEST,
  CLIENT_REQUEST_WITH_HEADERS,
  CREDIT_MAX,
  DEADLINE_MS_MAX,
  ENVELOPE_FRAMES_MAX,
  HEADER_BYTES,
  HEADERS_BYTES_MAX,
  type MdpVersion,
  SERVICE_NAME_BYTES_MAX,
  WORKER_01_DISCONNECT,
  WORKER_01_HEARTBEAT,
  WORKER_01_REPLY,
  WORKER_02_DISCONNECT,
  WORKER_02_FINAL,
  WORKER_02_HEARTBEAT,
  WORKER_02_PARTIAL,
  WORKER_FAIL,
  WORKER_READY,
  WORKER_RETURN,
} from './mdp.js';
import { readReadyOptions } from './ready-options.js';

export type InboundKind =
  | 'malformed'
  | 'request'
  | 'ready'
  /** A worker's REPLY (0.1) or FINAL (0.2): the whole answer, or its last part. */
  | 'final'
  | 'partial'
  | 'heartbeat'
  | 'disconnect'
  | 'return'
  /** The frames from `body` on are for `readFailure`, which accepts any input. */
  | 'fail'
  /** A Freelance client asks whether this node serves. */
  | 'ping';

/** Label of `messages_malformed_total`. */
export type MalformedKind = 'envelope' | 'client' | 'worker' | 'titanic' | 'too_large';

/**
 * One received message. The object is reused: fields that do not belong to `kind` keep old values.
 */
export class Inbound {
  kind: InboundKind = 'malformed';
  frames: Frames = new Frames();
  dialect: Dialect = 1;
  /** request: frames `[0, envelopeFrames)` are the ids before the empty delimiter. */
  envelopeFrames = 0;
  /** request: an empty delimiter precedes the header (always so in 0.1; D2). */
  enveloped = false;
  /** request, ready: index of the service name. */
  service = 0;
  /** final, partial, return, fail: index of the frame with the client's token (D7). */
  client = 0;
  /**
   * request: index of the headers frame, which stands before the body; -1 for a request without
   * headers and deadline (D67).
   */
  headers = -1;
  /** request with `headers`: how long its client waits, in milliseconds; 0: it did not say. */
  deadlineMs = 0;
  /** request, final, partial: index of the first body frame. return: of the reason, if any. fail: of the kind. */
  body = 0;
  /** ready: the declared credit (D23), or 1. */
  credit = 1;
  /** ready: there is a credit frame. */
  declaresCredit = false;
  /** ready: the name that the worker gives itself (D67), or `null`. */
  workerName: string | null = null;
  /** ready: the worker asks for headers and deadlines (D67). */
  wantsHeaders = false;
  malformed: MalformedKind = 'envelope';
  reason = '';
  /** The frames as they came: `frames` may have the name of the service in addition. */
  received: Frames = this.frames;
  /** Holds `frames` if the name was added (`wire/pirate.ts`). */
  readonly named: Frames = new Frames();

  /** Makes this a malformed message. */
  fail(kind: MalformedKind, reason: string): void {
    this.kind = 'malformed';
    this.malformed = kind;
    this.reason = reason;
  }

  /**
   * request: there are headers, or a deadline, to pass on. (False for a command 0x04 in which both
   * are empty.)
   */
  get hasHeaders(): boolean {
    return this.headers >= 0 && (this.deadlineMs > 0 || this.frames.size(this.headers) > 0);
  }

  /** request: index of the first frame that is kept: the headers, or else the body. */
  get kept(): number {
    return this.hasHeaders ? this.headers : this.body;
  }

  /** Reads one message, passed without its routing id. */
  read(frames: Frames): void {
    this.frames = frames;
    this.received = frames;
    const first = headerAt(frames, 0);
    // D24: right after the routing id, a 0.2 header means 0.2 without envelope.
    if (first === 'client02') {
      this.envelopeFrames = 0;
      this.enveloped = false;
      this.#readRequest(2, 1);
      return;
    }
    if (first === 'worker02') {
      this.#readWorker(2, 1);
      return;
    }
    const delimiter = firstEmpty(frames);
    if (delimiter < 0) {
      this.fail('envelope', 'no empty delimiter among the first nine frames');
      return;
    }
    const header = headerAt(frames, delimiter + 1);
    if (header === 'client01' || header === 'client02') {
      this.envelopeFrames = delimiter;
      this.enveloped = true;
      this.#readRequest(header === 'client01' ? 1 : 2, delimiter + 2);
    } else if (header === 'worker01' && delimiter === 0) {
      this.#readWorker(1, 2);
    } else if (header === 'worker01' || header === 'worker02') {
      this.fail('worker', "an envelope before a worker's header");
    } else {
      this.fail('envelope', 'no MDP header after the empty delimiter');
    }
  }

  #readRequest(version: MdpVersion, from: number): void {
    const frames = this.frames;
    let service = from;
    if (version === 2) {
      const command = byteOf(frames, from);
      if (command === CLIENT_REQUEST_WITH_HEADERS) {
        this.#readRequestWithHeaders(from + 1);
        return;
      }
      if (command !== CLIENT_REQUEST) {
        this.fail('client', 'not a REQUEST');
        return;
      }
      service++;
    }
    if (service >= frames.count) {
      this.fail('client', 'no service name');
    } else if (!isServiceName(frames, service)) {
      this.fail('client', 'a service name is 1 to 255 bytes');
    } else if (service + 1 >= frames.count) {
      this.fail('client', 'no body');
    } else {
      this.kind = 'request';
      this.dialect = version;
      this.service = service;
      this.headers = -1;
      this.body = service + 1;
    }
  }

  /** `service, deadline, headers, body+` (D67). */
  #readRequestWithHeaders(service: number): void {
    const frames = this.frames;
    const headers = service + 2;
    if (headers + 1 >= frames.count) {
      this.fail('client', 'a request with headers is service, deadline, headers, body');
      return;
    }
    const deadline = service + 1;
    const deadlineMs = frames.size(deadline) === 0 ? 0 : decimal(frames, deadline, DEADLINE_MS_MAX);
    if (!isServiceName(frames, service)) {
      this.fail('client', 'a service name is 1 to 255 bytes');
    } else if (deadlineMs < 0) {
      this.fail('client', 'a deadline is empty or decimal milliseconds from 1 to 2147483647');
    } else if (frames.size(headers) > HEADERS_BYTES_MAX) {
      this.fail('client', 'headers are at most 8 KiB');
    } else {
      this.kind = 'request';
      this.dialect = 2;
      this.service = service;
      this.headers = headers;
      this.deadlineMs = deadlineMs;
      this.body = headers + 1;
    }
  }

  #readWorker(version: MdpVersion, at: number): void {
    const frames = this.frames;
    this.dialect = version;
    const kind = workerCommand(version, byteOf(frames, at));
    switch (kind) {
      case 'ready':
        this.#readReady(at + 1);
        return;
      case 'final':
      case 'partial':
        if (this.#readToken(kind, at + 1) && this.body >= frames.count) {
          this.fail('worker', 'a reply without a body');
        }
        return;
      case 'return':
        if (this.#readToken(kind, at + 1) && frames.count - this.body > 1) {
          this.fail('worker', 'frames too many');
        }
        return;
      case 'fail':
        // D60: an error in the rest must not cost the worker its other requests.
        this.#readToken(kind, at + 1);
        return;
      case 'heartbeat':
      case 'disconnect':
        if (frames.count > at + 1) this.fail('worker', 'frames too many');
        else this.kind = kind;
        return;
      case null:
        this.fail('worker', 'no command that a worker sends');
    }
  }

  #readReady(at: number): void {
    const frames = this.frames;
    if (at >= frames.count) {
      this.fail('worker', 'READY without a service name');
    } else if (!isServiceName(frames, at)) {
      this.fail('worker', 'a service name is 1 to 255 bytes');
    } else if (frames.count > at + 3) {
      this.fail('worker', 'frames too many');
    } else {
      this.kind = 'ready';
      this.service = at;
      this.declaresCredit = frames.count > at + 1;
      this.credit = this.declaresCredit ? decimal(frames, at + 1, CREDIT_MAX) : 1;
      this.workerName = null;
      this.wantsHeaders = false;
      if (this.credit < 1) this.fail('worker', 'credit is a decimal number from 1 to 10000');
      else if (frames.count === at + 3) this.#readOptions(frames.view(at + 2));
    }
  }

  /** D67: what follows the credit. */
  #readOptions(frame: Buffer): void {
    const options = readReadyOptions(frame);
    if (options === null) {
      const what =
        'options are a JSON object of at most 1 KiB: name is a string, headers a boolean';
      this.fail('worker', what);
    } else {
      this.workerName = options.name;
      this.wantsHeaders = options.headers;
    }
  }

  /** `client, empty, …` of a reply or RETURN. */
  #readToken(kind: InboundKind, at: number): boolean {
    const frames = this.frames;
    if (at + 1 >= frames.count || frames.size(at + 1) !== 0) {
      this.fail('worker', 'no client frame followed by an empty one');
      return false;
    }
    this.kind = kind;
    this.client = at;
    this.body = at + 2;
    return true;
  }
}

type WorkerKind = Exclude<InboundKind, 'malformed' | 'request' | 'ping'>;

function workerCommand(version: MdpVersion, command: number): WorkerKind | null {
  if (command === WORKER_READY) return 'ready';
  if (command === WORKER_RETURN) return 'return';
  if (command === WORKER_FAIL) return 'fail';
  if (version === 1) {
    if (command === WORKER_01_REPLY) return 'final';
    if (command === WORKER_01_HEARTBEAT) return 'heartbeat';
    if (command === WORKER_01_DISCONNECT) return 'disconnect';
    return null;
  }
  if (command === WORKER_02_PARTIAL) return 'partial';
  if (command === WORKER_02_FINAL) return 'final';
  if (command === WORKER_02_HEARTBEAT) return 'heartbeat';
  if (command === WORKER_02_DISCONNECT) return 'disconnect';
  return null;
}

function firstEmpty(frames: Frames): number {
  const until = Math.min(frames.count, ENVELOPE_FRAMES_MAX + 1);
  for (let index = 0; index < until; index++) if (frames.size(index) === 0) return index;
  return -1;
}

type Header = 'client01' | 'client02' | 'worker01' | 'worker02' | null;

const [LETTER_M, LETTER_D, LETTER_P, LETTER_C, LETTER_W] = [0x4d, 0x44, 0x50, 0x43, 0x57];
const [DIGIT_0, DIGIT_1, DIGIT_2, DIGIT_9] = [0x30, 0x31, 0x32, 0x39];

/**
 * `MDPC01`, `MDPC02`, `MDPW01`, `MDPW02`: compared byte by byte, because every message is checked.
 */
function headerAt(frames: Frames, index: number): Header {
  if (frames.size(index) !== HEADER_BYTES) return null;
  const buffer = frames.buffer(index);
  const at = frames.start(index);
  if (buffer[at] !== LETTER_M || buffer[at + 1] !== LETTER_D) return null;
  if (buffer[at + 2] !== LETTER_P || buffer[at + 4] !== DIGIT_0) return null;
  const side = buffer[at + 3];
  const version = buffer[at + 5];
  if (side === LETTER_C) {
    if (version === DIGIT_1) return 'client01';
    return version === DIGIT_2 ? 'client02' : null;
  }
  if (side !== LETTER_W) return null;
  if (version === DIGIT_1) return 'worker01';
  return version === DIGIT_2 ? 'worker02' : null;
}

/** The value of a one-byte frame, or -1. */
function byteOf(frames: Frames, index: number): number {
  if (index >= frames.count || frames.size(index) !== 1) return -1;
  return frames.buffer(index)[frames.start(index)] ?? -1;
}

function isServiceName(frames: Frames, index: number): boolean {
  const size = frames.size(index);
  return size >= 1 && size <= SERVICE_NAME_BYTES_MAX;
}

/** A decimal number without sign or leading zero, up to `max`; else -1. */
function decimal(frames: Frames, index: number, max: number): number {
  const buffer = frames.buffer(index);
  const start = frames.start(index);
  const end = frames.end(index);
  if (start === end || buffer[start] === DIGIT_0) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = buffer[at] ?? 0;
    if (digit < DIGIT_0 || digit > DIGIT_9) return -1;
    value = value * 10 + (digit - DIGIT_0);
    if (value > max) return -1;
  }
  return value;
}
