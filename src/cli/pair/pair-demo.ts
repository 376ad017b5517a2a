/** `majordomo pair-demo`: runs a pair on this machine and kills its active node again and again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { Command } from 'commander';

import { present } from '../../core/assert.js';
import { MajordomoError } from '../../core/errors.js';
import { EXIT, type ExitStatus } from '../../core/exit.js';
import { type Node, twoNodes } from './demo-nodes.js';
import { type Tally, Traffic } from './demo-traffic.js';
import { type Done, examples, integerOption } from '../common/options.js';
import { print, say, styled } from '../common/output.js';

interface DemoOptions {
  readonly seconds: number;
  readonly every: number;
}

const EXAMPLES = [
  ['majordomo pair-demo', 'until Ctrl-C'],
  ['majordomo pair-demo --every 8 --seconds 60', 'for a minute'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Starts a primary and a backup on free ports of this machine with data in a temporary directory, a
worker, and a client that sends requests continuously, half of them durable. Then kills the active
node with SIGKILL, starts it again, waits until both are in sync, and repeats.
Exit status: 0 if every request was answered and no receipt was lost, 1 otherwise.
`;

const DAY_SECONDS = 86_400;
const START_MS_MAX = 20_000;
const LOOK_MS = 100;

export function define(command: Command, done: Done): void {
  command
    .addOption(
      integerOption('--every <seconds>', 'seconds between kills', 1, DAY_SECONDS).default(5),
    )
    .addOption(
      integerOption('--seconds <n>', 'how long to run; 0: until Ctrl-C', 0, DAY_SECONDS).default(0),
    )
    .addHelpText('after', AFTER)
    .action(async (options: DemoOptions) => {
      const directory = await mkdtemp(join(tmpdir(), 'majordomo-demo-'));
      const nodes = await twoNodes(present(process.argv[1], 'a program'), directory);
      try {
        done(await demonstrate(nodes, options));
      } finally {
        for (const node of nodes) node.kill();
        await rm(directory, { recursive: true, force: true });
      }
    });
}

async function demonstrate(nodes: [Node, Node], options: DemoOptions): Promise<ExitStatus> {
  const ends = new AbortController();
  process.once('SIGINT', () => {
    ends.abort();
  });
  if (options.seconds > 0) {
    setTimeout(() => {
      ends.abort();
    }, options.seconds * 1000).unref();
  }
  for (const node of nodes) node.start();
  await inSync(nodes, ends.signal);
  say(`pair: ${nodes.map(({ role, endpoint }) => `${role} ${endpoint}`).join(', ')}`);
  const traffic = new Traffic(nodes.map(({ endpoint }) => endpoint));
  const startedAt = performance.now();
  let kills = 0;
  const show = setInterval(() => {
    say(line(traffic.tally, kills, startedAt));
  }, 1000);
  while (!ends.signal.aborted) {
    await rest(options.every * 1000, ends.signal);
    const active = await inSync(nodes, ends.signal);
    if (active === null) break;
    active.kill();
    kills++;
    say(styled(`kill -9 ${active.role}`, 'yellow'));
    await rest(1000, ends.signal);
    active.start();
  }
  await traffic.end();
  clearInterval(show);
  await print(`${line(traffic.tally, kills, startedAt)}\n`);
  return traffic.tally.unanswered + traffic.tally.lost === 0 ? EXIT.done : EXIT.failed;
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}

/** The active node, once its peer is in sync; `null` if the demonstration ends before. */
async function inSync(nodes: readonly Node[], signal: AbortSignal): Promise<Node | null> {
  const until = performance.now() + START_MS_MAX;
  while (!signal.aborted) {
    for (const node of nodes) {
      const seen = await node.look();
      if (seen?.state === 'active' && seen.inSync) return node;
    }
    if (performance.now() > until) {
      throw new MajordomoError('ERR_REQUEST_FAILED', 'the two nodes did not get in sync');
    }
    await rest(LOOK_MS, signal);
  }
  return null;
}

function line(tally: Tally, kills: number, startedAt: number): string {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return (
    `${seconds} s: ${kills} kills; ${tally.answered} answered, ${tally.unanswered} unanswered; ` +
    `${tally.receipts} receipts, ${tally.lost} lost; the longest took ` +
    `${(tally.longestMs / 1000).toFixed(1)} s`
  );
}
