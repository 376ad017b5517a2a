/**
 * A client with its own key that knows the uuids and idempotency keys of what another key stored.
 * It asks for it, waits for it, closes it and submits under its idempotency keys; it must obtain
 * nothing and end nothing (D70, D71).
 */
import { type Actor, Line, type Surroundings } from '../actors/line.js';
import type { Delivered } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import { ask, readAnswer } from './asking.js';
import type { DurableClient, Job } from './durable-client.js';

const GAP_MS_MAX = 60;
/** A pair has four of them. */
const GAP_MS_MAX_OF_PAIR = 120;
const WAIT_MS_MAX = 200;
const WHAT = ['reply', 'wait', 'close', 'submit'] as const;

interface Question {
  readonly what: (typeof WHAT)[number];
  readonly job: Job;
}

export class Spy implements Actor {
  readonly name: string;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #victims: readonly DurableClient[];
  /** A node of a pair may not know what the other one has: 300. */
  readonly #isPaired: boolean;
  readonly #questions = new Map<string, Question>();
  #asked = 0;
  #left = false;

  /** @param victims clients with another key; more may be added */
  constructor(
    name: string,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
    victims: readonly DurableClient[],
    isPaired: boolean,
  ) {
    this.name = name;
    this.#around = around;
    this.#random = random;
    this.#victims = victims;
    this.#isPaired = isPaired;
    const received = (frames: Delivered): void => this.#received(frames);
    this.#line = new Line(name, around, dialled, random.fork(1), received, () => undefined);
  }

  start(): void {
    const most = this.#isPaired ? GAP_MS_MAX_OF_PAIR : GAP_MS_MAX;
    this.#around.clock.after(this.#random.int(1, most), () => {
      if (this.#left) return;
      if (!this.#line.isOpen || this.#random.chance(0.05)) this.#line.dial();
      this.#ask();
      this.start();
    });
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  #ask(): void {
    const jobs = this.#victims.flatMap((victim) => victim.jobs).filter(({ uuid }) => uuid !== null);
    const [first, ...others] = jobs;
    if (first === undefined) return;
    const job = this.#random.pick([first, ...others]);
    const what = this.#random.pick(WHAT);
    if (what === 'submit' && job.key === null) return;
    const id = `${this.name}#${this.#asked++}`;
    this.#questions.set(id, { what, job });
    const uuid = job.uuid ?? '';
    const bodies = {
      reply: [uuid],
      wait: [uuid, String(this.#random.int(0, WAIT_MS_MAX))],
      close: [uuid],
      submit: [JSON.stringify({ key: job.key }), job.service, `${this.name}.${this.#asked}`],
    };
    ask(this.#line, id, `titanic.${what}`, bodies[what]);
  }

  #received(delivered: Delivered): void {
    if (this.#left) return;
    const answer = readAnswer(this.name, delivered);
    const question = this.#questions.get(answer.id);
    hold(question !== undefined, `${this.name} gets an answer to nothing`);
    const [status = '', ...body] = answer.body;
    const { what, job } = question;
    if (status.startsWith('503') || (status.startsWith('500') && !status.includes('dead'))) return;
    this.#around.tally.fault(`spy: ${what}`);
    if (what === 'submit') {
      const isOwn = this.#victims.every(({ jobs }) => jobs.every(({ uuid }) => uuid !== body[0]));
      hold(isOwn, `${this.name} is given the uuid of ${job.name}, which is another's`);
    } else if (what === 'close') {
      // To everybody, a request that is gone, or unknown to this node, is closed.
      hold(/^(200|400 unknown)$/.test(status), `${this.name} closes ${job.name}: ${status}`);
    } else {
      const isNothing = status === '400 unknown' || (this.#isPaired && status === '300');
      hold(isNothing, `${this.name} is told ${status} of ${job.name}, which is another's`);
    }
  }
}
