/** Bytes of a peer, written by hand from 23/ZMTP and 37/ZMTP; and a connection that is recorded. */
import type { SocketType } from '../../../src/zmtp/connection/commands.js';
import { Connection, type ConnectionEvents } from '../../../src/zmtp/connection/connection.js';
import { NullMechanism } from '../../../src/zmtp/connection/null.js';
import { Frames } from '../../../src/core/frames.js';
import { pieceOf } from '../../../src/core/piece.js';
import { readAnew } from '../../support/packed-frames.js';

export const MORE = 1;
export const LONG = 2;
export const COMMAND = 4;

export interface GreetingParts {
  readonly major?: number;
  readonly minor?: number;
  readonly mechanism?: string;
  readonly asServer?: number;
}

export function greetingOf(parts: GreetingParts = {}): Buffer {
  const bytes = Buffer.alloc(64);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = parts.major ?? 3;
  bytes[11] = parts.minor ?? 1;
  bytes.write(parts.mechanism ?? 'NULL', 12, 20, 'latin1');
  bytes[32] = parts.asServer ?? 0;
  return bytes;
}

/** @param size said in the head; by default the truth */
export function frame(flags: number, body: string | Buffer, size?: bigint): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const said = size ?? BigInt(bytes.length);
  if (said <= 255n && (flags & LONG) === 0) {
    return Buffer.concat([Buffer.from([flags, Number(said)]), bytes]);
  }
  const head = Buffer.alloc(9);
  head[0] = flags | LONG;
  head.writeBigUInt64BE(said, 1);
  return Buffer.concat([head, bytes]);
}

export function message(...bodies: readonly (string | Buffer)[]): Buffer {
  const last = bodies.length - 1;
  return Buffer.concat(bodies.map((body, index) => frame(index < last ? MORE : 0, body)));
}

export function commandFrame(name: string, data: string | Buffer = ''): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  return frame(COMMAND, Buffer.concat([Buffer.from([name.length]), Buffer.from(name), bytes]));
}

export function property(name: string, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), size, bytes]);
}

export function ready(...properties: readonly Buffer[]): Buffer {
  return commandFrame('READY', Buffer.concat(properties));
}

export const DEALER: Buffer = ready(property('Socket-Type', 'DEALER'), property('Identity', ''));

export const HANDSHAKE: Buffer = Buffer.concat([greetingOf(), DEALER]);

export interface Limits {
  readonly messageBytesMax: number;
  readonly framesMax: number;
  readonly skipsOversized?: boolean;
}

const LIMITS: Limits = { messageBytesMax: 1 << 20, framesMax: 32 };

/** A connection and all that it told, one line each; bodies as latin-1. */
export class Recorded implements ConnectionEvents {
  readonly told: string[] = [];
  readonly messages: string[][] = [];
  /** What is known of messages that were skipped. */
  readonly heads: string[][] = [];
  readonly connection: Connection;
  /** Frames that were said to last, and what they were then. */
  readonly lasting: { readonly frame: Buffer; readonly was: Buffer }[] = [];
  identity: Buffer | null = null;
  now = 0;

  constructor(limits: Limits = LIMITS, type: SocketType = 'ROUTER', waitsForGreeting = true) {
    const mechanism = new NullMechanism(type, Buffer.alloc(0));
    const takesSubscriptions = type === 'PUB';
    const options = { mechanism, waitsForGreeting, takesSubscriptions, ...limits };
    this.connection = new Connection(options, this, new Frames(), this.now);
  }

  /** One past the handshake, its own output taken away. */
  static shaken(limits: Limits = LIMITS): Recorded {
    const recorded = new Recorded(limits);
    recorded.receive(HANDSHAKE);
    recorded.sent();
    return recorded;
  }

  ready(metadata: { readonly socketType: string; readonly identity: Buffer }): void {
    this.identity = metadata.identity;
    this.told.push(`ready ${metadata.socketType}`);
  }

  message(frames: Frames): void {
    const bodies = frames.copyFrom(0).map((body) => body.toString('latin1'));
    if (frames.isPacked && !isSame(readAnew(frames), frames)) throw new Error('it is not packed');
    for (let index = 0; frames.isLasting && index < frames.count; index++) {
      pieceOf(frames.buffer(index))?.hold();
      this.lasting.push({ frame: frames.view(index), was: frames.copy(index) });
    }
    this.messages.push(bodies);
    this.told.push('message');
  }

  oversized(head: Frames, reason: string): void {
    this.heads.push(head.copyFrom(0).map((frame) => frame.toString('latin1')));
    this.told.push(`oversized: ${reason}`);
  }

  subscription(topic: Buffer, isOn: boolean): void {
    this.told.push(`${isOn ? 'subscribe' : 'cancel'} ${topic.toString('latin1')}`);
  }

  failed(kind: string, reason: string): void {
    this.told.push(`failed ${kind}: ${reason}`);
  }

  /** Each part is one segment, in a buffer that nobody may rely on afterwards. */
  receive(...parts: readonly Buffer[]): this {
    for (const part of parts) {
      const chunk = Buffer.from(part);
      this.connection.receive(chunk, this.now);
      chunk.fill(0xaa);
    }
    return this;
  }

  /** The bytes that are to be sent since the last call. */
  sent(): Buffer {
    return Buffer.concat(this.connection.output.take().views);
  }

  /** How it was ended, or '' if it was not. */
  get failure(): string {
    return this.told.find((line) => line.startsWith('failed')) ?? '';
  }
}

/** The same frames at the same place. */
function isSame(one: Frames, other: Frames): boolean {
  let isAll = one.count === other.count;
  for (let index = 0; isAll && index < one.count; index++) {
    isAll = one.start(index) === other.start(index) && one.end(index) === other.end(index);
  }
  return isAll;
}

/** The bytes in segments that end at these offsets. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const ends = [...new Set([...offsets, bytes.length])].sort((a, b) => a - b);
  let from = 0;
  return ends.map((end) => {
    const part = bytes.subarray(from, end);
    from = end;
    return part;
  });
}
