/** The filter of stored requests: in queries, and in the bodies of bulk commands. */
import { readKind, RECORD_KINDS } from '../../store/record-kind.js';
import { z } from 'zod';

import { momentIn } from '../../core/moment.js';
import type { Grouping, Phase, ServiceMatch } from '../../store/stored-filter.js';
import type { BulkAct, ShownState } from '../../titanic/operator/operator-api.js';
import {
  choice,
  CURSOR_LENGTH_MAX,
  digits,
  integer,
  named,
  NO_CURSOR,
  orAbsent,
  pageShape,
  serviceName,
} from './parameters.js';
import { lazily } from './words.js';

const MATCHES = ['exact', 'prefix', 'substring'] as const satisfies readonly ServiceMatch[];
const PHASES = ['waiting', 'delayed', 'retrying'] as const satisfies readonly Phase[];
const GROUPINGS = ['reason', 'code', 'service'] as const satisfies readonly Grouping[];
/** The states of the requests that each command is for. */
const STATES = {
  retry: ['dead'],
  purge: ['dead', 'replied', 'pending'],
  cancel: ['pending', 'dispatched', 'dead'],
} as const satisfies Readonly<Record<BulkAct, readonly ShownState[]>>;
const BULK_MAX = 1e9;
const AGE_MS_MAX = 1e14;
/** The longest reason of a filter, and the longest pattern. */
const REASON_CHARACTERS_MAX = 256;
const HEADER_CHARACTERS_MAX = 1024;
/** A string of JSON: a parameter of a query is one in any case. */
const string = (): z.ZodString => z.string('must be a string');

const moment = string().transform((given, context) => {
  const found = momentIn(given);
  if (found !== null) return found;
  context.addIssue('must be a time in ISO 8601 with its zone, or an age such as 90s, 15m, 2h, 7d');
  return z.NEVER;
});

const header = string()
  .max(HEADER_CHARACTERS_MAX, `has at most ${HEADER_CHARACTERS_MAX} characters`)
  .regex(/^[a-z0-9-]{1,64}=/, 'must be name=value, the name in a-z, 0-9 and -')
  .transform((given) => {
    const [name = ''] = given.split('=', 1);
    return { name, value: given.slice(name.length + 1) };
  });

/** The fields of a filter, each with its description. */
const FIELDS = {
  service: [
    string().transform(serviceName),
    'Only requests for this service, with its name as in lists; `serviceMatch` says how.',
  ],
  serviceMatch: [
    choice(MATCHES),
    'How the name of the service has to match `service`: as it is (the default), with its beginning, or with a part of it.',
  ],
  kind: [
    string()
      .refine(
        (given) => readKind(given) !== null,
        `must be ${RECORD_KINDS.join(', ')} or kind-NUMBER`,
      )
      .transform((given) => readKind(given) ?? 'request'),
    'Only records of this kind; absent: all but those that are not sent to workers, such as schedules; for commands, requests and webhooks.',
  ],
  group: [
    string().transform(named('a group')),
    'Only requests of this group, with its name as in lists. Needs a token.',
  ],
  reason: [
    string()
      .min(1, 'must not be empty')
      .max(REASON_CHARACTERS_MAX, `has at most ${REASON_CHARACTERS_MAX} characters`),
    'Only requests whose reason has this text in it, in upper or lower case. Needs a token, as `pattern`, `code` and `header` do.',
  ],
  pattern: [
    string().max(REASON_CHARACTERS_MAX, `has at most ${REASON_CHARACTERS_MAX} characters`),
    'Only requests of this group, from `titanic/groups`.',
  ],
  code: [
    string().regex(/^[A-Za-z0-9._-]{0,64}$/, 'must be 0 to 64 characters of A-Z a-z 0-9 . _ -'),
    'Only requests that failed with this code: `mdp.no-reply` if no worker reported one; empty: no attempt failed.',
  ],
  header: [header, 'Only requests with this header: `name=value`.'],
  uuid: [
    string()
      .regex(/^[0-9A-Fa-f]{1,32}$/, 'must be 1 to 32 hexadecimal characters')
      .transform((given) => given.toUpperCase()),
    'Only requests whose uuid begins with this. Without a token at most 16 characters.',
  ],
  uuidEnd: [
    string()
      .regex(/^[0-9A-Fa-f]{1,32}$/, 'must be 1 to 32 hexadecimal characters')
      .transform((given) => given.toUpperCase()),
    'Only requests whose uuid ends with this. Needs a token.',
  ],
  acceptedAfter: [moment, 'Only requests accepted at this time or later: a time, or an age.'],
  acceptedBefore: [moment, 'Only requests accepted before this time: a time, or an age.'],
  diedAfter: [moment, 'Only requests that are dead since this time or later: a time, or an age.'],
  diedBefore: [moment, 'Only requests that were dead before this time: a time, or an age.'],
  phase: [
    choice(PHASES),
    'Of pending requests (`state` is `pending`), those that wait for a worker, for their time (`delayed`), or for their next attempt.',
  ],
} as const satisfies Readonly<Record<string, readonly [schema: z.ZodType, description: string]>>;

