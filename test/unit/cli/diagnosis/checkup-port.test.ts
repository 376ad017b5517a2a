/** What doctor says of an address that is a name. */
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';

import { portFinding } from '../../../../src/cli/diagnosis/checkup/port.js';
import { ok } from '../../../../src/core/finding.js';
import { listening } from '../../../support/free-ports.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A port that is in use at these addresses. */
async function usedAt(first: string, ...others: readonly string[]): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen(0, first);
  const port = await listening(server);
  for (const host of others) {
    const other = createServer();
    servers.push(other);
    await once(other.listen(port, host), 'listening');
  }
  return port;
}

async function finding(port: number, addresses: readonly string[], known = [...addresses]) {
  const { state, text } = await portFinding(
    ...(['listener', 'broker.listen', `tcp://here:${port}`, { host: 'here', port }] as const),
    (address) => Promise.resolve(known.includes(address) ? ok('listener', 'a Majordomo') : null),
    () => Promise.resolve(addresses),
  );
  return `${state}: ${text}`;
}

const [ONE, TWO, ABSENT] = ['127.0.0.1', '127.0.0.2', '198.51.100.7'] as const;

it('a name is free if all of its addresses are', async () => {
  expect(await finding(0, [ONE, TWO])).toBe('ok: any free port');
  expect(await finding(0, [ONE, ABSENT])).toBe(
    `ok: any free port; this machine does not have ${ABSENT}`,
  );
  expect(await finding(0, [ABSENT])).toBe('problem: this machine does not have that address');
});

it('a broker that listens on all of them is fine, and on some of them a problem', async () => {
  const port = await usedAt(ONE, TWO);
  expect(await finding(port, [ONE, TWO])).toBe('ok: a Majordomo');
  const some = await usedAt(ONE);
  expect(await finding(some, [ONE, TWO])).toBe(
    `problem: a Majordomo, but not at ${TWO}, which is here, too`,
  );
});

it('another program at one of them is a problem', async () => {
  const port = await usedAt(ONE, TWO);
  expect(await finding(port, [ONE, TWO], [ONE])).toMatch(/^problem: in use by a program/);
});
