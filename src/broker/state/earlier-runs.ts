/**
 * What workers run that this broker does not have out at them, because an earlier broker, the other node of a pair, or
 * an earlier registration gave it to them. They say so themselves (D118); it counts in the limits of its service and
 * group until the worker says otherwise, or its connection ends.
 */
import { CREDIT_MAX } from '../../wire/mdp.js';
import type { Peer, Service } from './entities.js';

export const ONE_SERVICE = 'all of a connection must be of one service';

/** Memory of a group at a connection, besides its name (measured: 68 to 85 bytes), and a share of what its connection takes. */
const GROUP_BYTES = 120;
const NO_MEMORY = 'there is no room for one more group: limits.memoryBytes is reached';

interface Runs {
  readonly service: Service;
  /** How many requests of each group; the bytes of its name, one character per byte. */
  readonly groups: Map<string, number>;
  count: number;
}

export class EarlierRuns {
  readonly #byPeer = new Map<Peer, Runs>();

  /**
   * The worker of a connection runs so many requests of a group.
   * @param key the bytes of the name, one character per byte; empty: those without a group
   * @returns why it cannot be; `null`: it is counted
   */
  say(peer: Peer, service: Service, key: string, count: number): string | null {
    const runs = this.#byPeer.get(peer) ?? { service, groups: new Map<string, number>(), count: 0 };
    if (runs.service !== service) return ONE_SERVICE;
    const before = runs.groups.get(key) ?? 0;
    if (runs.count - before + count > CREDIT_MAX) return 'a worker may run at most 10000 requests';
    if (count === before) return null;
    const isNew = before === 0;
    if (isNew && !peer.identity.memory.mayHold(GROUP_BYTES + key.length)) return NO_MEMORY;
    this.#hold(peer, runs, key, count);
    service.waiting.runsMore(key, count - before);
    return null;
  }

  /** The service that the worker of a connection runs something of; `null`: it runs nothing. */
  serviceOf(peer: Peer): Service | null {
    return this.#byPeer.get(peer)?.service ?? null;
  }

  #hold(peer: Peer, runs: Runs, key: string, count: number): void {
    const { service, groups } = runs;
    const before = groups.get(key) ?? 0;
    const bytes = GROUP_BYTES + key.length;
    if (before === 0) peer.identity.memory.add('requests', bytes);
    if (count > 0) groups.set(key, count);
    else if (groups.delete(key)) peer.identity.memory.add('requests', -bytes);
    if (runs.count === 0) {
      this.#byPeer.set(peer, runs);
      service.earlierRuns++;
    }
    runs.count += count - before;
    if (runs.count > 0) return;
    this.#byPeer.delete(peer);
    service.earlierRuns--;
  }

  /** The connection has ended. @returns the service of which it ran something; `null`: it ran nothing */
  left(peer: Peer): Service | null {
    const runs = this.#byPeer.get(peer);
    if (runs === undefined) return null;
    const { service, groups } = runs;
    for (const key of [...groups.keys()]) this.say(peer, service, key, 0);
    return service;
  }

  /** Counts everything of these services anew, because their limits have changed. */
  count(services: ReadonlySet<Service>): void {
    for (const { service, groups } of this.#byPeer.values()) {
      if (!services.has(service)) continue;
      for (const [key, count] of groups) service.waiting.runsMore(key, count);
    }
  }
}
