/** Offers `countdown`, which answers in parts: node streaming-worker.js [ENDPOINT] */
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';

const worker = new Worker(
  { endpoints: [endpoint], service: 'countdown' },
  // Each value that the generator yields is a part (PARTIAL); the value it returns is the last (FINAL).
  async function* (request, { signal }) {
    for (let left = Number(request.text()); left > 0; left--) {
      yield String(left);
      await pause(20, undefined, { signal });
    }
    return 'lift-off';
  },
);

process.once('SIGINT', () => void worker.close());
process.once('SIGTERM', () => void worker.close());

console.log(`countdown serves at ${endpoint}`);
await worker.run();
console.log('closed');
