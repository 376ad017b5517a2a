import { createServer, type Socket } from 'node:net';
import { messageOf } from '../../../src/core/errors.js';
import { FreelanceClient } from '../../../src/sdk/client.js';
import { listening } from '../../support/free-ports.js';

it('the error of a request to a server of 10/FLP does not name a service, since there is none', async () => {
  const accepted: Socket[] = [];
  const silent = createServer((socket) => accepted.push(socket));
  const endpoints = `tcp://127.0.0.1:${await listening(silent)}`;
  const client = new FreelanceClient({ endpoints, timeoutMs: 50 });
  const text = await client.request('').then(String, messageOf);
  await client.close();
  for (const socket of accepted) socket.destroy();
  silent.close();
  expect(text).toBe(
    `no endpoint accepted a connection for the request: ${endpoints}: no connection`,
  );
});
