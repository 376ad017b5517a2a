import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { codeOf } from '../../../src/core/errors.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { load, problemsOf } from './support.js';

function codeThrown(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}

describe('the order of the sources', () => {
  const text = 'broker:\n  requestTtlMs: 1\n  maxDeliveries: 1\n  heartbeatLiveness: 11\n';
  const environment = {
    MAJORDOMO_BROKER__REQUEST_TTL_MS: '2',
    MAJORDOMO_BROKER__MAX_DELIVERIES: '2',
  };

  it('is file < environment < --set, and the last --set wins', () => {
    const sets = ['broker.requestTtlMs=3', 'broker.requestTtlMs=4'];
    const { broker } = load({ text, environment, sets }).config;
    expect(broker).toMatchObject({ requestTtlMs: 4, maxDeliveries: 2, heartbeatLiveness: 11 });
  });

  it('lets a later source repair what an earlier one had wrong', () => {
    expect(load({ text: 'log: {level: loud}', sets: ['log.level=warn'] }).config.log.level).toBe(
      'warn',
    );
  });

  it('replaces lists, it does not join them', () => {
    const { listen } = load({
      text: 'broker: {listen: [tcp://*:1, tcp://*:2]}',
      environment: { MAJORDOMO_BROKER__LISTEN: '[ipc:///run/a, {endpoint: tcp://*:3}]' },
    }).config.broker;
    expect(listen.map(({ endpoint }) => endpoint)).toEqual(['ipc:///run/a', 'tcp://*:3']);
  });
});

describe('the environment', () => {
  it('is configuration only where a variable has the prefix and two underscores', () => {
    const environment = { MAJORDOMO_ENDPOINT: 'x', MAJORDOMO_TOKEN: 'y', BROKER__LISTEN: 'z' };
    expect(load({ environment }).config.broker.listen).toHaveLength(1);
  });

  it('reports a variable that names nothing, with the nearest that does', () => {
    expect(problemsOf({ environment: { MAJORDOMO_BROKER__HEARTBEET_INTERVAL_MS: '1' } })).toEqual([
      'environment MAJORDOMO_BROKER__HEARTBEET_INTERVAL_MS: broker.heartbeetIntervalMs: ' +
        'unknown key; did you mean MAJORDOMO_BROKER__HEARTBEAT_INTERVAL_MS',
    ]);
    for (const name of ['MAJORDOMO__', 'MAJORDOMO_A__', 'MAJORDOMO___A', 'MAJORDOMO_A__B__C']) {
      expect(problemsOf({ environment: { [name]: '1' } })).toHaveLength(1);
    }
  });

  it('has YAML values, and says so when text was taken for something else', () => {
    expect(problemsOf({ environment: { MAJORDOMO_HTTP__LISTEN: '*:5580' } })).toEqual([
      'environment MAJORDOMO_HTTP__LISTEN: http.listen: the value is not YAML (quote text with ' +
        'special characters): *:5580 is an undefined alias; quote text that begins with *',
    ]);
    const quoted = load({ environment: { MAJORDOMO_HTTP__LISTEN: '"*:5580"' } });
    expect(quoted.config.http.listen).toBe('*:5580');
  });
});

