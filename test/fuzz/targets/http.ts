/** The head of a request over HTTP: any method, target, host and authorization. */
import { BlockList } from 'node:net';

import type { Operation } from '../../../src/admin/api/operation.js';
import { OPERATIONS } from '../../../src/admin/api/operations.js';
import { checked } from '../../../src/admin/http/check.js';
import { Front } from '../../../src/admin/http/front.js';
import { type Admits, Guard } from '../../../src/admin/http/guard.js';
import { Router } from '../../../src/admin/http/router.js';
import { allRoutes } from '../../support/http-ports.js';
import { check, Script, type Target } from '../target.js';

const TOKEN = 'sixteen-letters-or-more';
const READ_TOKEN = 'another-one-that-reads';
const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', '__proto__'];
const HOSTS = ['localhost', '127.0.0.1:5580', '[::1]:80', 'evil.example', undefined];
const GIVEN = [undefined, `Bearer ${TOKEN}`, `Bearer ${READ_TOKEN}`, 'Bearer x', 'Basic eDp5'];

const ADDRESS = '10.0.0.1';
const networks = new BlockList();
networks.addAddress(ADDRESS);

const ADMITS: Admits = {
  tokens: [
    { name: 'http.token', role: 'operate', secret: TOKEN },
    { name: 'reader', role: 'read', secret: READ_TOKEN },
  ],
  users: { header: 'x-user', networks, isLocal: false },
};

const ROUTES = await allRoutes();

function run(input: Buffer): void {
  const script = new Script(input);
  const options = script.byte();
  const [method, host, authorization] = [
    script.pick(METHODS),
    script.pick(HOSTS),
    script.pick(GIVEN),
  ];
  const own = script.below(4) === 0 ? script.piece(64).toString('latin1') : null;
  const target = script.rest().toString('latin1');
  const checksHost = (options & 1) === 0;
  const readsOpenly = (options & 2) === 0;
  const front = new Front(new Router(ROUTES), new Guard(ADMITS, { readsOpenly, checksHost }));
  const given = own ?? authorization;
  const request = { method, target, httpVersion: '1.1', host };
  const user = own ?? host ?? '';
  const values = (): readonly string[] => [user];
  const reception = front.receive({ ...request, authorization: given, address: ADDRESS, values });
  if (reception.kind === 'refused') {
    refused(reception.answer);
    return;
  }
  const { route, query, actor } = reception.admitted;
  check(actor.user === null || /^\P{C}{1,128}$/u.test(actor.user), 'a name that cannot be shown');
  const isToken =
    /^bearer +sixteen-letters-or-more *$/i.test(given ?? '') && given?.includes(TOKEN);
  const isOpen = route.access === 'open';
  check(isOpen || !checksHost || host !== 'evil.example', 'another host is let in');
  if (route.access === 'requester') check(false, `${route.path} without its token`);
  if (route.access === 'changer') check(isToken === true, `${route.path} is changed without token`);
  if (route.access === 'reader' && !readsOpenly) check(given !== undefined, 'read without token');
  check(route.method === (method === 'HEAD' ? 'GET' : method), 'the route of another method');
  const operation = Object.values<Operation>(OPERATIONS).find(({ path }) => path === route.path);
  if (operation?.query === undefined) return;
  try {
    const { limit = 1, service = null } = checked(operation.query(), Object.fromEntries(query));
    check(Number.isInteger(limit) && Number(limit) >= 1 && Number(limit) <= 1000, 'no bound');
    const isName = Buffer.isBuffer(service) && service.length >= 1 && service.length <= 255;
    check(service === null || isName, 'a service name without bound');
  } catch (error) {
    check(String((error as { code?: unknown }).code).startsWith('ERR_HTTP_'), String(error));
  }
}

function refused(answer: {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}): void {
  check(answer.status >= 400 && answer.status < 500, `a refusal is ${answer.status}`);
  for (const [name, value] of Object.entries(answer.headers)) {
    check(/^[\x20-\x7e]*$/.test(`${name}${value}`), `a header with what a peer chose: ${value}`);
  }
}

export function http(): Target {
  const at = (target: string, method = 0, given = 0): Buffer =>
    Buffer.concat([Buffer.from([0, method, 0, given, 1]), Buffer.from(target)]);
  return {
    name: 'http',
    words: ['/api/v1/', '%', '%2F', '%00', '%ff', '?limit=', '&cursor=', 'service=', '..', '//'],
    bytesMax: 1024,
    seeds: [
      at('/livez'),
      at('/'),
      at('/api/v1/services?limit=10&cursor=abc&service=a%2525'),
      at('/api/v1/titanic/requests?state=dead&olderThanMs=5'),
      at(
        '/api/v1/titanic/groups?by=reason&header=a=b&uuid=0F&diedAfter=1h&service=a&serviceMatch=prefix',
      ),
      at('/api/v1/titanic/requests/0193F0C0A1B27000800000000000ABCD/retry', 1, 1),
      at('/api/v1/ha/switchover', 1, 2),
      at('*'),
      at('http://evil.example/'),
    ],
    run,
  };
}
