/** The network's events about a process's peers, as inputs of its broker. */
import type { Broker } from '../../../src/broker/broker.js';
import { Frames } from '../../../src/core/frames.js';
import { givePacked } from '../../support/packed-frames.js';
import type { Delivered, Intent, Sent } from '../model/intent.js';
import type { SimClock } from './clock.js';
import type { Connection, ServerEnd } from './network.js';

type Link = Connection<Sent, Delivered>;

/** A process that can end, and its peers with it. */
export interface Connected {
  readonly broker: Broker;
  readonly peers: Map<Link, number>;
  readonly links: (Link | null)[];
}

/** The owner of the processes. */
export interface ProcessHost {
  /** `null`: no process runs, or none can be reached. */
  reached(): Connected | null;
  /** Runs an action in the process that runs now, at once or when it next takes a turn. */
  enter(part: (process: Connected) => void): void;
  /** Input has arrived: a turn follows. */
  wake(): void;
  note(peer: number, what: string, frames: readonly Uint8Array[]): void;
  /** A message is read. */
  heard?(peer: number, intent: Intent): void;
}

export class ProcessEnd implements ServerEnd<Sent, Delivered> {
  readonly #clock: SimClock;
  readonly #host: ProcessHost;

  constructor(clock: SimClock, host: ProcessHost) {
    this.#clock = clock;
    this.#host = host;
  }

  connected(link: Link): void {
    if (this.#host.reached() === null) {
      link.end();
      return;
    }
    this.#host.enter(({ broker, links, peers }) => {
      const free = links.indexOf(null);
      const peer = free < 0 ? links.length : free;
      links[peer] = link;
      peers.set(link, peer);
      this.#host.wake();
      broker.connected(peer, link, this.#clock.now);
    });
  }

  received(link: Link, { frames, intent }: Sent): void {
    this.#of(link, ({ broker }, peer) => {
      this.#host.note(peer, intent.kind, frames);
      this.#host.heard?.(peer, intent);
      if (intent.kind === 'malformed' && intent.as === 'too_large') {
        broker.oversized(peer, Frames.of(...frames), 'too large', this.#clock.now);
      } else {
        const message = Frames.of(...frames);
        // Both ways in which transports deliver messages.
        if (peer % 2 === 0) broker.message(peer, message, this.#clock.now);
        else givePacked(broker, peer, message, this.#clock.now);
      }
    });
  }

  outputFull(link: Link): void {
    this.#clock.after(0, () => this.#of(link, ({ broker }, peer) => broker.outputFull(peer)));
  }

  drained(link: Link): void {
    this.#clock.after(0, () => this.#of(link, ({ broker }, peer) => broker.drained(peer)));
  }

  disconnected(link: Link): void {
    this.#of(link, ({ broker, links, peers }, peer) => {
      broker.disconnected(peer, this.#clock.now);
      links[peer] = null;
      peers.delete(link);
    });
  }

  #of(link: Link, give: (process: Connected, peer: number) => void): void {
    this.#host.enter((process) => {
      const peer = process.peers.get(link);
      if (peer === undefined) return;
      this.#host.wake();
      give(process, peer);
    });
  }
}
