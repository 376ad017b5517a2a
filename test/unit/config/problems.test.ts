import { problemsOf } from './support.js';

const WRONG = `broker:
  listen:
    - tcp://*:5555
    - endpoint: ipc:///run/x
      alow: [client]
    - {endpoint: tcp://h:70000, transport: zmpt, allow: [worke]}
    - 5
    - {allow: []}
  heartbeetIntervalMs: 5
  heartbeatLiveness: 0
limit: {}
limits:
  messageBytes: 1.5
  outputBytes: 500kB
titanic:
  enabled: yes
  retryBaseMs: 90000
http:
  token: 12345
bstar:
  role: primry
node:
  name: 5
__proto__: {a: 1}
`;

describe('a configuration with many faults', () => {
  it('has all of them reported in one run, in the order of the file, each at its place', () => {
    expect(problemsOf({ text: WRONG, sets: ['log.level=inf'] })).toEqual([
      'FILE:5:7: broker.listen[1].alow: unknown key; did you mean allow',
      'FILE:6:18: broker.listen[2].endpoint: expected an endpoint (tcp://host:port or ' +
        'ipc://path): the port is not a number from 0 to 65535, got "tcp://h:70000"',
      'FILE:6:44: broker.listen[2].transport: expected zmtp or libzmq, ' +
        'got "zmpt"; did you mean zmtp',
      'FILE:6:58: broker.listen[2].allow[0]: expected client or worker, got "worke"; did you ' +
        'mean worker',
      'FILE:7:7: broker.listen[3]: expected an endpoint or {endpoint, allow, client, worker, ' +
        'mmi, service, public, insecure, transport, curve}, got 5',
      'FILE:8:7: broker.listen[4].endpoint: is missing',
      'FILE:8:15: broker.listen[4].allow: expected a non-empty list of client, worker, ' +
        'got a list',
      'FILE:9:3: broker.heartbeetIntervalMs: unknown key; did you mean heartbeatIntervalMs',
      'FILE:10:22: broker.heartbeatLiveness: expected an integer from 2 to 100, got 0',
      'FILE:11:1: limit: unknown key; did you mean limits',
      'FILE:13:17: limits.messageBytes: expected a size from 1KiB to 1GiB (bytes, ' +
        'or an integer with KiB, MiB, GiB or TiB), got 1.5',
      'FILE:14:16: limits.outputBytes: expected a size from 1KiB to 16GiB (bytes, ' +
        'or an integer with KiB, MiB, GiB or TiB), got "500kB"',
      'FILE:16:12: titanic.enabled: expected true or false, got "yes"',
      'FILE:17:16: titanic.retryMaxMs: 60000 is below titanic.retryBaseMs 90000',
      'FILE:19:10: http.token: expected 16 to 512 characters of printable ASCII without spaces, ' +
        'or a list of two such texts',
      'FILE:21:9: bstar.role: expected standalone, primary or backup, got "primry"; did you ' +
        'mean primary',
      'FILE:23:9: node.name: expected text of 1 to 255 characters, without line breaks, got 5; ' +
        'quote it',
      'FILE:24:1: __proto__: unknown key',
      '--set #1: log.level: expected trace, debug, info, warn, error, fatal or silent, got ' +
        '"inf"; did you mean info',
    ]);
  });

  it('never shows a secret, not even a wrong one', () => {
    const shown = problemsOf({
      text: 'http: {token: hush hush hush hush}',
      environment: { MAJORDOMO_HTTP__TOKEN: '[hush' },
    });
    expect(shown).toHaveLength(2);
    expect(shown.join('\n')).not.toContain('hush');
  });

  it('is cut off in the text after a hundred lines', () => {
    const text = Array.from({ length: 150 }, (_, index) => `key${index}: 1`).join('\n');
    const lines = problemsOf({ text });
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('… and 50 more');
  });
});

describe('keys that must fit together', () => {
  const cases: readonly [string, string, readonly string[]][] = [
    [
      'what the broker, the pair and HTTP bind must be apart',
      'broker: {listen: ["tcp://*:1", "tcp://127.0.0.1:1", "ipc://a", "ipc://a"]}\n' +
        'http: {listen: "h:1"}\nbstar: {listen: "ipc://a"}',
      [
        'FILE:1:32: broker.listen[1]: tcp://127.0.0.1:1 cannot be bound beside tcp://*:1',
        'FILE:1:64: broker.listen[3]: ipc://a cannot be bound beside ipc://a',
        'FILE:2:16: http.listen: h:1 cannot be bound beside broker.listen tcp://*:1',
        'FILE:3:17: bstar.listen: ipc://a cannot be bound beside broker.listen ipc://a',
      ],
    ],
    [
      'a pair needs both endpoints',
      'bstar: {role: backup}',
      [
        'FILE:1:15: bstar.role: backup needs bstar.listen',
        'FILE:1:15: bstar.role: backup needs bstar.peer',
      ],
    ],
    [
      'a node is not its own peer',
      'bstar: {listen: "tcp://h:1", peer: "tcp://h:1"}',
      ['FILE:1:36: bstar.peer: equals bstar.listen: a node cannot be its own peer'],
    ],
    [
      'a peer must be one that can be dialled',
      'bstar: {peer: "tcp://*:1"}',
      [
        "FILE:1:15: bstar.peer: expected the peer's endpoint (tcp://host:port or ipc://path): " +
          'cannot connect to *: give the host, got "tcp://*:1"',
      ],
    ],
    [
      'replication needs a pair',
      'titanic: {replication: strict}',
      ['FILE:1:24: titanic.replication: strict needs a pair: set bstar.role, or replication: off'],
    ],
    [
      'one peer must be able to get the largest message',
      'limits: {messageBytes: 128MiB}',
      [
        'FILE:1:24: limits.outputBytes: 64MiB is below limits.messageBytes 128MiB: the largest ' +
          'message could not be sent',
      ],
    ],
    [
      'libzmq asks nobody who may come in over ipc',
      'broker: {listen: [{endpoint: "ipc://a", transport: libzmq, curve: {secretKeyFile: a, ' +
        'keysFile: b}}, {endpoint: "ipc://b", curve: {secretKeyFile: a, keysFile: b}}]}',
      [
        'FILE:1:67: broker.listen[0].curve: transport libzmq supports CURVE on tcp:// only; use ' +
          'transport zmtp',
      ],
    ],
  ];

  it.each(cases)('%s', (_, text, lines) => expect(problemsOf({ text })).toEqual(lines));
});
