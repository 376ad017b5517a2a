/** The keys that a variable or `--set` can name, and how one value becomes a tree. */
import { nearestName } from '../nearest.js';
import type { Problem } from '../problem.js';
import { QUOTA_KEYS } from '../quotas.js';
import { type Row, SECTIONS } from '../schema.js';
import { rowAt } from '../text.js';
import {
  merge,
  pathText,
  type MapTree,
  type SourceLocation,
  type Source,
  type Tree,
} from '../tree.js';
import { MAP_KEYS } from '../zod.js';
import { readYaml } from './yaml.js';

/** Every key that can be set alone, as a list of steps. */
export const SETTABLE: readonly (readonly string[])[] = Object.entries(SECTIONS).flatMap(
  ([section, { keys }]) =>
    Object.entries(keys).flatMap(([key, row]) => {
      const below = belowOf(row);
      return [[section, key], ...below.map((name) => [section, key, name])];
    }),
);

function belowOf({ kind }: Row): readonly string[] {
  if (kind === 'quota') return QUOTA_KEYS;
  if (kind === 'curve') return MAP_KEYS.peerCurve;
  return kind === 'tls' ? MAP_KEYS.tls : [];
}

/** One assignment; `text` is YAML. */
export interface Assignment {
  readonly name: string;
  readonly path: readonly string[];
  readonly text: string;
  readonly origin: SourceLocation;
}

/**
 * Merges assignments; the last one wins.
 * @param nameOf how a path is written in this kind of source
 */
export function assign(
  assignments: readonly Assignment[],
  nameOf: (path: readonly string[]) => string,
): Source {
  const known = new Set(SETTABLE.map((path) => path.join('.')));
  const problems: Problem[] = [];
  let tree: Tree | null = null;
  for (const { name, path, text, origin } of assignments) {
    if (!known.has(path.join('.'))) {
      const nearest = nearestName(name, SETTABLE.map(nameOf));
      const hint = nearest === null ? '' : `; did you mean ${nearest}`;
      const message = `unknown key${hint}`;
      problems.push({ place: origin.place, path: pathText(path), message });
      continue;
    }
    const read = readYaml(text, () => origin);
    problems.push(...read.problems.map((problem) => explained(problem, path)));
    if (read.problems.length > 0) continue;
    const value: Tree = read.tree ?? { kind: 'scalar', origin, value: null };
    const whole = path.reduceRight<Tree>(
      (below, key) => ({
        kind: 'map',
        origin,
        entries: new Map([[key, { key: origin, value: below }]]),
      }),
      value,
    );
    tree = tree === null ? whole : merge(tree, whole);
  }
  return { tree: asMap(tree), problems };
}

function asMap(tree: Tree | null): MapTree | null {
  return tree?.kind === 'map' ? tree : null;
}

/** The parser quotes what it does not understand, which must not happen to a secret. */
function explained(problem: Problem, path: readonly string[]): Problem {
  const row = rowAt(path);
  const secret = row?.form === 'secret' || row?.kind === 'tokens';
  const why = secret ? '' : `: ${problem.message}`;
  return {
    place: problem.place,
    path: pathText(path),
    message: `the value is not YAML (quote text with special characters)${why}`,
  };
}