type Filter<Schema extends 'optional' | 'nullish'> = {
  readonly [Name in keyof typeof FIELDS]: z.ZodPipe<
    Schema extends 'optional'
      ? z.ZodOptional<(typeof FIELDS)[Name][0]>
      : z.ZodOptional<z.ZodNullable<(typeof FIELDS)[Name][0]>>,
    z.ZodTransform<z.output<(typeof FIELDS)[Name][0]> | null>
  >;
};

function filterShape<Absent extends 'optional' | 'nullish'>(absent: Absent): Filter<Absent> {
  const shape = Object.entries(FIELDS).map(([name, [schema, description]]) => {
    const field = absent === 'optional' ? schema.optional() : schema.nullish();
    return [name, field.describe(description).transform(orAbsent)];
  });
  return Object.fromEntries(shape) as Filter<Absent>;
}

const OLDER =
  'Only requests accepted longer ago than this: the same as an age in `acceptedBefore`.';

const selectionShape = () => ({
  ...pageShape,
  ...filterShape('optional'),
  state: choice(['pending', 'dispatched', 'replied', 'dead', 'closed', 'expired'])
    .optional()
    .describe('Only requests in this state. The store no longer has closed and expired ones.')
    .transform(orAbsent),
  olderThanMs: digits(0, AGE_MS_MAX).optional().describe(OLDER).transform(orAbsent),
});

export const StoredQuery = lazily(selectionShape);

export const GroupsQuery = lazily(() => ({
  ...selectionShape(),
  by: choice(GROUPINGS).describe(
    'What the requests of a group have in common: code and pattern of the reason, the code alone, or the service.',
  ),
}));

/** Fields may be absent or null. */
function bulkShape<const States extends readonly [string, ...string[]]>(states: States) {
  return {
    ...filterShape('nullish'),
    state: choice(states).nullish().transform(orAbsent),
    olderThanMs: integer(0, AGE_MS_MAX).nullish().describe(OLDER).transform(orAbsent),
    limit: integer(1, BULK_MAX)
      .nullish()
      .describe('Change at most this many; default: all.')
      .transform((limit) => limit ?? BULK_MAX),
    cursor: string()
      .max(CURSOR_LENGTH_MAX, NO_CURSOR)
      .nullish()
      .describe('`next` of the previous answer: continues there.')
      .transform(orAbsent),
    dryRun: z
      .boolean('must be true or false')
      .nullish()
      .describe('Count the requests that would be changed, and change nothing.')
      .transform((isDry) => isDry === true),
  };
}

export const RetryBody = lazily(() => bulkShape(STATES.retry));

export const PurgeBody = lazily(() => bulkShape(STATES.purge));

export const CancelBody = lazily(() => bulkShape(STATES.cancel));
