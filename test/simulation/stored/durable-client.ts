/**
 * A client of `titanic.*`: hands over requests, asks for their replies, closes them, and checks that
 * no promise that it was given is ever broken, without any knowledge of the machine or the disk.
 */
import { Frames } from '../../../src/core/frames.js';
import { clientRequest, readClientReply } from '../../../src/wire/client-side.js';
import { Line, type Actor, type Surroundings } from '../actors/line.js';
import type { Delivered } from '../model/intent.js';
import { hold, violated } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';

export interface DurableHabits {
  readonly jobs: number;
  readonly services: readonly [string, ...string[]];
  readonly gapMaxMs: number;
  readonly patienceMs: number;
  readonly keyChance: number;
  readonly closeChance: number;
  readonly cutChance: number;
  readonly ttlMaxMs: number;
  readonly delayMaxMs: number;
}

/** One handing over; a job has several if it was tried again without a key. */
export interface Job {
  readonly name: string;
  readonly service: string;
  readonly options: Record<string, unknown>;
  readonly key: string | null;
  tries: number;
  /** What a 200 said. */
  uuid: string | null;
  /** Before it was handed over, by the clock on the wall. */
  readonly sentAt: number;
  shown: 'nothing' | 'reply' | 'dead' | 'gone';
  reply: string;
  closeAsked: boolean;
  closed: boolean;
}

interface Question {
  readonly what: 'submit' | 'reply' | 'wait' | 'close';
  readonly job: Job;
  readonly body: string;
  over: boolean;
}

/** What it may ask of the world: only the time. */
export interface WallClock {
  readonly wallLeast: number;
  readonly wallMax: number;
}

export class DurableClient implements Actor {
  readonly name: string;
  readonly jobs: Job[] = [];
  /** Bodies of requests that were answered 500: nothing may be kept of them. */
  readonly refused = new Set<string>();
  readonly #habits: DurableHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #wall: WallClock;
  readonly #questions = new Map<string, Question>();
  #asked = 0;
  #left = false;
  #mayClose = true;

