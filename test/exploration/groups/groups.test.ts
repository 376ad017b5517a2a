import { present } from '../../../src/core/assert.js';
import type { RunLimit, ServiceLimits } from '../../../src/broker/options.js';
import { search } from '../titanic/search.js';
import { MUTANTS } from './mutants.js';
import { type Setting, WHOLE, World } from './world.js';

const FREE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };
const ONE: RunLimit = { ...FREE, running: 1 };
const SLOW: RunLimit = { ...FREE, perSecond: 1 };
const BURST: RunLimit = { ...FREE, perSecond: 1, burst: 2 };

function limits(service: RunLimit | null, group: RunLimit | null): ServiceLimits {
  return { service, group, holds: false };
}

const QUIET: Setting = {
  groups: ['a', 'b'],
  limits: [null],
  workers: 2,
  plain: 0,
  stored: 0,
  losses: 0,
  cancels: 0,
  steps: 0,
  changes: 0,
  begins: 0,
  says: 0,
  clears: 0,
  claims: 0,
};

const SETTINGS: Readonly<Record<string, Setting>> = {
  turns: { ...QUIET, groups: ['', 'a', 'b'], workers: 1, plain: 5, stored: 1, losses: 1 },
  'one at a time, plain and stored': {
    ...{ ...QUIET, limits: [limits(null, ONE)] },
    ...{ plain: 2, stored: 2, losses: 1, cancels: 1 },
  },
  'behind others, and cancelled': {
    ...{ ...QUIET, groups: ['', 'a'], limits: [limits(null, ONE)], workers: 1 },
    ...{ plain: 1, stored: 2, cancels: 2 },
  },
  'a rate for each group': {
    ...{ ...QUIET, limits: [limits(null, BURST)], steps: 3 },
    ...{ plain: 3, stored: 2, cancels: 1 },
  },
  'limits of the service': {
    ...{ ...QUIET, groups: ['', 'a'], limits: [limits(BURST, ONE)], steps: 3 },
    ...{ plain: 3, stored: 1, losses: 1 },
  },
  'limits that change': {
    ...{ ...QUIET, groups: ['', 'a'], steps: 2, changes: 2 },
    limits: [limits(null, SLOW), limits(ONE, null), limits(ONE, { ...BURST, perSecond: 2 }), null],
    ...{ plain: 3, stored: 1 },
  },
  'a takeover': {
    ...{ ...QUIET, limits: [limits(ONE, { ...SLOW, running: 1 })], steps: 4 },
    ...{ plain: 2, stored: 1, begins: 1, says: 1 },
  },
  'a takeover, and limits that change': {
    ...{ ...QUIET, groups: ['a'], limits: [null, limits(null, ONE)], steps: 2, changes: 2 },
    ...{ plain: 2, stored: 1, begins: 1, says: 1 },
  },
  'nobody is served any more': {
    ...{ ...QUIET, groups: ['', 'a'], limits: [limits(null, ONE)] },
    ...{ plain: 3, stored: 2, clears: 1, losses: 1 },
  },
  'claims of a store that others use': {
    ...{ ...QUIET, groups: ['a'], limits: [limits(null, BURST)] },
    ...{ plain: 1, stored: 2, steps: 3, claims: 2, cancels: 1 },
  },
};

/** Breadth first: all states of the smaller ones, and of the others those that take the fewest steps. */
const STATES_MAX = 10_000;

describe('every state of groups that can be reached (D118)', () => {
  it.each(Object.entries(SETTINGS))('holds what it promises: %s', (_name, setting) => {
    expect(search(() => new World(setting, WHOLE), 4, STATES_MAX).finding).toBeNull();
  });
});

describe('the state of groups', () => {
  const mutants = Object.entries(MUTANTS).flatMap(([setting, made]) =>
    Object.entries(made).map(([what, mutant]) => ({ what, setting: SETTINGS[setting], mutant })),
  );
  it.each(mutants)('is found out if it is wrong: $what', ({ setting, mutant }) => {
    const where = present(setting, 'a setting');
    expect(search(() => new World(where, mutant), 1, STATES_MAX).finding).not.toBeNull();
  });
});
