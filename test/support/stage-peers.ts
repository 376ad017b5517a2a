/**
 * The peers of a `Stage`. They encode and decode with the codec of their side, so that a script
 * shows what a real peer would receive.
 */
import { Frames } from '../../src/core/frames.js';
import { identityOf } from '../../src/zmtp/identity.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  clientRequestWithOptions,
  type Metadata,
  readClientReply,
} from '../../src/wire/client-side.js';
import { EMPTY, type MdpVersion } from '../../src/wire/mdp.js';
import { requestOptionsFrame } from '../../src/wire/request-options.js';
import {
  readWorkerInbound,
  workerDisconnect,
  workerFinal,
  workerHeartbeat,
  workerPartial,
  workerReady,
  workerReturn,
  workerRuns,
} from '../../src/wire/worker-side.js';
import type { Stage } from './stage.js';

/** What is said of a message over the limits. */
export const OVERSIZED = 'a message of 2000 bytes, at most 1000 are allowed';

const ONCE: Buffer = requestOptionsFrame({ once: true });

/** A frame in a script: bytes, or one character a byte (latin1). */
export type FrameLike = string | Uint8Array;

function toBytes(frame: FrameLike): Buffer {
  return typeof frame === 'string' ? Buffer.from(frame, 'latin1') : Buffer.from(frame);
}

/** Frames `[from, …)`, at most `most`, as one text, with `|` between them. */
/** The frames `[from, to]` before a body. */
function metadata(frames: Frames, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => bodyText(frames, from + index, 1));
}

function bodyText(frames: Frames, from: number, most = Infinity): string {
  return frames
    .copyFrom(from)
    .slice(0, most)
    .map((frame) => frame.toString('latin1'))
    .join('|');
}

/** Reads the messages of a connection. */
interface Reader {
  /** @returns false if the message is for another reader */
  reads(frames: Frames): boolean;
}

export interface ConnectionOptions {
  readonly listener?: number;
  /** If given, the peer chose it itself and may reconnect with it (D26). */
  readonly routingId?: string;
  /** The name of its key. */
  readonly key?: string;
  /** Its public key; default: the name, for names with one key. */
  readonly publicKey?: string;
  /** Its source address. */
  readonly address?: string;
  /** The type of its socket, if the transport knows it. */
  readonly socketType?: string;
}

/** One connection to the broker; any number of clients and a worker may share it. */
export class Connection {
  readonly name: string;
  readonly stage: Stage;
  readonly #options: ConnectionOptions;
  readonly #readers: Reader[] = [];
  #unread: string[][] = [];
  peer = -1;
  /** The broker has ended it. */
  closedByBroker = false;

  constructor(stage: Stage, name: string, options: ConnectionOptions) {
    this.stage = stage;
    this.name = name;
    this.#options = options;
    this.connect();
  }

