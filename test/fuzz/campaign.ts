/**
 * One target under fire. Rounds take turns: one that watches which code is reached, and keeps inputs
 * that reach more; a longer one that does not watch, and is fast; and a look for costs that grow
 * faster than their input.
 */
import { messageOf } from '../../src/core/errors.js';
import { quadratic } from './cost.js';
import { Coverage } from './coverage.js';
import { Dice } from './dice.js';
import { mutated } from './mutate.js';
import type { Target } from './target.js';

/** Inputs between two looks at what was reached. */
const BATCH = 64;
const WATCHED_SHARE = 0.25;
const ROUND_MS = 1000;
const CORPUS_MAX = 2000;
const COSTS_A_ROUND = 2;
/** The repeated input of a cost is at most about this long. */
const COST_BYTES_MAX = 256;

export interface Finding {
  readonly target: string;
  readonly input: Buffer;
  readonly what: string;
}

export interface Figures {
  readonly inputs: number;
  readonly ms: number;
  readonly corpus: number;
  readonly reached: number;
}

export class Campaign {
  readonly #target: Target;
  readonly #dice: Dice;
  readonly #corpus: Buffer[];
  readonly #words: readonly Buffer[];
  readonly #coverage = new Coverage();
  readonly #now: () => number;
  #inputs = 0;
  #ms = 0;
  #seeded = 0;
  #finding: Finding | null = null;

  /** @param now milliseconds, monotonic */
  constructor(target: Target, seeds: readonly Buffer[], seed: number, now: () => number) {
    this.#target = target;
    this.#dice = new Dice(seed);
    this.#corpus = [...target.seeds, ...seeds];
    if (this.#corpus.length === 0) this.#corpus.push(Buffer.alloc(0));
    this.#words = (target.words ?? []).map((word) => Buffer.from(word as string, 'latin1'));
    this.#now = now;
  }

  get figures(): Figures {
    return {
      inputs: this.#inputs,
      ms: this.#ms,
      corpus: this.#corpus.length,
      reached: this.#coverage.reached,
    };
  }

  get finding(): Finding | null {
    return this.#finding;
  }

  #isOver(): boolean {
    return this.#finding !== null;
  }

  /** Goes on for about so long. Ends early at a finding. */
  round(ms: number): void {
    const began = this.#now();
    this.#watched(began + Math.min(ms, ROUND_MS) * WATCHED_SHARE);
    const until = began + ms;
    while (!this.#isOver() && this.#now() < until) {
      for (let n = 0; n < BATCH && !this.#isOver(); n++) this.#try(this.#next());
    }
    if (!this.#isOver()) this.#attempt(Buffer.alloc(0), () => this.#target.end?.());
    this.#ms += this.#now() - began;
  }

  #next(): Buffer {
    const dice = this.#dice;
    const { bytesMax } = this.#target;
    return mutated(dice.pick(this.#corpus), dice.pick(this.#corpus), this.#words, dice, bytesMax);
  }

  #watched(until: number): void {
    const coverage = this.#coverage;
    coverage.start();
    try {
      for (; this.#seeded < this.#corpus.length; this.#seeded++) {
        this.#try(this.#corpus[this.#seeded] ?? Buffer.alloc(0));
        if (this.#isOver()) return;
      }
      coverage.hasNew(true);
      while (this.#now() < until && !this.#isOver()) {
        const batch = Array.from({ length: BATCH }, () => this.#next());
        coverage.clear();
        for (const each of batch) if (!this.#isOver()) this.#try(each);
        if (coverage.hasNew(false) && !this.#isOver()) this.#keep(batch);
      }
      for (let n = 0; n < COSTS_A_ROUND && !this.#isOver(); n++) this.#lookAtCost();
    } finally {
      coverage.stop();
    }
    this.#seeded = this.#corpus.length;
  }

  /** Finds out which of them it was: those that reach what nothing reached before. */
  #keep(batch: readonly Buffer[]): void {
    for (const input of batch) {
      this.#coverage.clear();
      this.#try(input);
      if (this.#isOver()) return;
      if (!this.#coverage.hasNew(true)) continue;
      if (this.#corpus.length < CORPUS_MAX) this.#corpus.push(input);
      else this.#corpus[this.#dice.below(CORPUS_MAX)] = input;
    }
  }

  #lookAtCost(): void {
    const input = this.#dice.pick(this.#corpus).subarray(0, COST_BYTES_MAX);
    if (input.length === 0) return;
    this.#attempt(input, () => {
      const what = quadratic(this.#target, input, this.#coverage);
      if (what !== null) throw new Error(what);
    });
  }

  #try(input: Buffer): void {
    this.#inputs++;
    try {
      this.#target.run(input);
    } catch (error) {
      this.#found(input, error);
    }
  }

  #attempt(input: Buffer, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#found(input, error);
    }
  }

  #found(input: Buffer, error: unknown): void {
    const stack =
      typeof error === 'object' && error !== null && 'stack' in error ? String(error.stack) : '';
    const what = stack === '' ? messageOf(error) : stack;
    this.#finding = { target: this.#target.name, input: Buffer.from(input), what };
  }
}

/** The shortest that is still wrong in the same way, by leaving out pieces; bounded. */
export function shortened(input: Buffer, isWrong: (input: Buffer) => boolean): Buffer {
  let best = input;
  let tries = 0;
  for (let size = Math.max(1, best.length >> 1); size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.length && tries < 3000; tries++) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (isWrong(candidate)) best = candidate;
      else at += size;
    }
  }
  return best;
}
