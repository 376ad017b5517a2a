import { collide, parseDialEndpoint, parseEndpoint } from '../../../src/config/endpoint.js';
import { nearestName } from '../../../src/core/nearest.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import { formatSize, parseSize } from '../../../src/config/size.js';
import { load, OPEN, problemsOf } from './support.js';

describe('a size', () => {
  it('is an integer of bytes, or one with KiB, MiB, GiB or TiB', () => {
    expect([0, 4096, '4096', '64KiB', '16 MiB', '1GiB', '2TiB'].map(parseSize)).toEqual([
      0,
      4096,
      4096,
      65_536,
      16_777_216,
      2 ** 30,
      2 ** 41,
    ]);
    for (const wrong of ['', '16MB', '500kB', '1.5GiB', '-1', '1 B', ' 1', '0x10', '9999TiBs']) {
      expect(parseSize(wrong)).toBeNull();
    }
    for (const wrong of [-1, 1.5, NaN, Infinity, 2 ** 53]) expect(parseSize(wrong)).toBeNull();
    expect(parseSize('999999999999999TiB')).toBeNull();
  });

  it('is shown in the largest unit that is exact', () => {
    expect([1, 1024, 16_777_216, 2 ** 40, 1025].map(formatSize)).toEqual([
      '1',
      '1KiB',
      '16MiB',
      '1TiB',
      '1025',
    ]);
  });
});

describe('an endpoint', () => {
  const good = [
    'tcp://127.0.0.1:5555',
    'tcp://*:5555',
    'tcp://*:*',
    'tcp://0.0.0.0:0',
    'tcp://[::1]:65535',
    'tcp://[fe80::1%eth0]:1',
    'tcp://broker-1.example.org:1',
    'tcp://eth0:1',
    'ipc:///run/majordomo.sock',
    'ipc://@abstract',
    `ipc://${'a'.repeat(107)}`,
  ];
  const bad = [
    '',
    'tcp://',
    'tcp://:1',
    'tcp://h',
    'tcp://h:',
    'tcp://h:65536',
    'tcp://h:-1',
    'tcp://h:1x',
    'tcp://::1:1',
    'tcp://[::1',
    'tcp://[1:2]:1',
    'tcp://256.0.0.1:1',
    'tcp://1.2.3:1',
    'tcp://1.2.3.4.5:1',
    'tcp://a b:1',
    'tcp://a..b:1',
    'inproc://a',
    'udp://h:1',
    'TCP://h:1',
    'ipc://',
    'ipc://*',
    `ipc://${'a'.repeat(108)}`,
    `ipc://${'ä'.repeat(54)}`,
    'ipc://a\0b',
  ];

  it.each(good)('may be %s', (text) => expect(parseEndpoint(text)).toMatchObject({ ok: true }));

  it.each(bad)('may not be %j', (text) => expect(parseEndpoint(text)).toMatchObject({ ok: false }));

  it('without a scheme is told the one that was meant', () => {
    expect(parseEndpoint('127.0.0.1:5555')).toEqual({
      ok: false,
      why: 'it does not begin with tcp:// or ipc://; did you mean tcp://127.0.0.1:5555',
    });
  });

  it('that is dialled needs a host and a port', () => {
    for (const text of ['tcp://*:1', 'tcp://h:0', 'tcp://h:*']) {
      expect(parseDialEndpoint(text).ok).toBe(false);
    }
    expect(parseDialEndpoint('ipc://a').ok).toBe(true);
  });

  it('collides with what binds the same port on the same interface', () => {
    const clash = (left: string, right: string): boolean => {
      const [a, b] = [parseEndpoint(left), parseEndpoint(right)];
      return a.ok && b.ok && collide(a.value, b.value);
    };
    expect(clash('tcp://h:1', 'tcp://H:1')).toBe(true);
    expect(clash('tcp://0.0.0.0:1', 'tcp://h:1')).toBe(true);
    expect(clash('tcp://h:1', 'tcp://h:2')).toBe(false);
    expect(clash('tcp://a:1', 'tcp://b:1')).toBe(false);
    expect(clash('tcp://h:0', 'tcp://h:0')).toBe(false);
    expect(clash('tcp://h:1', 'ipc://h:1')).toBe(false);
  });
});

