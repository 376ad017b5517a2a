/** The generated documents about the configuration. */
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
  return live === true ? 'SIGHUP' : 'a restart';
}

function rowText(section: string, key: string, row: Row): string {
  const facts = [
    `- default: ${defaultText(row)}`,
    `- value: ${expectation(row)}`,
    `- variable: \`${variableName([section, key])}\``,
    `- a change needs: ${changeNeeds(row)}`,
  ];
  return [`### \`${section}.${key}\``, '', row.about, '', ...facts].join('\n');
}

const INTRODUCTION = `# Configuration

<!-- Made from src/config by scripts/generate-docs.mjs: change it there. -->

Values come from three places; later ones override earlier ones: a YAML file (\`-c FILE\`), environment
variables, and \`--set KEY=VALUE\` on the command line, where the last one wins.

- The name of a variable is \`MAJORDOMO_\` and the path in upper snake case, with \`__\` between levels:
  \`MAJORDOMO_BROKER__HEARTBEAT_INTERVAL_MS=1000\`. Variables without \`__\` are not configuration keys.
- Values of variables and of \`--set\` are YAML, including lists: \`--set 'broker.listen=[ipc:///run/mdp]'\`.
  Quote text that YAML would read as something else: \`--set 'http.listen="*:5580"'\`.
- Durations are integers in milliseconds. Sizes are integers in bytes, or an integer with one of
  the units \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\`: \`16MiB\`.
- An unknown key is an error, even in a variable. All errors are reported in one run, as
  \`FILE:LINE:COL: path: problem; did you mean …\`; the exit status is 78.
- A file has at most 1 MiB. YAML aliases work, merge keys (\`<<\`) do not.

\`majordomo check\` prints the effective configuration and where each value comes from.
\`config/majordomo.yaml\` has every key with its default; \`config/majordomo.schema.json\` is a JSON
Schema for editors.

## Listeners

\`broker.listen\` takes an endpoint, a list of endpoints, or a list of maps; a list may mix both:

\`\`\`yaml
broker:
  listen:
    - tcp://127.0.0.1:5555
    - endpoint: ipc:///run/majordomo/workers.sock
      worker: [render.*]
\`\`\`

- \`endpoint\` (required): \`tcp://host:port\` (host: \`*\`, a name, IPv4 or \`[IPv6]\`; port \`*\` or 0: any
  free one) or \`ipc://path\`
- \`client\`, \`worker\`: lists of the services that clients may request and workers may offer there; \`*\`
  matches any characters, \`?\` one character, \`%2A\` the byte 2A (a star), \`%25\` a percent sign
- \`allow\`: the short form, a list of \`client\`, \`worker\`, each for all services. A listener with
  none of \`client\`, \`worker\`, \`allow\` allows everything; a listener with some allows only those
- \`mmi\`: \`full\`, or \`minimal\`, which answers only \`mmi.service\`, \`mmi.hello\` and \`mmi.broker\`;
  default: \`minimal\` on a listener that is not on loopback and has no \`curve\`, else \`full\`
- \`service\`: the listener speaks no MDP; all its peers use this one service. It needs \`allow: [client]\`
  (REQ and DEALER sockets that send a body, ROUTER sockets of the Freelance pattern) or
  \`allow: [worker]\` (Simple and Paranoid Pirates). \`client\`, \`worker\` and \`mmi\` are errors there.
  [patterns.md](patterns.md) shows the programs
- \`public\`: for \`service\` with \`allow: [client]\`: the endpoint that Freelance clients connect to,
  byte for byte. They know a server by it; without it they cannot use the listener. Needs \`transport: zmtp\`
- \`transport\`: the socket engine; default \`broker.transport\`
- \`curve\`: \`{secretKeyFile, keysFile}\`; default none. Encrypts the connection (25/ZMTP-CURVE),
  and only keys in \`keysFile\`, or admitted by the service in \`security.authorize\`, may connect.
  With \`transport: libzmq\` only on \`tcp://\`.
  \`secretKeyFile\` may be a list of two files while you replace the key of the broker: clients that
  have either public key can connect
- \`insecure: true\`: anyone who can reach the listener may connect. A listener that is not on
  loopback needs \`curve\` or this key; otherwise \`serve\` and \`check\` exit with 78. Loopback is 127.0.0.0/8, \`::1\`,
  a name that resolves only to such addresses, and \`ipc://\`

\`majordomo keygen FILE\` creates the two files of a key pair: the secret key FILE and FILE.pub. The secret
key may be a certificate of CZMQ (zcert), too. Only its owner may read it (0600); if it belongs to root, its
group may, too (0640). \`majordomo serve --init\` creates all missing files that listeners name, with a key for
a first client. \`keysFile\` is a YAML list of the keys that may connect:

\`\`\`yaml
- name: billing # shown by mmi.workers and in logs; owns the requests that it stores
  publicKey: 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID' # in quotes; a list of two: both may connect
  client: [invoices.*, mail] # may request these services
  worker: [billing] # may offer this one
- name: postman
  publicKey: 'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6'
  allow: [client] # the short form
  services: [mail]
\`\`\`

- \`client\`, \`worker\`: as for a listener; a key has the rights that both its entry and its listener
  give. You need not list \`mmi.*\` and \`titanic.*\`: a stored request needs the right to the service that it is for
- \`allow: [client, worker, peer]\`, \`services\`: the short form of both; without \`services\`, all services.
  A role in both forms is an error
- \`peer: true\`: may connect as the other node of the pair (in the keys file of \`bstar.curve\`)
- \`operator: true\`: may read and close the requests that other keys stored
- \`quota\`: a name from \`limits.quotas\`

An entry with none of \`client\`, \`worker\`, \`allow\` gives every right except \`peer\` and
\`operator\`; an entry with some gives only those. \`majordomo check\` shows the rights of each entry.

The broker reads the file again when it changes and at SIGHUP. If the new file has errors, the broker keeps
the previous list. Removing or replacing a key closes its connections; a change of rights applies at
once. Names and keys are unique. libzmq does not report which key sent a message: with
\`transport: libzmq\` a key may connect only if it has all rights that the listener gives, and removing
it does not close its connections. How to replace keys: [operating.md](operating.md#keys-and-rights).
`;

