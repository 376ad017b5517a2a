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
    writer.add(intent('first', close(1)), 0);
    writer.run(0);
    writer.add(intent('second', close(2)), 0);
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

describe('group commit', () => {
  function stage(): { readonly writer: Writer; readonly batches: number[]; commit(): void } {
    const batches: number[] = [];
    const handed = (changes: readonly Change[]): Handed => {
      batches.push(changes.length);
      return { number: batches.length, awaits: false };
    };
    const writer = new Writer(handed, () => true, new Commits());
    const commit = (): void => {
      const results = Array.from({ length: batches.at(-1) ?? 0 }, () => DONE);
      writer.committed(batches.length, results, 0);
    };
    return { writer, batches, commit };
  }

  function add(writer: Writer, count: number): void {
    const nothing = { bytes: 0, committed: () => undefined, failed: () => false };
    for (let n = 0; n < count; n++) writer.add({ change: close(n), ...nothing }, 0);
  }

  it('waits for the end of the turn with a few changes', () => {
    const { writer, batches } = stage();
    add(writer, 7);
    expect(batches).toEqual([]);
    writer.run(0);
    expect(batches).toEqual([7]);
  });

  it('gives a store that idles half of what comes at once, so that clients come in two groups', () => {
    const { writer, batches, commit } = stage();
    for (let turn = 0; turn < 4; turn++) {
      add(writer, 64);
      writer.run(0);
      commit();
      commit();
    }
    expect(batches).toEqual([8, 56, 28, 36, 18, 46, 23, 41]);
  });

  it('begins nothing early after a failure, or once it is abandoned', () => {
    const { writer, batches } = stage();
    add(writer, 8);
    writer.failed(1, { kind: 'full', message: 'the disk is full' }, 0);
    add(writer, 100);
    expect(batches).toEqual([8]);
    writer.abandon({ kind: 'busy', message: 'stepped down' });
    add(writer, 100);
    writer.run(10_000);
    expect(batches).toEqual([8]);
  });
});
