import { BlockList } from 'node:net';

import { escapeName, unescapeName } from '../../../../src/core/escape.js';
import { Front, type Head, type Reception } from '../../../../src/admin/http/front.js';
import { type Admits, Guard } from '../../../../src/admin/http/guard.js';
import type { Route } from '../../../../src/admin/http/route.js';
import type { Access } from '../../../../src/admin/api/operation.js';
import { Router } from '../../../../src/admin/http/router.js';

const TOKEN = 'sixteen-letters-or-more';
const READ_TOKEN = 'another-one-that-reads';
const REQUEST_TOKEN = 'of-a-program-of-the-shop';

function route(method: 'GET' | 'POST', path: string, access: Access = 'open'): Route {
  const answer = { status: 200, type: 'text/plain', body: path, headers: {} };
  return { method, path, access, parameters: ['limit'], handle: () => answer };
}

const ROUTES = [
  route('GET', '/read', 'reader'),
  route('POST', '/change', 'changer'),
  route('GET', '/hold', 'bearer'),
  route('POST', '/send', 'requester'),
  route('GET', '/things/{id}'),
  route('POST', '/things/{id}/retry'),
  route('POST', '/things/retry'),
  route('GET', '/both'),
  route('POST', '/both'),
];

const proxies = new BlockList();
proxies.addSubnet('10.1.0.0', 16, 'ipv4');
proxies.addSubnet('fd00::', 64, 'ipv6');

const ADMITS: Admits = {
  tokens: [
    { name: 'http.token', role: 'operate', secret: TOKEN },
    { name: 'watcher', role: 'read', secret: READ_TOKEN },
    { name: 'shop', role: 'request', secret: REQUEST_TOKEN },
  ],
  users: { header: 'x-user', networks: proxies, isLocal: false },
};

function receive(head: Partial<Head>, isLoopback = true): Reception {
  const place = { readsOpenly: isLoopback, checksHost: isLoopback };
  const front = new Front(new Router(ROUTES), new Guard(ADMITS, place));
  const host = 'localhost';
  const usual = {
    method: 'GET',
    target: '/',
    httpVersion: '1.1',
    host,
    address: '127.0.0.1',
    values: () => [],
  };
  return front.receive({ ...usual, authorization: undefined, ...head });
}

/** The path and the parts of an admitted request, or the status of a refused one. */
function found(head: Partial<Head>, isLoopback = true): unknown {
  const reception = receive(head, isLoopback);
  if (reception.kind === 'refused') return reception.answer.status;
  return [reception.admitted.route.path, reception.admitted.parts];
}

