import { BOUNDS } from './bounds.js';
import { MUTANTS, whole } from './mutants.js';
import { search } from './search.js';

/**
 * Searched in every state: nobody is answered 400 for what was acknowledged; no step that both stores
 * had is ever unseen; both serve only after a cut, a stall or a slow disk; no epoch is taken twice; no
 * assertion fails. And from these states on, when faults stop: one serves, its peer is in sync, and
 * both stores hold all that was ever shown.
 */
describe('every state of the pair that can be reached (§6, D13 to D21)', () => {
  it.each(BOUNDS)('holds what it promises: $name', ({ name: _name, ...bound }) => {
    const { finding, isComplete } = search(bound, whole);
    expect(finding).toBeNull();
    expect(isComplete).toBe(true);
  });
});

describe('every rule of the table is needed', () => {
  it.each(MUTANTS)('without it the search finds a fault: $name', ({ bound, make, isTrusting }) => {
    expect(search(bound, make, isTrusting).finding).not.toBeNull();
  });
});
