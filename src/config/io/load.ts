/**
 * Loads the configuration: file < environment < `--set`.
 *
 * `loadConfig` returns the effective configuration, where each value came from, and warnings; or
 * throws one `ERR_CONFIG_INVALID` that names everything that is wrong.
 */
import { hostname } from 'node:os';

import { MajordomoError } from '../../core/errors.js';
import type { Config } from '../config.js';
import { problemLine, type Problem } from '../problem.js';
import { merge, type MapTree, type Source, type Tree } from '../tree.js';
import { validate } from '../validate.js';
import { readEnvironment, readSets } from './assignments.js';
import { readFile } from './file.js';
import { memoryDefault } from './memory.js';

/** The sources of the configuration; all are optional. */
export interface LoadOptions {
  /** A YAML file; without it no file is read. */
  readonly file?: string;
  /** Usually `process.env`; only `MAJORDOMO_…__…` is read. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The `KEY=VALUE` of every `--set`, in order. */
  readonly sets?: readonly string[];
  /** The default of `node.name`; if absent, the operating system's host name. */
  readonly hostName?: string;
  /** The default of `limits.memoryBytes`; if absent, computed from this machine's memory. */
  readonly memoryBytes?: number;
}

/** A configuration without errors. */
export interface Loaded {
  readonly config: Config;
  /** The file that was read. */
  readonly file: string | null;
  /** The values as written, with their sources. */
  readonly written: MapTree;
  /** Keys that are set but have no effect. */
  readonly warnings: readonly Problem[];
}

/**
 * Reads and checks everything.
 * @throws ERR_CONFIG_INVALID with `details.problems` (`Problem[]`); its text has one line per
 * problem
 * @throws ERR_CONFIG_FILE if the file is missing, unreadable or not a file
 */
export function loadConfig(options: LoadOptions = {}): Loaded {
  const sources: Source[] = [
    ...(options.file === undefined ? [] : [readFile(options.file)]),
    readEnvironment(options.environment ?? {}),
    readSets(options.sets ?? []),
  ];
  let written: Tree = {
    kind: 'map',
    origin: { source: 'file', place: options.file ?? 'configuration' },
    entries: new Map(),
  };
  const unreadable: Problem[] = [];
  for (const source of sources) {
    unreadable.push(...source.problems);
    if (source.tree !== null) written = merge(written, source.tree);
  }
  const { config, problems, warnings } = validate(written, {
    hostName: options.hostName ?? hostname(),
    memoryBytes: options.memoryBytes ?? memoryDefault(),
  });
  const all = inOrder([...unreadable, ...problems], options.file ?? '');
  if (config === null || all.length > 0 || written.kind !== 'map') throw invalid(all);
  return { config, file: options.file ?? null, written, warnings };
}

/** A number of columns that is more than a file has bytes. */
const COLUMNS_MAX = 2 ** 21;

/**
 * First those of the file, from top to bottom; then the others in the order in which they were
 * found.
 */
export function inOrder(problems: readonly Problem[], file: string): Problem[] {
  const position = ({ place }: Problem): number => {
    const match = place.startsWith(`${file}:`) ? /:(\d+):(\d+)$/.exec(place) : null;
    return match === null ? Infinity : Number(match[1]) * COLUMNS_MAX + Number(match[2]);
  };
  return problems.toSorted((left, right) => {
    const [first, second] = [position(left), position(right)];
    return first === second ? 0 : first - second;
  });
}

const PROBLEMS_SHOWN_MAX = 100;

/** Makes one error of all problems. */
export function invalid(problems: readonly Problem[]): MajordomoError {
  const lines = problems.slice(0, PROBLEMS_SHOWN_MAX).map(problemLine);
  if (problems.length > lines.length) lines.push(`… and ${problems.length - lines.length} more`);
  return new MajordomoError('ERR_CONFIG_INVALID', lines.join('\n'), { details: { problems } });
}
