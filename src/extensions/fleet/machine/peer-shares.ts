/**
 * The share of the workers here that other brokers have while requests of clients here wait (D84).
 * Without it, a broker whose own clients keep its queue full would never serve those of others.
 */
import type { LocalCredit } from '../../../broker/ports.js';
import type { FleetPeer } from './peer.js';

export const NO_CREDIT: LocalCredit = { free: 0, total: 0, isQueued: false };

/** The requests of others for one service that are here, by the broker that they are from. */
export interface Visits {
  readonly service: string;
  readonly byPeer: Map<FleetPeer, number>;
  /** The number of brokers that the broker machine was told. */
  turns: number;
}

export class PeerShares {
  /** The credit of the workers at all other brokers for a service, as they last said. */
  readonly #creditElsewhere: (service: string) => number;
  /** By service, one character per byte. */
  readonly #visits = new Map<string, Visits>();

  constructor(creditElsewhere: (service: string) => number) {
    this.#creditElsewhere = creditElsewhere;
  }

  arrived(peer: FleetPeer, service: string): Visits {
    let visits = this.#visits.get(service);
    if (visits === undefined) {
      visits = { service, byPeer: new Map(), turns: 0 };
      this.#visits.set(service, visits);
    }
    visits.byPeer.set(peer, (visits.byPeer.get(peer) ?? 0) + 1);
    return visits;
  }

  ended(peer: FleetPeer, { service, byPeer }: Visits): void {
    const left = (byPeer.get(peer) ?? 0) - 1;
    if (left > 0) byPeer.set(peer, left);
    else byPeer.delete(peer);
    if (byPeer.size === 0) this.#visits.delete(service);
  }

  /**
   * How many more requests for the service are taken from a broker now. While requests of clients
   * here wait, the brokers that use these workers have equal shares of them, in which workers of
   * their own count. One that has no workers may have as many requests waiting here, so that its
   * next one is here when its turn comes; one that has, a single one.
   */
  left(peer: FleetPeer, service: string, { free, total, isQueued }: LocalCredit): number {
    if (!isQueued || total === 0) return free;
    const byPeer = this.#visits.get(service)?.byPeer;
    const here = byPeer?.get(peer) ?? 0;
    const users = 1 + (byPeer?.size ?? 0) + (here === 0 ? 1 : 0);
    const all = total + this.#creditElsewhere(service);
    const own = peer.holders.get(service)?.total ?? 0;
    const share = Math.min(total, Math.floor(all / users) - own);
    if (own === 0) return Math.max(free, 2 * Math.max(1, share) - here);
    return share <= 0 ? free : Math.max(free, share + 1 - here);
  }

  /**
   * What the offers to all brokers say. While requests of clients here wait, each broker has a different
   * part of its share left: the offers say 1, and the broker that uses it is told how many more.
   */
  offered({ free, total, isQueued }: LocalCredit): number {
    return isQueued && total > 0 ? Math.max(1, free) : free;
  }
}
