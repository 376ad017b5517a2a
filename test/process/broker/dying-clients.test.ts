import { afterEach, describe, expect } from '@jest/globals';

import { type Program, python } from '../../interop/support/program.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import {
  cleanUp,
  occurrences,
  registeredWorker,
  type ServiceSeen,
  untilLogged,
  type WorkerSeen,
} from './support.js';

const TOOL = 'python3-zmq';

function queued(count: number): (services: readonly ServiceSeen[]) => boolean {
  return (services) => services.reduce((sum, service) => sum + service.queued, 0) === count;
}

async function clientWithQueue(daemon: Daemon, ...args: (string | number)[]): Promise<Program> {
  const watcher = new RawPeer(daemon.endpoint);
  const client = python('dealer_client', daemon.endpoint, 'work', ...args, '--count', 20);
  await watcher.untilMmi<ServiceSeen[]>('mmi.services', queued(20));
  return client;
}

describe('a client that is killed', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'leaves nothing behind: its waiting requests are dropped (D26)', async () => {
    const daemon = await startDaemon();
    const watcher = new RawPeer(daemon.endpoint);
    const client = await clientWithQueue(daemon);
    const other = watcher.ask('other', 'work', 'mine');
    await client.kill();
    await untilLogged(daemon, 'request.dropped', { reason: 'client_gone' }, 20);
    const worker = await registeredWorker(daemon, 1);
    expect((await other).at(-1)).toBe('mine');
    await worker.waitFor('request');
    expect(worker.said('request')).toHaveLength(1);
    expect(occurrences(daemon, 'request.dropped')).toBe(20);
  });

  itWithTool(
    TOOL,
    'while a worker has its request: the worker finishes, and the reply is dropped',
    async () => {
      const daemon = await startDaemon();
      const worker = await registeredWorker(daemon, 1, '--mode', 'hold');
      const client = python('dealer_client', daemon.endpoint, 'work', 'x');
      await worker.waitFor('request');
      await client.kill();
      const watcher = new RawPeer(daemon.endpoint);
      worker.tell('release');
      await worker.waitFor('released');
      await watcher.untilMmi<WorkerSeen[]>('mmi.workers', ([seen]) => seen?.state === 'waiting');
      expect(worker.said('disconnect')).toEqual([]);
      const asked = watcher.ask('id', 'work', 'next');
      await worker.waitFor('request', 2);
      worker.tell('release');
      expect((await asked).at(-1)).toBe('next');
    },
  );

  itWithTool(TOOL, 'and comes back under its own routing id gets its replies (D26)', async () => {
    const daemon = await startDaemon();
    const identity = ['--identity', 'returning'];
    const client = await clientWithQueue(daemon, ...identity);
    await client.kill();
    const watcher = new RawPeer(daemon.endpoint);
    const again = python(
      ...['dealer_client', daemon.endpoint, 'work', ...identity, '--listen-only', 20],
    );
    // Its first message gets a reply: the broker has recognized it.
    await again.waitFor('reply');
    expect(occurrences(daemon, 'request.dropped')).toBe(0);
    await watcher.untilMmi<ServiceSeen[]>('mmi.services', queued(20));
    await registeredWorker(daemon, 1);
    const lines = (await again.finished()).filter(({ event }) => event === 'reply').slice(1);
    const numbers = Array.from({ length: 20 }, (_, number) => [String(number)]);
    expect(lines.map(({ frames }) => frames)).toEqual(numbers);
  });

  itWithTool(TOOL, 'behind a proxy that lives: nothing is dropped (D26)', async () => {
    const daemon = await startDaemon();
    const { endpoint } = await python('proxy', daemon.endpoint).waitFor('listening');
    const watcher = new RawPeer(daemon.endpoint);
    const client = python(
      ...['dealer_client', String(endpoint), 'work', '--version', '0.1', '--count', 20],
    );
    await watcher.untilMmi<ServiceSeen[]>('mmi.services', queued(20));
    await client.kill();
    const worker = await registeredWorker(daemon, 1);
    await worker.waitFor('request', 20);
    expect(occurrences(daemon, 'request.dropped')).toBe(0);
  });
});
