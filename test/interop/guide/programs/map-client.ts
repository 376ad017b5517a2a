/**
 * A SharedMap of the SDK: ENDPOINT… ; says the whole map once it has it, then each change. Lines on its standard
 * input are JSON: {"set": KEY, "value": VALUE, "ttlMs": N}.
 */
import { createInterface } from 'node:readline';

import { SharedMap } from '../../../../src/sdk/map.js';

interface Order {
  readonly set: string;
  readonly value: string;
  readonly ttlMs?: number;
}

function say(event: string, fields: object): void {
  console.log(JSON.stringify({ event, ...fields }));
}

const map = new SharedMap({ endpoints: process.argv.slice(2) });
await map.synced;
const changes = map.changes();
const entries = Array.from(map.entries(), ([key, value]) => [key, value.toString()] as const);
say('synced', { entries: Object.fromEntries(entries) });
createInterface({ input: process.stdin }).on('line', (line) => {
  const { set, value, ttlMs } = JSON.parse(line) as Order;
  void map.set(set, value, ttlMs === undefined ? {} : { ttlMs }).then(() => {
    say('set', { key: set });
  });
});
for await (const { key, value } of changes) {
  say('change', { key, value: value?.toString() ?? null });
}
