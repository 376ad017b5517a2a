/**
 * Does what docs/operating.md says of backups, line by line: the paths are those of a daemon of the test, which has
 * their owner, and which `systemctl` stops and starts.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { connect } from '../../../src/sdk/client.js';
import { verifyStore } from '../../../src/store/sqlite/records/verify.js';
import { blocksOf } from '../../support/blocks.js';
import { MAIN } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { run } from '../../support/tarballs.js';

const LOST = '/var/lib/majordomo.lost';

let daemon: Daemon;
let folder = '';

/** The box with that line, and what it does. */
function box(line: string): string {
  const found = blocksOf('docs/operating.md', 'sh').filter(({ text }) => text.includes(line));
  expect(found).toHaveLength(1);
  return found[0]?.text ?? '';
}

/** What a box says, line by line. */
async function type(text: string): Promise<void> {
  const { dataDir, endpoint } = daemon;
  let shell = '';
  const flush = (): void => {
    run('sh', ['-c', shell], '/');
    shell = '';
  };
  for (const line of text.trimEnd().split('\n')) {
    if (line === 'systemctl stop majordomo') {
      await daemon.stop();
    } else if (line === 'systemctl start majordomo') {
      flush();
      daemon = await startDaemon({ endpoint, dataDir });
    } else {
      const here = line
        .replaceAll('-o majordomo -g majordomo ', '')
        .replace('sudo -u majordomo majordomo', 'majordomo')
        .replace(/^majordomo /, `${process.execPath} ${MAIN} `)
        .replaceAll('/etc/majordomo', folder)
        .replaceAll('/var/lib/majordomo', dataDir)
        .replaceAll('/var/backups', folder)
        .replaceAll('2026-11-20', '$(date +%F)');
      shell += `${here}\n`;
    }
  }
  if (shell !== '') flush();
}

async function enqueue(): Promise<void> {
  const client = connect(daemon.endpoint);
  await client.enqueue('nobody', 'work');
  await client.close();
}

async function pending(): Promise<unknown> {
  return (await daemon.waitFor('titanic.recovered'))['pending'];
}

beforeEach(async () => {
  folder = temporaryDirectory();
  daemon = await startDaemon();
  const file = { node: { dataDir: daemon.dataDir }, http: { listen: 'off' } };
  writeFileSync(join(folder, 'majordomo.yaml'), JSON.stringify(file));
  mkdirSync(join(folder, 'majordomo'));
  await enqueue();
  await type(box('majordomo verify /var/backups/'));
});

afterEach(removeDaemons);

it('docs/operating.md: a restored backup has what was stored before it', async () => {
  await enqueue();
  await type(box('/var/backups/majordomo/titanic-2026-11-20.db titanic.db'));
  expect(await pending()).toBe(1);
});

it('docs/operating.md: a second restore sets the store aside that was served since the first', async () => {
  const restore = box('/var/backups/majordomo/titanic-2026-11-20.db titanic.db');
  await type(restore);
  await enqueue();
  await type(restore);
  expect(await pending()).toBe(1);
  const { dataDir } = daemon;
  const aside = readdirSync(dataDir).filter((name) => name.startsWith('old'));
  const stores = aside.map((name) =>
    verifyStore(join(dataDir, name, 'titanic.db'), () => undefined),
  );
  expect(stores.map((store) => store.pending).sort()).toEqual([1, 2]);
});

it.each([
  ['has not been started since', false],
  ['was started with an empty store', true],
])(
  'docs/operating.md: after the loss of the data directory, when the broker %s',
  async (_, isNew) => {
    const { endpoint, dataDir } = daemon;
    await daemon.kill();
    rmSync(dataDir, { recursive: true });
    if (isNew) daemon = await startDaemon({ endpoint, dataDir });
    await type(box(LOST));
    expect(await pending()).toBe(1);
    expect(existsSync(`${dataDir}.lost`)).toBe(isNew);
    rmSync(`${dataDir}.lost`, { recursive: true, force: true });
  },
);
