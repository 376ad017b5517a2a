/** Stops when it cannot keep up: node suicidal-snail.js [ENDPOINT] [MS PER MESSAGE] */
import { setTimeout as work } from 'node:timers/promises';
import { isMajordomoError, Subscriber } from 'majordomo-sdk';

const endpoints = process.argv[2] ?? 'tcp://127.0.0.1:5560';
const workMs = Number(process.argv[3] ?? 10);

const subscriber = new Subscriber({ endpoints, topics: 'price.gold', maxDelayMs: 1000 });
process.once('SIGINT', () => void subscriber.close());
process.once('SIGTERM', () => void subscriber.close());
try {
  for await (const message of subscriber) {
    if (message.afterGap) console.log('messages may be missing here');
    console.log(message.topic, message.text());
    await work(workMs);
  }
} catch (error) {
  if (!isMajordomoError(error, 'ERR_STREAM_TOO_SLOW')) throw error;
  console.error(`too slow: ${error.message}`);
  process.exitCode = 1;
}
