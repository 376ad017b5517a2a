/** Options of the commands that read a configuration: apart, since the others load no YAML. */
import { type Command, Option } from 'commander';

import { type Loaded, loadConfig } from '../config/io/load.js';

export interface ConfigOptions {
  readonly config?: string;
  readonly set?: readonly string[];
}

/** `-c` and `--set`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (YAML)')
    .addOption(
      new Option(
        '--set <key=value>',
        'set one configuration key; may be given several times',
      ).argParser((value: string, before?: readonly string[]) => [...(before ?? []), value]),
    );
}

/** @throws ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
export function load({ config, set: sets = [] }: ConfigOptions): Loaded {
  const file = config === undefined ? {} : { file: config };
  return loadConfig({ ...file, environment: process.env, sets });
}
