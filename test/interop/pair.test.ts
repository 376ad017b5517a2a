import { endPairs, PAIR_HEARTBEAT_MS, type PairNode, startPair } from '../support/pair-nodes.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { killPrograms, type Program, python } from './support/program.js';

const TOOL = 'python3-zmq';

afterEach(async () => {
  await killPrograms();
  await endPairs();
});

/** A worker at each node: the Guide's know one broker each. */
async function echoWorkers(nodes: readonly PairNode[]): Promise<void> {
  for (const { endpoint } of nodes) python('worker', endpoint, 'echo');
  await until(() => nodes.every(({ broker }) => broker.load.workers === 1), 'the workers');
}

function lazyPirate(nodes: readonly PairNode[], version: string): Program {
  const endpoints = nodes.map(({ endpoint }) => endpoint).join(',');
  return python('lazy_pirate', endpoints, 'echo', '--timeout-ms', 500, '--version', version);
}

describe.each(['0.1', '0.2'])('the Guide’s Lazy Pirate over a pair (%s, §7)', (version) => {
  itWithTool(TOOL, 'finds the serving node because the other is silent', async () => {
    const [active, passive] = await startPair();
    await echoWorkers([active, passive]);
    const client = lazyPirate([passive, active], version);
    client.tell('hi');
    expect(await client.waitFor('reply')).toMatchObject({ frames: ['hi'] });
    expect(client.said('retry')).not.toEqual([]);
    client.tell('again');
    expect(await client.waitFor('reply', 2)).toMatchObject({ frames: ['again'] });
  });

  itWithTool(
    TOOL,
    'is served by the other node when the active dies, by its own vote',
    async () => {
      const [active, passive] = await startPair();
      await echoWorkers([active, passive]);
      const client = lazyPirate([active, passive], version);
      client.tell('one');
      await client.waitFor('reply');
      passive.votesIn(2 * PAIR_HEARTBEAT_MS);
      await active.kill();
      expect(passive.broker.admission).toBe('refusing');
      client.tell('two');
      expect(await client.waitFor('reply', 2)).toMatchObject({ frames: ['two'] });
      expect(client.said('retry')).not.toEqual([]);
      expect(passive.broker.admission).toBe('serving');
    },
  );
});
