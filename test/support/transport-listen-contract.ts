import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { codeOf, messageOf } from '../../src/core/errors.js';
import type { BoundName } from '../../src/zmtp/sockets/names.js';
import { freePorts, listening } from './free-ports.js';
import { Server } from './transport-fixture.js';
import type { TransportFactory } from './transport-fixture.js';
import { DealerPeer } from './transport-peers.js';
import { until } from './until.js';

/**
 * Number of 64-KiB messages: more than the kernel takes, less than libzmq and the kernel together.
 */
const CHUNKS = 130;
/** Leaves a killed process's socket behind at the given path. */
const ABANDON = `
  const server = require('node:net').createServer();
  server.listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'));
`;

/** Endpoints: opening and closing. */
export function describeListening(factory: TransportFactory): void {
  const closers: (() => unknown)[] = [];

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(...endpoints: string[]): Promise<Server> {
    const server = await Server.open(factory, endpoints.length === 0 ? undefined : endpoints);
    closers.push(() => server.transport.close(0));
    return server;
  }

  function dealer(endpoint: string): DealerPeer {
    const peer = new DealerPeer(endpoint);
    closers.push(() => peer.close());
    return peer;
  }

  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'mdp-'));
    closers.push(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  /** Proves that listening there fails with this code and a message that names the endpoint. */
  async function expectRefused(code: string, ...endpoints: string[]): Promise<void> {
    const refusal = await serve(...endpoints).then(
      () => undefined,
      (error: unknown) => ({ code: codeOf(error), message: messageOf(error) }),
    );
    expect(refusal?.code).toBe(code);
    expect(refusal?.message).toContain(endpoints.at(-1));
  }

  it('reports the port that was chosen for port 0, and names the listener of each peer', async () => {
    const path = `ipc://${join(folder(), 's')}`;
    const server = await serve('tcp://127.0.0.1:0', path, 'tcp://127.0.0.1:*');
    expect(server.endpoints).toHaveLength(3);
    expect(server.endpoints[0]).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9][0-9]*$/);
    expect(server.endpoints[1]).toBe(path);
    for (const [index, endpoint] of server.endpoints.entries()) {
      const peer = dealer(endpoint).read();
      await peer.send(`to ${index}`);
      const id = await server.peerOf(`to ${index}`);
      expect(server.infos[id]?.listener).toBe(index);
      server.send(id, 'back');
      server.transport.flush();
      await until(() => peer.received.length === 1, 'an answer');
    }
  });

  it('refuses a tcp port in use, naming the endpoint, and keeps nothing open', async () => {
    const { endpoint } = await serve();
    const path = join(folder(), 's');
    await expectRefused('ERR_MDP_ENDPOINT_IN_USE', `ipc://${path}`, endpoint);
    expect(existsSync(path)).toBe(false);
  });

  it('refuses a port on which another kind of server listens', async () => {
    const other = createServer();
    closers.push(() => other.close());
    await expectRefused('ERR_MDP_ENDPOINT_IN_USE', `tcp://127.0.0.1:${await listening(other)}`);
  });

  it('refuses an ipc path on which somebody listens, and leaves it to him', async () => {
    const path = `ipc://${join(folder(), 's')}`;
    const first = await serve(path);
    await expectRefused('ERR_MDP_ENDPOINT_IN_USE', path);
    await dealer(path).send('hello');
    await first.untilMessages(1);
  });

  it('takes over the ipc path of a process that died', async () => {
    const path = join(folder(), 's');
    const abandon = fork('-e', [ABANDON, path], { execArgv: [], stdio: 'ignore' });
    await once(abandon, 'exit');
    expect(existsSync(path)).toBe(true);
    const server = await serve(`ipc://${path}`);
    await dealer(`ipc://${path}`).send('hello');
    await server.untilMessages(1);
  });

  describe('a name', () => {
    /** Addresses of a name, and what is told of it. */
    function named(...addresses: readonly string[]) {
      const told: BoundName[] = [];
      const names = {
        resolve: (name: string) => {
          expect(name).toBe('here.example');
          return Promise.resolve(addresses);
        },
        bound: (name: BoundName) => {
          told.push(name);
        },
      };
      const open = async (endpoint = 'tcp://here.example:0'): Promise<Server> => {
        const server = await Server.open(factory, [endpoint], { names });
        closers.push(() => server.transport.close(0));
        return server;
      };
      return { open, told };
    }

    async function refusalOf(opening: Promise<unknown>): Promise<string> {
      const refusal: unknown = await opening.catch((error: unknown) => error);
      expect(messageOf(refusal)).toContain('tcp://here.example:');
      return codeOf(refusal) ?? '';
    }

    it('is every address that it has, with one port on all of them', async () => {
      const { open, told } = named('127.0.0.1', '127.0.0.2', '127.0.0.3');
      const server = await open();
      const port = Number(/^tcp:\/\/here\.example:(\d+)$/.exec(server.endpoint)?.[1]);
      expect(told).toEqual([
        {
          name: `here.example:${port}`,
          addresses: ['127.0.0.1', '127.0.0.2', '127.0.0.3'],
          absent: [],
        },
      ]);
      for (const address of told[0]?.addresses ?? []) {
        const peer = dealer(`tcp://${address}:${port}`).read();
        await peer.send(`to ${address}`);
        const id = await server.peerOf(`to ${address}`);
        expect(server.infos[id]?.listener).toBe(0);
        server.send(id, 'back');
        server.transport.flush();
        await until(() => peer.received.length === 1, 'an answer');
      }
      await server.transport.close(0);
      for (const address of told[0]?.addresses ?? []) await serve(`tcp://${address}:${port}`);
    });

    it('may have addresses that this machine does not have: they are left out, and told', async () => {
      const { open, told } = named('198.51.100.7', '127.0.0.2', '198.51.100.8');
      const { endpoint } = await open();
      const name = endpoint.slice('tcp://'.length);
      expect(told).toEqual([
        { name, addresses: ['127.0.0.2'], absent: ['198.51.100.7', '198.51.100.8'] },
      ]);
      await expectRefused('ERR_MDP_ENDPOINT_IN_USE', endpoint.replace('here.example', '127.0.0.2'));
    });

    it('without any address of this machine is refused', async () => {
      const { open, told } = named('198.51.100.7');
      expect(await refusalOf(open())).toBe('ERR_MDP_ENDPOINT');
      expect(told).toEqual([]);
    });

    it('of which one address is in use is refused, and keeps nothing open', async () => {
      const [port = 0] = await freePorts(1);
      await serve(`tcp://127.0.0.2:${port}`);
      const { open, told } = named('127.0.0.1', '127.0.0.2');
      expect(await refusalOf(open(`tcp://here.example:${port}`))).toBe('ERR_MDP_ENDPOINT_IN_USE');
      expect(told).toEqual([]);
      await serve(`tcp://127.0.0.1:${port}`);
    });
  });

  const itOnLinux = process.platform === 'linux' ? it : it.skip;
  itOnLinux('reaches a peer on libzmq by an abstract name, which is no file', async () => {
    const name = `ipc://@majordomo-${process.pid}`;
    const server = await serve(name);
    await dealer(name).send('hello');
    await server.untilMessages(1);
    await expectRefused('ERR_MDP_ENDPOINT_IN_USE', name);
  });

  it('never removes a file that is no socket', async () => {
    const path = join(folder(), 'precious');
    writeFileSync(path, 'data');
    await expectRefused('ERR_MDP_ENDPOINT', `ipc://${path}`);
    expect(readFileSync(path, 'utf8')).toBe('data');
  });

  it.each([
    'http://127.0.0.1:0',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:99999',
    'tcp://198.51.100.7:5555',
    'ipc:///nowhere/at/all/s',
    `ipc:///tmp/${'long'.repeat(60)}`,
    'inproc://here',
    '',
  ])('refuses the endpoint %p', async (endpoint) => {
    await expectRefused('ERR_MDP_ENDPOINT', endpoint);
  });

  describe('closing', () => {
    it('gives output that waits time to leave, wherever it waits', async () => {
      const limits = { outputBytesMax: 64 << 20 };
      const server = await Server.open(factory, undefined, { limits });
      closers.push(() => server.transport.close(0));
      const peer = dealer(server.endpoint);
      await peer.send('hello');
      await server.untilMessages(1);
      const chunk = Buffer.alloc(64 << 10);
      for (let index = 0; index < CHUNKS; index++) server.send(0, String(index), chunk);
      const closed = server.transport.close(10_000);
      // Reads only after closing has come as far as it can without a reader.
      await delay(100);
      peer.read();
      await closed;
      await until(() => peer.received.length === CHUNKS, 'all messages');
    });

    it('waits no longer for a peer that does not read than it was told', async () => {
      const server = await serve();
      await dealer(server.endpoint).send('hello');
      await server.untilMessages(1);
      const chunk = Buffer.alloc(64 << 10);
      for (let index = 0; server.count('full') === 0; index++) {
        server.send(0, String(index), chunk);
        server.transport.flush();
        await turn();
      }
      await server.transport.close(50);
    });

    it('frees port and path, tells nothing more, and may be asked for twice', async () => {
      const path = join(folder(), 's');
      const server = await serve('tcp://127.0.0.1:0', `ipc://${path}`);
      const peer = dealer(server.endpoint);
      await peer.send('hello');
      await server.untilMessages(1);
      await Promise.all([server.transport.close(0), server.transport.close(0)]);
      expect(existsSync(path)).toBe(false);
      const told = [...server.told];
      server.send(0, 'too late');
      server.transport.flush();
      server.transport.disconnect(0);
      const next = await serve(server.endpoint, `ipc://${path}`);
      await peer.send('again');
      await next.untilMessages(1);
      expect(server.told).toEqual(told);
      await server.transport.close(0);
    });
  });
}
