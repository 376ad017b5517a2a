/** What is written about the configuration, made from the rows. */
import { z } from 'zod';

import { QUOTA_ROWS } from './quotas.js';
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
- Values of variables and of \`--set\` are YAML, lists too: \`--set 'broker.listen=[ipc:///run/mdp]'\`.
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
      worker: [render.*]
\`\`\`

- \`endpoint\` (needed): \`tcp://host:port\` (host: \`*\`, a name, IPv4 or \`[IPv6]\`; port \`*\` or 0: any
  free one) or \`ipc://path\`
- \`client\`, \`worker\`: lists of the services that may be asked for and offered there; \`*\` is any run
  of characters, \`?\` one, \`%2A\` a byte (here a star), \`%25\` a percent sign
- \`allow\`: the short form, a list of \`client\`, \`worker\`, each for all services. A listener that
  names none of \`client\`, \`worker\`, \`allow\` is for everything; one that names some is for those only
- \`mmi\`: \`full\`, or \`minimal\`: of \`mmi.*\` only \`mmi.service\`, \`mmi.hello\` and \`mmi.broker\` are
  answered; default: \`minimal\` without \`curve\` off loopback, else \`full\`
- \`transport\`: its engine; default \`broker.transport\`
- \`curve\`: \`{secretKeyFile, keysFile}\`; default none. What is said there is sealed (25/ZMTP-CURVE),
  and only the keys in \`keysFile\` get in. With \`transport: libzmq\` on \`tcp://\` only.
  \`secretKeyFile\` may be a list of two while one key replaces the other: clients that know the
  broker by either get in
- \`insecure: true\`: everybody who reaches it may come in. A listener off loopback needs \`curve\` or
  this, else \`serve\` and \`check\` end with 78. Loopback is 127.0.0.0/8, \`::1\`, a name all of whose
  addresses are among these, and \`ipc://\`

\`majordomo keygen FILE\` makes the two files of a key pair: the secret FILE, for which looser
permissions than 0600 are refused, and FILE.pub. \`majordomo serve --init\` makes all that listeners
name and that is not there, with the key of a first client. \`keysFile\` is a YAML list of who may
come in:

\`\`\`yaml
- name: billing # shown by mmi.workers and in logs; to it belongs what it stores
  publicKey: 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID' # in quotes; two in a list: both get in
  client: [invoices.*, mail] # may ask these services
  worker: [billing] # may offer this one
- name: postman
  publicKey: 'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6'
  allow: [client] # the short form
  services: [mail]
\`\`\`

- \`client\`, \`worker\`: as of a listener; a key may do what both its entry and its listener allow.
  \`mmi.*\` and \`titanic.*\` need not be named: for stored requests the service that is asked counts
- \`allow: [client, worker, peer]\`, \`services\`: the short form of both; without \`services\` all. A role
  in both forms is an error
- \`peer: true\`: may be the other node of the pair (in the keys file of \`bstar.curve\`)
- \`operator: true\`: may read and close what other keys stored
- \`quota\`: a name of \`limits.quotas\`

An entry that names none of \`client\`, \`worker\`, \`allow\` may do everything but \`peer\` and
\`operator\`; one that names some may do only those. \`majordomo check\` shows what each entry means.

It is read again when it changes and at SIGHUP. One with errors is not applied: the list that was
read before stays. A key that is taken out, or replaced, loses its connections; a change of
rights holds at once. Names and keys are unique. libzmq does not tell which key sent a message: with
\`transport: libzmq\` a key gets in only if it may do all that the listener allows, and it keeps its
connections. How keys are replaced: [operating.md](operating.md#keys-and-rights).
`;

const QUOTAS_HEAD = `## Quotas

An identity is the name of a CURVE key or, without CURVE, the address that a connection comes from:
one IPv4 address, one /64 of IPv6, the user at the other end of an \`ipc://\` socket. \`limits.perPeer\`
says what each identity may use at most, and \`limits.quotas.NAME\` what those may whose key names it;
what NAME leaves out is as in \`limits.perPeer\`. The default share leaves the last eighth of every
limit to others. Limits per service are not shared out.

\`\`\`yaml
limits:
  perPeer: { requestsPerSecond: 5000, stored: 100000 }
  quotas:
    batch: { share: 0.5, requestsPerSecond: 50000 }
\`\`\`

Who is over one is answered 429 with its name; for \`stored\` and \`storedBytes\` it is 500, a wait too
many is answered 300 at once, and a connection too many is closed.
`;

function quotasText(): string {
  const rows = Object.entries(QUOTA_ROWS).map(
    ([key, row]: [string, Row]) =>
      `- \`${key}\`: ${row.about} ${capital(expectation(row))}; default: ${defaultText(row)}`,
  );
  return `${QUOTAS_HEAD}\n${rows.join('\n')}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

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
  return `${[INTRODUCTION.trimEnd(), quotasText(), ...sections].join('\n\n')}\n`;
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
