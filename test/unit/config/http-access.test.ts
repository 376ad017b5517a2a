import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { enabledExtensions } from '../../../src/config/enabled.js';
import { diff, withLiveKeys } from '../../../src/config/diff.js';
import { explain } from '../../../src/config/explain.js';
import { parseNetwork } from '../../../src/config/http-access.js';
import { readToken } from '../../../src/config/io/token-files.js';
import { temporaryDirectory } from '../../support/daemon.js';
import { load, problemsOf } from './support.js';

const SECRET = 'sixteen-letters-or-more';
const PROGRAM = `{name: shop, role: request, token: ${SECRET}, client: [invoices.*]}`;

function tokens(...written: readonly string[]): string {
  return `http.tokens=[${written.join(', ')}]`;
}

/** What is wrong with it, without the place. */
function wrong(...sets: readonly string[]): string[] {
  return problemsOf({ sets }).map((line) => line.replace(/^--set #\d+: /, ''));
}

describe('http.tokens', () => {
  it('has a name, a role, and a token or its file; programs also services and a quota', () => {
    const batch = 'limits.quotas={batch: {share: 0.5}}';
    const file = '{name: watcher, role: read, tokenFile: /run/watcher}';
    const program = PROGRAM.replace('}', ', quota: batch}');
    expect(load({ sets: [batch, tokens(file, program)] }).config.http.tokens).toEqual([
      {
        ...{ name: 'watcher', role: 'read', token: null, tokenFile: '/run/watcher' },
        ...{ client: [], quota: null },
      },
      {
        ...{ name: 'shop', role: 'request', token: SECRET, tokenFile: null },
        ...{ client: ['invoices.*'], quota: 'batch' },
      },
    ]);
  });

  it.each([
    ['{name: a, role: read}', 'http.tokens[0]: needs token or tokenFile'],
    [
      `{name: a, role: read, token: ${SECRET}, tokenFile: b}`,
      'http.tokens[0].tokenFile: contradicts token: remove one of the two',
    ],
    [
      `{name: a, role: request, token: ${SECRET}}`,
      'http.tokens[0]: role request needs client: a list of the services that it may request',
    ],
    [
      `{name: a, role: read, token: ${SECRET}, client: [b]}`,
      'http.tokens[0].client: is only for role request, not for read',
    ],
    [
      `{name: a, role: reed, token: ${SECRET}}`,
      'http.tokens[0].role: expected read, operate or request, got "reed"; did you mean read',
    ],
    [
      `{name: a b, role: read, token: ${SECRET}}`,
      'http.tokens[0].name: expected a name of 1 to 64 characters without spaces',
    ],
    [
      `{nam: a, role: read, token: ${SECRET}}`,
      'http.tokens[0].name: is missing\nhttp.tokens[0].nam: unknown key; did you mean name',
    ],
    [
      `{name: http.token, role: read, token: ${SECRET}}`,
      "http.tokens[0].name: is the name of the node's own token",
    ],
    [
      `${PROGRAM}, {name: shop, role: read, token: another-one-of-sixteen}`,
      'http.tokens[1].name: is already the name of another',
    ],
    [
      `${PROGRAM}, {name: b, role: read, token: ${SECRET}}`,
      'http.tokens[1].token: is the same as another token',
    ],
    [PROGRAM.replace('}', ', quota: batch}'), 'http.tokens[0].quota: limits.quotas has no batch'],
  ])('refuses %s', (written, problem) => expect(wrong(tokens(written)).join('\n')).toBe(problem));

  it('never shows a token: not in problems, in the effective configuration or in changes', () => {
    for (const written of ['hush hush', '[hush]', '{hush: hush}', 'hush']) {
      const said = wrong(tokens(`{name: a, role: read, token: ${written}}`)).join('\n');
      expect(said).toMatch(/^http\.tokens\[0\]\.token(\[0\])?: expected 16 to 512 characters/);
      expect(said).not.toContain('hush');
    }
    expect(wrong('http.tokens=[hush').join('\n')).not.toContain('hush');
    expect(wrong('http.tokens=[hush]').join('\n')).not.toContain('hush');
    const loaded = load({ sets: [tokens(PROGRAM)] });
    const shown = JSON.stringify([explain(loaded), diff(load({}).config, loaded.config)]);
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain('"********"');
  });

  it('has two secrets while one takes the place of the other', () => {
    const [old, next] = [SECRET, 'another-one-of-sixteen'];
    const both = `[${old}, ${next}]`;
    const loaded = load({ sets: [tokens(PROGRAM.replace(SECRET, both))] });
    expect(loaded.config.http.tokens).toMatchObject([{ name: 'shop', token: [old, next] }]);
    expect(loaded.config.http.tokens.flatMap(readToken).map(({ secret }) => secret)).toEqual([
      ...[old, next],
    ]);
    const shown = JSON.stringify([explain(loaded), diff(load({}).config, loaded.config)]);
    expect([old, next].some((secret) => shown.includes(secret))).toBe(false);
    expect(shown).toContain('"token":["********","********"]');
  });

  it.each(['http.token', 'http.readToken'])('may be two in %s, from a variable as well', (key) => {
    const [old, next] = [SECRET, 'another-one-of-sixteen'];
    const variable = { 'http.token': 'MAJORDOMO_HTTP__TOKEN' }[key] ?? 'MAJORDOMO_HTTP__READ_TOKEN';
    // Without spaces as well, the brackets make it a list.
    for (const written of [`[${old}, ${next}]`, `[${old},${next}]`]) {
      const loaded = load({ environment: { [variable]: written } });
      const { token, tokens: all } = loaded.config.http;
      expect(key === 'http.token' ? token : all[0]?.token).toEqual([old, next]);
      expect(JSON.stringify(explain(loaded))).not.toContain(SECRET);
    }
    const three = wrong(`${key}=[${old}, ${next}, ${old}]`).join('\n');
    expect(three).toBe(`${key}: expected at most 2 in the list, got a list`);
    expect(wrong(`${key}=[${old}, ${old}]`)).toHaveLength(1);
    expect(wrong(`${key}=[]`)).toHaveLength(1);
    expect(wrong(`${key}=[${old}, short]`)).toHaveLength(1);
  });

  it('may be in two files, one secret in each', () => {
    const folder = temporaryDirectory();
    const files = [SECRET, 'another-one-of-sixteen'].map((secret, at) => {
      const file = join(folder, `${at}.token`);
      writeFileSync(file, `${secret}\n`, { mode: 0o600 });
      return file;
    });
    const entry = `{name: a, role: read, tokenFile: [${files.join(', ')}]}`;
    const { tokens: all } = load({ sets: [tokens(entry)] }).config.http;
    const secrets = [SECRET, 'another-one-of-sixteen'];
    expect(all.flatMap(readToken)).toEqual(
      secrets.map((secret) => ({ name: 'a', role: 'read', secret })),
    );
    expect(wrong(tokens('{name: a, role: read, tokenFile: []}'))).toHaveLength(1);
    expect(wrong(tokens('{name: a, role: read, tokenFile: [a, b, c]}'))).toHaveLength(1);
  });

  it('may be two of a file, on two lines', () => {
    const tokenFile = join(temporaryDirectory(), 'shop.token');
    const secretsIn = (text: string): readonly string[] => {
      writeFileSync(tokenFile, text, { mode: 0o600 });
      const { tokens: all } = load({
        sets: [tokens(`{name: a, role: read, tokenFile: ${tokenFile}}`)],
      }).config.http;
      return all.flatMap(readToken).map(({ secret }) => secret);
    };
    const next = 'another-one-of-sixteen';
    expect(secretsIn(SECRET)).toEqual([SECRET]);
    expect(secretsIn(`${SECRET}\r\n${next}\r\n`)).toEqual([SECRET, next]);
    expect(secretsIn(`${'x'.repeat(512)}\n${'y'.repeat(512)}\n`)).toHaveLength(2);
    for (const text of ['', 'short', `${SECRET}\nshort`, `${SECRET} ${next}`]) {
      expect(() => secretsIn(text)).toThrow('a token of 16 to 512 printable characters');
    }
    expect(() => secretsIn(`${SECRET}\n${next}\n${next}x`)).toThrow('more than 2 secrets');
  });

  it('may be one that reads, with a key of its own', () => {
    const short = `http.readToken=${SECRET}`;
    const loaded = load({ sets: [short, tokens('{name: a, role: operate, tokenFile: x}')] });
    expect(loaded.config.http.tokens).toMatchObject([
      { name: 'a', role: 'operate' },
      { name: 'http.readToken', role: 'read', token: SECRET, tokenFile: null },
    ]);
    expect(JSON.stringify(explain(loaded))).not.toContain(SECRET);
    expect(wrong(short, `http.token=${SECRET}`)).toEqual([
      'http.readToken: is the same as another token',
    ]);
    const { live, restart } = diff(load({}).config, loaded.config);
    expect([live.length > 0, restart]).toEqual([true, []]);
  });

  it('and the hosts of webhooks are a list as well as text', () => {
    const valueOf = (written: string): unknown => {
      const text = `http:\n  webhookSecretFile: secret\n  webhookHosts: ${written}\n`;
      return load({ text }).config.http.webhookHosts;
    };
    expect(valueOf('[a.example, ".b.example:8443"]')).toBe('a.example, .b.example:8443');
    expect(valueOf('\n    - a.example\n    - 10.0.0.0/8')).toBe('a.example, 10.0.0.0/8');
    expect(valueOf('"a.example, b.example"')).toBe('a.example, b.example');
    expect(() => valueOf('[a_b]')).toThrow(/"a_b" is not HOST/);
    expect(() => valueOf('[]')).toThrow(/at least 1|non-empty/);
    expect(() => valueOf('{a: 1}')).toThrow(/a list of such texts/);
  });

  it('are not needed for webhooks, whose first hosts need a restart without programs', () => {
    const webhooks = ['http.webhookHosts=hooks.example', 'http.webhookSecretFile=secret'];
    const others = ['http.webhookHosts=hooks.example, others.example', 'http.webhookSecretFile=s'];
    const programs = tokens(PROGRAM);
    const keysOf = (from: readonly string[], to: readonly string[]): unknown => {
      const { live, restart } = diff(load({ sets: from }).config, load({ sets: to }).config);
      const isThere = ({ key }: { key: string }): boolean => key === 'http.webhookHosts';
      return [live.some(isThere), restart.some(isThere)];
    };
    expect(enabledExtensions(load({ sets: webhooks }).config).has('programs')).toBe(true);
    expect(enabledExtensions(load({}).config).has('programs')).toBe(false);
    expect(keysOf([], webhooks)).toEqual([false, true]);
    expect(keysOf([programs], [...webhooks, programs])).toEqual([true, false]);
    expect(keysOf(webhooks, others)).toEqual([true, false]);
    expect(keysOf(webhooks, [])).toEqual([true, false]);
  });

  it('changes with SIGHUP, but the first token of programs needs a restart', () => {
    const reader = '{name: watcher, role: read, token: another-one-of-sixteen}';
    const changed = (from: string, to: string): string => {
      const [before, after] = [load({ sets: [from] }).config, load({ sets: [to] }).config];
      const { live, restart } = diff(before, after);
      const isApplied = withLiveKeys(before, after).http.tokens === after.http.tokens;
      expect(isApplied).toBe(restart.length === 0);
      return `${live.length} live, ${restart.length} restart`;
    };
    expect(changed(tokens(), tokens(reader))).toBe('1 live, 0 restart');
    expect(changed(tokens(reader), tokens(reader, PROGRAM))).toBe('0 live, 1 restart');
    expect(changed(tokens(PROGRAM), tokens(reader, PROGRAM))).toBe('1 live, 0 restart');
    expect(changed(tokens(PROGRAM), tokens(reader))).toBe('1 live, 0 restart');
  });
});

describe('http.trustedUserHeader', () => {
  it('needs the proxies from which it is believed, and they need it', () => {
    const header = 'http.trustedUserHeader=X-Forwarded-User';
    const proxies = 'http.trustedProxies=[10.0.0.0/8, fd00::/8, unix, 192.0.2.1]';
    expect(load({ sets: [header, proxies] }).config.http).toMatchObject({
      trustedUserHeader: 'X-Forwarded-User',
      trustedProxies: ['10.0.0.0/8', 'fd00::/8', 'unix', '192.0.2.1'],
    });
    expect(wrong(header)).toEqual([
      'http.trustedUserHeader: needs http.trustedProxies: from there it is believed',
    ]);
    expect(wrong(proxies)).toEqual([
      'http.trustedProxies: has no effect without http.trustedUserHeader',
    ]);
    expect(wrong(proxies, 'http.trustedUserHeader="X User"')).toEqual([
      'http.trustedUserHeader: expected the name of a header, 1 to 64 characters, got "X User"',
    ]);
    expect(wrong(header, 'http.trustedProxies=10.0.0.0/33')).toEqual([
      'http.trustedProxies: expected an address, a network such as 10.0.0.0/8, or unix, got "10.0.0.0/33"',
    ]);
  });

  it('reads addresses and networks of both families', () => {
    expect(parseNetwork('10.0.0.0/8')).toEqual({ address: '10.0.0.0', bits: 8, family: 'ipv4' });
    expect(parseNetwork('::1')).toEqual({ address: '::1', bits: 128, family: 'ipv6' });
    for (const text of ['', '10.0.0', '10.0.0.0/', '::/129', 'localhost', '1.2.3.4/8/8']) {
      expect(parseNetwork(text)).toBeNull();
    }
  });
});
