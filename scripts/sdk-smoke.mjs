/**
 * What the SDK does on another system, or in another runtime, with a broker at ENDPOINT: a request, one in parts, a durable
 * one, and messages of a publisher. `… sdk-smoke.mjs ENDPOINT`
 */
import { Client, Worker } from '../packages/sdk/dist/index.js';
import { Publisher, Subscriber } from '../packages/sdk/dist/stream.js';

const [endpoint] = process.argv.slice(2);

async function* answer(request) {
  yield 'half';
  return `${request.text()} twice`;
}

const worker = new Worker({ endpoints: endpoint, service: 'smoke' }, answer);
await worker.ready;
const client = new Client({ endpoints: endpoint });
console.log((await client.request('smoke', 'plain')).text());
for await (const part of client.stream('smoke', 'parts')) console.log(part.text());
console.log((await (await client.enqueue('smoke', 'stored')).result()).text());
await client.close();
await worker.close();

const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });
const subscriber = new Subscriber({ endpoints: await publisher.open(), topics: ['smoke'] });
while (!publisher.hasSubscribers('smoke')) await new Promise((done) => setTimeout(done, 10));
publisher.publish('smoke', 'published');
for await (const message of subscriber) {
  console.log(message.text());
  break;
}
await subscriber.close();
await publisher.close();
const { bun, deno, node } = process.versions;
const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node.js ${node}`;
console.log(`passed: the SDK on ${process.platform}-${process.arch}, ${runtime}`);
