/** What is written about the configuration, made from the rows. */
import { z } from 'zod';

import { SECTIONS, type Row } from './schema.js';
import { expectation, variableName } from './text.js';
import { CONFIG_SCHEMA } from './zod.js';

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];

/** `604800000` and what it is in days, for durations that nobody can read. */
function defaultText(row: Row): string {
  if (row.default === null) return row.none ?? '–';
  const text = `\`${String(row.default)}\``;
  if (row.kind !== 'durationMs' || typeof row.default !== 'number') return text;
  const unit = UNITS.find(([ms]) => Number(row.default) % ms === 0);
  if (unit === undefined || row.default === 0) return text;
  const count = row.default / unit[0];
  return `${text} (${count} ${unit[1]}${count === 1 ? '' : 's'})`;
}

function rowText(section: string, key: string, row: Row): string {
  const facts = [
    `- default: ${defaultText(row)}`,
    `- value: ${expectation(row)}`,
    `- variable: \`${variableName([section, key])}\``,
    `- a change needs: ${row.live === true ? 'SIGHUP' : 'a restart'}`,
  ];
  return [`### \`${section}.${key}\``, '', row.about, '', ...facts].join('\n');
}

const INTRODUCTION = `# Configuration

<!-- Made from src/config by scripts/generate-docs.mjs: change it there. -->

Three places, each over the one before it: a YAML file (\`-c FILE\`), variables of the environment,
\`--set KEY=VALUE\` on the command line, the last of several.

- A variable is \`MAJORDOMO_\`, then the path in upper snake case with \`__\` between its levels:
  \`MAJORDOMO_BROKER__HEARTBEAT_INTERVAL_MS=1000\`. Variables without \`__\` are not configuration.
- Values of variables and of \`--set\` are YAML, lists too: \`--set 'broker.listen=[tcp://*:5555]'\`.
  Text that YAML would take for something else goes in quotes: \`--set 'http.listen="*:5580"'\`.
- Durations are integers, in milliseconds. Sizes are integers, in bytes, or an integer with one of
  the units \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\`: \`16MiB\`.
- An unknown key is an error, also in a variable. Everything that is wrong is told in one run, as
  \`FILE:LINE:COL: path: what is wrong; did you mean …\`; the exit status is 78.
- A file has at most 1 MiB. YAML aliases are followed, merge keys (\`<<\`) are not known.

\`majordomo check\` prints the effective configuration and where each value came from.
\`config/majordomo.yaml\` has every key with its default; \`config/majordomo.schema.json\` is a JSON
Schema for editors.

## Listeners

\`broker.listen\` takes an endpoint, a list of endpoints, or a list of maps, mixed as you like:

\`\`\`yaml
broker:
  listen:
    - tcp://127.0.0.1:5555
    - endpoint: ipc:///run/majordomo/workers.sock
      allow: [worker]
\`\`\`

- \`endpoint\` (needed): \`tcp://host:port\` (host: \`*\`, a name, IPv4 or \`[IPv6]\`; port \`*\` or 0: any
  free one) or \`ipc://path\`
- \`allow\`: who may come in through it; default \`[client, worker]\`
- \`transport\`: its engine; default \`broker.transport\`
- \`curve\`: \`{secretKeyFile, keysFile}\`; default none. What is said there is sealed (25/ZMTP-CURVE),
  and only the keys in \`keysFile\` get in. With \`transport: libzmq\` on \`tcp://\` only

\`majordomo keygen FILE\` makes the two files of a key pair: the secret FILE, for which looser
permissions than 0600 are refused, and FILE.pub. \`keysFile\` is a YAML list of who may come in:

\`\`\`yaml
- name: billing # shown by mmi.workers and in logs
  publicKey: 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID' # in quotes
  allow: [client] # of client, worker, peer; default [client, worker]
  services: ['*']
\`\`\`

It is read again when it changes and at SIGHUP. One with errors is not applied: the list that was
read before stays. A key that is taken out, or replaced, loses its connections; a change of
\`allow\` holds at once. Names and keys are unique. \`services\` is checked, but restricts nothing in
this version. libzmq does not tell which key sent a message: with \`transport: libzmq\` a key gets in
only if its \`allow\` has everything that the listener's has, and it keeps its connections.
`;

/** docs/configuration.md */
export function referencePage(): string {
  const sections = Object.entries(SECTIONS).map(([name, section]) =>
    [
      `## ${name}`,
      '',
      section.about,
      '',
      Object.entries(section.keys)
        .map(([key, row]) => rowText(name, key, row))
        .join('\n\n'),
    ].join('\n'),
  );
  return `${[INTRODUCTION.trimEnd(), ...sections].join('\n\n')}\n`;
}

/** config/majordomo.schema.json: what may be written, for editors. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(CONFIG_SCHEMA, { io: 'input', unrepresentable: 'any' });
  const text = JSON.stringify({ title: 'Majordomo', ...schema }, null, 2);
  // Lists of words on one line, as the formatter of this repository has them.
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
  const lines = comment(`${row.about} Value: ${expectation(row)}.`, '  ');
  if (row.default !== null) return [...lines, `  #${key}: ${String(row.default)}`];
  return [...lines, ...comment(`Default: ${row.none ?? 'none'}.`, '  '), `  # ${key}:`];
}

/**
 * config/majordomo.yaml: every key in a comment. A line that begins with `#` and a letter, without a
 * blank between, is a setting at its default: taking the `#` away changes nothing.
 */
export function exampleFile(): string {
  const head = [
    '# yaml-language-server: $schema=majordomo.schema.json',
    '#',
    '# Every key of the configuration at its default. To change one, take away the "#" before it, and',
    '# the blank after that where there is one: such a key has no value by itself.',
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
