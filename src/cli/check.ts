/** `majordomo check`: validates a configuration, and shows each effective value and its source. */
import type { Command } from 'commander';

import { explain } from '../config/explain.js';
import { listenersInFull, refuseExposed } from '../config/io/exposure.js';
import type { Loaded } from '../config/io/load.js';
import { sharedNames } from '../config/io/shared-names.js';
import { withoutPublic } from '../config/service-listeners.js';
import { problemLine, type Problem } from '../config/problem.js';
import { codeOf, detailsOf } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import { load } from './config-options.js';
import {
  entryShown,
  keysInEffect,
  type KeysInEffect,
  keysTable,
  narrowed,
  PAIR,
  quotasShown,
  quotasTable,
} from './keys-in-effect.js';
import {
  addConfigOptions,
  addOutputOption,
  type ConfigOptions,
  type Done,
  examples,
  type OutputFormat,
} from './options.js';
import { print, printable, printJson, table } from './output.js';

interface CheckOptions extends ConfigOptions {
  readonly output: OutputFormat;
}

const EXAMPLES = [
  ['majordomo check', 'the defaults and the environment'],
  ['majordomo check -c majordomo.yaml', 'a file, with all of its errors'],
  ['majordomo check --set limits.frames=64', 'the effect of a --set'],
  ['majordomo check -o json | jq .valid', 'for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Also shows the quotas of one identity and the rights of each key in the keys files.
Errors go to standard error as FILE:LINE:COL: key: problem; the exit status is then 78.
`;

export function defineCheck(command: Command, done: Done): void {
  addOutputOption(addConfigOptions(command))
    .addHelpText('after', AFTER)
    .action(async (options: CheckOptions) => {
      await check(options);
      done(EXIT.done);
    });
}

async function check(options: CheckOptions): Promise<void> {
  const isJson = options.output === 'json';
  let loaded: Loaded;
  let keys: readonly KeysInEffect[];
  const warnings: Problem[] = [];
  try {
    loaded = load(options);
    await refuseExposed(loaded);
    keys = keysInEffect(loaded.config, (absent) => warnings.push(absent));
  } catch (error) {
    if (isJson && codeOf(error) === 'ERR_CONFIG_INVALID') {
      await printJson({ ...empty(options), problems: detailsOf(error)['problems'] ?? [] });
    }
    throw error;
  }
  warnings.unshift(...loaded.warnings);
  warnings.push(...keys.flatMap(({ entries }) => narrowed(entries)));
  const ofListeners = keys.filter(({ usedBy }) => usedBy.some((user) => user !== PAIR));
  warnings.push(...withoutPublic(loaded.config.broker.listen));
  warnings.push(...sharedNames(ofListeners.map(({ entries }) => entries)));
  for (const warning of warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`);
  const { written } = loaded;
  const { broker } = loaded.config;
  const listen = await listenersInFull(loaded.config);
  const config = { ...loaded.config, broker: { ...broker, listen } };
  const configuration = explain({ config, written });
  if (isJson) {
    await printJson({
      ...empty(options),
      valid: true,
      configuration,
      quotas: quotasShown(config),
      keys: keys.map(({ entries, ...of }) => ({ ...of, entries: entries.map(entryShown) })),
      warnings,
    });
    return;
  }
  const rows = configuration.map(({ key, value, place }) => [
    key,
    value === null ? '-' : printable(value),
    place ?? 'default',
  ]);
  await print(table([{ head: 'KEY' }, { head: 'VALUE' }, { head: 'FROM' }], rows));
  await print(quotasTable(config) + keys.map(keysTable).join(''));
}

function empty({ config }: CheckOptions): Readonly<Record<string, unknown>> {
  const nothing = { configuration: [], quotas: {}, keys: [], warnings: [], problems: [] };
  return { valid: false, file: config ?? null, ...nothing };
}
