import { parseEndpoint } from '../../../src/config/endpoint.js';
import { exposures, listenersInFull, refuseExposed } from '../../../src/config/io/exposure.js';
import { isLoopback } from '../../../src/config/io/loopback.js';
import type { Resolve } from '../../../src/zmtp/sockets/names.js';
import { codeOf } from '../../../src/core/errors.js';
import { load } from './support.js';

const NAMES: Readonly<Record<string, readonly string[]>> = {
  here: ['127.0.0.1', '::1'],
  both: ['127.0.0.1', '192.0.2.7'],
  there: ['192.0.2.7'],
  // Also the name of an interface, which is not meant if it is connected to.
  lo: ['192.0.2.7'],
};

const resolve: Resolve = (name) => Promise.resolve(NAMES[name] ?? []);

async function on(text: string): Promise<boolean> {
  const parsed = parseEndpoint(text);
  if (!parsed.ok) throw new Error(parsed.why);
  return await isLoopback(parsed.value, resolve);
}

describe('isLoopback (D78)', () => {
  it.each(['tcp://127.0.0.1:1', 'tcp://127.9.8.7:1', 'tcp://[::1]:1', 'tcp://[0:0:0:0:0:0:0:1]:1'])(
    '%s is on loopback',
    async (endpoint) => expect(await on(endpoint)).toBe(true),
  );

  it.each(['tcp://[::ffff:127.0.0.1]:1', 'tcp://[::1%lo]:1', 'ipc:///tmp/mdp', 'tcp://here:1'])(
    '%s is, too',
    async (endpoint) => expect(await on(endpoint)).toBe(true),
  );

  it.each([
    'tcp://*:1',
    'tcp://0.0.0.0:1',
    'tcp://[::]:1',
    'tcp://128.0.0.1:1',
    'tcp://[fe80::1%eth0]:1',
    'tcp://[::ffff:10.0.0.1]:1',
    'tcp://there:1',
    'tcp://lo:1',
  ])('%s is not', async (endpoint) => expect(await on(endpoint)).toBe(false));

  it('a name with one address elsewhere is not, nor one that nobody knows', async () => {
    expect(await on('tcp://both:1')).toBe(false);
    expect(await on('tcp://unknown:1')).toBe(false);
  });

  it('asks the system for localhost', async () => {
    expect(await isLoopback({ scheme: 'tcp', host: 'localhost', port: 1 })).toBe(true);
  });
});

const PAIR = [
  'node: { name: a }',
  'bstar:',
  '  role: primary',
  '  listen: tcp://127.0.0.1:5590',
  '  peer: tcp://127.0.0.2:5591',
];

describe('the link of a pair (D78)', () => {
  async function found(text: readonly string[]): Promise<string[]> {
    const problems = await exposures(load({ text: text.join('\n') }));
    return problems.map(({ place, path }) => `${/\d+:\d+$/.exec(place)?.[0] ?? place} ${path}`);
  }

  it('needs no keys on loopback', async () => expect(await found(PAIR)).toEqual([]));

  it('needs them where it listens for others', async () => {
    const open = PAIR.map((line) => line.replace('127.0.0.1:5590', '0.0.0.0:5590'));
    expect(await found(open)).toEqual(['4:11 bstar.listen']);
    await expect(refuseExposed(load({ text: open.join('\n') })).catch(codeOf)).resolves.toBe(
      'ERR_CONFIG_INVALID',
    );
  });

  it('needs them where it dials others: who answers there is believed, too', async () => {
    const open = PAIR.map((line) => line.replace('127.0.0.2:5591', '192.0.2.7:5590'));
    expect(await found(open)).toEqual(['5:9 bstar.peer']);
  });

  it('says how they are made, and the line that this node needs', async () => {
    const open = PAIR.map((line) => line.replace('127.0.0.1:5590', '0.0.0.0:5590'));
    const [problem] = await exposures(load({ text: open.join('\n') }));
    expect(problem?.message).toContain('majordomo keygen --pair keys');
    expect(problem?.message).toContain(
      'bstar.curve: {secretKeyFile: keys/primary.key, keysFile: keys/keys.yaml',
    );
  });

  it('is open with keys wherever it is', async () => {
    const keys = '{ secretKeyFile: a.key, keysFile: keys.yaml }';
    const open = PAIR.map((line) => line.replace('127.0.0.1:5590', '0.0.0.0:5590'));
    expect(await found([...open, `  curve: ${keys}`])).toEqual([]);
  });

  it('is no matter of a broker that stands alone', async () => {
    expect(await found(['bstar: { listen: "tcp://*:5590" }'])).toEqual([]);
  });
});

describe('a listener of the broker (D78)', () => {
  const CURVE = 'curve: {secretKeyFile: a, keysFile: b}';

  async function wrong(...listeners: readonly string[]): Promise<string[]> {
    const problems = await exposures(load({ text: `broker: {listen: [${listeners.join(', ')}]}` }));
    return problems.map(({ path }) => path);
  }

  it('off loopback has keys, or says that it is open', async () => {
    expect(await wrong('"tcp://*:1"')).toEqual(['broker.listen[0]']);
    expect(await wrong('ipc://a', '{endpoint: "tcp://192.0.2.7:1", allow: [client]}')).toEqual([
      'broker.listen[1]',
    ]);
    expect(await wrong('{endpoint: "tcp://*:1", insecure: true}')).toEqual([]);
    expect(await wrong(`{endpoint: "tcp://*:1", ${CURVE}}`)).toEqual([]);
    expect(await wrong('"tcp://127.0.0.1:1"', '"tcp://localhost:2"', 'ipc://a')).toEqual([]);
  });

  it('is told both lines that mend it', async () => {
    const [problem] = await exposures(load({ text: 'broker: {listen: "tcp://*:5555"}' }));
    expect(problem?.message).toContain(
      "{endpoint: 'tcp://*:5555', curve: {secretKeyFile: broker.key, keysFile: keys.yaml}}",
    );
    expect(problem?.message).toContain("{endpoint: 'tcp://*:5555', insecure: true}");
  });

  it('tells the least by MMI where anybody comes in over a network, unless it says so (D74)', async () => {
    const text = `broker: {listen: [
      {endpoint: "tcp://*:1", insecure: true}, {endpoint: "tcp://*:2", insecure: true, mmi: full},
      {endpoint: "tcp://*:3", ${CURVE}}, "tcp://127.0.0.1:4", ipc://a,
      {endpoint: ipc://b, mmi: minimal}]}`;
    const listeners = await listenersInFull(load({ text }).config);
    expect(listeners.map(({ mmi }) => mmi)).toEqual([
      'minimal',
      'full',
      'full',
      'full',
      'full',
      'minimal',
    ]);
  });
});
