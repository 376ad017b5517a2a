import { join } from 'node:path';

import fc from 'fast-check';

import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import type { RecordKind } from '../../src/store/record-kind.js';
import { type Change, cursorFor } from '../../src/store/store.js';
import { MemoryDisk } from '../support/memory-disk.js';
import {
  acceptKind,
  acceptWithWebhook,
  endWithWebhook,
  KEPT_KINDS,
  LATER_KIND,
  retryWithWebhook,
  scheduleDue,
} from '../support/record-kinds.js';
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
import { storeDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed, StorePair } from '../support/store-pair.js';
import { StoreUser } from '../support/store-user.js';

const KEYS = [undefined, undefined, 'a', 'b', `once-${'0e'.repeat(16)}`];
const RUNS = { memory: 400, sqlite: 12 };

const NEVER_ACCEPTED = 5000;
/** Behind the end of each history. */
const KEPT_MS = 1000 * DAY_MS;

/** What may happen to one of the requests so far: `which` of them, from the latest on. */
interface Step {
  readonly what:
    | ('accept' | 'attempt' | 'reply' | 'dead' | 'close' | 'expire' | 'retry' | 'sweep')
    // A request with a webhook, a record of another kind, what a schedule stores when it is due.
    | ('webhook' | 'kind' | 'due');
  readonly which: number;
  readonly generation: number;
  readonly value: number;
}

type StepOf = Omit<Step, 'what'> & {
  readonly what: 'attempt' | 'reply' | 'dead' | 'close' | 'expire' | 'retry';
};

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
    'webhook',
    'webhook',
    'kind',
    'due',
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
const DUE: Step = { ...STEP, what: 'due', which: 1 };
const CLOSE: Step = { ...STEP, what: 'close' };
/** A due time stored on both, where one of its requests has ended; each node was active in a join. */
const DUE_ON_BOTH: Event[] = [
  { kind: 'apart', place: 1, steps: [DUE, CLOSE] },
  { kind: 'apart', place: 0, steps: [DUE] },
  { kind: 'join', place: 0, size: 1, left: 1 },
  { kind: 'join', place: 1, size: 1, left: Infinity },
];
const history = fc.array(event, { minLength: 1, maxLength: 14 });

const OTHER_KINDS = [...KEPT_KINDS, LATER_KIND] as const;
const OUTCOMES = { reply: 'replied', dead: 'dead', close: 'cancelled', expire: 'expired' } as const;

/** Makes changes of steps. A record is accepted once, on one side, as by a node. */
class Changes {
  #accepted = 0;
  #attempts = 0;
  #schedule = NEVER_ACCEPTED;
  readonly #kinds = new Map<number, RecordKind>();
  /** By the number of a request: that of its webhook. */
  readonly #webhooks = new Map<number, number>();
  /** Requests that a schedule stored. */
  readonly #ofDue = new Set<number>();

