/** A worker and a client of the SDK at a broker of 7/MDP that returns no envelopes: ENDPOINT COUNT. */
import { Client } from '../../../../src/sdk/client.js';
import { Worker } from '../../../../src/sdk/worker.js';

const [endpoint = '', count = ''] = process.argv.slice(2);
const worker = new Worker({ endpoints: endpoint, service: 'upper', protocol: '0.1' }, (request) =>
  request.text().toUpperCase(),
);
void worker.run();
const client = new Client({ endpoints: endpoint, protocol: '0.1', envelope: false });
for (let number = 0; number < Number(count); number++) {
  const reply = await client.request('upper', `hello ${number}`);
  console.log(JSON.stringify({ event: 'reply', frames: [reply.text()] }));
}
await client.close();
await worker.close();
