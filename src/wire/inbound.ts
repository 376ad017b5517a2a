/**
 * What a broker receives: frames → typed message. Any list of frames gives a message, or
 * `malformed` with its reason; nothing throws, and no body is copied.
 */
import { Frames } from '../core/frames.js';
import {
  DELIMITED_02,
  type Dialect,
  MDP_FORMS,
  type MdpDialect,
  TEXT_01,
  TEXT_02,
  WORKER_NUMBERS,
} from './dialect.js';
import {
  CLIENT_REQUEST,
  CLIENT_REQUEST_WITH_HEADERS,
  CLIENT_REQUEST_WITH_OPTIONS,
  CREDIT_MAX,
  DEADLINE_MS_MAX,
  ENVELOPE_FRAMES_MAX,
  GROUP_BYTES_MAX,
  HEADER_BYTES,
  HEADERS_BYTES_MAX,
  type MdpVersion,
  RUNS_BYTES_MAX,
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
  WORKER_REQUEST,
  WORKER_RETURN,
  WORKER_RUNS,
} from './mdp.js';
import { readReadyOptions } from './ready-options.js';

type InboundKind =
  | 'malformed'
  /** The empty message with which a socket with ZMQ_PROBE_ROUTER begins: nothing is to be done (D113). */
  | 'probe'
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
  /** What a worker runs of earlier registrations: from `body` on, the frames are groups and numbers (D118). */
  | 'runs'
  /** A Freelance client asks whether this node serves. */
  | 'ping';

/** Label of `messages_malformed_total`. */
export type MalformedKind = 'envelope' | 'client' | 'worker' | 'titanic' | 'too_large';

/** What is wrong with a malformed message. */
export interface Fault {
  readonly kind: MalformedKind;
  /** The rule that the message breaks. */
  readonly reason: string;
  /** The command, `0x2a` if the byte is none that its sender has; `null`: it has none that can be read. */
  readonly command: string | null;
  /** The number of the frame that breaks the rule, from 1; `null`: the message was not read. */
  readonly frame: number | null;
}

/** The fault of a message that was skipped. */
export function tooLarge(reason: string): Fault {
  return { kind: 'too_large', reason, command: null, frame: null };
}

/** Whether the frame is a token that the broker has given to a worker. */
type IsKnownToken = (frames: Frames, index: number) => boolean;

/**
 * A received message. The object is reused: fields that do not belong to `kind` keep old values.
 */
export class Inbound {
  kind: InboundKind = 'malformed';
  frames: Frames = new Frames();
  dialect: Dialect = 1;
  /** request: frames `[0, envelopeFrames)` are the ids before the empty delimiter. */
  envelopeFrames = 0;
  /** request: an empty delimiter precedes the header (always so in 0.1; D2). */
  enveloped = false;
  /** request, ready, runs: index of the service name. */
  service = 0;
  /** final, partial, return, fail: index of the frame with the client's token (D7). */
  token = 0;
  /**
   * request: index of the headers frame, which stands before the body; -1 for a request without
   * headers and deadline (D67).
   */
  headers = -1;
  /** request: index of the options frame, which the group follows; -1: there is none (D117). */
  options = -1;
  /** request with `options`: whether it says `once`. Whoever has read the options sets it. */
  once = false;
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
  /** ready: the worker asks for CANCEL (D106). */
  wantsCancel = false;
  /** ready: the worker asks for the groups of its requests (D118). */
  wantsGroup = false;
  /** ready: index of the frame with the contract, which is not read yet (D107); -1: there is none. */
  contract = -1;
  /** malformed: what is wrong. */
  fault: Fault = { kind: 'envelope', reason: '', command: null, frame: 1 };
  /** The frames as they came: `frames` may have the name of the service in addition. */
  received: Frames = this.frames;
  /** Holds `frames` if the name was added (`wire/pirate.ts`). */
  readonly named: Frames = new Frames();
  /** Index of the command; -1: there is none. */
  #commandAt = -1;
  readonly #isKnown: IsKnownToken;

  constructor(isKnown: IsKnownToken = () => false) {
    this.#isKnown = isKnown;
  }

