/** A worker of either version, well-behaved or not. */
import { Frames } from '../../../src/core/frames.js';
import { type FailureKind, readFailure } from '../../../src/wire/failure.js';
import { type MdpVersion, NOT_BEGUN } from '../../../src/wire/mdp.js';
import {
  readWorkerInbound,
  workerDisconnect,
  workerFail,
  workerFinal,
  workerHeartbeat,
  workerLeaving,
  workerPartial,
  workerReady,
  workerReturn,
} from '../../../src/wire/worker-side.js';
import type { Delivered, Intent } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import { Freezer } from './freezer.js';
import { type Actor, Line, type Surroundings } from './line.js';
import { malformedWorkerMessage } from './malformed.js';

/** What a worker may do with a request other than answer it. */
export const MISCHIEF = [
  'returns',
  'fails',
  'quits',
  'crashes',
  'loses its connection',
  'freezes',
  'answers twice',
  'never answers',
  'sends garbage',
  'registers again',
  'steals',
  'floods partials',
] as const;
export type Mischief = (typeof MISCHIEF)[number];

export interface WorkerHabits {
  readonly version: MdpVersion;
  readonly service: string;
  readonly credit: number | null;
  readonly beats: 'always' | 'when idle' | 'never';
  readonly serveMaxMs: number;
  readonly partialsMax: number;
  readonly mischief: readonly Mischief[];
  readonly mischiefChance: number;
  /**
   * After it was told to leave, or lost its connection, it still answers the requests that it had.
   */
  readonly isStubborn: boolean;
}

interface Job {
  readonly token: string;
  readonly key: string;
}

const SILENT_INTERVALS = 6;
const FAILURE_KINDS: readonly [FailureKind, ...FailureKind[]] = ['error', 'final', 'retry'];

export class SimWorker implements Actor {
  readonly name: string;
  readonly habits: WorkerHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #freezer: Freezer;
  #jobs: Job[] = [];
  #heardAt = 0;
  #registered = false;
  #left = false;

