/** What a rule between keys is. */
import type { Config } from './config.js';
import type { Path } from './tree.js';

/** A violation; `path` is the key to change first. */
export interface Broken {
  readonly path: Path;
  readonly message: string;
}

/** A rule over the keys `about`, which is not checked if one of them is invalid. */
export interface Rule {
  readonly about: readonly string[];
  readonly check: (config: Config) => readonly Broken[];
}

/**
 * A rule that is broken as a whole.
 * @param about the last one is the key to change first
 * @param fault what is wrong, or `null`
 */
export function rule(about: readonly string[], fault: (config: Config) => string | null): Rule {
  return { about, check: (config) => broken(about.at(-1) ?? '', fault(config)) };
}

/** @param path steps, or `bstar.peer` @param message `null`: it is not broken */
export function broken(path: Path | string, message: string | null): readonly Broken[] {
  return message === null
    ? []
    : [{ path: typeof path === 'string' ? path.split('.') : path, message }];
}
