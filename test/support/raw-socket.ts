/** Connections without any ZeroMQ library. Call `destroySockets` in `afterEach`. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';

import { until } from './until.js';
import { HANDSHAKE } from '../unit/zmtp/wire.js';

const sockets = new Set<RawSocket>();

export class RawSocket {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  isConnected = false;
  isClosed = false;

  constructor(endpoint: string, options: Partial<NetConnectOpts> = {}) {
    const { hostname, port } = new URL(endpoint.replace('tcp:', 'http:'));
    this.socket = connect({ ...options, host: hostname, port: Number(port) });
    sockets.add(this);
    this.socket.on('error', () => undefined);
    this.socket.on('connect', () => {
      this.isConnected = true;
    });
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('data', (bytes) => {
      if (this.received.length < 4096) this.received = Buffer.concat([this.received, bytes]);
    });
  }

  write(...parts: readonly Buffer[]): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  async connected(): Promise<this> {
    await until(() => this.isConnected, 'a connection');
    return this;
  }

  async closed(): Promise<void> {
    await until(() => this.isClosed, 'the end of a connection');
  }

  /** A DEALER after its handshake. */
  async shakeHands(handshake: Buffer = HANDSHAKE): Promise<this> {
    this.write(handshake);
    // Greeting and READY of a ROUTER.
    await until(() => this.received.length >= 107, 'a greeting and READY');
    return this;
  }
}

export function destroySockets(): void {
  for (const { socket } of sockets) socket.destroy();
  sockets.clear();
}
