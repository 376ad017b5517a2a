/** `majordomo map`: reads, changes and watches the map. */
import { type Command, Option } from 'commander';

import { MajordomoError } from '../../../core/errors.js';
import { frameJson } from '../../../core/frame-json.js';
import type { MapChange, SharedMap } from '../../../sdk/map.js';
import {
  addOutputOption,
  formatted,
  type OutputFormat,
  tell,
} from '../../../cli/common/formats.js';
import { bodyOf, tellFrames } from '../../../cli/common/frames.js';
import {
  addSubcommand,
  addTimeoutOptions,
  ANSWER_MS,
  examples,
  integerOption,
} from '../../../cli/common/options.js';
import { printable, say } from '../../../cli/common/output.js';
import { type Column, narrowText, table } from '../../../cli/common/table.js';
import { mapEndpointsOf, type MapCommandOptions, withMap } from './connection.js';
import { addEndpointOption } from '../../../cli/connection/options.js';
import { SlowOutput, untilSignal } from '../../../cli/common/slow-output.js';

interface SetOptions extends MapCommandOptions {
  readonly ttlMs?: number;
}

const EXAMPLES = [
  ['majordomo map ls', 'all keys and their values'],
  ['majordomo map ls /config/', 'those that begin with /config/'],
  ['majordomo map get /config/limit', 'print one value'],
  ['majordomo map set /config/limit 100', 'set it'],
  ['majordomo map set /workers/eu-1 ready --ttl-ms 5000', 'gone in five seconds'],
  ['majordomo map rm /config/limit', 'delete it'],
  ['majordomo map watch /config/', 'print each change, also over a switchover'],
  ['majordomo map watch --map tcp://a:5570,tcp://b:5570', 'the nodes of a pair'],
] as const;

const AFTER = `${examples(EXAMPLES)}
A SUBTREE is the beginning of keys: it begins and ends with /. Without one it is the whole map.

The command asks the broker where it serves its map (map.listen), or uses --map. Of a pair give both nodes, to
--endpoint or to --map: watch then goes on when the other one takes over. set and rm end when the change is safe, as
titanic.replication says. A node does not answer a change that it refuses (rights, limits.mapBytes): status 75.

Exit status: 0 done · 1 no such key, refused · 64 usage · 69 no such broker, or no node serves a map · 75 the change was
sent, and nobody knows whether it was made · 78 a key file is wrong.
`;

const WATCH_TEXT = `
Changes are printed from the moment at which the map is known; what is there already is not (see ls). A key that ends
is printed as gone. A key that is set to the value that it has is not printed. If the reader of the output is slow, of
several changes of a key only the last is printed.
`;

const TTL_MS_MAX = 2_147_483_647_000;
/** A longer value is cut in lists. */
const SHOWN_LETTERS_MAX = 80;
const COLUMNS: readonly Column<readonly [key: string, value: Buffer]>[] = [
  { head: 'KEY', cell: ([key]) => printable(key) },
  { head: 'VALUE', cell: ([, value]) => shown(value), cut: 16 },
];