  constructor(
    name: string,
    habits: DurableHabits,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
    wall: WallClock,
  ) {
    this.name = name;
    this.#habits = habits;
    this.#around = around;
    this.#random = random;
    this.#wall = wall;
    this.#line = new Line(
      name,
      around,
      dialled,
      random.fork(1),
      (frames) => {
        this.#received(frames);
      },
      () => {
        this.#dialAgain();
      },
    );
  }

  /** Everything that was acknowledged is closed, or its end is known. */
  get isSatisfied(): boolean {
    return (
      this.jobs.length === this.#habits.jobs &&
      this.jobs.every(({ uuid, shown, closed }) => uuid !== null && (closed || shown !== 'nothing'))
    );
  }

  start(): void {
    this.#line.dial();
    for (let index = 0; index < this.#habits.jobs; index++) {
      this.#around.clock.after(this.#pause() * index, () => {
        this.#submit(this.#newJob(index));
      });
    }
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  #dialAgain(): void {
    this.#around.clock.after(this.#pause(), () => {
      if (!this.#left && !this.#line.isOpen) this.#line.dial();
    });
  }

  #pause(): number {
    return this.#random.int(1, this.#habits.gapMaxMs);
  }

  // ---------------------------------------------------------------- asking

  #newJob(index: number): Job {
    const { services, keyChance, ttlMaxMs, delayMaxMs } = this.#habits;
    const name = `${this.name}j${index}`;
    const key = this.#random.chance(keyChance) ? `key-${name}` : null;
    const options: Record<string, unknown> = {};
    if (key !== null) options['key'] = key;
    if (this.#random.chance(0.3)) options['priority'] = this.#random.int(-100, 100);
    if (this.#random.chance(0.3)) options['delayMs'] = this.#random.int(0, delayMaxMs);
    if (this.#random.chance(0.3)) options['maxAttempts'] = this.#random.int(1, 3);
    if (this.#random.chance(0.2)) options['ttlMs'] = this.#random.int(1, ttlMaxMs);
    const service = services[index % services.length] ?? services[0];
    const sentAt = this.#wall.wallLeast;
    const job: Job = {
      ...{ name, service, options, key, sentAt, tries: 0, uuid: null, shown: 'nothing', reply: '' },
      ...{ closeAsked: false, closed: false },
    };
    this.jobs.push(job);
    return job;
  }

  #submit(job: Job): void {
    if (this.#left || job.uuid !== null) return;
    const body = `${job.name}.${job.tries++}`;
    this.#around.tally.requests++;
    const isPlain = Object.keys(job.options).length === 0;
    const frames = isPlain ? [] : [JSON.stringify(job.options)];
    this.#ask(isPlain ? 'request' : 'submit', { what: 'submit', job, body, over: false }, [
      ...frames,
      job.service,
      body,
    ]);
  }

  #follow(job: Job): void {
    if (this.#left || job.uuid === null) return;
    if (this.#random.chance(this.#habits.cutChance)) {
      this.#line.cut(this.#random.chance(0.5), true);
    }
    const mayClose = this.#mayClose && this.#random.chance(this.#habits.closeChance);
    const wantsClose = mayClose || (job.closeAsked && !job.closed);
    const question = { job, body: '', over: false };
    if (wantsClose) {
      job.closeAsked = true;
      this.#ask('close', { what: 'close', ...question }, [job.uuid]);
    } else if (this.#random.chance(0.5)) {
      const waitMs = this.#random.int(0, this.#habits.patienceMs - 1);
      this.#ask('wait', { what: 'wait', ...question }, [job.uuid, String(waitMs)]);
    } else {
      this.#ask('reply', { what: 'reply', ...question }, [job.uuid]);
    }
  }

  #ask(service: string, question: Question, body: readonly string[]): void {
    const id = `${this.name}#${this.#asked++}`;
    this.#questions.set(id, question);
    const name = Buffer.from(`titanic.${service}`);
    const bytes = body.map((frame) => Buffer.from(frame));
    const frames = clientRequest(2, Buffer.from(id), name, bytes);
    const intent = {
      kind: 'request',
      version: 2,
      enveloped: true,
      envelope: [],
      service,
      body: [],
    };
    this.#line.send({ frames, intent: { ...intent, kind: 'request', version: 2 } });
    this.#around.clock.after(this.#habits.patienceMs * 2, () => {
      if (question.over) return;
      question.over = true;
      this.#next(question.job);
    });
  }

  #next(job: Job): void {
    this.#around.clock.after(this.#pause(), () => {
      if (job.uuid === null) this.#submit(job);
      else this.#follow(job);
    });
  }

  // ---------------------------------------------------------------- being answered

  #received(delivered: Delivered): void {
    if (this.#left) return;
    const frames = Frames.of(...delivered);
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') violated(`${this.name} cannot read a reply`);
    const id = frames.view(0).toString();
    const question = this.#questions.get(id);
    hold(question !== undefined, `${this.name} gets an answer to nothing: ${id}`);
    this.#questions.delete(id);
    const [status = '', ...body] = frames.copyFrom(reply.body).map((frame) => frame.toString());
    const { job } = question;
    this.#around.trace.note(this.#around.clock.now, job.name, `${question.what}: ${status}`);
    if (question.what === 'submit') this.#submitted(question, status, body);
    else if (question.what === 'close') this.#closed(job, status);
    else this.#told(question, status, body);
    if (question.over) return;
    question.over = true;
    this.#next(job);
  }

  #submitted({ job, body }: Question, status: string, [uuid = '']: readonly string[]): void {
    if (status !== '200') {
      hold(status.startsWith('500'), `${job.name} is answered ${status}`);
      this.refused.add(body);
      return;
    }
    hold(/^[0-9A-F]{32}$/.test(uuid), `${job.name} gets no uuid: ${uuid}`);
    // Without a key each try is a request of its own; the first that is heard of is followed.
    job.uuid ??= uuid;
    hold(job.key === null || job.uuid === uuid, `${job.name} is stored twice under one key (D16)`);
  }

  #closed(job: Job, status: string): void {
    if (status.startsWith('500')) return;
    hold(status === '200', `close of ${job.name} is answered ${status}`);
    job.closed = true;
  }

  #told({ job, over }: Question, status: string, body: readonly string[]): void {
    // An answer that was overtaken tells what was, not what is.
    if (over) return;
    const { name } = job;
    if (status === '300') {
      hold(!job.closed, `${name} was closed and is pending`);
      hold(job.shown === 'nothing', `${name} was ${job.shown} and is pending again`);
    } else if (status === '200') {
      hold(!job.closed, `${name} was closed and is answered`);
      hold(
        job.shown === 'nothing' || job.shown === 'reply',
        `${name} was ${job.shown}, and is answered`,
      );
      this.#isOwn(job, body);
      const reply = body.join('|');
      hold(job.shown === 'nothing' || job.reply === reply, `${name} is answered in two ways`);
      if (job.shown === 'nothing') this.#around.tally.replies++;
      job.reply = reply;
      job.shown = 'reply';
    } else if (status.startsWith('500 dead')) {
      hold(!job.closed, `${name} was closed and is dead`);
      hold(
        job.shown === 'nothing' || job.shown === 'dead',
        `${name} was ${job.shown}, and is dead`,
      );
      job.shown = 'dead';
    } else {
      hold(status === '400 unknown', `${name} is answered ${status}`);
      hold(job.closeAsked || this.isOver(job), `${name} is unknown before its time`);
      job.shown = 'gone';
    }
  }

  #isOwn(job: Job, body: readonly string[]): void {
    const own = new RegExp(`^A${job.name}\\.[0-9]+$`);
    for (let at = 0; at < body.length; at += 2) {
      hold(own.test(body[at] ?? ''), `${job.name} gets the reply of another: ${body.join('|')}`);
    }
    hold(body.at(-1) === `f${body.length / 2 - 1}`, `the reply to ${job.name} is not whole`);
  }

  /** Its time to live may be over: by what it said, or by what is configured. */
  isOver({ options, sentAt }: Job): boolean {
    const ttlMs = typeof options['ttlMs'] === 'number' ? options['ttlMs'] : this.ttlMs;
    return this.#wall.wallMax >= sentAt + Math.min(ttlMs, this.ttlMs);
  }

  /** The shortest time to live that is configured. */
  ttlMs = Infinity;
}
