import { describe, expect, it } from '@jest/globals';

import type { SubmittedBatch, Replica } from '../../../src/titanic/machine/replica.js';
import type { Change, ChangeResult } from '../../../src/titanic/store/store.js';
import { type Intent, Writer } from '../../../src/titanic/machine/writer.js';
import { Commits } from '../../../src/titanic/machine/commits.js';
import { close } from '../../support/store-changes.js';

const DONE: ChangeResult = { kind: 'done' };

/** A replica that commits by this function. */
function replicaOf(commit: (changes: readonly Change[]) => SubmittedBatch): Replica {
  return { isPaired: false, refusal: null, commit, probe: () => 0 };
}

function noNumbers(): Intent {
  throw new Error('no intent waits as a number');
}

describe('group commit in a strict pair', () => {
  it('a change that was taken in before the peer was lost is given up, not done (D14)', () => {
    const peer = {
      ...{ isPaired: true, refusal: null as string | null, probe: () => 0 },
      commit: () => ({ number: 1, awaitsPeer: true }),
    };
    const told: string[] = [];
    const writer = new Writer(peer, new Commits(), noNumbers);
    const intent = (name: string, change: Change): Intent => ({
      change,
      party: 'one',
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
    peer.refusal = 'the peer is gone';
    writer.released(1, true, 2);
    writer.refuse({ kind: 'busy', message: 'the peer was lost' });
    expect(told).toEqual(['first doubtful', 'second failed']);
    expect(writer.isIdle).toBe(true);
  });
});

describe('group commit', () => {
  function stage(): { readonly writer: Writer; readonly batches: number[]; commit(): void } {
    const batches: number[] = [];
    const replica = replicaOf((changes) => {
      batches.push(changes.length);
      return { number: batches.length, awaitsPeer: false };
    });
    const writer = new Writer(replica, new Commits(), noNumbers);
    const commit = (): void => {
      const results = Array.from({ length: batches.at(-1) ?? 0 }, () => DONE);
      writer.committed(batches.length, results, 0);
    };
    return { writer, batches, commit };
  }

  function add(writer: Writer, count: number): void {
    const nothing = { party: 'one', bytes: 0, committed: () => undefined, failed: () => false };
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

  function changesOf(party: string, count: number, bytes = 0): Intent[] {
    return Array.from({ length: count }, (_, n) => ({
      ...{ change: close(n), party, bytes },
      ...{ committed: () => undefined, failed: () => true },
    }));
  }

  function parties(): { readonly writer: Writer; readonly begun: string[]; next(): string[] } {
    const begun: string[] = [];
    let number = 0;
    const replica = replicaOf(() => ({ number: ++number, awaitsPeer: false }));
    const writer = new Writer(replica, new Commits(), noNumbers);
    const next = (): string[] => {
      begun.length = 0;
      writer.committed(number, [], 0);
      return [...begun];
    };
    return { writer, begun, next };
  }

  it('who stores little is in the next batch, however much another stores (D75)', () => {
    const { writer, begun, next } = parties();
    const add = (intents: readonly Intent[]): void => {
      for (const intent of intents) {
        writer.add({ ...intent, begins: () => begun.push(intent.party) }, 0);
      }
    };
    add(changesOf('flooder', 100_000));
    add(changesOf('quiet', 3));
    const batch = next();
    expect(batch).toHaveLength(256);
    expect(batch.filter((party) => party === 'quiet')).toHaveLength(3);
    // Nor do large ones keep it out for longer than one batch.
    add(changesOf('hoarder', 10, 4 * 1024 * 1024));
    add(changesOf('quiet', 1, 100));
    expect([...next(), ...next()]).toContain('quiet');
  });

  it('a batch has at most 4 MiB, but for one change that is larger', () => {
    const { writer, begun, next } = parties();
    const sizes = [5, 3, 2, 1].map((mib) => mib * 1024 * 1024);
    for (const bytes of sizes) {
      const [intent] = changesOf('one', 1, bytes);
      if (intent) writer.add({ ...intent, begins: () => begun.push(String(bytes >> 20)) }, 0);
    }
    writer.run(0);
    expect(begun).toEqual(['5']);
    expect([next(), next(), next()]).toEqual([['3'], ['2', '1'], []]);
  });

  it('one party alone does not use up all that may wait', () => {
    const { writer } = parties();
    for (const intent of changesOf('flooder', 190_000)) writer.add(intent, 0);
    expect(writer.isFullFor('flooder')).toBe(true);
    expect(writer.isFullFor('quiet')).toBe(false);
  });

  it('what waits as a number is made in its turn, in the order of its party, or to be given up', () => {
    const events: string[] = [];
    let number = 0;
    const writer = new Writer(
      replicaOf(() => ({ number: ++number, awaitsPeer: false })),
      new Commits(),
      (made) => {
        const note = (what: string): void => void events.push(`${what} ${made}`);
        note('made');
        return {
          ...{ change: close(made), party: 'one', bytes: 3, begins: () => note('begins') },
          committed: () => note('committed'),
          failed: () => {
            note('failed');
            return false;
          },
        };
      },
    );
    const begins = (): void => void events.push('begins close');
    const [change] = changesOf('one', 1);
    if (change === undefined) throw new Error('one');
    writer.addNumber('one', 0, 3, 0);
    writer.add({ ...change, begins }, 0);
    writer.addNumber('one', 1, 3, 0);
    expect([events, writer.bytes]).toEqual([[], 6]);
    writer.run(0);
    expect(events.splice(0)).toEqual(['made 0', 'made 1', 'begins 0', 'begins close', 'begins 1']);
    // Those that wait behind a batch that failed keep their places; the batch's own are given up.
    writer.addNumber('one', 2, 3, 0);
    writer.failed(1, { kind: 'busy', message: 'locked' }, 0);
    expect(events.splice(0)).toEqual(['failed 0', 'failed 1']);
    writer.run(10_000);
    expect(events.splice(0)).toEqual(['made 2', 'begins close', 'begins 2']);
    writer.addNumber('one', 4, 3, 0);
    writer.refuse({ kind: 'busy', message: 'the peer was lost' });
    expect(events.splice(0)).toEqual(['made 4', 'failed 4']);
    writer.addNumber('one', 5, 3, 0);
    writer.abandon({ kind: 'busy', message: 'stepped down' });
    expect(events).toEqual(['failed 2', 'made 5', 'failed 5']);
    expect(writer.isIdle).toBe(true);
  });

  it('what is tried again goes first, in its order', () => {
    const { writer, begun, next } = parties();
    const named = (n: number): Intent => {
      const [intent] = changesOf('one', 1);
      if (intent === undefined) throw new Error('one');
      return { ...intent, begins: () => begun.push(String(n)) };
    };
    writer.add(named(1), 0);
    writer.add(named(2), 0);
    writer.run(0);
    writer.add(named(3), 0);
    writer.failed(1, { kind: 'busy', message: 'locked' }, 0);
    begun.length = 0;
    writer.run(10_000);
    expect(begun).toEqual(['1', '2', '3']);
    expect(next()).toEqual([]);
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
