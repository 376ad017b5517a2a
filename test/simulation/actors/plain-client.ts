/**
 * A client without MDP: a REQ or DEALER socket (plain), or a Freelance client (10/FLP). It retries
 * what is not answered (Lazy Pirate), and checks what it receives.
 */
import type { Delivered, PlainKind, RequestIntent } from '../model/intent.js';
import type { SimTimer } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { Actor, Line, Surroundings } from './line.js';

export interface PlainHabits {
  readonly kind: PlainKind;
  readonly service: string;
  /** Ids before the empty frame of a plain request. */
  readonly ids: number;
  readonly requests: number;
  readonly gapMaxMs: number;
  /** Infinity: it waits for ever. */
  readonly patienceMs: number;
  readonly retries: number;
  readonly redials: boolean;
  readonly cutChance: number;
  readonly stopChance: number;
  readonly garbageChance: number;
}

interface Attempt {
  readonly key: string;
  readonly envelope: readonly string[];
  over: boolean;
}

const MALFORMED: Readonly<Record<PlainKind, readonly [string[], ...string[][]]>> = {
  plain: [['garbage'], ['1', '2', '3', '4', '5', '6', '7', '8', '9', '', 'x'], ['id'], ['id', '']],
  flp: [['PONG'], ['PING '], ['ping']],
};
const PONG = 'PONG';

export class SimPlainClient implements Actor {
  readonly name: string;
  readonly habits: PlainHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  readonly #attempts = new Map<string, Attempt>();
  #started = 0;
  #pings = 0;
  #timer: SimTimer | null = null;
  /** The request that it waits for: it has one at a time. */
  #open: string | null = null;
  #left = false;
  answered = 0;

  constructor(
    name: string,
    habits: PlainHabits,
    around: Surroundings,
    line: Line,
    random: SimRandom,
  ) {
    this.name = name;
    this.habits = habits;
    this.#around = around;
    this.#line = line;
    this.#random = random;
  }

  get isSatisfied(): boolean {
    return this.answered === this.habits.requests;
  }

  start(): void {
    if (!this.#line.isOpen) this.#line.dial();
    this.#pause();
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  lost(): void {
    if (this.#left) return;
    this.#around.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      if (!this.#left && !this.#line.isOpen) this.#line.dial();
    });
  }

  // ---------------------------------------------------------------- sending

  #pause(): void {
    this.#around.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      if (this.#left) return;
      this.#misbehave();
      if (this.#started >= this.habits.requests) return;
      if (this.#open === null) this.#try(this.#started++, 0);
      this.#pause();
    });
  }

  #misbehave(): void {
    const { kind, cutChance, stopChance, garbageChance, gapMaxMs } = this.habits;
    if (this.#random.chance(cutChance)) this.#line.cut(this.#random.chance(0.7), true);
    if (this.#random.chance(garbageChance)) {
      const frames = this.#random.pick(MALFORMED[kind]);
      const as = kind === 'flp' || frames.at(-1) === '' ? 'client' : 'envelope';
      this.#send(frames, { kind: 'malformed', as });
    }
    if (kind === 'flp' && this.#random.chance(0.5)) {
      this.#pings++;
      this.#send(['PING'], { kind: 'ping' });
    }
    if (!this.#random.chance(stopChance)) return;
    this.#line.stopReading();
    this.#around.clock.after(this.#random.int(0, gapMaxMs * 4), () => this.#line.resumeReading());
  }

  #try(request: number, tries: number): void {
    const { kind, service, ids, patienceMs } = this.habits;
    const key = `${this.name}-${request}.${tries}`;
    const others = Array.from({ length: Math.max(0, ids - 1) }, (_, hop) => `hop${hop}`);
    // Also control frames that say PING, and empty ones.
    const control = this.#random.pick([`#${key}`, 'PING', '']);
    const envelope = kind === 'flp' ? [control] : ids === 0 ? [] : [`#${key}`, ...others];
    this.#attempts.set(key, { key, envelope, over: false });
    this.#open = key;
    this.#around.tally.requests++;
    const body = this.#random.pick([[key], [key, '', 'more']]);
    const intent: RequestIntent = {
      kind: 'request',
      version: kind,
      enveloped: true,
      envelope: envelope.map((frame) => Buffer.from(frame)),
      service,
      body: body.map((frame) => Buffer.from(frame)),
    };
    this.#send([...envelope, ...(kind === 'flp' ? [] : ['']), ...body], intent);
    if (patienceMs === Infinity) return;
    this.#timer = this.#around.clock.after(patienceMs, () => this.#giveUp(request, tries));
  }

  #giveUp(request: number, tries: number): void {
    this.#open = null;
    if (this.#left || tries >= this.habits.retries) return;
    this.#around.tally.fault('client tries again');
    if (this.habits.redials) this.#line.dial();
    this.#try(request, tries + 1);
  }

  #send(frames: readonly string[], intent: Parameters<Line['send']>[0]['intent']): void {
    this.#line.send({ frames: frames.map((frame) => Buffer.from(frame)), intent });
  }

  // ---------------------------------------------------------------- receiving

  received(delivered: Delivered): void {
    if (this.#left) return;
    const frames = delivered.map((frame) => frame.toString());
    if (this.habits.kind === 'flp' && frames.length === 1) {
      hold(frames[0] === PONG && this.#pings-- > 0, `${this.name} gets ${frames.join()}`);
      return;
    }
    const key = frames.find((frame) => /^A[^ ]*-\d+\.\d+$/.test(frame))?.slice(1) ?? '';
    const attempt = this.#attempts.get(key);
    hold(attempt !== undefined, `${this.name} gets a reply that is not its own: ${frames.join()}`);
    const delimiter = this.habits.kind === 'flp' ? [] : [''];
    const head = [...attempt.envelope, ...delimiter];
    hold(
      head.every((frame, index) => frames[index] === frame),
      `${key} gets a reply with another envelope: ${frames.join()}`,
    );
    hold(frames[head.length] === `A${key}`, `${key} gets a reply of another form`);
    hold(!attempt.over, `${key} is answered twice`);
    attempt.over = true;
    const body = frames.slice(head.length);
    // All parts of a reply in one (D30).
    if (this.#line.isWhole) {
      hold(body.at(-1) === `f${body.length / 2 - 1}`, `${key} misses parts: ${body.join()}`);
    }
    this.#around.tally.replies++;
    if (this.#open !== key) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#open = null;
    this.answered++;
  }
}