describe('text in a variable or in --set', () => {
  const TOKENS = [
    ...['12345678901234567890', '0x1234567890abcdef', '1e12345678901234', '.12345678901234567'],
    ...['#abcdefghijklmnop', '*abcdefghijklmnop', '&abcdefghijklmnop', '!abcdefghijklmnop'],
    ...['{abcdefghijklmnop', '[abcdefghijklmnop', '@abcdefghijklmnop', '%abcdefghijklmnop'],
    ...['|abcdefghijklmnop', '>abcdefghijklmnop', '`abcdefghijklmnop', '-1234567890123456'],
    ...['"abcdefghijklmnop', 'abcdefghijklmnop:', '0o1234567012345670'],
  ];

  it.each(TOKENS)('is what was written, whatever YAML would make of it: %s', (token) => {
    const environment = { MAJORDOMO_HTTP__TOKEN: token };
    expect(load({ environment }).config.http.token).toBe(token);
    expect(load({ sets: [`http.readToken=${token}`] }).config.http.tokens[0]?.token).toBe(token);
  });

  it('is so for every key that is text', () => {
    const key = '#*abcdefghijklmnopqrstuvwxyz0123456789&!';
    const { config } = load({
      sets: ['node.name=007', 'node.dataDir=1e3', 'fleet.name=true', 'titanic.file=0x10'],
      environment: {
        MAJORDOMO_BSTAR__PAIR: '2024',
        MAJORDOMO_BSTAR__ROLE: 'backup',
        MAJORDOMO_BSTAR__LISTEN: 'tcp://127.0.0.1:1',
        MAJORDOMO_BSTAR__PEER: 'tcp://127.0.0.1:2',
        MAJORDOMO_BSTAR__CURVE__SECRET_KEY_FILE: '42',
        MAJORDOMO_BSTAR__CURVE__KEYS_FILE: '# 1',
        MAJORDOMO_BSTAR__CURVE__SERVER_KEY: key,
        MAJORDOMO_HTTP__WEBHOOK_SECRET_FILE: '~1',
      },
    });
    expect(config.node).toMatchObject({ name: '007', dataDir: '1e3' });
    expect([config.fleet.name, config.titanic.file]).toEqual(['true', '0x10']);
    expect(config.bstar).toMatchObject({
      pair: '2024',
      curve: { secretKeyFile: '42', keysFile: '# 1', serverKey: key },
    });
    expect(config.http.webhookSecretFile).toBe('~1');
  });

  it('may be in quotes; nothing, ~ and null are no value', () => {
    const tokenIn = (text: string): unknown =>
      load({ environment: { MAJORDOMO_HTTP__TOKEN: text } }).config.http.token;
    expect(tokenIn('"#2345678901234567"')).toBe('#2345678901234567');
    expect(tokenIn("'12345678901234567'")).toBe('12345678901234567');
    expect(['', ' ', '~', 'null'].map(tokenIn)).toEqual([null, null, null, null]);
  });

  it('that is wrong is refused as text, never taken for nothing', () => {
    const why = 'expected 16 to 512 characters of printable ASCII without spaces';
    for (const token of ['#short', '12345', 'true']) {
      expect(problemsOf({ environment: { MAJORDOMO_HTTP__TOKEN: token } })).toEqual([
        `environment MAJORDOMO_HTTP__TOKEN: http.token: ${why}`,
      ]);
    }
    // In a file, and in a list, it is YAML.
    const number = `${why}, or a list of two such texts, got what YAML reads as a number; quote it`;
    for (const token of ['12345678901234567890', '0x1234567890abcdef', '1e20', '1e400']) {
      expect(problemsOf({ text: `http: {token: ${token}}` })).toEqual([
        `FILE:1:15: http.token: ${number}`,
      ]);
      const sets = [`http.tokens=[{name: a, role: read, token: ${token}}]`];
      expect(problemsOf({ sets })).toEqual([`--set #1: http.tokens[0].token: ${number}`]);
    }
  });
});

describe('--set', () => {
  it('is numbered in messages, and needs KEY=VALUE', () => {
    expect(
      problemsOf({ sets: ['log.level=info', 'nope', '=1', 'broker.requestTtl=5', 'log=info'] }),
    ).toEqual([
      '--set #2: expected KEY=VALUE',
      '--set #3: expected KEY=VALUE',
      '--set #4: broker.requestTtl: unknown key; did you mean broker.requestTtlMs',
      '--set #5: log: unknown key',
    ]);
  });

  it('keeps what stands after the first =', () => {
    expect(load({ sets: ['node.name="a=b"'] }).config.node.name).toBe('a=b');
  });
});

describe('the file', () => {
  it('ends in ERR_CONFIG_FILE if it is missing, a folder, or over 1 MiB', () => {
    const missing = join(tmpdir(), 'majordomo-no-such-file.yaml');
    expect(codeThrown(() => loadConfig({ file: missing }))).toBe('ERR_CONFIG_FILE');
    expect(codeThrown(() => loadConfig({ file: tmpdir() }))).toBe('ERR_CONFIG_FILE');
    const large = '#'.repeat(1_048_577);
    expect(codeThrown(() => load({ text: large }))).toBe('ERR_CONFIG_FILE');
    expect(load({ text: large.slice(1) }).config.node.name).toBe('here');
  });

  it('must be UTF-8', () => {
    expect(problemsOf({ text: Uint8Array.of(0x61, 0xff) })).toEqual(['FILE:1:1: is not UTF-8']);
  });

  it('must be a map of sections', () => {
    expect(problemsOf({ text: '- 1' })).toEqual([
      'FILE:1:1: expected a map of sections, got a list',
    ]);
    expect(problemsOf({ text: 'log: 5' })).toEqual([
      'FILE:1:6: log: expected a map of keys, got 5',
    ]);
  });

  it('has each of its syntax errors and repeated keys reported by line and column', () => {
    expect(problemsOf({ text: 'log: {level: info\nbroker:\n  maxDeliveries: "3\n' })).toEqual(
      expect.arrayContaining([expect.stringMatching(/^FILE:2:1: /)]),
    );
    expect(problemsOf({ text: 'log:\n  level: info\n  level: warn\nlog: {}\nlog: {}\n' })).toEqual([
      'FILE:3:3: log.level: is given twice',
      'FILE:4:1: log: is given twice',
      'FILE:5:1: log: is given twice',
    ]);
  });
});
