/** Offers the service `echo`: node echo-worker.js [ENDPOINT] */
import { Worker } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';

const worker = new Worker(
  { endpoints: [endpoint], service: 'echo', concurrency: 10 },
  (request) => request.frames,
);

// On Ctrl-C the worker finishes what it has begun, then disconnects from the broker.
process.once('SIGINT', () => void worker.close());
process.once('SIGTERM', () => void worker.close());

console.log(`echo serves at ${endpoint}`);
await worker.run();
console.log('closed');
