/** A process whose clients read snapshots of a map one after the other, until it is ended. */
import { SharedMap } from '../../src/sdk/map.js';

const [endpoint = '', count = ''] = process.argv.slice(2);

async function read(): Promise<void> {
  for (;;) {
    const map = new SharedMap({ endpoints: [endpoint] });
    await map.synced;
    await map.close();
  }
}

await Promise.all(Array.from({ length: Number(count) }, read));
