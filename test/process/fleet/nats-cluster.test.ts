/** Three NATS servers that are one cluster, each of which is killed, and a broker at each of them. */
import { setTimeout as pause } from 'node:timers/promises';

import { NatsBus } from '../../../src/extensions/fleet/io/nats.js';
import { ask, atEnd, clientOf, endAll, serve } from '../../support/daemon-users.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { NatsServer } from '../../support/nats-server.js';
import { TcpRelay } from '../../support/tcp-relay.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

const TOOL = 'nats-server';
/** Between two requests of a client: the load is modest. */
const PAUSE_MS = 5;
/** Answers to each client that show that it is served again. */
const ANSWERS = 5;
/** The library tries the servers in random order: of so many connections one tries any of them first. */
const CONNECTIONS = 10;

afterEach(endAll);

interface Member {
  readonly name: string;
  readonly daemon: Daemon;
}

/** A broker that names all servers. When it starts, it can reach only one of them. */
async function member(name: string, all: readonly NatsServer[], at: NatsServer): Promise<Member> {
  const relays = all.filter((server) => server !== at).map(({ port }) => new TcpRelay(port));
  for (const relay of relays) relay.set('reset');
  await Promise.all(relays.map((relay) => relay.listen()));
  const urls = [at.url, ...relays.map(({ port }) => `nats://127.0.0.1:${port}`)];
  const nats = `fleet.nats=[${urls.join(', ')}]`;
  const daemon = await startDaemon({
    sets: [`node.name=${name}`, nats, 'broker.heartbeatIntervalMs=200'],
  });
  await daemon.waitFor('fleet.connected');
  for (const relay of relays) relay.set('open');
  return { name, daemon };
}

/** From each broker to the services of the others: clients that ask one thing after the other. */
class Load {
  readonly #answered: number[] = [];
  readonly #running: Promise<void>[] = [];
  #isOver = false;

  constructor(members: readonly Member[]) {
    for (const { name, daemon } of members) {
      for (const other of members) {
        if (other.name !== name) this.#running.push(this.#asks(daemon, `at-${other.name}`));
      }
    }
  }

  /** Every request is answered, if need be after retries. */
  async #asks(daemon: Daemon, service: string): Promise<void> {
    const lane = this.#answered.push(0) - 1;
    const client = clientOf(daemon, { timeoutMs: 20_000 });
    for (let n = 1; !this.#isOver; n++) {
      const body = `${lane} ${n}`;
      expect(await ask(client, service, body)).toEqual([`${service} ${body}`]);
      this.#answered[lane] = n;
      await pause(PAUSE_MS);
    }
  }

  /** Waits until each client has more answers. */
  async progress(what: string): Promise<void> {
    const before = [...this.#answered];
    const going = until(
      () => this.#answered.every((count, lane) => count >= (before[lane] ?? 0) + ANSWERS),
      what,
    );
    // A request that failed is the better message.
    await Promise.race([going, Promise.all(this.#running)]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}

/** Kills a server. Resolves when the brokers that were connected to it are at the ones left. */
async function lose(server: NatsServer, ...left: readonly NatsServer[]): Promise<void> {
  // Not from the log: it has at most one line a second of each kind.
  const losing = await server.clients();
  expect(losing).not.toEqual([]);
  await server.kill();
  await until(async () => {
    const found = (await Promise.all(left.map((other) => other.clients()))).flat();
    return losing.every((name) => found.includes(name));
  }, `${losing.join()} connect to another server`);
}

describe('a cluster of three NATS servers, each of which has a broker', () => {
  itWithTool(
    TOOL,
    'each server is killed in turn: its broker connects to another one, and every request between brokers is answered',
    async () => {
      const servers = await NatsServer.cluster(3);
      const [first, second, third] = servers as [NatsServer, NatsServer, NatsServer];
      const members = await Promise.all([
        member('a', servers, first),
        member('b', servers, second),
        member('c', servers, third),
      ]);
      for (const { name, daemon } of members) {
        serve(daemon, `at-${name}`, (text) => `at-${name} ${text}`, { concurrency: 4 });
      }
      const load = new Load(members);
      await load.progress('requests travel from server to server');
      await lose(first, second, third);
      await load.progress('two servers are left');
      await first.starts();
      await lose(second, first, third);
      await load.progress('the first one is back, the second one is away');
      // Only the one that was killed first is left.
      await lose(third, first);
      await load.progress('one server is left');
      await Promise.all([second.starts(), third.starts()]);
      await lose(first, second, third);
      await load.progress('the others are back, the first one is away');
      await load.stop();
    },
  );
});

describe('a broker that connects to NATS', () => {
  itWithTool(TOOL, 'uses a server later that was away when it first connected', async () => {
    const away = await NatsServer.start();
    await away.kill();
    const there = await NatsServer.start();
    const names = [away.url, there.url];
    const at = Array.from({ length: CONNECTIONS }, () => '');
    const none = (): void => undefined;
    const opening = at.map(async (_server, n) => {
      const bus = await NatsBus.open(
        { servers: names, credentials: () => null, name: `bus-${n}` },
        {
          up: (_payloadMax, server) => {
            at[n] = server;
          },
          ...{ down: none, received: none, unheard: none, full: none, refused: none },
        },
      );
      atEnd(() => bus.close());
    });
    await Promise.all(opening);
    const allAt = ({ port }: NatsServer): boolean => {
      return at.every((server) => server === `127.0.0.1:${port}`);
    };
    expect(allAt(there)).toBe(true);
    await away.starts();
    await there.kill();
    await until(() => allAt(away), 'all are connected to the server that was away');
  });
});
