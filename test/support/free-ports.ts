/** Loopback ports: unused ones, for processes that restart at the same address, and those of servers. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net';

/** Below the range from which the system picks ports for outgoing connections. */
const LOWEST = 20_000;
const COUNT = 7000;

let next = (process.pid * 37) % COUNT;

/** No other caller here gets them as long as this process lives. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > COUNT) throw new Error('no port is free');
    next = (next + 1) % COUNT;
    const port = LOWEST + next;
    if ((await isReserved(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

/** The first of so many ports in a row. */
export async function freePortsInARow(count: number): Promise<number> {
  for (let row: number[] = []; ;) {
    const [port = 0] = await freePorts(1);
    row = row.length === 0 || port === (row.at(-1) ?? 0) + 1 ? [...row, port] : [port];
    const [first = 0] = row;
    if (row.length === count) return first;
  }
}

/** Begins to listen at 127.0.0.1. @returns the port, which the system picks */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/**
 * Reserves a port with a name in Linux's abstract socket space, which only one process can hold and
 * which ends with it.
 */
async function isReserved(port: number): Promise<boolean> {
  return await listens({ path: `\0majordomo-test-port-${port}` }, false);
}

async function isFree(port: number): Promise<boolean> {
  return await listens({ port, host: '127.0.0.1' }, true);
}

function listens(options: ListenOptions, closes: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.unref();
    server.once('error', () => resolve(false));
    server.listen(options, () => {
      if (!closes) resolve(true);
      else server.close(() => resolve(true));
    });
  });
}
