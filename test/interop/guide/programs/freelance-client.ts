/** A Freelance client of the SDK: ENDPOINT… ; it sends each line of its standard input as a request. */
import { createInterface } from 'node:readline';

import { FreelanceClient } from '../../../../src/sdk/client.js';

const client = new FreelanceClient({ endpoints: process.argv.slice(2), timeoutMs: 60_000 });
for await (const line of createInterface({ input: process.stdin })) {
  const { frames } = await client.request(line);
  console.log(JSON.stringify({ event: 'reply', frames: frames.map(String) }));
}
await client.close();
