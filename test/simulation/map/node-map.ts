/** The map of a simulated node: the daemon's host of the machine, on simulated ports. */
import { Holdings } from '../../../src/core/holdings.js';
import { MapHost } from '../../../src/extensions/map/host.js';
import { GlobSet } from '../../../src/core/glob.js';
import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import type { MapReplica, MapStoreReads } from '../../../src/extensions/map/machine/replica.js';
import type { SimClock } from '../world/clock.js';
import { type PortsHost, type PortsOptions, SimMapPorts } from './ports.js';
import type { MapWatch, WatchedNode } from './watch.js';

/** Breaks a correct map, to verify that the simulation detects it. */
export interface MapSabotage {
  map?(map: MapHost): void;
  ports?(ports: SimMapPorts): void;
  changes?(changes: readonly MapRecord[]): readonly MapRecord[];
}

export interface NodeMapOptions {
  readonly clock: SimClock;
  readonly watch: MapWatch;
  readonly ports: PortsOptions;
  /** `limits.mapBytes`. */
  readonly bytesMax: number;
  readonly node: WatchedNode;
  readonly host: Pick<PortsHost, 'isReached' | 'effect' | 'note'> & {
    /** Runs an action in the process that runs now, at once or when it next takes a turn. */
    enter(part: () => void): void;
  };
  readonly sabotage: MapSabotage;
}

/** What a process gives to its map. */
export interface ProcessOfMap {
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  readonly wake: () => void;
}

export class NodeMap {
  readonly ports: SimMapPorts;
  readonly #in: NodeMapOptions;
  #map: MapHost | null = null;
  #wasServing = false;

  constructor(options: NodeMapOptions) {
    this.#in = options;
    const { clock, host, watch, node, sabotage } = options;
    this.ports = new SimMapPorts(clock, options.ports, {
      ...{ isReached: host.isReached, effect: host.effect, note: host.note },
      enter: (part) => {
        const map = this.#map;
        host.enter(() => {
          if (map !== null && map === this.#map) part(map);
        });
      },
      published: (message) => watch.published(node, message, clock.now),
      answered: (message) => watch.answered(node, message),
    });
    sabotage.ports?.(this.ports);
  }

  /** `null`: no process runs. */
  get current(): MapHost | null {
    return this.#map;
  }

  /** A process begins. */
  open({ replica, store, wake }: ProcessOfMap): MapHost {
    const { clock, watch, node, bytesMax, sabotage } = this.#in;
    const map = new MapHost({
      ...{ bytesMax, store, wake, now: () => clock.now },
      rightsOf: () => ({ client: GlobSet.none, worker: GlobSet.none }),
      holdings: new Holdings(),
      replica: {
        get refusal() {
          return replica.refusal;
        },
        commit: (changes, outcome) => {
          watch.committing(node, changes, clock.now);
          return replica.commit(sabotage.changes?.(changes) ?? changes, outcome);
        },
      },
      events: { emit: () => undefined },
    });
    sabotage.map?.(map);
    map.ports = this.ports.open();
    this.#map = map;
    this.#wasServing = false;
    return map;
  }

  /** The process has ended. */
  close(): void {
    this.#map = null;
    this.ports.clear();
  }

  /** After each action of the process. */
  look(): void {
    const isServing = this.#map?.machine.isServing ?? false;
    if (isServing && !this.#wasServing) this.#in.watch.serves(this.#in.node, this.#in.clock.now);
    this.#wasServing = isServing;
  }
}
