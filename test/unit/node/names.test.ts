/** A node that listens on names, with addresses that the test gives them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { LogFields } from '../../../src/admin/log/log.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { extensions } from '../../../src/extensions/list.js';
import { startNode } from '../../../src/node/node.js';
import { freePortsInARow } from '../../support/free-ports.js';
import { logTo } from '../../support/logs.js';

const ADDRESSES = ['127.0.0.1', '127.0.0.2'];

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'majordomo-names-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('the broker, HTTP, events, the map and the pair listen on all addresses of a name; the log tells which', async () => {
  const lines: LogFields[] = [];
  const log = logTo((fields) => {
    lines.push(fields);
  });
  const sets = ['broker.listen', 'events.listen', 'bstar.listen'].map(
    (key) => `${key}=tcp://here:0`,
  );
  // Ports that it finds itself may take it several tries, and each is told.
  sets.push(`map.listen=tcp://here:${await freePortsInARow(3)}`);
  const { config } = loadConfig({
    sets: [
      ...[`node.dataDir=${directory}`, 'http.listen=here:0', ...sets],
      ...['bstar.role=primary', 'bstar.peer=tcp://127.0.0.1:9'],
    ],
  });
  const node = await startNode({
    ...{ loaded: { config, file: null }, extensions: extensions(), isNewStore: false },
    log,
    fatal: (error) => {
      throw error;
    },
    resolve: (name) => Promise.resolve(name === 'here' ? [...ADDRESSES, '198.51.100.7'] : []),
  });
  try {
    const bound = lines.filter(({ event }) => event === 'listener.bound');
    // The map has three ports.
    expect(bound).toHaveLength(7);
    for (const line of bound) {
      expect(line).toMatchObject({ addresses: ADDRESSES });
      const port = Number(/^here:(\d+)$/.exec(String(line['name']))?.[1]);
      for (const host of ADDRESSES) {
        const socket = connect({ host, port });
        await once(socket, 'connect');
        socket.destroy();
      }
    }
    const absent = lines.filter(({ event }) => event === 'listener.absent');
    expect(absent).toHaveLength(7);
    expect(absent[0]).toMatchObject({ addresses: ['198.51.100.7'] });
  } finally {
    await node.stop();
  }
});
