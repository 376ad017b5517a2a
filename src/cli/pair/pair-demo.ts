/** `majordomo pair-demo`: runs a pair on this machine and kills its active node again and again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { Command } from 'commander';

import { present } from '../../core/assert.js';
import { MajordomoError, messageOf } from '../../core/errors.js';
import { EXIT, type ExitStatus } from '../../core/exit.js';
import { type Node, twoNodes } from './demo-nodes.js';
import { type Tally, Traffic } from './demo-traffic.js';
import { type Done, examples, integerOption } from '../common/options.js';
import { print, say } from '../common/output.js';

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
Ctrl-C, SIGTERM, SIGHUP and SIGQUIT end all of it; a second one at once.
Exit status: 0 if every request was answered and no receipt was lost, 1 otherwise; 74 if TMPDIR cannot be
written.
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
      const ends = endsBySignal();
      const directory = makeDirectory();
      const nodes: Node[] = [];
      const end = (): void => {
        for (const node of nodes) node.kill();
        // A node that was killed just now may still have made a file.
        rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
      };
      // However this process ends: nobody else would end the nodes.
      process.once('exit', end);
      try {
        nodes.push(...(await twoNodes(present(process.argv[1], 'a program'), directory)));
        done(await demonstrate(nodes, options, ends));
      } finally {
        end();
      }
    });
}

/** Aborted at the first signal; the second one ends the process. */
function endsBySignal(): AbortController {
  const ends = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      if (ends.signal.aborted) process.exit(EXIT.interrupted);
      ends.abort();
    });
  }
  return ends;
}

/** @throws ERR_OUTPUT */
function makeDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'majordomo-demo-'));
  } catch (error) {
    const text = `cannot make a directory for the two nodes: ${messageOf(error)}; set TMPDIR to one that you may write to`;
    throw new MajordomoError('ERR_OUTPUT', text, { cause: error });
  }
}

async function demonstrate(
  nodes: readonly Node[],
  options: DemoOptions,
  ends: AbortController,
): Promise<ExitStatus> {
  if (options.seconds > 0) {
    setTimeout(() => ends.abort(), options.seconds * 1000).unref();
  }
  for (const node of nodes) node.start();
  await inSync(nodes, ends.signal);
  say(`pair: ${nodes.map(({ role, endpoint }) => `${role} ${endpoint}`).join(', ')}`);
  const traffic = new Traffic(nodes.map(({ endpoint }) => endpoint));
  const startedAt = performance.now();
  let kills = 0;
  const show = setInterval(() => say(line(traffic.tally, kills, startedAt)), 1000);
  while (!ends.signal.aborted) {
    await rest(options.every * 1000, ends.signal);
    const active = await inSync(nodes, ends.signal);
    if (active === null) break;
    active.kill();
    kills++;
    say(`kill -9 ${active.role}`, 'yellow');
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