  /**
   * Makes this a malformed message.
   * @param index of the frame that breaks the rule
   */
  reject(kind: MalformedKind, index: number, rule: string): void {
    this.kind = 'malformed';
    this.fault = { kind, reason: rule, command: this.#commandName(kind), frame: index + 1 };
  }

  #commandName(of: MalformedKind): string | null {
    if (of === 'envelope' || this.#commandAt < 0) return null;
    const isWorker = of === 'worker';
    const byte = byteOf(this.frames, this.#commandAt);
    const code = byte < 0 ? textCommand(this.frames, this.#commandAt) : byte;
    if (code < 0) return null;
    const isRequest = code === CLIENT_REQUEST || CLIENT_METADATA[code] !== undefined;
    const kind = isWorker ? workerCommand(this.dialect, code) : isRequest ? 'request' : null;
    if (kind === null) return `0x${code.toString(16).padStart(2, '0')}`;
    return kind === 'final' && isVersion1(this.dialect) ? 'REPLY' : kind.toUpperCase();
  }

  /**
   * request: there are headers, or a deadline, to pass on. (False for a command 0x04 in which both
   * are empty.)
   */
  get hasHeaders(): boolean {
    return this.headers >= 0 && (this.deadlineMs > 0 || this.frames.size(this.headers) > 0);
  }

  /** request: index of the first frame that is kept: the headers, or else the body. */
  get contentFrom(): number {
    return this.hasHeaders ? this.headers : this.body;
  }

  /** Begins another message, passed without its routing id. */
  begin(frames: Frames): void {
    this.frames = frames;
    this.received = frames;
    this.options = -1;
    this.once = false;
    this.#commandAt = -1;
  }

  read(frames: Frames): void {
    this.begin(frames);
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
      this.reject('envelope', 0, 'one of the first nine frames must be the empty delimiter');
      return;
    }
    const header = headerAt(frames, delimiter + 1);
    if (header === 'client01' || header === 'client02') {
      this.envelopeFrames = delimiter;
      this.enveloped = true;
      this.#readRequest(header === 'client01' ? 1 : 2, delimiter + 2);
    } else if (header === 'worker01' && delimiter === 0) {
      this.#readWorker(1, 2);
    } else if (header === 'worker02' && delimiter === 0) {
      // Some libraries' workers put an empty frame first in 0.2, too (D101).
      this.#readWorker(DELIMITED_02, 2);
    } else if (frames.isProbe) {
      this.kind = 'probe';
    } else if (header === 'worker01' || header === 'worker02') {
      this.reject('worker', 0, "no envelope may precede a worker's header");
    } else {
      this.reject('envelope', delimiter + 1, 'an MDP header must follow the empty delimiter');
    }
  }

  #readRequest(version: MdpVersion, from: number): void {
    const frames = this.frames;
    let service = from;
    let dialect: Dialect = version;
    if (version === 2) {
      const command = byteOf(frames, from);
      this.#commandAt = from;
      const metadata = CLIENT_METADATA[command];
      if (metadata !== undefined) {
        this.#readRequestWith(metadata, from + 1);
        return;
      }
      if (command !== CLIENT_REQUEST) {
        // Two more forms of REQUEST, which some clients send; neither is another command of clients (D113).
        if (command === WORKER_REQUEST) {
          dialect = WORKER_NUMBERS;
        } else if (textCommand(frames, from) === CLIENT_REQUEST) {
          dialect = TEXT_02;
        } else {
          this.reject('client', from, 'the command of a client must be REQUEST');
          return;
        }
      }
      service++;
    }
    if (service >= frames.count) {
      this.reject('client', service, 'a service name must follow');
    } else if (!isServiceName(frames, service)) {
      this.reject('client', service, 'a service name must be 1 to 255 bytes');
    } else if (service + 1 >= frames.count) {
      this.reject('client', service + 1, 'a request must have a body');
    } else {
      this.kind = 'request';
      this.dialect = dialect;
      this.service = service;
      this.headers = -1;
      this.body = service + 1;
    }
  }

  /** @param metadata the frames between the service and the body, which end with deadline and headers */
  #readRequestWith(metadata: readonly string[], service: number): void {
    const frames = this.frames;
    const headers = service + metadata.length;
    if (headers + 1 >= frames.count) {
      const [first] = metadata;
      const what = first === 'deadline' ? 'headers' : first;
      const rule = `a request with ${what} must be service, ${metadata.join(', ')}, body`;
      this.reject('client', frames.count, rule);
      return;
    }
    const deadline = headers - 1;
    const deadlineMs = frames.size(deadline) === 0 ? 0 : decimal(frames, deadline, DEADLINE_MS_MAX);
    if (!isServiceName(frames, service)) {
      this.reject('client', service, 'a service name must be 1 to 255 bytes');
    } else if (deadlineMs < 0) {
      const rule = 'a deadline must be empty or decimal milliseconds from 1 to 2147483647';
      this.reject('client', deadline, rule);
    } else if (frames.size(headers) > HEADERS_BYTES_MAX) {
      this.reject('client', headers, 'headers may be at most 8 KiB');
    } else {
      this.kind = 'request';
      this.dialect = 2;
      this.service = service;
      this.options = metadata.length > 2 ? service + 1 : -1;
      this.headers = headers;
      this.deadlineMs = deadlineMs;
      this.body = headers + 1;
    }
  }

