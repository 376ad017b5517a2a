/** The blocks of code in a page. */
import { readFileSync } from 'node:fs';

export interface Block {
  /** Of the comment in its first line, `// NAME`, or made from its place in the page. */
  readonly name: string;
  readonly text: string;
}

/** The blocks in a language, in order. */
export function blocksOf(page: string, language: string): readonly Block[] {
  const fences = readFileSync(page, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  return Array.from(fences, ([, of = '', text = '']) => ({ of, text }))
    .filter(({ of }) => of === language)
    .map(({ text }, index) => ({
      name: /^(?:\/\/|#) ([\w-]+\.\w+)\n/.exec(text)?.[1] ?? `block-${index + 1}.${language}`,
      text,
    }));
}
