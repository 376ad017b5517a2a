import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { type Change, readFrom } from '../../src/store/store.js';
import { MemoryDisk } from '../../src/testing/memory-store.js';
import {
  accept,
  close,
  DAY_MS,
  expire,
  NOON,
  retry,
  sweep,
  uuidOf,
} from '../support/store-changes.js';
import { StoreDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, StorePair } from '../support/store-pair.js';
import { StoreUser } from '../support/store-user.js';

const KEYS = [undefined, undefined, 'a', 'b', `once-${'0e'.repeat(16)}`];
const RUNS = { memory: 400, sqlite: 12 };

const NEVER_ACCEPTED = 5000;

/** What may happen to one of the requests so far: `which` of them, from the latest on. */
interface Step {
  readonly what: 'accept' | 'attempt' | 'reply' | 'dead' | 'close' | 'expire' | 'retry' | 'sweep';
  readonly which: number;
  readonly generation: number;
  readonly value: number;
}

type Event =
  | { readonly kind: 'apart' | 'stream'; readonly place: number; readonly steps: readonly Step[] }
  | { readonly kind: 'join'; readonly place: number; readonly size: number; readonly left: number };

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    'accept',
    'accept',
    'accept',
    'attempt',
    'reply',
    'dead',
    'close',
    'expire',
    'retry',
    'sweep',
  ),
  which: fc.integer({ min: 0, max: 5 }),
  generation: fc.integer({ min: 0, max: 2 }),
  value: fc.integer({ min: 0, max: 4 }),
});
const place = fc.integer({ min: 0, max: 1 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('apart' as const, 'apart' as const, 'stream' as const),
    place,
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('join' as const),
    place,
    size: fc.integer({ min: 1, max: 5 }),
    left: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 6 })),
  }),
);
const STEP: Step = { what: 'accept', which: 0, generation: 0, value: 0 };
const EXPIRE: Step = { ...STEP, what: 'expire' };
/** Each was active while they were in sync, so each knows which of its own transactions the other holds. */
const BOTH_WERE_ACTIVE: Event[] = [
  { kind: 'apart', place: 0, steps: [STEP] },
  { kind: 'apart', place: 0, steps: [STEP] },
  { kind: 'apart', place: 0, steps: [STEP] },
  { kind: 'join', place: 0, size: 3, left: 2 },
  { kind: 'stream', place: 0, steps: [STEP] },
  { kind: 'join', place: 1, size: 1, left: 2 },
  { kind: 'stream', place: 0, steps: [STEP] },
  { kind: 'apart', place: 1, steps: [EXPIRE, STEP] },
];
const history = fc.array(event, { minLength: 1, maxLength: 14 });

/** Makes changes of steps. A request is accepted once, on one side, as by a node. */
class Changes {
  #accepted = 0;
  #attempts = 0;

  of(steps: readonly Step[]): Change[] {
    return steps.map((each) => this.#of(each));
  }

  #of({ what, which, generation, value }: Step): Change {
    const n = this.#accepted > which ? this.#accepted - which : NEVER_ACCEPTED;
    const expiresAt = NOON + value * DAY_MS;
    switch (what) {
      case 'accept': {
        const key = KEYS[value];
        return accept(++this.#accepted, {
          body: packed(`body ${this.#accepted}`),
          acceptedAt: NOON + this.#accepted,
          ...(key === undefined ? {} : { key }),
        });
      }
      case 'attempt': {
        const startedAt = NOON + ++this.#attempts;
        const ended = { endedAt: startedAt + 1, reason: 'lost', failure: null, extra: null };
        const attempt = { worker: 'w', startedAt, ...ended };
        const notBefore = startedAt + 1000;
        return {
          kind: 'attempt',
          uuid: uuidOf(n),
          generation,
          attempts: value + 1,
          attempt,
          notBefore,
        };
      }
      case 'reply': {
        const reply = packed(`reply ${value}`);
        return {
          kind: 'reply',
          uuid: uuidOf(n),
          generation,
          reply,
          worker: 'w',
          at: NOON,
          expiresAt,
        };
      }
      case 'dead':
        return {
          kind: 'dead',
          uuid: uuidOf(n),
          generation,
          reason: `${value}`,
          at: NOON,
          expiresAt,
        };
      case 'close':
        return close(n, expiresAt);
      case 'expire':
        return expire(n, expiresAt);
      case 'retry':
        return { ...retry(n, generation + 1), expiresAt };
      case 'sweep':
        return sweep(expiresAt, { most: which + 1 });
    }
  }
}

