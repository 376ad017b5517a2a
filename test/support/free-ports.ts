/** Ports of loopback on which nobody listens, for processes that are started again at the same place. */
import { createServer, type ListenOptions } from 'node:net';

/** Below those that the system gives to connections that go out. */
const LOWEST = 20_000;
const COUNT = 7000;

let next = (process.pid * 37) % COUNT;

/** Nobody else that asks here is given them for as long as this process lives. */
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

/** By a name in Linux's abstract space, which one process can have, and which ends with it. */
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
    server.once('error', () => {
      resolve(false);
    });
    server.listen(options, () => {
      if (!closes) resolve(true);
      else server.close(() => resolve(true));
    });
  });
}
