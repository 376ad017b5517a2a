/** Which programs end by themselves: clients that wait for nothing do, workers do not. */
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { outcome } from './program.js';

/** Nothing listens there. */
const NOBODY = 'tcp://127.0.0.1:9';

/** In a program: waits until its client no longer keeps it alive by its connections. */
const LET_GO = `
  while (process.getActiveResourcesInfo().includes('TCPSocketWrap')) await sleep(1);
`;

/** In a program: has made a client of an endpoint that has sent it away three times, and is gone. */
const SENT_AWAY = `
  import { once } from 'node:events';
  import { createServer } from 'node:net';

  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoints = 'tcp://127.0.0.1:' + server.address().port;
  const client = new Client({ endpoints, timeoutMs: 600 });
  for (let left = 3; left > 0; left--) await once(server, 'connection');
  server.close();
`;

let endpoint: string;

beforeAll(async () => {
  ({ endpoint } = await startDaemon());
});

afterAll(removeDaemons);

describe('a client that waits for nothing does not keep its process alive', () => {
  it('while it connects', async () => {
    expect(await outcome(`connect('${endpoint}')`)).toEqual({ end: 0, output: '' });
    expect(await outcome(`connect('${NOBODY}')`)).toEqual({ end: 0, output: '' });
  });

  it('by a name with several addresses', async () => {
    const named = endpoint.replace('127.0.0.1', 'localhost');
    const program = `
      const until = setInterval(() => undefined, 1000);
      connect('${named}').on('connected', () => {
        clearInterval(until);
        console.log('connected');
      });
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: 'connected\n' });
  });

  it('after its requests were answered, and without close()', async () => {
    const program = `
      const client = connect();
      for (let left = 50; left > 0; left--) await client.request('mmi.service', 'mmi.service');
      console.log((await client.request('mmi.service', 'mmi.service')).text());
    `;
    const ended = await outcome(program, { MAJORDOMO_URL: endpoint });
    expect(ended).toEqual({ end: 0, output: '200\n' });
  });

  it('between attempts to reach a broker that is away', async () => {
    expect(await outcome(SENT_AWAY)).toEqual({ end: 0, output: '' });
  });

  it('with envelope: false', async () => {
    const program = `
      const client = new Client({ endpoints: '${endpoint}', envelope: false });
      console.log((await client.request('mmi.service', 'mmi.service')).text());
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: '200\n' });
  });
});

describe('a request keeps the process alive until it settles', () => {
  it('while no broker can be reached', async () => {
    const program = `${SENT_AWAY}
      client.request('echo', 'hi').catch((error) => console.log(error.code));
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: 'ERR_MDP_UNREACHABLE\n' });
  });

  it('while its service has no worker', async () => {
    const program = `
      const client = connect('${endpoint}', { timeoutMs: 600 });
      await client.request('mmi.service', 'echo', { timeoutMs: 20_000 });
      ${LET_GO}
      client.request('nobody', 'hi').catch((error) => console.log(error.code));
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: 'ERR_MDP_TIMEOUT\n' });
  });

  it('and so does a job.result() that waits', async () => {
    const program = `
      const job = await connect('${endpoint}').submit('nobody', 'hi');
      job.result({ timeoutMs: 700 }).catch((error) => console.log(error.code));
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: 'ERR_TITANIC_PENDING\n' });
  });
});

describe('a program that closes what it opened', () => {
  // Exit status 13 would mean that Node gave up waiting for the promise.
  it.each(['zmtp', 'libzmq'])(
    'ends, and not before close() has resolved: %s',
    async (transport) => {
      const program = `
      const client = connect('${endpoint}', { transport: '${transport}' });
      await client.request('mmi.service', 'echo');
      ${LET_GO}
      await client.close();
      console.log('closed');
    `;
      expect(await outcome(program)).toEqual({ end: 0, output: 'closed\n' });
    },
  );

  it('libzmq: keeps the process alive until then', async () => {
    const program = `
      const client = connect('${endpoint}', { transport: 'libzmq' });
      console.log((await client.request('mmi.service', 'echo')).text());
    `;
    expect(await outcome(program, {}, 10_000)).toEqual({ end: 'alive', output: '404\n' });
  });

  it('Symbol.asyncDispose is close(), of client and worker', async () => {
    const program = `
      const worker = new Worker({ endpoints: '${endpoint}', service: 'echo' }, (r) => r.frames);
      const done = worker.run();
      const client = connect('${endpoint}');
      console.log((await client.request('echo', 'hi')).text());
      await client[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
      await done;
      const late = await client.request('echo', 'hi').catch((error) => error.code);
      console.log(late);
    `;
    expect(await outcome(program)).toEqual({ end: 0, output: 'hi\nERR_MDP_CLOSED\n' });
  });
});

describe('a worker keeps its process alive', () => {
  it('while it runs, also without a broker', async () => {
    const program = `
      new Worker({ endpoints: '${NOBODY}', service: 'echo' }, (r) => r.frames).run();
    `;
    expect((await outcome(program, {}, 2000)).end).toBe('alive');
  });

  it('but not before run()', async () => {
    const program = `new Worker({ endpoints: '${NOBODY}', service: 'echo' }, (r) => r.frames);`;
    expect(await outcome(program)).toEqual({ end: 0, output: '' });
  });
});
