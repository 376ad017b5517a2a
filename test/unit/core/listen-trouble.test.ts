import { MajordomoError } from '../../../src/core/errors.js';
import { listenFor, listenText } from '../../../src/core/listen-trouble.js';

const IN_USE = { code: 'EADDRINUSE' };

describe('an address where the node cannot listen', () => {
  it.each([
    [
      ['http.listen', '127.0.0.1:8080'],
      "find it with: ss -ltnp 'sport = :8080'; or choose another port: --set http.listen=127.0.0.1:PORT",
    ],
    [['bstar.listen', 'tcp://10.0.0.1:5556'], '--set bstar.listen=tcp://10.0.0.1:PORT'],
    [['http.listen', '[::1]:8080'], `--set 'http.listen="[::1]:PORT"'`],
    [['broker.listen', 'tcp://*:5555'], `--set 'broker.listen="tcp://*:PORT"'`],
    [
      ['broker.listen', 'ipc:///run/m'],
      'ss -lxp src /run/m; or choose another path in broker.listen',
    ],
    [['http.listen', 'unix:/run/h'], 'ss -lxp src /run/h; or choose another path in http.listen'],
  ] as const)(
    'in use: %j says who may use it, and how to choose another',
    ([key, address], end) => {
      const text = listenText(IN_USE, key, address);
      const start = `cannot listen on ${key} ${address}: another process uses it, perhaps another broker; `;
      expect(text.startsWith(start)).toBe(true);
      expect(text.endsWith(end)).toBe(true);
    },
  );

  it.each([
    [
      'EACCES',
      'tcp://*:80',
      'this user may not listen there; choose a port above 1023, or set Amb',
    ],
    [
      'EACCES',
      'ipc:///root/m',
      'this user may not listen there, or there is no such directory; choose another path',
    ],
    [
      'EADDRNOTAVAIL',
      'tcp://1.2.3.4:80',
      'this machine does not have that address; see: ip address',
    ],
    ['ENOENT', 'ipc:///no/m', 'it failed; correct k'],
  ])('%s at %s says what to do', (code, address, says) => {
    const text = listenText(Object.assign(new Error('it failed'), { code }), 'k', address);
    expect(text).toContain(`cannot listen on k ${address}: ${says}`);
  });

  it('named by a transport, keeps its code and gets the key; other errors stay as they are', async () => {
    const details = { endpoint: 'tcp://127.0.0.1:5555' };
    const refuse = (code: string, cause?: unknown): Promise<unknown> =>
      listenFor('broker.listen', () =>
        Promise.reject(new MajordomoError(code, 'as it was', { cause, details })),
      );
    await expect(refuse('ERR_MDP_ENDPOINT_IN_USE')).rejects.toMatchObject({
      code: 'ERR_MDP_ENDPOINT_IN_USE',
      message: listenText(IN_USE, 'broker.listen', details.endpoint),
    });
    await expect(refuse('ERR_MDP_ENDPOINT', { code: 'EACCES' })).rejects.toMatchObject({
      code: 'ERR_MDP_ENDPOINT',
      message: listenText({ code: 'EACCES' }, 'broker.listen', details.endpoint),
    });
    await expect(refuse('ERR_MDP_ENDPOINT')).rejects.toThrow('as it was');
    await expect(listenFor('k', () => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
  });
});