  #readWorker(dialect: MdpDialect, at: number): void {
    const frames = this.frames;
    this.dialect = dialect;
    this.#commandAt = at;
    let kind = workerCommand(dialect, byteOf(frames, at));
    if (kind === null) {
      // The Guide's programs in C# and Haskell (D113).
      kind = workerCommand(dialect, textCommand(frames, at));
      if (kind !== null) this.dialect = MDP_FORMS[dialect].asText;
    }
    switch (kind) {
      case 'ready':
        this.#readReady(at + 1);
        return;
      case 'final':
      case 'partial':
        if (this.#readToken(kind, at + 1) && this.body >= frames.count) {
          this.reject('worker', this.body, 'a reply must have a body');
        }
        return;
      case 'return':
        if (this.#readToken(kind, at + 1) && frames.count - this.body > 1) {
          this.reject('worker', this.body + 1, 'a RETURN must end with its reason');
        }
        return;
      case 'fail':
        this.#readToken(kind, at + 1);
        return;
      case 'runs':
        this.#readRuns(at + 1);
        return;
      case 'heartbeat':
      case 'disconnect':
        if (frames.count > at + 1) this.reject('worker', at + 1, 'nothing may follow this command');
        else this.kind = kind;
        return;
      case null:
        this.reject('worker', at, 'a command of workers must follow the header');
    }
  }

  #readReady(at: number): void {
    const frames = this.frames;
    if (at >= frames.count) {
      this.reject('worker', at, 'READY must have a service name');
    } else if (!isServiceName(frames, at)) {
      this.reject('worker', at, 'a service name must be 1 to 255 bytes');
    } else if (frames.count > at + 4) {
      this.reject('worker', at + 4, 'a READY must end with its contract');
    } else {
      this.kind = 'ready';
      this.service = at;
      this.declaresCredit = frames.count > at + 1;
      this.credit = this.declaresCredit ? decimal(frames, at + 1, CREDIT_MAX) : 1;
      this.workerName = null;
      this.wantsHeaders = false;
      this.wantsCancel = false;
      this.wantsGroup = false;
      this.contract = frames.count === at + 4 ? at + 3 : -1;
      if (this.credit < 1) {
        this.reject('worker', at + 1, 'credit must be a decimal number from 1 to 10000');
      } else if (frames.count > at + 2) {
        this.#readOptions(at + 2);
      }
    }
  }

  /** D67: what follows the credit. */
  #readOptions(at: number): void {
    const options = readReadyOptions(this.frames.view(at));
    if (options === null) {
      const rule =
        'options must be a JSON object of at most 1 KiB: name a string, headers, cancel and group booleans';
      this.reject('worker', at, rule);
    } else {
      this.workerName = options.name;
      this.wantsHeaders = options.headers;
      this.wantsCancel = options.cancel;
      this.wantsGroup = options.group;
    }
  }

  #readRuns(at: number): void {
    const frames = this.frames;
    const from = at + 1;
    if (at >= frames.count || !isServiceName(frames, at)) {
      this.reject('worker', at, 'a service name must be 1 to 255 bytes');
      return;
    }
    const count = frames.count - from;
    if (count < 2 || count % 2 > 0) {
      this.reject('worker', frames.count, 'groups must follow, each with a number');
      return;
    }
    let bytes = 0;
    for (let index = from; index < frames.count; index++) {
      bytes += frames.size(index);
      const isGroup = (index - from) % 2 === 0;
      if (isGroup && frames.size(index) > GROUP_BYTES_MAX) {
        this.reject('worker', index, 'a group may have at most 255 bytes');
        return;
      }
      if (!isGroup && !isZero(frames, index) && decimal(frames, index, CREDIT_MAX) < 0) {
        this.reject('worker', index, 'a number of requests must be decimal, from 0 to 10000');
        return;
      }
    }
    if (bytes > RUNS_BYTES_MAX) {
      this.reject('worker', from, 'groups and numbers may have at most 1 KiB together');
      return;
    }
    this.kind = 'runs';
    this.service = at;
    this.body = from;
  }

  /** `token, empty, …` of a reply, RETURN or FAIL. */
  #readToken(kind: WorkerKind, at: number): boolean {
    const frames = this.frames;
    const isDelimited = at + 1 < frames.count && frames.size(at + 1) === 0;
    // An empty frame that nothing follows may be all of the body.
    const isClear = isDelimited && at + 2 < frames.count;
    const bare = isClear ? -1 : this.#bodyWithoutDelimiter(kind, at);
    const body = bare < 0 && isDelimited ? at + 2 : bare;
    if (body < 0) {
      const [index, rule] =
        at < frames.count
          ? [at + 1, "an empty frame must follow the client's address"]
          : [at, "the client's address must follow the command"];
      this.reject('worker', index, rule);
      return false;
    }
    this.kind = kind;
    this.token = at;
    this.body = body;
    return true;
  }

  /** Where the body begins that has one reading only, if the token is ours (D101). @returns -1: it has none */
  #bodyWithoutDelimiter(kind: WorkerKind, at: number): number {
    const { count } = this.frames;
    if (at >= count || !this.#isKnown(this.frames, at)) return -1;
    // D60: a slip in one failure must not cost the worker its other requests.
    if (kind === 'fail') return count;
    // The Guide's PHP worker sends the body right behind the token.
    return kind === 'final' && isVersion1(this.dialect) && at + 1 < count ? at + 1 : -1;
  }
}

