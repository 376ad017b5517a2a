import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { outcome } from './program.js';

/** Its handler works longer than the heartbeats of the broker allow, after the broker has learnt that it heartbeats. */
const PROGRAM = `
  const { ENDPOINT: endpoints, TRANSPORT: transport } = process.env;
  const lost = [];
  let runs = 0;
  const options = { endpoints, transport, service: 'slow', heartbeatIntervalMs: 200, retryMaxMs: 200 };
  const worker = new Worker(options, async () => {
    runs++;
    await sleep(700);
    const until = performance.now() + 2000;
    while (performance.now() < until);
    return 'run ' + runs;
  });
  worker.on('lost', (event) => lost.push(event));
  await worker.ready;
  const client = connect(endpoints, { timeoutMs: 60_000 });
  console.log((await client.request('slow', '')).text(), lost.some(({ stoodStillMs }) => stoodStillMs > 0));
  await client.close();
  await worker.close();
`;

afterAll(removeDaemons);

it.each(['zmtp', 'libzmq'])(
  'the reply of a handler that blocked its process for too long is used, and it runs once (%s)',
  async (TRANSPORT) => {
    const { endpoint: ENDPOINT } = await startDaemon({ sets: ['broker.heartbeatIntervalMs=200'] });
    const { end, output } = await outcome(PROGRAM, { ENDPOINT, TRANSPORT });
    expect(output).toBe('run 1 true\n');
    expect(end).toBe(0);
  },
);
