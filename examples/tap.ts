/** Prints everything that a publisher publishes: node tap.js [ENDPOINT] */
import { Subscriber } from 'majordomo-sdk';

const endpoints = process.argv[2] ?? 'tcp://127.0.0.1:5560';
const subscriber = new Subscriber({ endpoints, stamp: false });
process.once('SIGINT', () => void subscriber.close());
process.once('SIGTERM', () => void subscriber.close());
for await (const message of subscriber) {
  console.log(message.topic, ...message.frames.map(String));
}
