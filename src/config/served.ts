/**
 * What this version does not do yet of what can be configured. This is the only place that says so:
 * a version that learns to serve something takes it out of here.
 */
import type { Config } from './config.js';

/** A section whose keys are checked but change nothing, but for values that switch it off. */
export interface Unserved {
  readonly section: keyof Config;
  readonly off: Readonly<Record<string, unknown>>;
}

/** Sections without effect: setting one of their keys is a warning. */
export const UNSERVED: readonly Unserved[] = [
  { section: 'bstar', off: { role: 'standalone', listen: null, peer: null, curve: null } },
];

/** A setting that is an error, because running without it would be dangerous. */
export interface Refused {
  readonly path: readonly (string | number)[];
  readonly why: string;
}

/** What of this configuration must not be run by this version. */
export function refusals(config: Config): Refused[] {
  const found: Refused[] = [];
  if (config.bstar.role !== 'standalone') {
    found.push({
      path: ['bstar', 'role'],
      why: 'this version has no pairs, and without its peer this node would serve unprotected',
    });
  }
  if (config.bstar.curve !== null) {
    const why = 'this version has no pairs, and none to protect by CURVE';
    found.push({ path: ['bstar', 'curve'], why });
  }
  return found;
}
