import { describe, expect, it } from '@jest/globals';

import type { Change, ChangeResult } from '../../../src/titanic/store.js';
import { type Handed, type Intent, Writer } from '../../../src/titanic/writer.js';
import { close } from '../../support/store-changes.js';

const DONE: ChangeResult = { kind: 'done' };

describe('group commit in a strict pair', () => {
  it('a change that was taken in before the peer was lost is doubtful, not done (D14)', () => {
    const handed: Handed[] = [
      { number: 1, awaits: true, isDoubtful: false },
      { number: 2, awaits: false, isDoubtful: true },
    ];
    const writer = new Writer((): Handed => {
      const next = handed.shift();
      if (next === undefined) throw new Error('two batches were expected');
      return next;
    });
    const told: string[] = [];
    const intent = (name: string, change: Change): Intent => ({
      change,
      bytes: 0,
      committed: () => {
        told.push(`${name} done`);
      },
      doubtful: () => {
        told.push(`${name} doubtful`);
      },
      failed: () => false,
    });
    writer.add(intent('first', close(1)));
    writer.run(0);
    writer.add(intent('second', close(2)));
    writer.committed(1, [DONE], 1);
    expect(told).toEqual([]);
    // The peer is gone: nobody waits for it any more.
    writer.released(1, true, 2);
    writer.committed(2, [DONE], 3);
    expect(told).toEqual(['first doubtful', 'second doubtful']);
  });
});
