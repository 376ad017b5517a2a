/** Bodies of requests and replies in the form in which people and programs type and read them. */
import { escapeControls } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import type { Facts } from './facts.js';
import { type OutputFormat, tell } from './formats.js';
import { usage } from './options.js';
import { print } from './output.js';

/** The argument that stands for standard input. */
export const STDIN = '-';
/** The most bytes that are read from standard input: the largest `limits.messageBytes`. */
const STDIN_BYTES_MAX = 1024 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * Prints each frame; as text, with a newline after it unless it ends with one, and on a terminal
 * without anything that the terminal would act on.
 */
async function printFrames(frames: readonly Buffer[], output: OutputFormat): Promise<void> {
  const isShown = output === 'text' && process.stdout.isTTY;
  for (const frame of frames) {
    await print(isShown ? escapeControls(frame.toString('utf8')) : frame);
    if (output === 'text' && frame.at(-1) !== NEWLINE) await print('\n');
  }
}

/** Prints the frames of a reply in the format of -o, with these fields before them in JSON. */
export async function tellFrames(
  output: OutputFormat,
  frames: readonly Buffer[],
  facts: Facts,
): Promise<void> {
  if (output === 'text' || output === 'raw') await printFrames(frames, output);
  else await tell(output, { ...facts, ...framesJson(frames) }, '');
}

/** Makes the field of JSON that has these frames. */
export function framesJson(frames: readonly Buffer[]): { readonly frames: readonly unknown[] } {
  return { frames: frames.map(frameJson) };
}

/** The body given by arguments, one of which may be standard input. @throws ERR_USAGE */
export async function bodyOf(args: readonly string[]): Promise<readonly (string | Uint8Array)[]> {
  const inputs = args.filter((arg) => arg === STDIN).length;
  if (inputs > 1) {
    throw usage('standard input can be only one of the frames');
  }
  if (args.length === 0) return [''];
  const input = inputs === 0 ? null : await readInput();
  return args.map((arg) => (arg === STDIN && input !== null ? input : arg));
}

async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const input: AsyncIterable<Buffer> = process.stdin;
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > STDIN_BYTES_MAX) {
      throw usage(
        `standard input has more than ${STDIN_BYTES_MAX} bytes, the largest frame that a broker accepts`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
