import type { ListenerConfig } from '../../../src/config/entries.js';
import { endpointStatuses, reachedOrNull } from '../../../src/node/reached.js';

describe('where a node tells that it is reached', () => {
  it.each([
    ['http://127.0.0.1:5580', 'http://127.0.0.1:5580'],
    ['http://0.0.0.0:5580', 'http://*:5580'],
    ['https://[::]:5580', 'https://[::]:5580'],
    ['tcp://*:5555', 'tcp://*:5555'],
    ['tcp://0.0.0.0:5555', 'tcp://*:5555'],
    ['tcp://10.0.0.0:5555', 'tcp://10.0.0.0:5555'],
    ['unix:/run/http.sock', 'unix:/run/http.sock'],
    ['unix:http.sock', `unix:${process.cwd()}/http.sock`],
    ['ipc://run/broker.sock', `ipc://${process.cwd()}/run/broker.sock`],
    ['ipc://@broker', 'ipc://@broker'],
  ])('%s is %s to others', (bound, told) => expect(reachedOrNull(bound)).toBe(told));

  it('says of each listener whom it is for, and whether it wants keys', () => {
    const rest = { mmi: null, insecure: false, service: null, public: null } as const;
    const listeners: ListenerConfig[] = [
      { endpoint: 'tcp://*:1', client: ['*'], worker: [], ...rest, transport: 'zmtp' },
      {
        ...{ endpoint: 'tcp://a:2', client: [], worker: ['*'], ...rest, transport: 'zmtp' },
        curve: { secretKeyFile: 'broker.key', keysFile: 'keys.yaml' },
      },
      { endpoint: 'tcp://a:3', client: ['*'], worker: ['*'], ...rest, transport: 'zmtp' },
    ];
    expect(endpointStatuses(['tcp://0.0.0.0:1', 'tcp://a:2'], listeners)).toEqual([
      { endpoint: 'tcp://*:1', client: true, worker: false, curve: false },
      { endpoint: 'tcp://a:2', client: false, worker: true, curve: true },
    ]);
  });
});
