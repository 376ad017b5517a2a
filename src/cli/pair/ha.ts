/** `majordomo ha`: shows the pair and changes which node is active. */
import type { Command } from 'commander';

import { type Facts, factsIn, listIn, reasonText } from '../common/facts.js';
import { addSubcommand, examples } from '../common/options.js';
import { duration, printable } from '../common/output.js';
import { type Column, field, narrowText, table } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';

type HaOptions = AskOptions & WatchOptions;

/** A hand-over waits up to ten seconds for what is under way, then for the peer. */
const SWITCHOVER_MS = 30_000;

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

export function define(command: Command): void {
  command.addHelpText('after', AFTER);
  for (const [name, about, order] of ACTIONS) {
    const action = addSubcommand(command, name, about);
    const timeoutMs = name === 'switchover' ? SWITCHOVER_MS : undefined;
    addOperatorOptions(action, 'list', timeoutMs).action(async (options: HaOptions) => {
      const client = await new Broker(options).admin();
      const ask = (): Promise<Facts> => (order === null ? client.get(STATUS) : client.post(order));
      await show(options, ask, { text, names: ({ node }) => [node] });
    });
    if (order !== null) continue;
    addWatchOption(action).addHelpText('after', narrowText(NODES) + WATCH_TEXT);
  }
}

const NODES: readonly Column<Facts>[] = [
  field('NODE', 'node', { cut: 12 }),
  field('ROLE', 'role', { drop: 1 }),
  field('STATE', 'state'),
  field('EPOCH', 'epoch', { right: true, drop: 2 }),
  field('HEARD', 'heard', { right: true, drop: 3 }),
];
const CHANGES: readonly Column<Facts>[] = [
  field('AT', 'at', { drop: 1 }),
  field('FROM', 'from', { drop: 2 }),
  field('TO', 'to'),
  field('WHY', 'reason', { cut: 24 }),
];

function text(status: Facts, width: number): string {
  const { inSync, replication, lagMs } = status;
  const lag = typeof lagMs === 'number' ? `, ${Math.round(lagMs)} ms behind` : '';
  const sync = inSync === true ? 'in sync' : outOfSync(status);
  const changes = listIn(status['history']);
  const story = changes.length === 0 ? '' : `\n${table(CHANGES, changes, width)}`;
  const hurt = listIn(status['degraded']).map((each) => `WARNING: ${reasonText(each)}\n`);
  const its = factsIn(status['peer'])?.['publicUrl'];
  const page = typeof its === 'string' ? `page of the peer: ${printable(its)}\n` : '';
  const nodes = table(NODES, nodesOf(status), width);
  return `${nodes}\n${hurt.join('')}${page}replication ${printable(replication)}: ${sync}${lag}\n${story}`;
}

/** Says why a node is not in sync: only an active node knows whether its peer has everything. */
function outOfSync({ peer, role, state }: Facts): string {
  if (peer === null) return 'no peer';
  const isLed = role !== 'standalone' && state !== 'active';
  return isLed ? 'ask the active node' : 'not in sync';
}

/** Returns this node and its peer, if it has one, whose name it does not know. */
function nodesOf(status: Facts): readonly Facts[] {
  const { node, role, state, epoch } = status;
  const own = { node, role, state, epoch, heard: 'itself' };
  const peer = factsIn(status['peer']);
  if (peer === null) return [own];
  const { heardMsAgo } = peer;
  const heard = typeof heardMsAgo === 'number' ? `${duration(heardMsAgo)} ago` : 'never';
  const name = peer['up'] === true ? '(its peer)' : '(its peer, no connection)';
  return [own, { ...peer, node: name, role: role === 'primary' ? 'backup' : 'primary', heard }];
}
