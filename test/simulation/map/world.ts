/**
 * A map at a standalone node with its clients, from one seed: faults occur until it heals; then every client's map
 * equals the node's, and nothing that was acknowledged is lost.
 */
import { Tally } from '../actors/tally.js';
import { SimClock } from '../world/clock.js';
import { type NodeSabotage, SimNode } from '../world/node.js';
import { hold } from '../world/failure.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { MapStage } from './stage.js';
import { MapWatch } from './watch.js';
import { weatherOf } from './weather.js';

const DURATION_MS = 12_000;
/** What all keys together may take. */
const TIGHT_BYTES = 10_000;

export class MapOnlyWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly #clock = new SimClock();
  readonly #watch = new MapWatch();
  readonly #node: SimNode;
  readonly #stage: MapStage;

  constructor(seed: number, isTraced = false, sabotage: NodeSabotage = {}) {
    const random = new SimRandom(seed);
    this.trace = new Trace(isTraced);
    const weather = weatherOf(random.fork(1));
    this.#node = new SimNode({
      ...{ pairing: null, weather, clock: this.#clock, random: random.fork(2), trace: this.trace },
      ...{ tally: this.tally, mapWatch: this.#watch, sabotage, changed: () => undefined },
    });
    const { ownMap } = this.#node;
    hold(ownMap !== null, 'the node has a map');
    const { ports } = ownMap;
    const world = {
      ...{ clock: this.#clock, trace: this.trace, watch: this.#watch },
      nodes: [ports],
      isTight: weather.mapBytesMax < TIGHT_BYTES,
      disks: () => this.#node.disks(),
      unsettled: () => ((this.#node.map?.machine.gauges.waiting ?? 1) > 0 ? 'changes wait' : null),
      takeOver: () => this.#node.crash(),
    };
    this.#stage = new MapStage(world, random.fork(3), DURATION_MS / 2);
    const plan = random.fork(4);
    for (let left = weather.cuts; left > 0; left--) {
      this.#clock.after(plan.int(0, DURATION_MS), () => {
        this.tally.fault('clients are cut off');
        ports.cut(plan.chance(0.5));
      });
    }
  }

  run(): void {
    this.#clock.runUntil(DURATION_MS);
    this.#node.heal();
    this.#stage.heal();
    const { figures } = this.#watch;
    for (const [what, count] of Object.entries(figures)) {
      this.tally.figures.set(`map: ${what}`, count);
    }
    this.tally.requests = figures.published;
    this.tally.replies = this.#stage.acknowledged;
  }
}
