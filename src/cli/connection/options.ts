/** The options that say which broker is asked, and with which keys. */
import { type Command, Option } from 'commander';

import { BROKER_ENDPOINT } from '../../core/defaults.js';

/** See `curveOf`. */
export interface CurveOptions {
  readonly curveServerKey?: string;
  readonly curveKeyFile?: string;
}

export interface EndpointOptions extends CurveOptions {
  readonly endpoint?: readonly string[];
}

/** Adds `--endpoint`, repeatable, and the options for its keys. */
export function addEndpointOption(command: Command): Command {
  return addCurveOptions(
    addContextOption(command).addOption(
      new Option(
        '--endpoint <endpoint>',
        `address of the broker; of a pair both, separated by a comma (default: MAJORDOMO_ENDPOINT, a list; else MAJORDOMO_URL, which may also be the HTTP address; else ${BROKER_ENDPOINT})`,
      ).argParser((value: string, before?: readonly string[]) => [...(before ?? []), value]),
    ),
  );
}

/** `--context`, of every command that reaches a broker. */
export function addContextOption(command: Command): Command {
  // A command may have both ways to reach one.
  if (command.options.some(({ long }) => long === '--context')) return command;
  return command
    .option('--context <name>', 'the broker that has this name: see majordomo context')
    .hook('preAction', async (_program, called) => {
      (await import('./context.js')).applyContext(called);
    });
}

/** `--curve-server-key` and `--curve-key-file`. */
export function addCurveOptions(command: Command): Command {
  return command
    .option('--curve-server-key <key>', 'public key of the broker, if its listener uses CURVE')
    .option(
      '--curve-key-file <file>',
      'file with the secret key of this client or worker, from keygen',
    );
}
