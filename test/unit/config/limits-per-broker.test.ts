import { limitsPerBroker } from '../../../src/config/limits-per-broker.js';
import { load } from './support.js';

const LIMITED = 'broker.services=[{match: a, group: {perSecond: 5}}]';

function saidOf(...sets: readonly string[]): string[] {
  return limitsPerBroker(load({ sets }).config).map(({ path, message }) => `${path}: ${message}`);
}

describe('limits of services', () => {
  it.each([
    [
      'fleet.nats=nats://127.0.0.1:4222',
      'broker.services: in a fleet each broker counts for itself',
    ],
    [
      'titanic.store=postgresql://u@127.0.0.1/d',
      'broker.services: with titanic.store a database each broker counts for itself',
    ],
  ])('are said to be of each broker with %s', (set, said) => {
    expect(saidOf(set, LIMITED)).toEqual([expect.stringContaining(said)]);
    expect(saidOf(set)).toEqual([]);
    expect(saidOf(set, 'broker.services=[{match: a, group: {onFailure: hold}}]')).toEqual([]);
  });

  it('are exact at one broker, so nothing is said', () => expect(saidOf(LIMITED)).toEqual([]));
});
