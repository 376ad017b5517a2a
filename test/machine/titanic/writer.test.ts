import { DISK_BATCH_BYTES } from '../../../src/core/defaults.js';
import type { BatchOutcome, Replica } from '../../../src/titanic/machine/requests/replica.js';
import type { Change, ChangeResult, StoreFailure } from '../../../src/store/store.js';
import type { Commit } from '../../../src/titanic/machine/requests/commit.js';
import { StoreWaits } from '../../../src/titanic/machine/requests/store-waits.js';
import { type CommitNumber, Writer } from '../../../src/titanic/machine/requests/writer.js';
import { Commits } from '../../../src/titanic/machine/requests/commits.js';
import { accept, attempt, close, reply } from '../../support/store-changes.js';

const DONE: ChangeResult = { kind: 'done' };

interface Written {
  readonly writer: Writer;
  readonly replica: Replica & { refusal: string | null };
  /** What becomes of its batches, which are numbered from 1. @param now monotonic milliseconds */
  committed(batch: number, results: readonly ChangeResult[], now: number): void;
  failed(batch: number, failure: StoreFailure, now: number): void;
  released(batch: number, isDoubtful: boolean, now: number): void;
}

/** A writer on a replica that tells of batches by this function. */
function writerOn(
  began: (changes: readonly Change[]) => void,
  more: { readonly batchesMax?: number; readonly awaitsPeer?: boolean } = {},
  made: (number: CommitNumber) => Commit = noNumbers,
): Written {
  const outcomes: BatchOutcome<readonly ChangeResult[]>[] = [];
  const { batchesMax = 1, awaitsPeer = false } = more;
  const replica = {
    ...{ isPaired: awaitsPeer, answerMs: Infinity, batchesMax, batchBytesMax: DISK_BATCH_BYTES },
    ...{ silence: null, refusal: null as string | null, probe: () => 0 },
    commit: (changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>) => {
      began(changes);
      outcomes.push(outcome);
      return awaitsPeer;
    },
  };
  const clock = { now: 0 };
  const ignored = (): void => undefined;
  const now = (): number => clock.now;
  const writer = new Writer(replica, new Commits(), {
    ...{ waits: new StoreWaits(Infinity, now), commitOf: made, takeNumber: () => 1 },
    ...{
      now,
      committed: ignored,
      failed: ignored,
      doubted: ignored,
      released: ignored,
    },
  });
  const at = (now: number, batch: number): BatchOutcome<readonly ChangeResult[]> | undefined => {
    clock.now = now;
    return outcomes[batch - 1];
  };
  return {
    ...{ writer, replica },
    committed: (batch, results, now) => at(now, batch)?.done(results),
    failed: (batch, failure, now) => at(now, batch)?.failed(failure),
    released: (batch, isDoubtful, now) => at(now, batch)?.released(isDoubtful),
  };
}

function noNumbers(): Commit {
  throw new Error('no commit waits as a number');
}

/**
 * Takes the outcomes of a commit by their kinds.
 * @param failed returns whether it is tried again
 * @param refused absent: as `failed`
 * @param doubtful absent: as `made`
 */
function takes(
  made: () => void,
  failed: (failure: StoreFailure) => boolean,
  refused?: () => void,
  doubtful: () => void = made,
): Pick<Commit, 'ended'> {
  return {
    ended: (outcome) => {
      if (outcome.kind === 'made') {
        if (outcome.isDoubtful) doubtful();
        else made();
        return false;
      }
      if (outcome.kind === 'failed' || refused === undefined) return failed(outcome.failure);
      refused();
      return false;
    },
  };
}

