/** `majordomo context`: names for brokers, and which of them commands ask. */
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';

import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { addSubcommand, examples, usage } from '../common/options.js';
import { print, printable, say } from '../common/output.js';
import { type Column, narrowText, table } from '../common/table.js';
import {
  type Context,
  contextNamed,
  contextsFile,
  readContexts,
  writeContexts,
} from '../connection/context.js';
import { NODE_URL, nodeUrl } from '../connection/endpoints.js';
import { addCurveOptions } from '../connection/options.js';

const NAME = /^[\w.-]{1,64}$/;

const EXAMPLES = [
  [
    'majordomo context add prod https://mq.example.org:5580 --token-file ~/prod.token',
    'name a broker; the first one becomes the current one',
  ],
  ['majordomo context use prod', 'commands ask it from now on'],
  ['majordomo services --context prod', 'this command only'],
  ['majordomo context ls', 'all names, with * at the current one'],
] as const;

const AFTER = `${examples(EXAMPLES)}
A context is the address of a node, or of both nodes of a pair, with the token and the keys for it. Commands use the
one of --context, else of MAJORDOMO_CONTEXT, else the current one; but none if --endpoint, --admin, -c, --set, or
without a name MAJORDOMO_URL or MAJORDOMO_ENDPOINT, say which broker it is. Files of tokens and keys are not copied.
The names are in $XDG_CONFIG_HOME/majordomo/contexts.json (default: ~/.config).
`;

interface Named extends Context {
  readonly name: string;
  readonly isCurrent: boolean;
}

const COLUMNS: readonly Column<Named>[] = [
  { head: '', cell: ({ isCurrent }) => (isCurrent ? '*' : ''), drop: 3 },
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'URL', cell: ({ url }) => printable(url), cut: 12 },
  { head: 'TOKEN', cell: ({ tokenFile }) => printable(tokenFile), drop: 2 },
  { head: 'KEY', cell: ({ curveKeyFile }) => printable(curveKeyFile), drop: 1 },
];

type AddOptions = Omit<Context, 'url'>;

export function define(command: Command): void {
  command.addHelpText('after', AFTER);
  addOutputOption(addSubcommand(command, 'ls', 'list contexts'), 'list')
    .addHelpText('after', `\n${narrowText(COLUMNS)}`)
    .action(async ({ output }: OutputOptions) => {
      const known = readContexts();
      const all = Object.entries(known.contexts).map(([name, context]): Named => {
        return { ...context, name, isCurrent: name === known.current };
      });
      if (all.length === 0 && output !== 'json') say('no contexts: majordomo context add');
      else {
        await tell(output, all, {
          text: (_all, width) => table(COLUMNS, all, width),
          names: () => all.map(({ name }) => name),
          json: () => known,
        });
      }
    });
  const add = addSubcommand(command, 'add', 'name a broker, or change what a name stands for');
  addCurveOptions(add)
    .argument('<name>', 'of letters, digits, . - _')
    .argument('<url>', `as ${NODE_URL}: an endpoint or an HTTP address; of a pair a list`)
    .option('--token-file <file>', 'file that contains the token for HTTP')
    .option('--admin-ca <file>', 'PEM file of the authorities that sign its certificate')
    .action(async (name: string, url: string, options: AddOptions) => {
      if (!NAME.test(name)) throw usage(`'${name}': a name has 1 to 64 letters, digits, . - _`);
      // Throws unless it is one.
      nodeUrl({ [NODE_URL]: url });
      if ((options.curveServerKey === undefined) !== (options.curveKeyFile === undefined)) {
        throw usage('--curve-server-key and --curve-key-file must be given together');
      }
      const known = readContexts();
      const contexts = { ...known.contexts, [name]: { url, ...absolute(options) } };
      const current = known.current ?? name;
      writeContexts({ current, contexts });
      const how = current === name ? 'and is the current one' : `the current one is ${current}`;
      await print(`${name} is in ${contextsFile()}, ${how}\n`);
    });
  addSubcommand(command, 'use', 'make a context the current one')
    .argument('<name>')
    .action(async (name: string) => {
      const known = readContexts();
      contextNamed(known, name);
      writeContexts({ ...known, current: name });
      await print(`${name} is the current context\n`);
    });
  addSubcommand(command, 'rm', 'forget a context')
    .argument('<name>')
    .action(async (name: string) => {
      const known = readContexts();
      contextNamed(known, name);
      const { [name]: _gone, ...contexts } = known.contexts;
      writeContexts({ current: known.current === name ? null : known.current, contexts });
      await print(`${name} is forgotten\n`);
    });
}

/** The command may be used in any directory. */
function absolute(options: AddOptions): AddOptions {
  const { curveServerKey, ...files } = options;
  const paths = Object.entries(files).map(([key, path]) => [
    key,
    isAbsolute(path) ? path : resolve(path),
  ]);
  return {
    ...(Object.fromEntries(paths) as AddOptions),
    ...(curveServerKey === undefined ? {} : { curveServerKey }),
  };
}
