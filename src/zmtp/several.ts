import type { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import type { Room } from '../core/packed.js';
import type {
  Closing,
  ListenerOptions,
  OpenedRouter,
  PeerId,
  PeerInfo,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from './port.js';

/** Opens the listeners of one transport. */
export type OpenRouter = (options: RouterOptions) => Promise<OpenedRouter>;

/** A transport and its listeners. */
export interface TransportPart {
  readonly open: OpenRouter;
  readonly listeners: readonly ListenerOptions[];
}

/**
 * Opens the listeners of several transports as one. A peer stays with the transport that accepted
 * it. With a single transport there is no layer in between.
 * @throws what the transports throw; nothing stays open
 */
export async function openSeveral(
  parts: readonly TransportPart[],
  options: Omit<RouterOptions, 'listeners'>,
): Promise<OpenedRouter> {
  const [first, ...others] = parts.filter(({ listeners }) => listeners.length > 0);
  if (first !== undefined && others.length === 0) {
    return await first.open({ ...options, listeners: first.listeners });
  }
  const together = new Together(options.events);
  options.opening?.(together);
  const endpoints: string[] = [];
  try {
    for (const { open, listeners } of first === undefined ? [] : [first, ...others]) {
      const owner = together.nextOwner();
      const opening = (transport: Transport): void => {
        owner.transport = transport;
      };
      const opened = await open({ ...options, listeners, events: owner, opening });
      for (const [place, { index }] of listeners.entries()) {
        endpoints[index] = opened.endpoints[place] ?? '';
      }
    }
  } catch (error) {
    await together.close(0);
    throw error;
  }
  return { transport: together, endpoints };
}

/** The events of one transport: records which peers belong to it. */
class Owner implements TransportEvents {
  transport: Transport | null = null;
  readonly #owners: (Owner | undefined)[];
  readonly #events: TransportEvents;

  constructor(owners: (Owner | undefined)[], events: TransportEvents) {
    this.#owners = owners;
    this.#events = events;
  }

  connected(peer: PeerId, info: PeerInfo): void {
    this.#owners[peer] = this;
    this.#events.connected(peer, info);
  }

  disconnected(peer: PeerId): void {
    this.#events.disconnected(peer);
    this.#owners[peer] = undefined;
  }

  message(...message: Parameters<TransportEvents['message']>): void {
    this.#events.message(...message);
  }

  packed(peer: PeerId, words: Words, from: number, end: number): number {
    return this.#events.packed?.(peer, words, from, end) ?? 0;
  }

  oversized(peer: PeerId, head: Frames, reason: string): void {
    this.#events.oversized?.(peer, head, reason);
  }

  receiving(peer: PeerId, bytes: number): void {
    this.#events.receiving?.(peer, bytes);
  }

  waiting(peer: PeerId): void {
    this.#events.waiting?.(peer);
  }

  outputFull(peer: PeerId): void {
    this.#events.outputFull(peer);
  }

  drained(peer: PeerId): void {
    this.#events.drained(peer);
  }

  rejected(...rejected: Parameters<TransportEvents['rejected']>): void {
    this.#events.rejected(...rejected);
  }
}

class Together implements Transport {
  readonly #events: TransportEvents;
  readonly #all: Owner[] = [];
  /** The owner of each peer, by its number. */
  readonly #owners: (Owner | undefined)[] = [];

  constructor(events: TransportEvents) {
    this.#events = events;
  }

  nextOwner(): Owner {
    const owner = new Owner(this.#owners, this.#events);
    this.#all.push(owner);
    return owner;
  }

  room(peer: PeerId, bytes: number): Room | null {
    return this.#owners[peer]?.transport?.room(peer, bytes) ?? null;
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    this.#owners[peer]?.transport?.write(peer, bytes, start, end, more);
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number, more: boolean): void {
    this.#owners[peer]?.transport?.writePacked(peer, packed, start, end, more);
  }

  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void {
    this.#owners[peer]?.transport?.writeLasting(peer, bytes, start, end, more);
  }

  flush(): void {
    for (const { transport } of this.#all) transport?.flush();
  }

  disconnect(peer: PeerId): void {
    this.#owners[peer]?.transport?.disconnect(peer);
  }

  takesRequest(peer: PeerId, bytes: number): boolean {
    return this.#owners[peer]?.transport?.takesRequest(peer, bytes) ?? true;
  }

  closeLargest(identity: string, closing: Closing): boolean {
    return this.#all.some(({ transport }) => transport?.closeLargest(identity, closing) ?? false);
  }

  waitingBytes(peer: PeerId): number {
    return this.#owners[peer]?.transport?.waitingBytes(peer) ?? 0;
  }

  setSecretKeys(listener: number, secretKeys: readonly Buffer[]): void {
    for (const { transport } of this.#all) transport?.setSecretKeys(listener, secretKeys);
  }

  setLimits(limits: RouterLimits): void {
    for (const { transport } of this.#all) transport?.setLimits(limits);
  }

  async close(lingerMs: number): Promise<void> {
    await Promise.all(this.#all.map(async ({ transport }) => transport?.close(lingerMs)));
  }
}
