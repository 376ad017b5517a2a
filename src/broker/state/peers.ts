/** The connected peers by their number. */
import { present } from '../../core/assert.js';
import type { Peer } from './entities.js';

export class Peers {
  count = 0;
  /** Peers by number, with gaps, because a transport may skip numbers. */
  readonly #byId: (Peer | null | undefined)[] = [];

  /** The peer that an input is of. */
  of(id: number): Peer {
    return present(this.#byId[id], 'inputs are of connected peers');
  }

  /** The peer with this number; `null`: no peer has it now. */
  find(id: number): Peer | null {
    return this.#byId[id] ?? null;
  }

  /** Still connected; its number may meanwhile be another peer's. */
  has(peer: Peer): boolean {
    return this.#byId[peer.id] === peer;
  }

  add(peer: Peer): void {
    this.#byId[peer.id] = peer;
    this.count++;
  }

  remove(peer: Peer): void {
    this.#byId[peer.id] = null;
    this.count--;
    peer.isGone = true;
  }

  *all(): IterableIterator<Peer> {
    for (const peer of this.#byId) if (peer) yield peer;
  }
}
