/** A store file that is moved into a database, and back, by the commands; verified on every side. */
import { join } from 'node:path';

import { run } from '../../test/support/child.js';
import { Cluster, postgresBin } from '../../test/support/postgres-cluster.js';
import { table, whole } from '../markdown.js';
import { BODY_BYTES } from '../store/requests.js';
import type { FleetBench } from './part.js';
import { StoreDriver } from './store-driver.js';
import { settle, stocked } from './store-work.js';
import { Patience } from '../../test/support/patience.js';

const RECEIPTS = 1_000_000;
/** One in so many has a reply. */
const REPLIED = 2;
const PATIENCE_MS = 30 * 60_000;

/** What `verify` counts. */
interface Counts {
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  readonly keys: number;
}

interface Step {
  readonly what: string;
  readonly seconds: number;
}

export async function moved(bench: FleetBench): Promise<string> {
  const { directory } = bench;
  if (postgresBin() === null) return '## From a file, and back\n\nNot measured: no PostgreSQL.';
  const file = join(directory, 'titanic.db');
  const back = join(directory, 'back.db');
  bench.progress(`migrate: ${whole(RECEIPTS)} receipts are made`);
  const store = await StoreDriver.at(file);
  const uuids = await stocked(store, RECEIPTS);
  const replied = uuids.filter((_uuid, at) => at % REPLIED === 0);
  await settle(store, replied);
  await store.close();
  const cluster = await Cluster.make(['shared_buffers = 512MB', 'max_wal_size = 8GB']);
  try {
    const name = await cluster.database();
    const url = cluster.url(name);
    const inDatabase = ['--set', `titanic.store=${url}`, '--set', `node.dataDir=${directory}`];
    const steps: Step[] = [];
    const timed = async (what: string, args: readonly string[]): Promise<string> => {
      bench.progress(`migrate: ${what}`);
      const began = performance.now();
      const { status, stdout, stderr } = await run([...args], {
        patience: new Patience(PATIENCE_MS),
      });
      if (status !== 0) throw new Error(`${what}: ${status ?? 'killed'}: ${stderr}`);
      steps.push({ what, seconds: (performance.now() - began) / 1000 });
      return stdout;
    };
    const counts = async (what: string, args: readonly string[]): Promise<Counts> =>
      JSON.parse(await timed(what, ['verify', '-o', 'json', ...args])) as Counts;
    const before = await counts('`verify` of the file', [file]);
    await timed('`migrate`', ['migrate', '--from', file, '--to', url]);
    const after = await counts('`verify` of the database', inDatabase);
    await timed('`backup` of the database to a file', ['backup', ...inDatabase, back]);
    const again = await counts('`verify` of that file', [back]);
    const expected = { pending: uuids.length - replied.length, replied: replied.length };
    for (const seen of [before, after, again]) mustBe(seen, expected);
    return rendered(uuids.length, replied.length, steps);
  } finally {
    await cluster.remove();
  }
}

function mustBe(seen: Counts, expected: Pick<Counts, 'pending' | 'replied'>): void {
  const { pending, replied, dead, keys } = seen;
  if (pending === expected.pending && replied === expected.replied && dead + keys === 0) return;
  throw new Error(`counted ${JSON.stringify(seen)}, expected ${JSON.stringify(expected)}`);
}

function rendered(all: number, replied: number, steps: readonly Step[]): string {
  const rate = ({ seconds }: Step): string => `${whole(all / seconds)}/s`;
  const size = `${whole(BODY_BYTES)} bytes`;
  return [
    '## From a file, and back',
    `${whole(all)} receipts with requests of ${size}, ${whole(replied)} of them with replies of ${size}; the server is on the same machine and disk. All counts agree.`,
    table(
      ['', 'time', 'receipts'],
      steps.map((step) => [step.what, `${step.seconds.toFixed(0)} s`, rate(step)]),
    ),
  ].join('\n\n');
}
