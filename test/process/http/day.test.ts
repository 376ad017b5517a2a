import { startDaemon, removeDaemons } from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';
import { killAll } from '../../support/child.js';
import { Client } from '../../../src/sdk/client.js';

afterEach(() => killAll());
afterAll(removeDaemons);

interface Told {
  readonly columns: readonly string[];
  readonly samples: readonly (readonly (number | null)[])[];
}

describe('the last day over HTTP (issue 82.8)', () => {
  it('has what was before a restart', async () => {
    const sets = ['http.listen=127.0.0.1:0'];
    const daemon = await startDaemon({ sets });
    const client = new Client({ endpoints: [daemon.endpoint] });
    await client.submit('later', 'x');
    await client.close();
    // The node has taken a sample of it, which is the minute that it has begun.
    const overview = async (): Promise<number> => {
      const { json } = await ask(`${httpOf(daemon)}/api/v1/overview`, {});
      const { columns, samples } = json as Told;
      return samples.at(-1)?.[columns.indexOf('open')] ?? 0;
    };
    while ((await overview()) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await daemon.stop();
    const { dataDir } = daemon;
    const again = await startDaemon({ dataDir, sets });
    const { json } = await ask(`${httpOf(again)}/api/v1/history`, {});
    const { columns, samples } = json as Told;
    expect(columns[0]).toBe('at');
    expect(samples.map((row) => row[columns.indexOf('open')])).toContain(1);
    const of = await ask(`${httpOf(again)}/api/v1/history?service=nobody`, {});
    expect((of.json as Told).samples).toEqual([]);
  });
});
