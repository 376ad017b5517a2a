/**
 * Brokers of a fleet on a stage: each is a broker machine with a fleet machine, and one bus in
 * memory carries their packs. Virtual time; a script decides what the bus does to packs. Call
 * `endFleets` in `afterEach`.
 */
import { createHash } from 'node:crypto';

import type { FleetEvent } from '../../src/extensions/fleet/machine/fleet-events.js';
import { FleetMachine, type FleetMember } from '../../src/extensions/fleet/machine/fleet.js';
import { fleetDigest } from '../../src/extensions/fleet/machine/subjects.js';
import { seededRandom } from './stage-random.js';
import { Stage, type StageOptions } from './stage.js';

/** What the bus does with one copy of a pack: delays in milliseconds, one for each delivery. */
export type Fate = (subject: string, bytes: Buffer, from: string, to: string) => readonly number[];

interface Flight {
  readonly at: number;
  readonly order: number;
  readonly to: FleetStage;
  /** `null`: nobody listened to the WANT for `unheard`. */
  readonly bytes: Buffer | null;
  readonly unheard: string;
}

/** SHA-256. */
export const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
/** The digest of the name of a stage's fleet. */
export const STAGE_FLEET: Buffer = fleetDigest('stage', sha256);

const PASS: Fate = () => [0];
const TURNS_MAX = 2_000_000;
const PAYLOAD_MAX: number = 1024 * 1024;
const MEMORY_BYTES: number = 2 * 1024 * 1024 * 1024;

export interface FleetWorldOptions extends StageOptions {
  readonly payloadMax?: number;
  /** `limits.memoryBytes`; 2 GiB. */
  readonly memoryBytes?: number;
}

const worlds: FleetWorld[] = [];

/** A fleet without brokers yet. */
export function fleet(options: FleetWorldOptions = {}): FleetWorld {
  const made = new FleetWorld(options);
  worlds.push(made);
  return made;
}

/** Ends the fleets of the test; none of their brokers may hold anything then. */
export function endFleets(): void {
  for (const each of worlds.splice(0)) each.end();
}

export class FleetWorld {
  readonly stages: FleetStage[] = [];
  /** All packs that were published. */
  readonly packs: { readonly subject: string; readonly bytes: Buffer; readonly from: string }[] =
    [];
  fate: Fate = PASS;
  now = 3_600_000;
  isUp = true;
  readonly options: FleetWorldOptions;
  readonly #subjects = new Map<string, Set<FleetStage>>();
  #flights: Flight[] = [];
  #order = 0;
  #isSettling = false;
  #made = 0;

  constructor(options: FleetWorldOptions = {}) {
    this.options = options;
  }

  /** A broker joins, and all are told of it. */
  broker(name: string, options: FleetWorldOptions = {}): FleetStage {
    const made = new FleetStage(this, name, ++this.#made, { ...this.options, ...options });
    this.stages.push(made);
    made.now = this.now;
    made.begins();
    return made;
  }

  // ---------------------------------------------------------------- the bus

  subscribe(subject: string, who: FleetStage): void {
    const known = this.#subjects.get(subject);
    if (known === undefined) this.#subjects.set(subject, new Set([who]));
    else known.add(who);
  }

  unsubscribe(subject: string, who: FleetStage): void {
    this.#subjects.get(subject)?.delete(who);
  }

  publish(from: FleetStage, subject: string, bytes: Buffer, unheard: string | null): void {
    if (!this.isUp) return;
    this.packs.push({ subject, bytes, from: from.name });
    if (this.packs.length > 10_000) this.packs.shift();
    const others = [...(this.#subjects.get(subject) ?? [])].filter((each) => each !== from);
    for (const to of others) {
      for (const delay of this.fate(subject, bytes, from.name, to.name)) {
        this.#fly(to, delay, Buffer.from(bytes), '');
      }
    }
    if (others.length === 0 && unheard !== null) this.#fly(from, 0, null, unheard);
  }

  /** Anything at all arrives at a broker. */
  inject(to: FleetStage, bytes: Buffer): void {
    this.#fly(to, 0, bytes, '');
    this.settle();
  }

  #fly(to: FleetStage, delay: number, bytes: Buffer | null, unheard: string): void {
    this.#flights.push({ at: this.now + delay, order: this.#order++, to, bytes, unheard });
  }

  /** NATS ends: what is under way is lost. */
  goesDown(): void {
    this.isUp = false;
    this.#flights = [];
    this.#subjects.clear();
    for (const stage of this.stages) {
      stage.gives((machine) => machine.linkDown('stopped'));
    }
  }

  comesBack(): void {
    this.isUp = true;
    for (const stage of this.stages) stage.begins();
  }

  /** The process of a broker is gone. */
  kill(stage: FleetStage): void {
    this.stages.splice(this.stages.indexOf(stage), 1);
    for (const each of this.#subjects.values()) each.delete(stage);
    this.#flights = this.#flights.filter(({ to }) => to !== stage);
  }

  // ---------------------------------------------------------------- time

  /** Delivers what is due, until nothing more is under way now. */
  settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    try {
      for (let turns = 0; ; turns++) {
        if (turns > TURNS_MAX) throw new Error('the fleet does not come to rest');
        const due = this.#nextFlight();
        if (due === null) return;
        this.#flights.splice(this.#flights.indexOf(due), 1);
        due.to.gives((machine) => {
          if (due.bytes === null) machine.unheard(due.unheard);
          else machine.received(due.bytes);
        });
      }
    } finally {
      this.#isSettling = false;
    }
  }

  #nextFlight(): Flight | null {
    let first: Flight | null = null;
    for (const flight of this.#flights) {
      const { at, order, to } = flight;
      if (at > this.now || to.isPaused) continue;
      if (first === null || at < first.at || (at === first.at && order < first.order)) {
        first = flight;
      }
    }
    return first;
  }

  after(ms: number): void {
    const until = this.now + ms;
    for (let turns = 0; ; turns++) {
      if (turns > TURNS_MAX) throw new Error(`a turn is always due at ${this.now} ms`);
      const running = this.stages.filter(({ isPaused }) => !isPaused);
      const flight = this.#flights
        .filter(({ to }) => !to.isPaused)
        .reduce((first, { at }) => Math.min(first, at), Infinity);
      const next = running.reduce((first, each) => Math.min(first, each.nextAt()), flight);
      if (next > until) break;
      this.#setTime(Math.max(this.now, next));
      this.settle();
      for (const each of running) if (each.nextAt() <= this.now) each.beatAndTurn();
    }
    this.#setTime(until);
    this.settle();
  }

  #setTime(now: number): void {
    this.now = now;
    for (const stage of this.stages) if (!stage.isPaused) stage.now = now;
  }

