/**
 * A pirate: a worker without MDP. A Simple Pirate keeps the order of a REQ socket: it sends READY
 * once in its life, waits, replies, waits; a request that comes when it does not wait is thrown away.
 */
import type { Delivered, Intent, PirateKind } from '../model/intent.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import { Freezer } from './freezer.js';
import { type Actor, Line, type Surroundings } from './line.js';

/** What a pirate may do with a request other than answer it. */
export const PIRATE_MISCHIEF = [
  'crashes',
  'loses its connection',
  'freezes',
  'never answers',
  'starts anew',
  'answers twice',
  'sends garbage',
  'steals',
] as const;
export type PirateMischief = (typeof PIRATE_MISCHIEF)[number];

export interface PirateHabits {
  readonly kind: PirateKind;
  readonly service: string;
  readonly beats: boolean;
  /** A Simple Pirate that sent READY to a former life of the broker: it waits in silence. */
  readonly beginsInSilence: boolean;
  readonly serveMaxMs: number;
  readonly mischief: readonly PirateMischief[];
  readonly mischiefChance: number;
}

interface Job {
  readonly token: string;
  readonly key: string;
}

const READY = '\x01';
const HEARTBEAT = '\x02';
/** Those of the Guide's pirates in some languages. */
const WORDS = { ready: 'READY', heartbeat: 'HEARTBEAT' };
const SECOND_MS = 1000;
const SILENT_BEATS = 6;
const MALFORMED: Readonly<Record<PirateKind, readonly [string[], ...string[][]]>> = {
  spp: [
    ['', ''],
    ['', HEARTBEAT],
    ['', 'token', ''],
    ['', 'token', 'x', 'y'],
    [READY],
    ['', '', ''],
  ],
  ppp: [
    ['\x03'],
    ['READY', ''],
    ['token', ''],
    ['token', 'x', 'y'],
    ['', READY],
    ['MDPW02', READY, 'x'],
  ],
};

export class SimPirate implements Actor {
  readonly name: string;
  readonly habits: PirateHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #freezer: Freezer;
  #job: Job | null = null;
  /** A Simple Pirate's socket takes a message now. */
  #isWaiting = false;
  #heardAt = 0;
  /** Counts its lives: what it had planned in a former one it does not do. */
  #life = 0;
  #left = false;

