/**
 * Brokers with sessions, the SDK's own clients and workers, and others that misbehave: connections are cut, processes end,
 * freeze and drain. Checks how often requests run (docs/sdk-delivery.md).
 */
import { Holdings } from '../../../src/core/holdings.js';
import { PROTOCOL_EXTENSIONS, RESUME } from '../../../src/mmi/protocol-extensions.js';
import { Tally } from '../actors/tally.js';
import { BrokerMachine, type Stage } from '../freelance/machine.js';
import { NOTICE_MAX_MS } from '../freelance/weather.js';
import { STATUS } from '../model/broker-status.js';
import type { NodeProcess } from '../world/broker-node.js';
import { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { type ClientSabotage, SessionClient } from './client.js';
import { Deliveries } from './deliveries.js';
import { Runs } from './runs.js';
import {
  DURATION_MS,
  type SdkWorkerHabits,
  type SessionFault,
  type SessionsWeather,
  weatherOf,
} from './weather.js';
import { SdkWorker, type WorkerSabotage } from './worker.js';

export interface SessionsSabotage extends ClientSabotage, WorkerSabotage {
  /** Worlds in which it shows soon. */
  weather?(weather: SessionsWeather): SessionsWeather;
  process?(process: NodeProcess): NodeProcess;
}

/** A broker's machine, and the present process of the broker. */
export interface SessionMachine {
  readonly machine: BrokerMachine;
  readonly process: Deliveries;
}

const LONGEST_MS = 5000;
const STALLS = 3;
/** Answers that a client is sent count as received when it says something half a second later. */
const SLOW_MS = 200;
/** From a broker's last words to the end of its process. */
const FLUSH_MS = 20;
/** Requests are usually at a worker within this time. */
const AMBUSH_MS = 50;
const CALM_MS = 8000;
const MORE_REQUESTS = 2;
/** In which all requests settle. */
const SETTLE_MS = 400_000;
const STEP_MS = 500;
/** Besides `resumeMs`, what brokers keep for clients, and look for workers. */
const FORGET_MS = 12_000;
const GATE_BYTES_MAX = 1000;
const GOOD: SdkWorkerHabits = { concurrency: 2, serveMaxMs: 20, failChance: 0 };

export class SessionsWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #ambushes: SimRandom;
  readonly #weather: SessionsWeather;
  readonly #sabotage: SessionsSabotage;
  readonly #stage: Stage;
  readonly #machines: readonly (SessionMachine & { readonly holdings: Holdings })[];
  readonly #runs: Runs;
  readonly #clients: readonly SessionClient[];
  #workers: SdkWorker[] = [];
  #made = 0;

  constructor(seed: number, isTraced = false, sabotage: SessionsSabotage = {}) {
    this.#random = new SimRandom(seed);
    this.#ambushes = this.#random.fork(3);
    this.trace = new Trace(isTraced);
    this.#sabotage = sabotage;
    const made = weatherOf(this.#random.fork(1));
    const weather = sabotage.weather?.(made) ?? made;
    this.#weather = weather;
    this.#stage = { clock: this.#clock, trace: this.trace, tally: this.tally };
    this.#machines = Array.from({ length: weather.brokers }, (_, index) => this.#machine(index));
    const machines = this.#machines.map(({ machine }) => machine);
    this.#runs = new Runs(this.#clock, machines, weather.limits);
    this.#clients = weather.clients.map((habits, index) => {
      const random = this.#random.fork(20 + index);
      const sent = (endpoint: number): void => this.#sent(index, endpoint);
      const name = `c${index}`;
      const runs = this.#runs;
      const stage = this.#stage;
      return new SessionClient(name, habits, machines, stage, random, runs, sabotage, sent);
    });
  }

  /** Each start of its broker is another one. */
  #machine(index: number): SessionMachine & { readonly holdings: Holdings } {
    const { broker } = this.#weather;
    let starts = 0;
    const { limits } = this.#weather;
    const present = { process: new Deliveries(limits), holdings: new Holdings() };
    const makeProcess = (): NodeProcess => {
      present.process.end();
      present.process = new Deliveries(limits);
      present.holdings = new Holdings();
      const { process: oracle, holdings } = present;
      const status = {
        ...STATUS,
        extensions: [...PROTOCOL_EXTENSIONS, RESUME],
        instance: `b${index}.${++starts}`,
      };
      const options = { ...broker, holdings };
      const process = { options, oracle, status, limitsOf: () => limits };
      return this.#sabotage.process?.(process) ?? process;
    };
    const random = this.#random.fork(10 + index);
    const name = `b${index}`;
    const machine = new BrokerMachine(name, this.#weather, this.#stage, random, makeProcess);
    return Object.assign(present, { machine });
  }

  run(): void {
    const { faults, workers, rough } = this.#weather;
    for (const habits of workers) this.#work(habits);
    for (const habits of rough) this.#random.pick(this.#all).machine.addWorker(habits);
    for (const client of this.#clients) client.start();
    for (const { at, what } of faults) {
      this.#clock.at(at, () => {
        const client = this.#random.int(0, this.#clients.length - 1);
        this.#fault(what, client, this.#random.int(0, this.#machines.length - 1));
      });
    }
    this.#clock.runUntil(DURATION_MS + STALLS * LONGEST_MS);
    this.#endFaults();
    this.#clock.runUntil(this.#clock.now + CALM_MS);
    for (const client of this.#clients) client.askMore(MORE_REQUESTS);
    const until = this.#clock.now + SETTLE_MS;
    while (!this.#clients.every(({ isDone }) => isDone)) {
      hold(this.#clock.now < until, 'a request never settles');
      this.#clock.runUntil(this.#clock.now + STEP_MS);
    }
    this.#clock.runUntil(this.#clock.now + CALM_MS);
    this.#checkEnd();
  }

  #checkEnd(): void {
    this.#runs.check(this.#weather.isCalm);
    for (const client of this.#clients) {
      client.checkMemory();
      client.close();
    }
    for (const worker of this.#workers) worker.close(0);
    for (const { machine } of this.#machines) {
      machine.loseWorkers();
      machine.network.noticeAll();
    }
    this.#clock.runUntil(this.#clock.now + this.#weather.broker.resumeMs + FORGET_MS);
    for (const { machine, holdings } of this.#machines) {
      const { load } = machine;
      const left = Object.entries(load).filter(([, count]) => count > 0);
      hold(left.length === 0, `${machine.name} still holds ${left.join(' ')}`);
      // A service that is remembered keeps its gate.
      const most = this.#weather.limits?.service ? GATE_BYTES_MAX : 0;
      hold(holdings.bytes <= most, `${machine.name} still holds ${holdings.bytes} bytes`);
    }
    this.tally.figures.set('requests that ran again', this.#runs.again);
    this.tally.figures.set('runs that a later broker counts', this.#runs.counted);
  }

  get #all(): [SessionMachine, ...SessionMachine[]] {
    const [first, ...others] = this.#machines;
    hold(first !== undefined, 'there is a broker');
    return [first, ...others];
  }

  #work(habits: SdkWorkerHabits): void {
    const number = ++this.#made;
    const random = this.#random.fork(100 + number);
    const worker = new SdkWorker(
      `w${number}`,
      habits,
      this.#machines,
      this.#stage,
      random,
      this.#runs,
      this.#sabotage,
    );
    this.#workers.push(worker);
    worker.start();
  }

  // ---------------------------------------------------------------- faults

  /** A request was sent: sometimes a fault hits it on its way, at its worker, or before its answer. */
  #sent(client: number, endpoint: number): void {
    const random = this.#ambushes;
    const { ambushChance, faults } = this.#weather;
    const [first, ...others] = faults;
    if (first === undefined || this.#clock.now >= DURATION_MS || !random.chance(ambushChance)) {
      return;
    }
    const { what } = random.pick([first, ...others]);
    this.#clock.after(random.int(0, random.pick([2, AMBUSH_MS])), () => {
      this.#fault(what, client, endpoint);
    });
  }

  #fault(what: SessionFault, number: number, endpoint: number): void {
    const random = this.#random;
    const { now } = this.#clock;
    const machine = this.#machines[endpoint]?.machine;
    const client = this.#clients[number];
    const lastsMs = random.int(1, random.pick([60, 800, LONGEST_MS]));
    if (machine === undefined || client === undefined) return;
    switch (what) {
      case 'client stalls':
        // Also for longer than its broker keeps its session.
        client.stalls.add('slow', now, now + STALLS * lastsMs);
        client.stall(now + STALLS * lastsMs);
        break;
      case 'connection is cut':
        client.cut(endpoint, true, true, NOTICE_MAX_MS);
        break;
      case 'connection is cut in silence':
      case 'connection is cut, and the client learns it later':
      case 'connection is cut, and the broker learns it later':
        client.ways[endpoint]?.add('quick', now, now + lastsMs);
        client.cut(endpoint, what.includes('client'), what.includes('broker'), lastsMs);
        break;
      case 'messages are slow':
        machine.outages.add('slow', now, now + lastsMs + SLOW_MS);
        machine.slowDown(SLOW_MS);
        this.#clock.after(lastsMs, () => machine.hurry());
        break;
      case 'broker freezes':
      case 'broker ends':
      case 'broker drains':
        if (!machine.isWell) return;
        machine.outages.add('quick', now, now + lastsMs + FLUSH_MS);
        this.#hurt(machine, what, lastsMs);
        break;
      default:
        this.#hurtWorker(what, lastsMs);
    }
    this.tally.fault(what);
  }

  #hurt(machine: BrokerMachine, what: SessionFault, lastsMs: number): void {
    const { clock } = this.#stage;
    if (what === 'broker freezes') {
      machine.freeze(clock.now + lastsMs);
      return;
    }
    if (what === 'broker ends') {
      machine.kill();
      clock.after(lastsMs, () => machine.start());
      return;
    }
    machine.drain();
    clock.after(lastsMs, () => {
      machine.stop();
      clock.after(FLUSH_MS, () => {
        machine.kill();
        machine.start();
      });
    });
  }

  #hurtWorker(what: SessionFault, lastsMs: number): void {
    const random = this.#random;
    const { now } = this.#clock;
    const [first, ...others] = this.#workers;
    if (first === undefined) return;
    const worker = random.pick([first, ...others]);
    if (what === 'worker loses its connection') {
      worker.loseConnection(random.chance(0.5), random.chance(0.5), lastsMs);
    } else if (what === 'worker stalls') {
      worker.stall(now + lastsMs);
    } else {
      this.#workers = this.#workers.filter((each) => each !== worker);
      if (what === 'worker ends') worker.kill(random.chance(0.3), lastsMs);
      else worker.close(lastsMs);
      this.#clock.after(random.int(0, lastsMs), () => this.#work(worker.habits));
    }
  }

  /** From now on there are good workers only. */
  #endFaults(): void {
    for (const { machine } of this.#machines) machine.loseWorkers();
    if (!this.#weather.isCalm) this.#work(GOOD);
  }
}
