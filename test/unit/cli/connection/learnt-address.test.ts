import { parseAdminAddress } from '../../../../src/cli/connection/admin-address.js';
import {
  learntEndpoint,
  learntHttpAddress,
  type LearntAddress,
  type Want,
} from '../../../../src/cli/connection/learnt-address.js';
import { messageOf } from '../../../../src/core/errors.js';

const REMOTE = 'tcp://mq.example:5555';
const HERE = 'tcp://127.0.0.1:5555';
const SOCKET = 'ipc:///run/m/broker.sock';

interface Told {
  readonly http?: unknown;
  readonly publicUrl?: unknown;
}

const tells = (told: Told, endpoint: string, isSealed = false): LearntAddress =>
  learntHttpAddress({ publicUrl: null, ...told }, endpoint, isSealed, undefined);

/** The address that is taken, and whether the token goes there. */
function taken(told: Told, endpoint: string, isSealed = false): readonly [string, boolean] {
  const { place, isTrusted } = tells(told, endpoint, isSealed);
  return [place.socketPath === null ? place.url.href : place.name, isTrusted];
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_NOT_LEARNT' });
    return messageOf(error);
  }
  throw new Error('it was taken');
}

describe('an HTTP address that a broker tells', () => {
  it('that is every address is the host by which the broker was asked', () => {
    const ofV4 = { http: 'http://*:5580' };
    expect(taken(ofV4, HERE)[0]).toBe('http://127.0.0.1:5580/');
    expect(taken(ofV4, REMOTE)[0]).toBe('http://mq.example:5580/');
    expect(taken(ofV4, SOCKET)[0]).toBe('http://127.0.0.1:5580/');
    expect(taken(ofV4, 'tcp://[::1]:5555')[0]).toBe('http://127.0.0.1:5580/');
    expect(taken({ http: 'https://0.0.0.0:5580' }, REMOTE)[0]).toBe('https://mq.example:5580/');
    const ofAll = { http: 'http://[::]:5580' };
    expect(taken(ofAll, SOCKET)[0]).toBe('http://[::1]:5580/');
    expect(taken(ofAll, 'tcp://[fd00::2]:5555')[0]).toBe('http://[fd00::2]:5580/');
  });

  it.each([
    // On this machine: whatever name it has.
    ['http://127.0.0.1:5580', HERE, false, true],
    ['http://localhost:5580', HERE, false, true],
    ['http://[::1]:5580', SOCKET, false, true],
    ['unix:/run/m/http.sock', SOCKET, false, true],
    ['unix:/run/m/http.sock', HERE, false, true],
    ['https://mq.example:5580', HERE, false, false],
    ['https://mq.example:5580', HERE, true, false],
    ['http://127.0.0.1.evil.example:5580', HERE, false, false],
    // Over a network: the host that was named, where nobody else can read it or have made it up.
    ['https://mq.example:5580', REMOTE, false, true],
    ['https://MQ.example.:5580', REMOTE, false, true],
    ['https://*:5580', REMOTE, false, true],
    ['http://*:5580', REMOTE, true, true],
    ['http://*:5580', REMOTE, false, false],
    ['http://mq.example:5580', REMOTE, false, false],
    // Another host, however it was asked.
    ['https://evil.example', REMOTE, false, false],
    ['https://evil.example', REMOTE, true, false],
    ['https://mq.example.evil.example', REMOTE, false, false],
    ['https://sub.mq.example', REMOTE, false, false],
  ])('%s, told at %s (with keys: %s): the token goes there: %s', (http, endpoint, sealed, goes) => {
    expect(taken({ http }, endpoint, sealed)[1]).toBe(goes);
  });

  it('is the one of two to which the token may go, else that for people', () => {
    const both = { http: 'http://127.0.0.1:5580', publicUrl: 'https://mq.example/broker/' };
    expect(taken(both, HERE)).toEqual(['http://127.0.0.1:5580/', true]);
    expect(taken(both, REMOTE)).toEqual(['https://mq.example/broker/', true]);
    expect(taken(both, 'tcp://other.example:5555')).toEqual(['https://mq.example/broker/', false]);
    const bound = { http: 'https://*:5580', publicUrl: 'https://pages.example/' };
    expect(taken(bound, REMOTE)).toEqual(['https://mq.example:5580/', true]);
  });

  it.each([
    'http://127.0.0.1:5580',
    'http://2130706433:5580',
    'http://0:5580',
    'http://[::ffff:127.0.0.1]:5580',
    'http://localhost:5580',
    'unix:/var/run/docker.sock',
  ])('of another machine’s own is not looked for on this one: %s', (http) => {
    const said = refusal(() => tells({ http }, REMOTE));
    expect(said).toContain('only on its own machine');
    expect(said).toContain('--admin');
  });

  it.each([
    ['javascript:alert(1)', 'neither http:// nor https://'],
    ['file:///etc/passwd', 'neither http:// nor https://'],
    ['tcp://mq.example:5580', 'neither http:// nor https://'],
    ['', 'neither http:// nor https://'],
    ['http://a\u001b[2J:5580', 'control characters'],
    ['http://a\r\nb:5580', 'control characters'],
    ['http://a\u202eb:5580', 'control characters'],
    ['http://me:secret@mq.example:5580', 'a user or password'],
    ['http://:secret@mq.example', 'a user or password'],
    ['http://*:5580@evil.example', 'a user or password'],
    ['http://mq.example/?next=x', 'a query'],
    ['http://mq.example/#x', 'a query'],
    ['http://mq.example:99999', 'not a URL'],
    ['http://', 'not a URL'],
    ['unix:run/http.sock', 'not an absolute path'],
    [`http://${'a'.repeat(1024)}`, 'over 1024 characters'],
    [5580, 'not a string'],
    [{ url: 'http://a' }, 'not a string'],
  ])('is refused, and why is said: %j', (http, why) => {
    for (const told of [{ http }, { http: 'http://*:5580', publicUrl: http }]) {
      const said = refusal(() => tells(told, HERE));
      expect(said).toContain(why);
      expect(said).toContain('--admin');
      expect(said).not.toMatch(/\p{C}|secret/u);
      expect(said.length).toBeLessThan(300);
    }
  });

  it('is missing where a broker is older or a listener tells the least, or HTTP is off', () => {
    expect(refusal(() => learntHttpAddress({}, REMOTE, false, undefined))).toContain(
      'an older version',
    );
    const off = refusal(() => tells({ http: null, publicUrl: 'https://mq.example' }, REMOTE));
    expect(off).toContain('http.listen: off');
  });
});

