/**
 * A Subscriber of the SDK at a publisher whose messages are its clock's milliseconds: ENDPOINT WORK_MS. Ends when it
 * is too slow, or when it has received something and the publisher is gone.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { isMajordomoError, Subscriber } from '../../../../src/sdk/stream.js';

const MAX_DELAY_MS = 500;

const [endpoint = '', workMs = ''] = process.argv.slice(2);
const subscriber = new Subscriber({
  endpoints: endpoint,
  maxDelayMs: MAX_DELAY_MS,
  stamp: ([stamp]) => Number(stamp),
});
const received: string[] = [];
let end = 'publisher gone';
subscriber.on('disconnected', () => {
  if (received.length > 0) void subscriber.close();
});
console.log(JSON.stringify({ event: 'ready' }));
try {
  for await (const { topic } of subscriber) {
    received.push(topic);
    if (workMs !== '0') await pause(Number(workMs));
  }
} catch (error) {
  if (!isMajordomoError(error)) throw error;
  end = error.code;
}
console.log(JSON.stringify({ event: 'ended', end, received }));
