import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Count {
  readonly what: string;
  readonly words: number;
  readonly max: number;
}

const { counts, pagesByHand, tooLong, wordsOf } = (await import(
  pathToFileURL(resolve('scripts/words.mjs')).href
)) as {
  readonly counts: (read?: (path: string) => string) => Count[];
  readonly pagesByHand: () => string[];
  readonly tooLong: (counted: readonly Count[]) => string[];
  readonly wordsOf: (text: string) => number;
};

describe('the documents by hand', () => {
  it('are no longer than their limits (npm run words)', () => {
    expect(tooLong(counts())).toEqual([]);
  });

  it('are counted as wc -w does, without lists and what commands write', () => {
    expect(wordsOf('| a | `b c` |\n\n- d.\n')).toBe(8);
    expect(pagesByHand()).toContain('docs/recipes/cron.md');
    for (const list of ['docs/cli.md', 'docs/performance-pair.md', 'docs/reference/client.md']) {
      expect(pagesByHand()).not.toContain(list);
    }
  });

  it('are reported by name when they are too long', () => {
    const [first] = tooLong(counts(() => 'word '.repeat(200_000)));
    expect(first).toMatch(/^README\.md has 200000 words, \d+ more than its limit\.$/);
  });
});

describe('each page by hand', () => {
  /** Lists that a command writes, and decisions. */
  const others = /^docs\/(?:adr\/|decisions\.md)/;
  const pages = pagesByHand().filter((path) => !others.test(path));

  it('says in its first line for whom it is, and how long it takes', () => {
    const wrong = pages.filter((path) => {
      const [, first = ''] = readFileSync(path, 'utf8').split('\n\n');
      return !/^For [^]*?\b(?:minutes?|look things up)\b/.test(first);
    });
    expect(wrong).toEqual([]);
  });
});
