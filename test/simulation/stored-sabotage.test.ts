/** The simulation is only worth what it finds: stores and machines that are broken on purpose. */
import { describe, expect, it } from '@jest/globals';
import type { Change, ChangeResult } from '../../src/store/store.js';
import { asker } from '../support/asker.js';
import { type Asked, type StageDisk, StageStore } from '../support/stage-store.js';
import { firstFailure } from './actors/first-failure.js';
import type { StoredSabotage } from './stored/node.js';
import { StoredWorld } from './stored/world.js';

/** The fault occurs once per this many changes. */
const EVERY = 5;

type Commit = Extract<Asked, { kind: 'commit' }>;
type Write = (disk: StageDisk, change: Change, isTime: boolean) => ChangeResult;

class BrokenStore extends StageStore {
  readonly #write: Write;
  #count = 0;

  constructor(disk: StageDisk, write: Write) {
    super(disk);
    this.#write = write;
  }

  override write({ changes }: Commit): ChangeResult[] {
    return changes.map((change) => this.#write(this.disk, change, ++this.#count % EVERY === 0));
  }
}

function writes(write: Write): StoredSabotage {
  return { store: ({ disk }) => new BrokenStore(disk, write) };
}

/** Reports success, and sometimes did nothing. */
function forgets(kind: Change['kind']): StoredSabotage {
  return writes((disk, change, isTime) =>
    change.kind === kind && isTime ? { kind: 'done' } : disk.apply(change),
  );
}

/** Clients cannot send a key that begins with this byte. */
function isOfFiring({ key }: { readonly key: Buffer | null }): boolean {
  return key?.[0] === 0xff;
}

describe('the simulation finds', () => {
  it.each<[string, RegExp, StoredSabotage, number?]>([
    [
      'a request that was acknowledged and not stored',
      /is lost|before its time/,
      forgets('accept'),
    ],
    ['a close that was acknowledged and not stored', /was closed/, forgets('close')],
    [
      'a reply that was shown and not stored',
      /pending again|not over|before its time/,
      forgets('reply'),
    ],
    [
      'an attempt that was not stored',
      /dead before its last attempt/,
      writes((disk, change) => (change.kind === 'attempt' ? { kind: 'done' } : disk.apply(change))),
    ],
    [
      'a key that stores twice',
      /twice under one key/,
      writes((disk, change) =>
        disk.apply(
          change.kind === 'accept' && !isOfFiring(change) ? { ...change, key: null } : change,
        ),
      ),
    ],
    [
      'a firing of a schedule that is stored without its key',
      /no request is stored for/,
      writes((disk, change) =>
        disk.apply(
          change.kind === 'accept' && isOfFiring(change) ? { ...change, key: null } : change,
        ),
      ),
      45,
    ],
    [
      'a batch that is half on the disk',
      /is kept|is lost|before its time|not over/,
      {
        store: ({ disk }) => {
          const store = new StageStore(disk);
          const answer = store.answer.bind(store);
          store.answer = (asked) => {
            if (store.failure !== null && asked.kind === 'commit') {
              for (const change of asked.changes.slice(0, 1)) disk.apply(change);
            }
            answer(asked);
          };
          return store;
        },
      },
    ],
    [
      'a reply that is stored for another request',
      /reply of another|pending again/,
      writes((disk, change) => {
        const [other] = disk.pending;
        return disk.apply(
          change.kind === 'reply' && other ? { ...change, uuid: other.uuid } : change,
        );
      }),
    ],
    [
      'a 200 before the commit',
      /is lost|before its time/,
      {
        store: ({ disk }) => {
          const store = new StageStore(disk);
          const answer = store.answer.bind(store);
          store.answer = (asked) => {
            store.failure = null;
            if (asked.kind !== 'commit') answer(asked);
            else {
              const real = store.write.bind(store);
              store.write = ({ changes }) => changes.map(() => ({ kind: 'done' }));
              answer(asked);
              store.write = real;
            }
          };
          return store;
        },
      },
    ],
    [
      'a machine that does not hear of lost workers',
      /not over|is not/,
      {
        titanic: (titanic) => {
          titanic.failed = () => {};
        },
      },
    ],
    [
      'a request that is stored as that of nobody',
      /is stored as that of anonymous/,
      writes((disk, change) =>
        disk.apply(
          change.kind === 'accept'
            ? { ...change, request: { ...change.request, owner: 'anonymous' } }
            : change,
        ),
      ),
    ],
    [
      'a close that does not ask whose it is',
      /is lost|before its time/,
      writes((disk, change) =>
        disk.apply(change.kind === 'close' ? { ...change, by: '' } : change),
      ),
    ],
    [
      'a machine that shows a stranger what another stored',
      /which is another's/,
      {
        titanic: (titanic) => {
          const request = titanic.request.bind(titanic);
          titanic.request = (asked) => {
            const { identity, owner, quotas } = asked.asker;
            request({ ...asked, asker: asker({ identity, owner, quotas, isOperator: true }) });
          };
        },
      },
    ],
  ])('%s', (_what, message, sabotage, likely = 1) => {
    expect(
      firstFailure((seed) => {
        new StoredWorld(seed, false, sabotage).run();
      }, likely),
    ).toMatch(message);
  });
});

describe('a world of stored requests', () => {
  it('is the same each time that its seed makes it', () => {
    const [first, second] = [7, 7].map((seed) => {
      const world = new StoredWorld(seed, true);
      world.run();
      return world.trace.last(1000);
    });
    expect(first?.length).toBeGreaterThan(50);
    expect(second).toEqual(first);
  });
});