describe('the nearest name', () => {
  it('is found by edit distance, and by words where much was left out', () => {
    const known = ['heartbeatIntervalMs', 'heartbeatLiveness', 'requestTtlMs'];
    expect(nearestName('heartbeetintervalms', known)).toBe('heartbeatIntervalMs');
    expect(nearestName('heartbeatMs', known)).toBe('heartbeatIntervalMs');
    expect(nearestName('completelyElse', known)).toBeNull();
    expect(nearestName('', known)).toBeNull();
    expect(nearestName('x'.repeat(1000), known)).toBeNull();
  });

  it('forgives a third of the letters: inserted, left out, replaced or swapped', () => {
    for (const near of ['levels', 'leel', 'lexel', 'lveel', 'LEVEL']) {
      expect([near, nearestName(near, ['format', 'level'])]).toEqual([near, 'level']);
    }
    expect(nearestName('lxxxl', ['format', 'level'])).toBeNull();
  });
});

describe('every key with a range', () => {
  const rows = Object.entries(SECTIONS).flatMap(([section, { keys }]) =>
    Object.entries(keys)
      .filter(([, row]) => ['durationMs', 'count', 'size'].includes(row.kind ?? ''))
      .map(([key, row]) => [`${section}.${key}`, row] as const),
  );

  const bound = (value: number | string = NaN): number => parseSize(value) ?? NaN;

  it.each(rows)('%s takes its bounds and refuses what is beyond', (path, row) => {
    const [min, max] = [bound(row.min), bound(row.max)];
    const about = (value: number): string[] =>
      problemsOf({ sets: [`${path}=${value}`] }).filter((line) => line.includes('expected'));
    expect([about(min), about(max)]).toEqual([[], []]);
    expect([about(min - 1), about(max + 1)]).toEqual([
      [expect.stringContaining(path)],
      [expect.stringContaining(path)],
    ]);
    expect(row.default ?? row.none ?? null).not.toBeNull();
  });
});

describe('listeners', () => {
  it('are a list in the effective configuration, however they were written', () => {
    const listen = (value: string): unknown =>
      load({ sets: [`broker.listen=${value}`] }).config.broker.listen;
    expect(listen('tcp://*:1')).toEqual([{ endpoint: 'tcp://*:1', ...OPEN }]);
    expect(listen('[tcp://*:1, ipc://a]')).toEqual([
      { endpoint: 'tcp://*:1', ...OPEN },
      { endpoint: 'ipc://a', ...OPEN },
    ]);
    expect(listen('[{endpoint: tcp://*:1, allow: [worker]}, ipc://a]')).toEqual([
      { endpoint: 'tcp://*:1', ...OPEN, client: [] },
      { endpoint: 'ipc://a', ...OPEN },
    ]);
    expect(problemsOf({ sets: ['broker.listen=[]'] })).toHaveLength(1);
    expect(problemsOf({ sets: ['broker.listen={endpoint: tcp://*:1}'] })).toHaveLength(1);
  });
  it('have globs over the services that may be asked for and offered there (D72)', () => {
    const grants = (value: string): unknown => {
      const [first] = load({ sets: [`broker.listen=[{endpoint: tcp://*:1, ${value}}]`] }).config
        .broker.listen;
      return [first?.client, first?.worker];
    };
    expect(grants('client: [a, b.*]')).toEqual([['a', 'b.*'], []]);
    expect(grants('worker: [], allow: [client]')).toEqual([['*'], []]);
    expect(grants('client: [a], worker: [b?]')).toEqual([['a'], ['b?']]);
    expect(grants('mmi: minimal')).toEqual([['*'], ['*']]);
  });

  it('cannot have a role in both forms, be open and sealed, or have two keys of libzmq', () => {
    const wrong = (value: string): string[] =>
      problemsOf({ sets: [`broker.listen=[{endpoint: tcp://*:1, ${value}}]`] });
    const curve = 'curve: {secretKeyFile: [a, b], keysFile: k}';
    expect(wrong('allow: [client], client: [a], mmi: half, worker: ["%"]')).toEqual([
      '--set #1: broker.listen[0].worker[0]: expected a service name, 1 to 255 characters, ' +
        '* and ? allowed (escape bytes as %2A, and % as %25), got "%"',
      '--set #1: broker.listen[0].mmi: expected full or minimal, got "half"',
    ]);
    expect(wrong('allow: [client], client: [a]')).toEqual([
      '--set #1: broker.listen[0].client: is also in allow: remove client from allow, or ' +
        'use only allow and services, got a list',
    ]);
    expect(wrong(`insecure: true, ${curve}`)).toEqual([
      '--set #1: broker.listen[0].insecure: contradicts curve: remove one ' + 'of the two',
    ]);
    expect(wrong(`transport: libzmq, ${curve}`)).toEqual([
      '--set #1: broker.listen[0].curve.secretKeyFile: transport libzmq supports one secret key only; use ' +
        'transport zmtp for two',
    ]);
    expect(wrong(curve.replace('[a, b]', '[a, b, c]'))).toHaveLength(1);
    expect(wrong(curve)).toEqual([]);
  });
});

