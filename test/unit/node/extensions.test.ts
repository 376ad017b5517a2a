import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { METRICS } from '../../../src/admin/metrics/metric-table.js';
import { createLog } from '../../../src/admin/log/log.js';
import type { ExtensionName } from '../../../src/config/enabled.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { extensions } from '../../../src/extensions/list.js';
import type { Extension } from '../../../src/node/extension.js';
import { type Node, startNode } from '../../../src/node/node.js';

let directory = '';
let steps: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'majordomo-list-'));
  steps = [];
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Notes what is asked of it. @param failsAt where it throws */
function noting(name: ExtensionName, isFirst: boolean, failsAt?: 'attach' | 'open'): Extension {
  const step = (what: string): void => {
    steps.push(`${name} ${what}`);
    if (what === failsAt) throw new Error(`${name} cannot ${what}`);
  };
  const asynchronous = (what: string) => (): Promise<void> =>
    Promise.resolve().then(() => step(what));
  return {
    name,
    isFirst,
    attach: async (host) => {
      await asynchronous('attach')();
      steps.push(host.stored === null ? 'no store' : 'store');
      return {
        open: asynchronous('open'),
        drain: () => step('drain'),
        reconfigure: () => step('reconfigure'),
        close: asynchronous('close'),
      };
    },
  };
}

/** A node that asks for three extensions. */
async function start(...list: readonly Extension[]): Promise<Node> {
  const { config } = loadConfig({
    sets: [
      ...[`node.dataDir=${directory}`, 'broker.listen=tcp://127.0.0.1:0', 'http.listen=off'],
      ...['events.listen=tcp://127.0.0.1:0', 'titanic.store=postgresql://u@127.0.0.1/queue'],
      'fleet.nats=[nats://127.0.0.1:4222]',
    ],
  });
  const log = await createLog('silent', 'json', false);
  return await startNode({
    ...{ loaded: { config, file: null }, extensions: list, isNewStore: false, log },
    fatal: (error) => {
      throw error;
    },
  });
}

const OPENED = ['events open', 'postgres open', 'fleet open'];

describe('the extensions of a node', () => {
  it('are attached in their order, and closed in its reverse', async () => {
    const node = await start(
      noting('events', true),
      noting('postgres', false),
      noting('fleet', false),
    );
    node.reconfigure(node.current);
    await node.stop();
    expect(steps).toEqual([
      ...[
        'events attach',
        'no store',
        'postgres attach',
        'store',
        'fleet attach',
        'store',
        ...OPENED,
      ],
      ...['events reconfigure', 'postgres reconfigure', 'fleet reconfigure'],
      ...['events drain', 'postgres drain', 'fleet drain'],
      ...['fleet close', 'postgres close', 'events close'],
    ]);
  });

  it('are closed as far as they were attached, if one fails', async () => {
    const failing = noting('fleet', false, 'attach');
    const started = start(noting('events', true), noting('postgres', false), failing);
    await expect(started).rejects.toThrow('fleet cannot attach');
    expect(steps.slice(-3)).toEqual(['fleet attach', 'postgres close', 'events close']);
  });

  it('are all closed if one cannot open its sockets, and the next start works', async () => {
    const [events, fleet] = [noting('events', true), noting('fleet', false)];
    const started = start(events, noting('postgres', false, 'open'), fleet);
    await expect(started).rejects.toThrow('postgres cannot open');
    expect(steps.slice(-4)).toEqual([
      'postgres open',
      'fleet close',
      'postgres close',
      'events close',
    ]);
    await (await start(events, noting('postgres', false), fleet)).stop();
  });

  it('that the configuration asks for and the program has not end the start', async () => {
    const text = 'fleet.nats: this program was built without the extension fleet';
    const started = start(noting('events', true), noting('postgres', false));
    await expect(started).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID', message: text });
    expect(steps).toEqual([]);
  });

  it('are those that the table of metrics names', () => {
    const names = new Set<string>(extensions().map(({ name }) => name));
    const named = Object.values(METRICS).flatMap(({ extension }) => extension ?? []);
    expect(named.filter((name) => !names.has(name))).toEqual([]);
  });
});
