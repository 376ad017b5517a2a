/** `majordomo request`: one request, its reply on standard output. */
import { type Command, Option } from 'commander';

import { MajordomoError } from '../core/errors.js';
import { escapeName } from '../core/escape.js';
import { EXIT } from '../core/exit.js';
import type { Client } from '../sdk/client.js';
import { curveOf } from './curve.js';
import {
  addEndpointOption,
  addOutputOption,
  checkService,
  type Done,
  type EndpointOptions,
  endpointsOf,
  examples,
  integerOption,
  type OutputFormat,
  timeoutOption,
} from './options.js';
import { print, printJson } from './output.js';

interface RequestCommandOptions extends EndpointOptions {
  readonly output: OutputFormat | 'raw';
  readonly stream?: boolean;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly protocol: '0.1' | '0.2';
}

const EXAMPLES = [
  ['majordomo request upper hello', 'one frame; prints the reply'],
  ['majordomo request add 2 3', 'two frames'],
  ['majordomo request thumbnail - -o raw < photo.jpg > small.jpg', 'standard input as a frame'],
  ['majordomo request -o json mmi.service upper', 'frames with their encoding, for programs'],
  ['majordomo request --stream render scene', 'the parts of the reply as they come'],
  ['majordomo request --endpoint tcp://a:5555 --endpoint tcp://b:5555 upper hello', 'a pair'],
  ['majordomo request calc -- -5', 'a frame that begins with a dash'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Without FRAME the body is one empty frame. Text output ends each frame with a newline, unless it
has one; raw output is the bytes of the frames and nothing else.
A request may run more than once (--retries): services are idempotent.

Exit status: 0 a reply · 1 refused · 64 usage · 69 no endpoint accepted a connection · 75 no reply
in time.
`;

const STDIN = '-';
/** As the largest `limits.messageBytes`. */
const STDIN_BYTES_MAX = 1024 * 1024 * 1024;

export function defineRequest(command: Command, done: Done): void {
  command
    .argument('<service>', 'the service that is asked')
    .argument('[frame...]', `the frames of the body; ${STDIN} is standard input`)
    .option('--stream', 'print the parts of the reply as they come (0.2)')
    .addOption(timeoutOption('silence after which it is sent again', 2500))
    .addOption(integerOption('--retries <n>', 'how often it is sent again', 0, 1000).default(3))
    .addOption(
      new Option('--protocol <version>', 'MDP version').choices(['0.1', '0.2']).default('0.2'),
    );
  addOutputOption(addEndpointOption(command), ['raw'])
    .addHelpText('after', AFTER)
    .action(async (service: string, args: readonly string[], options: RequestCommandOptions) => {
      checkService(service);
      const endpoints = endpointsOf(options);
      const body = await bodyOf(args);
      // After the checks, so that a mistake is answered at once.
      const { Client } = await import('../sdk/client.js');
      const { protocol, timeoutMs, retries } = options;
      const curve = await curveOf(options);
      const client = new Client({ endpoints, protocol, timeoutMs, retries, ...curve });
      try {
        if (options.stream === true) await stream(client, service, body, options.output);
        else await ask(client, service, body, options.output);
      } finally {
        await client.close();
      }
      done(EXIT.done);
    });
}

async function ask(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  output: RequestCommandOptions['output'],
): Promise<void> {
  const { frames } = await client.request(service, body);
  if (output === 'json') await printJson({ service: shownName(service), frames: frames.map(json) });
  else await printFrames(frames, output);
}

async function stream(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  output: RequestCommandOptions['output'],
): Promise<void> {
  for await (const { frames, final } of client.stream(service, body)) {
    if (output === 'json') {
      // One object a line, also on a terminal: each part is there as soon as it came.
      const part = { service: shownName(service), final, frames: frames.map(json) };
      await print(`${JSON.stringify(part)}\n`);
    } else {
      await printFrames(frames, output);
    }
  }
}

async function printFrames(frames: readonly Buffer[], output: 'text' | 'raw'): Promise<void> {
  for (const frame of frames) {
    await print(frame);
    if (output === 'text' && frame.at(-1) !== NEWLINE) await print('\n');
  }
}

const NEWLINE = 0x0a;

function shownName(service: string): string {
  return escapeName(Buffer.from(service));
}

/** A frame as JSON can hold it: as text if it is UTF-8, exactly, else as base64. */
function json(frame: Buffer): { readonly encoding: 'utf8' | 'base64'; readonly data: string } {
  const text = frame.toString('utf8');
  return Buffer.from(text, 'utf8').equals(frame)
    ? { encoding: 'utf8', data: text }
    : { encoding: 'base64', data: frame.toString('base64') };
}

async function bodyOf(args: readonly string[]): Promise<readonly (string | Uint8Array)[]> {
  const inputs = args.filter((arg) => arg === STDIN).length;
  if (inputs > 1) throw new MajordomoError('ERR_USAGE', 'standard input can be one frame only');
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
      throw new MajordomoError(
        'ERR_USAGE',
        `standard input has more than ${STDIN_BYTES_MAX} bytes: no broker takes such a frame`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
