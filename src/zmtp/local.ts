/**
 * A peer within this process. To the broker it is like any other peer, on a listener that only it
 * uses.
 */
import { Frames } from '../core/frames.js';
import { LocalInbox } from './local-inbox.js';
import type {
  OpenedRouter,
  PeerId,
  PeerNumbers,
  RouterOptions,
  Transport,
  TransportEvents,
} from './port.js';

const NAME = 'local';
const ROUTING_ID: Buffer = Buffer.from(NAME);

export class LocalPeer implements Transport {
  readonly #listener: number;
  readonly #received: (frames: Frames) => void;
  #events: TransportEvents | null = null;
  #numbers: PeerNumbers | null = null;
  #id: PeerId | null = null;
  readonly #inbox = new LocalInbox();

  /**
   * @param listener its index, as `ListenerOptions.index`
   * @param received called for each message, after the broker's turn of the loop; the frames are valid until it
   *   returns
   */
  constructor(listener: number, received: (frames: Frames) => void) {
    this.#listener = listener;
    this.#received = received;
  }

  /** Opens it as one of the broker's transports. */
  readonly open = (options: RouterOptions): Promise<OpenedRouter> => {
    this.#events = options.events;
    this.#numbers = options.peers;
    options.opening?.(this);
    return Promise.resolve({ transport: this, endpoints: [] });
  };

  /**
   * Sends a message to the broker; lost if it is closed. Never call it from within a call from the
   * broker.
   */
  send(frames: readonly Uint8Array[]): void {
    const events = this.#events;
    if (events === null) return;
    this.#id ??= this.#connect(events);
    events.message(this.#id, Frames.of(...frames));
  }

  #connect(events: TransportEvents): PeerId {
    const peer = this.#numbers?.take() ?? 0;
    events.connected(peer, {
      listener: this.#listener,
      routingId: ROUTING_ID,
      ownRoutingId: false,
      key: null,
      address: NAME,
      identity: NAME,
    });
    return peer;
  }

  room(): null {
    return null;
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    if (peer === this.#id) this.#inbox.add(bytes, start, end, more);
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number): void {
    if (peer === this.#id) this.#inbox.addPacked(packed, start, end);
  }

  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void {
    this.write(peer, bytes, start, end, more);
  }

  flush(): void {
    if (this.#inbox.bytes > 0) setImmediate(this.#deliver);
  }

  readonly #deliver = (): void => {
    for (let frames = this.#inbox.take(); frames !== null; frames = this.#inbox.take()) {
      this.#received(frames);
    }
  };

  disconnect(peer: PeerId): void {
    if (peer !== this.#id) return;
    this.#id = null;
    this.#inbox.clear();
    setImmediate(() => {
      this.#events?.disconnected(peer);
      this.#numbers?.release(peer);
    });
  }

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
    // A peer inside has no keys.
  }

  setLimits(): void {
    // The limits of the other listeners do not apply to it.
  }

  close(): Promise<void> {
    if (this.#id !== null) this.#events?.disconnected(this.#id);
    this.#id = null;
    this.#events = null;
    return Promise.resolve();
  }
}
