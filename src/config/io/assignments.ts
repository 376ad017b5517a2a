/** Reads variables and `--set`: the keys that they can name, and how one value becomes a tree. */
import { nearestName } from '../../core/nearest.js';
import { unknownKey } from '../issues.js';
import { namesakes } from '../namesakes.js';
import type { Problem } from '../problem.js';
import { SECTIONS } from '../schema-data.js';
import { rowsOfSection } from '../schema.js';
import {
  LEVEL,
  merge,
  pathText,
  PREFIX,
  type MapTree,
  type SourceLocation,
  type Source,
  type Tree,
  variableName,
} from '../tree.js';
import { readYaml, type YamlRead } from './yaml.js';

/** Every key that can be set alone, as a list of steps. */
const SETTABLE: readonly (readonly string[])[] = Object.entries(SECTIONS).flatMap(
  ([section, { keys }]) =>
    Object.entries(keys).flatMap(([key, row]) => [
      [section, key],
      ...Object.keys(row.keys).map((below) => [section, key, below]),
    ]),
);

/** The key with the most similar name, in the section with the most similar one. */
function similar(path: readonly string[]): string[] {
  const all = SETTABLE.map((each) => each.join('.'));
  // `brokerlisten`
  if (path.length === 1) return [nearestName(path.join(), all) ?? []].flat();
  const parts = all.map((each) => /^(.*)\.([^.]*)$/.exec(each)?.slice(1) ?? []);
  const section = nearestName(
    path.slice(0, -1).join('.'),
    parts.map(([above = '']) => above),
  );
  const names = parts.flatMap(([above, name = '']) => (above === section ? [name] : []));
  const name = nearestName(path.at(-1) ?? '', names);
  return name === null ? [] : [`${section ?? ''}.${name}`];
}

/** An assignment; `text` is YAML, or the text of a key that takes it. */
interface Assignment {
  readonly path: readonly string[];
  readonly text: string;
  readonly origin: SourceLocation;
}

/**
 * Merges assignments; the last one wins.
 * @param nameOf how a path is written in this kind of source
 */
function assign(
  assignments: readonly Assignment[],
  nameOf: (path: readonly string[]) => string,
): Source {
  const known = new Map(SETTABLE.map((path) => [path.join('.'), nameOf(path)]));
  const shown = (path: string): string => known.get(path) ?? path;
  const problems: Problem[] = [];
  let tree: Tree | null = null;
  for (const assignment of assignments) {
    const { path, origin } = assignment;
    if (!known.has(path.join('.'))) {
      const message = unknownKey([...similar(path), ...namesakes(path)].map(shown));
      problems.push({ place: origin.place, path: pathText(path), message });
      continue;
    }
    const read = readValue(assignment);
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

/** Texts that are read as YAML even for a key of text: empty ones, null, and quoted ones. */
const IN_YAML = /^(?:|~|null|Null|NULL|(["']).*\1)$/s;

/** Text is what was written, whatever YAML would make of it: digits, `#…`, `*…`. */
function readValue({ path, text, origin }: Assignment): YamlRead {
  const [section = '', key = '', below] = path;
  const row = rowsOfSection(section)[key];
  const { takes } = (below === undefined ? row : row?.keys[below]) ?? {};
  const value = text.trim();
  const asText: YamlRead = { tree: { kind: 'scalar', origin, value }, problems: [] };
  const isOfText = takes !== undefined && !IN_YAML.test(value);
  if (isOfText && takes(value)) return asText;
  const read = readYaml(text, () => origin);
  const isOther =
    read.tree === null || (read.tree.kind === 'scalar' && typeof read.tree.value !== 'string');
  // What is wrong is told of the text.
  return isOfText && isOther && read.problems.length === 0 ? asText : read;
}

function asMap(tree: Tree | null): MapTree | null {
  return tree?.kind === 'map' ? tree : null;
}

/** The parser quotes what it does not understand, which must not happen to a secret. */
function explained(problem: Problem, path: readonly string[]): Problem {
  const [section = '', key = ''] = path;
  const why = SECTIONS[section]?.keys[key]?.secret === true ? '' : `: ${problem.message}`;
  return {
    place: problem.place,
    path: pathText(path),
    message: `the value is not YAML (quote text with special characters)${why}`,
  };
}

const PATHS: ReadonlyMap<string, readonly string[]> = new Map(
  SETTABLE.map((path) => [variableName(path), path]),
);

/** Reads the variables `MAJORDOMO_…__…`; others are not configuration. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Source {
  // Sorted: a variable for a whole map comes before those for its keys, whatever their order.
  const assignments = Object.keys(environment)
    .sort()
    .flatMap((name): Assignment[] => {
      const text = environment[name];
      if (text === undefined || !name.startsWith(PREFIX) || !name.includes(LEVEL)) return [];
      const origin = { source: 'environment', place: `environment ${name}` } as const;
      return [{ path: PATHS.get(name) ?? camelPath(name), text, origin }];
    });
  return assign(assignments, variableName);
}

/** The key that an unknown variable would set, for the message. */
function camelPath(name: string): string[] {
  return name
    .slice(PREFIX.length)
    .split(LEVEL)
    .map((level) =>
      level.toLowerCase().replace(/_([a-z\d])/g, (_, letter: string) => letter.toUpperCase()),
    );
}

/** Reads the `KEY=VALUE` of every `--set`; the first is number 1. */
export function readSets(sets: readonly string[]): Source {
  const problems: Problem[] = [];
  const assignments = sets.flatMap((text, index): Assignment[] => {
    const place = `--set #${index + 1}`;
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    const key = name.trim();
    if (key === '') problems.push({ place, path: '', message: 'expected KEY=VALUE' });
    const origin = { source: 'set', place } as const;
    return key === '' ? [] : [{ path: key.split('.'), text: value, origin }];
  });
  const { tree, problems: wrong } = assign(assignments, (path) => path.join('.'));
  return { tree, problems: [...problems, ...wrong] };
}
