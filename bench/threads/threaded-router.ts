/** A ROUTER whose sockets, ZMTP and CURVE are in a thread: as much of one as the measurement needs. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { copyBytes, type Words, wordsOf } from '../../src/core/bytes.js';
import { Frames } from '../../src/core/frames.js';
import {
  packHead,
  readPacked,
  PackedCursor,
  packedFrameBytes,
  type Room,
} from '../../src/core/packed.js';
import type {
  OpenedRouter,
  PeerId,
  PeerInfo,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../../src/zmtp/port.js';
import { type Kind, ringMemory, RingReader, RingWriter } from './ring.js';

/** What the thread is given. */
export interface ThreadOrder {
  readonly toMain: SharedArrayBuffer;
  readonly fromMain: SharedArrayBuffer;
  readonly wakes: Wakes;
  readonly endpoint: string;
  readonly secretKey: Uint8Array | null;
  readonly limits: RouterOptions['limits'];
}

/** How a thread wakes the other one. */
export type Wakes = 'memory' | 'post';

/** `connected` as a record. */
export interface SentInfo extends Omit<PeerInfo, 'routingId'> {
  readonly routingId: string;
}

export async function openThreadedRouter(
  { listeners, limits, events, opening }: RouterOptions,
  wakes: Wakes,
): Promise<OpenedRouter> {
  const [listener] = listeners;
  if (listener === undefined) throw new Error('it has one listener');
  const order: ThreadOrder = {
    ...{ toMain: ringMemory(), fromMain: ringMemory(), wakes, limits },
    endpoint: listener.endpoint,
    secretKey: listener.curve?.secretKeys[0] ?? null,
  };
  const thread = new Worker(new URL('./io-thread.js', import.meta.url), { workerData: order });
  const transport = new ThreadedRouter(thread, order, events);
  opening?.(transport);
  const [endpoint] = (await once(thread, 'message')) as [string];
  transport.begin();
  return { transport, endpoints: [endpoint] };
}

class ThreadedRouter implements Transport {
  readonly #thread: Worker;
  readonly #events: TransportEvents;
  readonly #out: RingWriter;
  readonly #in: RingReader;
  readonly #frames = new Frames();
  readonly #cursor = new PackedCursor();
  readonly #room: { readonly words: Words; at: number };

  constructor(thread: Worker, { toMain, fromMain, wakes }: ThreadOrder, events: TransportEvents) {
    this.#thread = thread;
    this.#events = events;
    const wake = (): void => {
      thread.postMessage(null);
    };
    this.#out = new RingWriter(fromMain, wakes === 'post' ? wake : null);
    this.#in = new RingReader(toMain, wakes === 'memory');
    this.#room = { words: this.#out.words, at: 0 };
  }

  begin(): void {
    this.#thread.on('message', this.#read);
    this.#read();
  }

  room(peer: PeerId, bytes: number): Room | null {
    this.#room.at = this.#out.messages(peer, bytes);
    return this.#room;
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const at = this.#out.messages(peer, packedFrameBytes(end - start));
    const to = this.#out.words.bytes;
    copyBytes(bytes, start, end, to, packHead(to, at, end - start, more));
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number): void {
    this.#out.put(peer, wordsOf(packed), start, end);
  }

  writeLasting(...frame: Parameters<Transport['write']>): void {
    this.write(...frame);
  }

  flush(): void {
    this.#out.publish();
  }

  disconnect(peer: PeerId): void {
    this.#out.event('disconnected', peer);
  }

  // What follows would have to be told by the thread. The loads need none of it.

  waitingBytes(): number {
    return 0;
  }

  takesRequest(): boolean {
    return true;
  }

  closeLargest(): boolean {
    return false;
  }

  setSecretKeys(): void {
    throw new Error('the measurement changes no keys');
  }

  setLimits(): void {
    throw new Error('the measurement changes no limits');
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }

  /** Reads what there is; at the end of the turn, more, or it parks. */
  readonly #read = (): void => {
    this.#in.read(this.#take);
    setImmediate(this.#park);
  };

  readonly #park = (): void => {
    if (!this.#in.park(this.#read)) this.#read();
  };

  readonly #take = (kind: Kind, peer: PeerId, words: Words, from: number, end: number): void => {
    if (kind === 'messages') {
      for (let at = from; at < end;) {
        const next = this.#events.packed?.(peer, words, at, end) ?? 0;
        at = next > 0 ? next : this.#message(peer, words, at);
      }
    } else if (kind === 'connected') {
      const info = JSON.parse(words.bytes.toString('utf8', from, end)) as SentInfo;
      this.#events.connected(peer, { ...info, routingId: Buffer.from(info.routingId, 'hex') });
    } else {
      this.#events[kind](peer);
    }
  };

  #message(peer: PeerId, { bytes }: Words, from: number): number {
    const cursor = this.#cursor;
    const frames = this.#frames;
    frames.clear();
    cursor.end = from;
    do {
      readPacked(bytes, cursor.end, cursor);
      frames.push(bytes, cursor.start, cursor.end);
    } while (cursor.more);
    frames.isPacked = true;
    this.#events.message(peer, frames);
    return cursor.end;
  }
}
