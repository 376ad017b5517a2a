import type { KeyPair } from '../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';
import { FACTORY, LIMITS, LinkRecord, Server } from '../../support/transport-fixture.js';
import { until } from '../../support/until.js';

const PER_PEER = 3;
const QUOTA_OF_BOB = 10;

describe('connections of keys at one address', () => {
  const closers: (() => unknown)[] = [];
  const pairs = new Map<string, KeyPair>();
  let host: KeyPair;
  let server: Server;

  beforeAll(async () => {
    const crypto = await loadSodium();
    host = crypto.keyPair();
    for (const name of ['alice', 'bob', 'carol']) pairs.set(name, crypto.keyPair());
  });

  afterEach(async () => {
    destroySockets();
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(): Promise<void> {
    const curve = {
      secretKeys: [host.secretKey],
      authorise: (publicKey: Buffer) => {
        const [name = ''] = [...pairs].find(([, pair]) => pair.publicKey.equals(publicKey)) ?? [];
        return { kind: 'allowed', name } as const;
      },
    };
    const limits = {
      connectionsPerIdentityMax: PER_PEER,
      connectionsPerKeyMax: (_: number, key: string) => (key === 'bob' ? QUOTA_OF_BOB : PER_PEER),
    };
    server = await Server.open(FACTORY, ['tcp://127.0.0.1:0'], { curve, limits });
    closers.push(() => server.transport.close(0));
  }

  function dial(name: string): () => Promise<void> {
    const pair = pairs.get(name) ?? host;
    const curve = { serverKey: host.publicKey, ...pair };
    const link = FACTORY.dial({ limits: LIMITS, curve })(server.endpoint, new LinkRecord());
    const close = (): Promise<void> => link.close(0);
    closers.push(close);
    return close;
  }

  /** One after the other: those that have not authenticated yet count for the address. */
  async function joins(name: string, count: number): Promise<(() => Promise<void>)[]> {
    const closes: (() => Promise<void>)[] = [];
    for (let left = count; left > 0; left--) {
      const before = server.count('connected');
      closes.push(dial(name));
      await until(() => server.count('connected') > before, `${name} to be let in`);
    }
    return closes;
  }

  const turnedAway = (reason: string): readonly Server['rejections'][number][] =>
    server.rejections.filter((one) => one.kind === 'connections' && one.reason === reason);

  it('count for their key and its quota: no key shuts out another (D75)', async () => {
    await serve();
    const [first] = await joins('alice', PER_PEER);
    await joins('bob', QUOTA_OF_BOB);
    await joins('carol', PER_PEER);
    expect(server.rejections).toEqual([]);
    // The refusal names the key.
    dial('alice');
    await until(() => turnedAway('the quota `connections` of its key is used up').length > 0, 'it');
    const [refused] = turnedAway('the quota `connections` of its key is used up');
    expect(refused?.from).toEqual({ address: '127.0.0.1', key: 'alice' });
    // It dials again, and takes the place of one that leaves.
    const before = server.count('connected');
    await first?.();
    await until(() => server.count('connected') > before, 'the late one to be let in');
  });

  it('count for the address until they have shown a key: these stay bounded', async () => {
    await serve();
    await joins('bob', QUOTA_OF_BOB);
    const silent = [];
    for (let count = 0; count < PER_PEER; count++) {
      silent.push(await new RawSocket(server.endpoint).connected());
    }
    await (await new RawSocket(server.endpoint).connected()).closed();
    const [refused] = turnedAway('limits.perPeer.connections is reached');
    expect(refused?.from).toEqual({ address: '127.0.0.1', key: null });
    for (const each of silent) each.socket.destroy();
    await joins('carol', PER_PEER);
  });
});
