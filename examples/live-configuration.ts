/** A fleet of workers that is configured while it works: node live-configuration.js [ENDPOINT] [MAP] */
import { SharedMap, Worker } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const endpoints = process.argv[3] ?? 'tcp://127.0.0.1:5570';

const config = new SharedMap({ endpoints, subtree: '/config/greeting/' });
const changes = config.changes();
await config.synced;

// Reading costs nothing: the map is in this process, and every change arrives by itself.
const worker = new Worker({ endpoints: [endpoint], service: 'greeting' }, (request) => {
  const word = config.get('/config/greeting/word') ?? 'hello';
  return `${word.toString()}, ${request.text()}`;
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void worker.close().then(() => config.close()));
}

void worker.run();
for await (const { key, value } of changes) {
  console.log(`${key} is now ${value?.toString() ?? 'as by default'}`);
}
