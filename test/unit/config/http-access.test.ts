import { describe, expect, it } from '@jest/globals';

import { diff, withLiveKeys } from '../../../src/config/diff.js';
import { explain } from '../../../src/config/explain.js';
import { parseNetwork } from '../../../src/config/http-access.js';
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
  ])('refuses %s', (written, problem) => {
    expect(wrong(tokens(written)).join('\n')).toBe(problem);
  });

  it('never shows a token: not in problems, in the effective configuration or in changes', () => {
    for (const written of ['hush hush', '[hush]', '{hush: hush}', 'hush']) {
      const said = wrong(tokens(`{name: a, role: read, token: ${written}}`)).join('\n');
      expect(said).toContain('http.tokens[0].token: expected 16 to 512 characters');
      expect(said).not.toContain('hush');
    }
    expect(wrong('http.tokens=[hush').join('\n')).not.toContain('hush');
    expect(wrong('http.tokens=[hush]').join('\n')).not.toContain('hush');
    const loaded = load({ sets: [tokens(PROGRAM)] });
    const shown = JSON.stringify([explain(loaded), diff(load({}).config, loaded.config)]);
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain('"********"');
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
