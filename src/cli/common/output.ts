/** Printing: results on standard output, tables, and colours where they are wanted. */
import { once } from 'node:events';
import { basename, relative } from 'node:path';

import { codeOf, messageOf } from '../../core/errors.js';
import { escapeName, oneLine } from '../../core/escape.js';
import { EXIT } from '../../core/exit.js';
import type { Program } from '../program.js';

/**
 * A reader that went away (`| head`) ends the command without a message; a full disk is an error.
 * Messages that nobody can read are dropped.
 */
export function guardOutput(): void {
  process.stdout.on('error', (error) => {
    if (codeOf(error) === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`majordomo: standard output: ${messageOf(error)}\n`);
    process.exit(EXIT.disk);
  });
  process.stderr.on('error', () => undefined);
}

/** Writes to standard output, and waits for a slow reader. */
export async function print(bytes: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
}

export type Style = 'bold' | 'green' | 'yellow' | 'red';

const STYLES: Readonly<Record<Style, string>> = { bold: '1', green: '32', yellow: '33', red: '31' };

/**
 * Styled for a terminal, unless NO_COLOR or TERM says otherwise; else unchanged.
 * @param output where the text goes
 */
export function styled(
  text: string,
  style: Style,
  output: Pick<NodeJS.WriteStream, 'isTTY'> = process.stdout,
): string {
  const { NO_COLOR: refused = '', TERM: terminal } = process.env;
  const wanted = output.isTTY && refused === '' && terminal !== 'dumb';
  return wanted ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}

/** Puts another program's text on one line, without anything that a terminal would act on. */
export function printable(value: unknown): string {
  if (value === undefined) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return oneLine(text);
}

/** A service as lists show it. */
export function shownName(service: string | Buffer): string {
  return escapeName(typeof service === 'string' ? Buffer.from(service) : service);
}

/** Text that may come from another program, on any number of lines, safe for a terminal. */
export function terminalSafe(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '\uFFFD');
}

/** A duration for people: `5s`, `3m 20s`, `2h 5m`, `4d 1h`. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${Math.floor(seconds / 60) % 60}m`;
  return `${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3600) % 24}h`;
}

/** How people call this program again: as an installed command, by npx, or as a file. */
export function commandName(): string {
  const called = process.argv[1] ?? '';
  const name = basename(called);
  switch (process.env['npm_command']) {
    // In a clone: another terminal may have an older Node than npm's scripts.
    case 'start':
      return 'npx majordomo-broker';
    case 'exec':
      return `npx ${name}`;
    default:
      return name.endsWith('.js') ? `node ${relative(process.cwd(), called)}` : name;
  }
}

/** Names this program in hints and examples as it was called: `npx majordomo-broker help worker`. */
export function asTyped(text: string): string {
  const typed = commandName();
  // Documents call it so, whatever the file is.
  if (typed.startsWith('node ')) return text;
  // Lines of help are wrapped before: the command may be on the next one.
  return text.replace(/(?<![\w./@-])majordomo(?=\s+[a-z])/g, () => typed);
}

/** A message for people, on standard error. */
export function say(text: string, style?: Style): void {
  const safe = asTyped(terminalSafe(text));
  const shown = style === undefined ? safe : styled(safe, style, process.stderr);
  process.stderr.write(`majordomo: ${shown}\n`);
}

/** A number of things: `1 problem`, `2 problems`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** A size for people, as `shownSize`; `-` if it is no number. */
export function sizeText(bytes: unknown): string {
  return typeof bytes === 'number' ? shownSize(bytes) : '-';
}

/** A size for people: `12.3 MiB`. */
export function shownSize(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 'bytes';
  while (size >= 1024 && units.length > 0) {
    size /= 1024;
    unit = units.shift() ?? unit;
  }
  return `${unit === 'bytes' ? size : size.toFixed(1)} ${unit}`;
}

/** How many records a store file has of one part. */
interface ShownPart {
  readonly part: number;
  /** The name of its extension; `null`: this program has none that knows the part. */
  readonly name: string | null;
  readonly records: number;
  readonly text: string;
}

/** Counts records by part: of each part that a store file has any of, or that an extension of this program has. */
export async function shownParts(
  found: readonly Pick<ShownPart, 'part' | 'records'>[],
  program: Program,
): Promise<readonly ShownPart[]> {
  const known = await program.extensions();
  const numbers = [
    ...known.flatMap(({ part }) => part?.number ?? []),
    ...found.map(({ part }) => part),
  ];
  return [...new Set(numbers)]
    .sort((a, b) => a - b)
    .map((part) => {
      const records = found.find((each) => each.part === part)?.records ?? 0;
      const of = known.find((each) => each.part?.number === part);
      const words = records === 1 ? of?.part?.one : of?.part?.more;
      const unknown = `${records === 1 ? 'record' : 'records'} of part ${part}, which no extension of this version knows`;
      return { part, name: of?.name ?? null, records, text: `${records} ${words ?? unknown}` };
    });
}
