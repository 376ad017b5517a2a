import ts from 'typescript';

import { MajordomoError } from '../../../src/core/errors.js';
import { exitStatusOf } from '../../../src/core/exit.js';
import { sourceFile, walk } from './declared.js';
import { page, rowsBelow, words } from './page.js';

/** The codes that `src/core/exit.ts` knows, and the one of all that it does not know. */
function codes(): string[] {
  const found = new Set(['ERR_INTERNAL']);
  walk(sourceFile('src/core/exit.ts'), (node) => {
    if (ts.isStringLiteral(node) && node.text.startsWith('ERR_')) found.add(node.text);
  });
  return [...found].sort();
}

describe('docs/errors.md', () => {
  it('has exactly the codes that a process ends by, each with its exit status', () => {
    const rows = rowsBelow(page('errors.md'), '## Process');
    const documented = rows.map(([code, status]) => [words(code)[0], Number(status)]);
    const known = codes().map((code) => [code, exitStatusOf(new MajordomoError(code, ''))]);
    expect(known.length).toBeGreaterThan(30);
    expect(documented).toEqual(known);
  });
});