describe('the front of the server', () => {
  it('finds a route by method and path, with the values of its names', () => {
    expect(found({ target: '/things/7' })).toEqual(['/things/{id}', { id: '7' }]);
    expect(found({ target: '/things/a%2Fb' })).toEqual(['/things/{id}', { id: 'a/b' }]);
    const post = { method: 'POST', target: '/things/7/retry' };
    expect(found(post)).toEqual(['/things/{id}/retry', { id: '7' }]);
    expect(found({ target: '/things/' })).toBe(404);
    expect(found({ target: '/things/7/8' })).toBe(404);
  });

  it('refuses percent escapes that are not UTF-8: two texts would become the same one', () => {
    for (const escapes of ['%ff', 'M%FCller', '%ed%a0%80', '%c3']) {
      expect(found({ target: `/things/${escapes}` })).toBe(400);
      expect(found({ target: `/both?limit=${escapes}` })).toBe(400);
      expect(found({ target: `/both?${escapes}=1` })).toBe(400);
    }
    expect(found({ target: '/things/M%C3%BCller' })).toEqual(['/things/{id}', { id: 'Müller' }]);
    const reception = receive({ target: '/both?limit=M%C3%BCller+%EF%BF%BD' });
    expect(reception).toMatchObject({ admitted: { query: new Map([['limit', 'Müller \ufffd']]) } });
  });

  it('handles HEAD as GET, and lists the methods of a path', () => {
    expect(found({ method: 'HEAD', target: '/both' })).toEqual(['/both', {}]);
    const reception = receive({ method: 'PUT', target: '/both' });
    expect(reception).toMatchObject({
      answer: { status: 405, headers: { allow: 'GET, HEAD, POST' } },
    });
    expect(found({ method: 'get', target: '/both' })).toBe(405);
  });

  it('checks the token before the parameters, and says nothing about them without it', () => {
    expect(found({ method: 'POST', target: '/change?x=1' })).toBe(401);
    const authorization = `Bearer ${TOKEN}`;
    expect(found({ method: 'POST', target: '/change?x=1', authorization })).toBe(400);
    expect(found({ target: '/read' }, false)).toBe(401);
    expect(found({ target: '/read', authorization }, false)).toEqual(['/read', {}]);
    expect(found({ target: '/read', authorization: 'Bearer wrong' }, false)).toBe(401);
    expect(found({ target: '/both' }, false)).toEqual(['/both', {}]);
  });

  it('answers what is open without a Host header, which HTTP/1.1 needs for all else', () => {
    const host = undefined;
    const authorization = `Bearer ${TOKEN}`;
    expect(found({ target: '/both', host })).toEqual(['/both', {}]);
    for (const checksHost of [true, false]) {
      expect(found({ target: '/read', host, authorization }, checksHost)).toBe(400);
    }
    expect(found({ target: '/read', host, httpVersion: '1.0', authorization }, false)).toEqual([
      '/read',
      {},
    ]);
  });

  it.each(['', 'mq.example.org', 'evil.example:80'])(
    'answers what is open whatever the Host header is, and nothing else: %s',
    (host) => {
      expect(found({ target: '/both', host })).toEqual(['/both', {}]);
      expect(found({ target: '/read', host, authorization: `Bearer ${TOKEN}` })).toBe(403);
      expect(found({ method: 'PUT', target: '/read', host })).toBe(403);
      expect(found({ target: '/read', host, authorization: `Bearer ${TOKEN}` }, false)).toEqual([
        '/read',
        {},
      ]);
    },
  );

  it('takes whoever may read the node for a reader at what is open, and all others for anyone', () => {
    const caller = (head: Partial<Head>, isLoopback: boolean): unknown => {
      const reception = receive({ target: '/both', ...head }, isLoopback);
      return reception.kind === 'refused' ? reception.answer.status : reception.admitted.caller;
    };
    const bearer = (token: string): Partial<Head> => ({ authorization: `Bearer ${token}` });
    for (const isLoopback of [true, false]) {
      expect(caller({}, isLoopback)).toBe(isLoopback ? 'reader' : 'anyone');
      expect(caller(bearer(TOKEN), isLoopback)).toBe('reader');
      expect(caller(bearer(READ_TOKEN), isLoopback)).toBe('reader');
      expect(caller(bearer(REQUEST_TOKEN), isLoopback)).toBe('anyone');
      expect(caller(bearer('wrong'), isLoopback)).toBe('anyone');
    }
    for (const host of [undefined, 'evil.example']) {
      expect(caller({ host }, true)).toBe('anyone');
      expect(caller({ host, ...bearer(TOKEN) }, true)).toBe('anyone');
    }
  });

  it('refuses a wrong token wherever tokens count, and a read-only one for changes', () => {
    const caller = (target: string, token: string | null, method = 'GET'): unknown => {
      const authorization = token === null ? undefined : `Bearer ${token}`;
      const reception = receive({ method, target, authorization });
      return reception.kind === 'refused' ? reception.answer.status : reception.admitted.caller;
    };
    expect([null, READ_TOKEN, TOKEN, 'wrong'].map((token) => caller('/read', token))).toEqual([
      'anyone',
      'reader',
      'changer',
      401,
    ]);
    expect([null, READ_TOKEN, TOKEN, 'wrong'].map((token) => caller('/hold', token))).toEqual([
      401,
      'reader',
      'changer',
      401,
    ]);
    const change = (token: string | null): unknown => caller('/change', token, 'POST');
    expect([null, READ_TOKEN, TOKEN, 'wrong'].map(change)).toEqual([401, 403, 'changer', 401]);
    expect(caller('/both', 'wrong')).toBe('anyone');
  });

  it('lets tokens of programs send requests only, and nobody else send them', () => {
    const of = (target: string, token: string | null, method = 'GET'): unknown => {
      const authorization = token === null ? undefined : `Bearer ${token}`;
      const reception = receive({ method, target, authorization });
      if (reception.kind === 'refused') return reception.answer.status;
      return [reception.admitted.caller, reception.admitted.actor.tokenName];
    };
    const send = (token: string | null): unknown => of('/send', token, 'POST');
    expect([null, 'wrong', READ_TOKEN, TOKEN].map(send)).toEqual([401, 401, 403, 403]);
    expect(send(REQUEST_TOKEN)).toEqual(['requester', 'shop']);
    expect(of('/read', REQUEST_TOKEN)).toBe(403);
    expect(of('/hold', REQUEST_TOKEN)).toBe(403);
    expect(of('/change', REQUEST_TOKEN, 'POST')).toBe(403);
    expect(of('/change', TOKEN, 'POST')).toEqual(['changer', 'http.token']);
    expect(of('/both', REQUEST_TOKEN)).toEqual(['anyone', null]);
  });

  it('believes a name in the header of proxies only, and only one that can be shown', () => {
    const authorization = `Bearer ${TOKEN}`;
    const user = (address: string | null, ...given: readonly string[]): unknown => {
      const values = (header: string): readonly string[] => (header === 'x-user' ? given : []);
      const reception = receive({ target: '/hold', authorization, address, values });
      if (reception.kind === 'refused') return reception.answer.status;
      return reception.admitted.actor.user;
    };
    expect(user('10.1.2.3', 'alice')).toBe('alice');
    expect(user('::ffff:10.1.2.3', 'alice')).toBe('alice');
    expect(user('fd00::7', Buffer.from('Zoë').toString('latin1'))).toBe('Zoë');
    expect(user('10.1.2.3')).toBeNull();
    for (const other of ['10.2.0.1', '127.0.0.1', 'fd01::1', null]) {
      expect(user(other, 'alice')).toBeNull();
    }
    const refused = ['', 'a'.repeat(129), 'a\tb', 'a\x1b[2J', '\xff', '\xe2\x80\xae'];
    for (const name of refused) expect([name, user('10.1.2.3', name)]).toEqual([name, 400]);
    expect(user('10.1.2.3', 'alice', 'bob')).toBe(400);
    expect(user('10.1.2.3', 'x'.repeat(128))).toBe('x'.repeat(128));
  });
});

