/** `majordomo durable retry`, `purge` and `cancel` for all requests that a filter finds. */
import { createInterface } from 'node:readline/promises';

import { MajordomoError } from '../../core/errors.js';
import { EXIT, type ExitStatus } from '../../core/exit.js';
import type { AdminClient } from '../connection/admin-client.js';
import { Broker } from '../connection/broker.js';
import type { Facts } from '../common/facts.js';
import { type DurableOptions, filterOf, TITANIC } from './filter.js';
import { tell } from '../common/formats.js';
import { counted, say } from '../common/output.js';
import { Progress, withProgress } from '../common/progress.js';

export interface BulkOptions extends DurableOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** What is done, and the word for it once it is. */
const PAST = { retry: 'retried', purge: 'deleted', cancel: 'cancelled' } as const;
type Act = keyof typeof PAST;

/** Requests per call of a long order: about a second of work. */
const STEP_REQUESTS = 5000;
/** The most requests that are changed without a question. */
const UNASKED_MAX = 100;

interface Step {
  readonly count: number;
  readonly scanned: number;
  /** Where the next step begins; `null`: this was the last one. */
  readonly next: string | null;
}

/**
 * An order about many requests, step by step, so that it shows its progress and can be stopped.
 * @throws ERR_REQUEST_FAILED, and what asking throws
 */
export async function handleMany(options: BulkOptions, act: Act): Promise<ExitStatus> {
  const admin = await new Broker(options).admin();
  const filter = filterOf(options);
  const isDry = options.dryRun === true;
  // Where nobody sees it, it would be read for nothing.
  const all = isDry || process.stderr.isTTY ? await countOf(admin, act, filter) : null;
  if (isDry) {
    const count = all ?? 0;
    await tell(options.output, { count }, `${count} would be ${PAST[act]}\n`);
    return EXIT.done;
  }
  if (options.yes !== true && all !== null && all > UNASKED_MAX) {
    if (!(await confirmed(`${act} ${counted(all, 'request')}?`))) {
      throw new MajordomoError('ERR_REQUEST_FAILED', 'nothing was done');
    }
  }
  const { count, isStopped } = await carriedOut(admin, act, filter, all);
  if (isStopped) {
    say(
      `stopped${all === null ? '' : `, of ${counted(all, 'request')}`}: the others stay as they are`,
    );
  }
  await tell(options.output, { count }, `${count} ${PAST[act]}\n`);
  return isStopped ? EXIT.interrupted : EXIT.done;
}

/** How many there are, exactly, as long as none changes. */
async function countOf(
  admin: AdminClient,
  act: Act,
  filter: Readonly<Record<string, string>>,
): Promise<number> {
  let [count, scanned] = [0, 0];
  return await withProgress(`durable ${act}, counting`, async (progress) => {
    for (let cursor: string | null = null; ;) {
      const step = await stepOf(admin, act, { ...filter, cursor, dryRun: true });
      count += step.count;
      scanned += step.scanned;
      progress.count(count, scanned);
      if (step.next === null) return count;
      cursor = step.next;
    }
  });
}

async function carriedOut(
  admin: AdminClient,
  act: Act,
  filter: Readonly<Record<string, string>>,
  all: number | null,
): Promise<{ count: number; isStopped: boolean }> {
  const progress = new Progress(`durable ${act}`);
  const state = { isStopped: false };
  const stop = (): void => {
    state.isStopped = true;
    say(
      `stopping after this step of at most ${STEP_REQUESTS} requests; Ctrl-C again ends the command at once`,
    );
  };
  process.once('SIGINT', stop);
  let count = 0;
  try {
    for (let cursor: string | null = null; ;) {
      const step = await stepOf(admin, act, { ...filter, cursor, limit: STEP_REQUESTS });
      count += step.count;
      if (all === null) progress.count(count);
      else progress.show(count, Math.max(all, count));
      if (step.next === null) return { count, isStopped: false };
      if (state.isStopped) return { count, isStopped: true };
      cursor = step.next;
    }
  } catch (error) {
    progress.end();
    if (count > 0) say(`${count} were ${PAST[act]} before the following error; these changes stay`);
    throw error;
  } finally {
    progress.end();
    process.removeListener('SIGINT', stop);
  }
}

async function stepOf(admin: AdminClient, act: Act, order: Facts): Promise<Step> {
  const path = `${TITANIC}/${act}`;
  const { count, scanned, next } = await admin.post(path, order);
  const isWhole = typeof count === 'number' && typeof scanned === 'number';
  // A cursor that does not advance would never end.
  if (!isWhole || (next === order['cursor'] && next !== null)) {
    throw admin.unexpected(path);
  }
  return { count, scanned, next: typeof next === 'string' ? next : null };
}

/** Asks at a terminal; without one nobody could answer, so the order is carried out. */
async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return true;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
