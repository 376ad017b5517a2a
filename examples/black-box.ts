/** One feed in several threads, each with its part of the topics: node black-box.js [ENDPOINT] */
import { isMainThread } from 'node:worker_threads';
import { type ShardHandler, Subscriber } from 'majordomo-sdk';

/** Runs in the threads, which load this module, too. */
const handle: ShardHandler = (message, { shard }) => {
  console.log(`shard ${shard}: ${message.topic} ${message.text()}`);
};
export default handle;

if (isMainThread) {
  const subscriber = new Subscriber({
    endpoints: process.argv[2] ?? 'tcp://127.0.0.1:5560',
    shards: [['price.gold', 'price.silver'], ['price.tin']],
    handler: new URL(import.meta.url),
    maxDelayMs: 1000,
  });
  process.once('SIGINT', () => void subscriber.close());
  process.once('SIGTERM', () => void subscriber.close());
  await subscriber.run();
}
