/** The generated documents about the configuration. */
import { jsonSchemaOf, type Row } from './kinds.js';
import { SECTIONS } from './schema-data.js';
import { wholeSchema } from './schema.js';

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];

/** Adds days, hours or minutes to a duration that is hard to read, such as `604800000`. */
function defaultText(row: Row): string {
  if (row.default === null) return row.none ?? '–';
  const text = `\`${String(row.default)}\``;
  if (row.kind !== 'durationMs' || typeof row.default !== 'number') return text;
  const unit = UNITS.find(([ms]) => Number(row.default) % ms === 0);
  if (unit === undefined || row.default === 0) return text;
  const count = row.default / unit[0];
  return `${text} (${count} ${unit[1]}${count === 1 ? '' : 's'})`;
}

function changeNeeds({ live }: Row): string {
  if (live === 'secretKeys') return 'a restart, except `secretKeyFile` with `zmtp`: SIGHUP';
  if (live === 'tokens') return 'SIGHUP; a restart for the first token with `role: request`';
  if (live === 'webhooks') {
    return 'SIGHUP; a restart for the first hosts, unless a token has `role: request`';
  }
  return live === true ? 'SIGHUP' : 'a restart';
}

function rowText(section: string, key: string, row: Row): string {
  const { about, value = '' } = row;
  const facts = `Value: ${value}. Default: ${defaultText(row)}. A change needs ${changeNeeds(row)}.`;
  return `- **\`${section}.${key}\`**: ${about} ${facts}`;
}

/** A mark in docs/configuration.md: what is below is made from the schema. */
const MARK =
  '<!-- From here to the end: made from src/config by scripts/generate-docs.mjs. Change it there. -->';

/** The list that ends the chapter on quotas. */
function quotasText(): string {
  const rows = Object.entries(SECTIONS['limits']?.keys['perPeer']?.keys ?? {}).map(
    ([key, row]) =>
      `- \`${key}\`: ${row.about} ${capital(row.value ?? '')}; default: ${defaultText(row)}`,
  );
  return rows.join('\n');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** docs/configuration.md. @param page the page as it is, of which the part that is made is replaced */
export function referencePage(page: string): string {
  const head = page.slice(0, page.indexOf(MARK));
  const sections = Object.entries(SECTIONS).map(([name, { about, keys }]) =>
    [
      `## ${name}`,
      about,
      Object.entries(keys)
        .map(([key, row]) => rowText(name, key, row))
        .join('\n'),
    ].join('\n\n'),
  );
  return `${head}${[MARK, quotasText(), ...sections].join('\n\n')}\n`;
}

/** config/majordomo.schema.json, for editors. */
export function jsonSchema(): string {
  const text = JSON.stringify({ title: 'Majordomo', ...jsonSchemaOf(wholeSchema()) }, null, 2);
  // Puts lists of words on one line, as this repository's formatter does.
  return `${text.replace(/\[\s+("[^[\]{}]*")\s+\]/g, onOneLine)}\n`;
}

function onOneLine(_: string, words: string): string {
  return `[${words.replace(/,\s+/g, ', ')}]`;
}

const COLUMNS = 98;

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + word.length + 3 > COLUMNS) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${indent}# ${one}`);
}

function exampleRow(key: string, row: Row): string[] {
  const lines = comment(`${row.about} Value: ${row.value ?? ''}.`, '  ');
  if (row.default !== null) return [...lines, `  #${key}: ${String(row.default)}`];
  return [...lines, ...comment(`Default: ${row.none ?? 'none'}.`, '  '), `  # ${key}:`];
}

/**
 * config/majordomo.yaml: every key in a comment. A line that begins with `#` and a letter is a
 * setting at its default: removing the `#` changes nothing.
 */
export function exampleFile(): string {
  const head = [
    '# yaml-language-server: $schema=majordomo.schema.json',
    '#',
    '# Every configuration key. `#key: value` shows the default: remove the "#" and change the value.',
    '# `# key:` has no default that can be written: remove "# " and write a value; its comment says what',
    '# applies without one. Listeners and Quotas are chapters of docs/configuration.md.',
    '# Made from src/config by scripts/generate-docs.mjs.',
  ];
  const sections = Object.entries(SECTIONS).map(([name, section]) =>
    [
      ...comment(section.about, ''),
      `${name}:`,
      Object.entries(section.keys)
        .map(([key, row]) => exampleRow(key, row).join('\n'))
        .join('\n\n'),
    ].join('\n'),
  );
  return `${[head.join('\n'), ...sections].join('\n\n')}\n`;
}