  /** Reconnects after `disconnect`: a new peer to the broker. */
  connect(): void {
    const { listener = 0, routingId } = this.#options;
    this.closedByBroker = false;
    this.peer = this.stage.connected(this, {
      listener,
      routingId: toBytes(routingId ?? `\0${this.name}`),
      ownRoutingId: routingId !== undefined,
      key: this.#options.key ?? null,
      publicKey: this.#options.publicKey ?? this.#options.key ?? null,
      address: this.#options.address ?? '127.0.0.1',
      identity: identityOf(this.#options.address ?? '127.0.0.1', this.#options.key ?? null),
      ...(this.#options.socketType === undefined ? {} : { socketType: this.#options.socketType }),
    });
  }

  disconnect(): void {
    if (this.peer < 0) return;
    const { peer } = this;
    this.peer = -1;
    this.stage.disconnected(peer);
  }

  /** One message, without the routing id. */
  sends(...frames: FrameLike[]): void {
    this.stage.message(this.peer, frames.map(toBytes));
  }

  /** Its data waits for its turn to be read. */
  waitsToBeRead(): void {
    this.stage.input((broker, now) => broker.waiting(this.peer, now));
  }

  /** @param head the frames before the one that is over the limit, which is empty here */
  sendsOversized(...head: FrameLike[]): void {
    this.stage.input((broker, now) => {
      const frames = Frames.of(...head.map(toBytes), '');
      broker.oversized(this.peer, frames, OVERSIZED, now);
    });
  }

  /** It does not read, and its output has reached the limit. */
  fills(): void {
    this.stage.input((broker) => broker.outputFull(this.peer));
  }

  /** It has read its waiting output. */
  drains(): void {
    this.stage.input((broker) => broker.drained(this.peer));
  }

  addReader(reader: Reader): void {
    this.#readers.push(reader);
  }

  receives(frames: Frames): void {
    if (this.#readers.some((reader) => reader.reads(frames))) return;
    this.#unread.push(frames.copyFrom(0).map((frame) => frame.toString('latin1')));
  }

  /** Messages that no reader of this connection accepted, frame by frame, since the last call. */
  raw(): string[][] {
    const unread = this.#unread;
    this.#unread = [];
    return unread;
  }
}

/** Selects one of a worker's requests: by its body, or by the token that came with it. */
export interface Which {
  readonly of?: string;
  readonly token?: Uint8Array;
}

/** Options of READY besides the service (D23, D67). */
export interface ReadyWith {
  readonly credit?: number;
  readonly name?: string;
  readonly headers?: boolean;
  readonly cancel?: boolean;
  readonly group?: boolean;
  /** The contract's frame (D107). */
  readonly contract?: string;
}

export class WorkerActor implements Reader {
  readonly connection: Connection;
  readonly version: MdpVersion;
  /** Requests that arrived and were not answered, in order. */
  readonly #open: { readonly body: string; readonly token: Buffer }[] = [];
  #inbox: string[] = [];
  #heartbeats = 0;

  constructor(connection: Connection, version: MdpVersion) {
    this.connection = connection;
    this.version = version;
    connection.addReader(this);
  }

  ready(service: FrameLike, options: ReadyWith = {}): this {
    const { credit = null, contract, ...said } = options;
    const frame = contract === undefined ? null : Buffer.from(contract);
    return this.#sends(workerReady(this.version, toBytes(service), credit, said, frame));
  }

  /** REPLY (0.1) or FINAL (0.2) to the oldest open request, or to the given one. */
  final(body: FrameLike | readonly FrameLike[], which: Which = {}): this {
    const token = this.#take(which);
    return this.#sends(workerFinal(this.version, token, bytesOfBody(body)));
  }

  partial(body: FrameLike | readonly FrameLike[], which: Which = {}): this {
    return this.#sends(workerPartial(this.token(which), bytesOfBody(body)));
  }

  /** FAIL (D60): `kind, code, text, detail*` as given. */
  fails(failure: readonly FrameLike[], which: Which = {}): this {
    const token = this.#take(which);
    const prefix = this.version === 1 ? ['', 'MDPW01'] : ['MDPW02'];
    return this.#sends([...prefix, '\x08', token, '', ...failure].map(toBytes));
  }

  /** RETURN (D25). */
  returns(reason: string, which: Which = {}): this {
    return this.#sends(workerReturn(this.version, this.#take(which), reason));
  }

  /** RETURN with an empty client frame: it wants no more requests (D117). */
  leaves(): this {
    return this.#sends(workerReturn(this.version, EMPTY, ''));
  }

  /** RUNS: what it runs that the broker has not out at it: groups, and behind each a number (D118). */
  runs(service: string, ...groups: readonly FrameLike[]): this {
    return this.#sends(workerRuns(this.version, toBytes(service), groups.map(toBytes)));
  }

  heartbeat(): this {
    return this.#sends(workerHeartbeat(this.version));
  }

  /** DISCONNECT, the command. */
  saysDisconnect(): this {
    return this.#sends(workerDisconnect(this.version));
  }

  /** Its connection ends. */
  disconnect(): this {
    this.connection.disconnect();
    return this;
  }

  /** It connects again, after the broker has ended its connection. */
  reconnects(): this {
    this.connection.disconnect();
    this.connection.connect();
    return this;
  }

  heartbeatsEvery(intervalMs: number): this {
    this.connection.stage.beatEvery(this, intervalMs);
    return this;
  }

  fallsSilent(): this {
    this.connection.stage.beatNoMore(this);
    return this;
  }

  /** The token of an open request; default: the oldest. */
  token(which: Which = {}): Buffer {
    if (which.token !== undefined) return Buffer.from(which.token);
    const found = this.#open.find(({ body }) => which.of === undefined || body === which.of);
    if (found === undefined) throw new Error(`${this.connection.name} has no such request open`);
    return found.token;
  }

  reads(frames: Frames): boolean {
    const message = readWorkerInbound(this.version, frames);
    switch (message.kind) {
      case 'other':
        return false;
      case 'malformed':
        throw new Error(`${this.connection.name} cannot read it: ${message.reason}`);
      case 'heartbeat':
        this.#heartbeats++;
        return true;
      case 'disconnect':
        this.#inbox.push('DISCONNECT');
        return true;
      case 'runs':
        this.#inbox.push('RUNS?');
        return true;
      case 'cancel': {
        const open = this.#open.find(({ token }) => token.equals(frames.view(message.token)));
        this.#inbox.push(`CANCEL ${open?.body ?? 'unknown'}`);
        return true;
      }
      case 'request': {
        const body = bodyText(frames, message.body);
        this.#open.push({ body, token: frames.copy(message.token) });
        const { headers, group } = message;
        const first = group < 0 ? headers - 1 : group;
        const before = headers < 0 ? [] : metadata(frames, first, headers);
        this.#inbox.push(['REQUEST', ...before, body].join(' '));
        return true;
      }
    }
  }

  /**
   * Messages since the last call except HEARTBEATs: `REQUEST hi|there`, `DISCONNECT`, and with
   * deadline and headers `REQUEST 5000 {"a":"b"} hi|there`; of an open request `CANCEL hi|there`.
   */
  inbox(): string[] {
    const inbox = this.#inbox;
    this.#inbox = [];
    return inbox;
  }

  /** HEARTBEATs since the last call. */
  heartbeats(): number {
    const heartbeats = this.#heartbeats;
    this.#heartbeats = 0;
    return heartbeats;
  }

  #take(which: Which): Buffer {
    const token = this.token(which);
    const at = this.#open.findIndex((open) => open.token.equals(token));
    if (at >= 0) this.#open.splice(at, 1);
    return token;
  }

  #sends(frames: readonly Uint8Array[]): this {
    this.connection.sends(...frames);
    return this;
  }
}

export interface ClientOptions extends ConnectionOptions {
  readonly version?: MdpVersion;
  /** Ids before the empty delimiter, as a proxy or a correlating socket adds them (D1). */
  readonly envelope?: readonly string[];
  /** 0.2 only: an empty delimiter without any ids (D2). */
  readonly enveloped?: boolean;
  /** Uses this connection together with others. */
  readonly over?: Connection;
}

export class ClientActor implements Reader {
  readonly connection: Connection;
  readonly version: MdpVersion;
  readonly #envelope: readonly string[];
  readonly #enveloped: boolean;
  #inbox: string[] = [];

