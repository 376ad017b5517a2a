/** An instance of a service, in a directory of all of them: node service-directory.js NAME [MAP] */
import { SharedMap } from 'majordomo-sdk';

const name = process.argv[2] ?? 'one';
const endpoints = process.argv[3] ?? 'tcp://127.0.0.1:5570';
const subtree = '/instances/upper/';
const ttlMs = 3000;

const map = new SharedMap({ endpoints, subtree });
const changes = map.changes();

// The key vanishes when nobody renews it: a killed instance is gone in three seconds.
const announce = (): void => {
  map.set(subtree + name, 'ready', { ttlMs }).catch((error: unknown) => {
    console.error(`not announced: ${String(error)}`);
  });
};
announce();
const timer = setInterval(announce, ttlMs / 3);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(timer);
    void map.delete(subtree + name).finally(() => map.close());
  });
}

for await (const { key, value } of changes) {
  const instance = key.slice(subtree.length);
  console.log(`${instance} ${value === null ? 'is gone' : 'is there'}; ${map.size} in all`);
}