  of(steps: readonly Step[]): Change[] {
    return steps.flatMap((each) => this.#of(each));
  }

  #of(step: Step): readonly Change[] {
    const { what, which, value } = step;
    switch (what) {
      case 'accept': {
        const key = KEYS[value];
        const n = this.#add('request');
        return [accept(n, { ...this.#given(n), ...(key === undefined ? {} : { key }) })];
      }
      case 'webhook':
        return this.#acceptTold();
      case 'kind': {
        const kind = OTHER_KINDS[value % OTHER_KINDS.length] ?? LATER_KIND;
        const n = this.#add(kind);
        if (kind === 'schedule') this.#schedule = n;
        return [acceptKind(kind, n, this.#given(n))];
      }
      case 'due': {
        const hasWebhook = which % 2 === 0;
        const n = hasWebhook ? 0 : this.#add('request');
        const stored = hasWebhook ? this.#acceptTold() : [accept(n, this.#given(n))];
        this.#ofDue.add(hasWebhook ? this.#accepted - 1 : n);
        return scheduleDue(this.#schedule, value + 1, stored);
      }
      case 'sweep':
        return [sweep(NOON + value * DAY_MS, { most: which + 1 })];
      default:
        return this.#step({ ...step, what });
    }
  }

  #add(kind: RecordKind): number {
    this.#kinds.set(++this.#accepted, kind);
    return this.#accepted;
  }

  #given(n: number): { readonly body: Buffer; readonly acceptedAt: number } {
    return { body: packed(`body ${n}`), acceptedAt: NOON + n };
  }

  #acceptTold(): Change[] {
    const [n, webhook] = [this.#add('request'), this.#add('webhook')];
    this.#webhooks.set(n, webhook);
    return acceptWithWebhook(n, webhook, this.#given(n));
  }

  #step({ which, ...step }: StepOf): readonly Change[] {
    const { what, generation } = step;
    const n = this.#accepted > which ? this.#accepted - which : NEVER_ACCEPTED;
    const kind = this.#kinds.get(n) ?? 'request';
    const webhook = this.#webhooks.get(n);
    const isKept = kind !== 'request' && kind !== 'webhook' && kind !== LATER_KIND;
    // Nobody replies to these, and none of them dies.
    if (isKept && what !== 'close' && what !== 'expire') return [];
    if (webhook !== undefined && what === 'retry') {
      return retryWithWebhook(n, webhook, generation + 1);
    }
    const ofKind = kind === 'webhook' ? generation * 1000 : generation;
    const change = this.#changeOf({ ...step, generation: ofKind }, n);
    return webhook === undefined || what === 'attempt' || what === 'retry'
      ? [change]
      : endWithWebhook(change, webhook, OUTCOMES[what], generation);
  }

  /** The key of a due time is remembered for longer than the due time may come again. */
  #keyUntil(n: number, until: number): number {
    return this.#ofDue.has(n) ? until + KEPT_MS : until;
  }

  #changeOf({ what, generation, value }: Omit<StepOf, 'which'>, n: number): Change {
    const expiresAt = NOON + value * DAY_MS;
    const uuid = uuidOf(n);
    switch (what) {
      case 'attempt': {
        const startedAt = NOON + ++this.#attempts;
        const ended = { endedAt: startedAt + 1, reason: 'lost', failure: null, extra: null };
        const attempt = { worker: 'w', startedAt, ...ended };
        const notBefore = startedAt + 1000;
        return { kind: 'attempt', uuid, generation, attempts: value + 1, attempt, notBefore };
      }
      case 'reply': {
        const bytes = packed(`reply ${value}`);
        const at = NOON;
        return { kind: 'reply', uuid, generation, reply: bytes, worker: 'w', at, expiresAt };
      }
      case 'dead':
        return { kind: 'dead', uuid, generation, reason: `${value}`, at: NOON, expiresAt };
      case 'close':
        return close(n, this.#keyUntil(n, expiresAt));
      case 'expire':
        return expire(n, this.#keyUntil(n, expiresAt));
      case 'retry':
        return { ...retry(n, generation + 1), expiresAt };
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
    for (const chunk of await chunksFrom(from, cursorFor(null), 3)) {
      const merged = await mergeInto(to, chunk, false);
      expect(merged).toMatchObject({ joined: 0, ranTwice: 0, opened: [], ended: [] });
    }
  }
}

describe('two stores with any histories, apart, joined and in sync (D17, D20)', () => {
  const directory = storeDirectory();
  let made = 0;

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
      { numRuns: RUNS.memory, examples: [[BOTH_WERE_ACTIVE], [DUE_ON_BOTH]] },
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
          for (const chunk of await chunksFrom(from, cursorFor(null))) {
            await mergeInto(to, chunk, way === 0);
          }
        }
        expect(await contentOf(b)).toEqual(await contentOf(a));
      }),
      { numRuns: RUNS.memory },
    );
  });
});
