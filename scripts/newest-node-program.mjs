/** What scripts/newest-node.mjs does with the SDK: `node newest-node-program.mjs ENDPOINT`. Throws if anything is wrong. */
import { strictEqual } from 'node:assert';

import { Client, Worker } from 'majordomo-sdk';

const LARGE_BYTES = 900_000;
const AT_ONCE = 500;

const endpoints = [process.argv[2]];
const worker = new Worker({
  endpoints,
  concurrency: 32,
  services: {
    echo: (request) => request.frames,
    async *count(request) {
      for (let at = 1; at < Number(request.text()); at++) yield String(at);
      return 'end';
    },
  },
});
await worker.ready;
const client = new Client({ endpoints });

strictEqual((await client.request('echo', 'hello')).text(), 'hello');
const job = await client.enqueue('echo', 'kept');
strictEqual((await job.result()).text(), 'kept');
await job.close();
const parts = [];
for await (const part of client.stream('count', '5')) parts.push(part.text());
strictEqual(parts.join(' '), '1 2 3 4 end');
const large = Buffer.alloc(LARGE_BYTES, 'x');
const [returned] = (await client.request('echo', large)).frames;
strictEqual(Buffer.compare(returned, large), 0);
const all = await Promise.all(
  Array.from({ length: AT_ONCE }, async (_, at) => (await client.request('echo', `${at}`)).text()),
);
strictEqual(all.join(), Array.from({ length: AT_ONCE }, (_, at) => `${at}`).join());

await client.close();
await worker.close();
