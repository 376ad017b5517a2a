/**
 * Counts the words of the documents that are written by hand, as `wc -w` does: `npm run words`. A test keeps the counts
 * below these limits (test/unit/docs/words.test.ts). Lower a limit when a page has become shorter.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Of docs/: made from the code, or written by a benchmark, or a list of everything that a program has. */
const LISTS =
  /^(?:reference\/.*|(?:cli|logs|configuration|metrics|errors|decisions)\.md|performance.*)$/;

/** Of single pages. */
const PAGES_MAX = {
  'README.md': 1_200,
  'docs/operating.md': 6_900,
  'docs/protocol.md': 13_200,
};
/** Of docs/: what somebody reads for a first task. */
const FIRST_TASK =
  /^(?:recipes|languages|coming-from)\/|^(?:README|comparison|groups|installing|servers|tutorial)\.md$/;
const FIRST_TASK_MAX = 1_500;
/** Of all pages by hand together. */
const ALL_MAX = 76_900;

/** The words of a text, as `wc -w` counts them. */
export function wordsOf(text) {
  return text.split(/\s+/).filter((word) => word !== '').length;
}

/** Each page by hand of docs/. */
export function pagesByHand() {
  return readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !LISTS.test(name))
    .map((name) => `docs/${name}`)
    .sort();
}

/** `{ what, words, max }` of all that has a limit. @param read the text of a page */
export function counts(read = (path) => readFileSync(join(ROOT, path), 'utf8')) {
  const pages = pagesByHand();
  const firstTasks = pages.filter((path) => FIRST_TASK.test(path.slice('docs/'.length)));
  const all = pages.reduce((sum, path) => sum + wordsOf(read(path)), 0);
  return [
    ...Object.entries(PAGES_MAX).map(([what, max]) => ({ what, words: wordsOf(read(what)), max })),
    ...firstTasks.map((what) => ({ what, words: wordsOf(read(what)), max: FIRST_TASK_MAX })),
    { what: 'all pages by hand in docs/', words: all, max: ALL_MAX },
  ];
}

/** What is too long, in words. */
export function tooLong(counted) {
  return counted
    .filter(({ words, max }) => words > max)
    .map(
      ({ what, words, max }) => `${what} has ${words} words, ${words - max} more than its limit.`,
    );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const counted = counts();
  for (const path of pagesByHand()) {
    console.log(String(wordsOf(readFileSync(join(ROOT, path), 'utf8'))).padStart(7), path);
  }
  console.log('\nWith a limit:');
  for (const { what, words, max } of counted) {
    console.log(String(words).padStart(7), `of ${max}`.padEnd(10), what);
  }
  const faults = tooLong(counted);
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
