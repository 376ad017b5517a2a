/** A broker that is told to end before it is ready. */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { listening } from '../../support/free-ports.js';
import { until } from '../../support/until.js';

/** What it has used of the processor, in hundredths of a second. */
function processorTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]);
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

describe('a signal ends a start at once', () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    await removeDaemons();
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** A database that takes connections. @returns its URL */
  async function database(taken: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      taken(socket);
    });
    servers.push(server);
    return `postgresql://u@127.0.0.1:${await listening(server)}/store`;
  }

  it.each(SIGNALS)('%s: while a database does not answer', async (signal) => {
    const url = await database(() => undefined);
    const daemon = new Daemon({ sets: [`titanic.store=${url}`, 'titanic.storeTimeoutMs=60000'] });
    await until(() => sockets.length > 0, 'a connection');
    daemon.signal(signal);
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null, stderr: '' });
    expect(daemon.log.map(({ event }) => event)).toEqual(['broker.stopped']);
  });

  it('while the connections to a database break', async () => {
    const url = await database((socket) => socket.destroy());
    const daemon = new Daemon({ sets: [`titanic.store=${url}`, 'titanic.storeTimeoutMs=60000'] });
    await until(() => sockets.length > 3, 'connections');
    daemon.signal('SIGTERM');
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null, stderr: '' });
  });

  it('while SQLite is in a long statement: by the signal, because its thread cannot be ended', async () => {
    const program = `import { writeSync } from 'node:fs';
      import { isMainThread } from 'node:worker_threads';
      import Database from '${import.meta.resolve('better-sqlite3')}';
      if (!isMainThread) {
        const endless = new Database(':memory:').prepare(\`WITH RECURSIVE n AS (
          SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n\`);
        writeSync(2, 'in SQLite');
        endless.get();
      }`;
    const daemon = new Daemon({
      nodeOptions: ['--import', `data:text/javascript,${encodeURIComponent(program)}`],
    });
    await daemon.until(({ stderr }) => stderr === 'in SQLite', 'its thread is about to');
    const before = processorTicks(daemon.pid);
    await until(() => processorTicks(daemon.pid) > before + 20, 'the statement runs');
    daemon.signal('SIGTERM');
    expect(await daemon.finished()).toMatchObject({ status: null, signal: 'SIGTERM' });
    expect(daemon.log.map(({ event }) => event)).toEqual(['broker.stopped']);
  });

  it('the same data directory starts afterwards', async () => {
    const url = await database(() => undefined);
    const dataDir = temporaryDirectory();
    const daemon = new Daemon({ dataDir, sets: [`titanic.store=${url}`] });
    await until(() => sockets.length > 0, 'a connection');
    daemon.signal('SIGTERM');
    await daemon.finished();
    const again = await startDaemon({ dataDir });
    expect(await again.stop()).toMatchObject({ status: 0 });
  });
});
