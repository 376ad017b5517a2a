/** A problem of a configuration. */
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
