import { describe, expect, it } from '@jest/globals';

import type { Change, ChangeResult } from '../../../src/titanic/store.js';
import { type Handed, type Intent, Writer } from '../../../src/titanic/writer.js';
import { Commits } from '../../../src/titanic/commits.js';
import { close } from '../../support/store-changes.js';

const DONE: ChangeResult = { kind: 'done' };

describe('group commit in a strict pair', () => {
  it('a change that was taken in before the peer was lost is given up, not done (D14)', () => {
    const peer = { isThere: true };
    const told: string[] = [];
    const writer = new Writer(
      (): Handed => ({ number: 1, awaits: true }),
      () => peer.isThere,
      new Commits(),
    );
    const intent = (name: string, change: Change): Intent => ({
      change,
      bytes: 0,
      committed: () => {
        told.push(`${name} done`);
      },
      doubtful: () => {
        told.push(`${name} doubtful`);
      },
      failed: () => {
        told.push(`${name} failed`);
        return false;
      },
    });
    writer.add(intent('first', close(1)));
    writer.run(0);
    writer.add(intent('second', close(2)));
    writer.committed(1, [DONE], 1);
    expect(told).toEqual([]);
    // The peer is gone: nobody waits for it any more, and nothing is written without it.
    peer.isThere = false;
    writer.released(1, true, 2);
    writer.refuse({ kind: 'busy', message: 'the peer was lost' });
    expect(told).toEqual(['first doubtful', 'second failed']);
    expect(writer.isIdle).toBe(true);
  });
});