describe('group commit in a strict pair', () => {
  it('a change that was taken in before the peer was lost is given up, not done (D14)', () => {
    const told: string[] = [];
    const store = writerOn(() => undefined, { awaitsPeer: true });
    const { writer, replica } = store;
    const commit = (name: string, change: Change): Commit => ({
      ...{ change, party: 'one', bytes: 0 },
      ...takes(
        () => told.push(`${name} done`),
        () => {
          told.push(`${name} failed`);
          return false;
        },
        undefined,
        () => told.push(`${name} doubtful`),
      ),
    });
    writer.add(commit('first', close(1)), 0);
    writer.run(0);
    writer.add(commit('second', close(2)), 0);
    store.committed(1, [DONE], 1);
    expect(told).toEqual([]);
    // The peer is gone: nobody waits for it any more, and nothing is written without it.
    replica.refusal = 'the peer is gone';
    store.released(1, true, 2);
    writer.refuse({ kind: 'busy', message: 'the peer was lost' });
    expect(told).toEqual(['first doubtful', 'second failed']);
    expect(writer.isIdle).toBe(true);
  });
});

describe('a change that the store does not take', () => {
  it('is refused once, or tried again later; the others of its batch are done', () => {
    const batches: string[][] = [];
    const told: string[] = [];
    const store = writerOn((changes) => batches.push(changes.map(({ kind }) => kind)));
    const { writer } = store;
    const add = (name: string, isAgain: boolean, refused?: () => void): void => {
      const change = close(told.length + 1);
      writer.add(
        {
          ...{ change, party: 'one', bytes: 0 },
          ...takes(
            () => told.push(`${name} done`),
            ({ message }) => {
              told.push(`${name}: ${message}`);
              return isAgain;
            },
            refused,
          ),
        },
        0,
      );
    };
    add('first', false);
    add('second', true);
    add('third', true, () => told.push('third refused'));
    add('fourth', true);
    writer.run(0);
    const refused: ChangeResult = { kind: 'refused' };
    store.committed(1, [refused, refused, refused, DONE], 0);
    expect(told).toEqual([
      ...['first: the store refuses it', 'second: the store refuses it'],
      ...['third refused', 'fourth done'],
    ]);
    writer.run(999);
    expect(batches).toHaveLength(1);
    writer.run(1000);
    expect(batches).toEqual([Array(4).fill('close'), ['close']]);
  });
});

describe('a change that the store cannot make now', () => {
  it('is given up, or tried again a second later; what came since does not wait for it', () => {
    const batches: number[] = [];
    const told: string[] = [];
    const store = writerOn((changes) => batches.push(changes.length));
    const { writer } = store;
    const add = (name: string, isAgain: boolean, now: number): void => {
      writer.add(
        {
          ...{ change: close(told.length + 1), party: 'one', bytes: 100 },
          ...takes(
            () => told.push(`${name} done`),
            ({ message }) => {
              told.push(`${name}: ${message}`);
              return isAgain;
            },
            () => told.push(`${name} refused`),
          ),
        },
        now,
      );
    };
    add('first', false, 0);
    add('second', true, 0);
    add('third', true, 0);
    writer.run(0);
    const busy: ChangeResult = { kind: 'busy' };
    store.committed(1, [busy, busy, DONE], 10);
    expect(told.splice(0)).toEqual([
      ...['first: the store is too busy', 'second: the store is too busy', 'third done'],
    ]);
    expect([writer.isIdle, writer.bytes, writer.dueAt]).toEqual([false, 100, 1010]);
    add('fourth', false, 20);
    writer.run(20);
    store.committed(2, [DONE], 30);
    writer.run(1009);
    expect(batches).toEqual([3, 1]);
    writer.run(1010);
    store.committed(3, [DONE], 1020);
    expect(told).toEqual(['fourth done', 'second done']);
    expect([writer.isIdle, writer.bytes, writer.dueAt]).toEqual([true, 0, Infinity]);
  });

  it('is told of the end with all others', () => {
    const store = writerOn(() => undefined);
    const { writer } = store;
    const told: string[] = [];
    const change = close(1);
    writer.add(
      {
        ...{ change, party: 'one', bytes: 100 },
        ...takes(
          () => told.push('done'),
          ({ message }) => {
            told.push(message);
            return true;
          },
        ),
      },
      0,
    );
    writer.run(0);
    store.committed(1, [{ kind: 'busy' }], 0);
    writer.abandon({ kind: 'fatal', message: 'the end' });
    expect(told).toEqual(['the store is too busy', 'the end']);
    expect([writer.isIdle, writer.bytes]).toEqual([true, 0]);
  });
});

