/** Publishes made-up prices, ten a second: node price-publisher.js [ENDPOINT] */
import { Publisher } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5560';
const publisher = new Publisher({ listen: endpoint });
await publisher.open();
console.log(`publishing at ${endpoint}`);

let tick = 0;
const timer = setInterval(() => {
  tick++;
  for (const name of ['gold', 'silver', 'tin']) {
    publisher.publish(`price.${name}`, JSON.stringify({ tick, price: 100 + (tick % 7) }));
  }
}, 100);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(timer);
    void publisher.close({ graceMs: 1000 });
  });
}
