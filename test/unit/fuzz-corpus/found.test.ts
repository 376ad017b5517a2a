import { readFileSync } from 'node:fs';

import { Coverage } from '../../fuzz/coverage.js';
import { quadratic } from '../../fuzz/cost.js';
import { found, seedsOf } from '../../fuzz/corpora.js';
import { Dice } from '../../fuzz/dice.js';
import { mutated } from '../../fuzz/mutate.js';
import type { Target } from '../../fuzz/target.js';
import { TARGETS } from '../../fuzz/targets.js';

const names = Object.keys(TARGETS);

async function make(name: string): Promise<Target> {
  const target = await TARGETS[name]?.();
  if (target === undefined) throw new Error(`no target ${name}`);
  return target;
}

describe('inputs that the fuzzer found', () => {
  it('belong to targets that there are', () => {
    for (const { target } of found()) expect(names).toContain(target);
  });

  it('do no harm any more', async () => {
    for (const { file, target } of found()) {
      const { run, end } = await make(target);
      run(readFileSync(file));
      end?.();
    }
  });
});

describe('each target of the fuzzer', () => {
  it.each(names)('%s: its seeds, and what is kept for it, are right', async (name) => {
    const { seeds, run, end } = await make(name);
    for (const input of [...seeds, ...seedsOf(name)]) run(input);
    end?.();
    expect(seeds.length).toBeGreaterThan(0);
  });
});

describe('the fuzzer', () => {
  it('makes the same inputs of the same seed', () => {
    const inputs = (seed: number): string[] => {
      const dice = new Dice(seed);
      const [one, other] = [Buffer.from('one input'), Buffer.from('and another')];
      return Array.from({ length: 100 }, () =>
        mutated(one, other, [Buffer.from('word')], dice, 64).toString('hex'),
      );
    };
    expect(inputs(7)).toEqual(inputs(7));
    expect(inputs(7)).not.toEqual(inputs(8));
  });

  it('finds a cost that is the square of its input, and no other', () => {
    // In a function of the project: what tests do themselves is not counted.
    const dice = new Dice(1);
    const once = (bytes: Buffer): Buffer => mutatedOnce(bytes, dice);
    const linear = (input: Buffer): void => {
      for (let at = 0; at < input.length; at++) once(input.subarray(at, at + 1));
    };
    const square = (input: Buffer): void => {
      for (let at = 0; at < input.length; at++) linear(input);
    };
    const coverage = new Coverage(/\/build\/test\/fuzz\//);
    coverage.start();
    try {
      const target = { name: 'cost', seeds: [], bytesMax: 64 };
      expect(quadratic({ ...target, run: linear }, Buffer.alloc(8), coverage)).toBeNull();
      const found = quadratic({ ...target, run: square }, Buffer.alloc(1), coverage);
      expect(found).toMatch(/grows faster/);
    } finally {
      coverage.stop();
    }
  });
});

function mutatedOnce(bytes: Buffer, dice: Dice): Buffer {
  dice.next();
  return bytes;
}
