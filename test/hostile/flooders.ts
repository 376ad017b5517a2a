/**
 * A process whose connections send cheap valid messages as fast as they are taken, and read what
 * comes. `node flooders.js ENDPOINT CONNECTIONS`; it tells its parent when all have begun.
 */
import { connect } from 'node:net';

import { HANDSHAKE, message } from '../unit/zmtp/wire.js';

const BATCH = 4000;

const [, , endpoint = '', connections = '1'] = process.argv;
const { hostname, port } = new URL(endpoint.replace('tcp:', 'http:'));
const batch = Buffer.concat(
  Array.from({ length: BATCH }, () => message('', 'MDPC01', 'mmi.service', 'x')),
);

let begun = 0;
for (let index = 0; index < Number(connections); index++) {
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.on('data', () => undefined);
  socket.write(HANDSHAKE);
  const send = (): void => {
    while (!socket.destroyed && socket.write(batch));
    socket.once('drain', send);
  };
  socket.once('drain', () => {
    if (++begun === Number(connections)) process.send?.('begun');
  });
  send();
}
