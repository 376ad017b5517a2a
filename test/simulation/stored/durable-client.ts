/**
 * A client of `titanic.*`: submits requests, asks for their replies, closes them, and checks that
 * no promise made to it is ever broken, without any knowledge of the machine or the disk.
 */
import { Line, type Actor, type Surroundings } from '../actors/line.js';
import type { Delivered } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import { CERTAIN, type Mark, type Witness } from '../pair/witness.js';
import type { SimRandom } from '../world/random.js';
import { ask, readAnswer } from './asking.js';
import { groupOfJob } from './limits.js';

/** Of the requests that are to be stored, how many are waited for in the same exchange (D122). */
const CALLS_ONE_IN = 3;

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
  /** Its requests have groups. */
  readonly isGrouped?: boolean;
}

/** One submission; a job has several if it was retried without a key. */
export interface Job {
  readonly name: string;
  readonly service: string;
  readonly options: Record<string, unknown>;
  readonly key: string | null;
  tries: number;
  /** Number of merges of the pair before it was first submitted. */
  readonly merges: number;
  /** The content of a 200. */
  uuid: string | null;
  /** Wall time before it was submitted. */
  readonly sentAt: number;
  shown: 'nothing' | 'reply' | 'dead' | 'gone';
  reply: string;
  closeAsked: boolean;
  closed: boolean;
  /** What the answering node could promise: that it is stored, what is shown of it, its close. */
  storedMark: Mark | null;
  shownMark: Mark | null;
  closedMark: Mark | null;
}

interface Question {
  readonly what: 'submit' | 'call' | 'reply' | 'wait' | 'close';
  readonly job: Job;
  readonly body: string;
  over: boolean;
  /** The uuid of the receipt that a call has brought. */
  receipt?: string;
  /** The connection that it was sent over. */
  dial: number;
  /** Number of merges of the pair until it was asked. */
  merges: number;
}

/** What it needs from the world: only the time. */
export interface WallClock {
  readonly wallLeast: number;
  /** The latest by which anything may have ended by time. */
  readonly endsMax: number;
}

/** A pair has two endpoints, a fleet has many. */
export interface Pairing {
  readonly witness: Pick<Witness, 'markOf' | 'isFixed' | 'isSafe' | 'isKept' | 'merges'>;
  /** The next connection goes to the other node. */
  turnElsewhere(): void;
  /** It sends `mmi.hello`, so that it is told where it is not served. */
  readonly saysHello: boolean;
  /**
   * All answer from one store, so that each answer is certain. One that cannot reach it says so. A
   * reply of a broker that has lost its claim may come after a death that another one stored.
   */
  readonly isShared: boolean;
}

const STANDALONE: Pairing = {
  ...{ witness: CERTAIN, turnElsewhere: () => {}, saysHello: false, isShared: false },
};

export class DurableClient implements Actor {
  readonly name: string;
  readonly jobs: Job[] = [];
  /** Bodies of requests that were answered 500: nothing of them may be kept. */
  readonly refused = new Set<string>();
  /** How many submissions of a body may have stored it: all but those that were answered 500. */
  readonly #mayBeStored = new Map<string, number>();
  readonly #habits: DurableHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #wall: WallClock;
  readonly #pairing: Pairing;
  readonly #questions = new Map<string, Question>();
  #asked = 0;
  #left = false;
  #mayClose = true;
  #rests = false;

  constructor(
    name: string,
    habits: DurableHabits,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
    wall: WallClock,
    pairing: Pairing = STANDALONE,
  ) {
    this.name = name;
    this.#habits = habits;
    this.#around = around;
    this.#random = random;
    this.#wall = wall;
    this.#pairing = pairing;
    this.#line = new Line(
      name,
      around,
      dialled,
      random.fork(1),
      (frames) => this.#received(frames),
      () => this.#dialAgain(),
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
    this.#dial();
    for (let index = 0; index < this.#habits.jobs; index++) {
      this.#around.clock.after(this.#pause() * index, () => this.#submit(this.#newJob(index)));
    }
  }

