import type { Frames } from '../../src/core/frames.js';
import type { Holdings } from '../../src/core/holdings.js';
import {
  type OpenedRouter,
  type PeerId,
  type PeerInfo,
  PeerNumbers,
  type Rejected,
  type RouterLimits,
  type RouterOptions,
  type Transport,
  type TransportEvents,
} from '../../src/zmtp/port.js';
import type { Dial, LinkEvents, TransportLimits } from '../../src/zmtp/link-port.js';
import type { ListenerCurve } from '../../src/zmtp/listener-curve.js';
import type { CurveClientKeys } from '../../src/zmtp/curve/client.js';
import { dialZmtp } from '../../src/zmtp/link.js';
import { openZmtpRouter } from '../../src/zmtp/router/router.js';
import type { Names } from '../../src/zmtp/sockets/names.js';
import { until } from './until.js';

export interface LinkOptions {
  readonly limits: TransportLimits;
  readonly routingId?: Buffer;
  readonly curve?: CurveClientKeys;
  readonly dropping?: () => void;
}

/** The subject of the contract: both sides of one transport. */
export interface TransportFactory {
  open(options: RouterOptions): Promise<OpenedRouter>;
  dial(options: LinkOptions): Dial;
}

/** The transport of our own. */
export const FACTORY: TransportFactory = { open: openZmtpRouter, dial: dialZmtp };

export const LIMITS: RouterLimits = {
  connectionsMax: 1000,
  connectionsPerIdentityMax: 1000,
  receiveBytesMax: 256 << 20,
  messageBytesMax: 4 << 20,
  framesMax: 32,
  outputBytesMax: 2 << 20,
};

export interface Received {
  readonly peer: PeerId;
  readonly frames: readonly Buffer[];
}

/** Writes whole messages of text frames. */
export function writeAll(
  write: (bytes: Uint8Array, start: number, end: number, more: boolean) => void,
  frames: readonly (string | Buffer)[],
): void {
  frames.forEach((frame, index) => {
    const bytes = Buffer.from(frame);
    write(bytes, 0, bytes.length, index < frames.length - 1);
  });
}

export interface ServerOptions {
  readonly limits?: Partial<RouterLimits>;
  readonly peers?: PeerNumbers;
  readonly curve?: ListenerCurve;
  readonly holdings?: Holdings;
  readonly names?: Names;
}

/** A listening transport and all its events. */
export class Server implements TransportEvents {
  /** `connected 0`, `message 0`, … in order of arrival. */
  readonly told: string[] = [];
  readonly messages: Received[] = [];
  readonly infos: PeerInfo[] = [];
  /** Connections refused, for transports that report these. */
  readonly rejections: { listener: number; kind: string; reason: string; from: Rejected }[] = [];
  /** Called for each message, within the event. */
  answer: ((peer: PeerId, frames: Frames) => void) | undefined;
  readonly #transport: Transport;
  readonly endpoints: readonly string[];

  private constructor(transport: Transport, endpoints: readonly string[], events: LateEvents) {
    this.#transport = transport;
    this.endpoints = endpoints;
    events.to = this;
  }

  static async open(
    factory: TransportFactory,
    endpoints: readonly string[] = ['tcp://127.0.0.1:0'],
    options: ServerOptions = {},
  ): Promise<Server> {
    const events = new LateEvents();
    const opened = await factory.open({
      listeners: endpoints.map((endpoint, index) => ({
        endpoint,
        index,
        ...(options.curve === undefined ? {} : { curve: options.curve }),
      })),
      limits: { ...LIMITS, ...options.limits },
      peers: options.peers ?? new PeerNumbers(),
      ...(options.holdings === undefined ? {} : { holdings: options.holdings }),
      ...(options.names === undefined ? {} : { names: options.names }),
      events,
    });
    return new Server(opened.transport, opened.endpoints, events);
  }

  get transport(): Transport {
    return this.#transport;
  }

  get endpoint(): string {
    return this.endpoints[0] ?? '';
  }

  /** The texts of one peer's messages, in order. */
  texts(peer: PeerId): string[][] {
    return this.messages
      .filter((message) => message.peer === peer)
      .map((message) => message.frames.map(String));
  }

  count(event: string): number {
    return this.told.filter((one) => one.startsWith(event)).length;
  }

  async untilTold(event: string, times = 1): Promise<void> {
    await until(() => this.count(event) >= times, `${event} ×${times}`);
  }

  async untilMessages(count: number): Promise<void> {
    await until(() => this.messages.length >= count, `${count} messages`);
  }

  /** Waits for a message that begins with this text; returns its peer. */
  async peerOf(text: string): Promise<PeerId> {
    const find = (): Received | undefined =>
      this.messages.find((message) => String(message.frames[0]) === text);
    await until(() => find() !== undefined, `a message ${text}`);
    return find()?.peer ?? -1;
  }

  send(peer: PeerId, ...frames: (string | Buffer)[]): void {
    writeAll((bytes, start, end, more) => {
      this.#transport.write(peer, bytes, start, end, more);
    }, frames);
  }

  connected(peer: PeerId, info: PeerInfo): void {
    this.told.push(`connected ${peer}`);
    this.infos[peer] = info;
  }

  message(peer: PeerId, frames: Frames): void {
    this.told.push(`message ${peer}`);
    this.messages.push({ peer, frames: frames.copyFrom(0) });
    this.answer?.(peer, frames);
  }

  oversized(peer: PeerId, head: Frames, reason: string): void {
    const frames = head.copyFrom(0).map((frame) => frame.length);
    this.told.push(`oversized ${peer}: ${frames.join(' ')}: ${reason}`);
  }

  outputFull(peer: PeerId): void {
    this.told.push(`full ${peer}`);
  }

  drained(peer: PeerId): void {
    this.told.push(`drained ${peer}`);
  }

  disconnected(peer: PeerId): void {
    this.told.push(`disconnected ${peer}`);
  }

  rejected(listener: number, kind: string, reason: string, from: Rejected): void {
    this.rejections.push({ listener, kind, reason, from });
  }
}

/** The server object does not exist yet while its transport is opened. */
export class LateEvents implements TransportEvents {
  to: Server | undefined;

  connected(peer: PeerId, info: PeerInfo): void {
    this.to?.connected(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    this.to?.message(peer, frames);
  }

  oversized(peer: PeerId, head: Frames, reason: string): void {
    this.to?.oversized(peer, head, reason);
  }

  outputFull(peer: PeerId): void {
    this.to?.outputFull(peer);
  }

  drained(peer: PeerId): void {
    this.to?.drained(peer);
  }

  disconnected(peer: PeerId): void {
    this.to?.disconnected(peer);
  }

  rejected(...rejected: Parameters<TransportEvents['rejected']>): void {
    this.to?.rejected(...rejected);
  }
}

/** Records a link's events. */
export class LinkRecord implements LinkEvents {
  readonly told: string[] = [];
  /** Connection attempts that failed. */
  failures = 0;
  /** How often output has left. */
  writes = 0;

  connected(): void {
    this.told.push('connected');
  }

  message(frames: Frames): void {
    this.told.push(`message ${frames.copyFrom(0).map(String).join('|')}`);
  }

  disconnected(): void {
    this.told.push('disconnected');
  }

  unreachable(): void {
    this.failures++;
  }

  written(): void {
    this.writes++;
  }

  async untilTold(event: string, times = 1): Promise<void> {
    await until(() => this.told.filter((one) => one === event).length >= times, event);
  }
}