export function define(command: Command): void {
  command.addHelpText('after', AFTER);
  subcommand(command, 'ls', 'list keys and their values', 'list')
    .argument('[subtree]', 'the beginning of the keys')
    .addHelpText('after', `\n${narrowText(COLUMNS)}`)
    .action(async (subtree: string | undefined, options: MapCommandOptions) => {
      await withMap(options, subtree ?? '', (map) => list(map, options.output));
    });
  subcommand(command, 'get', 'print the value of a key', 'raw')
    .argument('<key>', 'the key')
    .action(async (key: string, options: MapCommandOptions) => {
      await withMap(options, folderOf(key), (map) => get(map, key, options.output));
    });
  subcommand(command, 'set', 'set a key')
    .argument('<key>', 'the key')
    .argument('<value>', 'its value; - is standard input')
    .addOption(
      integerOption(
        '--ttl-ms <ms>',
        'the key is gone after this, rounded up to seconds',
        1,
        TTL_MS_MAX,
      ),
    )
    .action(async (key: string, value: string, options: SetOptions) => {
      const [bytes = ''] = await bodyOf([value]);
      const { ttlMs } = options;
      await withMap(options, folderOf(key), async (map) => {
        await map.set(key, bytes, ttlMs === undefined ? {} : { ttlMs });
      });
      await tell(options.output, { key, set: true }, '');
    });
  subcommand(command, 'rm', 'delete a key')
    .argument('<key>', 'the key')
    .action(async (key: string, options: MapCommandOptions) => {
      await withMap(options, folderOf(key), (map) => map.delete(key));
      await tell(options.output, { key, deleted: true }, '');
    });
  subcommand(command, 'watch', 'print changes as they happen')
    .argument('[subtree]', 'the beginning of the keys')
    .addHelpText('after', WATCH_TEXT)
    .action(async (subtree: string | undefined, options: MapCommandOptions) => {
      await watch(subtree ?? '', options);
    });
}

function subcommand(
  parent: Command,
  name: string,
  about: string,
  more: 'list' | 'raw' | null = null,
): Command {
  const command = addSubcommand(parent, name, about);
  addOutputOption(addEndpointOption(command), more).addOption(
    new Option('--map <endpoint>', 'the endpoint of map.listen; of a pair both, with a comma'),
  );
  const patience = 'how long to wait for the broker, for the map, and for a change';
  return addTimeoutOptions(command, patience, ANSWER_MS);
}

/** The smallest subtree that has the key. */
function folderOf(key: string): string {
  return key.startsWith('/') ? key.slice(0, key.lastIndexOf('/') + 1) : '';
}

async function list(map: SharedMap, output: OutputFormat): Promise<void> {
  const pairs = [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  await tell(output, pairs, {
    text: (_pairs, width) => (pairs.length === 0 ? '' : table(COLUMNS, pairs, width)),
    names: () => pairs.map(([key]) => key),
    json: () => pairs.map(([key, value]) => ({ key, value: frameJson(value) })),
  });
}

async function get(map: SharedMap, key: string, output: OutputFormat): Promise<void> {
  const value = map.get(key);
  if (value === undefined) {
    throw new MajordomoError('ERR_REQUEST_FAILED', `no such key: ${printable(key)}`);
  }
  if (output === 'text' || output === 'raw') await tellFrames(output, [value], {});
  else await tell(output, { key, value: frameJson(value) }, '');
}

function shown(value: Buffer): string {
  const text = printable(value.subarray(0, 4 * SHOWN_LETTERS_MAX).toString('utf8'));
  return text.length > SHOWN_LETTERS_MAX ? `${text.slice(0, SHOWN_LETTERS_MAX)}…` : text;
}

// ---------------------------------------------------------------- watch

async function watch(subtree: string, options: MapCommandOptions): Promise<void> {
  const { ended } = untilSignal();
  const lines = new SlowOutput(null, ended);
  const patient = { ...options, map: await mapEndpointsOf(options, options.timeoutMs) };
  await withMap(patient, subtree, async (map) => {
    map.on('lost', ({ endpoint }) => {
      say(`lost ${endpoint}; what changes until a node serves again is printed then`);
    });
    map.on('synced', ({ endpoint }) => say(`watching at ${endpoint} again`));
    ended.addEventListener('abort', () => {
      void map.close();
    });
    if (ended.aborted) return;
    for await (const change of map.changes()) {
      await lines.write(await lineOf(change, options.output));
    }
  });
}

async function lineOf({ key, value }: MapChange, output: OutputFormat): Promise<string> {
  const time = new Date().toISOString();
  const rest = value === null ? ['gone', printable(key)] : ['set ', printable(key), shown(value)];
  const fields = { time, key, value: value === null ? null : frameJson(value) };
  return await formatted(output, fields, { text: () => `${[time, ...rest].join('  ')}\n` });
}
