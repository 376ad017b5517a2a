/** Reads the tables of a page of docs/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function page(name: string): string {
  return readFileSync(join(process.cwd(), 'docs', name), 'utf8');
}

/** The rows of the tables below a heading, without their heads: cells, trimmed. */
export function rowsBelow(text: string, heading: string): string[][] {
  const from = text.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`no heading ${heading}`);
  const level = /^#+/.exec(heading)?.[0] ?? '';
  const rest = text.slice(from + heading.length + 1);
  const until = rest.search(new RegExp(`^#{1,${level.length}} `, 'm'));
  const lines = (until < 0 ? rest : rest.slice(0, until)).split('\n');
  const rows: string[][] = [];
  for (const [at, line] of lines.entries()) {
    const isRule = line.startsWith('| -');
    const isHead = lines[at + 1]?.startsWith('| -') === true;
    if (!line.startsWith('|') || isRule || isHead) continue;
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** The items of the lists below a heading, up to the next heading, each on one line. */
export function itemsBelow(text: string, heading: string): string[] {
  const from = text.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`no heading ${heading}`);
  const [below = ''] = text.slice(from + heading.length + 2).split(/^#/m);
  return below
    .split(/\n(?=- )|\n\n/)
    .filter((part) => part.startsWith('- '))
    .map((part) => part.slice('- '.length).replaceAll(/\s+/g, ' ').trim());
}

/** The words in backticks. */
export function words(cell: string | undefined): string[] {
  return Array.from((cell ?? '').matchAll(/`([^`]+)`/g), ([, word = '']) => word);
}