describe('http.listen', () => {
  const tls = 'http.tls={certFile: a, keyFile: b}';

  it.each([
    [['http.listen=127.0.0.1:5580']],
    [['http.listen=http://127.0.0.1:5580']],
    [['http.listen=http://[::1]:0']],
    [['http.listen=https://0.0.0.0:443', tls]],
  ])('can be an address, or the URL that serve prints: %j', (sets) => {
    expect(problemsOf({ sets })).toEqual([]);
  });

  it.each([
    [['http.listen=https://127.0.0.1:5580'], 'https needs http.tls'],
    [['http.listen=http://127.0.0.1:5580', tls], 'with http.tls it is https'],
    [['http.listen=http://127.0.0.1'], 'the port is missing'],
    [['http.listen=http://127.0.0.1:5580/page'], 'the port is not a number'],
  ])('cannot be %j', (sets, why) => expect(problemsOf({ sets }).join('\n')).toContain(why));
});

describe('a URL that is refused', () => {
  it.each([
    ['http.publicUrl=http://me:secret@a.example', 'http://…@a.example'],
    ['http.publicUrl=http://a.example/?token=secret', 'http://a.example/?…'],
    ['fleet.nats=nats://me:secret@a:4222', 'nats://…@a:4222'],
    ['fleet.nats=[nats://a, nats://me:secret@b]', 'nats://…@b'],
    ['fleet.nats=me:secret@a:4222', '…@a:4222'],
    ['titanic.store=postgresql://me:secret@db/queue', ''],
    ['titanic.store=postgresql://me:sec/ret@db/queue', ''],
    ['broker.listen=tcp://me:secret@*:5555', 'tcp://…@*:5555'],
    ['bstar.peer=tcp://me:secret@a:5590', 'tcp://…@a:5590'],
    ['http.listen=http://me:secret@127.0.0.1:5580', 'http://…@127.0.0.1:5580'],
    ['events.listen=tcp://me:secret@a:1', 'tcp://…@a:1'],
  ])('is shown without its password: %s', (set, shown) => {
    const said = problemsOf({ sets: [set] }).join('\n');
    expect(said).not.toMatch(/sec|ret/);
    expect(said).toContain(shown);
  });
});

describe('http.publicUrl', () => {
  it.each(['http://a.example', 'https://a.example:8443/left/'])('can be %s', (url) => {
    expect(problemsOf({ sets: [`http.publicUrl=${url}`] })).toEqual([]);
  });

  it.each([
    'javascript:alert(1)',
    'ftp://a.example',
    'http://user:secret@a.example',
    'http://a.example/?token=x',
    'http://a.example/#x',
    'http://a.example:99999',
    "http://a.example/it's",
  ])('cannot be %s', (url) => {
    const [problem] = problemsOf({ sets: [`http.publicUrl=${url}`] });
    expect(problem).toContain('http.publicUrl: expected `http://…` or `https://…`, without');
  });
});