const TOKENS_TEXT = `## Tokens

\`http.tokens\` lists the tokens of people and programs, beside the one that the node makes itself (\`http.token\`):

\`\`\`yaml
http:
  tokens:
    - { name: prometheus, role: read, tokenFile: /etc/majordomo/prometheus.token }
    - { name: alice, role: operate, tokenFile: /etc/majordomo/alice.token }
    - { name: shop, role: request, tokenFile: /run/shop.token, client: [mail] }
  trustedUserHeader: X-Forwarded-User # optional: a proxy says who its user is
  trustedProxies: [10.0.0.7, unix]
\`\`\`

- \`name\` (required): who acted, in the events of operators; 1 to 64 printable characters without spaces, unique
- \`role\` (required): \`read\`, \`operate\` (read, change, see bodies) or \`request\` (a program: sends requests to services
  and does nothing else; see [http.md](http.md#for-programs))
- \`token\` or \`tokenFile\`: 16 to 512 characters of printable ASCII without spaces. Only its owner may read the file (mode 0600);
  if it belongs to root, its group may, too (0640)
- \`client\`: for \`role: request\`, and required there: the services that it may request, as for a key
- \`quota\`: for \`role: request\`: a name from \`limits.quotas\`

SIGHUP reads tokens and their files again. If one cannot be read, all stay as they are (\`http.tokens_refused\` in the log).
The first token with \`role: request\` needs a restart.
`;

const QUOTAS_HEAD = `## Quotas

An identity is the name of a CURVE key or, without CURVE, the source address of the connection:
one IPv4 address or one /64 of IPv6. All peers without a key on \`ipc://\` sockets are one identity.
\`limits.perPeer\` limits each identity. \`limits.quotas.NAME\` limits the identities whose key entry has \`quota: NAME\`;
a quota that NAME does not set has the value from \`limits.perPeer\`. The default share leaves one eighth of
every limit to other identities. Limits per service are not divided among identities.

\`\`\`yaml
limits:
  perPeer: { requestsPerSecond: 5000, stored: 100000 }
  quotas:
    batch: { share: 0.5, requestsPerSecond: 50000 }
\`\`\`

A request over a quota gets status 429 with the name of the quota. For \`stored\` and \`storedBytes\` the
status is 500, a wait over the quota gets 300 at once, and a connection over the quota is closed.
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
  return `${[INTRODUCTION.trimEnd(), TOKENS_TEXT.trimEnd(), quotasText(), ...sections].join('\n\n')}\n`;
}

/** config/majordomo.schema.json, for editors. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(CONFIG_SCHEMA, { io: 'input', unrepresentable: 'any' });
  const text = JSON.stringify({ title: 'Majordomo', ...schema }, null, 2);
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
  const lines = comment(`${row.about} Value: ${expectation(row)}.`, '  ');
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
