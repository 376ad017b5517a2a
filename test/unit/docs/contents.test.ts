import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { withContents } = (await import(pathToFileURL(resolve('scripts/contents.mjs')).href)) as {
  withContents: (page: string) => string;
};

it('docs/operating.md has the table of contents of its headings (else: npm run docs)', () => {
  const page = readFileSync('docs/operating.md', 'utf8');
  expect(page).toBe(withContents(page));
  expect(page).toContain('- [Start](#start)\n');
  expect(page).toContain('[Replacing a token of HTTP](#replacing-a-token-of-http)');
});
