/**
 * A DEALER that writes frames by hand, in this process, on libzmq. Call `closePeers` in `afterEach`.
 */
import { Dealer } from 'zeromq';
import { Patience, whenPatienceEnds } from '../../support/patience.js';

export type Frame = string | Buffer;

export interface RawPeerOptions {
  readonly routingId?: string;
  /** False: it never reads, and takes no more than a few messages from its connection. */
  readonly reads?: boolean;
}

const open = new Set<RawPeer>();

/** Bytes by their latin-1 characters: frames of tests show as what they are. */
function bytes(frame: Frame): Buffer {
  return typeof frame === 'string' ? Buffer.from(frame, 'latin1') : frame;
}

export class RawPeer {
  readonly #socket: Dealer;
  readonly #inbox: string[][] = [];
  #arrived: (() => void) | null = null;
  #tail: Promise<void> = Promise.resolve();

  constructor(endpoint: string, options: RawPeerOptions = {}) {
    const reads = options.reads ?? true;
    this.#socket = new Dealer({
      linger: 0,
      sendHighWaterMark: 0,
      receiveHighWaterMark: reads ? 0 : 1,
      ...(reads ? {} : { receiveBufferSize: 4096 }),
      ...(options.routingId === undefined ? {} : { routingId: options.routingId }),
    });
    this.#socket.connect(endpoint);
    open.add(this);
    if (reads) void this.#read();
  }

  /** Hands a message over; messages leave in the order of the calls. */
  send(...frames: readonly Frame[]): Promise<void> {
    const message = frames.map(bytes);
    this.#tail = this.#tail.then(() => this.#socket.send(message));
    return this.#tail;
  }

  /** The next message, frames as latin-1 characters. */
  async receive(): Promise<readonly string[]> {
    for (;;) {
      const message = this.#inbox.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve, reject) => {
        const stopWaiting = whenPatienceEnds(() => reject(new Error('no message came')));
        this.#arrived = (): void => {
          stopWaiting();
          resolve();
        };
      });
    }
  }

  /** The next message that is no HEARTBEAT to a worker. */
  async receiveCommand(): Promise<readonly string[]> {
    const patience = new Patience();
    while (!patience.isOver) {
      const message = await this.receive();
      const isHeartbeat =
        (message.length === 3 && message[1] === 'MDPW01' && message[2] === '\x04') ||
        (message.length === 2 && message[0] === 'MDPW02' && message[1] === '\x05');
      if (!isHeartbeat) return message;
    }
    throw new Error('only heartbeats came');
  }

  /** A 0.2 request, answered or not by whatever comes first; `id` is its envelope. */
  async ask(id: string, service: string, ...body: readonly Frame[]): Promise<readonly string[]> {
    await this.send(id, '', 'MDPC02', '\x01', service, ...body);
    return await this.receiveCommand();
  }

  /** mmi.hello for everything on this connection (D11). */
  async hello(): Promise<void> {
    await this.send('', 'MDPC02', '\x01', 'mmi.hello', '');
    const answer = await this.receiveCommand();
    if (answer.at(-1) !== '200') throw new Error(`mmi.hello: ${JSON.stringify(answer)}`);
  }

  /** Asks the broker until `holds` is true of its JSON (mmi.services, mmi.workers). */
  async untilMmi<T>(service: string, holds: (found: T) => boolean): Promise<T> {
    const patience = new Patience();
    for (;;) {
      const frames = await this.ask('mmi', service, '');
      // Where there is another page its cursor comes last; of a 404 there is the status alone.
      const json = frames.findLast((frame) => /^[[{]/.test(frame)) ?? frames.at(-1) ?? '';
      const found = JSON.parse(json) as T;
      if (holds(found)) return found;
      if (patience.isOver) throw new Error(`${service} still says ${json}`);
      await patience.pause(20);
    }
  }

  /**
   * Resolves when everything that was sent before was handled, and gives what came meanwhile. (The
   * messages of one connection are read in order, and mmi.* is answered for everyone.)
   */
  async settle(): Promise<readonly (readonly string[])[]> {
    const before: (readonly string[])[] = [];
    await this.send('settle', '', 'MDPC02', '\x01', 'mmi.service', 'mmi.service');
    for (;;) {
      const message = await this.receiveCommand();
      if (message[0] === 'settle') return before;
      before.push(message);
    }
  }

  close(): void {
    open.delete(this);
    if (!this.#socket.closed) this.#socket.close();
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#socket.receive();
        this.#inbox.push(message.map((frame) => frame.toString('latin1')));
        this.#arrived?.();
        this.#arrived = null;
      }
    } catch {
      // Closed.
    }
  }
}

export function closePeers(): void {
  for (const peer of [...open]) peer.close();
}
