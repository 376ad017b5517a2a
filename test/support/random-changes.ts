/** Random batches of changes of records of every kind, for stores that are compared with the one in memory. */
import fc from 'fast-check';

import type { Change, Closer, Owner, Ownership } from '../../src/store/store.js';
import {
  acceptKind,
  acceptWithWebhook,
  endWithWebhook,
  LATER_KIND,
  retryWithWebhook,
  scheduleDue,
  unitOf,
  webhookFailed,
} from './record-kinds.js';
import {
  accept,
  attempt,
  close,
  DAY_MS,
  dead,
  expire,
  NOON,
  reply,
  retry,
  sweep,
} from './store-changes.js';

/** The numbers of records: few of each kind, so that changes meet. The next one is the webhook of a request. */
const REQUESTS = { min: 1, max: 6 };
const WITH_WEBHOOK = [11, 13] as const;
const SCHEDULE = 21;
const PAUSE = 22;
const LATER = 23;
const LIMIT = 24;
/** The requests that the schedule stores. The next one is the webhook of each but the last. */
const OF_SCHEDULE = [31, 33, 35] as const;
const [TOLD_FIRST, TOLD_NEXT, UNTOLD] = OF_SCHEDULE;

const request = fc.integer(REQUESTS);
const told = fc.constantFrom(...WITH_WEBHOOK, TOLD_FIRST, TOLD_NEXT);
const generation = fc.integer({ min: 0, max: 2 });
const attempts = fc.integer({ min: 1, max: 25 });
const day = fc.integer({ min: 0, max: 4 });
const time = day.map((step) => NOON + step * DAY_MS);
const key = fc.constantFrom(undefined, undefined, 'a', 'b', `once-${'a'.repeat(32)}`);
const service = fc.constantFrom('echo', 'upper').map((name) => Buffer.from(name));
const owner = fc.constantFrom<Closer>('', 'anonymous', 'key:alice', 'key:bob');
const dueAt = fc.constantFrom(0, NOON);

/** The same request has the same owner, whenever it is accepted. */
function whose(n: number): Ownership {
  const owners: readonly Owner[] = ['anonymous', 'key:alice', 'key:bob'];
  return { owner: owners[n % owners.length] ?? 'anonymous', isShared: n === 2 };
}

const facts = fc
  .record({ generation, acceptedAt: time, key, service, notBefore: dueAt })
  .map(({ key: name, ...given }) => ({ ...given, ...(name === undefined ? {} : { key: name }) }));

/** Pending requests outlive every sweep: in a database they would expire with it. */
function again(change: ReturnType<typeof retry>): Change {
  return { ...change, expiresAt: NOON + 7 * DAY_MS };
}

/** How a request may end, or be tried again, by its number. */
const steps = (of: fc.Arbitrary<number>): fc.Arbitrary<Change>[] => [
  fc.tuple(of, attempts, generation).map(([n, tried, g]) => attempt(n, tried, g)),
  fc.tuple(of, generation, time).map(([n, g, expiresAt]) => reply(n, { generation: g, expiresAt })),
  fc.tuple(of, generation, time).map(([n, g, expiresAt]) => dead(n, { generation: g, expiresAt })),
  fc.tuple(of, fc.integer({ min: 1, max: 3 })).map(([n, g]) => again(retry(n, g))),
  fc.tuple(of, time, owner).map(([n, keyUntil, by]) => close(n, keyUntil, by)),
  fc.tuple(of, time).map(([n, keyUntil]) => expire(n, keyUntil)),
];

const ofRequests: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(request, facts).map(([n, given]) => accept(n, { ...whose(n), ...given })),
  },
  ...steps(request),
  fc
    .tuple(time, time, fc.integer({ min: 1, max: 3 }))
    .map(([now, keyUntil, most]) => sweep(now, { keyUntil, most })),
);

const webhookEnds: fc.Arbitrary<readonly Change[]> = fc
  .tuple(told, generation, time, fc.constantFrom('replied', 'dead', 'cancelled', 'expired'))
  .map(([n, g, at, outcome]) => {
    const ends = {
      replied: reply(n, { generation: g, expiresAt: at }),
      dead: dead(n, { generation: g, expiresAt: at }),
      cancelled: close(n, at),
      expired: expire(n, at),
    };
    return endWithWebhook(ends[outcome], n + 1, outcome, g);
  });

const ofWebhooks: fc.Arbitrary<readonly Change[]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...WITH_WEBHOOK), facts)
      .map(([n, given]) => acceptWithWebhook(n, n + 1, { ...whose(n), ...given })),
  },
  { weight: 4, arbitrary: webhookEnds },
  fc.tuple(told, fc.integer({ min: 1, max: 2 })).map(([n, g]) => retryWithWebhook(n, n + 1, g)),
  fc.tuple(told, attempts, generation).map(([n, tried, g]) => [webhookFailed(n + 1, tried, g)]),
  // It was told, is kept since its request may be tried again, is given up, or tried again by an operator.
  fc.oneof(...steps(told.map((n) => n + 1))).map((change) => [change]),
);

const ofSchedules: fc.Arbitrary<readonly Change[]> = fc.oneof(
  fc.constantFrom<readonly Change[]>([acceptKind('schedule', SCHEDULE, whose(SCHEDULE))]),
  // One of the same name takes its place.
  fc.constant(unitOf(close(SCHEDULE), acceptKind('schedule', SCHEDULE + 80))),
  fc.constant([close(SCHEDULE)]),
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(...OF_SCHEDULE), attempts).map(([n, tried]) => {
      const stored =
        n === UNTOLD
          ? [acceptKind('request', n, whose(SCHEDULE))]
          : acceptWithWebhook(n, n + 1, whose(SCHEDULE));
      return scheduleDue(SCHEDULE, tried, stored);
    }),
  },
);

const ofOthers: fc.Arbitrary<readonly Change[]> = fc.oneof(
  fc.constantFrom([acceptKind('pause', PAUSE)], [close(PAUSE)]),
  // What an operator sets next takes the place of what was set before.
  fc.constantFrom(
    [acceptKind('limit', LIMIT)],
    unitOf(acceptKind('limit', LIMIT + 80), close(LIMIT)),
    unitOf(acceptKind('limit', LIMIT), close(LIMIT + 80)),
    [close(LIMIT)],
  ),
  facts.map((given) => [acceptKind(LATER_KIND, LATER, given)]),
  fc.oneof(...steps(fc.constant(LATER))).map((change) => [change]),
);

/** The changes of one decision. */
const unit: fc.Arbitrary<readonly Change[]> = fc.oneof(
  { weight: 5, arbitrary: ofRequests.map((change) => [change]) },
  { weight: 3, arbitrary: ofWebhooks },
  { weight: 2, arbitrary: ofSchedules },
  { weight: 1, arbitrary: ofOthers },
);

export const randomBatches: fc.Arbitrary<Change[][]> = fc.array(
  fc.array(unit, { maxLength: 12 }).map((units) => units.flat()),
  { minLength: 1, maxLength: 12 },
);
