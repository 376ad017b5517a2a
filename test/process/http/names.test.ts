/** HTTP at a name: on every address that it has. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { connect } from 'node:net';

import type { Route } from '../../../src/admin/http/route.js';
import { type HttpServer, openHttpServer } from '../../../src/admin/io/open-server.js';
import type { TlsFiles } from '../../../src/admin/io/tls.js';
import { codeOf } from '../../../src/core/errors.js';
import { Holdings } from '../../../src/core/holdings.js';
import type { BoundName } from '../../../src/zmtp/sockets/names.js';
import { makeCertificate } from '../../support/certificate.js';
import { temporaryDirectory } from '../../support/daemon.js';
import { endAll } from '../../support/daemon-users.js';
import { ask, RawHttp } from '../../support/http.js';
import { until } from '../../support/until.js';

const servers: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await endAll();
});

const PLAIN = { status: 200, type: 'text/plain', body: 'hello', headers: {} } as const;
/** What ends the requests to `/slow`. */
const waiting: (() => void)[] = [];

function route(path: string, handle: Route['handle']): Route {
  return { method: 'GET', path, access: 'open', parameters: [], handle };
}

const ROUTES = [
  route('/hello', () => PLAIN),
  route('/slow', async () => {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
    return PLAIN;
  }),
];

async function open(addresses: readonly string[], port = 0, tls: TlsFiles | null = null) {
  const told: BoundName[] = [];
  const server = await openHttpServer({
    address: { host: 'here.example', port },
    admits: { tokens: [], users: null },
    requireToken: false,
    tls,
    idleTimeoutMs: 75_000,
    connectionsMax: 80,
    programs: null,
    holdings: new Holdings(),
    names: {
      resolve: () => Promise.resolve(addresses),
      bound: (name) => {
        told.push(name);
      },
    },
    identityOf: (address) => address ?? '',
    routes: () => Promise.resolve(ROUTES),
    failed: () => undefined,
    acted: () => undefined,
  });
  servers.push(server);
  const actual = Number(new URL(server.url).port);
  return { server, told, port: actual };
}

const TWO = ['127.0.0.1', '127.0.0.2'];

it('answers on all addresses of the name, and tells them', async () => {
  const { server, told, port } = await open(['198.51.100.7', ...TWO]);
  expect(server.url).toBe(`http://127.0.0.1:${port}`);
  expect(told).toEqual([
    { name: `here.example:${port}`, addresses: TWO, absent: ['198.51.100.7'] },
  ]);
  for (const address of TWO) {
    expect(await ask(`http://${address}:${port}/hello`)).toMatchObject({ status: 200 });
  }
});

it('speaks TLS on all of them', async () => {
  const { pem, ...files } = makeCertificate(temporaryDirectory(), 'here.example', TWO);
  const { port } = await open(TWO, 0, files);
  for (const host of TWO) {
    const asked = get({ host, port, path: '/hello', ca: pem, agent: false });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    await once(response, 'end');
  }
});

it('closes all of them, after what is being answered there', async () => {
  const { server, port } = await open(TWO);
  const raw = new RawHttp(`http://127.0.0.2:${port}`);
  raw.send('GET /slow HTTP/1.1', 'Host: localhost', '');
  await until(() => waiting.length === 1, 'a request');
  const closing = server.close();
  let isClosed = false;
  void closing.then(() => {
    isClosed = true;
  });
  await refusal(port);
  expect(isClosed).toBe(false);
  waiting.shift()?.();
  await raw.until('hello');
  await closing;
  servers.length = 0;
  // The port is free on both.
  await open(TWO, port);
});

/** Resolves when nobody listens at the second address any more. */
async function refusal(port: number): Promise<void> {
  for (let isRefused = false; !isRefused;) {
    const socket = connect(port, '127.0.0.2');
    isRefused = await once(socket, 'connect').then(
      () => false,
      () => true,
    );
    socket.destroy();
  }
}

it('does not listen if one of them is in use', async () => {
  const { port } = await open(['127.0.0.2']);
  const refused: unknown = await open(TWO, port).catch((error: unknown) => error);
  expect(codeOf(refused)).toBe('ERR_HTTP_LISTEN');
  await open(['127.0.0.1'], port);
});
