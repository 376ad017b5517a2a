/** `majordomo ha`: shows the pair and changes which node is active. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import {
  addAdminOptions,
  addAdminTimeout,
  adminClient,
  adminFacts,
  type AdminOptions,
} from './admin.js';
import type { Facts } from './ask.js';
import { addOutputOption, addSubcommand, type Done, examples } from './options.js';
import { duration, printable, table } from './output.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from './watch.js';

type HaOptions = AdminOptions & WatchOptions;

const STATUS = '/api/v1/ha';

const EXAMPLES = [
  ['majordomo ha status', 'both nodes, as this one sees them'],
  ['majordomo ha status --watch', 'refreshed every second'],
  ['majordomo ha status --admin http://left:5580 -o json | jq .inSync', 'for scripts'],
  ['majordomo ha switchover --admin http://left:5580', 'left is active: make right active instead'],
  ['majordomo ha promote --admin http://right:5580', 'left is lost: make right serve alone'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Send switchover to the active node of a healthy pair. Send promote to a node whose peer is lost;
until the peer returns, this node does not know the requests that only the peer stored.
Exit status 1, with the reason, if the node cannot do it now.
`;

/** Name, purpose, and whether it changes the pair. */
const ACTIONS: readonly (readonly [name: string, about: string, path: string | null])[] = [
  [
    'status',
    'show the role, state and epoch of both nodes, whether they are in sync, and recent changes',
    null,
  ],
  ['switchover', 'hand over to the peer, which must be in sync', `${STATUS}/switchover`],
  ['promote', 'make this node serve alone because its peer is lost', `${STATUS}/promote`],
];

export function defineHa(command: Command, done: Done): void {
  command.addHelpText('after', AFTER);
  for (const [name, about, order] of ACTIONS) {
    const action = addSubcommand(command, name, about);
    addAdminTimeout(addOutputOption(addAdminOptions(action))).action(async (options: HaOptions) => {
      const client = await adminClient(options);
      const path = order ?? STATUS;
      const ask = async (): Promise<Facts> =>
        adminFacts(path, await (order === null ? client.get(path) : client.post(path)));
      await show(options, ask, text);
      done(EXIT.done);
    });
    if (order === null) addWatchOption(action).addHelpText('after', WATCH_TEXT);
  }
}

function text(status: Facts): string {
  const { inSync, replication, lagMs, history } = status;
  const lag = typeof lagMs === 'number' ? `, ${Math.round(lagMs)} ms behind` : '';
  const sync = inSync === true ? 'in sync' : outOfSync(status);
  const changes = Array.isArray(history) ? history.map(change) : [];
  const story = changes.length === 0 ? '' : `\n${table(CHANGES, changes)}`;
  const keys = status['keysDiffer'] === true ? `${KEYS_DIFFER}\n` : '';
  const its = factsOr(status['peer'])?.['publicUrl'];
  const page = typeof its === 'string' ? `page of the peer: ${printable(its)}\n` : '';
  return `${table(NODES, nodes(status))}\n${keys}${page}replication ${printable(replication)}: ${sync}${lag}\n${story}`;
}

const KEYS_DIFFER =
  'WARNING: the keys files of the two nodes differ: copy them from one node to the other';

/** Only an active node knows whether its peer has everything. */
function outOfSync({ peer, role, state }: Facts): string {
  if (peer === null) return 'no peer';
  const isLed = role !== 'standalone' && state !== 'active';
  return isLed ? 'sync state known only to the active node' : 'not in sync';
}

const NODES = [
  { head: 'NODE' },
  { head: 'ROLE' },
  { head: 'STATE' },
  { head: 'EPOCH', right: true },
  { head: 'HEARD', right: true },
] as const;
const CHANGES = [{ head: 'AT' }, { head: 'FROM' }, { head: 'TO' }, { head: 'WHY' }] as const;

/** This node and its peer, if it has one. */
function nodes(status: Facts): readonly (readonly string[])[] {
  const { node, role, state, epoch } = status;
  const own = [...[node, role, state, epoch].map(printable), 'itself'];
  const peer = factsOr(status['peer']);
  if (peer === null) return [own];
  const other = role === 'primary' ? 'backup' : 'primary';
  const { heardMsAgo } = peer;
  const heard = typeof heardMsAgo === 'number' ? `${duration(heardMsAgo)} ago` : 'never';
  const isUp = peer['up'] === true;
  const said = peer['state'] === null ? '-' : printable(peer['state']);
  const known = [said, peer['epoch'] === null ? '-' : printable(peer['epoch'])];
  const name = isUp ? '(its peer)' : '(its peer, no connection)';
  return [own, [name, other, ...known, heard]];
}

function change(value: unknown): readonly string[] {
  const { at, from, to, reason } = factsOr(value) ?? {};
  return [at, from, to, reason].map(printable);
}

function factsOr(value: unknown): Facts | null {
  return typeof value === 'object' && value !== null ? { ...value } : null;
}