  constructor(connection: Connection, options: ClientOptions) {
    this.connection = connection;
    this.version = options.version ?? 2;
    this.#envelope = options.envelope ?? [];
    this.#enveloped =
      this.version === 1 || this.#envelope.length > 0 || (options.enveloped ?? false);
    connection.addReader(this);
  }

  request(service: FrameLike, ...body: FrameLike[]): this {
    const bare = clientRequest(this.version, null, toBytes(service), body.map(toBytes));
    const delimiter = this.#enveloped && this.version === 2 ? [''] : [];
    this.connection.sends(...this.#envelope, ...delimiter, ...bare);
    return this;
  }

  /** Command 0x04 (D67). */
  requestWithHeaders(
    service: FrameLike,
    deadlineMs: number,
    headers: FrameLike,
    ...body: FrameLike[]
  ): this {
    const metadata = { deadlineMs, headers: toBytes(headers) };
    const bare = clientRequestWithHeaders(null, toBytes(service), metadata, body.map(toBytes));
    this.connection.sends(...this.#envelope, ...(this.#enveloped ? [''] : []), ...bare);
    return this;
  }

  /** Command 0x05 (D117). */
  requestWithOptions(service: FrameLike, options: FrameLike, ...body: FrameLike[]): this {
    return this.#sendsWithOptions(service, options, { deadlineMs: 0, headers: EMPTY }, body);
  }

  /** A request that may run once (D117). @param deadlineMs 0: none */
  once(body: FrameLike, deadlineMs = 0, headers: FrameLike = '', service = 'echo'): this {
    const metadata = { deadlineMs, headers: toBytes(headers) };
    return this.#sendsWithOptions(service, ONCE, metadata, [body]);
  }

  #sendsWithOptions(
    service: FrameLike,
    options: FrameLike,
    metadata: Metadata,
    body: readonly FrameLike[],
  ): this {
    const bodies = body.map(toBytes);
    const given = toBytes(options);
    const bare = clientRequestWithOptions(null, toBytes(service), given, metadata, bodies);
    this.connection.sends(...this.#envelope, ...(this.#enveloped ? [''] : []), ...bare);
    return this;
  }

  /** Declares that it understands refusals (D11), and removes the answer from its inbox. */
  hello(options: FrameLike = ''): this {
    this.request('mmi.hello', options);
    const answer = this.#inbox.pop();
    if (!(answer ?? '').endsWith('mmi.hello 200')) throw new Error(`hello: ${String(answer)}`);
    return this;
  }

  disconnect(): this {
    this.connection.disconnect();
    return this;
  }

  reads(frames: Frames): boolean {
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed' || reply.version !== this.version) return false;
    const isEnveloped = reply.envelopeFrames >= 0;
    const ids = frames.copyFrom(0).slice(0, Math.max(0, reply.envelopeFrames));
    // The reply has the form of its request (D2), with the whole envelope in order (D1).
    if (isEnveloped !== this.#enveloped) return false;
    if (ids.map((id) => id.toString('latin1')).join('/') !== this.#envelope.join('/')) return false;
    const service = frames.view(reply.service).toString('latin1');
    const command = this.version === 1 ? 'REPLY' : reply.kind === 'final' ? 'FINAL' : 'PARTIAL';
    this.#inbox.push(`${command} ${service} ${bodyText(frames, reply.body)}`);
    return true;
  }

  /** Messages since the last call: `REPLY echo hi` (0.1), `PARTIAL echo a`, `FINAL echo b`. */
  inbox(): string[] {
    const inbox = this.#inbox;
    this.#inbox = [];
    return inbox;
  }
}

function bytesOfBody(body: FrameLike | readonly FrameLike[]): Buffer[] {
  if (typeof body === 'string' || body instanceof Uint8Array) return [toBytes(body)];
  return body.map(toBytes);
}
