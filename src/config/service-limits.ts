/** How many requests of a service, and of each of its groups, run at once and start per second: `broker.services`. */
import { z } from 'zod';

import { isGlob } from '../core/glob.js';
import { RATE_MIN, RUN_LIMIT_MAX } from '../core/run-limits.js';
import type { ServiceLimitsConfig } from './entries.js';
import { GLOB_CHARACTERS_MAX } from './grants.js';
import { choice, count, expected, keysOf, list, map, number, once } from './kinds.js';

const SERVICES_MAX = 1000;
const GLOB = `a service name of 1 to ${GLOB_CHARACTERS_MAX} characters, * and ? allowed`;
const limit = () => ({
  running: count(1, RUN_LIMIT_MAX).exactOptional(),
  perSecond: number(RATE_MIN, RUN_LIMIT_MAX).exactOptional(),
  burst: count(1, RUN_LIMIT_MAX).exactOptional(),
});

interface Written {
  readonly perSecond?: number | undefined;
  readonly burst?: number | undefined;
}

const needsRate = ({ perSecond, burst }: Written): boolean =>
  burst === undefined || perSecond !== undefined;
const WITHOUT_RATE = { path: ['burst'], error: 'is of use only with perSecond' };

const one = () =>
  map({
    match: z
      .string({ error: expected(GLOB) })
      .max(GLOB_CHARACTERS_MAX)
      .refine(isGlob),
    ...limit(),
    group: map({ ...limit(), onFailure: choice(['hold', 'pass']).exactOptional() })
      .refine(needsRate, WITHOUT_RATE)
      .exactOptional(),
  }).refine(needsRate, WITHOUT_RATE);

/** `broker.services` */
export const serviceLimits = once(() => {
  const entry = one();
  return list(entry, `a list of ${keysOf(entry.shape)}`, SERVICES_MAX)
    .transform((written): ServiceLimitsConfig[] => written)
    .default([])
    .meta({ none: 'none', live: true });
});
