/** The options that say which broker is asked, with which keys and token, and how its answer is shown. */
import { type Command, Option } from 'commander';

import { BROKER_ENDPOINT } from '../../core/defaults.js';
import { addOutputOption, type OutputOptions } from '../common/formats.js';
import {
  addConfigOptions,
  addTimeoutOptions,
  ANSWER_MS,
  type ConfigOptions,
} from '../common/options.js';
import type { TokenOptions } from './admin-address.js';

/** See `curveOf`. */
export interface CurveOptions {
  readonly curveServerKey?: string;
  readonly curveKeyFile?: string;
}

/** What may say which broker it is; a command has some of these options. */
export interface BrokerOptions extends ConfigOptions, CurveOptions, TokenOptions {
  readonly endpoint?: readonly string[];
  readonly admin?: string;
  readonly adminCa?: string;
  readonly timeoutMs?: number;
}

/** What every command has that asks a broker and shows the answer. */
export interface AskOptions extends BrokerOptions, OutputOptions {
  readonly timeoutMs: number;
}

/** How long the commands of operators wait. */
export const TIMEOUT_MS = 5000;
const ABOUT_TIMEOUT = 'how long to wait for an answer';

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
function addContextOption(command: Command): Command {
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

/** Adds `--admin`, the token, and the options from which both can be found. */
export function addAdminOptions(command: Command): Command {
  return addCurveOptions(addAdminOnly(command));
}

/** Does what `addAdminOptions` does, for commands that already have the options for keys. */
function addAdminOnly(command: Command): Command {
  return addConfigOptions(addContextOption(command))
    .option(
      '--admin <url>',
      "HTTP address of the daemon: http://…, https://… or unix:PATH (default: http.listen from -c or --set; else MAJORDOMO_URL, which may also be the broker's endpoint; else http.listen of the configuration)",
    )
    .option(
      '--admin-ca <file>',
      'PEM file of the authorities that sign its certificate, instead of those of the system',
    )
    .addOption(
      new Option(
        '--token <token>',
        'token for HTTP; other users can see it in the process list',
      ).conflicts(['tokenFile']),
    )
    .option(
      '--token-file <file>',
      "file with the token on its first line (default: MAJORDOMO_TOKEN, MAJORDOMO_TOKEN_FILE, the configuration's http.token, or the file in its node.dataDir)",
    );
}

/**
 * What every command of operators has: how to reach the node, how long to wait, and `-o`.
 * @param more see `addOutputOption`
 */
export function addOperatorOptions(
  command: Command,
  more: 'list' | null = null,
  timeoutMs: number = TIMEOUT_MS,
): Command {
  return addTimeoutOptions(
    addOutputOption(addAdminOptions(command), more),
    ABOUT_TIMEOUT,
    timeoutMs,
  );
}

/** The options to ask over MDP. */
export function addAskOptions(command: Command, more: 'list' | null = null): Command {
  return addTimeoutOptions(
    addOutputOption(addEndpointOption(command), more),
    ABOUT_TIMEOUT,
    ANSWER_MS,
  );
}

/** The options of both ways to ask; `WHERE_TEXT` says which of them counts. */
export function addLookOptions(command: Command, more: 'list' | null = null): Command {
  return addAdminOnly(addAskOptions(command, more));
}

export const WHERE_TEXT = `
The command uses the first of these that is given: --endpoint (MMI, over MDP) or --admin (HTTP), -c or
--set http.listen=… (HTTP), MAJORDOMO_ENDPOINT (MMI), MAJORDOMO_URL (HTTP; MMI if it is an endpoint
and the HTTP address is unknown or unusable), the configuration of this machine (HTTP).
`;
