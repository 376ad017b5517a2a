/**
 * `npm run explore`: the search of the pair's states beyond the bounds of `npm test`. Without
 * arguments all of them, one after the other; `--crashes 2 --cuts 1 …` searches that bound.
 */
import { BOUNDS, LARGER } from './bounds.js';
import { QUIET, whole } from './mutants.js';
import { type Bound, search } from './search.js';

function explore(name: string, bound: Bound): boolean {
  const startedAt = Date.now();
  const { states, steps, healed, isComplete, finding } = search(bound, whole);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const end = isComplete ? 'all of them' : 'stopped there';
  process.stdout.write(
    `${name}: ${states} states, ${steps} steps, ${healed} healed, ${end}, ${seconds} s\n`,
  );
  if (finding === null) return true;
  process.stdout.write(`  FOUND: ${finding.what}\n    ${finding.path.join('\n    ')}\n`);
  return false;
}

function boundOf(args: readonly string[]): Bound {
  const given = Object.fromEntries(
    args.flatMap((arg, at) => (arg.startsWith('--') ? [[arg.slice(2), Number(args[at + 1])]] : [])),
  ) as Partial<Bound>;
  return { ...QUIET, statesMax: 60_000_000, ...given };
}

const args = process.argv.slice(2);
const isClean =
  args.length > 0
    ? explore(args.join(' '), boundOf(args))
    : [...BOUNDS, ...LARGER].every(({ name, ...bound }) => explore(name, bound));
process.exitCode = isClean ? 0 : 1;
