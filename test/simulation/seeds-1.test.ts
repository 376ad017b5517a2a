import { describe, it } from '@jest/globals';
import { expectSeedsHold } from './support.js';

const SEEDS = 1000;

describe('in a simulated world of clients, workers and a network that fails', () => {
  it.each([0, 1, 2, 3].map((part) => 1 + (part * SEEDS) / 4))(
    'the broker does what the model says, step by step: 250 seeds from %i',
    (from) => {
      expectSeedsHold(from, SEEDS / 4);
    },
  );
});
