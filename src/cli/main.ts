/** The `majordomo` command: one file a command, loaded when it is called. */
import { Command, CommanderError, Option } from 'commander';

import { packageVersion } from '../core/version.js';

const EXIT_USAGE = 64;

interface ConfigOptions {
  readonly config?: string;
  readonly set: readonly string[];
}

/** Runs one command line. Returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  let status = 0;
  const program = new Command('majordomo')
    .description('Service-oriented reliable request-reply over ZeroMQ')
    .version(packageVersion())
    .exitOverride();
  program
    .command('serve')
    .description('run the broker in the foreground')
    .option('-c, --config <file>', 'configuration file (YAML)')
    .addOption(
      new Option('--set <key=value>', 'set one configuration key; may be given several times')
        .argParser((value: string, before: readonly string[]) => [...before, value])
        .default([]),
    )
    .action(async (options: ConfigOptions) => {
      const { serveCommand } = await import('./serve.js');
      status = await serveCommand(options.config, options.set);
    });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  return status;
}
