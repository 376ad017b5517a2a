import { LEVEL, PREFIX, variableName } from '../text.js';
import type { Source } from '../tree.js';
import { assign, SETTABLE, type Assignment } from './paths.js';

const PATHS: ReadonlyMap<string, readonly string[]> = new Map(
  SETTABLE.map((path) => [variableName(path), path]),
);

/** Reads the variables `MAJORDOMO_…__…`; others are not configuration. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Source {
  const assignments: Assignment[] = [];
  // Sorted: a variable for a whole map comes before those for its keys, whatever their order.
  for (const name of Object.keys(environment).sort()) {
    const text = environment[name];
    if (text === undefined || !name.startsWith(PREFIX) || !name.includes(LEVEL)) continue;
    const path = PATHS.get(name) ?? [...camelPath(name)];
    const origin = { source: 'environment', place: `environment ${name}` } as const;
    assignments.push({ name, path, text, origin });
  }
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
