/**
 * The least that answers a program over HTTP: `node:http`, and the body back. A GET is never answered, and a stream goes
 * on after its first event. Prints its port.
 */
import { createServer } from 'node:http';

import { HOST } from '../ports.js';

const server = createServer((request, response) => {
  if (request.method === 'GET') return;
  if (request.headers.accept === 'text/event-stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n');
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': body.length,
    };
    response.writeHead(200, headers).end(body);
  });
});
server.listen(0, HOST, () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  process.stdout.write(`${address.port}\n`);
});
