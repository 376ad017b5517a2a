/** Options that several commands share, read and checked the same way everywhere. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { BROKER_ENDPOINT } from '../core/defaults.js';
import { MajordomoError } from '../core/errors.js';
import type { ExitStatus } from '../core/exit.js';
import { CLIENT_DEFAULTS } from '../sdk/defaults.js';

/** Reports how the command ended; if it is not called, the command succeeded. */
export type Done = (status: ExitStatus) => void;

/** See `curveOf`. */
export interface CurveOptions {
  readonly curveServerKey?: string;
  readonly curveKeyFile?: string;
}

export interface EndpointOptions extends CurveOptions {
  readonly endpoint?: readonly string[];
}

export type OutputFormat = 'text' | 'json';

/** Longer command lines do not push the second column to the right. */
const EXAMPLE_WIDTH_MAX = 56;

/** The EXAMPLES of a help page: command lines and what they do, in two columns. */
export function examples(lines: readonly (readonly [line: string, does: string])[]): string {
  const widths = lines.map(([line]) => line.length).filter((width) => width <= EXAMPLE_WIDTH_MAX);
  const width = Math.max(0, ...widths);
  const rows = lines.map(([line, does]) => `  ${line.padEnd(width)}   # ${does}`);
  return `\nEXAMPLES\n${rows.join('\n')}\n`;
}

/** Adds a command below this one. After a wrong use it points to the same help. */
export function addSubcommand(parent: Command, name: string, about: string): Command {
  return parent.command(name).summary(about).description(about);
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

/** `-o text|json`, and `--json` for `-o json`. */
export function addOutputOption(command: Command, formats: readonly string[] = []): Command {
  const short = ['json', ...formats];
  command.addOption(
    new Option('-o, --output <format>', 'output format')
      .choices(['text', ...short])
      .default('text'),
  );
  for (const output of short) {
    command.addOption(new Option(`--${output}`, `the same as -o ${output}`).implies({ output }));
  }
  return command.hook('preAction', (given) => {
    refuseTwoFormats(given, short);
  });
}

/** Commander lets `-o text --json` pass, and `--json --raw`. */
function refuseTwoFormats(command: Command, short: readonly string[]): void {
  const [one, other] = short.filter((name) => command.getOptionValueSource(name) === 'cli');
  if (one === undefined) return;
  const given = other === undefined ? '-o' : `--${other}`;
  const isGiven = other !== undefined || command.getOptionValueSource('output') === 'cli';
  if (!isGiven || (other === undefined && command.opts()['output'] === one)) return;
  throw new MajordomoError('ERR_USAGE', `give either --${one} or ${given}, not both`);
}

/** An option whose value is a whole number within bounds. */
export function integerOption(flags: string, about: string, min: number, max: number): Option {
  return new Option(flags, about).argParser((text: string): number => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  });
}

export const DAY_MS = 86_400_000;

/** `--timeout-ms`; by default as in the SDK. */
export function timeoutOption(
  about: string,
  defaultMs: number = CLIENT_DEFAULTS.timeoutMs,
): Option {
  return integerOption('--timeout-ms <ms>', about, 1, DAY_MS).default(defaultMs);
}

/**
 * Checks the bytes of a service name.
 * @throws ERR_USAGE unless they are 1 to 255
 */
export function checkService(service: string): void {
  const bytes = Buffer.byteLength(service);
  if (bytes < 1 || bytes > 255) {
    throw new MajordomoError(
      'ERR_USAGE',
      `a service name has 1 to 255 bytes, this one has ${bytes}`,
    );
  }
}

export interface ConfigOptions {
  readonly config?: string;
  readonly set?: readonly string[];
}

/** `-c` and `--set`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (YAML)')
    .addOption(
      new Option('--set <key=value>', 'set one configuration key; can be repeated').argParser(
        (value: string, before?: readonly string[]) => [...(before ?? []), value],
      ),
    );
}
