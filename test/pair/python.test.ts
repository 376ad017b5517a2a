import { ask as askHttp } from '../support/http.js';
import {
  otherOf,
  type PairOfDaemons,
  removePairs,
  ROLES,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { itWithTool } from '../support/tools.js';
import { killPrograms, type Program, python } from '../interop/support/program.js';
import { until } from '../support/until.js';

const TOOL = 'python3-zmq';

afterEach(async () => {
  await killPrograms();
  await removePairs();
});

/** Two broker processes, each with a worker that knows one broker, as in the Guide. */
async function pairWithWorkers(): Promise<PairOfDaemons> {
  const pair = await startPairOfDaemons();
  for (const role of ROLES) {
    python('worker', pair.endpointOf(role), 'echo', '--heartbeat-ms', 200);
    await pair.node(role).waitFor('worker.registered');
  }
  return pair;
}

/** Two and a half heartbeats of the pair, as clients without the SDK have to set it (§7). */
function lazyPirate(pair: PairOfDaemons, service: string, version: string): Program {
  const timeoutMs = 2.5 * pair.heartbeatIntervalMs;
  const endpoints = pair.endpoints.join(',');
  return python('lazy_pirate', endpoints, service, '--timeout-ms', timeoutMs, '--version', version);
}

async function ask(client: Program, line: string): Promise<readonly unknown[]> {
  const count = client.said('reply').length + 1;
  client.tell(line);
  const { frames } = await client.waitFor('reply', count);
  return frames as readonly unknown[];
}

describe('programs in Python and a pair of processes (§7)', () => {
  for (const version of ['0.1', '0.2']) {
    itWithTool(
      TOOL,
      `kill -9 of the active: a Lazy Pirate of ${version} goes on, and back after a switchover`,
      async () => {
        const pair = await pairWithWorkers();
        const active = await pair.inSync();
        const client = lazyPirate(pair, 'echo', version);
        expect(await ask(client, 'one')).toEqual(['one']);
        await pair.node(active).kill();
        expect(await ask(client, 'two')).toEqual(['two']);
        expect(client.said('retry')).not.toEqual([]);
        await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
        // Its worker reconnects by itself.
        const back = await pair.start(active);
        expect(await pair.inSync()).toBe(otherOf(active));
        await back.waitFor('worker.registered');
        await pair.switchedOver(otherOf(active));
        expect(await ask(client, 'three')).toEqual(['three']);
        expect(await pair.inSync()).toBe(active);
        expect(client.said('gave-up')).toEqual([]);
      },
    );
  }

  itWithTool(
    TOOL,
    'a REQ client that does not know about pairs is served by the survivor from its first request',
    async () => {
      const pair = await pairWithWorkers();
      const active = await pair.inSync();
      const other = otherOf(active);
      // It does not serve, and MDP has no reply that says so.
      const early = python('req_client', pair.endpointOf(other), 'echo', '--timeout-ms', 300);
      expect(await early.finished()).toMatchObject([{ event: 'silence' }]);
      await pair.node(active).kill();
      // After that, a request counts as a vote.
      const ready = `${pair.httpOf(other)}/readyz`;
      await until(
        async () => (await askHttp(ready)).text.includes('the peer is dead'),
        'the passive node takes its peer for dead',
      );
      const plain = python('req_client', pair.endpointOf(other), 'echo', 'hi', '--bare-body');
      expect(await plain.finished()).toMatchObject([{ event: 'reply', frames: ['hi'] }]);
    },
  );

  itWithTool(TOOL, 'a receipt of the killed node is valid at the other node', async () => {
    const pair = await pairWithWorkers();
    const [status, uuid] = await ask(lazyPirate(pair, 'titanic.request', '0.1'), 'echo\tkeep');
    expect(status).toBe('200');
    await pair.node(await pair.inSync()).kill();
    const fetching = lazyPirate(pair, 'titanic.reply', '0.1');
    let reply: readonly unknown[] = [];
    await until(async () => {
      reply = await ask(fetching, String(uuid));
      return reply[0] !== '300';
    }, 'the reply is there');
    expect(reply).toEqual(['200', 'keep']);
  });
});