type WorkerKind = Exclude<InboundKind, 'malformed' | 'probe' | 'request' | 'ping'>;

/** The frames between service and body of requests that have more than these, by command. */
const CLIENT_METADATA: Readonly<Record<number, readonly string[]>> = {
  [CLIENT_REQUEST_WITH_HEADERS]: ['deadline', 'headers'],
  [CLIENT_REQUEST_WITH_OPTIONS]: ['options', 'group', 'deadline', 'headers'],
};

function isVersion1(dialect: Dialect): boolean {
  return dialect === 1 || dialect === TEXT_01;
}

function workerCommand(dialect: Dialect, command: number): WorkerKind | null {
  if (command === WORKER_READY) return 'ready';
  if (command === WORKER_RETURN) return 'return';
  if (command === WORKER_FAIL) return 'fail';
  if (command === WORKER_RUNS) return 'runs';
  if (isVersion1(dialect)) {
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

function isZero(frames: Frames, index: number): boolean {
  return byteOf(frames, index) === DIGIT_0;
}

/** The value of a command that is two digits, or -1. */
function textCommand(frames: Frames, index: number): number {
  if (index >= frames.count || frames.size(index) !== 2) return -1;
  const [tens, digit = 0] = frames.view(index);
  return tens === DIGIT_0 && digit >= DIGIT_0 && digit <= DIGIT_9 ? digit - DIGIT_0 : -1;
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
