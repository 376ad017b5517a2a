/**
 * The SDK's worker as users write it, in its own process: replies with what it was sent, or with the text given.
 * Prints `ready` after the first request.
 *
 *     node sdk/worker.js ENDPOINT TRANSPORT CONCURRENCY [REPLY]
 */
import { Client } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';

const [endpoint = '', transport = '', concurrency = '', reply] = process.argv.slice(2);
const options = {
  endpoints: [endpoint],
  transport: transport === 'libzmq' ? 'libzmq' : 'zmtp',
} as const;
const worker = new Worker(
  { ...options, service: 'echo', concurrency: Number(concurrency) },
  (request) => reply ?? request.frames,
);
const running = worker.run();
const client = new Client(options);
await client.request('echo', 'are you there?');
await client.close();
process.stdout.write('ready\n');
await running;