describe('group commit', () => {
  function stage(): Written & { readonly batches: number[]; commit(): void } {
    const batches: number[] = [];
    const store = writerOn((changes) => batches.push(changes.length));
    const commit = (): void => {
      const results = Array.from({ length: batches.at(-1) ?? 0 }, () => DONE);
      store.committed(batches.length, results, 0);
    };
    return { ...store, batches, commit };
  }

  function add(writer: Writer, count: number): void {
    const nothing = { party: 'one', bytes: 0, ended: () => false };
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

  function changesOf(party: string, count: number, bytes = 0): Commit[] {
    return Array.from({ length: count }, (_, n) => ({
      ...{ change: close(n), party, bytes },
      ended: ({ kind }) => kind !== 'made',
    }));
  }

  function parties(): Written & { readonly begun: string[]; next(): string[] } {
    const begun: string[] = [];
    let number = 0;
    const store = writerOn(() => number++);
    const next = (): string[] => {
      begun.length = 0;
      store.committed(number, [], 0);
      return [...begun];
    };
    return { ...store, begun, next };
  }

  it('who stores little is in the next batch, however much another stores (D75)', () => {
    const { writer, begun, next } = parties();
    const add = (commits: readonly Commit[]): void => {
      for (const commit of commits) {
        writer.add({ ...commit, begins: () => begun.push(commit.party) }, 0);
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
      const [commit] = changesOf('one', 1, bytes);
      if (commit) writer.add({ ...commit, begins: () => begun.push(String(bytes >> 20)) }, 0);
    }
    writer.run(0);
    expect(begun).toEqual(['5']);
    expect([next(), next(), next()]).toEqual([['3'], ['2', '1'], []]);
  });

  it('one party alone does not use up all that may wait', () => {
    const { writer } = parties();
    for (const commit of changesOf('flooder', 190_000)) writer.add(commit, 0);
    expect(writer.isFullFor('flooder')).toBe(true);
    expect(writer.isFullFor('quiet')).toBe(false);
  });

  it('what waits as a number is made in its turn, in the order of its party, or to be given up', () => {
    const events: string[] = [];
    const store = writerOn(
      () => undefined,
      {},
      (made) => {
        const note = (what: string): void => void events.push(`${what} ${made}`);
        note('made');
        return {
          ...{ change: close(made), party: 'one', bytes: 3, begins: () => note('begins') },
          ended: ({ kind }) => {
            note(kind);
            return false;
          },
        };
      },
    );
    const { writer } = store;
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
    store.failed(1, { kind: 'busy', message: 'locked' }, 0);
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
    const { writer, begun, next, failed } = parties();
    const named = (n: number): Commit => {
      const [commit] = changesOf('one', 1);
      if (commit === undefined) throw new Error('one');
      return { ...commit, begins: () => begun.push(String(n)) };
    };
    writer.add(named(1), 0);
    writer.add(named(2), 0);
    writer.run(0);
    writer.add(named(3), 0);
    failed(1, { kind: 'busy', message: 'locked' }, 0);
    begun.length = 0;
    writer.run(10_000);
    expect(begun).toEqual(['1', '2', '3']);
    expect(next()).toEqual([]);
  });

  it('begins nothing early after a failure, or once it is abandoned', () => {
    const { writer, batches, failed } = stage();
    add(writer, 8);
    failed(1, { kind: 'full', message: 'the disk is full' }, 0);
    add(writer, 100);
    expect(batches).toEqual([8]);
    writer.abandon({ kind: 'busy', message: 'stepped down' });
    add(writer, 100);
    writer.run(10_000);
    expect(batches).toEqual([8]);
  });
});

describe('two batches at a time', () => {
  interface Stage extends Written {
    readonly batches: readonly (readonly string[])[];
    readonly told: string[];
    add(...changes: (readonly [name: string, change: Change])[]): void;
    ends(number: number): void;
  }

  function stage(): Stage {
    const batches: string[][] = [];
    const told: string[] = [];
    const names = new Map<Change, string>();
    const store = writerOn(
      (changes) => batches.push(changes.map((change) => names.get(change) ?? '?')),
      { batchesMax: 2 },
    );
    const { writer } = store;
    return {
      ...{ ...store, batches, told },
      add: (...changes) => {
        for (const [name, change] of changes) {
          names.set(change, name);
          const outcome = takes(
            () => told.push(name),
            () => true,
          );
          writer.add({ change, party: 'one', bytes: 10, ...outcome }, 0);
        }
        writer.run(0);
      },
      ends: (number) => store.committed(number, batches[number - 1]?.map(() => DONE) ?? [], 0),
    };
  }

  it('the second begins while the first is with the store, and may end before it', () => {
    const { writer, batches, told, add, ends } = stage();
    add(['a', accept(1)], ['b', accept(2)]);
    add(['c', accept(3)]);
    add(['d', accept(4)], ['e', accept(5)]);
    expect(batches).toEqual([['a', 'b'], ['c']]);
    expect([writer.bytes, writer.dueAt]).toEqual([50, Infinity]);
    ends(2);
    expect([told, batches.at(-1)]).toEqual([['c'], ['d', 'e']]);
    ends(1);
    ends(3);
    expect(told).toEqual(['c', 'a', 'b', 'd', 'e']);
    expect([writer.isIdle, writer.bytes]).toEqual([true, 0]);
  });

  it('changes of one request follow each other, and those after them wait', () => {
    const { writer, batches, add, ends } = stage();
    add(['attempt 1', attempt(1, 1)], ['reply 2', reply(2)]);
    add(['reply 3', reply(3)], ['reply 1', reply(1)], ['reply 4', reply(4)]);
    expect(batches).toEqual([['attempt 1', 'reply 2'], ['reply 3']]);
    expect(writer.dueAt).toBe(Infinity);
    ends(2);
    expect(batches).toHaveLength(2);
    ends(1);
    expect(batches.at(-1)).toEqual(['reply 1', 'reply 4']);
  });

  it('also what is done in the same step with another change', () => {
    const { writer, batches, ends } = stage();
    const nothing = { party: 'one', bytes: 0, ended: () => false };
    writer.add({ change: accept(2), before: [attempt(1, 1)], ...nothing }, 0);
    writer.run(0);
    writer.add({ change: close(1), ...nothing }, 0);
    writer.run(0);
    expect(batches).toHaveLength(1);
    ends(1);
    expect(batches).toHaveLength(2);
  });

  it('what is held back is given up, or tried again, with what waits', () => {
    const { writer, batches, told, add, ends, failed } = stage();
    add(['attempt 1', attempt(1, 1)]);
    add(['reply 1', reply(1)], ['reply 2', reply(2)]);
    failed(1, { kind: 'busy', message: 'away' }, 0);
    writer.run(10_000);
    expect(batches.at(-1)).toEqual(['attempt 1', 'reply 1', 'reply 2']);
    ends(2);
    expect(told).toEqual(['attempt 1', 'reply 1', 'reply 2']);
    add(['attempt 3', attempt(3, 1)]);
    add(['reply 3', reply(3)]);
    writer.abandon({ kind: 'busy', message: 'stepped down' });
    expect([writer.isIdle, writer.bytes]).toEqual([true, 0]);
  });
});