  /** Stops asking about requests that are settled. */
  rest(): void {
    this.#rests = true;
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  #dialAgain(): void {
    this.#around.clock.after(this.#pause(), () => {
      if (!this.#left && !this.#line.isOpen) this.#dial();
    });
  }

  #dial(): void {
    this.#line.dial();
    if (this.#pairing.saysHello) ask(this.#line, null, 'mmi.hello', []);
  }

  /** The other node of a pair may serve. */
  #moveOn({ dial }: Question): void {
    if (this.#pairing === STANDALONE || this.#left || dial !== this.#line.dials) return;
    this.#pairing.turnElsewhere();
    this.#line.close();
    this.#dialAgain();
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
    const group = this.#habits.isGrouped === true ? groupOfJob(name) : '';
    if (group !== '') options['group'] = group;
    const service = services[index % services.length] ?? services[0];
    const sentAt = this.#wall.wallLeast;
    const job: Job = {
      ...{
        name,
        service,
        options,
        key,
        sentAt,
        merges: this.#pairing.witness.merges,
        tries: 0,
        uuid: null,
        shown: 'nothing',
        reply: '',
      },
      ...{ closeAsked: false, closed: false },
      ...{ storedMark: null, shownMark: null, closedMark: null },
    };
    this.jobs.push(job);
    return job;
  }

  #submit(job: Job): void {
    if (this.#left || job.uuid !== null) return;
    // A key names one request, whose body stays.
    const body = job.key === null ? `${job.name}.${job.tries++}` : `${job.name}.0`;
    this.refused.delete(body);
    this.#mayBeStored.set(body, (this.#mayBeStored.get(body) ?? 0) + 1);
    this.#around.tally.requests++;
    const isPlain = Object.keys(job.options).length === 0;
    const isCall = this.#asked % CALLS_ONE_IN === 0;
    const frames = isPlain && !isCall ? [] : [JSON.stringify(job.options)];
    const what = isCall ? 'call' : 'submit';
    this.#ask(
      isPlain && !isCall ? 'request' : what,
      { what, job, body, over: false, dial: 0, merges: 0 },
      [...frames, job.service, body],
    );
  }

  #follow(job: Job): void {
    if (this.#left || job.uuid === null) return;
    if (this.#rests && (job.closed || job.shown !== 'nothing')) return;
    if (this.#random.chance(this.#habits.cutChance)) {
      this.#line.cut(this.#random.chance(0.5), true);
    }
    const mayClose = this.#mayClose && this.#random.chance(this.#habits.closeChance);
    const wantsClose = mayClose || (job.closeAsked && !job.closed);
    const question = { job, body: '', over: false, dial: 0, merges: 0 };
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
    question.dial = this.#line.dials;
    question.merges = this.#pairing.witness.merges;
    this.#questions.set(id, question);
    ask(this.#line, id, `titanic.${service}`, body);
    this.#around.clock.after(this.#habits.patienceMs * 2, () => {
      if (question.over) return;
      question.over = true;
      this.#moveOn(question);
      this.#next(question.job);
    });
  }

  #next(job: Job): void {
    this.#around.clock.after(this.#pause(), () => {
      if (job.uuid === null) this.#submit(job);
      else this.#follow(job);
    });
  }

  // ---------------------------------------------------------------- answers

  #received(delivered: Delivered): void {
    if (this.#left) return;
    const { id, body: answer, isPart: isReceipt } = readAnswer(this.name, delivered);
    // An answer to `mmi.hello`, which is sent without a correlation id (D11).
    if (this.#pairing.saysHello && !id.startsWith(`${this.name}#`)) return;
    const question = this.#questions.get(id);
    hold(question !== undefined, `${this.name} gets an answer to nothing: ${id}`);
    if (!isReceipt) this.#questions.delete(id);
    const [status = '', ...body] = answer;
    const { job } = question;
    const mark = this.#pairing.witness.markOf(delivered);
    const worth = mark.isInSync ? 'in sync' : 'alone';
    this.#around.trace.note(
      this.#around.clock.now,
      job.name,
      `${question.what}: ${status} ${worth}`,
    );
    if (isReceipt) {
      hold(question.what === 'call' && status === '200', `${job.name} gets ${status} as a part`);
      question.receipt = body[0] ?? '';
      this.#submitted(question, status, body, mark);
      return;
    }
    if (status.startsWith('503')) this.#moveOn(question);
    else if (question.what === 'call') this.#called(question, status, body, mark);
    else if (question.what === 'submit') this.#submitted(question, status, body, mark);
    else if (question.what === 'close') this.#closed(question, status, mark);
    else this.#told(question, status, body, mark);
    if (question.over) return;
    question.over = true;
    this.#next(job);
  }

  /** The end of a call: what is told of the request that it stored, or why it did not. */
  #called(question: Question, status: string, body: readonly string[], mark: Mark): void {
    const { job, receipt } = question;
    if (receipt === undefined) {
      hold(status !== '200', `${job.name} is answered without a receipt (D122)`);
      this.#submitted(question, status, body, mark);
    } else if (receipt === job.uuid) {
      this.#told(question, status, body, mark);
    }
  }

  #submitted(question: Question, status: string, [uuid = '']: readonly string[], mark: Mark): void {
    const { job, body } = question;
    if (status !== '200') {
      hold(status.startsWith('500'), `${job.name} is answered ${status}`);
      if (!status.includes('outcome unknown')) this.#refuse(body);
      if (this.#pairing.isShared) this.#moveOn(question);
      return;
    }
    hold(/^[0-9A-F]{32}$/.test(uuid), `${job.name} gets no uuid: ${uuid}`);
    // Without a key each try is a separate request; it follows the first one that it hears of.
    const isFirst = job.uuid === null;
    job.uuid ??= uuid;
    if (isFirst) job.storedMark = mark;
    const isOne = job.key === null || job.uuid === uuid;
    // If a split made two of one request, the key leads to one of them (D17).
    const wasSplit = mark.merges > job.merges;
    hold(isOne || wasSplit, `${job.name} is stored twice under one key (D16)`);
  }

  /** Another submission of the same body, under its key, may be stored although this one is not. */
  #refuse(body: string): void {
    const left = (this.#mayBeStored.get(body) ?? 0) - 1;
    this.#mayBeStored.set(body, left);
    if (left === 0) this.refused.add(body);
  }

  #closed(question: Question, status: string, mark: Mark): void {
    const { job, over } = question;
    if (status.startsWith('500')) {
      if (this.#pairing.isShared) this.#moveOn(question);
      return;
    }
    hold(status === '200', `close of ${job.name} is answered ${status}`);
    // What another broker was asked since may be answered from before this close.
    if (over && this.#pairing.isShared) return;
    if (!job.closed) job.closedMark = mark;
    job.closed = true;
  }

  /** What was shown remains true: the answer `now` contradicts no promise. @param mark of it */
  #stays(job: Job, now: 'pending' | 'reply' | 'dead', mark: Mark): void {
    const { witness } = this.#pairing;
    const { name, shown } = job;
    // A node that could not ask its peer, perhaps when the wait began, answers 300 if it does not
    // know.
    const { isShared } = this.#pairing;
    const mayBeUnknown = now === 'pending' && this.#pairing !== STANDALONE && !isShared;
    if (mayBeUnknown && (job.closeAsked || this.isOver(job))) return;
    hold(!job.closed || !witness.isKept(job.closedMark, mark), `${name} was closed and is ${now}`);
    if (shown === 'nothing' || shown === now) return;
    // A reply takes precedence over a death, and what one node alone has shown may end the other
    // way.
    const isOpenEnd = isShared || !witness.isFixed(job.shownMark);
    const mayChange = shown === 'dead' && now === 'reply' && isOpenEnd;
    const again = now === 'pending' ? ' again' : '';
    const isOpen = !witness.isSafe(job.shownMark, mark);
    hold(mayChange || isOpen, `${name} was ${shown}, and is ${now}${again}`);
  }

  #told(question: Question, status: string, body: readonly string[], mark: Mark): void {
    const { job, over, merges } = question;
    // An answer that was overtaken reports an earlier state.
    if (over) return;
    const { witness } = this.#pairing;
    const { name } = job;
    if (status === '300') {
      // A wait that began before a merge may end with what was known then.
      if (merges === mark.merges) this.#stays(job, 'pending', mark);
    } else if (status === '200') {
      this.#stays(job, 'reply', mark);
      this.#isOwn(job, body);
      const reply = body.join('|');
      const isSame = job.shown !== 'reply' || job.reply === reply;
      hold(isSame || !witness.isFixed(job.shownMark), `${name} is answered in two ways`);
      if (job.shown === 'nothing') this.#around.tally.replies++;
      job.reply = reply;
      this.#shows(job, 'reply', mark);
    } else if (status.startsWith('500 dead')) {
      this.#stays(job, 'dead', mark);
      // D63: if a worker gave a reason, this reason is reported and not another worker's.
      const [, code, text] = /^500 dead ([^:]+): (.*)$/.exec(status) ?? [];
      const isOwn = code?.startsWith('f-') !== true || text?.startsWith(`${name}.`) === true;
      hold(code !== undefined && isOwn, `${name} is dead of what it did not: ${status}`);
      this.#shows(job, 'dead', mark);
    } else if (this.#pairing.isShared && status.startsWith('500 ')) {
      this.#moveOn(question);
    } else {
      hold(status === '400 unknown', `${name} is answered ${status}`);
      const mayBeGone = job.closeAsked || this.isOver(job);
      // An operator who promotes a node accepts the loss of what only the other one has, until they
      // merge (D21).
      const isPromoted = mark.isPromoted && !witness.isFixed(job.storedMark);
      hold(mayBeGone || isPromoted, `${name} is unknown before its time`);
      if (mayBeGone) this.#shows(job, 'gone', mark);
    }
  }

  /** The strongest promise for the same counts. */
  #shows(job: Job, shown: Job['shown'], mark: Mark): void {
    const isStronger = job.shown !== shown || !this.#pairing.witness.isFixed(job.shownMark);
    if (isStronger) job.shownMark = mark;
    job.shown = shown;
  }

  #isOwn(job: Job, body: readonly string[]): void {
    const own = new RegExp(`^A${job.name}\\.[0-9]+$`);
    for (let at = 0; at < body.length; at += 2) {
      hold(own.test(body[at] ?? ''), `${job.name} gets the reply of another: ${body.join('|')}`);
    }
    hold(body.at(-1) === `f${body.length / 2 - 1}`, `the reply to ${job.name} is not whole`);
  }

  /** Its time to live may be over: the one that it stated, or the configured one. */
  isOver({ options, sentAt }: Job): boolean {
    const ttlMs = typeof options['ttlMs'] === 'number' ? options['ttlMs'] : this.ttlMs;
    const delayMs = typeof options['delayMs'] === 'number' ? options['delayMs'] : 0;
    return this.#wall.endsMax >= sentAt + Math.min(delayMs + ttlMs, this.ttlMs);
  }

  /** The shortest configured time to live. */
  ttlMs = Infinity;
}
