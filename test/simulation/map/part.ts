/** The part that a client of the map plays in a world, of either kind. */
import { compareNumbers, type MapNumber } from '../../../src/wire/chp-client.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import type { SimMapPorts } from './ports.js';
import { type MapWatch, textOf } from './watch.js';
import type { MapHabits } from './writing.js';

/** What a client of the map has to do with. */
export interface MapSurroundings {
  readonly clock: SimClock;
  readonly trace: Trace;
  readonly watch: MapWatch;
  /** The nodes. */
  readonly nodes: readonly SimMapPorts[];
}

export class MapPart {
  readonly name: string;
  readonly habits: MapHabits;
  readonly clock: SimClock;
  readonly watch: MapWatch;
  readonly nodes: readonly SimMapPorts[];
  readonly random: SimRandom;
  readonly dialled: Dialled;
  readonly #trace: Trace;
  /** The last number of an update, over all nodes. */
  #told: MapNumber = { epoch: 0, counter: 0 };

  constructor(
    { name, habits }: { readonly name: string; readonly habits: MapHabits },
    { clock, trace, watch, nodes }: MapSurroundings,
    random: SimRandom,
    dialled: Dialled,
  ) {
    this.name = name;
    this.habits = habits;
    this.clock = clock;
    this.watch = watch;
    this.nodes = nodes;
    this.random = random;
    this.dialled = dialled;
    this.#trace = trace;
  }

  /** It takes an update with this number. */
  told(number: MapNumber): void {
    const isAbove = compareNumbers(number, this.#told) > 0;
    hold(
      isAbove || this.watch.isSplit,
      `${this.name} is told ${textOf(number)} after ${textOf(this.#told)} (D48)`,
    );
    this.#told = number;
  }

  note(what: string): void {
    this.#trace.note(this.clock.now, this.name, what);
  }
}
