/** A world of stored requests from one seed: faults until it heals, then every promise is kept. */
import { isWork } from '../../../src/store/record-kind.js';
import type { Surroundings } from '../actors/line.js';
import { Tally } from '../actors/tally.js';
import { MISCHIEF } from '../actors/worker.js';
import { MapWatch } from '../map/watch.js';
import { ScheduleStage } from '../schedules/stage.js';
import type { Entry } from '../../../src/testing/memory-rows.js';
import { unpackFailure } from '../../../src/store/failure-codec.js';
import { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { SimNetwork } from '../world/network.js';
import { type NodeSabotage, type NodeWeather, SimNode } from '../world/node.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { CASTS, checkOwners, clientHabits, type Services, type WorkersHere } from './cast.js';
import type { Job } from './durable-client.js';
import { groupOfJob } from './limits.js';
import { DurableStage } from './stage.js';
import { INTERVAL_MS, PLENTY, weatherOf } from './weather.js';

const DURATION_MS = 4000;
const HEALED_MS = 60_000;
const STEP_MS = 500;
/** What is over so soon may have ended already. */
const SOON_MS = 1000;
const SCHEDULERS_MAX = 2;
const SCHEDULING_ONE_IN = 25;
/** What a crash or a failure has delayed is tried again within this time. */
const RECOVERS_MS = 7000;
/** Probability of a fault, at each occasion. */
const CHANCES: WorkersHere['chances'] = [0, 0.2, 0.6];

export interface StoredSabotage extends NodeSabotage {
  /** Worlds in which it shows soon. */
  weather?(weather: NodeWeather): NodeWeather;
}

export class StoredWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #weather: NodeWeather;
  readonly #node: SimNode;
  readonly #around: Surroundings;
  readonly #services: Services;
  readonly #stage: DurableStage;
  readonly #schedules: ScheduleStage;

  constructor(seed: number, isTraced = false, sabotage: StoredSabotage = {}) {
    this.#random = new SimRandom(seed);
    this.trace = new Trace(isTraced);
    const weather = weatherOf(this.#random.fork(1));
    this.#weather = sabotage.weather?.(weather) ?? weather;
    const { trace, tally } = this;
    const clock = this.#clock;
    this.#node = new SimNode({
      ...{ pairing: null, weather: this.#weather, clock, random: this.#random.fork(2) },
      ...{ trace, tally, mapWatch: new MapWatch(), sabotage },
      changed: (node) => {
        checkRows(node.disk.entries);
        this.#schedules.look(node, node.disk.entries);
      },
      started: (node, key) => this.#checkOrder(node, key),
    });
    const pipe = { delayMinMs: 0, delayMaxMs: 5, noticeMaxMs: INTERVAL_MS, outputBytesMax: PLENTY };
    this.#around = {
      clock,
      network: new SimNetwork(clock, pipe, this.#node.end),
      trace,
      tally,
      heartbeatIntervalMs: INTERVAL_MS,
      tokens: [],
    };
    const cast = this.#random.fork(3);
    this.#services = cast.pick(CASTS);
    this.#stage = new DurableStage({
      ...{ clock, wall: this.#node, titanic: this.#weather.titanic },
      workers: { services: this.#services, mischief: MISCHIEF, chances: CHANCES },
      startsWithinMs: DURATION_MS / 2,
    });
    for (let index = cast.int(1, 3); index > 0; index--) {
      const isGrouped = this.#weather.limits !== undefined;
      const some = clientHabits(cast, this.#services, [100, 1000], DURATION_MS);
      const habits = { ...some, isGrouped };
      this.#stage.addClient(index, cast, habits, this.#around);
    }
    for (let index = cast.int(1, 4); index > 0; index--) {
      this.#stage.addWorker(`w${index}`, cast, this.#around);
    }
    this.#stage.addSpies(this.#random, 0, '', () => this.#around, false);
    this.#schedules = this.#addSchedules(this.#random.fork(4));
  }

  #addSchedules(random: SimRandom): ScheduleStage {
    const node = this.#node;
    const { wallJumpMs } = this.#weather;
    const world = {
      clock: this.#clock,
      services: this.#services,
      // Their messages are longer than others.
      schedulersMax: this.#weather.broker.limits.messageBytes === PLENTY ? SCHEDULERS_MAX : 0,
      ...{ oneIn: SCHEDULING_ONE_IN, dialChance: 0, recoversMs: RECOVERS_MS },
      isWhole: () => node.titanic !== null && !node.isHeld,
      disks: () => [node.disk.entries],
      watched: () => ({
        isSteady: wallJumpMs === 0,
        freeSince: this.#isRoomy ? node.hinderedUntil + RECOVERS_MS : Infinity,
        requestsMax: 1,
        mayBeTwins: false,
      }),
      wall: () => node.wall,
      wallMax: () => node.wallMax,
    };
    const client = { around: this.#around, turnElsewhere: null };
    return new ScheduleStage(world, random, () => client, DURATION_MS / 2);
  }

  /** Requests of one group, service and priority run in the order of acceptance, unless they wait for something else. */
  #checkOrder({ disk, deliveries, wall }: SimNode, key: string): void {
    const { readFailureChance, wallJumpMs } = this.#weather;
    const group = groupOfJob(key);
    if (group === '' || readFailureChance + wallJumpMs > 0) return;
    const rows = disk.entries.filter(({ request }) => {
      const { state, attempts, notBefore, acceptedAt, expiresAt } = request;
      return (
        state === 'pending' &&
        attempts === 0 &&
        notBefore <= acceptedAt &&
        expiresAt > wall + SOON_MS
      );
    });
    const named = rows.map(({ request, body }) => ({ request, name: body.toString('latin1', 2) }));
    const own = named.find(({ name }) => name === key)?.request;
    if (own === undefined) return;
    for (const { request, name } of named) {
      if (request.number >= own.number || request.priority !== own.priority) continue;
      if (groupOfJob(name) !== group || !request.service.equals(own.service)) continue;
      const job = this.#stage.clients
        .flatMap(({ jobs }) => jobs)
        .find((each) => name.startsWith(`${each.name}.`));
      const mayHaveEnded = job === undefined || job.closeAsked || deliveries.has(name);
      hold(mayHaveEnded, `${key} starts before ${name}, which was accepted earlier`);
    }
  }

  /** A client that found no room may still be refused after the faults have ended. */
  get #isRoomy(): boolean {
    const { maxOpen, maxBytes } = this.#weather.titanic;
    return maxOpen === PLENTY && maxBytes === PLENTY;
  }

  /** Runs the faults and the healing, and checks that every promise was kept. */
  run(): void {
    this.#clock.runUntil(DURATION_MS);
    this.#node.heal();
    this.#stage.heal((service, index) => {
      const random = this.#random.fork(50 + index);
      this.#stage.addWorker(`healer${index}`, random, this.#around, service);
    });
    for (const until of this.#schedules.heal(this.#isRoomy)) this.#clock.runUntil(until);
    const until = this.#clock.now + HEALED_MS;
    while (!this.#isOver()) {
      hold(
        this.#clock.now < until,
        `not over: ${this.#stage.clients.map(({ jobs }) => JSON.stringify(jobs)).join()}`,
      );
      this.#clock.runUntil(this.#clock.now + STEP_MS);
    }
    this.#checkPromises();
  }

  #isOver(): boolean {
    const isRoomy = this.#isRoomy;
    const { titanic, disk } = this.#node;
    if (titanic === null || disk.entries.some(isPending)) return false;
    return this.#stage.clients.every((client) =>
      isRoomy ? client.isSatisfied : client.jobs.every(isSettled),
    );
  }

  #checkPromises(): void {
    const { disk, deliveries, crashes, failures } = this.#node;
    const find = disk.lookUp.bind(disk);
    this.#stage.check(disk.entries, find, ({ name }, { state }) => {
      hold(state !== 'pending', `${name} never comes to its end`);
    });
    if (crashes + failures > 0) return;
    for (const [key, count] of deliveries) {
      // The requests of a schedule all have the same body.
      if (key.startsWith('k')) continue;
      const name = key.replace(/\.[0-9]+$/, '');
      const job = this.#stage.clients
        .flatMap(({ jobs }) => jobs)
        .find((each) => each.name === name);
      const most = job?.options['maxAttempts'] ?? this.#weather.titanic.maxAttempts;
      hold(count <= Number(most), `${key} is delivered ${count} times`);
    }
  }
}

function isSettled({ uuid, shown, closed }: Job): boolean {
  return uuid === null || closed || shown !== 'nothing';
}

function isPending({ request }: Entry): boolean {
  return request.state === 'pending';
}

/** What is true of each request on the disk of one node, at any time. */
function checkRows(rows: readonly Entry[]): void {
  checkOwners(rows);
  for (const { request, reply, attempts } of rows) {
    const isAllowed = !isWork(request.kind) || request.attempts <= request.maxAttempts;
    hold(isAllowed, 'more attempts than are allowed');
    const isDead = request.state === 'dead';
    // D63: of the request's current generation.
    const last = request.attempts > 0 ? (attempts.at(-1)?.failure ?? null) : null;
    const isFinal = unpackFailure(last)?.kind === 'final';
    const isOver = isFinal || request.attempts === request.maxAttempts;
    hold(!isDead || isOver, 'dead before its last attempt');
    hold(!isFinal || request.state !== 'pending', 'a final failure is to be delivered again');
    hold(
      (request.state === 'replied') === (reply !== null),
      'a reply and its state belong together',
    );
  }
}
