/** Quotas of one identity, as zod schemas. */
import { z } from 'zod';

import { IDENTITY_SHARE } from '../core/defaults.js';
import { count, expected, map, NAME_PATTERN, size, once } from './kinds.js';

export const WAITS = 10_000;
export const HELLOS = 1000;
export const SESSIONS = 10_000;
export const SCHEDULES = 600;
const NAMES_MAX = 1000;

const SHARE = 'a number above 0, at most 1';
const share = (): z.ZodNumber =>
  z
    .number({ error: expected(SHARE) })
    .gt(0)
    .max(1)
    .meta({ value: SHARE, none: `\`${IDENTITY_SHARE}\`` });

/** The keys of `limits.perPeer` and of each `limits.quotas.NAME`. */
const keys = () => ({
  share: share().describe(
    'Fraction of each limit that one identity may use, unless one of the keys below sets a number.',
  ),
  connections: count(1, 1_000_000)
    .meta({ none: 'the share of `limits.connections`' })
    .describe('Connections of the identity, over all listeners; the broker closes further ones.'),
  outstanding: count(1, 16_000_000)
    .meta({ none: 'the share of `limits.queuedRequests`' })
    .describe('Requests that the broker holds for the identity, queued or at workers.'),
  queuedBytes: size('1KiB', '1TiB')
    .meta({ none: 'the share of `limits.queuedBytes`' })
    .describe(
      'Memory of these requests, with PARTIALs held back and incomplete messages; 1 KiB for each that asks for a stored reply.',
    ),
  outputBytes: size('1KiB', '16GiB')
    .meta({ none: '`limits.outputBytes`' })
    .describe(
      'Bytes of output that the identity has not read, over all its connections; more is allowed as long as it reads, as for `limits.outputBytes`. Answers that are kept for the `Idempotency-Key`s of a token may take as much again.',
    ),
  requestsPerSecond: count(1, 100_000_000)
    .meta({ none: 'unlimited' })
    .describe('Requests per second; the requests of one second may arrive in a burst.'),
  workers: count(1, 1_000_000)
    .meta({ none: 'the share of `limits.workers`' })
    .describe('Workers registered at once.'),
  stored: count(1, 1_000_000_000)
    .meta({ none: 'the share of `titanic.maxOpen`' })
    .describe('Durable requests that are not yet closed or expired.'),
  storedBytes: size('1KiB', '255TiB')
    .meta({ none: 'the share of `titanic.maxBytes`' })
    .describe(
      'Bytes of its durable requests and their replies, and of the idempotency keys that are remembered for it.',
    ),
  waits: count(1, 16_000_000)
    .meta({ none: `\`${WAITS}\`` })
    .describe(
      '`titanic.wait`, `titanic.call` and `titanic.progress` calls that may wait at the same time; the same number may also wait for a large reply.',
    ),
  hellos: count(1, 1_000_000)
    .meta({ none: `\`${HELLOS}\`` })
    .describe(
      'Clients of the identity behind proxies that sent `mmi.hello`; one for each connection is free. Above it, the client of a proxy whose hello is the oldest has to send it anew: the SDKs do that with the next request.',
    ),
  sessions: count(1, 16_000_000)
    .meta({ none: `\`${SESSIONS}\`` })
    .describe(
      'Clients of the identity that may come back after they lost their connection (`broker.resumeMs`): connected ones, and those that are away. Further ones work without that. For a token: its `Idempotency-Key`s that are known; further ones are refused (429).',
    ),
  schedules: count(1, 100_000_000)
    .meta({ none: `\`${SCHEDULES}\`` })
    .describe(
      'How often its schedules may be due, together: so many times a minute on average over the busiest hour of each. 600 are ten that are due every second, or any number of daily ones.',
    ),
  services: count(1, 1_000_000)
    .meta({ none: 'the share of `limits.services`' })
    .describe(
      "Services that the broker knows because of the identity's requests and workers. As many again may have open durable requests because their owner, a key, named them.",
    ),
});

export type QuotaKey = keyof ReturnType<typeof keys>;

/** All keys may be absent. */
const quota = once(() =>
  map(
    Object.fromEntries(
      Object.entries(keys()).map(([key, schema]: [string, z.ZodType<number>]) => [
        key,
        schema.exactOptional(),
      ]),
    ) as Record<QuotaKey, z.ZodExactOptional<z.ZodType<number>>>,
    { value: 'a map of quotas' },
  ),
);

/** Every key, in the order in which they are shown. */
export const quotaKeys = (): readonly QuotaKey[] => Object.keys(keys()) as QuotaKey[];

/** `limits.perPeer` */
export const perPeer = once(() =>
  quota()
    .transform((given) => ({ share: IDENTITY_SHARE, ...given }))
    .default({ share: IDENTITY_SHARE })
    .meta({ none: `\`{share: ${IDENTITY_SHARE}}\`` }),
);

const QUOTAS = 'a map of names, each with a map of quotas';
const NAME = 'expected a name of 1 to 64 characters without spaces';

/** `limits.quotas` */
export const quotas = once(() =>
  z
    .record(z.string().regex(NAME_PATTERN), quota(), {
      error: (issue) => (issue.code === 'invalid_key' ? NAME : expected(QUOTAS)(issue)),
    })
    .refine((given) => Object.keys(given).length <= NAMES_MAX, `expected at most ${NAMES_MAX}`)
    .meta({ value: QUOTAS, none: 'none' })
    .default({}),
);
