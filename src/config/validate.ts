/**
 * Turns what was written into the effective configuration, or a list of everything that is wrong.
 */
import type { z } from 'zod';

import type { Config } from './config.js';
import { placed } from './issues.js';
import { mapBytesDefault } from './map-rules.js';
import { namesakes } from './namesakes.js';
import type { Problem } from './problem.js';
import { RULES } from './rules.js';
import { DEFAULTS, SECTIONS } from './schema-data.js';
import { isSection, ONCE, schemaOf, wholeSchema } from './schema.js';
import { pathText, plain, treeAt, type Path, type Tree } from './tree.js';

type Given = typeof DEFAULTS;

/** The result of validation. `config` is null if a value is invalid. */
interface Validated {
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Defaults that depend on this machine. */
interface Machine {
  /** `node.name`. */
  readonly hostName: string;
  /** `limits.memoryBytes`. */
  readonly memoryBytes: number;
}

/** Checks everything that was written. */
export function validate(written: Tree, machine: Machine): Validated {
  const input = plain(written);
  const parsed = parse(written, input);
  if (parsed.success) {
    const config = complete(parsed.data, machine);
    const problems = crossProblems(written, config, new Set());
    return {
      config: problems.length === 0 ? config : null,
      problems,
      warnings: idleWarnings(written, config),
    };
  }
  const found = placed(written, parsed.error.issues, namesakes);
  const wrong = new Set(found.map(({ path }) => path.slice(0, 2).join('.')));
  const problems = found.map(({ problem }) => problem);
  // Valid values are still checked against each other, so that one run reports everything.
  const rest = wholeSchema().safeParse(without(input, wrong), ONCE);
  if (rest.success) {
    problems.push(...crossProblems(written, complete(rest.data, machine), wrong));
  }
  return { config: null, problems, warnings: [] };
}

/** Checks the sections that are written, and only if one is wrong, or none, the whole. */
function parse(written: Tree, input: unknown): z.ZodSafeParseResult<Given> {
  const names = written.kind === 'map' ? [...written.entries.keys()] : [''];
  if (names.every(isSection)) {
    const part = schemaOf(names).safeParse(input, ONCE);
    if (part.success) return { success: true, data: { ...DEFAULTS, ...part.data } };
  }
  return wholeSchema().safeParse(input, ONCE);
}

/** The input without the invalid keys `section` and `section.key`. */
function without(input: unknown, wrong: ReadonlySet<string>): Record<string, unknown> {
  const right = (from: unknown, base: string): [string, unknown][] =>
    Object.entries(from ?? {}).filter(([name]) => !wrong.has(base + name));
  return Object.fromEntries(
    right(input, '').map(([name, section]) => [
      name,
      Object.fromEntries(right(section, `${name}.`)),
    ]),
  );
}

/** Fills in defaults that are not constants. */
function complete(given: Given, machine: Machine): Config {
  const { node, limits, titanic, bstar } = given;
  const { memoryBytes = machine.memoryBytes } = limits;
  const { mapBytes = mapBytesDefault(memoryBytes) } = limits;
  const { replication = bstar.role === 'standalone' ? 'off' : 'sync' } = titanic;
  return {
    ...given,
    node: { ...node, name: node.name ?? machine.hostName },
    limits: { ...limits, memoryBytes, mapBytes },
    titanic: { ...titanic, replication },
  };
}

function crossProblems(written: Tree, config: Config, wrong: ReadonlySet<string>): Problem[] {
  const isWrong = (path: string): boolean =>
    wrong.has(path) || wrong.has(path.slice(0, path.indexOf('.')));
  const broken = RULES.filter(({ about }) => !about.some(isWrong)).flatMap((rule) =>
    rule.check(config).map((one) => ({ ...one, about: rule.about })),
  );
  return broken.map(({ path, message, about }) => ({
    place: placeOf(written, [path, ...about.map((key) => key.split('.'))]),
    path: pathText(path),
    message,
  }));
}

/** The place of the first of these paths that was written. */
function placeOf(written: Tree, paths: readonly Path[]): string {
  for (const path of paths) {
    const node = treeAt(written, path) ?? treeAt(written, path.slice(0, 2));
    if (node !== undefined) return node.origin.place;
  }
  return written.origin.place;
}

/** Keys that were set but have no effect because of other keys. */
function idleWarnings(written: Tree, config: Config): Problem[] {
  if (config.bstar.role !== 'standalone') return [];
  return Object.keys(SECTIONS['bstar']?.keys ?? {}).flatMap((key) => {
    const node = treeAt(written, ['bstar', key]);
    const values: Readonly<Record<string, unknown>> = config.bstar;
    if (key === 'role' || node === undefined || values[key] === null) return [];
    const message = 'has no effect while bstar.role is standalone';
    return [{ place: node.origin.place, path: `bstar.${key}`, message }];
  });
}
