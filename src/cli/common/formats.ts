/** `-o`: the formats in which a command prints its result. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { terminalSafeJson } from '../../core/escape.js';
import { jsonPath } from './json-path.js';
import { usage } from './options.js';
import { print, printable, say } from './output.js';
import { terminalWidth } from './table.js';

const PATH = 'jsonpath=';

export type OutputFormat = 'text' | 'wide' | 'name' | 'json' | 'raw' | `${typeof PATH}${string}`;

export interface OutputOptions {
  readonly output: OutputFormat;
}

/** How a result is shown. */
export interface View<Value> {
  /** The text for people, in lines of at most that many characters. */
  readonly text: (value: Value, width: number) => string;
  /** The name or the uuid of each item, for `-o name`. */
  readonly names?: (value: Value) => readonly unknown[];
  /** The JSON, if it is not the value itself. */
  readonly json?: (value: Value) => unknown;
}

/**
 * Adds `-o`, and `--json` for `-o json`.
 * @param more formats of this command, beside text and JSON: those of a list, and `raw`
 */
export function addOutputOption(command: Command, more: 'list' | 'raw' | null = null): Command {
  const short = more === 'raw' ? ['json', 'raw'] : ['json'];
  const plain = ['text', ...short, ...(more === 'list' ? ['wide', 'name'] : [])];
  const all = [...plain, `${PATH}EXPR`];
  command.addOption(
    new Option('-o, --output <format>', 'output format')
      .choices(all)
      .argParser((given: string) => {
        if (plain.includes(given) || given.startsWith(PATH)) return given;
        throw new InvalidArgumentError(`Allowed choices are ${all.join(', ')}.`);
      })
      .default('text'),
  );
  for (const output of short) {
    command.addOption(new Option(`--${output}`, `the same as -o ${output}`).implies({ output }));
  }
  return command.hook('preAction', async (given) => {
    refuseTwo(given, short);
    const { output } = given.opts<OutputOptions>();
    if (output.startsWith(PATH)) await jsonPath(output.slice(PATH.length));
  });
}

/** Commander lets `-o text --json` pass, and `--json --raw`. */
function refuseTwo(command: Command, short: readonly string[]): void {
  const [one, other] = short.filter((name) => command.getOptionValueSource(name) === 'cli');
  if (one === undefined) return;
  const given = other === undefined ? '-o' : `--${other}`;
  const isGiven = other !== undefined || command.getOptionValueSource('output') === 'cli';
  if (!isGiven || (other === undefined && command.opts()['output'] === one)) return;
  throw usage(`give either --${one} or ${given}, not both`);
}

/**
 * The result in that format.
 * @param indent of JSON: 0 for one line
 */
export async function formatted<Value>(
  output: OutputFormat,
  value: Value,
  { text, names, json = (it) => it }: View<Value>,
  indent = 0,
): Promise<string> {
  if (output === 'json') return `${terminalSafeJson(json(value), indent)}\n`;
  const isName = output === 'name';
  if (isName || output.startsWith(PATH)) {
    const found = isName
      ? (names?.(value) ?? [])
      : (await jsonPath(output.slice(PATH.length)))(json(value));
    return found.map((each) => `${printable(each)}\n`).join('');
  }
  return text(value, output === 'wide' ? Infinity : terminalWidth());
}

/** Prints a result; says if a path leads to nothing in it, which is no failure. */
async function printFound(output: OutputFormat, text: string): Promise<void> {
  if (text === '' && output.startsWith(PATH)) say(`-o ${output}: nothing is there`);
  await print(text);
}

/** Prints the result once: JSON indented on a terminal, else on one line. */
export async function tell<Value>(
  output: OutputFormat,
  value: Value,
  view: View<Value> | string,
): Promise<void> {
  const shown = typeof view === 'string' ? { text: () => view } : view;
  await printFound(output, await formatted(output, value, shown, process.stdout.isTTY ? 2 : 0));
}
