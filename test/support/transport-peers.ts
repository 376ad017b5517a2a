/** Peers of a transport that use none of its code: libzmq's sockets, and bytes written by hand. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Context, Dealer, Request } from 'zeromq';
import type { SocketOptions } from 'zeromq';
import { PATIENCE_MS } from './patience.js';

const context = new Context({ blocky: false });

/** A libzmq DEALER that records what it reads, once it was told to read. */
export class DealerPeer {
  readonly socket: Dealer;
  readonly received: Buffer[][] = [];

  constructor(endpoint: string, routingId?: string, more: SocketOptions<Dealer> = {}) {
    this.socket = new Dealer({
      ...more,
      context,
      linger: 0,
      receiveHighWaterMark: 10,
      ...(routingId === undefined ? {} : { routingId }),
    });
    this.socket.connect(endpoint);
  }

  async send(...frames: (string | Buffer)[]): Promise<void> {
    await this.socket.send(frames);
  }

  /** Reads until it is closed. */
  read(): this {
    void this.#read();
    return this;
  }

  /** What it has read, as text. */
  texts(): string[][] {
    return this.received.map((frames) => frames.map(String));
  }

  close(): void {
    this.socket.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const frames of this.socket) this.received.push(frames);
    } catch {
      // Closed during the pending read.
    }
  }
}

export function requestPeer(endpoint: string): Request {
  const socket = new Request({ context, linger: 0, receiveTimeout: PATIENCE_MS });
  socket.connect(endpoint);
  return socket;
}

function property(name: string, value: string): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(value.length);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), size, Buffer.from(value)]);
}

function shortFrame(flags: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([flags, body.length]), body]);
}

/** A DEALER implemented byte by byte: 23/ZMTP §Greeting, §The NULL mechanism. */
export class BytePeer {
  readonly socket: Socket;
  bytesRead = 0;
  closed = false;

  constructor(endpoint: string) {
    const [host, port] = endpoint.replace('tcp://', '').split(':');
    this.socket = connect(Number(port), host);
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (bytes) => {
      this.bytesRead += bytes.length;
    });
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  greet(): void {
    const greeting = Buffer.alloc(64);
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting.write('NULL', 12);
    this.write(greeting);
  }

  ready(routingId = ''): void {
    const body = [
      Buffer.from('\u0005READY'),
      property('Socket-Type', 'DEALER'),
      property('Identity', routingId),
    ];
    this.write(shortFrame(0x04, Buffer.concat(body)));
  }

  send(...frames: string[]): void {
    frames.forEach((frame, index) => {
      this.write(shortFrame(index < frames.length - 1 ? 0x01 : 0x00, Buffer.from(frame)));
    });
  }

  /** Like the kernel when a process was killed. */
  kill(): void {
    this.socket.resetAndDestroy();
  }
}