  constructor(
    name: string,
    habits: WorkerHabits,
    around: Surroundings,
    dialled: Dialled,
    random: SimRandom,
  ) {
    this.name = name;
    this.habits = habits;
    this.#around = around;
    this.#random = random;
    this.#line = new Line(
      name,
      around,
      dialled,
      random.fork(1),
      (frames) => this.#received(frames),
      () => this.#again(),
    );
    this.#freezer = new Freezer(around.clock, random, this.#line);
  }

  start(): void {
    this.#register();
    this.#beat();
  }

  leave(): void {
    this.#left = true;
    if (this.#random.chance(0.5)) this.#line.close();
    else this.#line.cut(true, true);
  }

  // ---------------------------------------------------------------- registration and heartbeats

  #register(): void {
    if (!this.#line.isOpen) this.#line.dial();
    const { version, service, credit } = this.habits;
    // A worker that declares its credit may also state its name (D67), which changes nothing.
    // Some ask for headers.
    const headers = credit !== null && this.name.length % 2 === 0;
    // Others ask to hear which requests nobody waits for any more.
    const cancel = credit !== null && credit % 2 === 0;
    const options = { name: credit === null ? null : this.name, headers, cancel };
    const frames = workerReady(version, Buffer.from(service), credit, options);
    this.#send(frames, { kind: 'ready', version, service, credit, headers, cancel });
    this.#registered = true;
    this.#heardAt = this.#around.clock.now;
  }

  /** The broker no longer knows it: it registers again after a while. */
  #again(): void {
    this.#registered = false;
    if (!this.habits.isStubborn) this.#jobs = [];
    this.#later(this.#random.int(0, this.#around.heartbeatIntervalMs * 2), () => {
      if (!this.#registered) this.#register();
    });
  }

  #beat(): void {
    const { heartbeatIntervalMs: interval, clock } = this.#around;
    clock.after(interval, () => {
      if (this.#left) return;
      if (!this.#freezer.isFrozen) this.#signOfLife();
      this.#beat();
    });
  }

  #signOfLife(): void {
    const { heartbeatIntervalMs: interval, clock } = this.#around;
    const { beats, version } = this.habits;
    if (!this.#line.isOpen || !this.#registered) return;
    if (clock.now - this.#heardAt > SILENT_INTERVALS * interval) {
      this.#line.close();
      this.#again();
    } else if (beats === 'always' || (beats === 'when idle' && this.#jobs.length === 0)) {
      this.#send(workerHeartbeat(version), { kind: 'heartbeat', version });
    }
  }

  // ---------------------------------------------------------------- requests

  #received(delivered: Delivered): void {
    this.#later(0, () => this.#read(delivered));
  }

  #read(delivered: Delivered): void {
    const frames = Frames.of(...delivered);
    const inbound = readWorkerInbound(this.habits.version, frames);
    hold(inbound.kind !== 'malformed', `${this.name} cannot read what it is sent`);
    this.#heardAt = this.#around.clock.now;
    if (inbound.kind === 'disconnect') this.#again();
    if (inbound.kind === 'cancel') this.#cancelled(frames.view(inbound.token).toString('latin1'));
    if (inbound.kind !== 'request') return;
    const token = frames.view(inbound.token).toString('latin1');
    const key = frames.view(inbound.body).toString('latin1');
    const job = { token, key };
    this.#around.tokens.push(job);
    this.#jobs.push(job);
    const { mischief, mischiefChance, serveMaxMs } = this.habits;
    const [first, ...others] = mischief;
    const bad = first !== undefined && this.#random.chance(mischiefChance);
    const what = bad ? this.#random.pick([first, ...others]) : null;
    const isUnbegun = (what === 'returns' || what === 'quits') && token.charCodeAt(3) % 2 === 0;
    if (!isUnbegun) this.#around.tally.begins(key);
    this.#later(this.#random.int(0, serveMaxMs), () => {
      if (what === null) this.#answer(job);
      else if (isUnbegun) this.#decline(what, job);
      else this.#misbehave(what, job);
    });
  }

  /** Gives back a request that it has not begun, perhaps because it leaves. */
  #decline(what: Mischief, job: Job): void {
    const { version } = this.habits;
    this.#around.tally.fault(`worker ${what} without having begun`);
    if (what === 'quits') this.#send(workerLeaving(version), { kind: 'leave', version });
    const at = this.#jobs.indexOf(job);
    if (at < 0) return;
    this.#jobs.splice(at, 1);
    this.#return(job, true);
  }

  /** It ends the request with RETURN or FAIL, or finishes in vain. */
  #cancelled(token: string): void {
    this.#around.tally.fault('request is taken back');
    const at = this.#jobs.findIndex((job) => job.token === token);
    const job = this.#jobs[at];
    if (job === undefined || job.key.length % 3 === 0) return;
    this.#jobs.splice(at, 1);
    if (job.key.length % 3 === 1) this.#return(job);
    else this.#fail(job);
  }

  #answer(job: Job, parts = this.#random.int(0, this.habits.partialsMax)): void {
    if (!this.#jobs.includes(job)) return;
    if (parts > 0 && this.#random.chance(0.5)) {
      this.#stream(job, 0, parts, this.#line.dials);
      return;
    }
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    this.#sendAnswer(job, parts);
  }

  /**
   * Sends part after part; it may be delayed in between, but never continues on another connection.
   */
  #stream(job: Job, part: number, parts: number, dial: number): void {
    const { heartbeatIntervalMs: interval } = this.#around;
    if (!this.#jobs.includes(job) || this.#line.dials !== dial) return;
    if (part === parts) {
      this.#jobs.splice(this.#jobs.indexOf(job), 1);
      this.#sendFinal(job, parts);
      return;
    }
    this.#sendPartial(job, part);
    const isHeldUp = this.habits.mischief.length > 0 && this.#random.chance(0.2);
    if (isHeldUp) this.#freeze(this.#random.int(1, interval * 12));
    this.#later(this.#random.int(0, Math.floor(interval / 2)), () => {
      this.#stream(job, part + 1, parts, dial);
    });
  }

  #sendAnswer(job: Job, parts: number): void {
    for (let part = 0; part < parts; part++) this.#sendPartial(job, part);
    this.#sendFinal(job, parts);
  }

  #sendPartial({ token, key }: Job, part: number): void {
    const { version } = this.habits;
    const body = [Buffer.from(`A${key}`), Buffer.from(`p${part}`)];
    const intent: Intent = { kind: 'partial', version, token, body };
    this.#send(workerPartial(Buffer.from(token, 'latin1'), body), intent);
  }

  #sendFinal({ token, key }: Job, parts: number): void {
    const { version } = this.habits;
    const body = [Buffer.from(`A${key}`), Buffer.from(`f${parts}`)];
    const frames = workerFinal(version, Buffer.from(token, 'latin1'), body);
    this.#send(frames, { kind: 'final', version, token, body });
  }

  #misbehave(what: Mischief, job: Job): void {
    const { tally, heartbeatIntervalMs: interval } = this.#around;
    const { version } = this.habits;
    tally.fault(`worker ${what}`);
    this.#around.trace.note(this.#around.clock.now, this.name, what);
    switch (what) {
      case 'returns':
        this.#jobs.splice(this.#jobs.indexOf(job), 1);
        this.#return(job);
        return;
      case 'fails':
        this.#jobs.splice(this.#jobs.indexOf(job), 1);
        this.#fail(job);
        return;
      case 'quits':
        this.#send(workerDisconnect(version), { kind: 'disconnect', version });
        if (this.#random.chance(0.3)) this.#answer(job);
        this.#again();
        return;
      case 'crashes':
        this.#jobs = [];
        this.#line.cut(this.#random.chance(0.5), false);
        this.#again();
        return;
      case 'loses its connection':
        this.#line.cut(this.#random.chance(0.5), true);
        if (this.habits.isStubborn) this.#later(interval, () => this.#answer(job));
        return;
      case 'freezes':
        this.#freeze(this.#random.int(1, interval * 12));
        this.#later(0, () => this.#answer(job));
        return;
      case 'answers twice':
        this.#jobs = this.#jobs.filter((other) => other !== job);
        this.#sendAnswer(job, this.#random.int(0, this.habits.partialsMax));
        this.#sendAnswer(job, 0);
        return;
      case 'never answers':
        return;
      case 'sends garbage':
        this.#line.send(malformedWorkerMessage(this.#random, version));
        return;
      case 'registers again':
        this.#register();
        this.#answer(job);
        return;
      case 'steals':
        this.#steal(job);
        return;
      case 'floods partials':
        this.#answer(job, version === 2 ? 12 : 0);
    }
  }

  #return({ token }: Job, unbegun = false): void {
    const { version } = this.habits;
    const reason = unbegun ? NOT_BEGUN : 'no';
    const frames = workerReturn(version, Buffer.from(token, 'latin1'), reason);
    this.#send(frames, { kind: 'return', version, token, unbegun });
  }

  /** Reports a failure: correctly, or so that the broker has to replace the report (D60). */
  #fail({ token, key }: Job): void {
    const { version } = this.habits;
    const kind = this.#random.pick(FAILURE_KINDS);
    const failure = { kind, code: `f-${kind}`, text: key, detail: [Buffer.from(`D${key}`)] };
    const client = Buffer.from(token, 'latin1');
    if (this.#random.chance(0.8)) {
      this.#send(workerFail(version, client, failure), { kind: 'fail', version, token, failure });
      return;
    }
    const wrong = { ...failure, code: this.#random.pick(['', 'mdp.mine', 'a b']) };
    const told = readFailure(Frames.of(kind, wrong.code, key, ...wrong.detail), 0);
    this.#send(workerFail(version, client, wrong), { kind: 'fail', version, token, failure: told });
  }

  /** Answers, returns or fails in the name of another worker. */
  #steal(job: Job): void {
    const { tokens } = this.#around;
    const loot = tokens[this.#random.int(0, tokens.length - 1)] ?? job;
    // In the middle of its own stream it would only contradict itself.
    const isOwn = this.#jobs.includes(loot);
    if (this.#random.chance(0.2)) this.#return(loot);
    else if (!isOwn && this.#random.chance(0.2)) this.#fail(loot);
    else if (!isOwn) this.#sendAnswer(loot, this.#random.int(0, this.habits.partialsMax));
    this.#answer(job);
  }

  #freeze(forMs: number): void {
    if (!this.#freezer.isFrozen) this.#around.tally.fault('worker is held up');
    this.#freezer.freeze(forMs);
  }

  // ---------------------------------------------------------------- parts

  #send(frames: readonly Uint8Array[], intent: Intent): void {
    this.#line.send({ frames, intent });
  }

  #later(delayMs: number, action: () => void): void {
    this.#freezer.later(delayMs, () => !this.#left, action);
  }
}