describe('endpoints that a node tells', () => {
  const listener = (endpoint: unknown, more: object = {}): object => {
    return { endpoint, client: true, worker: true, curve: false, ...more };
  };
  const CLIENT: Want = { client: true, worker: false, curve: false };
  const WORKER: Want = { client: false, worker: true, curve: false };
  const from = (url: string, endpoints: unknown, want = CLIENT): string =>
    learntEndpoint({ endpoints }, parseAdminAddress(url, '--admin', undefined), want);
  const AWAY = 'http://mq.example:5580';
  const NEAR = 'http://127.0.0.1:5580';

  it('that are every address are the host by which HTTP was asked', () => {
    const every = [listener('tcp://*:5555')];
    expect(from(AWAY, every)).toBe('tcp://mq.example:5555');
    expect(from(NEAR, every)).toBe('tcp://127.0.0.1:5555');
    expect(from('unix:/run/http.sock', every)).toBe('tcp://127.0.0.1:5555');
    expect(from('http://[fd00::2]:1', [listener('tcp://[::]:5555')])).toBe('tcp://[fd00::2]:5555');
  });

  it('are the first that is for what is wanted', () => {
    const some = [
      listener('tcp://*:1', { client: false }),
      listener('tcp://*:2', { curve: true }),
      listener('tcp://*:3', { worker: false }),
      listener('tcp://*:4'),
    ];
    expect(from(AWAY, some)).toBe('tcp://mq.example:3');
    expect(from(AWAY, some, WORKER)).toBe('tcp://mq.example:1');
    expect(from(AWAY, some, { ...CLIENT, worker: true })).toBe('tcp://mq.example:4');
    expect(from(AWAY, some, { ...CLIENT, curve: true })).toBe('tcp://mq.example:2');
  });

  it('of another machine’s own are passed over, and taken on this one', () => {
    const own = [listener('ipc:///run/m/broker.sock'), listener('tcp://127.0.0.1:1')];
    expect(from(AWAY, [...own, listener('tcp://10.0.0.5:2')])).toBe('tcp://10.0.0.5:2');
    expect(refusal(() => from(AWAY, own))).toContain('only on its own machine');
    expect(refusal(() => from(AWAY, [listener('tcp://[::ffff:127.0.0.1]:6379')]))).toContain('own');
    expect(from(NEAR, own)).toBe('ipc:///run/m/broker.sock');
  });

  it('that do not suit are told, and what would', () => {
    const sealed = [listener('tcp://*:1', { curve: true })];
    expect(refusal(() => from(AWAY, sealed))).toContain('--curve-server-key');
    const open = [listener('tcp://*:1', { worker: false })];
    expect(refusal(() => from(AWAY, open, { ...CLIENT, curve: true }))).toContain(
      'no listener with',
    );
    expect(refusal(() => from(AWAY, open, WORKER))).toContain('no listener for workers');
    expect(refusal(() => from(AWAY, []))).toContain('does not listen yet');
    expect(refusal(() => from(AWAY, undefined))).toContain('an older version');
  });

  it.each([
    ['tcp://*:1'],
    [Array.from({ length: 65 }, () => listener('tcp://*:1'))],
    [[null]],
    [['tcp://*:1']],
    [[{ endpoint: 'tcp://*:1' }]],
    [[listener(5555)]],
    [[listener('tcp://a\u001b[2J:1')]],
    [[listener('http://a:1')]],
    [[listener('tcp://me:secret@a:1')]],
    [[listener('tcp://a:0')]],
    [[listener(`tcp://${'a'.repeat(1024)}:1`)]],
  ])('are refused where they are none: %j', (endpoints) => {
    const said = refusal(() => from(AWAY, endpoints));
    expect(said).toMatch(/not accepted|unexpected answer/);
    expect(said).not.toMatch(/\p{C}|secret/u);
    expect(said.length).toBeLessThan(300);
  });
});