  constructor(
    name: string,
    habits: PirateHabits,
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
      (frames) => this.#later(0, () => this.#received(frames)),
      () => this.#lost(),
    );
    this.#freezer = new Freezer(around.clock, random, this.#line);
  }

  start(): void {
    this.#line.dial();
    if (this.habits.beginsInSilence) this.#isWaiting = true;
    else this.#ready();
    if (this.#isParanoid) this.#beat();
  }

  leave(): void {
    this.#left = true;
    if (this.#random.chance(0.5)) this.#line.close();
    else this.#line.cut(true, true);
  }

  get #isParanoid(): boolean {
    return this.habits.kind === 'ppp';
  }

  /** Every second one, by its name. */
  get #usesWords(): boolean {
    return /[13579]$/.test(this.name);
  }

  get #heartbeat(): string {
    return this.#usesWords ? WORDS.heartbeat : HEARTBEAT;
  }

  // ---------------------------------------------------------------- its connection

  #ready(): void {
    const { kind, service } = this.habits;
    this.#heardAt = this.#around.clock.now;
    const words = this.#usesWords;
    const ready = words ? WORDS.ready : READY;
    this.#send([ready], { kind: 'ready', version: kind, service, credit: null, words });
    this.#isWaiting = true;
  }

  /** A REQ socket connects again by itself and says nothing; a Paranoid Pirate says READY. */
  #lost(): void {
    this.#later(this.#random.int(0, this.#around.heartbeatIntervalMs * 2), () => {
      if (this.#line.isOpen) return;
      this.#line.dial();
      if (this.#isParanoid) this.#ready();
    });
  }

  /** Another process takes its place. */
  #restart(): void {
    this.#life++;
    this.#job = null;
    this.#isWaiting = false;
    this.#later(this.#random.int(1, this.#around.heartbeatIntervalMs * 2), () => {
      this.#line.dial();
      this.#ready();
    });
  }

  #beat(): void {
    const { heartbeatIntervalMs, clock } = this.#around;
    const everyMs = Math.min(heartbeatIntervalMs, SECOND_MS);
    clock.after(everyMs, () => {
      if (this.#left) return;
      if (!this.#freezer.isFrozen && this.#line.isOpen) {
        if (clock.now - this.#heardAt > SILENT_BEATS * everyMs) {
          this.#line.dial();
          this.#ready();
        } else if (this.habits.beats) {
          this.#send([this.#heartbeat], { kind: 'heartbeat', version: 'ppp' });
        }
      }
      this.#beat();
    });
  }

  // ---------------------------------------------------------------- requests

  #received(delivered: Delivered): void {
    this.#heardAt = this.#around.clock.now;
    const frames = delivered.map((frame) => frame.toString('latin1'));
    if (this.#isParanoid && frames.length === 1) {
      hold(frames[0] === this.#heartbeat, `${this.name} cannot read what it is sent`);
      return;
    }
    if (!this.#isParanoid) hold(frames.shift() === '', `${this.name} is sent no delimiter`);
    const [token = '', empty, key = ''] = frames;
    hold(frames.length > 2 && empty === '', `${this.name} is sent a request of another form`);
    const job = { token, key };
    this.#around.tokens.push(job);
    this.#around.tally.begins(job.key);
    if (!this.#isWaiting) {
      this.#around.trace.note(this.#around.clock.now, this.name, 'throws a request away');
      this.#around.tally.fault('pirate throws a request away');
      return;
    }
    if (!this.#isParanoid) this.#isWaiting = false;
    this.#job = job;
    const { mischief, mischiefChance, serveMaxMs } = this.habits;
    const [first, ...others] = mischief;
    const bad = first !== undefined && this.#random.chance(mischiefChance);
    const what = bad ? this.#random.pick([first, ...others]) : null;
    this.#later(this.#random.int(0, serveMaxMs), () => {
      if (what === null) this.#answer(job);
      else this.#misbehave(what, job);
    });
  }

  #answer(job: Job): void {
    if (this.#job !== job) return;
    this.#job = null;
    this.#sendAnswer(job);
    this.#isWaiting = true;
  }

  #sendAnswer({ token, key }: Job): void {
    const { kind } = this.habits;
    const body = [`A${key}`, 'f0'];
    const bytes = body.map((frame) => Buffer.from(frame));
    this.#send([token, '', ...body], { kind: 'final', version: kind, token, body: bytes });
  }

  #misbehave(what: PirateMischief, job: Job): void {
    const { tally, trace, clock, heartbeatIntervalMs: interval } = this.#around;
    tally.fault(`pirate ${what}`);
    trace.note(clock.now, this.name, what);
    switch (what) {
      case 'crashes':
        this.#line.cut(this.#random.chance(0.5), false);
        this.#restart();
        return;
      case 'loses its connection':
        this.#line.cut(this.#random.chance(0.5), true);
        this.#later(this.#random.int(0, interval * 4), () => this.#answer(job));
        return;
      case 'freezes':
        this.#freezer.freeze(this.#random.int(1, interval * 12));
        this.#later(0, () => this.#answer(job));
        return;
      case 'never answers':
        // Its supervisor restarts it at last.
        this.#later(interval * 20, () => {
          if (this.#job !== job) return;
          this.#line.cut(true, false);
          this.#restart();
        });
        return;
      case 'starts anew':
        this.#job = null;
        this.#ready();
        return;
      case 'answers twice':
        this.#answer(job);
        this.#sendAnswer(job);
        return;
      case 'sends garbage':
        this.#garbage();
        this.#answer(job);
        return;
      case 'steals':
        this.#steal(job);
    }
  }

  #garbage(): void {
    const frames = this.#random.pick(MALFORMED[this.habits.kind]);
    const bytes = frames.map((frame) => Buffer.from(frame, 'latin1'));
    this.#line.send({ frames: bytes, intent: { kind: 'malformed', as: 'worker' } });
  }

  /** Answers in the name of another worker, or with a token that nobody was given. */
  #steal(job: Job): void {
    const { tokens } = this.#around;
    const loot = tokens[this.#random.int(0, tokens.length - 1)] ?? job;
    const forged = { token: 'thirteen byte', key: loot.key };
    if (loot !== job) this.#sendAnswer(this.#random.chance(0.7) ? loot : forged);
    this.#answer(job);
  }

  // ---------------------------------------------------------------- parts

  #send(frames: readonly string[], intent: Intent): void {
    const whole = this.#isParanoid ? frames : ['', ...frames];
    this.#line.send({ frames: whole.map((frame) => Buffer.from(frame, 'latin1')), intent });
  }

  /** Unless it has left or was restarted by then. */
  #later(delayMs: number, action: () => void): void {
    const life = this.#life;
    this.#freezer.later(delayMs, () => !this.#left && this.#life === life, action);
  }
}
