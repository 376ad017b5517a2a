import type { Path } from './tree.js';

/** One problem of a configuration. */
export interface Problem {
  /** `FILE:LINE:COL`, `environment MAJORDOMO_…` or `--set #1`. */
  readonly place: string;
  /** `broker.heartbeatIntervalMs`, `broker.listen[0].endpoint`; empty if no key is concerned. */
  readonly path: string;
  readonly message: string;
}

/** A problem as one line. */
export function problemLine(problem: Problem): string {
  const where = problem.path === '' ? problem.place : `${problem.place}: ${problem.path}`;
  return `${where}: ${problem.message}`;
}

/** A violation of a rule between keys; `path` is the key to change first. */
export interface Broken {
  readonly path: Path;
  readonly message: string;
}

/** The violation, if it is one. @param path steps, or `bstar.peer` */
export function broken(isBroken: boolean, path: Path | string, message: string): readonly Broken[] {
  return isBroken ? [{ path: typeof path === 'string' ? path.split('.') : path, message }] : [];
}
