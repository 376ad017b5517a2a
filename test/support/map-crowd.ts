/**
 * Many clients of a map in one process, on bare sockets: each subscribes at P + 1 and asks for one
 * snapshot at P. All want the same subtree, which nobody changes, so all snapshots have one size.
 * Call `close` in `afterEach`.
 */
import { connect, type Socket } from 'node:net';

import { commandFrame, greetingOf, message, property, ready } from '../unit/zmtp/wire.js';
import { mapPort } from './map-peers.js';
import { Patience } from './patience.js';
import { until } from './until.js';

/** As in libzmq: between a connection that ended and the next one. */
const RECONNECT_MS = 100;
/** A client that hears nothing for so long asks anew. */
const SILENCE_MS = 10_000;
/** More than greeting and READY of a node, and less than any snapshot here. */
const HANDSHAKE_BYTES_MAX = 1024;
const TAIL_BYTES = 64;
const SERVED_MS_MAX = 240_000;

const handshake = (type: string): Buffer =>
  Buffer.concat([greetingOf({ minor: 1 }), ready(property('Socket-Type', type))]);
const DEALER = handshake('DEALER');
const SUB = handshake('SUB');

interface Client {
  snapshots: Socket | null;
  updates: Socket | null;
  /** What came at P, and the end of it. */
  bytes: number;
  tail: Buffer;
  isDone: boolean;
}

export class Crowd {
  readonly #subtree: string;
  readonly #clients: readonly Client[];
  #endpoint = '';
  #isClosed = false;
  done = 0;
  /** How many had a part of a snapshot at the same time, at most. */
  partialMost = 0;
  #partial = 0;
  /** Sizes of what came with a snapshot. */
  readonly sizes = new Set<number>();

  constructor(count: number, subtree: string) {
    this.#subtree = subtree;
    this.#clients = Array.from({ length: count }, () => ({
      ...{ snapshots: null, updates: null },
      ...{ bytes: 0, tail: Buffer.alloc(0), isDone: false },
    }));
  }

  /** All subscribe at this node. */
  subscribe(endpoint: string): void {
    this.#endpoint = endpoint;
    for (const client of this.#clients) this.#subscribe(client);
  }

  /** All ask the node at which they subscribe, at once. */
  ask(): void {
    for (const client of this.#clients) this.#ask(client);
  }

  /** All leave for another node, at once; they subscribe and ask there. */
  moveTo(endpoint: string): void {
    this.#endpoint = endpoint;
    this.done = 0;
    for (const client of this.#clients) {
      client.isDone = false;
      this.#subscribe(client);
      this.#ask(client);
    }
  }

  /** Resolves once each has its snapshot. */
  async served(): Promise<void> {
    const all = this.#clients.length;
    await until(() => this.done === all, `${all} snapshots`, new Patience(SERVED_MS_MAX));
  }

  /** How many have a connection to P + 1. */
  get subscribers(): number {
    return this.#clients.filter(({ updates }) => (updates?.bytesRead ?? 0) > 0).length;
  }

  close(): void {
    this.#isClosed = true;
    for (const { snapshots, updates } of this.#clients) {
      snapshots?.destroy();
      updates?.destroy();
    }
  }

  #subscribe(client: Client): void {
    client.updates?.destroy();
    const socket = this.#open(1, SUB, commandFrame('SUBSCRIBE', this.#subtree));
    client.updates = socket;
    socket.resume();
    this.#again(socket, () => {
      if (client.updates === socket) this.#subscribe(client);
    });
  }

  #ask(client: Client): void {
    client.snapshots?.destroy();
    this.#setBytes(client, 0);
    client.tail = Buffer.alloc(0);
    const socket = this.#open(0, DEALER, message('ICANHAZ?', this.#subtree));
    client.snapshots = socket;
    socket.on('data', (bytes) => {
      if (client.snapshots === socket) this.#got(client, bytes);
    });
    socket.setTimeout(SILENCE_MS, () => {
      if (!client.isDone) socket.destroy();
    });
    this.#again(socket, () => {
      if (client.snapshots === socket && !client.isDone) this.#ask(client);
    });
  }

  #got(client: Client, bytes: Buffer): void {
    client.tail = Buffer.concat([client.tail, bytes.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    if (!client.isDone && client.tail.includes('KTHXBAI')) {
      client.isDone = true;
      this.done++;
      this.sizes.add(client.bytes + bytes.length);
    }
    this.#setBytes(client, client.bytes + bytes.length);
  }

  #setBytes(client: Client, bytes: number): void {
    const before = client.bytes > HANDSHAKE_BYTES_MAX ? 1 : 0;
    client.bytes = client.isDone ? 0 : bytes;
    const after = client.bytes > HANDSHAKE_BYTES_MAX ? 1 : 0;
    this.#partial += after - before;
    this.partialMost = Math.max(this.partialMost, this.#partial);
  }

  #open(above: number, ...parts: readonly Buffer[]): Socket {
    const socket = connect(mapPort(this.#endpoint, above), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(Buffer.concat(parts));
    return socket;
  }

  #again(socket: Socket, join: () => void): void {
    socket.on('close', () => {
      setTimeout(() => {
        if (!this.#isClosed) join();
      }, RECONNECT_MS).unref();
    });
  }
}
