/**
 * A machine with one broker and its workers: it can be down, frozen or draining, its workers can
 * vanish, and the network to it can be slow. It keeps a record of when something was wrong.
 */
import { SimWorker, type WorkerHabits } from '../actors/worker.js';
import type { Surroundings } from '../actors/line.js';
import type { Tally } from '../actors/tally.js';
import type { Delivered, Sent } from '../model/intent.js';
import { PLENTY } from '../stored/weather.js';
import { BrokerNode, type NodeProcess } from '../world/broker-node.js';
import type { SimClock } from '../world/clock.js';
import { type Connection, type Dialled, type ServerEnd, SimNetwork } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { Outages } from './outages.js';
import { OPENED, ZMTP_PING, ZMTP_PONG } from './signals.js';
import { type FreelanceWeather, NOTICE_MAX_MS } from './weather.js';

type Link = Connection<Sent, Delivered>;

/** What all machines and clients of a world share. */
export interface Stage {
  readonly clock: SimClock;
  readonly trace: Trace;
  readonly tally: Tally;
}

export type MachineWeather = Pick<FreelanceWeather, 'broker' | 'shell' | 'delayMaxMs'>;

export class BrokerMachine implements ServerEnd<Sent, Delivered> {
  readonly name: string;
  readonly network: SimNetwork<Sent, Delivered>;
  /** When it served badly or not at all, whoever asked. */
  readonly outages = new Outages();
  readonly #stage: Stage;
  readonly #random: SimRandom;
  readonly #node: BrokerNode;
  readonly #around: Surroundings;
  /** The messages of the network to it may take so long. */
  readonly #roads: { delayMinMs: number; delayMaxMs: number };
  readonly #calmDelayMs: number;
  readonly #admitted = new Set<Link>();
  #workers: SimWorker[] = [];
  #made = 0;
  #isUp = true;
  #frozenUntil = 0;
  #isDraining = false;
  /** What its connections would have said while it was frozen. */
  #postponed: (() => void)[] = [];

  /** @param makeProcess of its broker; default: one that the model predicts */
  constructor(
    name: string,
    weather: MachineWeather,
    stage: Stage,
    random: SimRandom,
    makeProcess: (() => NodeProcess) | null = null,
  ) {
    this.name = name;
    this.#stage = stage;
    this.#random = random;
    const { clock, trace, tally } = stage;
    this.#calmDelayMs = weather.delayMaxMs;
    this.#roads = { delayMinMs: 0, delayMaxMs: weather.delayMaxMs };
    const limits = { noticeMaxMs: NOTICE_MAX_MS, outputBytesMax: PLENTY };
    this.network = new SimNetwork(clock, Object.assign(this.#roads, limits), this);
    const { broker, shell } = weather;
    const own = trace.at(name);
    const chance = random.fork(1);
    this.#node = new BrokerNode(broker, shell, clock, chance, own, tally, null, makeProcess);
    this.#around = {
      clock,
      network: this.network,
      trace,
      tally,
      heartbeatIntervalMs: broker.heartbeatIntervalMs,
      tokens: [],
    };
  }

  /** True if a fault can begin: nothing else is wrong with its process. */
  get isWell(): boolean {
    return this.#isUp && !this.#isDraining && this.#frozenUntil <= this.#stage.clock.now;
  }

  get workers(): number {
    return this.#workers.length;
  }

  get load(): BrokerNode['load'] {
    return this.#node.load;
  }

  /** The names of the requests that its workers were given, in order. */
  get given(): string[] {
    return this.#around.tokens.map(({ key }) => key);
  }

  // ---------------------------------------------------------------- workers

  addWorker(habits: WorkerHabits): void {
    const number = ++this.#made;
    const name = `${this.name}w${number}`;
    const random = this.#random.fork(100 + number);
    const worker = new SimWorker(name, habits, this.#around, dialledBy(name, 0, ''), random);
    this.#workers.push(worker);
    worker.start();
  }

  /** Its workers are gone, in an orderly way or not. */
  loseWorkers(): void {
    for (const worker of this.#workers.splice(0)) worker.leave();
  }

  // ---------------------------------------------------------------- faults

  /** Its process ends, and with it all connections. */
  kill(): void {
    this.#note('ends');
    this.#isUp = false;
    this.#isDraining = false;
    this.#frozenUntil = 0;
    this.#postponed = [];
    this.network.endAll();
    this.#admitted.clear();
    this.#node.restart();
  }

  start(): void {
    this.#note('starts');
    this.#isUp = true;
    this.#node.reachable();
  }

  drain(): void {
    this.#isDraining = true;
    this.#node.drain();
  }

  /** A drain ends: what is left is told to its peers. `kill` follows. */
  stop(): void {
    this.#node.stop();
  }

  freeze(until: number): void {
    this.#frozenUntil = until;
    this.#stage.clock.at(until, () => {
      if (this.#frozenUntil !== until) return;
      this.#frozenUntil = 0;
      for (const action of this.#postponed.splice(0)) action();
    });
    this.#node.freeze(until);
  }

  slowDown(delayMaxMs: number): void {
    this.#roads.delayMaxMs = delayMaxMs;
  }

  hurry(): void {
    this.#roads.delayMaxMs = this.#calmDelayMs;
  }

  // ---------------------------------------------------------------- from the network

  connected(link: Link): void {
    if (!this.#isUp) {
      link.end();
      return;
    }
    this.#admitted.add(link);
    this.#node.connected(link);
    this.#say(link, OPENED);
  }

  received(link: Link, sent: Sent): void {
    if (!this.#admitted.has(link)) return;
    if (sent === ZMTP_PING) this.#say(link, ZMTP_PONG);
    else this.#node.received(link, sent);
  }

  outputFull(link: Link): void {
    this.#node.outputFull(link);
  }

  drained(link: Link): void {
    this.#node.drained(link);
  }

  disconnected(link: Link): void {
    if (this.#admitted.delete(link)) this.#node.disconnected(link);
  }

  #say(link: Link, signal: Delivered): void {
    const say = (): void => link.write(signal, 1);
    if (this.#frozenUntil > this.#stage.clock.now) this.#postponed.push(say);
    else say();
  }

  #note(what: string): void {
    this.#stage.trace.note(this.#stage.clock.now, this.name, what);
  }
}

/** @param socketType '': one that the transport does not know */
export function dialledBy(name: string, listener: number, socketType: string): Dialled {
  return {
    listener,
    ownRoutingId: false,
    routingId: Buffer.from(name),
    key: null,
    address: '127.0.0.1',
    identity: '127.0.0.1',
    ...(socketType === '' ? {} : { socketType }),
  };
}
