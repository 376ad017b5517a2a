/** How far `npm test` searches, bound by bound; `npm run explore` goes on from there. */
import { QUIET } from './mutants.js';
import type { Bound } from './search.js';

export const BOUNDS: readonly (Bound & { readonly name: string })[] = [
  { ...QUIET, name: 'two requests, no faults', requests: 2 },
  { ...QUIET, name: 'a cut', cuts: 1 },
  { ...QUIET, name: 'a pause', pauses: 1 },
  { ...QUIET, name: 'a stall of one way, a slow disk', stalls: 1, slow: 1, healOneOf: 4 },
  {
    ...QUIET,
    name: 'a crash, a promote, a switchover',
    crashes: 1,
    promotes: 1,
    switchovers: 1,
    healOneOf: 8,
  },
  { ...QUIET, name: 'two crashes', crashes: 2, healOneOf: 8 },
];

/** What is known to be searched to its end; hours for the last ones. */
export const LARGER: readonly (Bound & { readonly name: string })[] = [
  { ...QUIET, name: 'a crash and a pause', crashes: 1, pauses: 1 },
  { ...QUIET, name: 'a crash and a cut', crashes: 1, cuts: 1 },
  { ...QUIET, name: 'two requests and a crash', requests: 2, crashes: 1 },
  { ...QUIET, name: 'a cut, a switchover and a promote', cuts: 1, switchovers: 1, promotes: 1 },
  { ...QUIET, name: 'a pause and a cut', pauses: 1, cuts: 1 },
  { ...QUIET, name: 'a crash, a stall of one way, a slow disk', crashes: 1, stalls: 1, slow: 1 },
  { ...QUIET, name: 'two crashes and a switchover', crashes: 2, switchovers: 1 },
  { ...QUIET, name: 'two crashes and a cut', crashes: 2, cuts: 1 },
].map((bound) => ({ ...bound, statesMax: 60_000_000, healOneOf: 4 }));
