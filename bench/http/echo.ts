/** The least that answers a program over HTTP: `node:http`, and the body back. Prints its port. */
import { createServer } from 'node:http';

import { HOST } from '../ports.js';

const server = createServer((request, response) => {
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