describe('service names in URLs (D3)', () => {
  it('decode to the same bytes', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    expect(unescapeName(escapeName(bytes))).toEqual(bytes);
  });

  it('need no escapes, except for %', () => {
    expect(unescapeName('grün')).toEqual(Buffer.from('grün'));
    expect(unescapeName('gr%c3%BCn')).toEqual(Buffer.from('grün'));
    for (const wrong of ['100%', '%4', '%zz', 'a%%20']) expect(unescapeName(wrong)).toBeNull();
  });
});

describe('the secrets of tokens', () => {
  it('are gone one by one, and stay the same objects while they are valid', () => {
    const guard = new Guard(ADMITS, { readsOpenly: false, checksHost: false });
    const known = (secret: string): unknown => guard.admit('reader', `Bearer ${secret}`).secret;
    const tokens = (...secrets: readonly string[]): Admits => ({
      users: null,
      tokens: secrets.map((secret) => ({ name: 'watcher', role: 'read', secret })),
    });
    guard.replace(tokens(READ_TOKEN));
    const first = known(READ_TOKEN);
    expect(guard.replace(tokens(READ_TOKEN, TOKEN))).toEqual({
      ...{ gone: new Set(), renewed: ['watcher'] },
    });
    expect(known(READ_TOKEN)).toBe(first);
    expect(known(TOKEN)).toMatchObject({ name: 'watcher', caller: 'reader' });
    expect(guard.replace(tokens(TOKEN))).toEqual({ gone: new Set([first]), renewed: ['watcher'] });
    expect(() => known(READ_TOKEN)).toThrow('the token is wrong');
    expect(guard.replace(tokens(TOKEN)).renewed).toEqual([]);
    // That of a token with a new name is in the changes of the configuration.
    expect(guard.replace(ADMITS).renewed).toEqual(['watcher']);
  });
});
