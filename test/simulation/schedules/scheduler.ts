/**
 * A client that makes schedules, replaces them by others and ends them. When the faults are over it
 * makes each of them once more, so that it is certain which there are; later it ends all of them.
 */
import { type Actor, Line, type Surroundings } from '../actors/line.js';
import type { Delivered } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import { ask, readAnswer } from '../stored/asking.js';
import type { Services } from '../stored/cast.js';
import { CRONS } from './lines.js';

/** Longer than the time between two looks at the disks of a pair: each step can be seen. */
const GAP_MS_MIN = 30;
const PATIENCE_MS = 1500;
const ZONES = ['UTC', 'Europe/Berlin', 'Asia/Kolkata'] as const;

export interface Wish {
  readonly cron: string;
  readonly timeZone: string;
  readonly service: string;
  readonly body: string;
}

/** One of its names. */
interface Named {
  readonly name: string;
  /** What it wants there to be. */
  wish: Wish | null;
  /** That has been answered; otherwise something older may be there. */
  isCertain: boolean;
  versions: number;
}

type Phase = 'changes' | 'settles' | 'ends';

interface Question {
  readonly named: Named;
  readonly wish: Wish | null;
  readonly phase: Phase;
  /** The connection that it was sent over. */
  readonly dial: number;
}

export interface SchedulerOptions {
  readonly names: number;
  readonly services: Services;
  readonly gapMaxMs: number;
  /** A pair's: the next connection goes to the other node. */
  readonly turnElsewhere: (() => void) | null;
  /** Probability that it dials again before a command, while it waits for no answer. */
  readonly dialChance: number;
}

export class Scheduler implements Actor {
  readonly name: string;
  readonly key: string | null;
  /** Of schedules that were ended for good: the wall time when that was answered. */
  readonly endedAt = new Map<string, number>();
  readonly #options: SchedulerOptions;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #wall: () => number;
  readonly #named: readonly Named[];
  readonly #questions = new Map<string, Question>();
  #asked = 0;
  #phase: Phase = 'changes';
  #left = false;

  constructor(
    options: SchedulerOptions,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
    wall: () => number,
  ) {
    this.name = dialled.routingId.toString();
    this.key = dialled.key;
    this.#options = options;
    this.#around = around;
    this.#random = random;
    this.#wall = wall;
    this.#named = Array.from({ length: options.names }, (_, at) => ({
      ...{ name: `${this.name}n${at}`, wish: null, isCertain: true, versions: 0 },
    }));
    const received = (frames: Delivered): void => this.#received(frames);
    this.#line = new Line(this.name, around, dialled, random.fork(1), received, () => {
      this.#dialAgain();
    });
  }

  start(): void {
    this.#line.dial();
    for (const named of this.#named) this.#next(named);
  }

  /** From now on there is to be what it wants now. */
  settle(): void {
    this.#phase = 'settles';
    for (const named of this.#named) named.isCertain = false;
  }

  end(): void {
    this.#phase = 'ends';
    for (const named of this.#named) named.isCertain = false;
  }

  get isCertain(): boolean {
    return this.#named.every(({ isCertain }) => isCertain);
  }

  /** What there is, when it is certain. */
  get wishes(): ReadonlyMap<string, Wish> {
    const wishes = new Map<string, Wish>();
    for (const { name, wish } of this.#named) if (wish !== null) wishes.set(name, wish);
    return wishes;
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  #dialAgain(): void {
    this.#around.clock.after(this.#random.int(1, GAP_MS_MIN), () => {
      if (!this.#left && !this.#line.isOpen) this.#line.dial();
    });
  }

  #next(named: Named): void {
    this.#around.clock.after(this.#random.int(GAP_MS_MIN, this.#options.gapMaxMs), () => {
      if (this.#left) return;
      if (this.#phase === 'changes') this.#ask(named, this.#another(named));
      else if (named.isCertain) this.#next(named);
      else this.#ask(named, this.#phase === 'ends' ? null : named.wish);
    });
  }

  /** Sometimes the same again, or with another body only. */
  #another({ name, wish, versions }: Named): Wish | null {
    const body = `${name}.${versions}`;
    const chance = this.#random.int(0, 9);
    if (wish !== null && chance < 2) return wish;
    if (wish !== null && chance < 6) return { ...wish, body };
    if (wish !== null && chance < 8) return null;
    return {
      cron: this.#random.pick(CRONS),
      timeZone: this.#random.pick(ZONES),
      service: this.#random.pick(this.#options.services),
      body,
    };
  }

  #ask(named: Named, wish: Wish | null): void {
    const { dialChance } = this.#options;
    const mayDial = dialChance > 0 && this.#questions.size === 0;
    if (mayDial && this.#random.chance(dialChance)) this.#line.dial();
    const id = `${this.name}#${this.#asked++}`;
    const question = { named, wish, phase: this.#phase, dial: this.#line.dials };
    named.wish = wish;
    named.isCertain = false;
    named.versions++;
    this.#questions.set(id, question);
    this.#around.tally.fault(wish === null ? 'schedule is ended' : 'schedule is made');
    const { name } = named;
    if (wish === null) ask(this.#line, id, 'titanic.unschedule', [name]);
    else {
      const { cron, timeZone, service, body } = wish;
      ask(this.#line, id, 'titanic.schedule', [
        JSON.stringify({ name, cron, timeZone }),
        service,
        body,
      ]);
    }
    this.#around.clock.after(PATIENCE_MS, () => {
      if (!this.#questions.delete(id) || this.#left) return;
      this.#moveOn(question);
      this.#next(named);
    });
  }

  /** What was sent over the old connection may still be carried out. */
  #moveOn({ dial }: Question): void {
    if (dial !== this.#line.dials) return;
    this.#options.turnElsewhere?.();
    this.#line.dial();
  }

  #received(delivered: Delivered): void {
    if (this.#left) return;
    const { id, body } = readAnswer(this.name, delivered);
    const question = this.#questions.get(id);
    // It was given up.
    if (question === undefined) return;
    this.#questions.delete(id);
    const [status = '', json = ''] = body;
    const { named } = question;
    this.#around.trace.note(this.#around.clock.now, named.name, `${status} ${json}`);
    if (status === '200') this.#answered(question, json);
    else hold(/^50[03]/.test(status), `${named.name} is answered ${status}`);
    if (status.startsWith('503')) this.#moveOn(question);
    this.#next(named);
  }

  #answered({ named, wish, phase }: Question, json: string): void {
    const { name } = named;
    const told = JSON.parse(json) as Readonly<Record<string, unknown>>;
    if (wish === null) hold(typeof told['removed'] === 'boolean', `${name} is answered ${json}`);
    else {
      const { cron, timeZone, service } = wish;
      const isSame =
        told['name'] === name &&
        told['cron'] === cron &&
        told['timeZone'] === timeZone &&
        told['service'] === service;
      hold(isSame, `${name} is made as ${json}`);
    }
    // What one node of a split has answered is not certain.
    if (phase !== this.#phase) return;
    named.isCertain = true;
    if (phase === 'ends') this.endedAt.set(name, this.#wall());
  }
}
