import { type Daemon, removeDaemons } from '../support/daemon.js';
import { itWithTool } from '../support/tools.js';
import { type Line, type Program, python } from './support/program.js';
import { Registered } from './support/registered.js';
import { startDaemonOn, TRANSPORTS } from './support/transports.js';

const TOOL = 'python3-zmq';
const VERSIONS = ['0.1', '0.2'] as const;

let daemon: Daemon;
let workers: Registered;

async function echoWorker(version = '0.1', ...more: string[]): Promise<Program> {
  return await workers.comes(
    python('worker', daemon.endpoint, 'echo', '--version', version, ...more),
  );
}

function repliesOf(lines: readonly Line[]): unknown[] {
  return lines.filter(({ event }) => event === 'reply').map(({ frames }) => frames);
}

function envelopesOf(lines: readonly Line[]): unknown[] {
  return lines.filter(({ event }) => event === 'reply').map(({ envelope }) => envelope);
}

function numbered(count: number, ...body: string[]): string[][] {
  return Array.from({ length: count }, (_, number) => [...body, String(number)]);
}

describe.each(TRANSPORTS)('clients on pyzmq alone, over %s', (transport) => {
  beforeAll(async () => {
    daemon = await startDaemonOn(transport);
    workers = new Registered(daemon);
  });

  afterEach(() => workers.none());

  afterAll(removeDaemons);

  itWithTool(TOOL, 'a REQ socket is served in both versions by workers of both (D10)', async () => {
    for (const worker of VERSIONS) {
      const service = await echoWorker(worker);
      const asked = VERSIONS.map((version) =>
        python('req_client', daemon.endpoint, 'echo', 'a', '', 'b', '--version', version),
      );
      for (const client of asked) {
        expect(await client.finished()).toEqual([
          { event: 'reply', kind: 'final', service: 'echo', frames: ['a', '', 'b', '0'] },
        ]);
      }
      await workers.leaves(service);
    }
  });

  itWithTool(TOOL, 'one REQ socket asks again and again, FIFO per socket', async () => {
    await echoWorker();
    const lines = await python(
      ...['req_client', daemon.endpoint, 'echo', 'x', '--count', '200'],
    ).finished();
    expect(repliesOf(lines)).toEqual(numbered(200, 'x'));
  });

  itWithTool(TOOL, 'a REQ socket with REQ_CORRELATE gets its request id back (D1)', async () => {
    await echoWorker('0.2');
    for (const version of VERSIONS) {
      const client = python(
        ...['req_client', daemon.endpoint, 'echo', '--correlate', '--count', '3'],
        ...['--version', version],
      );
      expect(repliesOf(await client.finished())).toEqual(numbered(3));
    }
  });

  itWithTool(TOOL, 'REQ sockets with identities of their own are told apart', async () => {
    await echoWorker();
    const clients = ['ann', 'bob'].map((identity) =>
      python(
        ...['req_client', daemon.endpoint, 'echo', identity, '--identity', identity],
        ...['--count', '20'],
      ),
    );
    const lines = await Promise.all(clients.map((client) => client.finished()));
    expect(lines.map(repliesOf)).toEqual([numbered(20, 'ann'), numbered(20, 'bob')]);
  });

  itWithTool(TOOL, 'a DEALER gets the reply in the form of its request (D2, D24)', async () => {
    await echoWorker();
    const dealer = async (...args: string[]): Promise<unknown[]> => {
      const client = python('dealer_client', daemon.endpoint, 'echo', 'hi', ...args);
      return envelopesOf(await client.finished());
    };
    expect(await dealer('--version', '0.1')).toEqual([['']]);
    expect(await dealer('--version', '0.2')).toEqual([[]]);
    for (const version of VERSIONS) {
      const args = ['--version', version, '--form', 'envelope'];
      expect(await dealer(...args)).toEqual([['id-0-0', '']]);
    }
    const eight = Array.from({ length: 8 }, (_, hop) => `id-0-${hop}`);
    expect(await dealer('--form', 'envelope', '--ids', '8')).toEqual([[...eight, '']]);
  });

  itWithTool(TOOL, 'a DEALER with 1,000 requests outstanding gets each reply (D1)', async () => {
    await Promise.all([echoWorker('0.1'), echoWorker('0.2', '--credit', '50')]);
    const lines = await python(
      ...['dealer_client', daemon.endpoint, 'echo', '--form', 'envelope', '--count', '1000'],
    ).finished();
    const replies = lines.filter(({ event }) => event === 'reply');
    const numbers = replies.map(({ envelope, frames }) => {
      const [number] = frames as string[];
      expect(envelope).toEqual([`id-${number ?? '?'}-0`, '']);
      return Number(number);
    });
    expect(numbers.sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
  });

  itWithTool(TOOL, 'clients of every kind are served through zmq.proxy (D1)', async () => {
    await Promise.all([echoWorker('0.1'), echoWorker('0.2', '--credit', '4')]);
    const proxy = python('proxy', daemon.endpoint);
    const { endpoint } = await proxy.waitFor('listening');
    const via = String(endpoint);
    const named = (name: string): string[] => ['echo', name, '--count', '30'];
    const clients = [
      python('req_client', via, ...named('req-01')),
      python('req_client', via, ...named('req-02'), '--version', '0.2'),
      python('req_client', via, ...named('correlate'), '--correlate'),
      python('req_client', via, ...named('named'), '--identity', 'named'),
      python('dealer_client', via, ...named('dealer-01'), '--version', '0.1'),
      python('dealer_client', via, ...named('enveloped'), '--form', 'envelope'),
    ];
    const lines = await Promise.all(clients.map((client) => client.finished()));
    const sorted = lines.map((of) =>
      repliesOf(of).sort((a, b) => Number((a as string[])[1]) - Number((b as string[])[1])),
    );
    const names = ['req-01', 'req-02', 'correlate', 'named', 'dealer-01', 'enveloped'];
    expect(sorted).toEqual(names.map((name) => numbered(30, name)));
  });

  itWithTool(TOOL, 'a Lazy Pirate client is served once a worker registers', async () => {
    const client = python(...['lazy_pirate', daemon.endpoint, 'echo', '--timeout-ms', '200']);
    client.tell('late');
    await client.waitFor('retry', 2);
    await echoWorker('0.2');
    expect((await client.waitFor('reply'))['frames']).toEqual(['late']);
  });

  itWithTool(
    TOOL,
    'mmi.service and unknown mmi.* names are answered with a status (8/MMI)',
    async () => {
      await echoWorker();
      const mmi = async (service: string, name: string): Promise<unknown[]> => {
        const client = python('req_client', daemon.endpoint, service, name, '--bare-body');
        return repliesOf(await client.finished());
      };
      expect(await mmi('mmi.service', 'echo')).toEqual([['200']]);
      expect(await mmi('mmi.service', 'nobody')).toEqual([['404']]);
      expect(await mmi('mmi.nothing', 'x')).toEqual([['501']]);
    },
  );
});
