/** Options that several commands share, read and checked the same way everywhere. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import type { ExitStatus } from '../../core/exit.js';
import { CLIENT_OPTIONS } from '../../sdk/option-tables.js';

/** Reports how the command ended; if it is not called, the command succeeded. */
export type Done = (status: ExitStatus) => void;

export function usage(text: string): MajordomoError {
  return new MajordomoError('ERR_USAGE', text);
}

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
  const path = [name];
  for (let at = parent; at.parent !== null; at = at.parent) path.unshift(at.name());
  // A word too many is no argument, but the name of a command that there is not: main.ts says so.
  return parent
    .allowExcessArguments()
    .command(name)
    .summary(about)
    .description(about)
    .showHelpAfterError(`(majordomo help ${path.join(' ')} shows what it takes)`);
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

/** How long commands that only ask a broker wait for it. */
export const ANSWER_MS = 2500;

/** Adds `--timeout-ms`, by default as in the SDK, and `--timeout`, the same in words. */
export function addTimeoutOptions(
  command: Command,
  about: string,
  defaultMs: number = CLIENT_OPTIONS.timeoutMs.default,
): Command {
  const timeoutMs = integerOption('--timeout-ms <ms>', about, 1, DAY_MS).default(defaultMs);
  const timeout = new Option('--timeout <time>', 'the same with a unit: 500ms, 5s, 2m, 1h');
  timeout.argParser((text: string): number => {
    const [, digits, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
    const ms = Number(digits) * (UNITS_MS[unit ?? ''] ?? NaN);
    if (ms >= 1 && ms <= DAY_MS) return ms;
    throw new InvalidArgumentError('It is a whole number with a unit, at most a day: 500ms, 5s.');
  });
  timeout.attributeName = () => 'timeoutMs';
  refuseBoth(timeoutMs, timeout);
  return command.addOption(timeoutMs).addOption(timeout);
}

/** Two options for one value: which of them counts would depend on their order. */
function refuseBoth(...options: readonly Option[]): void {
  let given: string | undefined;
  for (const option of options) {
    const { long, parseArg } = option;
    option.argParser((text: string, before: unknown): unknown => {
      if (given !== undefined && given !== long) {
        throw new InvalidArgumentError(`It does not go with ${given}.`);
      }
      given = long;
      return parseArg?.(text, before);
    });
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Adds options that are no more: who gives one learns what to write instead. */
export function addGoneOptions(command: Command, gone: Readonly<Record<string, string>>): Command {
  for (const [flags, instead] of Object.entries(gone)) {
    const option = new Option(flags).hideHelp().argParser((): never => {
      throw new InvalidArgumentError(`There is no such option any more: ${instead}.`);
    });
    command.addOption(option);
  }
  return command;
}

/** What `--timeout-ms` stands for alone now. */
export const GONE_TIMES = {
  '--deadline-ms <ms>': 'write --timeout-ms, the time of the whole call',
  '--retries <n>': '--timeout-ms is the time of the whole call',
};

/**
 * Checks the bytes of a service name.
 * @throws ERR_USAGE unless they are 1 to 255
 */
export function checkService(service: string): void {
  const bytes = Buffer.byteLength(service);
  if (bytes < 1 || bytes > 255) {
    throw usage(`a service name has 1 to 255 bytes, this one has ${bytes}`);
  }
}

/**
 * @param where it was given, or else the text
 * @param more what to do, for the message
 * @throws ERR_USAGE unless it is a uuid
 */
export function checkUuid(text: string, where = '', more = ''): void {
  if (/^[\dA-Fa-f]{32}$/.test(text)) return;
  throw usage(`${where}'${text}': a uuid has 32 hexadecimal characters${more}`);
}

/** Leaves out the options that are not given. */
export function given<Value>(
  options: Readonly<Record<string, Value | undefined>>,
): Readonly<Record<string, Value>> {
  const all = Object.entries(options);
  return Object.fromEntries(all.filter((each): each is [string, Value] => each[1] !== undefined));
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
