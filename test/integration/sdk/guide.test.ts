import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { GuideBroker } from './guide-broker.js';

let broker: GuideBroker | null = null;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  broker?.stop();
  broker = null;
});

describe('a broker like the Guide’s', () => {
  it.each(['0.1', '0.2'] as const)(
    'serves clients of %s with envelope: false, and a worker of several places by as many READYs',
    async (protocol) => {
      const guide = await GuideBroker.start();
      broker = guide;
      const endpoints = [guide.endpoint];
      const worker = new Worker(
        { endpoints, service: 'echo', concurrency: 3, heartbeatIntervalMs: 1000 },
        async (request) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return request.frames;
        },
      );
      closing.push(() => worker.close());
      void worker.run();
      const client = new Client({ endpoints, protocol, envelope: false, maxLinks: 4 });
      closing.push(() => client.close());
      const asked = Array.from({ length: 50 }, (_, number) => `request ${number}`);
      const replies = await Promise.all(asked.map((body) => client.request('echo', body)));
      expect(replies.map((reply) => reply.text())).toEqual(asked);
      expect(guide.registrations).toBe(3);
      expect(guide.busiest).toBeLessThanOrEqual(3);
      expect(guide.strange).toBe(0);
      expect(client.counters).toEqual({
        malformed: 0,
        late: 0,
        resends: 0,
        hedges: 0,
        reopened: 3,
        resumed: 0,
      });
    },
  );
});
