/** Three brokers that know nothing of each other and their clients: faults, and then none. */
import { Tally } from '../actors/tally.js';
import { INTERVAL_MS } from '../stored/weather.js';
import { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { type FreelanceSabotage, FreelanceSimClient } from './client.js';
import { BrokerMachine, type Stage } from './machine.js';
import {
  BROKERS,
  DURATION_MS,
  ECHO,
  type FreelanceFault,
  type FreelanceWeather,
  goodWorker,
  NOTICE_MAX_MS,
  PARTS,
  recoveryMs,
  roughWorker,
  weatherOf,
} from './weather.js';

/** The last fault is over, and everything has recovered. */
const CALM_MS = 2300;
const LONGEST_MS = 700;
const SLOW_MS = 250;
/** Long enough for requests to meet it. */
const DRAIN_MS_MIN = 200;
/** Requests are usually answered within this time. */
const AMBUSH_MS = 4;
const MORE_REQUESTS = 3;
/** In which all requests settle. */
const SETTLE_MS = 20_000;
const STEP_MS = 250;

export class FreelanceWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #weather: FreelanceWeather;
  readonly #machines: readonly BrokerMachine[];
  readonly #clients: readonly FreelanceSimClient[];
  readonly #recoveryMs: number;
  readonly #ambushes: SimRandom;

  constructor(seed: number, isTraced = false, sabotage: FreelanceSabotage = {}) {
    this.#random = new SimRandom(seed);
    this.#ambushes = this.#random.fork(3);
    this.trace = new Trace(isTraced);
    const made = weatherOf(this.#random.fork(1));
    const weather = sabotage.weather?.(made) ?? made;
    this.#weather = weather;
    const stage: Stage = { clock: this.#clock, trace: this.trace, tally: this.tally };
    this.#machines = Array.from({ length: BROKERS }, (_, index) => {
      const random = this.#random.fork(10 + index);
      return new BrokerMachine(`b${index}`, weather, stage, random);
    });
    this.#clients = weather.clients.map((habits, index) => {
      const random = this.#random.fork(20 + index);
      const sent = (endpoint: number): void => this.#sent(index, endpoint);
      const name = `c${index}`;
      return new FreelanceSimClient(name, habits, this.#machines, stage, random, sabotage, sent);
    });
    const intervals = weather.clients.map(({ pingIntervalMs }) => pingIntervalMs);
    this.#recoveryMs = recoveryMs(Math.max(...intervals));
  }

  run(): void {
    for (const [index, machine] of this.#machines.entries()) this.#begin(machine, index);
    for (const client of this.#clients) client.start();
    for (const { at, what } of this.#weather.faults) {
      this.#clock.at(at, () => {
        const { length } = this.#clients;
        this.#fault(what, this.#random.int(0, length - 1), this.#random.int(0, BROKERS - 1));
      });
    }
    this.#clock.runUntil(DURATION_MS + LONGEST_MS);
    this.#endFaults();
    this.#clock.runUntil(this.#clock.now + CALM_MS);
    for (const client of this.#clients) client.askMore(MORE_REQUESTS);
    const until = this.#clock.now + SETTLE_MS;
    while (!this.#clients.every(({ isDone }) => isDone)) {
      const open = this.#clients.find(({ isDone }) => !isDone);
      hold(this.#clock.now < until, `${open?.witness.unsettled ?? ''} never settles`);
      this.#clock.runUntil(this.#clock.now + STEP_MS);
    }
    let certain = 0;
    for (const client of this.#clients) {
      client.checkMemory();
      certain += client.certain;
    }
    this.tally.figures.set('requests with a sound server', certain);
  }

  #begin(machine: BrokerMachine, index: number): void {
    const random = this.#random.fork(30 + index);
    const isRough = this.#weather.isRough[index] === true;
    if (isRough) machine.outages.add('slow', 0, DURATION_MS + LONGEST_MS + this.#recoveryMs);
    this.#staff(machine, isRough, random);
    // Until its workers have registered, and its clients are connected.
    machine.outages.add('slow', 0, 100);
  }

  #staff(machine: BrokerMachine, isRough: boolean, random: SimRandom): void {
    const habits = isRough ? roughWorker : goodWorker;
    for (const service of [ECHO, PARTS]) {
      for (let count = random.int(1, 2); count > 0; count--) {
        machine.addWorker(habits(service, random));
      }
    }
  }

  // ---------------------------------------------------------------- faults

  /** A request was sent: sometimes a fault hits it on its way, or before its answer. */
  #sent(client: number, endpoint: number): void {
    const random = this.#ambushes;
    const { ambushChance, faults } = this.#weather;
    const [first, ...others] = faults;
    if (first === undefined || this.#clock.now >= DURATION_MS || !random.chance(ambushChance)) {
      return;
    }
    const { what } = random.pick([first, ...others]);
    this.#clock.after(random.int(0, AMBUSH_MS), () => this.#fault(what, client, endpoint));
  }

  #fault(what: FreelanceFault, number: number, endpoint: number): void {
    const random = this.#random;
    const machine = this.#machines[endpoint];
    const client = this.#clients[number];
    const lastsMs = random.int(1, random.pick([60, 250, LONGEST_MS]));
    if (machine === undefined || client === undefined) return;
    if (what === 'client stalls') {
      this.tally.fault(what);
      this.#stall(client, lastsMs);
    } else if (what === 'connection is cut' || what === 'connection is cut in silence') {
      this.tally.fault(what);
      this.#cut(client, endpoint, what !== 'connection is cut', lastsMs);
    } else if (machine.isWell) {
      this.tally.fault(what);
      this.#hurt(machine, what, lastsMs);
    }
  }

  #stall(client: FreelanceSimClient, lastsMs: number): void {
    const { now } = this.#clock;
    client.stalls.add('slow', now, now + lastsMs + this.#recoveryMs);
    client.stall(now + lastsMs);
  }

  #cut(client: FreelanceSimClient, endpoint: number, isSilent: boolean, lastsMs: number): void {
    const { now } = this.#clock;
    const unnoticedMs = isSilent ? lastsMs : NOTICE_MAX_MS;
    client.ways[endpoint]?.add('quick', now, now + unnoticedMs + this.#recoveryMs);
    client.cut(endpoint, isSilent, unnoticedMs);
  }

  #hurt(machine: BrokerMachine, what: FreelanceFault, lastsMs: number): void {
    const { now } = this.#clock;
    const until = now + (what === 'broker drains' ? Math.max(lastsMs, DRAIN_MS_MIN) : lastsMs);
    const { outages } = machine;
    switch (what) {
      case 'broker ends':
        machine.kill();
        this.#clock.at(until, () => machine.start());
        break;
      case 'broker freezes':
        machine.freeze(until);
        break;
      case 'broker drains':
        machine.drain();
        this.#clock.at(until, () => {
          machine.kill();
          machine.start();
        });
        break;
      case 'workers vanish':
        machine.loseWorkers();
        outages.add('slow', now, until);
        this.#clock.at(until, () => this.#staff(machine, this.#isRough(machine), this.#random));
        break;
      default:
        machine.slowDown(SLOW_MS);
        outages.add('slow', now, until + SLOW_MS);
        this.#clock.at(until, () => machine.hurry());
    }
    outages.add('quick', now, until);
    // Its workers have to come back, and what waits has to be done.
    outages.add('slow', until, until + this.#recoveryMs + SLOW_MS);
  }

  #isRough(machine: BrokerMachine): boolean {
    return this.#weather.isRough[this.#machines.indexOf(machine)] === true;
  }

  /** From now on each broker has good workers, or none, or is down for ever. */
  #endFaults(): void {
    const { now } = this.#clock;
    for (const [index, machine] of this.#machines.entries()) {
      const end = this.#weather.ends[index];
      machine.loseWorkers();
      machine.outages.add('slow', now, now + this.#recoveryMs + INTERVAL_MS);
      if (end === 'served') this.#staff(machine, false, this.#random.fork(40 + index));
      if (end === 'idle') machine.outages.add('slow', now, Infinity);
      if (end === 'down') {
        machine.kill();
        machine.outages.add('quick', now, Infinity);
      }
    }
  }
}
