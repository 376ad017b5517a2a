/** `SharedMap` with a server of 12/CHP on libzmq, which behaves as the Guide's clonesrv6 (D58). */
import { SharedMap, type SharedMapOptions } from '../../src/sdk/map.js';
import { freePortsInARow } from '../support/free-ports.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { killPrograms, type Program, python } from './support/program.js';

const TOOL = 'python3-zmq';
const open: SharedMap[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((map) => map.close()));
  await killPrograms();
});

async function served(port: number): Promise<Program> {
  const program = python('map_server', port);
  await program.waitFor('ready');
  return program;
}

function mapOf(port: number, options: Partial<SharedMapOptions> = {}): SharedMap {
  const map = new SharedMap({ endpoints: `tcp://127.0.0.1:${port}`, ...options });
  open.push(map);
  return map;
}

function contentOf(map: SharedMap): object {
  return Object.fromEntries([...map.entries()].map(([key, value]) => [key, String(value)]));
}

describe('SharedMap with a server on libzmq', () => {
  itWithTool(TOOL, 'gets a snapshot and updates, and its first change is not lost', async () => {
    const port = await freePortsInARow(3);
    await served(port);
    const writer = mapOf(port);
    // The connection for changes opens now: libzmq subscribes after it is up.
    await writer.set('/a/x', '1');
    await writer.set('/a/y', '2');
    await writer.set('/b/z', '3');
    await writer.delete('/a/x');
    const reader = mapOf(port, { subtree: '/a/' });
    await reader.synced;
    expect(contentOf(reader)).toEqual({ '/a/y': '2' });
    await writer.set('/a/y', '4', { ttlMs: 10_000 });
    await until(() => reader.get('/a/y')?.toString() === '4', 'the update');
    expect(contentOf(writer)).toEqual({ '/a/y': '4', '/b/z': '3' });
  });

  itWithTool(TOOL, 'begins anew after its restart, although it counts from 0', async () => {
    const port = await freePortsInARow(3);
    const first = await served(port);
    const map = mapOf(port);
    for (let index = 0; index < 20; index++) await map.set(`/${index}`, 'old');
    await first.kill();
    await until(() => !map.isSynced, 'the loss');
    await served(port);
    await map.synced;
    expect(contentOf(map)).toEqual({});
    await map.set('/new', '1');
    expect(contentOf(map)).toEqual({ '/new': '1' });
  });
});
