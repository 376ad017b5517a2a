import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadConfig } from '../../../src/config/io/load.js';
import { type Node, startNode } from '../../../src/node/node.js';
import { createLog } from '../../../src/admin/log/log.js';
import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { JOB_ROWS } from '../../../src/wire/job-option-table.js';
import * as mmi from '../../../src/wire/mmi.js';
import type { BrokerStatus } from '../../../src/wire/mmi-answers.js';
import { literals, sourceFile } from './declared.js';
import { itemsBelow, page, words } from './page.js';

const PAGE = page('protocol.md');

let directory = '';
let node: Node;
let client: Client;
let worker: Worker;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mdp-'));
  const sets = [`node.dataDir=${directory}`, 'broker.listen=tcp://127.0.0.1:0', 'http.listen=off'];
  const { config } = loadConfig({ sets });
  const log = await createLog('silent', 'json', false);
  node = await startNode({
    ...{ loaded: { config, file: null }, extensions: [], isNewStore: false, log },
    fatal: (error) => {
      throw error;
    },
  });
  const { endpoints } = node;
  client = new Client({ endpoints });
  worker = new Worker({ endpoints, service: 'echo' }, ({ frames }) => frames);
  void worker.run();
  await client.request('echo', 'so that a worker is registered');
});

afterEach(async () => {
  await worker.close();
  await client.close();
  await node.stop();
  rmSync(directory, { recursive: true });
});

/** What the items below a heading are about, without backticks: each begins with names and a colon. */
function namesBelow(heading: string): string[] {
  return itemsBelow(PAGE, heading)
    .flatMap((item) => words(item.split(': ')[0]))
    .sort();
}

async function ask(service: string): Promise<unknown> {
  const { frames } = await client.request(service, '');
  expect(frames[0]?.toString()).toBe('200');
  return JSON.parse(frames[1]?.toString() ?? '');
}

const keysOf = (value: unknown): string[] => Object.keys(value as object).sort();

describe('docs/protocol.md', () => {
  it.each(['mmi.services', 'mmi.workers'])('has the keys that %s answers with', async (service) => {
    const items = (await ask(service)) as unknown[];
    expect(items).toHaveLength(1);
    expect(keysOf(items[0])).toEqual(namesBelow(`### ${service}`));
  });

  it('has the keys, limits and extensions that mmi.broker answers with', async () => {
    const status = (await ask('mmi.broker')) as BrokerStatus;
    expect(keysOf(status)).toEqual(namesBelow('### mmi.broker'));
    const [, limits = ''] = /### limits\n([^#]*)/.exec(PAGE) ?? [];
    expect(keysOf(status.limits)).toEqual(words(limits.split(':')[1]).sort());
    const item = itemsBelow(PAGE, '### mmi.broker').find((each) => each.startsWith('`extensions`'));
    expect(['extensions', ...status.extensions].sort()).toEqual(words(item).sort());
  });

  it('has the services of MMI that are answered, and no others', async () => {
    const names = Object.values(mmi).filter(
      (name) => typeof name === 'string' && name !== mmi.MMI_REFUSED && name !== mmi.MMI_FAILED,
    );
    expect(namesBelow('## Asking the broker: MMI')).toEqual([...names].sort());
    const unknown = await client.request('mmi.unknown', '');
    expect(unknown.text()).toBe('501');
  });

  it('has the options of a durable request', () => {
    const [, below = ''] = /### Options of a durable request\n([^#]*)/.exec(PAGE) ?? [];
    const names = words(below).filter((word) => !word.startsWith('titanic.'));
    expect(names).toEqual(JOB_ROWS.map(({ name }) => name));
  });

  it('has every status of a refusal (D11), and no others', () => {
    const statuses = literals([sourceFile('src/wire/mmi.ts')], 'RefusalStatus');
    expect(namesBelow('## Refusals')).toEqual(statuses.sort());
  });
});