  /** All peers leave, the bus goes, all time-outs pass: no broker may hold anything then. */
  end(): void {
    for (const stage of [...this.stages]) if (stage.isPaused) stage.continues();
    this.goesDown();
    for (const stage of this.stages) {
      stage.after(10_000);
      stage.end();
    }
  }
}

export class FleetStage extends Stage {
  readonly name: string;
  readonly machine: FleetMachine;
  readonly world: FleetWorld;
  /** Stopped (SIGSTOP): it neither reads nor takes turns. */
  isPaused = false;
  keys: Buffer = Buffer.alloc(8, 7);
  /** What others hinted at. */
  readonly hints: string[] = [];
  readonly #told: FleetEvent[] = [];

  constructor(world: FleetWorld, name: string, seed: number, options: FleetWorldOptions) {
    super({ ...options, seed });
    this.world = world;
    this.name = name;
    this.now = world.now;
    this.alone();
    const id = Buffer.alloc(8);
    seededRandom(seed + 500)(id);
    const facts = { id, fleet: 'stage', node: name, version: '0.1.0', keys: () => this.keys };
    this.machine = new FleetMachine(
      {
        ...{ ...facts, digest: sha256 },
        messageBytesMax: () => this.options.limits.messageBytes,
        memoryBytesMax: () => options.memoryBytes ?? MEMORY_BYTES,
        hinted: (content) => {
          this.hints.push(content.toString());
        },
      },
      {
        publish: (subject, bytes, unheard) => world.publish(this, subject, bytes, unheard),
        subscribe: (subject) => world.subscribe(subject, this),
        unsubscribe: (subject) => world.unsubscribe(subject, this),
      },
      {
        emit: (event) => {
          this.#told.push(event);
        },
      },
    );
    this.payloadMax = options.payloadMax ?? PAYLOAD_MAX;
    this.machine.setTime(this.now);
    this.broker.connect(this.machine);
    this.broker.watchServices((service, isServed) => this.machine.service(service, isServed));
  }

  readonly payloadMax: number;

  begins(): void {
    this.gives((machine) => machine.linkUp(this.payloadMax, 'bus'));
    this.world.settle();
  }

  /** An input of its fleet machine, and a turn. */
  gives(give: (machine: FleetMachine) => void): void {
    this.machine.setTime(this.now);
    give(this.machine);
    if (!this.isPaused) this.turn();
  }

  stops(): void {
    this.isPaused = true;
  }

  continues(): void {
    this.isPaused = false;
    this.now = this.world.now;
    // Timers come before what is read.
    this.beatAndTurn();
    this.world.settle();
  }

  override input(give: Parameters<Stage['input']>[0]): void {
    this.machine.setTime(this.now);
    super.input(give);
  }

  override turn(): void {
    if (this.isPaused) return;
    for (let turns = 0; ; turns++) {
      if (turns === TURNS_MAX) throw new Error('it does not come to rest');
      super.turn();
      this.machine.run(this.now, this.broker.storedDeliveries, this.broker.remote);
      super.turn();
      if (this.machine.dueInMs(this.now) > 0) break;
    }
    this.world.settle();
  }

  nextAt(): number {
    return Math.max(this.now, Math.min(this.dueAt(), this.nextBeatAt()));
  }

  override dueAt(): number {
    return Math.min(super.dueAt(), this.now + this.machine.dueInMs(this.now));
  }

  /** Events of this name since the last call for it. */
  told<Name extends FleetEvent['name']>(name: Name): Extract<FleetEvent, { name: Name }>[] {
    const isNamed = (event: FleetEvent): event is Extract<FleetEvent, { name: Name }> =>
      event.name === name;
    const named = this.#told.filter(isNamed);
    const others = this.#told.filter((event) => event.name !== name);
    this.#told.splice(0, this.#told.length, ...others);
    return named;
  }

  members(): FleetMember[] {
    return this.machine.members(this.now);
  }
}
