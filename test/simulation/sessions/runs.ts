/** What workers and clients saw of each request, and what must hold of it (docs/sdk-delivery.md). */
import { hold } from '../world/failure.js';
import type { SimClock } from '../world/clock.js';
import type { BrokerMachine } from '../freelance/machine.js';
import type { Outages } from '../freelance/outages.js';
import type { ServiceLimits } from '../../../src/broker/options.js';
import type { Deliveries } from './deliveries.js';
import { groupOf, limitOf } from './groups.js';

/** What a handler does with a request. */
export interface Run {
  readonly request: Watched;
  readonly worker: string;
  readonly endpoint: number;
  readonly process: Deliveries;
  readonly token: string;
  /** Its broker is another process, which its worker has been connected to in time to say that it runs (D118). */
  isCounted(): boolean;
  isGoingOn: boolean;
}

export interface Watched {
  readonly name: string;
  readonly once: boolean;
  readonly askedAt: number;
  readonly timeoutMs: number;
  /** When something was wrong with the way from its client to each broker. */
  readonly ways: readonly Outages[];
  readonly stalls: Outages;
  readonly runs: Run[];
  /** `answered`, `failed by its worker`, `aborted`, or the code of its error; `null`: not yet. */
  outcome: string | null;
}

const OUTCOME_UNKNOWN = 'ERR_MDP_OUTCOME_UNKNOWN';
/** A client's ticks, and what they cause, may come so late. */
const LATE_MS = 10;

export class Runs {
  readonly #clock: SimClock;
  readonly #machines: readonly BrokerMachine[];
  readonly #all = new Map<string, Watched>();
  readonly #limits: ServiceLimits | null;
  #goingOn: Run[] = [];
  /** How often a run of an earlier process was counted when another one began. */
  counted = 0;

  constructor(clock: SimClock, machines: readonly BrokerMachine[], limits: ServiceLimits | null) {
    this.#limits = limits;
    this.#clock = clock;
    this.#machines = machines;
  }

  asked(request: Omit<Watched, 'askedAt' | 'runs' | 'outcome'>): Watched {
    const watched = { ...request, askedAt: this.#clock.now, runs: [], outcome: null };
    this.#all.set(request.name, watched);
    return watched;
  }

  /** A handler is called. */
  begins(name: string, of: Omit<Run, 'request' | 'isGoingOn'>): Run {
    const { worker, endpoint } = of;
    const request = this.#all.get(name);
    hold(request !== undefined, `${worker} runs ${name}, which nobody asked for`);
    const { once, runs } = request;
    hold(!once || runs.length === 0, `${name} may run once, and runs again at ${worker}`);
    const run = { ...of, request, isGoingOn: true };
    // A worker that its broker has given up may not know that yet.
    const other = isKnown(run) ? runs.find((each) => isKnown(each)) : undefined;
    if (other !== undefined) {
      const ends = [endpoint, other.endpoint];
      const isAllowed =
        other.endpoint !== endpoint && ends.some((each) => this.#seemedDead(request, each));
      hold(isAllowed, `${name} begins at ${worker} while it runs at ${other.worker}`);
    }
    runs.push(run);
    this.#goingOn = this.#goingOn.filter(({ isGoingOn }) => isGoingOn);
    this.#goingOn.push(run);
    if (isKnown(run)) this.#checkLimits(run);
    return run;
  }

  /** No more run than may, as the workers count them that the broker knows of, or was told of in time. */
  #checkLimits({ request, endpoint }: Run): void {
    const counted = this.#goingOn.filter((each) => {
      return each.endpoint === endpoint && (isKnown(each) || each.isCounted());
    });
    const group = groupOf(request.name);
    const own = counted.filter((each) => groupOf(each.request.name) === group);
    this.counted += counted.filter((each) => !isKnown(each)).length;
    for (const [all, of] of [[counted, null] as const, [own, group] as const]) {
      const { running } = limitOf(this.#limits, of);
      if (running === Infinity) continue;
      const names = all.map((each) => `${each.request.name} at ${each.worker}`).join(', ');
      hold(all.length <= running, `${all.length} run, of which ${running} may: ${names}`);
    }
  }

  /** Whether its client could take that broker for dead. */
  #seemedDead({ askedAt, ways }: Watched, endpoint: number): boolean {
    const { now } = this.#clock;
    const machine = this.#machines[endpoint];
    return [machine?.outages, ways[endpoint]].some((each) => each?.overlap(askedAt, now));
  }

  ended(watched: Watched, outcome: string): void {
    const { now } = this.#clock;
    const { name, askedAt, timeoutMs, stalls } = watched;
    hold(watched.outcome === null, `${name} settles twice`);
    watched.outcome = outcome;
    const latestAt = askedAt + timeoutMs + LATE_MS;
    const isLate = now > latestAt && !stalls.overlap(latestAt - LATE_MS, now);
    hold(!isLate, `${name} settles at ${now}, which is after ${latestAt}`);
  }

  /** Nothing happens any more. @param isCalm no broker and no worker had a fault */
  check(isCalm: boolean): void {
    const given = this.#machines.flatMap((machine) => machine.given);
    const counts = new Map<string, number>();
    for (const name of given) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const { name, once, runs, outcome } of this.#all.values()) {
      const count = runs.length + (counts.get(name) ?? 0);
      const told = `${name} has run ${count} times: ${outcome ?? 'never settled'}`;
      hold(outcome !== null, told);
      if (isCalm) hold(isServed(count, once, outcome), told);
      if (!once) continue;
      hold(count <= 1, told);
      const hasRun = outcome === 'answered' || outcome === 'failed by its worker';
      const isUnknown = outcome === 'aborted' || outcome === OUTCOME_UNKNOWN;
      hold(isUnknown || count === (hasRun ? 1 : 0), told);
    }
  }

  /** Of those that ran. */
  get again(): number {
    return [...this.#all.values()].filter(({ runs }) => runs.length > 1).length;
  }
}

/** Without faults of brokers and workers. The first request of a session may be lost with the whole session. */
function isServed(count: number, once: boolean, outcome: string): boolean {
  if (outcome === 'aborted') return count <= 1;
  return count === 1 ? outcome === 'answered' : once && count === 0 && outcome === OUTCOME_UNKNOWN;
}

function isKnown({ isGoingOn, process, token }: Run): boolean {
  return isGoingOn && process.isOut(token);
}
