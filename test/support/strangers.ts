/**
 * Other programs in the place of a node: brokers and HTTP servers with the answers that a test
 * needs.
 */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Router } from 'zeromq';

const routers: Router[] = [];
const servers: Server[] = [];

/** A broker that answers every 0.2 client request with `answer`. Returns its endpoint. */
export async function strangeBroker(
  answer: (service: string) => readonly (string | Buffer)[],
): Promise<string> {
  const router = new Router({ linger: 0 });
  routers.push(router);
  await router.bind('tcp://127.0.0.1:0');
  void (async () => {
    for await (const frames of router) {
      const header = frames.findIndex((frame) => frame.equals(Buffer.from('MDPC02')));
      const service = frames[header + 2] ?? Buffer.alloc(0);
      const reply = [Buffer.from('MDPC02'), Buffer.from([3]), service, ...answer(String(service))];
      await router.send([...frames.slice(0, header), ...reply]);
    }
  })();
  return router.lastEndpoint ?? '';
}

/** A broker that answers every query with this, like `mmi.broker`. */
export function brokerTelling(status: object | string): Promise<string> {
  const json = typeof status === 'string' ? status : JSON.stringify(status);
  return strangeBroker(() => ['200', json]);
}

export interface StrangeHttp {
  readonly port: number;
  /** The headers of each request received. */
  readonly asked: IncomingHttpHeaders[];
}

/**
 * An HTTP server that answers every request with this, on every IPv4 address.
 * @param body or what makes it: of `GET /path`
 */
export async function strangeHttp(
  status: number,
  body: string | ((question: string) => string),
): Promise<StrangeHttp> {
  const asked: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers);
    const [path] = (request.url ?? '').split('?');
    const text = typeof body === 'string' ? body : body(`${request.method} ${path}`);
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '0.0.0.0', resolve);
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

/** Stops all of them: for `afterEach`. */
export function removeStrangers(): void {
  for (const router of routers.splice(0)) router.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
}
