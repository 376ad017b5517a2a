import { readFileSync } from 'node:fs';

const WORDS_A_MINUTE = 215;

/** What people read of Markdown: no addresses of links, no lines of tables. */
function wordsOf(markdown: string): number {
  const text = markdown.replaceAll(/\]\([^)]*\)/g, ']').replaceAll(/[^\p{L}\p{N}\s]+/gu, ' ');
  return text.split(/\s+/).filter((word) => /[\p{L}]/u.test(word)).length;
}

it('docs/concepts.md takes as long as it says', () => {
  const page = readFileSync('docs/concepts.md', 'utf8');
  expect(page).toContain('six minutes, ten with');
  const [concepts = ''] = page.split('## Questions');
  expect(wordsOf(concepts) / WORDS_A_MINUTE).toBeLessThanOrEqual(6);
  expect(wordsOf(page) / WORDS_A_MINUTE).toBeLessThanOrEqual(10);
});