/** Tombstones are dropped when the other disk has them: at the one sooner, at the other later. */
async function livingOf(user: StoreUser): Promise<readonly object[]> {
  return (await contentOf(user)).filter(({ kind }) => kind !== 'tombstone');
}

async function run(a: StoreUser, b: StoreUser, events: readonly Event[]): Promise<void> {
  const pair = new StorePair(a, b);
  const changes = new Changes();
  for (const each of events) {
    if (each.kind === 'join') {
      const isInSync = await pair.join(each.place, each.size, each.left);
      if (isInSync) expect(await livingOf(b)).toEqual(await livingOf(a));
    } else if (each.kind === 'apart' || !pair.isInSync) {
      await pair.apart(each.place, changes.of(each.steps));
    } else {
      const [ours, theirs] = await pair.stream(changes.of(each.steps));
      expect(theirs.map(({ kind }) => kind)).toEqual(ours.map(({ kind }) => kind));
    }
  }
  await pair.join(0, 3);
  expect(await livingOf(b)).toEqual(await livingOf(a));
  // All that was ever shipped by its change is all that there is.
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const chunk of await chunksFrom(from, readFrom(null), 3)) {
      const merged = await mergeInto(to, chunk, false);
      expect(merged).toMatchObject({ joined: 0, ranTwice: 0, opened: [], ended: [] });
    }
  }
}

describe('two stores with any histories, apart, joined and in sync (D17, D20)', () => {
  let directory: StoreDirectory;
  let made = 0;

  beforeEach(() => {
    directory = new StoreDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  const memory = (): Promise<StoreUser> =>
    StoreUser.open(new MemoryDisk({ schedule: (_call, work) => queueMicrotask(work) }).openStore);
  /** Each in a directory of its own, which remembers it. */
  const fileOf = (which: number): string => join(directory.path, String(which), 'titanic.db');
  const sqlite = (): Promise<StoreUser> => directory.open(directory.apart(String(++made)));

  it('in memory: they are equal after each join, and take the same of each batch', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (events) => {
        await run(await memory(), await memory(), events);
      }),
      { numRuns: RUNS.memory, examples: [[BOTH_WERE_ACTIVE]] },
    );
  });

  it('SQLite with SQLite, and SQLite with memory: the same, and their files are whole', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.boolean(), async (events, areFiles) => {
        const [a, b] = [await sqlite(), areFiles ? await sqlite() : await memory()];
        const files = [made - (areFiles ? 1 : 0), made];
        await run(a, b, events);
        await a.close();
        await b.close();
        for (const [at, file] of files.entries()) {
          expect(verifyStore(fileOf(file), () => {}).problems).toEqual([]);
          const again = await directory.open(fileOf(file));
          expect(again.reported).toEqual((at === 0 ? a : b).reported);
          await again.close();
        }
      }),
      { numRuns: RUNS.sqlite },
    );
  });

  it('whichever node sends all of its content first: equal after both have', async () => {
    await fc.assert(
      fc.asyncProperty(history, place, async (events, first) => {
        const [a, b] = [await memory(), await memory()];
        const changes = new Changes();
        for (const each of events) {
          if (each.kind === 'join') continue;
          const user = each.place === 0 ? a : b;
          await user.commitSo({ tombstones: 'all' }, ...changes.of(each.steps));
        }
        const ways = [
          [a, b],
          [b, a],
        ] as const;
        for (const way of [first, 1 - first]) {
          const [from, to] = way === 0 ? ways[0] : ways[1];
          for (const chunk of await chunksFrom(from, readFrom(null))) {
            await mergeInto(to, chunk, way === 0);
          }
        }
        expect(await contentOf(b)).toEqual(await contentOf(a));
      }),
      { numRuns: RUNS.memory },
    );
  });
});
