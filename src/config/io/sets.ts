import type { Problem } from '../problem.js';
import type { Source } from '../tree.js';
import { assign, type Assignment } from './paths.js';

/** Reads the `KEY=VALUE` of every `--set`; the first is number 1. */
export function readSets(sets: readonly string[]): Source {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  sets.forEach((text, index) => {
    const place = `--set #${index + 1}`;
    const end = text.indexOf('=');
    const name = end < 0 ? '' : text.slice(0, end).trim();
    if (name === '') {
      problems.push({ place, path: '', message: 'expected KEY=VALUE' });
      return;
    }
    assignments.push({
      name,
      path: name.split('.'),
      text: text.slice(end + 1),
      origin: { source: 'set', place },
    });
  });
  const { tree, problems: wrong } = assign(assignments, (path) => path.join('.'));
  return { tree, problems: [...problems, ...wrong] };
}
