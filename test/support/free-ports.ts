/** Ports of loopback on which nobody listens, for processes that are started again at the same place. */
import { createServer } from 'node:net';

/** Below those that the system gives to connections that go out. */
const LOWEST = 20_000;
const COUNT = 7000;

// Tests that run at the same time begin at different places.
let next = (process.pid * 37) % COUNT;

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    next = (next + 1) % COUNT;
    const port = LOWEST + next;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
