/** `majordomo check`: validates a configuration, and shows each effective value and its source. */
import type { Command } from 'commander';

import { explain } from '../../config/explain.js';
import { listenersInFull, refuseExposed } from '../../config/io/exposure.js';
import { invalid, type Loaded } from '../../config/io/load.js';
import { sharedNames } from '../../config/io/shared-names.js';
import { limitsPerBroker } from '../../config/limits-per-broker.js';
import { withoutPublic } from '../../config/service-listeners.js';
import { problemLine, type Problem } from '../../config/problem.js';
import { codeOf, detailsOf } from '../../core/errors.js';
import { load } from '../common/load-config.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { addConfigOptions, type ConfigOptions, examples } from '../common/options.js';
import { printable } from '../common/output.js';
import { type Column, narrowText, table } from '../common/table.js';
import {
  entryShown,
  keysInEffect,
  type KeysInEffect,
  keysTable,
  PAIR,
  quotasShown,
  quotasTable,
} from './keys-in-effect.js';
import { isForOthers, readNamedFiles } from './named-files.js';

interface CheckOptions extends ConfigOptions, OutputOptions {}

const EXAMPLES = [
  ['majordomo check', 'the defaults and the environment'],
  ['majordomo check -c majordomo.yaml', 'a file, with all of its errors'],
  ['majordomo check --set limits.frames=64', 'the effect of a --set'],
  ['majordomo check -o json | jq .valid', 'for scripts'],
] as const;

const COLUMNS: readonly Column<ReturnType<typeof explain>[number]>[] = [
  { head: 'KEY', cell: ({ key }) => key },
  { head: 'VALUE', cell: ({ value }) => (value === null ? '-' : printable(value)), cut: 12 },
  { head: 'FROM', cell: ({ place }) => place ?? 'default', drop: 1 },
];

const AFTER = `${examples(EXAMPLES)}
Also shows the quotas of one identity and the rights of each key in the keys files.
Reads the files that it names, as serve does: run it as the user that runs the broker.
Errors go to standard error as FILE:LINE:COL: key: problem; the exit status is then 78.
${narrowText(COLUMNS)}`;

export function define(command: Command): void {
  addOutputOption(addConfigOptions(command), 'list')
    .addHelpText('after', AFTER)
    .action(async (options: CheckOptions) => {
      await check(options);
    });
}

async function check(options: CheckOptions): Promise<void> {
  let loaded: Loaded;
  let keys: readonly KeysInEffect[];
  const warnings: Problem[] = [];
  try {
    loaded = load(options);
    await refuseExposed(loaded);
    const problems: Problem[] = [];
    const refused = (problem: Problem, error: unknown): void => {
      (isForOthers(error) ? warnings : problems).push(problem);
    };
    keys = keysInEffect(loaded.config, refused);
    readNamedFiles(loaded, refused);
    if (problems.length > 0) throw invalid(problems);
  } catch (error) {
    if (codeOf(error) === 'ERR_CONFIG_INVALID') {
      const problems = detailsOf(error)['problems'] ?? [];
      await tell(options.output, { ...empty(options), problems }, '');
    }
    throw error;
  }
  warnings.unshift(...loaded.warnings);
  const ofListeners = keys.filter(({ usedBy }) => usedBy.some((user) => user !== PAIR));
  warnings.push(...withoutPublic(loaded.config.broker.listen));
  warnings.push(...limitsPerBroker(loaded.config));
  warnings.push(...sharedNames(ofListeners.map(({ entries }) => entries)));
  for (const warning of warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`);
  const { written } = loaded;
  const { broker } = loaded.config;
  const listen = await listenersInFull(loaded.config);
  const config = { ...loaded.config, broker: { ...broker, listen } };
  const configuration = explain({ config, written });
  await tell(options.output, configuration, {
    text: (_configuration, width) =>
      table(COLUMNS, configuration, width) +
      quotasTable(config, width) +
      keys.map((each) => keysTable(each, width)).join(''),
    names: () => configuration.map(({ key }) => key),
    json: () => ({
      ...empty(options),
      valid: true,
      configuration,
      quotas: quotasShown(config),
      keys: keys.map(({ entries, ...of }) => ({ ...of, entries: entries.map(entryShown) })),
      warnings,
    }),
  });
}

function empty({ config }: CheckOptions): Readonly<Record<string, unknown>> {
  const nothing = { configuration: [], quotas: {}, keys: [], warnings: [], problems: [] };
  return { valid: false, file: config ?? null, ...nothing };
}
